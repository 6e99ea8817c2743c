"""Turn estimates into rows of the table `estimates`, and find rows in it."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from xray_mining.evaluation.task import Model, Scored, Task
from xray_mining.records.estimates import EstimateRow
from xray_mining.statistics.estimate import Estimate


def number(value: float | None) -> float | None:
    """`value` as a float; None if it is nan or infinite."""
    return None if value is None or not math.isfinite(value) else float(value)


def row(task: Task, model: Model, metric: str, estimate: Estimate, **more: Any) -> EstimateRow:
    """One row of estimates, for all test units and classes unless `more` says otherwise.

    Args:
        task: The scored task.
        model: The scored model.
        metric: Name of the metric.
        estimate: Its value with interval, patients and caution. A value that is not finite gets a caution.
        more: Further columns: baseline, class_, level, subgroup, threshold, ….
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
    """One row of estimates from a metric that a kind of target has computed; `more` sets further columns."""
    about = {"class_": scored.class_, "operating_point": scored.operating_point, "threshold": scored.threshold}
    return row(task, model, scored.metric, scored.found, **about | more)


def rows_of(task: Task, model: Model, estimates: Mapping[str, Estimate], **more: Any) -> list[EstimateRow]:
    """Rows of estimates for several metrics by name; `more` sets further columns."""
    return [row(task, model, metric, estimate, **more) for metric, estimate in estimates.items()]


def bare(value: float, patients: int, images: int, method: str) -> Estimate:
    """An estimate without an interval, for values that only serve to choose a model."""
    return Estimate(value, np.nan, np.nan, patients, images, method)


def of_all_units(rows: Sequence[EstimateRow], task: Task, metric: str, level: str = "") -> list[EstimateRow]:
    """The rows of one metric over all unchanged test units and all classes, at `level` (default: the task's)."""
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
    """The first row of the experiment `name`; None if it has no row."""
    return next((each for each in rows if each.experiment == name), None)
