"""Several classes, one true for each image: a ROC curve for each class, and calls of the most probable class."""

from xray_mining.reporting.targets import TargetKind
from xray_mining.reporting.targets._sections import OF_CLASSES, PREVALENCE

KIND = TargetKind(
    compared=("auc_macro", "balanced_accuracy", "accuracy", "f1_macro", "kappa"),
    by_subgroup=("auc_macro", "auc", "accuracy"),
    sections=OF_CLASSES,
    chance=0.5,
    by_class=True,
    limits=PREVALENCE,
)
