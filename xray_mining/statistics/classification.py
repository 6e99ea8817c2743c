"""Classes called by a threshold: thresholds are set on validation units, figures are computed on test units."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from xray_mining.statistics.auc import areas_over_folds, logit_interval
from xray_mining.statistics.estimate import Estimate, Floats, Integers, binary, finite, owners
from xray_mining.statistics.resampling import interval, patient_sums, proportion_interval

PROPORTIONS = {
    "sensitivity": ((0,), (0, 2)),
    "specificity": ((3,), (1, 3)),
    "positive_predictive_value": ((0,), (0, 1)),
    "negative_predictive_value": ((3,), (2, 3)),
    "accuracy": ((0, 3), (0, 1, 2, 3)),
}
"""Which of (true positive, false positive, false negative, true negative) are hits, and which units."""

SUMMARIES = ("balanced_accuracy", "f1", "mcc")


def youden_threshold(labels: ArrayLike, scores: ArrayLike) -> float:
    """The threshold with the largest sensitivity + specificity - 1: a unit is called positive at or above it.

    Midway between two neighbouring scores, so that it does not hang on one unit; the lowest of equals.
    """
    positive = binary(labels)
    values = finite("scores", scores, positive.shape)
    steps, sensitivity, specificity = _steps(positive, values)
    best = int(np.argmax(np.round(sensitivity + specificity, 12)))
    return _between(steps, best)


def sensitivity_threshold(labels: ArrayLike, scores: ArrayLike, sensitivity: float) -> float:
    """The highest threshold at which at least `sensitivity` of the positives are called."""
    positive = binary(labels)
    values = finite("scores", scores, positive.shape)
    steps, reached, _ = _steps(positive, values)
    return _between(steps, int(np.flatnonzero(reached >= sensitivity - 1e-12)[-1]))


def _steps(positive: np.ndarray, values: Floats) -> tuple[Floats, Floats, Floats]:
    if not positive.any() or positive.all():
        raise ValueError("a threshold needs both classes")
    steps = np.unique(values)
    hits = np.searchsorted(np.sort(values[positive]), steps, side="left")
    misses = np.searchsorted(np.sort(values[~positive]), steps, side="left")
    return steps, 1 - hits / positive.sum(), misses / (~positive).sum()


def _between(steps: Floats, index: int) -> float:
    return float(steps[index] if index == 0 else (steps[index] + steps[index - 1]) / 2)


def called_metrics(
    labels: ArrayLike,
    called: ArrayLike,
    patients: ArrayLike | None = None,
    *,
    confidence: float = 0.95,
    draws: int = 2000,
    seed: int = 0,
) -> dict[str, Estimate]:
    """Figures of units called positive or not, (n,) bool, against `labels` (n,), by name.

    Proportions with Wilson's interval at their effective size; balanced_accuracy, f1 and mcc by bootstrap of patients.
    nan where a class is not there.
    """
    positive, call = binary(labels), binary(called)
    if call.shape != positive.shape:
        raise ValueError("labels and called have different shapes")
    owner = owners(patients, len(positive))
    cells = np.stack([positive & call, ~positive & call, positive & ~call, ~positive & ~call], axis=1)
    sums = patient_sums(cells, owner)
    found = {}
    for name, (hits, units) in PROPORTIONS.items():
        share = proportion_interval(np.stack([sums[:, hits].sum(1), sums[:, units].sum(1)], axis=1), confidence)
        counted = int((sums[:, units].sum(1) > 0).sum())
        images = int(cells[:, units].sum())
        found[name] = Estimate(*share, counted, images, "Wilson, effective size")
    value, low, high = interval(sums, _summaries, confidence, draws, seed)
    for i, name in enumerate(SUMMARIES):
        method = "bootstrap of patients, BCa"
        found[name] = Estimate(float(value[i]), float(low[i]), float(high[i]), len(sums), len(positive), method)
    return found


def _summaries(sums: Floats) -> Floats:
    hit, alarm, missed, quiet = (sums[..., i] for i in range(4))
    sensitivity = hit / np.where(hit + missed > 0, hit + missed, np.nan)
    specificity = quiet / np.where(quiet + alarm > 0, quiet + alarm, np.nan)
    f1 = 2 * hit / np.where(2 * hit + alarm + missed > 0, 2 * hit + alarm + missed, np.nan)
    root = np.sqrt((hit + alarm) * (hit + missed) * (quiet + alarm) * (quiet + missed))
    mcc = np.where(root > 0, (hit * quiet - alarm * missed) / np.where(root > 0, root, 1), 0.0)
    return np.stack([(sensitivity + specificity) / 2, f1, mcc], axis=-1)


def compare_called(
    labels: ArrayLike, first: ArrayLike, second: ArrayLike, patients: ArrayLike | None = None, confidence: float = 0.95
) -> dict[str, Estimate]:
    """Paired differences (first minus second) of sensitivity and specificity of two calls, with clustered McNemar p."""
    from xray_mining.statistics.comparison import mcnemar
    from xray_mining.statistics.resampling import linear_interval

    positive = binary(labels)
    a, b = binary(first), binary(second)
    owner = owners(patients, len(positive))
    found = {}
    for name, members, right in (("sensitivity", positive, True), ("specificity", ~positive, False)):
        good_a, good_b = a[members] == right, b[members] == right
        own = owners(owner[members], int(members.sum()))
        if not len(own):
            continue
        apart = good_a.astype(np.float64) - good_b
        value = float(apart.mean())
        low, high, _ = linear_interval(value, (apart - value) / len(apart), own, confidence)
        count = int(own.max()) + 1
        found[name] = Estimate(value, low, high, count, len(own), "paired, McNemar", "", mcnemar(good_a, good_b, own))
    return found


def group_metrics(
    truth: Sequence[str] | ArrayLike,
    probabilities: ArrayLike,
    classes: Sequence[str],
    patients: ArrayLike | None = None,
    *,
    confidence: float = 0.95,
    draws: int = 2000,
    seed: int = 0,
) -> dict[str, Estimate]:
    """accuracy, balanced_accuracy, f1_macro and kappa of several classes; the largest probability is called.

    `truth` (n,) labels out of `classes`; `probabilities` (n, classes). Interval by bootstrap of patients; classes that
    no unit has are left out of the means over classes.
    """
    names = np.asarray(truth)
    values = finite("probabilities", probabilities)
    number = {name: i for i, name in enumerate(classes)}
    true = np.array([number[name] for name in names.tolist()], dtype=np.int64)
    size, width = values.shape
    owner = owners(patients, size)
    cells = np.zeros((size, width * width))
    cells[np.arange(size), true * width + values.argmax(axis=1)] = 1

    def statistic(sums: Floats) -> Floats:
        table = sums.reshape(*sums.shape[:-1], width, width)
        right = np.diagonal(table, axis1=-2, axis2=-1)
        in_truth, in_call = table.sum(axis=-1), table.sum(axis=-2)
        total = table.sum(axis=(-1, -2))
        recall = right / np.where(in_truth > 0, in_truth, np.nan)
        f1 = np.where(in_truth + in_call > 0, 2 * right / np.maximum(in_truth + in_call, 1e-300), np.nan)
        seen = right.sum(axis=-1) / total
        chance = (in_truth * in_call).sum(axis=-1) / total**2
        return np.stack(
            [
                seen,
                np.nanmean(recall, axis=-1),
                np.nanmean(f1, axis=-1),
                (seen - chance) / np.where(chance < 1, 1 - chance, np.nan),
            ],
            axis=-1,
        )

    value, low, high = interval(patient_sums(cells, owner), statistic, confidence, draws, seed)
    count = int(owner.max()) + 1
    names_of = ("accuracy", "balanced_accuracy", "f1_macro", "kappa")
    return {
        name: Estimate(float(value[i]), float(low[i]), float(high[i]), count, size, "bootstrap of patients, BCa")
        for i, name in enumerate(names_of)
    }


def macro_auc(
    truth: ArrayLike,
    probabilities: ArrayLike,
    classes: Sequence[str],
    patients: ArrayLike | None = None,
    folds: ArrayLike | None = None,
    *,
    confidence: float = 0.95,
) -> Estimate:
    """Mean over classes of each class's area against the others, its variance from influences summed per patient.

    `truth` is (n,) labels out of `classes`, or, where a unit may have several labels or none, (n, classes) of 0 and 1,
    nan where a label is not known; `probabilities` (n, classes). A class that all or no units have is left out.
    """
    names, values = np.asarray(truth), finite("probabilities", probabilities)
    owner = owners(patients, len(names))
    value, influence, smallest = _macro_influence(names, values, classes, owner, folds)
    sums = np.bincount(owner, influence)
    variance = float((sums**2).sum() * len(sums) / max(len(sums) - 1, 1))
    low, high = logit_interval(value, variance, smallest, len(sums), confidence)
    return Estimate(value, float(low), float(high), len(sums), len(names), "influence function, logit scale")


def compare_macro_auc(
    truth: ArrayLike,
    first: ArrayLike,
    second: ArrayLike,
    classes: Sequence[str],
    patients: ArrayLike | None = None,
    *,
    folds: ArrayLike | None = None,
    confidence: float = 0.95,
) -> Estimate:
    """Paired difference (first minus second) of two models' `macro_auc` on the same units, with a two-sided p.

    Its variance is that of the differences of influences, summed per patient. The same model twice gives p = 1.
    """
    from xray_mining.statistics.resampling import linear_interval

    names = np.asarray(truth)
    owner = owners(patients, len(names))
    given = [finite("probabilities", each) for each in (first, second)]
    (a, own_a, _), (b, own_b, _) = (_macro_influence(names, each, classes, owner, folds) for each in given)
    low, high, error = linear_interval(a - b, own_a - own_b, owner, confidence)
    count = int(owner.max()) + 1
    p = np.nan
    if np.isfinite(error):
        p = float(2 * stats.t.sf(abs(a - b) / error, count - 1)) if error > 1e-12 else (1.0 if a == b else np.nan)
    return Estimate(a - b, low, high, count, len(names), "paired, influence function by patient", "", p)


def _macro_influence(
    names: NDArray[Any], values: Floats, classes: Sequence[str], owner: Integers, folds: ArrayLike | None
) -> tuple[float, Floats, int]:
    """The macro area, each unit's influence on it (n,), and how many patients its rarest class has."""
    from xray_mining.statistics.auc import auc_influence

    fold = np.zeros(len(names), dtype=np.int64) if folds is None else np.asarray(folds)
    influence, areas, smallest = np.zeros(len(names)), [], []
    for i, name in enumerate(classes):
        label = names[:, i] == 1 if names.ndim == 2 else names == name
        known = np.isfinite(names[:, i]) if names.ndim == 2 else np.ones(len(names), dtype=bool)
        parts = [known & (fold == each) for each in np.unique(fold)]
        inside = [members for members in parts if label[members].any() and not label[members].all()]
        if not inside:
            continue
        found = areas_over_folds(label[known], values[known, i], owner[known], fold[known])
        areas.append(float(found.values[0]))
        smallest.append(found.positives)
        for members in inside:
            influence[members] += auc_influence(label[members], values[members, i])[1] / len(inside)
    if not areas:
        raise ValueError("an area needs both classes")
    return float(np.mean(areas)), influence / len(areas), min(smallest)
