"""The checks of sql/checks that look at the whole archive."""

from xray_mining.reporting.archive_results import ArchiveResults, said
from xray_mining.reporting.count_figures import bars
from xray_mining.reporting.section import HIDDEN, Block, Cell, Column, Figures, Row, Section, Table

ORDER = 67


def applies(results: ArchiveResults) -> bool:
    """Always."""
    return True


def build(results: ArchiveResults) -> Section:
    """A row a check; a bar for each that found something."""
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
    failed = [row for row in frame.iter_rows(named=True) if row["outcome"] == "failed"]
    if failed:
        counts = [(row["code"], row["found"]) for row in failed]
        figure = bars(
            "archive-checks-figure",
            counts,
            label="rows found",
            caption="What the checks found; what a row is (an image, a patient, a study) differs from check to check.",
            alternative=f"What the checks found: {said(counts)}.",
            colour="orange",
        )
        blocks.insert(0, Figures((figure,)))
    open_questions = int((frame["outcome"] == "not_applicable").sum())
    unsaid = f"; {open_questions} could not look, because what they need is not there" if open_questions else ""
    return Section(
        "checks",
        "Checks",
        f"{len(failed)} of {frame.height} checks found something{unsaid}. "
        "Keys of what was found: xray-mining check --json.",
        tuple(blocks),
    )
