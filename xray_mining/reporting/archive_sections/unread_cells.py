"""Cells of tables and headers that could not be read."""

from xray_mining.reporting.archive_results import ArchiveResults, listed, said, summed
from xray_mining.reporting.count_figures import bars
from xray_mining.reporting.section import Column, Figures, Section

ORDER = 46
_MOST_BARS = 20
_TITLE = "Cells that could not be read"


def applies(results: ArchiveResults) -> bool:
    """Always: the reader must also know that nothing was lost."""
    return True


def build(results: ArchiveResults) -> Section:
    """One bar for each column, and one row for each column and reason."""
    frame = results.table("unread_cells")
    if frame.is_empty():
        return Section("unread-cells", _TITLE, "All cells about these images, in tables and headers, could be read.")
    counts = [(_words(name), cells) for name, cells in summed(frame, "name", "cells")]
    figure = bars(
        "archive-unread-cells-figure",
        counts[:_MOST_BARS],
        label="cells",
        caption="Cells that could not be read, by the value that they state.",
        alternative=f"Cells that could not be read: {said(counts)}.",
        colour="orange",
    )
    columns = [
        ("name", Column("Value")),
        ("reason", Column("Why")),
        ("source", Column("Stated by")),
        ("cells", Column("Cells", numeric=True)),
    ]
    if frame["archive"].n_unique() > 1:
        columns.insert(0, ("archive", Column("Archive or linked table")))
    table = listed(
        results, "unread_cells", "Cells that could not be read", columns, words={"name": _words, "reason": _words}
    )
    return Section(
        "unread-cells",
        _TITLE,
        f"{int(frame['cells'].sum()):,} cells are not empty but could not be read. They count as missing values, so "
        f"the images that have a value may not be a random sample of all images.",
        (Figures((figure,)), table),
    )


def _words(name: str) -> str:
    return name.replace("_", " ")
