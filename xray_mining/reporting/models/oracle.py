"""The model that reads the phantom's truth: no model of the image, and drawn as none."""

from xray_mining.reporting.models import ModelKind

KIND = ModelKind(
    words="oracle",
    place=90,
    colour="ink",
    line=(0, (1, 1.5)),
    marker="D",
    hollow=True,
    learn_from_both="the oracle",
)
