"""Fitted models on new pictures: what `predict` can do with each kind of model, one small file a kind."""
