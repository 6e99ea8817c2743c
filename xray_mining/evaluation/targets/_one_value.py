"""Shared code of the kinds with one truth and one predicted value for each unit."""

from dataclasses import replace

import numpy as np
import polars as pl

from xray_mining.evaluation.task import Array, Model, Task
from xray_mining.statistics.estimate import Estimate, owners
from xray_mining.statistics.refit import SCALES, filled, refit_of, share_of_class, widened


def first_truths(rows: pl.DataFrame) -> pl.DataFrame:
    """unit_key and truth, one row for each unit."""
    return rows.group_by("unit_key").agg(pl.col("truth").first())


def aligned(means: pl.DataFrame, keys: pl.DataFrame) -> Array:
    """The values of `means` (unit_key, value) in the order of `keys`, (n,) float64; nan for missing units."""
    found = keys.join(means, on="unit_key", how="left", maintain_order="left")
    return found["value"].fill_null(np.nan).to_numpy()


def validation(means: pl.DataFrame) -> pl.DataFrame:
    """Validation units with one value and an empty label each."""
    return means.drop("class").with_columns(pl.lit("").alias("label")).sort("fold", "unit_key")


def patient_means(task: Task, model: Model, guess: Array | None) -> pl.DataFrame:
    """Means over each patient's images: truth, value, guess and again; the number of different truths; the fold."""
    known = model.known
    missing = np.full(int(known.sum()), np.nan)
    frame = pl.DataFrame(
        {
            "owner": task.owner[known],
            "truth": task.truth[known],
            "value": model.values[known],
            "fold": task.folds[known],
            "guess": missing if guess is None else guess[known],
            "again": missing if model.again is None else model.again[known],
        }
    )
    return (
        frame.group_by("owner")
        .agg(
            pl.col("truth").mean(),
            pl.col("truth").n_unique().alias("truths"),
            pl.col("value").mean(),
            pl.col("guess").mean(),
            pl.col("again").mean(),
            pl.col("fold").first(),
        )
        .sort("owner")
    )


def widened_mean(
    task: Task, found: Estimate, values: Array, again: Array | None, units: Array, *, metric: str, among: Array
) -> Estimate:
    """Widen the interval of a subgroup's mean, because the folds share training patients.

    Args:
        task: The task.
        found: The mean with its interval. Its p is kept, because the test already allows for this.
        values: (n,) float64, the averaged values of all units.
        again: The same values by fits of other rotations, (n,); None if there are no such predictions.
        units: (n,) bool, the subgroup.
        metric: Name of the mean in estimates; it sets the scale on which the interval is widened.
        among: (n,) bool, all units that the metric is about; `units` is a part of them.
    """
    owner = owners(task.owner[units], int(units.sum()))
    others = None if again is None else again[units]
    share = (int(owner.max()) + 1) / len(np.unique(task.owner[among]))
    share *= 1.0 if among.all() else share_of_class(among)
    refit = refit_of(task.folds[units], owner, others, share=share)
    if refit is None:
        return found
    first = values[units]
    other = filled(others, first)
    factor = refit.factor_of_units(first - first.mean(), other - other.mean(), owner)
    wide = widened(found, factor, SCALES.get(metric, "plain"), refit.caution)
    return replace(wide, p_value=found.p_value)
