"""Functions that kinds of target share: read a column of the last SELECT, and `positive='…'` of a header line."""

from collections.abc import Sequence

import polars as pl

from xray_mining.catalog.targets import Frozen, Unusable
from xray_mining.errors import UserError, unknown_name
from xray_mining.records.cohort import KEY_COLUMNS, Target

_SCHEMA = {"image_key": pl.String, "target": pl.String, "value": pl.Float64, "label": pl.String}


def refuse_positive(name: str, words: str, where: str) -> str:
    """The unit of a header line; UserError if the line declares a positive label."""
    if words.startswith("positive='"):
        raise UserError(f"{where}: target '{name}' must say positive='…' if, and only if, it is binary")
    return words.strip()


def column_of(chosen: pl.DataFrame, target: Target, where: str) -> pl.Series:
    """The target's column; UserError if it is missing, Unusable if no member has a value."""
    if target.name not in chosen.columns:
        raise UserError(
            f"{where}: target '{target.name}' is not a column of its last SELECT; "
            + str(unknown_name("columns", target.name, chosen.columns))
        )
    column = chosen[target.name]
    if column.null_count() == len(column):
        raise Unusable(f"target '{target.name}' is null for every member")
    return column


def wrong_type(column: pl.Series, target: Target, where: str) -> UserError:
    """The error for a column whose type does not fit the declared kind."""
    return UserError(
        f"{where}: target '{target.name}' is declared {target.kind}, but its column is {str(column.dtype).lower()}; "
        f"cast it in the last SELECT, or declare another kind"
    )


def numbers_of(chosen: pl.DataFrame, target: Target, where: str) -> pl.Series:
    """The target's column as finite numbers, float64 with nulls."""
    column = column_of(chosen, target, where)
    if not column.dtype.is_numeric():
        raise wrong_type(column, target, where)
    values = column.cast(pl.Float64)
    if values.is_nan().any() or values.is_infinite().any():
        raise Unusable(f"target '{target.name}' is not finite for every member")
    return values


def labels_of(chosen: pl.DataFrame, target: Target, where: str) -> tuple[pl.Series, list[str]]:
    """The target's column as text with nulls, and the labels that occur, sorted."""
    column = column_of(chosen, target, where)
    if column.dtype != pl.String:
        raise wrong_type(column, target, where)
    return column, sorted(column.drop_nulls().unique().to_list())


def refuse_one_label(target: Target, found: Sequence[str]) -> None:
    """Unusable if all members have the same label."""
    if len(found) < 2:
        raise Unusable(f"target '{target.name}' has one label only, '{found[0]}'")


def refuse_names(target: Target) -> None:
    """Unusable if a class has no name, or the name of a column that names a row.

    Predictions have the empty class for what is no class, and tables with a column for each class have a column of keys
    too.
    """
    for name in target.classes:
        if not name.strip():
            raise Unusable(f"target '{target.name}' has a class without a name; give it one, or make it null")
        if name in KEY_COLUMNS:
            raise Unusable(f"target '{target.name}' has a class named '{name}', as a column of keys; rename the class")


def frozen_rows(
    chosen: pl.DataFrame, target: Target, values: pl.Series | list[float | None], labels: pl.Series | None = None
) -> Frozen:
    """A row of CohortTargets for each member."""
    rows = {
        "image_key": chosen["image_key"],
        "target": [target.name] * chosen.height,
        "value": values,
        "label": [None] * chosen.height if labels is None else labels,
    }
    return Frozen(target, pl.DataFrame(rows, schema=_SCHEMA))


def places_of(labels: pl.Series, classes: Sequence[str]) -> list[float | None]:
    """The position of each label among the classes; null where it is null."""
    return [classes.index(label) if label is not None else None for label in labels]
