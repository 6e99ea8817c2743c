"""Views, declared beside inferred."""

from xray_mining.reporting.archive_results import ArchiveResults, listed, said
from xray_mining.reporting.count_figures import bars
from xray_mining.reporting.section import Column, Figures, Section

ORDER = 20
_SOURCES = {"declared": "declared", "inferred": "inferred from other words of the header", "none": "not known"}


def applies(results: ArchiveResults) -> bool:
    """Always."""
    return True


def build(results: ArchiveResults) -> Section:
    """One bar and one row a view and source."""
    frame = results.table("views")
    if frame.is_empty():
        return Section("views", "Views", "There is no image whose view could be asked for.")
    counts = [
        (
            "not known" if row["view_source"] == "none" else f"{row['view_position']}, {row['view_source']}",
            row["images"],
        )
        for row in frame.iter_rows(named=True)
    ]
    figure = bars(
        "archive-views-figure",
        counts,
        label="images",
        caption="Images by view, declared beside inferred.",
        alternative=f"Images by view: {said(counts)}.",
    )
    table = listed(
        results,
        "views",
        "Views",
        (
            ("view_position", Column("View")),
            ("view_source", Column("How it is known")),
            ("images", Column("Images", numeric=True)),
            ("patients", Column("Patients", numeric=True)),
        ),
        words={"view_source": lambda source: _SOURCES.get(source, source)},
        share_of=results.totals["images"],
    )
    return Section(
        "views",
        "Views",
        "A view is declared where the file or the table states it, and inferred where only other words of the header "
        "give it away.",
        (Figures((figure,)), table),
    )
