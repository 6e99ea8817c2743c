"""What a target is made of where its cohort's header does not say: a guess by values, never by name or unit."""

from collections.abc import Sequence
from dataclasses import replace

import duckdb
import numpy as np
import polars as pl

from xray_mining.catalog.connection import frame
from xray_mining.records.cohort import Target

_SAMPLE = 20_000
"""Members whose values are compared: the first by key, which is a draw by chance."""
_LEAST_REPEATS = 4
"""Of every label so many members must share a column's level with another one, so that a column of ever new values,
which tells everything of everybody, is not taken for the target's source."""
_LEAST_NUMBERS = 10
_LEAST_CORRELATION = 0.995
"""A number is made of another where their values or ranks are correlated at least so: whole years of an age in days."""
_COLUMNS = (
    "age_years",
    "patient_sex",
    "view_position",
    "laterality",
    "modality",
    "manufacturer",
    "manufacturer_model_name",
    "archive",
    "institution_key",
    "photometric_interpretation",
    "transfer_syntax_uid",
    "pixel_spacing_source",
    "burned_in_text",
    "study_year",
    "rows",
    "columns",
    "bits_stored",
    "pixel_spacing_mm",
)
"""Columns of images that a target may turn out to be made of: age, and those that the metadata null reads."""


def guessed(con: duckdb.DuckDBPyConnection, targets: Sequence[Target], values: pl.DataFrame) -> tuple[Target, ...]:
    """The targets, those without a `-- made of:` line with the columns that determine their `values`.

    `values` are rows of cohort_targets: image_key, target, value, label.
    """
    if all(each.made_of_from for each in targets):
        return tuple(targets)
    keys = values.select("image_key").unique().sort("image_key").head(_SAMPLE)
    con.register("asked_keys", keys.to_arrow())
    columns = ", ".join(f'images."{name}"' for name in _COLUMNS)
    rows = frame(
        con,
        f"select images.image_key, {columns} from images "
        f"inner join asked_keys on images.image_key = asked_keys.image_key::uuid",
    )
    con.unregister("asked_keys")
    return tuple(each if each.made_of_from else _guessed(each, rows, values) for each in targets)


def _guessed(target: Target, rows: pl.DataFrame, values: pl.DataFrame) -> Target:
    own = rows.join(values.filter(pl.col("target") == target.name), on="image_key")
    made_of = tuple(name for name in _COLUMNS if determines(own[name], target, own["value"], own["label"]))
    return replace(target, made_of=made_of, made_of_from="values")


def determines(column: pl.Series, target: Target, values: pl.Series, labels: pl.Series) -> bool:
    """Whether a column of the members tells their target: (n,) each; null is a level like others, but no number."""
    told = pl.DataFrame({"level": column, "value": values, "label": labels})
    classes = target.kind in ("binary", "group")
    told = told.drop_nulls("label" if classes else "value")
    if classes:
        return _determines_labels(told, target, numeric=column.dtype.is_numeric())
    if column.dtype.is_numeric():
        return _is_number_of(told.drop_nulls("level"))
    return False


def sentence(cohort: str, target: Target) -> str:
    """What MADE001 says of a target whose header line is missing."""
    if target.made_of_from == "values":
        guess = (
            f"by its values it is made of {', '.join(target.made_of)}, which the metadata null does not get"
            if target.made_of
            else "by its values no column determines it, so the metadata null gets all"
        )
    else:
        guess = "an earlier version froze this cohort, so nothing was looked at; freeze it again"
    return (
        f"{cohort}/{target.name}: the cohort's header does not say what it is made of; {guess}. Put '-- made of: "
        f"COLUMN' (columns of images, findings, or none) below its '-- target:' line."
    )


def _determines_labels(told: pl.DataFrame, target: Target, *, numeric: bool) -> bool:
    of_label = told["label"].value_counts()
    if of_label.height < max(2, len(target.classes)):
        return False
    if numeric and _in_ranges(told.drop_nulls("level"), of_label):
        return True
    pairs = told.group_by("level", "label").agg(pl.len().alias("members"))
    if pairs["level"].n_unique() < pairs.height:
        return False
    repeats = pairs.group_by("label").agg((pl.col("members") - 1).sum().alias("repeats"))
    return bool((repeats["repeats"] >= _LEAST_REPEATS).all())


def _in_ranges(told: pl.DataFrame, of_label: pl.DataFrame) -> bool:
    """Whether each label has one range of the column's numbers to itself, as the groups of an age have."""
    ends = told.group_by("label").agg(
        pl.col("level").min().alias("low"), pl.col("level").max().alias("high"), pl.len().alias("members")
    )
    ends = ends.sort("low")
    apart = (ends["high"].head(-1).to_numpy() < ends["low"].tail(-1).to_numpy()).all()
    return ends.height == of_label.height and bool(apart) and bool((ends["members"] > _LEAST_REPEATS).all())


def _is_number_of(told: pl.DataFrame) -> bool:
    if min(told["level"].n_unique(), told["value"].n_unique(), told.height) < _LEAST_NUMBERS:
        return False
    level, value = told["level"].cast(pl.Float64), told["value"]
    both = ((level, value), (level.rank(), value.rank()))
    found = [abs(np.corrcoef(a.to_numpy(), b.to_numpy())[0, 1]) for a, b in both]
    return max(found) >= _LEAST_CORRELATION
