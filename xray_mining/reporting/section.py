"""The blocks of a section; blocks have text and data, not HTML."""

import csv
import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell of a table: its text, a smaller detail below it, and the value for sorting and for the CSV."""

    text: str
    detail: str = ""
    """Smaller grey text, such as the interval."""
    value: float | None = None
    """The exact number, for sorting the column and for the CSV."""
    low: float | None = None
    high: float | None = None
    link: str = ""
    """Anchor on this page to which the text links."""
    mark: str = ""
    """best, failed, passed, right, digest, quiet, or empty."""


HIDDEN = Cell("hidden", "not printed")
"""A count that is not printed. The word is the same for a small count and for a count that protects a small one.

Different words would reveal counts beside a known total: of two hidden cells that add up to 11, "fewer than 10" and
"10 or more" can only be 1 and 10.
"""


def hidden_note(least: int, patients: str = "patients") -> str:
    """The legend of tables with hidden counts; `least` is the smallest count that is printed."""
    return (
        f"hidden: fewer than {least} {patients}, or a count from which such a number could be computed. The page does "
        f"not say which, because this could reveal the number."
    )


@dataclass(frozen=True, slots=True)
class Column:
    """One column's head."""

    title: str
    numeric: bool = False
    explanation: str = ""
    """One sentence that explains the term."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row; its first cell is its head."""

    cells: tuple[Cell, ...]
    kind: str = ""
    """Kind of model of the row, which sets its style."""


@dataclass(frozen=True, slots=True)
class Table:
    """One table with its caption, also written as CSV beside the page."""

    name: str
    """File name of its CSV without the extension; unique among names and anchors on the page."""
    caption: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    note: str = ""
    first: int = 0
    """Number of rows that are shown before the reader opens the table; 0 shows all. CSV and print have all rows."""

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row.cells) != len(self.columns):
                raise ValueError(f"table {self.name}: {len(row.cells)} cells under {len(self.columns)} columns")

    @property
    def explained(self) -> list[Column]:
        """Columns with an explanation below the table, each term once."""
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
    # A spreadsheet would run a cell that starts like a formula, and texts such as makers come from outside files.
    return f"'{text}" if text[:1] in ("=", "+", "@") or (text[:1] == "-" and not text[1:2].isdigit()) else text


@dataclass(frozen=True, slots=True)
class Figure:
    """One drawing as SVG text, also written as a file beside the page."""

    name: str
    """File name of its SVG without the extension; unique on the page."""
    svg: str
    caption: str
    alternative: str
    """Description of the drawing for readers who cannot see it."""

    @property
    def width(self) -> int:
        """Largest width on the page in CSS pixels; its text is then as large as the page's small print."""
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
    """An empty text, or `quiet` for small print."""


@dataclass(frozen=True, slots=True)
class Points:
    """A list of sentences."""

    points: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Code:
    """Source text (SQL, configuration) that the reader can unfold."""

    title: str
    text: str


@dataclass(frozen=True, slots=True)
class Folded:
    """Blocks that the reader can unfold, because few readers need them."""

    title: str
    blocks: tuple["Block", ...]


@dataclass(frozen=True, slots=True)
class Part:
    """Blocks with a separate heading, for example for one of several targets."""

    title: str
    blocks: tuple["Block", ...]
    sentence: str = ""


Block: TypeAlias = Table | Figure | Figures | Gallery | Text | Points | Code | Folded | Part


@dataclass(frozen=True, slots=True)
class Section:
    """One section of the page; without blocks, its sentence states the reason."""

    anchor: str
    title: str
    sentence: str
    blocks: tuple[Block, ...] = field(default=())

    def __post_init__(self) -> None:
        refuse_doubles([self])

    def everything(self) -> Iterator[Block]:
        """All blocks, with nested blocks, in reading order."""
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
    """Check that no two items of a page have the same name: links would be wrong, and files would be overwritten.

    Raises:
        ValueError: if two items have the same name.
    """
    owners = {figure.name: f"figure {figure.name} above all sections" for figure in lead}
    for section in sections:
        names = [(section.anchor, f"section {section.anchor}")]
        names += [(table.name, f"table {table.name} of section {section.anchor}") for table in section.tables]
        names += [(figure.name, f"figure {figure.name} of section {section.anchor}") for figure in section.figures]
        for name, what in names:
            if name in owners:
                raise ValueError(f"{what} has the same name as {owners[name]}; rename it, for example '{name}-table'")
            owners[name] = what


def _flat(blocks: Iterable[Block]) -> Iterator[Block]:
    for block in blocks:
        yield block
        if isinstance(block, Part | Folded):
            yield from _flat(block.blocks)
        elif isinstance(block, Figures):
            yield from block.figures
