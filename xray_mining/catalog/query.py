"""SQL files and users' queries with bound parameters → polars frames; keys come back as text."""

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
    """Rows of sql/NAME.sql, as "reports/members"; parameters that are not given take the header's defaults."""
    with connect(workspace, results=reads_results(shipped(name).read_text(encoding="utf-8"))) as con:
        return run_file(con, name, parameters)


def run_file(con: duckdb.DuckDBPyConnection, name: str, parameters: Mapping[str, Any]) -> pl.DataFrame:
    """The same on an open connection."""
    text = shipped(name).read_text(encoding="utf-8")
    values = read_header(text, f"sql/{name}.sql").values(parameters, f"sql/{name}.sql")
    return frame(con, text, values, f"sql/{name}.sql")


def shipped(name: str) -> Path:
    """The file of sql/ with a name like "reports/members"; UserError that names the nearest."""
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
    """Rows of a user's query, or of an SQL file named by its path: one SELECT, on the guarded connection."""
    text, where = query, "query"
    if query.strip().endswith(".sql") and "\n" not in query.strip():
        path = Path(query.strip())
        if not path.is_file():
            raise UserError(f"{query}: is not there; name an SQL file, or write the query itself")
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
    """Tables and views with what one row is; the columns of one with type, unit and meaning."""
    with guarded(workspace) as con:
        known = known_tables(con)
        return column_list(con, name, "--tables", known) if name else table_list(con, known)


def _value(value: Any) -> Any:
    """Text that reads as a number is bound as one, so that `--param oldest=70` compares with a number."""
    if not isinstance(value, str):
        return value
    for kind in (int, float):
        try:
            return kind(value)
        except ValueError:
            continue
    return value
