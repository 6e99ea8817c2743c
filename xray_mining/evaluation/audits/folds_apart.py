"""GATE001: no patient of the cohort may be in two folds or two splits."""

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from xray_mining.evaluation.audits._audit import Audit, AuditedCohort, Verdict


@dataclass(frozen=True, slots=True)
class Torn:
    """Patients that are in several folds or splits."""

    rows: pl.DataFrame
    """patient_key, folds, splits."""
    patients: int
    """All of the cohort."""


def measure(audited: AuditedCohort) -> Torn:
    """Counts of folds and splits a patient, where one of them is above 1."""
    members = audited.cohort.members()
    rows = (
        members.group_by("patient_key")
        .agg(pl.col("fold").n_unique().alias("folds"), pl.col("split").n_unique().alias("splits"))
        .filter((pl.col("folds") > 1) | (pl.col("splits") > 1))
        .sort("patient_key")
    )
    return Torn(rows, members["patient_key"].n_unique())


def tell(_: AuditedCohort, found: Torn) -> Sequence[Verdict]:
    """Failed where there is one such patient."""
    count = found.rows.height
    if count:
        sentence = (
            f"{count:,} patients stand in two folds or splits, so test results flatter every model; freeze the cohort "
            f"again."
        )
        return [Verdict("failed", sentence, count, found.rows.head(10).to_dicts())]
    return [Verdict("passed", f"each of {found.patients:,} patients stands in one fold and one split.")]


KIND = Audit(
    code="GATE001",
    title="patients in several folds",
    severity="error",
    subject=AuditedCohort,
    measure=measure,
    tell=tell,
    section="flow",
)
