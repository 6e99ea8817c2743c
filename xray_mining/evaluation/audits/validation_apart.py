"""GATE002: no patient may be a test patient and a validation patient of the same fit."""

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from xray_mining.evaluation.audits._audit import Audit, AuditedTask, Verdict


@dataclass(frozen=True, slots=True)
class Overlap:
    """Patients of one experiment that are both test and validation patients of a rotation."""

    experiment: str
    rows: pl.DataFrame
    """patient_key and fold."""


@dataclass(frozen=True, slots=True)
class Overlaps:
    """The result for all experiments."""

    looked_at: int
    """Number of experiments that could be checked."""
    found: tuple[Overlap, ...]
    without_validation: tuple[str, ...]
    """Experiments that could not be checked, because they have no validation predictions."""


def measure(audited: AuditedTask) -> Overlaps:
    """Find patients that are in validation and test rows of the same rotation, by experiment."""
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
                f"{each.rows.height:,} patients are both test and validation patients of the same rotation.",
                each.rows.height,
                each.rows.head(10).to_dicts(),
                about=each.experiment,
            )
            for each in found.found
        ]
    said = []
    if found.looked_at:
        said.append(f"no validation patient is a test patient of the same rotation, in {found.looked_at} experiments.")
    if found.without_validation:
        names = ", ".join(found.without_validation)
        said.append(f"{'Not' if said else 'not'} checked, because they have no validation predictions: {names}.")
    return [
        Verdict("passed" if found.looked_at else "not_applicable", " ".join(said) or "there is no experiment to check.")
    ]


KIND = Audit(
    code="GATE002",
    title="patients who are test and validation patients of the same fit",
    severity="error",
    subject=AuditedTask,
    measure=measure,
    tell=tell,
)
