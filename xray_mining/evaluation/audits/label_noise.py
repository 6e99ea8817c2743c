"""NOISE001: labels that the best model contradicts with confidence (Northcutt, Jiang & Chuang, JAIR 70:1373, 2021).

The audit lists them and never fails, because a weak model contradicts correct labels too.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
import polars as pl

from xray_mining.evaluation.audits._audit import Audit, AuditedTask, Figure, NotApplicable, Verdict
from xray_mining.evaluation.task import Array
from xray_mining.records.small_counts import is_small, told

LISTED = 10
"""Number of suspects that are named; the model contradicts these most."""


@dataclass(frozen=True, slots=True)
class Labelled:
    """Counts of the units with one label."""

    label: str
    images: int
    suspects: int
    patients: int


@dataclass(frozen=True, slots=True)
class Suspect:
    """A unit whose label is contradicted."""

    unit_key: str
    label: str
    probability: float
    """Predicted probability of the positive label."""


@dataclass(frozen=True, slots=True)
class Suspects:
    """Units whose label is contradicted."""

    experiment: str
    by_label: tuple[Labelled, ...]
    images: int
    first: tuple[Suspect, ...]
    """The first LISTED."""

    @property
    def count(self) -> int:
        """Number of suspects of both labels."""
        return sum(each.suspects for each in self.by_label)


def suspects(truth: Array, probability: Array) -> Array:
    """Find units whose label the probabilities contradict.

    Args:
        truth: (n,) bool, True for the positive label; both labels are present.
        probability: (n,) float64 in [0, 1], of the positive label.

    Returns:
        (n,) bool, True if the probability of the other label is above 0.5, and at least as high as its mean over the
        units that have the other label.
    """
    as_positive = probability[truth].mean()
    as_negative = (1 - probability[~truth]).mean()
    found = np.where(truth, 1 - probability >= as_negative, probability >= as_positive)
    # The mean of a weak model can be below 0.5. Then also require that the model prefers the other label.
    return found & np.where(truth, probability < 0.5, probability > 0.5)


def measure(audited: AuditedTask) -> Suspects | NotApplicable:
    """The number of suspects by label, and the first of them."""
    task, model = audited.task, audited.best
    pair = task.kind.two_labels(task)
    if pair is None:
        return NotApplicable(f"targets of kind {task.target.kind} are not searched for wrong labels; binary ones are.")
    if model is None:
        return NotApplicable("no best model was chosen.")
    side = next(task.kind.probabilities(task, model), None)
    if side is None:
        return NotApplicable("the best model gives scores that are not probabilities.")
    truth, values, owner = side.positive, side.values, task.owner[side.units]
    if truth.all() or not truth.any():
        return NotApplicable("all test units have the same label.")
    found = suspects(truth, values)
    by_label = []
    for positive, label in zip((True, False), pair, strict=True):
        of_class = truth == positive
        patients = len(np.unique(owner[of_class]))
        by_label.append(Labelled(label, int(of_class.sum()), int((found & of_class).sum()), patients))
    margin = np.where(truth, 1 - values, values)
    first = np.flatnonzero(found)[np.argsort(-margin[found], kind="stable")][:LISTED]
    keys, labels = task.units["unit_key"].filter(pl.Series(side.units)), task.labels[side.units]
    listed = tuple(Suspect(keys[int(i)], str(labels[i]), round(float(values[i]), 3)) for i in first)
    return Suspects(model.name, tuple(by_label), len(truth), listed)


def tell(audited: AuditedTask, found: Suspects) -> Sequence[Verdict]:
    """Always passed, with the number of suspects."""
    who = audited.task.words(found.experiment)
    count = told(found.count, audited.options.least_patients)
    sentence = f"{count} of {found.images:,} labels are contradicted with confidence by {who}."
    return [Verdict("passed", sentence, found.count, [asdict(each) for each in found.first])]


def figures(audited: AuditedTask, found: Suspects) -> Sequence[Figure]:
    """One row for each label; without numbers if one label, or its suspects, are few patients."""
    least = audited.options.least_patients
    few = any(is_small(count, least) for each in found.by_label for count in (each.patients, each.suspects))
    return [
        Figure(
            experiment=found.experiment,
            label=each.label,
            metric="suspects_share",
            value=None if few else each.suspects / each.images,
            patients=0 if few else each.patients,
            words=(
                f"numbers are hidden: some are of fewer than {least} patients"
                if few
                else f"{each.suspects:,} of {each.images:,} labelled {each.label} are contradicted with confidence"
            ),
        )
        for each in found.by_label
    ]


KIND = Audit(
    code="NOISE001",
    title="labels that the best model contradicts",
    severity="note",
    subject=AuditedTask,
    measure=measure,
    tell=tell,
    figures=figures,
    family="label_noise",
)
