"""Options of the evaluation in a study file."""

from collections.abc import Callable
from functools import partial
from typing import TypeVar

from pydantic import BaseModel, Field

Found = TypeVar("Found")
RULES = 4
"""Version of the rules for estimates. After a change of this number, `run` repeats earlier evaluations.

2: intervals are wider if folds share training patients; patients of folds that are left out are not counted.
3: those of squared errors and of the rarer class's rate are wider still; gaps between groups have DeLong's variance.
4: the interval and p of a gap between groups use the same variance, and a gap with one patient of a class has neither;
areas are compared with guessing by the variance of guessing; a group's mean area uses the labels that its p uses.
"""

SMALL_CELLS = (
    "smaller groups of patients (a cell of Table 1, a subgroup, a band, a bin, a cell of a confusion matrix) are "
    "neither counted nor drawn, and points of a smaller age band and sex are not drawn; rates of whole classes, for "
    "example sensitivity, are printed"
)


class EvaluationOptions(BaseModel, extra="forbid", frozen=True):
    """Options that control how predictions become estimates."""

    confidence: float = Field(0.95, gt=0.5, lt=1)
    bootstraps: int = Field(2000, ge=100, le=100_000)
    seed: int = 0
    least_patients: int = Field(10, ge=2, description=SMALL_CELLS)
    sensitivity_targets: list[float] = Field(
        default=[0.9], description="operating points besides the Youden point, all set on validation patients"
    )
    age_band_years: int = Field(10, ge=1, le=50)
    show_unexamined: bool = Field(
        False,
        description="for public sets: also show single radiographs of private archives, and radiographs whose header "
        "does not say that they are free of burned-in text (pictures were not examined), and list suspect labels by "
        "the keys of their radiographs",
    )

    def bootstrapped(self, figures: Callable[..., Found]) -> Callable[..., Found]:
        """Set this study's confidence, draws and seed in a function of `statistics` that resamples patients."""
        return partial(figures, confidence=self.confidence, draws=self.bootstraps, seed=self.seed)
