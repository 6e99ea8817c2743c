"""The data of the archive's page, and layout that its sections share."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from xray_mining.catalog.overview import FOLDED, TOPCODED, Overview
from xray_mining.catalog.overview_change import Changes
from xray_mining.records.words import SEX_WORDS
from xray_mining.reporting.metrics import number
from xray_mining.reporting.section import HIDDEN, Cell, Column, Row, Table, hidden_note

SEXES = {code: words.capitalize() for code, words in SEX_WORDS.items()} | {"unknown": "Not stated"}


@dataclass(frozen=True, slots=True)
class StratumPicture:
    """One picture of the gallery."""

    patient_sex: str
    age_from: int
    png: bytes


@dataclass(frozen=True, slots=True)
class ArchiveResults:
    """Aggregates of the archives, and example pictures of each sex and age; the sections only lay them out."""

    overview: Overview
    pictures: tuple[StratumPicture, ...] = ()
    changes: Changes | None = None
    ledger: Mapping[str, str] | None = None
    """How the page was made: command, versions, digests."""

    def table(self, name: str) -> pl.DataFrame:
        """A table of the overview."""
        return self.overview.tables[name]

    @property
    def totals(self) -> dict[str, Any]:
        """Totals of the archives."""
        return self.table("totals").row(0, named=True)

    @property
    def several(self) -> bool:
        """Whether there is more than one archive; then tables name the archive."""
        return len(self.overview.archives) > 1


def band_words(age_from: int | None, width: int) -> str:
    """An age band in words; ages are cut off at 90."""
    if age_from is None:
        return "not stated"
    return f"{TOPCODED} and over" if age_from >= TOPCODED else f"{age_from} to {age_from + width - 1}"


def listed(
    results: ArchiveResults,
    table: str,
    caption: str,
    columns: Sequence[tuple[str, Column]],
    *,
    words: Mapping[str, Callable[[Any], str | Cell]] | None = None,
    share_of: int = 0,
) -> Table:
    """Lay out a table of the overview; notes below it say if rows were left out or counts are hidden.

    Args:
        results: Data of the page.
        table: Name of the table in the overview.
        caption: Caption above the table.
        columns: Names of the columns that are shown, each with its head.
        words: By column, a function that turns a value into text or a cell.
        share_of: If not 0, counts in the column `images` also show their share of this number.
    """
    # Only counts in the column `images` show a share; a share of patients would need another total.
    frame = results.table(table)
    rows = []
    for row in frame.iter_rows(named=True):
        cells = [
            _cell(row, column, head, (words or {}).get(column), share_of if column == "images" else 0)
            for column, head in columns
        ]
        rows.append(Row(tuple(cells)))
    notes = []
    cut = results.overview.cut.get(table)
    if cut:
        notes.append(cut_note(results, table))
    if any(HIDDEN in row.cells for row in rows):
        notes.append(hidden_note_of(results))
    return Table(
        f"archive-{table.replace('_', '-')}",
        caption,
        tuple(head for _, head in columns),
        tuple(rows),
        " ".join(notes),
    )


def cut_note(results: ArchiveResults, table: str) -> str:
    """A sentence about the rows that a shortened table leaves out."""
    cut, counted = (
        results.overview.cut[table],
        {"duplicates": "files", "rejects": "files or frames"}.get(table, "images"),
    )
    left_out = (
        f"{counted} of fewer than {results.overview.least_patients} patients"
        if cut.left_out is None
        else f"{cut.left_out:,} {counted}"
    )
    small = (
        f"; rows of fewer than {results.overview.least_patients} patients are never shown" if table in FOLDED else ""
    )
    return f"Only {cut.listed:,} of {cut.rows:,} rows are shown; the others have {left_out}{small}."


def hidden_note_of(results: ArchiveResults) -> str:
    """A sentence that explains cells with the word 'hidden'."""
    return hidden_note(results.overview.least_patients, "patients with an id")


def _cell(
    row: Mapping[str, Any], column: str, head: Column, words: Callable[[Any], str | Cell] | None, share_of: int
) -> Cell:
    value = row[column]
    if words is not None:
        text = words(value)
        if isinstance(text, Cell):
            return text
        return Cell(text, value=float(value) if head.numeric and value is not None else None)
    if value is None:
        if not head.numeric:
            return Cell("not stated")
        return HIDDEN if row.get("few") else Cell("–")
    if isinstance(value, bool) or not isinstance(value, int | float):
        return Cell(str(value))
    detail = number(value / share_of, 1, percent=True) if share_of else ""
    return Cell(number(value, 0 if isinstance(value, int) else 1), detail, float(value))


def summed(frame: pl.DataFrame, key: str, counted: str = "images") -> list[tuple[str, float | None]]:
    """Sums of the column `counted` by `key`, as (words, sum), largest first; None if one of the counts is hidden."""
    found: dict[str, float | None] = {}
    for row in frame.iter_rows(named=True):
        words = "not stated" if row[key] is None else str(row[key])
        so_far, value = found.get(words, 0.0), row[counted]
        found[words] = None if so_far is None or value is None else so_far + value
    return sorted(found.items(), key=lambda each: (-(each[1] if each[1] is not None else -1.0), each[0]))


def said(rows: Sequence[tuple[str, float | None]], limit: int = 12) -> str:
    """The first `limit` rows of a drawing as text, for readers who cannot see it."""
    shown = [f"{words} {'hidden' if value is None else f'{value:,.0f}'}" for words, value in rows[:limit]]
    more = f"; and {len(rows) - limit:,} more" if len(rows) > limit else ""
    return "; ".join(shown) + more
