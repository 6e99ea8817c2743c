"""What a section of the page is made of; every block knows its text, none knows HTML."""

import csv
import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell of a table: what is read, what stands smaller beneath it, and what sorts and goes into the CSV."""

    text: str
    detail: str = ""
    """Smaller and grey, as the interval."""
    value: float | None = None
    """The number behind the text: sorts the column and stands in the CSV."""
    low: float | None = None
    high: float | None = None
    link: str = ""
    """Anchor of this page that the text leads to."""
    mark: str = ""
    """best, failed, passed, right, digest, quiet, or empty."""


HIDDEN = Cell("hidden", "not printed")
"""A count that is not printed. The word is the same for a small count and for one that protects it.

Beside a known total the word would give counts away: of two hidden cells that add up to 11, "fewer than 10" and "10 or
more" can only be 1 and 10.
"""


def hidden_note(least: int, patients: str = "patients") -> str:
    """The legend of tables with hidden counts; `least` is the smallest count that is printed."""
    return (
        f"hidden: fewer than {least} {patients}, or a count by which such a number could be worked out from a sum. "
        f"Which of the two is not said: that alone could give the number away."
    )


@dataclass(frozen=True, slots=True)
class Column:
    """One column's head."""

    title: str
    numeric: bool = False
    explanation: str = ""
    """One sentence for readers who do not know the term."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row; its first cell is its head."""

    cells: tuple[Cell, ...]
    kind: str = ""
    """Family of the model, so that null and oracle rows look like what they are."""


@dataclass(frozen=True, slots=True)
class Table:
    """One table with its caption, also written as CSV beside the page."""

    name: str
    """File name of its CSV, without ending; unique on the page, where sections' anchors are names too."""
    caption: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    note: str = ""
    first: int = 0
    """Only so many rows are shown until the reader opens the table; 0 shows all. CSV and paper have all."""

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row.cells) != len(self.columns):
                raise ValueError(f"table {self.name}: {len(row.cells)} cells under {len(self.columns)} columns")

    @property
    def explained(self) -> list[Column]:
        """The columns whose term is explained below the table, each term once."""
        return list({column.title: column for column in self.columns if column.explanation}.values())

    def csv(self) -> str:
        """The table as CSV: numbers unrounded, an interval as two further columns."""
        spans = [
            any(row.cells[place].low is not None or row.cells[place].high is not None for row in self.rows)
            for place in range(len(self.columns))
        ]
        stream = io.StringIO()
        writer = csv.writer(stream, lineterminator="\n")
        head: list[str] = []
        for column, span in zip(self.columns, spans, strict=True):
            head += [column.title, f"{column.title} low", f"{column.title} high"] if span else [column.title]
        writer.writerow(head)
        for row in self.rows:
            line: list[str | float | None] = []
            for cell, column, span in zip(row.cells, self.columns, spans, strict=True):
                line.append(cell.value if column.numeric and cell.value is not None else _safe(cell.text))
                if span:
                    line += [cell.low, cell.high]
            writer.writerow(line)
        return stream.getvalue()


def _safe(text: str) -> str:
    # A spreadsheet runs a cell that starts like a formula; makers and labels come from other people's files.
    return f"'{text}" if text[:1] in ("=", "+", "@") or (text[:1] == "-" and not text[1:2].isdigit()) else text


@dataclass(frozen=True, slots=True)
class Figure:
    """One drawing as SVG text, also written as a file beside the page."""

    name: str
    """File name of its SVG, without ending; unique on the page."""
    svg: str
    caption: str
    alternative: str
    """What the drawing shows, in words, for who cannot see it."""

    @property
    def width(self) -> int:
        """How wide it may grow on the page, in CSS pixels: its letters are then as large as the page's small print."""
        box = self.svg[self.svg.index('viewBox="') + 9 :]
        return round(1.4 * float(box[: box.index('"')].split()[2]))


@dataclass(frozen=True, slots=True)
class Picture:
    """One radiograph or average, as PNG bytes."""

    png: bytes
    caption: str
    alternative: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Gallery:
    """Pictures side by side, each also written as PNG beside the page."""

    name: str
    caption: str
    pictures: tuple[Picture, ...]


@dataclass(frozen=True, slots=True)
class Figures:
    """Drawings side by side, under each other on a phone."""

    figures: tuple[Figure, ...]


@dataclass(frozen=True, slots=True)
class Text:
    """A paragraph."""

    text: str
    tone: str = ""
    """empty, or quiet for what is said in small print."""


@dataclass(frozen=True, slots=True)
class Points:
    """A list of sentences."""

    points: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Code:
    """Text as it was written (SQL, configuration), folded until it is asked for."""

    title: str
    text: str


@dataclass(frozen=True, slots=True)
class Folded:
    """Blocks behind a line that opens them: what few readers ask for."""

    title: str
    blocks: tuple["Block", ...]


@dataclass(frozen=True, slots=True)
class Part:
    """Blocks under a heading of their own, as one target of several."""

    title: str
    blocks: tuple["Block", ...]
    sentence: str = ""


Block: TypeAlias = Table | Figure | Figures | Gallery | Text | Points | Code | Folded | Part


@dataclass(frozen=True, slots=True)
class Section:
    """One section of the page; without blocks its sentence says why."""

    anchor: str
    title: str
    sentence: str
    blocks: tuple[Block, ...] = field(default=())

    def __post_init__(self) -> None:
        refuse_doubles([self])

    def everything(self) -> Iterator[Block]:
        """Its blocks and those within them, in reading order."""
        return _flat(self.blocks)

    @property
    def tables(self) -> list[Table]:
        """All its tables."""
        return [block for block in self.everything() if isinstance(block, Table)]

    @property
    def figures(self) -> list[Figure]:
        """All its drawings."""
        return [block for block in self.everything() if isinstance(block, Figure)]

    @property
    def galleries(self) -> list[Gallery]:
        """All its galleries."""
        return [block for block in self.everything() if isinstance(block, Gallery)]


def refuse_doubles(sections: Iterable[Section], lead: Iterable[Figure] = ()) -> None:
    """ValueError where two things of a page have one name: a link would lead to the first, a file be written twice."""
    owners = {figure.name: f"figure {figure.name} above all sections" for figure in lead}
    for section in sections:
        names = [(section.anchor, f"section {section.anchor}")]
        names += [(table.name, f"table {table.name} of section {section.anchor}") for table in section.tables]
        names += [(figure.name, f"figure {figure.name} of section {section.anchor}") for figure in section.figures]
        for name, what in names:
            if name in owners:
                raise ValueError(f"{what} has the name of {owners[name]}; rename it, as '{name}-table'")
            owners[name] = what


def _flat(blocks: Iterable[Block]) -> Iterator[Block]:
    for block in blocks:
        yield block
        if isinstance(block, Part | Folded):
            yield from _flat(block.blocks)
        elif isinstance(block, Figures):
            yield from block.figures
