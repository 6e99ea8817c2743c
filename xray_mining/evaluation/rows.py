"""Estimates as rows of the record."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from xray_mining.evaluation.task import Model, Scored, Task
from xray_mining.statistics.estimate import Estimate

UNITLESS = {
    "r2", "rmae", "mae_ratio", "pearson", "spearman", "ccc", "calibration_slope", "slope_on_truth", "within_5",
    "within_10", "within_limits", "kappa_quadratic",
}  # fmt: skip


def number(value: float | None) -> float | None:
    """A float for a record: null where it is nan or infinite."""
    return None if value is None or not math.isfinite(value) else float(value)


def row(task: Task, model: Model, metric: str, estimate: Estimate, **more: Any) -> dict[str, Any]:
    """One row of estimates; `more` overrides baseline, class, level, variant, subgroup, split, threshold, ….

    The caution keeps the estimate's, and says when there are too few patients for an interval.
    """
    unit = task.target.unit if task.kind.has_unit and metric not in UNITLESS else ""
    caution = estimate.caution
    if not math.isfinite(estimate.value):
        caution = caution or "not defined for these predictions"
    found = {
        "experiment": model.name,
        "experiment_digest": model.digest,
        "model_kind": model.kind,
        "cohort_digest": task.cohort.digest,
        "baseline": "",
        "target": task.target.name,
        "class": "",
        "metric": metric,
        "unit": unit,
        "level": task.level,
        "variant": "",
        "subgroup": "all",
        "split": "test",
        "threshold": None,
        "patients": estimate.patients,
        "images": estimate.images,
        "value": number(estimate.value),
        "low": number(estimate.low),
        "high": number(estimate.high),
        "method": estimate.method,
        "p_value": number(estimate.p_value),
        "p_adjusted": None,
        "family": "",
        "operating_point": None,
        "caution": caution or None,
    }
    return found | more


def scored_row(task: Task, model: Model, scored: Scored, **more: Any) -> dict[str, Any]:
    """One row of what a kind of target scored."""
    about = {"class": scored.class_, "operating_point": scored.operating_point, "threshold": scored.threshold}
    return row(task, model, scored.metric, scored.found, **about | more)


def rows_of(task: Task, model: Model, estimates: Mapping[str, Estimate], **more: Any) -> list[dict[str, Any]]:
    """Rows of several metrics."""
    return [row(task, model, metric, estimate, **more) for metric, estimate in estimates.items()]


def bare(value: float, patients: int, images: int, method: str) -> Estimate:
    """A value that is used to choose, and printed without an interval."""
    return Estimate(value, np.nan, np.nan, patients, images, method)
