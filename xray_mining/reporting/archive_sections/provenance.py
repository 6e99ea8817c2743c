"""How the page was made."""

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
        f"Every number comes from an SQL file (sql/reports/archive_*.sql). Counts of patients by their attributes are "
        f"not printed if they are below {least}; counts of files, faults and flags are always printed.",
        (Table("archive-ledger", "How this page was made", (Column("What"), Column("Value")), rows),) if rows else (),
    )
