"""COH001: whether the latest image of each patient is known, because it represents the patient."""

from collections.abc import Sequence

import polars as pl

from xray_mining.catalog.order import undecided
from xray_mining.evaluation.audits._audit import Audit, AuditedCohort, Verdict
from xray_mining.records.small_counts import told


def measure(audited: AuditedCohort) -> pl.DataFrame:
    """The patients whose latest image is not known."""
    return undecided(audited.workspace, audited.cohort.members())


def tell(_: AuditedCohort, found: pl.DataFrame) -> Sequence[Verdict]:
    """Failed if there is such a patient."""
    if found.height:
        sentence = (
            f"it is unknown which image of {told(found.height)} patients is the latest, because day, follow-up number "
            f"and age are missing or equal; the last image in the order of the files is used instead, for example in "
            f"Table 1."
        )
        return [Verdict("failed", sentence, found.height, found.head(10).to_dicts())]
    sentence = "the latest image of every patient is known from the day, the follow-up number or the age."
    return [Verdict("passed", sentence)]


KIND = Audit(
    code="COH001",
    title="whether the latest image of each patient is known",
    severity="warning",
    subject=AuditedCohort,
    measure=measure,
    tell=tell,
    section="flow",
)
