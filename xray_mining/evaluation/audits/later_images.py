"""COH001: whether the latest of a patient's images is known, because it represents the patient."""

from collections.abc import Sequence

import polars as pl

from xray_mining.catalog.order import undecided
from xray_mining.evaluation.audits._audit import Audit, AuditedCohort, Verdict


def measure(audited: AuditedCohort) -> pl.DataFrame:
    """The patients whose latest image is not known."""
    return undecided(audited.workspace, audited.cohort.members())


def tell(_: AuditedCohort, found: pl.DataFrame) -> Sequence[Verdict]:
    """Failed if there is such a patient."""
    if found.height:
        sentence = (
            f"no day, follow-up number or age tells which image of {found.height:,} patients is the later one; where "
            f"the latest is asked for, as in Table 1, the last in the order of the files is taken."
        )
        return [Verdict("failed", sentence, found.height, found.head(10).to_dicts())]
    sentence = "a day, a follow-up number or an age tells it for every patient with several images."
    return [Verdict("passed", sentence)]


KIND = Audit(
    code="COH001",
    title="nothing tells which image of a patient is the later one",
    severity="warning",
    subject=AuditedCohort,
    measure=measure,
    tell=tell,
    section="flow",
)
