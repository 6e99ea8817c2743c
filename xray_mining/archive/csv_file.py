"""CSV files of any encoding, separator and way of quoting, as rows of text."""

import codecs
import csv
import gzip
import io
import os
import zlib
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import IO, BinaryIO

import polars as pl

from xray_mining.archive.source import Source, SourceLost
from xray_mining.errors import UserError

_SEPARATORS = ",;\t|"
# Longest first: the mark of UTF-32 begins with that of UTF-16.
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
# Both are one byte per letter and lossless: different bytes never become the same text.
_FALLBACKS = ("cp1252", "latin-1")
_NAMES = {"cp1252": "Windows-1252", "latin-1": "Latin-1", "utf-16-le": "UTF-16", "utf-16-be": "UTF-16"}
_ROWS_AT_ONCE = 50_000


@dataclass(frozen=True, slots=True)
class TableFile:
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
        """The file's content; raises OSError."""
        return self.source.open(self.path)


def first_names(source: Source, path: str) -> list[str]:
    """The column names in the first line of a CSV, for adapters that recognise their table; empty if unreadable."""
    file = TableFile(source, path)
    try:
        encoding = _encoding_of(file, None, glance=True)
        with _text(file, encoding) as opened:
            line = _first_line(opened)
            return [name.strip() for name in next(csv.reader([line], delimiter=_separator_of(line)), [])]
    except SourceLost:
        # The table may well be the adapter's, so "unreadable" would be a wrong answer.
        raise
    except (OSError, EOFError, zlib.error, csv.Error, UserError, UnicodeError):
        return []


def read_csv(
    file: TableFile, header: list[str] | None, encoding: str | None
) -> tuple[pl.DataFrame, set[int], list[str]]:
    """The rows of a CSV as text, numbers of broken rows, and remarks for its owner on how it was read.

    Raises UserError, OSError, EOFError and zlib.error.
    """
    used = _encoding_of(file, encoding)
    with _text(file, used) as opened:
        line = _first_line(opened)
    separator = _separator_of(line)
    rows = _Rows(file, used, separator)
    own = next(iter(rows), None)
    if own is None or not any(cell.strip() for cell in own):
        raise UserError(f"{file}: the table is empty; it must have a line of column names")
    names = header or distinct([name.strip() for name in own])
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
        frames.append(stripped(pl.DataFrame(cells, schema=dict.fromkeys(names, pl.String), orient="row")))
    broken |= {each - 1 for each in rows.unmatched if each > 0}
    frame = pl.concat(frames, rechunk=True) if frames else pl.DataFrame(schema=dict.fromkeys(names, pl.String))
    notes = []
    if encoding is None and used in _NAMES:
        notes.append(
            f"{file.name}: is not in UTF-8 and was read as {_NAMES[used]}; if letters are wrong, state 'encoding'"
        )
    if broken:
        notes.append(
            f"{file.name}: {counted(len(broken), 'row')} with more cells than columns, or quotes that do not match"
        )
    if short:
        notes.append(f"{file.name}: {counted(short, 'row')} with fewer cells than columns; the rest is taken as empty")
    return frame, broken, notes


def counted(count: int, one: str) -> str:
    """A count with its noun, as `1 row` or `2 rows`."""
    return f"{count:,} {one}" if count == 1 else f"{count:,} {one}s"


class _Rows(Iterator[list[str]]):
    """The rows of a CSV without blank lines. Unmatched quotes cost only the rows that they are in."""

    def __init__(self, file: TableFile, encoding: str, separator: str) -> None:
        self.unmatched: set[int] = set()
        """Rows (the header is 0) with unmatched quotes."""
        self._separator = separator
        self._lines: list[str] = []
        """Unmatched quotes in the row that is being read."""
        self._count = 0
        self._rows = self._read(file, encoding)

    def __next__(self) -> list[str]:
        return next(self._rows)

    def _read(self, file: TableFile, encoding: str) -> Iterator[list[str]]:
        with _text(file, encoding) as opened:
            reader = self._reader(opened)
            while True:
                self._lines.clear()
                try:
                    row = next(reader, None)
                except csv.Error:
                    # A quote that is not closed within the longest possible field is a plain character.
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
            # Letters after a closed quote are harmless within one line.
            return len(self._lines) == 1 and "end of data" not in str(error)
        return True

    def _line_by_line(self) -> Iterator[list[str]]:
        """The lines that an unmatched quote joined, each as its own row; the lines with these quotes are noted."""
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
def _text(file: TableFile, encoding: str) -> Generator[IO[str]]:
    """A CSV as text, with all line ends as newlines."""
    with _content(file) as content, io.TextIOWrapper(content, encoding, newline=None) as opened:
        yield opened


@contextmanager
def _content(file: TableFile) -> Generator[gzip.GzipFile | BinaryIO]:
    """The bytes of a file, unpacked if it is gzip."""
    with file.open() as raw:
        packed = raw.read(2) == b"\x1f\x8b"
        raw.seek(0)
        yield gzip.GzipFile(fileobj=raw) if packed else raw


def _first_line(file: IO[str]) -> str:
    line = file.readline(1 << 20)
    return file.readline(1 << 20) if line.lower().startswith("sep=") and len(line.strip()) == 5 else line


def _separator_of(line: str) -> str:
    """The separator that splits the line of names into most parts; quoted parts stay whole."""

    def columns(separator: str) -> int:
        try:
            return len(next(csv.reader([line], delimiter=separator), []))
        except csv.Error:
            # Longer than any column name: the file is not a table, which is reported when columns are needed.
            return 1

    return max(_SEPARATORS, key=columns)


def _encoding_of(file: TableFile, stated: str | None, glance: bool = False) -> str:
    """The encoding in which the whole text can be read without loss; UserError if the stated one is wrong."""
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


def _decoder(file: TableFile, name: str) -> codecs.IncrementalDecoder:
    try:
        return codecs.getincrementaldecoder(name)("strict")
    except LookupError as error:
        raise UserError(
            f"{file}: the encoding '{name}' is unknown; known are utf-8, cp1252, latin-1 and so on"
        ) from error


def _by_zeros(start: bytes) -> str | None:
    """UTF-16 without a byte order mark: every other byte of plain letters is 0."""
    even, odd = start[0:400:2], start[1:400:2]
    if len(odd) > 4 and odd.count(0) > 0.8 * len(odd) and not even.count(0):
        return "utf-16-le"
    if len(even) > 4 and even.count(0) > 0.8 * len(even) and not odd.count(0):
        return "utf-16-be"
    return None


def stripped(frame: pl.DataFrame) -> pl.DataFrame:
    """Cells without surrounding spaces; null if nothing remains."""
    stripped = pl.all().str.strip_chars()
    return frame.with_columns(stripped).with_columns(pl.when(pl.all() == "").then(None).otherwise(pl.all()).name.keep())


def distinct(names: list[str]) -> list[str]:
    """Column names; a repeated name gets a number."""
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
