"""Changes since an earlier page."""

import polars as pl

from xray_mining.reporting.archive_results import ArchiveResults
from xray_mining.reporting.count_figures import bars
from xray_mining.reporting.metrics import number
from xray_mining.reporting.section import Block, Cell, Column, Figures, Row, Section, Table

ORDER = 5
LISTED = 40
_TABLES = {
    "pyramid": "sex and age",
    "views": "view",
    "makers": "maker",
    "institutions": "site",
    "bits": "bits",
    "years": "year",
    "quality": "flag",
    "missing": "missing",
}


def applies(results: ArchiveResults) -> bool:
    """If the page is compared with an earlier one."""
    return results.changes is not None


def build(results: ArchiveResults) -> Section:
    """Totals, then the shares that changed most."""
    changes = results.changes
    assert changes is not None
    title, since = "Changes", changes.written[:10]
    rows = [
        Row(
            (
                Cell(row["what"].replace("_", " ")),
                *(Cell(number(row[name], 0), value=float(row[name])) for name in ("before", "now")),
                Cell(number(row["now"] - row["before"], 0, sign=True), value=float(row["now"] - row["before"])),
            )
        )
        for row in changes.totals.iter_rows(named=True)
    ]
    heads = (
        Column("What"),
        Column(f"On {since}", numeric=True),
        Column("Now", numeric=True),
        Column("Difference", numeric=True),
    )
    blocks: list[Block] = [Table("archive-changes-totals", "Totals", heads, tuple(rows))]
    # Shares are compared rather than counts, because a growing archive changes every count.
    moved = changes.shares.filter(pl.col("shift") != 0)
    if moved.height:
        listed = moved.head(LISTED)
        drawn = [(_words(row), row["shift"]) for row in listed.iter_rows(named=True)]
        cut = f" {LISTED} of {moved.height:,} shares are listed." if moved.height > LISTED else ""
        figure = bars(
            "archive-changes-figure",
            drawn,
            label="change of the share, percentage points",
            caption=f"The shares of all images that changed most.{cut}",
            alternative="Shares that changed most: "
            + "; ".join(f"{words} {number(100 * shift, 1, sign=True)}" for words, shift in drawn[:10]),
            percent=True,
            signed=True,
        )
        blocks.insert(0, Figures((figure,)))
        blocks.append(_shares(listed, moved.height, since))
    same = changes.totals["before"].to_list() == changes.totals["now"].to_list() and moved.is_empty()
    sentence = (
        f"No count of this section differs from the page of {since}."
        if same
        else f"Compared with the page of {since}. Cells of too few patients, and rows that one of the pages leaves "
        f"out, are not compared."
    )
    return Section("changes", title, sentence, tuple(blocks))


def _shares(listed: pl.DataFrame, moved: int, since: str) -> Table:
    rows = tuple(
        Row(
            (
                Cell(_words(row)),
                Cell(number(row["before"], 0), number(row["before_share"], 1, percent=True), float(row["before"])),
                Cell(number(row["now"], 0), number(row["now_share"], 1, percent=True), float(row["now"])),
                Cell(number(100 * row["shift"], 2, sign=True), value=row["shift"]),
            )
        )
        for row in listed.iter_rows(named=True)
    )
    heads = (
        Column("Images with"),
        Column(f"On {since}", numeric=True),
        Column("Now", numeric=True),
        Column("Points", numeric=True, explanation="Change of the share of all images, in percentage points."),
    )
    note = f"Only {len(rows)} of {moved:,} rows are shown, those that changed most." if moved > len(rows) else ""
    return Table("archive-changes-shares", "Shares that changed", heads, rows, note)


def _words(row: dict[str, str]) -> str:
    cell = row["cell"].replace("_", " ") if row["table"] in ("quality", "missing") else row["cell"]
    cell = cell[:8] if row["table"] == "institutions" else cell
    return f"{_TABLES[row['table']]}: {cell}"
