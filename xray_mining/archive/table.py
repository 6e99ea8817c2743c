"""Reads all tables, for adapters, mappings and `link`: CSV of any kind, spreadsheets and Parquet, as rows of text.

Callers know what the columns mean; `cells` reads single cells. No message contains a cell, because it may identify a
patient.
"""

import difflib
import fnmatch
import json
import os
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl

from xray_mining.archive.csv_file import TableFile, distinct, read_csv, stripped
from xray_mining.archive.source import Source
from xray_mining.errors import UserError
from xray_mining.workspace import digest_of, write_frame, write_json

_VERSION = 1
"""Increased when a table would be read to other cells; kept tables are then read again."""
_SPREADSHEETS = (".xlsx", ".xlsm", ".xls", ".xlsb", ".ods")
# Smaller tables are read again by each process.
_KEPT_FROM_ROWS = 50_000
# Rows per group of a kept table: a process that needs some rows loads one group after the other.
GROUP_ROWS = 10_000
_NUMBER = "\x1frow"
"""Name of the added column with the row's number; no table has it."""


@dataclass(frozen=True, slots=True)
class Table:
    """The rows of a table as text, in memory or in a kept file; see `read_table`."""

    lazy: pl.LazyFrame
    """Cells are stripped; empty ones are null."""
    columns: tuple[str, ...]
    height: int
    broken: frozenset[int] = frozenset()
    """Rows with more cells than columns, or with unmatched quotes: their cells cannot be assigned to columns."""
    notes: tuple[str, ...] = ()
    """Remarks for the owner on how it was read, one sentence each."""
    read_from: str = ""
    """Digest of the file's state and of how it was read."""

    @classmethod
    def of(cls, frame: pl.DataFrame, broken: Iterable[int] = (), notes: Iterable[str] = ()) -> "Table":
        """From rows in memory."""
        return cls(frame.lazy(), tuple(frame.columns), frame.height, frozenset(broken), tuple(notes))

    @property
    def frame(self) -> pl.DataFrame:
        """All rows, in memory."""
        return self.lazy.collect()

    def column(self, name: str) -> pl.Series:
        """One column, in memory."""
        return self.lazy.select(name).collect()[name]

    def rows(self, numbers: Iterable[int]) -> dict[int, dict[str, str | None]]:
        """Some rows by their numbers, from 0; other rows are not kept in memory."""
        wanted = pl.Series(sorted(set(numbers)), dtype=pl.UInt32)
        if wanted.is_empty():
            return {}
        # Filter by an index made while reading: only then polars frees each group of rows.
        numbered = self.lazy.with_row_index(_NUMBER)
        found = numbered.filter(pl.col(_NUMBER).cast(pl.UInt32).is_in(wanted.implode())).drop(_NUMBER).collect()
        return dict(zip(wanted, found.iter_rows(named=True), strict=True))


def read_table(
    source: Source,
    path: str,
    header: list[str] | None = None,
    encoding: str | None = None,
    kept: Path | None = None,
) -> Table:
    """Read the table at a path of a source.

    Args:
        source: The source that holds it.
        path: CSV (plain or gzip; separated by comma, semicolon, tab or bar), Parquet, or a spreadsheet's first sheet.
        header: Names that replace the first line, for tables whose first line cannot be split.
        encoding: Of a CSV; left out: from its byte order mark, else UTF-8, else Windows-1252 or Latin-1, with a
            note.
        kept: A private folder in which another process may have kept it (`keep_table`).

    Raises:
        UserError: If the file is missing or cannot be read as a table.
    """
    file = TableFile(source, path)
    read_from = _state_of(file, header, encoding)
    if kept is not None and (found := _read_kept(kept, read_from)) is not None:
        return found
    name = file.name.lower()
    try:
        if name.endswith(".parquet"):
            with file.open() as opened:
                table = Table.of(stripped(_as_text(pl.read_parquet(opened))))
        elif name.endswith(_SPREADSHEETS):
            table = _read_spreadsheet(file)
        else:
            table = Table.of(*read_csv(file, header, encoding))
    except FileNotFoundError as error:
        raise UserError(f"{file}: the table is missing; check its name, in the mapping too") from error
    except (OSError, EOFError, zlib.error) as error:
        why = getattr(error, "strerror", None) or "it is damaged or cut off"
        raise UserError(f"{file}: the table cannot be read ({why}); check the path and its access rights") from error
    except pl.exceptions.PolarsError as error:
        # The error's text may contain cells.
        raise UserError(f"{file}: is not a table of the type in its suffix; export it again as UTF-8 CSV") from error
    return replace(table, read_from=read_from)


def need_columns(table: Table, wanted: Iterable[str], where: str) -> None:
    """The error for the first missing column, with the nearest existing name."""
    wanted = list(dict.fromkeys(wanted))
    for name in wanted:
        if name not in table.columns:
            raise _no_column(table, name, where, any(each in table.columns for each in wanted))


def _no_column(table: Table, name: str, where: str, others: bool) -> UserError:
    close = difflib.get_close_matches(name, table.columns, n=1)
    if close:
        hint = f"did you mean '{close[0]}'?"
    elif others:
        hint = f"it has {', '.join(table.columns[:12])}" + (", …" if len(table.columns) > 12 else "")
    else:
        # Without a line of names the first row's cells are in its place, and may identify a patient: do not print them.
        hint = (
            f"none of its {len(table.columns)} columns has a needed name; its first line must hold the columns' names"
        )
    return UserError(f"{where}: has no column '{name}'; {hint}")


def find_table(source: Source, name: str) -> str | None:
    """The table of this name, plain or gzip; None if there is none."""
    return next((each for each in (name, f"{name}.gz") if source.has_file(os.fsencode(each))), None)


def first_like(source: Source, patterns: Iterable[str]) -> str | None:
    """The first file of the top folder whose name matches one of the patterns, tried in turn; None if there is none."""
    names = source.top()
    return next((name for pattern in patterns for name in fnmatch.filter(names, pattern)), None)


def _read_spreadsheet(file: TableFile) -> Table:
    """The first sheet, with numbers and dates as texts."""
    content = file.source.read(file.path)
    try:
        import fastexcel
    except ModuleNotFoundError as error:
        raise UserError(f"{file.name}: Excel needs the extra 'excel'; pip install 'xray-mining[excel]'") from error
    try:
        book = fastexcel.read_excel(content)
        frame = book.load_sheet(0, dtypes="string").to_polars()
    except fastexcel.FastExcelError as error:
        raise UserError(f"{file}: cannot be read as a spreadsheet; save it again, or as UTF-8 CSV") from error
    names = distinct([name.strip() for name in frame.columns])
    table = stripped(frame.rename(dict(zip(frame.columns, names, strict=True))).cast(pl.String))
    sheets = len(book.sheet_names)
    notes = (f"{file.name}: has {sheets} sheets; the first was read",) if sheets > 1 else ()
    return Table.of(table.filter(~pl.all_horizontal(pl.all().is_null())), notes=notes)


def _as_text(frame: pl.DataFrame) -> pl.DataFrame:
    """Typed columns as text; whole numbers stored as floats (a column with missing cells has them) get no point."""
    columns = []
    for name, dtype in frame.schema.items():
        column = pl.col(name)
        if dtype.is_float():
            whole = column.is_finite() & (column == column.floor()) & (column.abs() < 2**53)
            columns.append(
                pl.when(whole)
                .then(column.cast(pl.Int64, strict=False).cast(pl.String))
                .otherwise(column.cast(pl.Float64).cast(pl.String))
                .alias(name)
            )
        elif dtype.is_nested() or dtype == pl.Binary:
            columns.append(pl.lit(None, pl.String).alias(name))
        else:
            columns.append(column.cast(pl.String))
    return frame.select(columns)


def _state_of(file: TableFile, header: list[str] | None, encoding: str | None) -> str:
    """Digest of a table's state and of how it is read; empty if the table does not exist."""
    status = file.source.status(file.path)
    if status is None:
        return ""
    name = [file.source.address, os.fsdecode(file.path)]
    return digest_of([*name, status.numbers(), header, encoding, _VERSION, GROUP_ROWS, pl.__version__])


def keep_table(table: Table, folder: Path) -> tuple[Table, set[Path]]:
    """Keep a large table in a private folder; returns the kept table and the files that hold it."""
    if table.height < _KEPT_FROM_ROWS or not table.read_from:
        return table, set()
    files = {folder / f"{table.read_from}.{ending}" for ending in ("parquet", "json")}
    found = _read_kept(folder, table.read_from)
    if found is None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_frame(table.frame, folder / f"{table.read_from}.parquet", group_rows=GROUP_ROWS)
        about = {"broken": sorted(table.broken), "notes": table.notes, "height": table.height}
        write_json(about | {"columns": table.columns}, folder / f"{table.read_from}.json")
        found = _read_kept(folder, table.read_from)
    return (found or table), files


def _read_kept(folder: Path, read_from: str) -> Table | None:
    path = folder / f"{read_from}.parquet"
    try:
        # Written last: if this file exists, the rows exist too.
        raw = json.loads((folder / f"{read_from}.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if not path.is_file():
        return None
    columns, broken, notes = tuple(raw["columns"]), frozenset(raw["broken"]), tuple(raw["notes"])
    return Table(pl.scan_parquet(path), columns, raw["height"], broken, notes, read_from)
