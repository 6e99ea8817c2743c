"""Null models: drawn hollow and dashed, and called by their names in the study (`model: centre`)."""

from xray_mining.reporting.models import ModelKind

KIND = ModelKind(
    words="null",
    place=0,
    colour="quiet",
    line=(0, (4, 2)),
    lines={"centre": (0, (1, 2))},
    hollow=True,
    called_by_word=True,
    calibration_shown=False,
    constant=("centre",),
    learn_from_both="nulls",
)
