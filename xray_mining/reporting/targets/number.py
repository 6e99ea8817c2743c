"""A number: errors in its unit, and points of predicted against true."""

from xray_mining.reporting.targets import TargetKind
from xray_mining.reporting.targets._sections import OF_NUMBERS, RANGE

KIND = TargetKind(
    compared=("mae", "rmae", "rmse", "r2", "bias", "slope_on_truth", "ccc", "within_5", "within_10"),
    by_subgroup=("mae", "bias"),
    sections=(*OF_NUMBERS, "error-by-age"),
    has_unit=True,
    shows_centre=True,
    limits=RANGE,
)
