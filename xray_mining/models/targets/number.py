"""A number: regression, judged by the absolute error in the target's unit."""

import numpy as np
import polars as pl

from xray_mining.models import calibration as maps
from xray_mining.models.targets import (
    Array,
    Column,
    Lesson,
    Reading,
    Teachable,
    absolute_errors,
    mean_error,
    one_answer,
    weighted_median,
)
from xray_mining.records.cohort import Target


class Number:
    """Values and truths (n,) in the target's unit."""

    loss = "soft_labels"
    heads: tuple[str, ...] = ("number", "distribution")
    table_models: tuple[str, ...] = ("ridge", "boosting", "support_vectors")
    predicts = "numbers"
    version = 0
    one_answer = True

    def metric(self, target: Target) -> str:
        """Mean absolute error, with the unit."""
        return "MAE" + (f" in {target.unit}" if target.unit else "")

    def answers(self, rows: pl.DataFrame, target: Target) -> pl.DataFrame:
        """The rows themselves."""
        return one_answer(rows)

    def truths(self, images: pl.DataFrame, target: Target) -> Array:
        """The column `truth`."""
        return images["truth"].cast(pl.Float64).fill_null(float("nan")).to_numpy()

    def certain(self, truths: Array, target: Target) -> Array:
        """The same numbers."""
        return truths

    def known(self, truths: Array) -> Array:
        """True for finite truths."""
        return np.isfinite(truths)

    def untrainable(self, truths: Array) -> str:
        """Any numbers can be learned; the caller checks that there are two images."""
        return ""

    def centre(self, truths: Array, weights: Array, target: Target) -> Array:
        """The median, which minimises the absolute error."""
        return np.array(weighted_median(truths, weights))

    def errors(self, values: Array, truths: Array) -> Array:
        """Absolute errors."""
        return absolute_errors(values, truths)

    def stack_loss(self, values: Array, truths: Array) -> float:
        """Mean squared error as a share of the truths' variance."""
        return float(((values - truths) ** 2).mean()) / max(float(np.var(truths)), 1e-12)

    def table(self, lesson: Lesson, target: Target) -> Teachable:
        """A table for regression."""
        from xray_mining.models.baselines import Table

        return Table(lesson.matrix, lesson.truths, lesson.patients, lesson.weights)

    def calibration(self, values: Array, truths: Array, target: Target, patients: Array) -> maps.CalibrationMap | None:
        """A straight line."""
        return maps.calibration_map(values, truths, 0, patients)

    def columns(self, values: Array, calibrated: Array | None, truths: Array, target: Target) -> list[Column]:
        """One row for each image, without a class."""
        return [Column("", truths, values, calibrated, has_spread=True)]

    def values(self, kept: pl.DataFrame, target: Target) -> tuple[list[str], Array]:
        """The rows themselves."""
        ordered = kept.sort("unit_key")
        return ordered["unit_key"].to_list(), ordered["value"].to_numpy()

    def read(self, said: Array, target: Target) -> Reading:
        """The numbers."""
        return Reading(said, "", {})

    def score(self, kept: pl.DataFrame) -> float | None:
        """Mean absolute error."""
        return mean_error(kept)


KIND = Number()
