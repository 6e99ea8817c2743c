"""What made the page."""

from xray_mining.reporting.archive_results import ArchiveResults
from xray_mining.reporting.section import Cell, Column, Row, Section, Table

ORDER = 98


def applies(results: ArchiveResults) -> bool:
    """Always."""
    return True


def build(results: ArchiveResults) -> Section:
    """Command, digest, versions."""
    rows = tuple(Row((Cell(name), Cell(words))) for name, words in (results.ledger or {}).items())
    least = results.overview.least_patients
    return Section(
        "ledger",
        "How it was made",
        f"Every number comes from one SQL file of sql/reports/archive_*.sql. Counts of people by what they are are not "
        f"printed under {least} patients; counts of files, faults and flags are printed as they are.",
        (Table("archive-ledger", "What made this page", (Column("What"), Column("Value")), rows),) if rows else (),
    )
