"""What networks put out: one file for each head, with the losses that take its outputs; found by the registries."""
