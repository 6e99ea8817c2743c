"""A second reader of the same images: not a model, but a person that models are compared with."""

from xray_mining.reporting.models import ModelKind

KIND = ModelKind(words="second reader", place=95, colour="ink", hollow=True, is_a_person=True)
