"""The oracle, which reads the phantom's truth; it is drawn hollow, because it is not a model of the image."""

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
