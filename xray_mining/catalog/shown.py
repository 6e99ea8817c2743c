"""SHOW, DESCRIBE and `sql --tables`: lists of tables and columns, with their meaning."""

import re

import duckdb
import polars as pl

from xray_mining.catalog.connection import frame
from xray_mining.catalog.guard import one_select
from xray_mining.catalog.header import queries, read_header
from xray_mining.catalog.merge import column_type
from xray_mining.errors import UserError, unknown_name
from xray_mining.records.record import Record
from xray_mining.records.tables import ALL
from xray_mining.workspace import asset

_COMMENTS = re.compile(r"\A(?:\s|--[^\n]*(?:\n|\Z)|/\*.*?\*/)+", re.DOTALL)
_ASKS = re.compile(r"(show|describe|desc|summarize)\b\s*(.*)", re.IGNORECASE | re.DOTALL)
_TABLES = re.compile(r"(all\s+)?(tables|views)", re.IGNORECASE)
_TABLE = re.compile(r"""(?:table\s+|columns\s+(?:from|in)\s+)?("[^"]*"|'[^']*'|[^\s"'();]+)""", re.IGNORECASE)
_QUERY = re.compile(r"[\s(]*(select|with|from)\b", re.IGNORECASE)
# The attached files have the same tables again, under other database names.
_VISIBLE = "database_name in ('memory', 'temp')"
# Tables that merge computes from others, so that no record describes them.
_MADE = {"near_duplicate_groups": "one image of a group of near-duplicates"}


def shown(con: duckdb.DuckDBPyConnection, text: str, where: str, tables: set[str]) -> pl.DataFrame | None:
    """The answer to SHOW TABLES, DESCRIBE TABLE or DESCRIBE SELECT …; None if the text is another query.

    UserError for other uses of these words, such as SUMMARIZE.
    """
    asked = _ASKS.fullmatch(_COMMENTS.sub("", text).strip().rstrip(";").strip())
    if asked is None:
        return None
    word, rest = asked[1].lower(), asked[2].strip()
    if word != "summarize":
        if not rest or _TABLES.fullmatch(rest):
            return table_list(con, tables)
        if _QUERY.match(rest) and word != "show":
            return _columns_of_query(con, rest, where, tables)
        named = _TABLE.fullmatch(rest)
        if named:
            return column_list(con, named[1].strip("\"'"), where, tables)
    raise UserError(
        f"{where}: this form of '{word}' is not allowed; write SHOW TABLES, DESCRIBE TABLE, DESCRIBE SELECT … or one "
        f"SELECT"
    )


def table_list(con: duckdb.DuckDBPyConnection, tables: set[str]) -> pl.DataFrame:
    """Tables and views, each with the meaning of one row."""
    words = {record.table: record.question for record in ALL} | _MADE
    for name, path in queries(asset("sql/schema")).items():
        words[name] = read_header(path.read_text(encoding="utf-8"), path.name).one_row
    kinds = dict(
        con.execute(
            f"select table_name, count(*) from duckdb_columns() where {_VISIBLE} group by table_name"
        ).fetchall()
    )
    order = [*words, *sorted(tables - set(words))]
    rows = [(name, kinds.get(name), words.get(name, "")) for name in order if name in tables]
    return pl.DataFrame(rows, schema={"table": pl.String, "columns": pl.Int64, "one_row": pl.String}, orient="row")


def column_list(con: duckdb.DuckDBPyConnection, table: str, where: str, tables: set[str]) -> pl.DataFrame:
    """The columns of a table or view, with type, unit and meaning."""
    if table.lower() not in tables:
        raise unknown_name(f"{where}, tables", table[:80], tables)
    found = con.execute(
        f"select column_name, data_type from duckdb_columns() where table_name = ? and {_VISIBLE} "
        "order by column_index",
        [table.lower()],
    ).fetchall()
    return _in_words(found, [table.lower()])


def _columns_of_query(con: duckdb.DuckDBPyConnection, text: str, where: str, tables: set[str]) -> pl.DataFrame:
    query = text
    while query.startswith("(") and query.endswith(")"):
        query = query[1:-1].strip()
    one_select(query, where, tables)
    # Reads no row; an invalid query raises the same errors as any other query.
    frame(con, f"select * from ({query}\n) limit 0", where=where)
    relation = con.sql(query)
    words = {each.lower() for each in re.findall(r"\w+", query)}
    return _in_words(
        list(zip(relation.columns, map(str, relation.types), strict=True)), [each for each in tables if each in words]
    )


def _in_words(columns: list[tuple[str, str]], tables: list[str]) -> pl.DataFrame:
    """Names and types with unit and meaning, from the records of these tables, else from any with such a column."""
    used = _with_tables_of_views(tables)
    records = sorted(ALL, key=lambda record: record.table not in used)
    rows = []
    for name, kind in columns:
        record = next((each for each in records if name in each.columns()), None)
        unit, meaning = _unit_and_meaning(record, name) if record is not None else ("", "")
        same = record is None or column_type(record, name) == kind.lower()
        rows.append((name, kind.lower(), unit if same else "", meaning if same else ""))
    names = ("column", "type", "unit", "meaning")
    return pl.DataFrame(rows, schema=dict.fromkeys(names, pl.String), orient="row")


def _with_tables_of_views(tables: list[str]) -> set[str]:
    """The given names, and the names of the tables that views among them select from."""
    views = queries(asset("sql/schema"))
    found, waiting = set(tables), list(tables)
    while waiting:
        path = views.get(waiting.pop())
        text = path.read_text(encoding="utf-8") if path is not None else ""
        new = set(re.findall(r"^\s*(?:from|(?:\w+ )?join) (\w+)", text, re.MULTILINE)) - found
        found |= new
        waiting += new
    return found


def _unit_and_meaning(record: type[Record], name: str) -> tuple[str, str]:
    column = record.columns()[name]
    metadata = column.metadata or {}
    words = f" ({', '.join(metadata['allowed'])})" if metadata.get("allowed") else ""
    return str(metadata.get("unit") or ""), f"{column.description or ''}{words}"
