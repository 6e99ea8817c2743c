"""Time between a patient's studies."""

from xray_mining.reporting.archive_results import ArchiveResults, listed, said
from xray_mining.reporting.count_figures import bars
from xray_mining.reporting.section import Column, Figures, Section

ORDER = 70


def applies(results: ArchiveResults) -> bool:
    """Always."""
    return True


def build(results: ArchiveResults) -> Section:
    """One bar and one row for each span of time."""
    frame = results.table("gaps")
    title = "Time between studies"
    if frame.is_empty():
        why = (
            "no patient has images from two days"
            if results.table("years")["study_year"].drop_nulls().len()
            else "no image states the day of its study"
        )
        return Section("gaps", title, f"There is no time between studies to show: {why}.")
    counts = [(row["gap"], row["pairs"]) for row in frame.iter_rows(named=True)]
    figure = bars(
        "archive-gaps-figure",
        counts,
        label="pairs of studies",
        caption="Pairs of consecutive study days of a patient, by the time between them.",
        alternative=f"Time between studies: {said(counts)}.",
    )
    table = listed(
        results,
        "gaps",
        "Time between consecutive studies of a patient",
        (
            ("gap", Column("Time between")),
            ("pairs", Column("Pairs", numeric=True)),
            ("patients", Column("Patients", numeric=True)),
        ),
    )
    return Section(
        "gaps",
        title,
        "Dates are shifted by the same number of days for all studies of a patient, so the times between them are "
        "true.",
        (Figures((figure,)), table),
    )
