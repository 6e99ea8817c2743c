"""Several labels of an image: the mean over them beside other models, and a section with a row a label."""

from xray_mining.reporting.targets import TargetKind
from xray_mining.reporting.targets._sections import PREVALENCE

KIND = TargetKind(
    compared=("auc_macro",),
    by_subgroup=("auc_macro",),
    sections=("labels",),
    chance=0.5,
    limits=PREVALENCE,
)
