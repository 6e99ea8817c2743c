"""Counts of patients in rows of estimates that are small, or give a small number away by subtraction."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from xray_mining.evaluation.task import Task
from xray_mining.records.estimates import EstimateRow
from xray_mining.records.small_counts import is_small


def labels_unknown_of_few(task: Task, least: int) -> frozenset[str]:
    """Labels whose truth is not known for some units, of fewer than `least` patients; for other kinds none."""
    return frozenset(name for name, part in task.parts.items() if is_small(_patients_without(task, part), least))


def _patients_without(task: Task, part: Task) -> int:
    unknown = task.units.join(part.units.select("unit_key"), on="unit_key", how="anti")
    return int(unknown["patient_key"].n_unique())


def without_small_counts(task: Task, rows: Sequence[EstimateRow], least: int) -> list[EstimateRow]:
    """Rows of all test units, without patients and images where they are few, or where the others are.

    Sensitivity is of the positives, a predictive value of those called so: each has its other side in another row. Of
    a label that is not known of few patients no row has counts.
    """
    few = labels_unknown_of_few(task, least)
    return [replace(each, patients=0, images=0) if _hides(task, each, few, least) else each for each in rows]


def _hides(task: Task, row: EstimateRow, few: frozenset[str], least: int) -> bool:
    if row.class_ in few or is_small(row.patients, least):
        return True
    if row.split != "test" or row.variant:
        return False
    part = task.parts.get(row.class_, task)
    known = part.models[row.experiment].known
    if row.baseline:
        known = known & part.models[row.baseline].known
    patients = len(np.unique(part.owner[known]))
    return is_small(patients - row.patients, least) or is_small(int(known.sum()) - row.images, least)
