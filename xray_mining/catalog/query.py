"""Run SQL files and users' queries with bound parameters; results are polars frames, keys are text."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import duckdb
import polars as pl

from xray_mining.catalog.connection import connect, frame, guarded, reads_results
from xray_mining.catalog.guard import one_select
from xray_mining.catalog.header import queries, read_header
from xray_mining.catalog.shown import column_list, shown, table_list
from xray_mining.errors import UserError, unknown_name
from xray_mining.workspace import Workspace, asset, read_text


def select(workspace: Workspace, name: str, **parameters: Any) -> pl.DataFrame:
    """Rows of sql/NAME.sql, such as "reports/members"; missing parameters take the header's defaults."""
    with connect(workspace, results=reads_results(shipped(name).read_text(encoding="utf-8"))) as con:
        return run_file(con, name, parameters)


def run_file(con: duckdb.DuckDBPyConnection, name: str, parameters: Mapping[str, Any]) -> pl.DataFrame:
    """Like `select`, on an open connection."""
    text = shipped(name).read_text(encoding="utf-8")
    values = read_header(text, f"sql/{name}.sql").values(parameters, f"sql/{name}.sql")
    return frame(con, text, values, f"sql/{name}.sql")


def shipped(name: str) -> Path:
    """The path of a shipped SQL file by a name like "reports/members"; UserError suggests the nearest name."""
    folder, _, stem = name.rpartition("/")
    known = queries(asset("sql") / folder) if re.fullmatch(r"[a-z]+", folder) else {}
    if stem not in known:
        raise unknown_name("sql", name, [f"{folder}/{each}" for each in known])
    return known[stem]


def known_tables(con: duckdb.DuckDBPyConnection) -> set[str]:
    """Tables and views that a query may name."""
    rows = con.execute(
        "select view_name from duckdb_views() where database_name = 'memory' and not internal "
        "union select table_name from duckdb_tables() where database_name in ('memory', 'temp')"
    ).fetchall()
    return {name.lower() for (name,) in rows}


def sql(
    workspace: Workspace, query: str, parameters: Mapping[str, Any] | None = None, seconds: float | None = 300.0
) -> pl.DataFrame:
    """Run one SELECT of a user, or of an SQL file, on the guarded connection.

    Args:
        workspace: The workspace; new parts are merged first.
        query: The SELECT, or the path of a file that ends in .sql.
        parameters: Values for `$name` in the query; text that reads as a number is bound as a number.
        seconds: Time limit; None for no limit.

    Returns:
        The rows; keys are text.

    Raises:
        UserError: If the query is invalid, not one SELECT, or uses a table or function that is not allowed.
        CannotFinish: If it takes longer than `seconds`, or the result is too large.

    Example:
        >>> sql(workspace, "select count(*) as n from images where age_years > $age", {"age": 200})["n"][0]
        0
    """
    text, where = query, "query"
    if query.strip().endswith(".sql") and "\n" not in query.strip():
        path = Path(query.strip())
        if not path.is_file():
            raise UserError(f"{query}: the file is missing; name an SQL file, or write the query itself")
        text, where = read_text(path), path.name
    values = dict(parameters or {})
    if text.lstrip().startswith("-- question:"):
        values = read_header(text, where).values(values, where)
    with guarded(workspace, seconds, results=reads_results(text)) as con:
        known = known_tables(con)
        words = shown(con, text, where, known)
        if words is not None:
            return words
        one_select(text, where, known)
        return frame(con, text, {name: _value(value) for name, value in values.items()}, where)


def tables(workspace: Workspace, name: str = "") -> pl.DataFrame:
    """List tables and views, or with a `name` the columns of one with type, unit and meaning.

    Args:
        workspace: The workspace; new parts are merged first.
        name: A table or view; an empty text lists all.

    Returns:
        Columns table, columns, one_row; or column, type, unit, meaning.

    Raises:
        UserError: If the table is unknown.

    Example:
        >>> tables(workspace, "images")["column"][0]
        'image_key'
    """
    with guarded(workspace) as con:
        known = known_tables(con)
        return column_list(con, name, "--tables", known) if name else table_list(con, known)


def _value(value: Any) -> Any:
    """Convert text that reads as a number, so that `--param oldest=70` compares with a number."""
    if not isinstance(value, str):
        return value
    for kind in (int, float):
        try:
            return kind(value)
        except ValueError:
            continue
    return value
