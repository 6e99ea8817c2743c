"""Models on handcrafted features."""

from xray_mining.reporting.models import ModelKind

KIND = ModelKind(words="handcrafted", place=10, colour="orange", learn_from_both="handcrafted models")
