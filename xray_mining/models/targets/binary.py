"""Two labels, one of them positive: predictions are its probability."""

import numpy as np
import polars as pl

from xray_mining.models.targets import Array, Column
from xray_mining.models.targets._classes import Classes, column_of
from xray_mining.records.cohort import Target


class Binary(Classes):
    """Probabilities (n, 2) of the other and of the positive label; rows of predictions for the positive one alone."""

    loss = "binary_cross_entropy"
    heads: tuple[str, ...] = ("binary", "group")

    def truths(self, images: pl.DataFrame, target: Target) -> Array:
        """The column `truth`; if it is null, whether the label is the positive one."""
        value = images["truth"].cast(pl.Float64)
        from_label = images["label"].eq(target.positive).cast(pl.Float64)
        return value.fill_null(from_label).fill_null(float("nan")).to_numpy()

    def columns(self, values: Array, calibrated: Array | None, truths: Array, target: Target) -> list[Column]:
        """One row for each image."""
        return [column_of(target.positive, values, calibrated, truths, target)]

    def values(self, kept: pl.DataFrame, target: Target) -> tuple[list[str], Array]:
        """The positive label's probability, and one minus it for the other label."""
        ordered = kept.sort("unit_key")
        positive = ordered["value"].to_numpy()
        shares = {target.positive: positive}
        found = np.stack([shares.get(label, 1 - positive) for label in target.classes], axis=1)
        return ordered["unit_key"].to_list(), found


KIND = Binary()
