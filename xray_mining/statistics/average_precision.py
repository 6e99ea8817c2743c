"""Average precision (area under precision against recall), with the infinitesimal jackknife over patients."""

from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from xray_mining.statistics import measured
from xray_mining.statistics.auc import FEW_IN_CLASS, logit_interval
from xray_mining.statistics.estimate import Booleans, Estimate, Floats, Integers, binary, finite, owners
from xray_mining.statistics.refit import filled, refit_of


def average_precision(
    labels: ArrayLike,
    scores: ArrayLike,
    patients: ArrayLike | None = None,
    folds: ArrayLike | None = None,
    confidence: float = 0.95,
    *,
    again: ArrayLike | None = None,
) -> Estimate:
    """Average precision (as scikit-learn's average_precision_score), a mean over folds.

    Scores of different folds come from different fits and are not ranked together; a fold without positives is left
    out, with its patients.

    Args:
        labels: (n,) of 0 and 1.
        scores: (n,) finite, higher means more positive.
        patients: (n,) any labels; without it every unit is a patient.
        folds: (n,) the fold that tested the unit.
        confidence: Coverage of the interval, in (0, 1).
        again: (n,) scores of the same units by another fold's fit, nan if missing (see `refit`).

    Returns:
        Estimate in [0, 1], interval on the logit scale from the infinitesimal jackknife over patients.

    Raises:
        ValueError: If there are no positives.

    Example:
        >>> print(average_precision([0, 0, 0, 1, 1, 1], [0.1, 0.4, 0.2, 0.35, 0.8, 0.7]))
        0.917 (0.024 to 1.000; 6 patients)
    """
    positive = binary(labels)
    values = finite("scores", scores, positive.shape)
    if not positive.any():
        raise ValueError("average precision needs positives")
    fold = np.zeros(len(positive), dtype=np.int64) if folds is None else np.asarray(folds)
    numbers = [each for each in np.unique(fold) if positive[fold == each].any()]
    scored = np.isin(fold, numbers)
    positive, values, fold = positive[scored], values[scored], fold[scored]
    owner = owners(owners(patients, len(scored))[scored], len(values))
    value, influence = _mean_precision(positive, values, fold)
    sums = np.bincount(owner, influence)
    count = len(sums)
    variance = float((sums**2).sum()) * count / max(count - 1, 1)
    positives = len(np.unique(owner[positive]))
    # Few positives carry most of the variance, so Student's quantile takes their number of patients.
    upper = (1 + confidence) / 2
    wide = (stats.t.ppf(upper, max(positives - 1, 1)) / stats.norm.ppf(upper)) ** 2
    caution = measured.FEW_IN_CLASS if min(positives, count - positives) < FEW_IN_CLASS else ""
    method = "infinitesimal jackknife, logit scale" + (f", mean over {len(numbers)} folds" if len(numbers) > 1 else "")
    found = Estimate(value, np.nan, np.nan, count, len(values), method, caution)
    other = None if again is None else np.asarray(again, dtype=np.float64)[scored]
    refit = refit_of(fold, owner, other)
    if refit is not None:
        there = _mean_precision(positive, filled(other, values), fold)[1] if refit.measured else influence
        variance *= refit.factor_of_units(influence, there, owner)
        found = found.with_caution(refit.caution) if refit.caution else found
    if scored.sum() < len(scored):
        found = found.with_caution("a fold without positives was left out")
    low, high = logit_interval(value, variance * wide, positives, max(count - positives, 1), confidence)
    return replace(found, low=float(low), high=float(high))


def _mean_precision(positive: Booleans, values: Floats, fold: Integers) -> tuple[float, Floats]:
    """The mean over folds of average precision, and each unit's influence on it, (n,)."""
    numbers = np.unique(fold)
    influence, precisions = np.zeros(len(values)), []
    for each in numbers:
        inside = fold == each
        precision, own = _precision_influence(positive[inside], values[inside])
        influence[inside] = own / len(numbers)
        precisions.append(precision)
    return float(np.mean(precisions)), influence


def _precision_influence(positive: Booleans, values: Floats) -> tuple[float, Floats]:
    """Average precision of (n,) scores and each unit's influence on it, (n,)."""
    order = np.argsort(-values)
    hits = positive[order].astype(np.float64)
    last = np.flatnonzero(np.concatenate((np.diff(values[order]) != 0, [True])))
    run = np.repeat(np.arange(len(last)), np.diff(np.concatenate(([-1], last))))
    above, called = np.cumsum(hits)[last], last + 1.0
    in_run = np.diff(np.concatenate(([0.0], above)))
    total = above[-1]
    precision = above / called
    value = float((in_run * precision).sum() / total)
    # d AP / d weight of unit k: its own term, plus its effect on the precision at every lower threshold.
    ahead_hit = np.cumsum((in_run / called)[::-1])[::-1]
    ahead_all = np.cumsum((in_run * above / called**2)[::-1])[::-1]
    gradient = (hits * (precision[run] - value) + hits * ahead_hit[run] - ahead_all[run]) / total
    influence = np.empty(len(values))
    influence[order] = gradient
    return value, influence
