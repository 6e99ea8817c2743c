"""One reader of tables for adapters, mappings and `link`: CSV of any kind, spreadsheets and Parquet as rows of text.

What the columns mean is for the caller to say, what a cell means for `cells`. No message holds a cell: it may be a
patient's.
"""

import codecs
import csv
import difflib
import fnmatch
import gzip
import io
import json
import os
import zlib
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import IO, BinaryIO

import numpy as np
import polars as pl

from xray_mining.archive.source import Source
from xray_mining.errors import UserError
from xray_mining.workspace import digest_of, write_frame, write_json

_VERSION = 1
"""Raised when a table would be read to other cells: kept ones are then read anew."""
_SEPARATORS = ",;\t|"
# Longest first: the mark of UTF-32 begins with that of UTF-16.
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
# Both are one letter a byte and lose nothing: other bytes never become the same text.
_FALLBACKS = ("cp1252", "latin-1")
_NAMES = {"cp1252": "Windows-1252", "latin-1": "Latin-1", "utf-16-le": "UTF-16", "utf-16-be": "UTF-16"}
_SPREADSHEETS = (".xlsx", ".xlsm", ".xls", ".xlsb", ".ods")
_ROWS_AT_ONCE = 50_000
# Smaller tables are read anew by each process.
_KEPT_FROM_ROWS = 50_000
# Of a kept table: a process that wants some rows has the groups in memory that they are in, one after the other.
GROUP_ROWS = 10_000
_NUMBER = "\x1frow"
"""A column that no table has: the row's number."""


@dataclass(frozen=True, slots=True)
class _File:
    """A table's file."""

    source: Source
    text: str

    @property
    def path(self) -> bytes:
        """Its path in the source."""
        return os.fsencode(self.text)

    @property
    def name(self) -> str:
        """The last part of its path."""
        return self.text.rsplit("/", 1)[-1]

    def __str__(self) -> str:
        return self.source.where(self.path)

    def open(self) -> BinaryIO:
        """Its content; raises OSError."""
        return self.source.open(self.path)


@dataclass(frozen=True, slots=True)
class Table:
    """The rows of a table as text, in memory or in a file where they were kept; see `read_table`."""

    lazy: pl.LazyFrame
    """Cells are stripped, and null where they are empty."""
    columns: tuple[str, ...]
    height: int
    broken: frozenset[int] = frozenset()
    """Rows with more cells than columns, or with quotes that do not match: nobody knows which cell is which."""
    notes: tuple[str, ...] = ()
    """What its owner should know of how it was read: a sentence each."""
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
        """Some rows by their numbers, from 0; the others are not kept in memory."""
        wanted = pl.Series(sorted(set(numbers)), dtype=pl.UInt32)
        if wanted.is_empty():
            return {}
        # By an index that is made while the file is read: only a filter by such lets go of each group of rows.
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
    """The table at a path of a source; UserError where it is not there or is no table.

    Args:
        source: The source that holds it.
        path: CSV (plain or gzip; separated by comma, semicolon, tab or bar), Parquet, or a spreadsheet's first sheet.
        header: Names in place of the first line's, for tables whose own first line cannot be split.
        encoding: Of a CSV; left out: by its byte order mark, else UTF-8, else Windows-1252 or Latin-1, with a note.
        kept: A private folder where another process may have kept it (`keep_table`).
    """
    file = _File(source, path)
    read_from = _state_of(file, header, encoding)
    if kept is not None and (found := _read_kept(kept, read_from)) is not None:
        return found
    name = file.name.lower()
    try:
        if name.endswith(".parquet"):
            with file.open() as opened:
                table = Table.of(_stripped(_as_text(pl.read_parquet(opened))))
        elif name.endswith(_SPREADSHEETS):
            table = _read_spreadsheet(file)
        else:
            table = _read_csv(file, header, encoding)
    except FileNotFoundError as error:
        raise UserError(f"{file}: the table is not there; check its name, in the mapping too") from error
    except (OSError, EOFError, zlib.error) as error:
        why = getattr(error, "strerror", None) or "it is damaged or cut off"
        raise UserError(f"{file}: the table cannot be read ({why}); check the path and its rights") from error
    except pl.exceptions.PolarsError as error:
        # Its words may hold cells.
        raise UserError(f"{file}: is no table of the kind that its name says; export it again as UTF-8 CSV") from error
    return replace(table, read_from=read_from)


def first_names(source: Source, path: str) -> list[str]:
    """The names in the first line of a CSV; none where it cannot be read: a glance, for adapters that recognise it."""
    file = _File(source, path)
    try:
        encoding = _encoding_of(file, None, glance=True)
        with _text(file, encoding) as opened:
            line = _first_line(opened)
            return [name.strip() for name in next(csv.reader([line], delimiter=_separator_of(line)), [])]
    except (OSError, EOFError, zlib.error, csv.Error, UserError, UnicodeError):
        return []


def need_columns(table: Table, wanted: Iterable[str], where: str) -> None:
    """UserError that names the first column that is not there, and the nearest that is."""
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
        # Without a line of names the first row's cells stand in their place: they are nobody's business.
        hint = (
            f"none of its {len(table.columns)} columns has a name that is asked for; its first line must hold the "
            f"columns' names"
        )
    return UserError(f"{where}: has no column '{name}'; {hint}")


def find_table(source: Source, name: str) -> str | None:
    """The table of this name, plain or gzip; None where there is none."""
    return next((each for each in (name, f"{name}.gz") if source.has_file(os.fsencode(each))), None)


def first_like(source: Source, patterns: Iterable[str]) -> str | None:
    """The first of the files in no folder whose name is like one of the patterns, tried in turn; None without any."""
    names = source.top()
    return next((name for pattern in patterns for name in fnmatch.filter(names, pattern)), None)


class Places:
    """The first row of each name: 16 bytes a row, where a dict of millions would take a gigabyte a process."""

    def __init__(self, names: pl.Series, broken: frozenset[int] = frozenset()) -> None:
        """Broken rows count only where no whole one has their name."""
        self._names = names
        rows = names.is_not_null().arg_true().to_numpy().astype(np.int64)
        late = np.isin(rows, np.fromiter(broken, np.int64, len(broken)))
        hashes = names.hash(seed=0).to_numpy()[rows]
        order = np.lexsort((rows, late, hashes))
        first = np.ones(len(order), bool)
        hashes, rows = hashes[order], rows[order]
        # Names of one hash are compared whole where they are asked for; rows of one name keep the first.
        same = hashes[1:] == hashes[:-1]
        if same.any():
            near = names.gather(rows)
            first[1:] = ~(same & (near[1:] == near[:-1]).fill_null(value=False).to_numpy())
        self._hashes, self._rows = hashes[first], rows[first]

    def __len__(self) -> int:
        return len(self._rows)

    def get(self, name: str | None) -> int | None:
        """The row of a name; None where no row has it."""
        return None if name is None else self.of([name])[name]

    def of(self, names: Iterable[str | None]) -> dict[str, int | None]:
        """The row of each of these names; None where no row has it."""
        asked = list(dict.fromkeys(name for name in names if name is not None))
        hashes = pl.Series(asked, dtype=pl.String).hash(seed=0).to_numpy()
        starts = np.searchsorted(self._hashes, hashes).tolist()
        return {name: self._at(start, name) for name, start in zip(asked, starts, strict=True)}

    def _at(self, start: int, name: str) -> int | None:
        """The row of a name among those of its hash, which are in one piece."""
        for at in range(start, len(self._hashes)):
            if self._hashes[at] != self._hashes[start]:
                break
            if self._names[int(self._rows[at])] == name:
                return int(self._rows[at])
        return None


@dataclass(frozen=True, slots=True)
class NamedRow:
    """A row that was found by a name."""

    cells: dict[str, str | None]
    broken: bool
    """It has more cells than there are columns, or quotes that do not match."""


class RowsByName:
    """The rows of a table by the names in one column, the first row of each: in memory are the names, and some rows."""

    def __init__(self, table: Table, names: pl.Series) -> None:
        """Broken rows count only where no whole one has their name."""
        self._table = table
        self._places = Places(names, table.broken)
        self._found: dict[str, NamedRow | None] = {}

    def __len__(self) -> int:
        return len(self._places)

    def prepare(self, names: Iterable[str | None]) -> None:
        """Read the rows of these names together; those of names before are forgotten."""
        self._found = self._read(names)

    def _read(self, names: Iterable[str | None]) -> dict[str, NamedRow | None]:
        places = self._places.of(names)
        rows = self._table.rows(place for place in places.values() if place is not None)
        return {
            name: None if place is None else NamedRow(rows[place], place in self._table.broken)
            for name, place in places.items()
        }

    def get(self, name: str | None) -> NamedRow | None:
        """The row of a name; None where no row has it."""
        if name is None:
            return None
        if name not in self._found:
            self._found |= self._read([name])
        return self._found[name]


def _read_csv(file: _File, header: list[str] | None, encoding: str | None) -> Table:
    used = _encoding_of(file, encoding)
    with _text(file, used) as opened:
        line = _first_line(opened)
    separator = _separator_of(line)
    rows = _Rows(file, used, separator)
    own = next(iter(rows), None)
    if own is None or not any(cell.strip() for cell in own):
        raise UserError(f"{file}: the table is empty; it must have a line of column names")
    names = header or _distinct([name.strip() for name in own])
    width = len(names)
    frames, broken, short, height = [], set(), 0, 0
    while batch := list(islice(rows, _ROWS_AT_ONCE)):
        cells = []
        for row in batch:
            if len(row) > width and any(cell.strip() for cell in row[width:]):
                broken.add(height)
            elif len(row) < width:
                short += 1
            cells.append((row + [""] * width)[:width])
            height += 1
        frames.append(_stripped(pl.DataFrame(cells, schema=dict.fromkeys(names, pl.String), orient="row")))
    broken |= {each - 1 for each in rows.unmatched if each > 0}
    frame = pl.concat(frames, rechunk=True) if frames else pl.DataFrame(schema=dict.fromkeys(names, pl.String))
    notes = []
    if encoding is None and used in _NAMES:
        notes.append(
            f"{file.name}: is not in UTF-8 and was read as {_NAMES[used]}; if letters are wrong, say 'encoding'"
        )
    if broken:
        notes.append(
            f"{file.name}: {_counted(len(broken), 'row')} with more cells than columns, or quotes that do not match"
        )
    if short:
        notes.append(
            f"{file.name}: {_counted(short, 'row')} with fewer cells than columns; the rest was taken as empty"
        )
    return Table.of(frame, broken, notes)


def _counted(count: int, one: str) -> str:
    return f"{count:,} {one}" if count == 1 else f"{count:,} {one}s"


class _Rows(Iterator[list[str]]):
    """The rows of a CSV without blank lines. Quotes that do not match cost the rows that they are in, not the rest."""

    def __init__(self, file: _File, encoding: str, separator: str) -> None:
        self.unmatched: set[int] = set()
        """Rows (the header is 0) with quotes that do not match."""
        self._separator = separator
        self._lines: list[str] = []
        """Of the row that is being read."""
        self._count = 0
        self._rows = self._read(file, encoding)

    def __next__(self) -> list[str]:
        return next(self._rows)

    def _read(self, file: _File, encoding: str) -> Iterator[list[str]]:
        with _text(file, encoding) as opened:
            reader = self._reader(opened)
            while True:
                self._lines.clear()
                try:
                    row = next(reader, None)
                except csv.Error:
                    # A quote that is not closed for so long is none.
                    yield from self._line_by_line()
                    reader = self._reader(opened)
                    continue
                if row is None:
                    return
                if (len(self._lines) > 1 or self._left_open()) and not self._well_quoted():
                    yield from self._line_by_line()
                elif row:
                    self._count += 1
                    yield row

    def _reader(self, file: IO[str]) -> "Iterator[list[str]]":
        return csv.reader(self._noted(file), delimiter=self._separator)

    def _noted(self, file: IO[str]) -> Generator[str]:
        first = not self._count
        for line in file:
            if first and line.lower().startswith("sep=") and len(line.strip()) == 5:
                first = False
                continue
            first = False
            self._lines.append(line)
            yield line

    def _left_open(self) -> bool:
        return any(line.count('"') % 2 for line in self._lines)

    def _well_quoted(self) -> bool:
        try:
            list(csv.reader(self._lines, delimiter=self._separator, strict=True))
        except csv.Error as error:
            # In one line letters after a closed quote do no harm.
            return len(self._lines) == 1 and "end of data" not in str(error)
        return True

    def _line_by_line(self) -> Iterator[list[str]]:
        """The lines that a wrong quote joined, each as a row of its own; those with the wrong quotes are noted."""
        for line in list(self._lines):
            try:
                row = next(csv.reader([line], delimiter=self._separator, strict=True), [])
            except csv.Error:
                row = line.rstrip("\r\n").split(self._separator)
                self.unmatched.add(self._count)
            if row:
                self._count += 1
                yield row


@contextmanager
def _text(file: _File, encoding: str) -> Generator[IO[str]]:
    """A CSV as text, line ends of any kind as newlines."""
    with _content(file) as content, io.TextIOWrapper(content, encoding, newline=None) as opened:
        yield opened


@contextmanager
def _content(file: _File) -> Generator[gzip.GzipFile | BinaryIO]:
    """The bytes of a file, unpacked where it is gzip."""
    with file.open() as raw:
        packed = raw.read(2) == b"\x1f\x8b"
        raw.seek(0)
        yield gzip.GzipFile(fileobj=raw) if packed else raw


def _first_line(file: IO[str]) -> str:
    line = file.readline(1 << 20)
    return file.readline(1 << 20) if line.lower().startswith("sep=") and len(line.strip()) == 5 else line


def _separator_of(line: str) -> str:
    """The one that splits the line of names into most, quoted ones left whole."""

    def columns(separator: str) -> int:
        try:
            return len(next(csv.reader([line], delimiter=separator), []))
        except csv.Error:
            # Longer than any name of a column: the file is no table, and says so where columns are asked for.
            return 1

    return max(_SEPARATORS, key=columns)


def _encoding_of(file: _File, stated: str | None, glance: bool = False) -> str:
    """The encoding that the whole text can be read in without loss; UserError where the stated one is not it."""
    with _content(file) as content:
        start = content.read(1 << 16)
        guessed = stated or next((name for mark, name in _MARKS if start.startswith(mark)), None) or _by_zeros(start)
        candidates = [guessed] if guessed else ["utf-8", *_FALLBACKS]
        decoders = {name: _decoder(file, name) for name in candidates}
        while start:
            for name in list(decoders):
                try:
                    decoders[name].decode(start, final=False)
                except UnicodeError:
                    del decoders[name]
            if glance or not decoders:
                break
            start = content.read(1 << 20)
        for name in list(decoders):
            try:
                if not glance:
                    decoders[name].decode(b"", final=True)
            except UnicodeError:
                del decoders[name]
    if not decoders:
        raise UserError(f"{file}: is not text in {guessed}; name its encoding as 'encoding: …' in the mapping")
    return next(iter(decoders))


def _decoder(file: _File, name: str) -> codecs.IncrementalDecoder:
    try:
        return codecs.getincrementaldecoder(name)("strict")
    except LookupError as error:
        raise UserError(
            f"{file}: the encoding '{name}' is unknown; known are utf-8, cp1252, latin-1 and so on"
        ) from error


def _by_zeros(start: bytes) -> str | None:
    """UTF-16 without a mark: every other byte of plain letters is 0."""
    even, odd = start[0:400:2], start[1:400:2]
    if len(odd) > 4 and odd.count(0) > 0.8 * len(odd) and not even.count(0):
        return "utf-16-le"
    if len(even) > 4 and even.count(0) > 0.8 * len(even) and not odd.count(0):
        return "utf-16-be"
    return None


def _read_spreadsheet(file: _File) -> Table:
    """The first sheet, numbers and dates as the texts that stand for them."""
    content = file.source.read(file.path)
    try:
        import fastexcel
    except ModuleNotFoundError as error:
        raise UserError(f"{file.name}: Excel needs the extra 'excel'; pip install 'xray-mining[excel]'") from error
    try:
        book = fastexcel.read_excel(content)
        frame = book.load_sheet(0, dtypes="string").to_polars()
    except fastexcel.FastExcelError as error:
        raise UserError(f"{file}: is no spreadsheet that can be read; save it again, or as UTF-8 CSV") from error
    names = _distinct([name.strip() for name in frame.columns])
    table = _stripped(frame.rename(dict(zip(frame.columns, names, strict=True))).cast(pl.String))
    sheets = len(book.sheet_names)
    notes = (f"{file.name}: has {sheets} sheets; the first was read",) if sheets > 1 else ()
    return Table.of(table.filter(~pl.all_horizontal(pl.all().is_null())), notes=notes)


def _as_text(frame: pl.DataFrame) -> pl.DataFrame:
    """Typed columns as text; whole numbers that come as floats, as a column with gaps has them, without a point."""
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


def _stripped(frame: pl.DataFrame) -> pl.DataFrame:
    stripped = pl.all().str.strip_chars()
    return frame.with_columns(stripped).with_columns(pl.when(pl.all() == "").then(None).otherwise(pl.all()).name.keep())


def _distinct(names: list[str]) -> list[str]:
    seen: dict[str, int] = {}
    found: list[str] = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        new = name if seen[name] == 1 else f"{name}_{seen[name]}"
        while new in found:
            seen[name] += 1
            new = f"{name}_{seen[name]}"
        found.append(new)
    return found


def _state_of(file: _File, header: list[str] | None, encoding: str | None) -> str:
    """Digest of a table's state and of how it is read; empty where there is no table."""
    status = file.source.status(file.path)
    if status is None:
        return ""
    name = [file.source.address, os.fsdecode(file.path)]
    return digest_of([*name, status.numbers(), header, encoding, _VERSION, GROUP_ROWS, pl.__version__])


def keep_table(table: Table, folder: Path) -> tuple[Table, set[Path]]:
    """Keep a large table in a private folder; gives it as it lies there, and the files that it is kept in."""
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
        # Written last: where it is there, the rows are.
        raw = json.loads((folder / f"{read_from}.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if not path.is_file():
        return None
    columns, broken, notes = tuple(raw["columns"]), frozenset(raw["broken"]), tuple(raw["notes"])
    return Table(pl.scan_parquet(path), columns, raw["height"], broken, notes, read_from)
