"""Several labels of an image: models are compared by the mean over labels; one section has a row for each label."""

from xray_mining.reporting.targets import TargetKind
from xray_mining.reporting.targets._sections import PREVALENCE

KIND = TargetKind(
    compared=("auc_macro",),
    by_subgroup=("auc_macro",),
    sections=("labels",),
    chance=0.5,
    limits=PREVALENCE,
)
