"""Guess the columns that a target is computed from if the cohort's header does not declare them.

The guess uses the values only, never the target's name or unit.
"""

from collections.abc import Sequence
from dataclasses import replace

import duckdb
import polars as pl

from xray_mining.catalog.connection import frame
from xray_mining.catalog.targets import TARGETS
from xray_mining.records.cohort import Target

_SAMPLE = 20_000
"""Number of members whose values are compared: the first by key, which is a random sample because keys are digests."""
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
"""Columns of images that are tested as sources of a target: age, and those that the metadata null reads."""


def guessed(con: duckdb.DuckDBPyConnection, targets: Sequence[Target], values: pl.DataFrame) -> tuple[Target, ...]:
    """Add the columns that determine a target's values to each target without a `-- made of:` line.

    Args:
        con: A connection to the catalog.
        targets: The cohort's targets.
        values: Rows of cohort_targets: image_key, target, value, label.
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
    """Whether a column determines the target of the members; (n,) series. Null is one more level, but not a number."""
    return TARGETS.find(target.kind).determined_by(column, target, values, labels)


def sentence(cohort: str, target: Target) -> str:
    """The sentence of MADE001 for a target without a `-- made of:` line."""
    if target.made_of_from == "values":
        guess = (
            f"by its values it is made of {', '.join(target.made_of)}, which the metadata null does not get"
            if target.made_of
            else "by its values no column determines it, so the metadata null gets all columns"
        )
    else:
        guess = "an earlier version froze this cohort without comparing values; freeze it again"
    return (
        f"{cohort}/{target.name}: the cohort's header does not say what it is made of; {guess}. Put '-- made of: "
        f"COLUMN' (columns of images, findings, or none) below its '-- target:' line."
    )
