"""The checks of sql/checks that are about the whole archive."""

from xray_mining.reporting.archive_results import ArchiveResults, said
from xray_mining.reporting.count_figures import bars
from xray_mining.reporting.section import HIDDEN, Block, Cell, Column, Figures, Row, Section, Table

ORDER = 67


def applies(results: ArchiveResults) -> bool:
    """Always."""
    return True


def build(results: ArchiveResults) -> Section:
    """One row for each check, and one bar for each check that found something."""
    frame, least = results.table("checks"), results.overview.least_patients
    rows = tuple(
        Row(
            (
                Cell(row["code"], row["severity"]),
                Cell(row["question"]),
                Cell(row["outcome"].replace("_", " ")),
                HIDDEN
                if row["few"]
                else Cell("–" if row["found"] is None else f"{row['found']:,}", value=row["found"]),
            )
        )
        for row in frame.iter_rows(named=True)
    )
    heads = (Column("Check"), Column("What is looked for"), Column("Outcome"), Column("Found", numeric=True))
    note = f"hidden: fewer than {least}." if frame["few"].any() else ""
    blocks: list[Block] = [Table("archive-checks", "Checks of the archive", heads, rows, note)]
    # Only failed checks have bars; most checks find nothing.
    failed = [row for row in frame.iter_rows(named=True) if row["outcome"] == "failed"]
    if failed:
        counts = [(row["code"], row["found"]) for row in failed]
        figure = bars(
            "archive-checks-figure",
            counts,
            label="rows found",
            caption="Number of rows that each check found; a row is an image, a patient or a study, depending on the "
            "check.",
            alternative=f"Rows that the checks found: {said(counts)}.",
            colour="orange",
        )
        blocks.insert(0, Figures((figure,)))
    open_questions = int((frame["outcome"] == "not_applicable").sum())
    unsaid = f"; {open_questions} could not run, because data that they need are missing" if open_questions else ""
    return Section(
        "checks",
        "Checks",
        f"{len(failed)} of {frame.height} checks found something{unsaid}. "
        "The command xray-mining check --json prints the keys of these rows.",
        tuple(blocks),
    )
