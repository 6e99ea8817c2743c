"""Kinds of target for models: truths as arrays, losses, tables for scikit-learn, calibration, predictions.

A kind is a file in this folder with an object `KIND`; files of the same name in `catalog/targets`, `evaluation/targets`
and `reporting/targets` define how it is frozen, scored and shown. Importing a kind imports neither torch nor
scikit-learn. Values and truths have n rows, one for each image. Values are (n,) for a number, and (n, k) for k classes
or labels.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import polars as pl

from xray_mining.records.cohort import Target
from xray_mining.registry import Kinds

if TYPE_CHECKING:
    from xray_mining.models.baselines import Learned
    from xray_mining.models.calibration import CalibrationMap

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, slots=True)
class Lesson:
    """Training data of a model on a table of numbers: training and validation images with a known truth."""

    matrix: Array
    """(n, columns) float64, nan for values that could not be measured."""
    truths: Array
    """Truths in the form of `ModelTarget.truths`."""
    patients: Array
    """(n,) patient of each row; all rows of a patient are in the same inner fold."""
    weights: Array
    """(n,) float64."""


class Teachable(Protocol):
    """Training data in the form that scikit-learn models need."""

    def lacking(self) -> str:
        """Why no model can be fitted with inner folds; an empty text if one can."""
        ...

    def learn(self, model: str, components: int, seed: int) -> "Learned":
        """Fit the named model with the hyperparameters that are best over patient-grouped inner folds."""
        ...


@dataclass(frozen=True, slots=True)
class Column:
    """Predictions of one class, or of a number, as rows of the record of predictions; (n,) arrays."""

    name: str
    """The `class` of the rows; empty for a number."""
    truth: Array
    """nan where unknown."""
    value: Array
    calibrated: Array | None
    """None if the values are not calibrated."""
    has_spread: bool = False
    """Whether the model's spread is written to these rows."""


@dataclass(frozen=True, slots=True)
class Reading:
    """The combined prediction of several fits for one picture."""

    values: Array | None
    """Value of each fit, (fits,): the number, the level, or the probability of the likeliest class. None for labels."""
    label: str
    """The likeliest class or level; empty for a number and for several labels."""
    probabilities: dict[str, float]
    """Mean probability of each class or label; empty for a number."""


class ModelTarget(Protocol):
    """One kind of target, for all kinds of model."""

    loss: str
    """The loss of a network whose options say 'auto'."""
    heads: tuple[str, ...]
    """Heads of networks whose decoded outputs are values of this kind."""
    table_models: tuple[str, ...]
    """scikit-learn models that predict this kind; nulls and the oracle use the first one."""
    predicts: str
    """The predictions of these models as a word in error messages: numbers, groups."""
    version: int
    """Increase it when a change in how this kind is learned changes predictions; its older experiments are refitted."""
    one_answer: bool
    """Whether an image has one answer, not one for each of several labels."""

    def metric(self, target: Target) -> str:
        """Name of the validation score, such as 'MAE in years'."""
        ...

    def answers(self, rows: pl.DataFrame, target: Target) -> pl.DataFrame:
        """image_key, truth and label, one row for each image, from rows of FrozenCohort.answers()."""
        ...

    def truths(self, images: pl.DataFrame, target: Target) -> Array:
        """Truths of rows with the columns of `answers`, float64; nan: unknown."""
        ...

    def certain(self, truths: Array, target: Target) -> Array:
        """Known truths as certain predictions, to score a second reader's answers like a model."""
        ...

    def known(self, truths: Array) -> Array:
        """Rows with a truth that can be learned or scored, (n,) bool."""
        ...

    def untrainable(self, truths: Array) -> str:
        """Why a network cannot learn from these known training truths; an empty text if it can."""
        ...

    def centre(self, truths: Array, weights: Array, target: Target) -> Array:
        """The best constant prediction, () or (k,), for models that do not look at the picture."""
        ...

    def errors(self, values: Array, truths: Array) -> Array:
        """Error of each row, (n,): absolute error or log loss. Every row has a known truth."""
        ...

    def stack_loss(self, values: Array, truths: Array) -> float:
        """The loss that the weights of a stacked ensemble minimise, without a unit."""
        ...

    def table(self, lesson: Lesson, target: Target) -> Teachable:
        """The training data in the form that scikit-learn models need."""
        ...

    def calibration(self, values: Array, truths: Array, target: Target, patients: Array) -> "CalibrationMap | None":
        """The calibration map fitted to validation rows with known truths; None if it does not help."""
        ...

    def columns(self, values: Array, calibrated: Array | None, truths: Array, target: Target) -> list[Column]:
        """Predictions as columns of the record."""
        ...

    def values(self, kept: pl.DataFrame, target: Target) -> tuple[list[str], Array]:
        """The reverse of `columns`: image keys, sorted, and values of rows unit_key, class, value."""
        ...

    def read(self, said: Array, target: Target) -> Reading:
        """Combine the values of several fits for one picture, (fits,) or (fits, k)."""
        ...

    def score(self, kept: pl.DataFrame) -> float | None:
        """The validation score over rows of predictions with known truths; None if it is not defined."""
        ...


TARGETS: Kinds[ModelTarget] = Kinds(__name__, "target kind")


def one_answer(rows: pl.DataFrame) -> pl.DataFrame:
    """`ModelTarget.answers` for kinds with one row for each image."""
    return rows.select("image_key", pl.col("value").alias("truth"), "label")


def weighted_median(values: Array, weights: Array) -> float:
    """The weighted median of (n,) values; the mean of two values if the weights are split evenly between them."""
    order = np.argsort(values, kind="stable")
    below = np.cumsum(weights[order]) / weights.sum()
    at = int(np.searchsorted(below, 0.5))
    if at + 1 < len(values) and np.isclose(below[at], 0.5):
        return float((values[order][at] + values[order][at + 1]) / 2)
    return float(values[order][at])


def absolute_errors(values: Array, truths: Array) -> Array:
    """How far each prediction (n,) is from its truth, (n,)."""
    return np.abs(values - truths)


def log_losses(shares: Array) -> Array:
    """Log loss of the probabilities (n, …) that the true answers were given, cut off near 0, in the same shape."""
    return -np.log(np.clip(shares, 1e-7, 1))


def log_losses_of_classes(values: Array, truths: Array) -> Array:
    """Log loss of each row (n,) by probabilities (n, classes) and the position of the true class (n,)."""
    return log_losses(values[np.arange(len(values)), truths.astype(int)])


def mean_error(kept: pl.DataFrame) -> float | None:
    """Mean absolute error over rows of predictions; None where there are none."""
    error = (kept["value"] - kept["truth"]).abs().mean()
    return float(error) if isinstance(error, float) else None


def mean_area(kept: pl.DataFrame, by: Sequence[str] = ("fold", "seed", "class")) -> float | None:
    """Mean area under the ROC curve over groups of rows with truth 0 or 1; None if no group has both."""
    from xray_mining.statistics import auc

    groups = kept.select(pl.struct(by).rank("dense").alias("group"))["group"]
    found = auc.mean_area(kept["truth"].to_numpy(), kept["value"].to_numpy(), groups.to_numpy())
    return None if np.isnan(found) else found
