"""GATE001: no patient of the cohort may be in two folds or two splits."""

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from xray_mining.evaluation.audits._audit import Audit, AuditedCohort, Verdict


@dataclass(frozen=True, slots=True)
class Torn:
    """Patients that are in several folds or splits."""

    rows: pl.DataFrame
    """Rows of LEAK001, the check of the frozen cohort by the same rule."""
    patients: int
    """Number of patients of the cohort."""


def measure(audited: AuditedCohort) -> Torn:
    """Apply the rule of LEAK001 to the frozen members, so that the audit does not need the catalog."""
    from xray_mining.catalog.checks import patients_on_two_sides

    members = audited.cohort.members()
    return Torn(patients_on_two_sides(members), members["patient_key"].n_unique())


def tell(_: AuditedCohort, found: Torn) -> Sequence[Verdict]:
    """Failed if there is such a patient."""
    count = found.rows.height
    if count:
        sentence = (
            f"{count:,} patients are in two folds or splits, so test results of all models are too good; freeze the "
            f"cohort again."
        )
        return [Verdict("failed", sentence, count, found.rows.head(10).to_dicts())]
    return [Verdict("passed", f"each of {found.patients:,} patients is in one fold and one split.")]


KIND = Audit(
    code="GATE001",
    title="patients in several folds",
    severity="error",
    subject=AuditedCohort,
    measure=measure,
    tell=tell,
    section="flow",
)
