"""Options of the evaluation in a study file."""

from collections.abc import Callable
from functools import partial
from typing import TypeVar

from pydantic import BaseModel, Field

Found = TypeVar("Found")
RULES = 3
"""Number of the rules by which estimates are made: another one makes `run` evaluate again what it has evaluated.

2: folds that share training patients widen intervals; patients of folds that are left out are not counted.
3: they widen those of squared errors and of the rarer class's rate further; gaps between groups have DeLong's variance.
"""

SMALL_CELLS = (
    "groups of fewer patients (a cell of Table 1, a subgroup, a band, a bin, a cell of confusion) are neither counted "
    "nor drawn, nor are points of an age band and sex with fewer; rates of whole classes, as sensitivity, are printed"
)


class EvaluationOptions(BaseModel, extra="forbid", frozen=True):
    """Options that control how predictions become estimates."""

    confidence: float = Field(0.95, gt=0.5, lt=1)
    bootstraps: int = Field(2000, ge=100, le=100_000)
    seed: int = 0
    least_patients: int = Field(10, ge=2, description=SMALL_CELLS)
    sensitivity_targets: list[float] = Field(
        default=[0.9], description="operating points, set on validation patients, besides the Youden one"
    )
    age_band_years: int = Field(10, ge=1, le=50)
    show_unexamined: bool = Field(
        False,
        description="show single radiographs of private archives, and those whose header does not say that they bear "
        "no letters (declared by the header; pictures were not examined), and list suspect labels "
        "by the keys of their radiographs: for public sets",
    )

    def bootstrapped(self, figures: Callable[..., Found]) -> Callable[..., Found]:
        """A function of `statistics` that draws patients, with this study's confidence, draws and seed."""
        return partial(figures, confidence=self.confidence, draws=self.bootstraps, seed=self.seed)
