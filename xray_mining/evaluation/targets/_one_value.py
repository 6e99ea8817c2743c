"""What kinds share whose units have one truth and one predicted value."""

from dataclasses import replace

import numpy as np
import polars as pl

from xray_mining.evaluation.task import Array, Model, Task
from xray_mining.statistics.estimate import Estimate, owners
from xray_mining.statistics.refit import SCALES, filled, refit_of, share_of_class, widened


def first_truths(rows: pl.DataFrame) -> pl.DataFrame:
    """unit_key and truth of every unit."""
    return rows.group_by("unit_key").agg(pl.col("truth").first())


def aligned(means: pl.DataFrame, keys: pl.DataFrame) -> Array:
    """The values of `means` (unit_key, value) in the order of `keys`, (n,) with nan where absent."""
    found = keys.join(means, on="unit_key", how="left", maintain_order="left")
    return found["value"].fill_null(np.nan).to_numpy()


def validation(means: pl.DataFrame) -> pl.DataFrame:
    """Validation units with one value each; the label is empty."""
    return means.drop("class").with_columns(pl.lit("").alias("label")).sort("fold", "unit_key")


def patient_means(task: Task, model: Model, guess: Array | None) -> pl.DataFrame:
    """truth, truths (how many different ones), value, guess, again and fold of every patient, mean over images."""
    known = model.known
    nothing = np.full(int(known.sum()), np.nan)
    frame = pl.DataFrame(
        {
            "owner": task.owner[known],
            "truth": task.truth[known],
            "value": model.values[known],
            "fold": task.folds[known],
            "guess": nothing if guess is None else guess[known],
            "again": nothing if model.again is None else model.again[known],
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
    """The mean of `values` (n,) over units (n,) bool with what shared training patients add; its p has it already.

    `among` (n,) bool: all units that the metric is about; `units` are the subgroup's part of them.
    """
    owner = owners(task.owner[units], int(units.sum()))
    there = None if again is None else again[units]
    share = (int(owner.max()) + 1) / len(np.unique(task.owner[among]))
    share *= 1.0 if among.all() else share_of_class(among)
    refit = refit_of(task.folds[units], owner, there, share=share)
    if refit is None:
        return found
    first = values[units]
    other = filled(there, first)
    factor = refit.factor_of_units(first - first.mean(), other - other.mean(), owner)
    wide = widened(found, factor, SCALES.get(metric, "plain"), refit.caution)
    return replace(wide, p_value=found.p_value)
