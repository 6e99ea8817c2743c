"""Whether a column of images determines a target, by its values: for numbers and for labels."""

import numpy as np
import polars as pl

_LEAST_REPEATS = 4
"""At least this many members of every label must share their level with another member. Without this rule a column of
unique values would count as the source of every target."""
_LEAST_NUMBERS = 10
_LEAST_CORRELATION = 0.995
"""Least correlation of values or ranks for a number to count as computed from another, as years from an age in days."""


def determines_labels(column: pl.Series, labels: pl.Series, classes: int) -> bool:
    """Whether each level of a column has one label, or each label one range of a numeric column; (n,) series.

    `classes` is the number of the target's labels; if one of them is missing, the answer is False.
    """
    known = pl.DataFrame({"level": column, "label": labels}).drop_nulls("label")
    of_label = known["label"].value_counts()
    if of_label.height < max(2, classes):
        return False
    if column.dtype.is_numeric() and _in_ranges(known.drop_nulls("level"), of_label):
        return True
    pairs = known.group_by("level", "label").agg(pl.len().alias("members"))
    if pairs["level"].n_unique() < pairs.height:
        return False
    repeats = pairs.group_by("label").agg((pl.col("members") - 1).sum().alias("repeats"))
    return bool((repeats["repeats"] >= _LEAST_REPEATS).all())


def determines_numbers(column: pl.Series, values: pl.Series) -> bool:
    """Whether a numeric column is correlated almost perfectly with the values, or by ranks; (n,) series."""
    if not column.dtype.is_numeric():
        return False
    known = pl.DataFrame({"level": column, "value": values}).drop_nulls("value").drop_nulls("level")
    if min(known["level"].n_unique(), known["value"].n_unique(), known.height) < _LEAST_NUMBERS:
        return False
    level, value = known["level"].cast(pl.Float64), known["value"]
    both = ((level, value), (level.rank(), value.rank()))
    found = [abs(np.corrcoef(a.to_numpy(), b.to_numpy())[0, 1]) for a, b in both]
    return max(found) >= _LEAST_CORRELATION


def _in_ranges(known: pl.DataFrame, of_label: pl.DataFrame) -> bool:
    """Whether the labels have separate ranges of the column's numbers, as age groups have."""
    ends = known.group_by("label").agg(
        pl.col("level").min().alias("low"), pl.col("level").max().alias("high"), pl.len().alias("members")
    )
    ends = ends.sort("low")
    apart = (ends["high"].head(-1).to_numpy() < ends["low"].tail(-1).to_numpy()).all()
    return ends.height == of_label.height and bool(apart) and bool((ends["members"] > _LEAST_REPEATS).all())
