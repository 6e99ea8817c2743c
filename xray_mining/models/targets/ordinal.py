"""Ordered levels: probabilities of levels from a chain of steps, and the expected level."""

import numpy as np
import polars as pl

from xray_mining.errors import UserError
from xray_mining.models import calibration as maps
from xray_mining.models.targets import Array, Column, Lesson, Reading, Teachable, mean_error, weighted_median
from xray_mining.models.targets._classes import Classes
from xray_mining.records.cohort import Target


class Ordinal(Classes):
    """Values (n, levels) are probabilities; the rows of predictions also have the expected level."""

    # 1: tables of numbers learn one set of weights for all levels; they were learned step by step.
    version = 1
    loss = "corn"
    heads: tuple[str, ...] = ("corn",)
    table_models: tuple[str, ...] = ("logistic", "boosting")
    predicts = "levels"

    def metric(self, target: Target) -> str:
        """Mean absolute error of the expected level."""
        return "MAE" + (f" in {target.unit}" if target.unit else " in levels")

    def truths(self, images: pl.DataFrame, target: Target) -> Array:
        """The position of the column `label` among the levels."""
        if not target.classes:
            raise UserError(
                f"target {target.name}: an earlier version froze its cohort without its levels; freeze the cohort "
                f"again with `xray-mining cohort`"
            )
        return super().truths(images, target)

    def centre(self, truths: Array, weights: Array, target: Target) -> Array:
        """All probability on the median level, which minimises the absolute error; half each where it is two levels."""
        middle = weighted_median(truths, weights)
        levels = np.arange(len(target.classes))
        return np.mean([levels == np.floor(middle), levels == np.ceil(middle)], axis=0)

    def table(self, lesson: Lesson, target: Target) -> Teachable:
        """A table of ordered classes."""
        from xray_mining.models import answers
        from xray_mining.models.baselines import Table

        kind = answers.Levels(len(target.classes))
        return Table(lesson.matrix, lesson.truths, lesson.patients, lesson.weights, kind)

    def calibration(self, values: Array, truths: Array, target: Target, patients: Array) -> maps.CalibrationMap | None:
        """Fit a map for each step between levels if it helps; None if no step has one.

        With a map for each level, one rare level would leave all without; a step has all patients on its two sides.
        """
        above = (truths[:, None] > np.arange(values.shape[1] - 1)).astype(float)
        curves = maps.curves_that_help(maps.chances_above(values), above, patients)
        return None if curves is None else maps.CalibrationMap(values.shape[1], curves, cumulative=True)

    def columns(self, values: Array, calibrated: Array | None, truths: Array, target: Target) -> list[Column]:
        """The expected level, then one row for each image and level."""
        numbers = np.array(target.numbers)
        known = np.isfinite(truths)
        own = np.full(len(truths), np.nan)
        own[known] = numbers[truths[known].astype(int)]
        expected = Column("", own, values @ numbers, None if calibrated is None else calibrated @ numbers)
        return [expected, *super().columns(values, calibrated, truths, target)]

    def values(self, kept: pl.DataFrame, target: Target) -> tuple[list[str], Array]:
        """One column of probabilities for each level."""
        return super().values(kept.filter(pl.col("class") != ""), target)

    def read(self, said: Array, target: Target) -> Reading:
        """The expected level, and the likeliest one by name."""
        likeliest = super().read(said, target)
        return Reading(said @ np.array(target.numbers), likeliest.label, likeliest.probabilities)

    def score(self, kept: pl.DataFrame) -> float | None:
        """Mean absolute error of the expected level."""
        return mean_error(kept.filter(pl.col("class") == ""))


KIND = Ordinal()
