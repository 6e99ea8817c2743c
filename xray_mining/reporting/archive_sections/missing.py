"""Missing values by column."""

from xray_mining.catalog.overview import MISSING_SHARE
from xray_mining.records.words import column_words
from xray_mining.reporting.archive_results import ArchiveResults, listed
from xray_mining.reporting.count_figures import bars
from xray_mining.reporting.metrics import number
from xray_mining.reporting.section import Column, Figures, Section

ORDER = 45


def applies(results: ArchiveResults) -> bool:
    """Always."""
    return True


def build(results: ArchiveResults) -> Section:
    """One bar and one row for each column that studies often need."""
    frame = results.table("missing")
    if not results.totals["images"]:
        return Section("missing", "Missing values", "The archive has no images, so no value is missing.")
    counts = [(_words(row["column_name"]), row["share"]) for row in frame.iter_rows(named=True)]
    figure = bars(
        "archive-missing-figure",
        counts,
        label="share of images",
        caption="How often a value is missing.",
        alternative="Missing values: "
        + "; ".join(f"{words} {number(share, 1, percent=True)}" for words, share in counts),
        colour="orange",
        percent=True,
    )
    table = listed(
        results,
        "missing",
        "Missing values",
        (
            ("column_name", Column("Value")),
            ("missing", Column("Missing in", numeric=True)),
            ("images", Column("Of images", numeric=True)),
            ("share", Column("Share", numeric=True)),
        ),
        words={"column_name": _words, "share": lambda share: number(share, 1, percent=True)},
    )
    return Section(
        "missing",
        "Missing values",
        f"Values that most studies need. A value that is missing in more than {100 * MISSING_SHARE:.0f} % of images is "
        f"an alert at the top of the page.",
        (Figures((figure,)), table),
    )


def _words(column: str) -> str:
    return column_words(column)
