"""Years of the studies."""

from xray_mining.records.images import YEARS_ARE_SHIFTED
from xray_mining.reporting.archive_results import ArchiveResults, listed, said
from xray_mining.reporting.count_figures import columns
from xray_mining.reporting.section import Cell, Column, Figures, Section

ORDER = 25


def applies(results: ArchiveResults) -> bool:
    """Always."""
    return True


def build(results: ArchiveResults) -> Section:
    """One column for each year over all archives; the table has separate rows for each archive."""
    frame = results.table("years")
    if frame["study_year"].drop_nulls().is_empty():
        return Section("years", "Years", "No image states the day of its study, so there are no years to show.")
    # Sum over archives; the sum is hidden if one of its counts is hidden.
    counts: dict[int, float | None] = {}
    for row in frame.iter_rows(named=True):
        if row["study_year"] is not None:
            before = counts.get(row["study_year"], 0.0)
            counts[row["study_year"]] = None if before is None or row["images"] is None else before + row["images"]
    ordered = sorted(counts.items())
    unsaid = sum(value is None for _, value in ordered)
    figure = columns(
        "archive-years-figure",
        ordered,
        label="images",
        across="year",
        caption=f"Images by year, {ordered[0][0]} to {ordered[-1][0]}."
        + (f" Hatched: {unsaid} of these years, whose numbers are not printed." if unsaid else "")
        + (" Not all are drawn: see the note of the table." if "years" in results.overview.cut else ""),
        alternative=f"Images by year: {said([(str(year), value) for year, value in ordered], 60)}.",
    )
    heads = [
        ("study_year", Column("Year")),
        ("images", Column("Images", numeric=True)),
        ("patients", Column("Patients", numeric=True)),
    ]
    if results.several:
        heads.insert(0, ("archive", Column("Archive")))
    table = listed(
        results,
        "years",
        "Images and patients by year",
        heads,
        words={"study_year": lambda year: Cell("not stated") if year is None else Cell(str(year), value=float(year))},
        share_of=results.totals["images"],
    )
    return Section(
        "years",
        "Years",
        YEARS_ARE_SHIFTED,
        (Figures((figure,)), table),
    )
