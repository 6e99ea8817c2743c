"""Frozen embeddings: models on vectors of a network that was trained for another purpose."""

from xray_mining.reporting.models import ModelKind

KIND = ModelKind(words="frozen embedding", place=20, colour="green", learn_from_both="frozen embeddings")
