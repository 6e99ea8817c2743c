"""GATE002: no patient may be tested and validated by the same fit."""

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from xray_mining.evaluation.audits._audit import Audit, AuditedTask, Verdict


@dataclass(frozen=True, slots=True)
class Overlap:
    """The patients of one experiment that are on both sides of a rotation."""

    experiment: str
    rows: pl.DataFrame
    """patient_key and fold."""


@dataclass(frozen=True, slots=True)
class Overlaps:
    """The experiments that could be checked, and those that could not."""

    looked_at: int
    found: tuple[Overlap, ...]
    without_validation: tuple[str, ...]


def measure(audited: AuditedTask) -> Overlaps:
    """Patients in the validation and the test rows of one rotation, by experiment."""
    task = audited.task
    tested = task.units.select("patient_key", "fold").unique()
    # Without validation predictions an experiment cannot be checked.
    seen = [model for model in task.models.values() if model.validation.height]
    found = []
    for model in seen:
        validated = model.validation.select("patient_key", "fold").unique()
        both = validated.join(tested, on=["patient_key", "fold"], how="semi")
        if both.height:
            found.append(Overlap(model.name, both))
    return Overlaps(len(seen), tuple(found), tuple(sorted(set(task.models) - {model.name for model in seen})))


def tell(_: AuditedTask, found: Overlaps) -> Sequence[Verdict]:
    """One verdict for each failed experiment; one for all if none failed."""
    if found.found:
        return [
            Verdict(
                "failed",
                f"{each.rows.height:,} patients are tested and validated in the same rotation.",
                each.rows.height,
                each.rows.head(10).to_dicts(),
                about=each.experiment,
            )
            for each in found.found
        ]
    said = []
    if found.looked_at:
        said.append(f"in none of {found.looked_at} experiments is a validation patient tested in the same rotation.")
    if found.without_validation:
        start = "No" if said else "no"
        said.append(f"{start} validation predictions to look at: {', '.join(found.without_validation)}.")
    return [
        Verdict(
            "passed" if found.looked_at else "not_applicable", " ".join(said) or "there is no experiment to look at."
        )
    ]


KIND = Audit(
    code="GATE002",
    title="patients tested and validated by the same fit",
    severity="error",
    subject=AuditedTask,
    measure=measure,
    tell=tell,
)
