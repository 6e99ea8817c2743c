"""DRIFT002: whether the best model's error changes over the years of the studies."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from scipy import stats

from xray_mining.evaluation.audits._audit import LEVEL, Audit, AuditedTask, Figure, NotApplicable, Verdict
from xray_mining.evaluation.task import Array
from xray_mining.records.images import YEARS_ARE_SHIFTED

LEAST_PATIENTS = 10


@dataclass(frozen=True, slots=True)
class Slope:
    """Change per year, with its interval."""

    value: float
    low: float
    high: float
    p_value: float


def measure(audited: AuditedTask) -> Slope | NotApplicable:
    """The slope of the absolute error over the study year; for a probability the error is its distance from 0 or 1."""
    task, model = audited.task, audited.best
    years = task.units["study_year"].cast(pl.Float64).fill_null(np.nan).to_numpy()
    if model is None or not task.kind.one_value:
        return NotApplicable("there is no best model, or its errors are not single numbers.")
    known = model.known & np.isfinite(years)
    owner = task.owner[known]
    if len(np.unique(years[known])) < 2 or len(np.unique(owner)) < LEAST_PATIENTS:
        return NotApplicable("its studies are of one year, or of too few patients, or their years are unknown.")
    losses = task.kind.losses(task, model)
    if losses is None:
        return NotApplicable("the best model has no probabilities.")
    return slope(years[known], losses[known], owner, audited.options.confidence)


def slope(x: Array, y: Array, owner: Array, confidence: float) -> Slope:
    """Least-squares slope of y (n,) on x (n,), with Student's interval and p; the variance is computed by patient.

    The interval needs no widening for folds that share training patients: such an error is the same in early and late
    years, so it cancels out of the slope.
    """
    centred = x - x.mean()
    square = float((centred**2).sum())
    value = float((centred * y).sum() / square)
    influence = centred * (y - y.mean() - value * centred) / square
    sums = np.bincount(owner, influence)
    count = len(np.unique(owner))
    error = float(np.sqrt((sums**2).sum() * count / (count - 1)))
    half = float(stats.t.ppf(0.5 + confidence / 2, count - 1)) * error
    p = float(2 * stats.t.sf(abs(value) / error, count - 1)) if error > 0 else 1.0
    return Slope(value, value - half, value + half, p)


def words(audited: AuditedTask, found: Slope) -> str:
    """The slope as a clause."""
    ends = f"({found.low:.3f} to {found.high:.3f})"
    return f"the absolute error changes by {found.value:.3f}{audited.task.unit} a year {ends}"


def tell(audited: AuditedTask, found: Slope) -> Sequence[Verdict]:
    """Failed if the slope is more than chance."""
    failed = found.p_value <= LEVEL
    sentence = f"{words(audited, found)}. {YEARS_ARE_SHIFTED}"
    return [Verdict("failed" if failed else "passed", sentence, int(failed))]


def figures(audited: AuditedTask, found: Slope) -> Sequence[Figure]:
    """One row."""
    return [
        Figure(
            experiment=audited.choice.best,
            attribute="study_year",
            metric="error_per_year",
            value=found.value,
            low=found.low,
            high=found.high,
            patients=audited.task.patients,
            p_value=found.p_value,
            p_adjusted=found.p_value,
            words=words(audited, found),
        )
    ]


KIND = Audit(
    code="DRIFT002",
    title="the best model over the years",
    severity="warning",
    subject=AuditedTask,
    measure=measure,
    tell=tell,
    figures=figures,
    family="drift",
)
