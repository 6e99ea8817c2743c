"""Views of the images, declared or inferred."""

from xray_mining.reporting.archive_results import ArchiveResults, listed, said
from xray_mining.reporting.count_figures import bars
from xray_mining.reporting.section import Column, Figures, Section

ORDER = 20
_SOURCES = {"declared": "declared", "inferred": "inferred from other words of the header", "none": "not known"}


def applies(results: ArchiveResults) -> bool:
    """Always."""
    return True


def build(results: ArchiveResults) -> Section:
    """One bar and one row for each view and source."""
    frame = results.table("views")
    if frame.is_empty():
        return Section("views", "Views", "The archive has no images, so there are no views.")
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
        caption="Images by view, declared or inferred.",
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
        "A view is declared if the file or the table states it, and inferred if it only follows from other words of "
        "the header.",
        (Figures((figure,)), table),
    )
