"""Estimates as rows of the record."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from xray_mining.evaluation.task import Model, Scored, Task
from xray_mining.records.estimates import EstimateRow
from xray_mining.statistics.estimate import Estimate


def number(value: float | None) -> float | None:
    """A float for a record; null if it is nan or infinite."""
    return None if value is None or not math.isfinite(value) else float(value)


def row(task: Task, model: Model, metric: str, estimate: Estimate, **more: Any) -> EstimateRow:
    """One row of estimates; `more` gives what is not a plain metric's: baseline, class_, level, subgroup, threshold, ….

    The caution keeps the estimate's, and says where the value is not defined.
    """
    caution = estimate.caution
    if not math.isfinite(estimate.value):
        caution = caution or "not defined for these predictions"
    plain = EstimateRow(
        experiment=model.name,
        experiment_digest=model.digest,
        model_kind=model.kind,
        cohort_digest=task.cohort.digest,
        target=task.target.name,
        metric=metric,
        unit=task.target.unit if task.kind.has_unit and metric not in task.kind.unitless else "",
        level=task.level,
        patients=estimate.patients,
        images=estimate.images,
        value=number(estimate.value),
        low=number(estimate.low),
        high=number(estimate.high),
        method=estimate.method,
        p_value=number(estimate.p_value),
        caution=caution or None,
    )
    return replace(plain, **more)


def scored_row(task: Task, model: Model, scored: Scored, **more: Any) -> EstimateRow:
    """One row of what a kind of target scored."""
    about = {"class_": scored.class_, "operating_point": scored.operating_point, "threshold": scored.threshold}
    return row(task, model, scored.metric, scored.found, **about | more)


def rows_of(task: Task, model: Model, estimates: Mapping[str, Estimate], **more: Any) -> list[EstimateRow]:
    """Rows of several metrics."""
    return [row(task, model, metric, estimate, **more) for metric, estimate in estimates.items()]


def bare(value: float, patients: int, images: int, method: str) -> Estimate:
    """A value that is used to choose a model, and printed without an interval."""
    return Estimate(value, np.nan, np.nan, patients, images, method)


def of_all_units(rows: Sequence[EstimateRow], task: Task, metric: str, level: str = "") -> list[EstimateRow]:
    """The rows of one metric over all test units and classes, unchanged, at the task's level or another."""
    plain = ("", "all", "test", "", "")
    return [
        each
        for each in rows
        if each.metric == metric
        and (each.baseline, each.subgroup, each.split, each.variant, each.class_) == plain
        and each.level == (level or task.level)
        and each.target == task.target.name
        and each.value is not None
    ]


def of_experiment(rows: Iterable[EstimateRow], name: str) -> EstimateRow | None:
    """The first row of an experiment."""
    return next((each for each in rows if each.experiment == name), None)
