"""Two classes: one ROC curve for each model, calibration, and calls at thresholds."""

from xray_mining.reporting.targets import TargetKind
from xray_mining.reporting.targets._sections import OF_CLASSES, PREVALENCE

KIND = TargetKind(
    compared=("auc", "sensitivity", "specificity", "balanced_accuracy", "average_precision", "brier"),
    by_subgroup=("auc", "sensitivity", "specificity"),
    sections=OF_CLASSES,
    chance=0.5,
    names_sides=True,
    limits=PREVALENCE,
)
