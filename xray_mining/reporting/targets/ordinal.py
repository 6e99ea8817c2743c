"""Ordered levels: errors in levels, and a confusion matrix of the levels."""

from xray_mining.reporting.targets import TargetKind
from xray_mining.reporting.targets._sections import OF_NUMBERS, RANGE

KIND = TargetKind(
    compared=("mae", "rmae", "kappa_quadratic", "spearman", "rmse", "r2", "bias", "ccc"),
    by_subgroup=("mae", "bias"),
    sections=(*OF_NUMBERS, "levels"),
    has_unit=True,
    shows_centre=True,
    limits=RANGE,
)
