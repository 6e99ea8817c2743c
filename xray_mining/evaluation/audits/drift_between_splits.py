"""DRIFT001: whether training and test patients of the first rotation are similar, by their latest radiographs."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from scipy import stats

from xray_mining.catalog.order import latest_of
from xray_mining.evaluation.audits._audit import LEVEL, Audit, AuditedCohort, Figure, NotApplicable, Verdict
from xray_mining.statistics.comparison import holm

CATEGORIES = ("patient_sex", "view_position", "manufacturer", "archive", "study_year")
LEAST_PATIENTS = 10
EXPECTED_IN_A_CELL = 5
"""Fewest expected patients of a cell in the chi-squared test; rarer levels are combined."""


@dataclass(frozen=True, slots=True)
class Difference:
    """The test of one attribute between training and test patients."""

    attribute: str
    p_value: float
    p_adjusted: float


@dataclass(frozen=True, slots=True)
class Differences:
    """All attributes that could be tested."""

    measured: tuple[Difference, ...]
    patients: int


def measure(audited: AuditedCohort) -> Differences | NotApplicable:
    """Welch's test of age and chi-squared tests of the categories; p adjusted by Holm over the attributes."""
    members = audited.cohort.members().select("image_key", "patient_key", "split")
    frame = members.join(audited.attributes.drop("patient_key", "study_key"), on="image_key", how="left")
    frame = latest_of(frame)
    train, test = (frame.filter(pl.col("split") == role) for role in ("train", "test"))
    measured: list[tuple[str, float]] = []
    if min(train.height, test.height) >= LEAST_PATIENTS:
        a, b = train["age_years"].drop_nulls().to_numpy(), test["age_years"].drop_nulls().to_numpy()
        if min(len(a), len(b)) >= LEAST_PATIENTS and a.std() + b.std() > 0:
            measured.append(("age_years", float(stats.ttest_ind(a, b, equal_var=False).pvalue)))
        both = pl.concat([train, test])
        measured += [(name, p) for name in CATEGORIES if (p := p_of_category(both, name)) is not None]
    if not measured:
        return NotApplicable("there are too few patients, or their attributes are unknown, so splits are not compared.")
    adjusted = holm([p for _, p in measured])
    return Differences(
        tuple(Difference(name, p, float(q)) for (name, p), q in zip(measured, adjusted, strict=True)),
        train.height + test.height,
    )


def p_of_category(frame: pl.DataFrame, name: str) -> float | None:
    """Test the column `name` by `split` (train, test) by chi-squared; the p, or None if there is only one level."""
    table = (
        frame.filter(pl.col(name).is_not_null())
        .group_by(name, "split")
        .len()
        .pivot("split", index=name, values="len")
        .fill_null(0)
        # Sort, because the last bit of a sum depends on the order.
        .sort(name)
    )
    if not {"train", "test"} <= set(table.columns):
        return None
    counts = table.select("train", "test").to_numpy()
    rare = counts.sum(axis=1) < EXPECTED_IN_A_CELL * counts.sum() / counts.sum(axis=0).min()
    counts = np.vstack([counts[~rare], counts[rare].sum(axis=0, keepdims=True)])
    counts = counts[counts.sum(axis=1) > 0]
    return float(stats.chi2_contingency(counts, correction=False).pvalue) if counts.shape[0] >= 2 else None


def tell(audited: AuditedCohort, found: Differences) -> Sequence[Verdict]:
    """Failed if an attribute differs by more than chance; only a note if the cohort's SQL gave the split."""
    guilty = [each.attribute for each in found.measured if each.p_adjusted <= LEVEL]
    severity = "note" if audited.cohort.split_given else "warning"
    who = "training and test patients of the first rotation"
    if guilty:
        return [Verdict("failed", f"{who} differ in {', '.join(guilty)}.", len(guilty), severity=severity)]
    names = ", ".join(each.attribute for each in found.measured)
    return [Verdict("passed", f"{who} are not shown to differ in {names}.", 0, severity=severity)]


def figures(_: AuditedCohort, found: Differences) -> Sequence[Figure]:
    """One row for each attribute."""
    return [
        Figure(
            attribute=each.attribute,
            metric="train_test",
            patients=found.patients,
            p_value=each.p_value,
            p_adjusted=each.p_adjusted,
            words=f"{each.attribute}: p {each.p_value:.3f}",
        )
        for each in found.measured
    ]


KIND = Audit(
    code="DRIFT001",
    title="training patients compared with test patients",
    severity="warning",
    subject=AuditedCohort,
    measure=measure,
    tell=tell,
    figures=figures,
    family="drift",
    section="table_one",
)
