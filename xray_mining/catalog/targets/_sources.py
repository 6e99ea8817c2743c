"""Whether a column of images determines a target, judged by values: for numbers and for labels."""

import numpy as np
import polars as pl

_LEAST_REPEATS = 4
"""Of every label so many members must share a column's level with another one. A column of unique values determines
every target, and is the source of none."""
_LEAST_NUMBERS = 10
_LEAST_CORRELATION = 0.995
"""A number is made of another where their values or ranks are correlated at least so: whole years of an age in days."""


def determines_labels(column: pl.Series, labels: pl.Series, classes: int) -> bool:
    """Whether each level of a column has one label, or each label one range of a numeric column; (n,) series.

    `classes`: how many labels the target has; with one of them absent nothing is concluded.
    """
    told = pl.DataFrame({"level": column, "label": labels}).drop_nulls("label")
    of_label = told["label"].value_counts()
    if of_label.height < max(2, classes):
        return False
    if column.dtype.is_numeric() and _in_ranges(told.drop_nulls("level"), of_label):
        return True
    pairs = told.group_by("level", "label").agg(pl.len().alias("members"))
    if pairs["level"].n_unique() < pairs.height:
        return False
    repeats = pairs.group_by("label").agg((pl.col("members") - 1).sum().alias("repeats"))
    return bool((repeats["repeats"] >= _LEAST_REPEATS).all())


def determines_numbers(column: pl.Series, values: pl.Series) -> bool:
    """Whether a numeric column is correlated almost perfectly with the values, or by ranks; (n,) series."""
    if not column.dtype.is_numeric():
        return False
    told = pl.DataFrame({"level": column, "value": values}).drop_nulls("value").drop_nulls("level")
    if min(told["level"].n_unique(), told["value"].n_unique(), told.height) < _LEAST_NUMBERS:
        return False
    level, value = told["level"].cast(pl.Float64), told["value"]
    both = ((level, value), (level.rank(), value.rank()))
    found = [abs(np.corrcoef(a.to_numpy(), b.to_numpy())[0, 1]) for a, b in both]
    return max(found) >= _LEAST_CORRELATION


def _in_ranges(told: pl.DataFrame, of_label: pl.DataFrame) -> bool:
    """Whether each label has one range of the column's numbers to itself, as the groups of an age have."""
    ends = told.group_by("label").agg(
        pl.col("level").min().alias("low"), pl.col("level").max().alias("high"), pl.len().alias("members")
    )
    ends = ends.sort("low")
    apart = (ends["high"].head(-1).to_numpy() < ends["low"].tail(-1).to_numpy()).all()
    return ends.height == of_label.height and bool(apart) and bool((ends["members"] > _LEAST_REPEATS).all())
