"""FAIR001: subgroups in which the best model is better or worse than in the other patients.

All figures of all columns are one family, adjusted by Benjamini and Hochberg: if there are no real gaps, the chance of
any alarm is at most LEVEL. Only mean errors and areas are judged. Sensitivities are not: with one threshold for all
they differ between groups whose scores differ, even if the model is equally good in each group. Small subgroups are not
judged either, because their p values are not reliable; the table of subgroups shows them.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from xray_mining.evaluation.audits._audit import LEVEL, Audit, AuditedTask, Figure, NotApplicable, Verdict
from xray_mining.records.estimates import EstimateRow
from xray_mining.statistics.comparison import benjamini_hochberg

SCREENED_PATIENTS = 30
"""Fewest patients of a subgroup that is judged."""


@dataclass(frozen=True, slots=True)
class Gap:
    """One figure of one subgroup, with p of the test against the rest."""

    row: EstimateRow
    """The row of estimates."""
    p_adjusted: float

    @property
    def words(self) -> str:
        """The figure as a clause."""
        return f"{self.row.subgroup}: {self.row.metric} {self.row.value:.3f} ({self.row.patients:,} patients)"


def columns_of(subgroup: str) -> list[str]:
    """The column names of a subgroup: patient_sex and age_band of 'patient_sex=F & age_band=20 to 29'."""
    return [part.split("=")[0] for part in subgroup.split(" & ")]


def measure(audited: AuditedTask) -> tuple[Gap, ...] | NotApplicable:
    """The figures of the best model that are judged, with p adjusted over all of them."""
    names = {"age_years": "age_band", "institution_key": "institution"}
    own = {names.get(name, name) for name in audited.task.target.made_of}
    wanted = [
        each
        for each in audited.subgroups
        if each.experiment == audited.choice.best
        and each.metric in audited.task.kind.screened
        and each.p_value is not None
        and each.patients >= SCREENED_PATIENTS
        # Groups by a column of the target itself are left out: because of regression to the mean, errors differ
        # between such groups for every model.
        and not own & set(columns_of(each.subgroup))
    ]
    if not wanted:
        return NotApplicable("no subgroup has enough patients to be tested against the rest.")
    # Women against the rest and men against the rest are the same test with the same p, so it counts once.
    tests = list(dict.fromkeys((each.family, each.p_value) for each in wanted))
    adjusted = dict(zip(tests, benjamini_hochberg([p for _, p in tests]), strict=True))
    return tuple(Gap(each, float(adjusted[each.family, each.p_value])) for each in wanted)


def tell(_: AuditedTask, found: tuple[Gap, ...]) -> Sequence[Verdict]:
    """Failed if a figure differs from the rest by more than chance."""
    guilty = [each.words for each in found if each.p_adjusted <= LEVEL]
    if guilty:
        sentence = f"{len(guilty)} of {len(found)} figures differ from the rest: {'; '.join(guilty[:5])}."
        return [Verdict("failed", sentence, len(guilty))]
    return [Verdict("passed", f"none of {len(found)} figures by subgroup differs from the rest beyond chance.", 0)]


def figures(_: AuditedTask, found: tuple[Gap, ...]) -> Sequence[Figure]:
    """One row for each figure."""
    same = ("experiment", "metric", "value", "low", "high", "patients", "p_value")
    return [
        Figure(
            **{name: getattr(each.row, name) for name in same},
            attribute=" & ".join(columns_of(each.row.subgroup)),
            label=each.row.subgroup,
            p_adjusted=each.p_adjusted,
            words=each.words,
        )
        for each in found
    ]


KIND = Audit(
    code="FAIR001",
    title="the best model by subgroup",
    severity="warning",
    subject=AuditedTask,
    measure=measure,
    tell=tell,
    figures=figures,
    family="fairness",
    section="subgroups",
)
