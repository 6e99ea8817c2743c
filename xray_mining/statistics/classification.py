"""Figures of classes called by a threshold; thresholds are set on validation units, figures computed on test units."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from xray_mining.statistics.estimate import Booleans, Estimate, Floats, binary, finite, owners
from xray_mining.statistics.refit import all_widened, filled, refit_of, share_of_class
from xray_mining.statistics.resampling import SCORE, interval, patient_sums, proportion_interval, without_interval

PROPORTIONS = {
    "sensitivity": ((0,), (0, 2)),
    "specificity": ((3,), (1, 3)),
    "positive_predictive_value": ((0,), (0, 1)),
    "negative_predictive_value": ((3,), (2, 3)),
    "accuracy": ((0, 3), (0, 1, 2, 3)),
}
"""Cells of (true positive, false positive, false negative, true negative) in the numerator and the denominator."""

SUMMARIES = ("balanced_accuracy", "f1", "mcc")


def youden_threshold(labels: ArrayLike, scores: ArrayLike) -> float:
    """The threshold with the largest sensitivity + specificity - 1; a unit is called positive at or above it.

    It is midway between two neighbouring scores, so that it does not depend on one unit; the lowest of equally good
    ones.

    Args:
        labels: (n,) of 0 and 1.
        scores: (n,) finite, higher means more positive.

    Raises:
        ValueError: If a class has no unit.

    Example:
        >>> youden_threshold([0, 0, 1, 1], [1.0, 2.0, 4.0, 5.0])
        3.0
    """
    positive = binary(labels)
    values = finite("scores", scores, positive.shape)
    steps, sensitivity, specificity = _steps(positive, values)
    best = int(np.argmax(np.round(sensitivity + specificity, 12)))
    return _between(steps, best)


def sensitivity_threshold(labels: ArrayLike, scores: ArrayLike, sensitivity: float) -> float:
    """The highest threshold at which at least the share `sensitivity` of the positives is called positive.

    Example:
        >>> sensitivity_threshold([0, 0, 1, 1], [1.0, 4.0, 2.0, 5.0], 0.5)
        4.5
    """
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
    folds: ArrayLike | None = None,
    again: ArrayLike | None = None,
    confidence: float = 0.95,
    draws: int = 2000,
    seed: int = 0,
) -> dict[str, Estimate]:
    """Figures of units that were called positive or negative: PROPORTIONS and SUMMARIES by name.

    Args:
        labels: (n,) of 0 and 1.
        called: (n,) bool, whether the unit was called positive.
        patients: (n,) any labels; without it every unit is a patient.
        folds: (n,) the fold that tested the unit.
        again: (n,) call of another fold's fit: 1, 0, or nan if missing. `folds` and `again` widen the intervals for
            shared training patients (see `refit`).
        confidence: Coverage of the intervals, in (0, 1).
        draws: Draws of the bootstrap.
        seed: Its seed.

    Returns:
        Estimate by name, nan if a class is missing. Proportions have Wilson's score interval clustered by patient;
        balanced_accuracy, f1 and mcc a bootstrap of patients (BCa).

    Raises:
        ValueError: If labels or calls are not 0 and 1, or their shapes differ.

    Example:
        >>> found = called_metrics([0, 0, 0, 1, 1, 1], [False, True, False, True, True, False])
        >>> print(found["sensitivity"])
        0.667 (nan to nan; 3 patients)
    """
    positive, call = binary(labels), binary(called)
    if call.shape != positive.shape:
        raise ValueError("labels and called have different shapes")
    owner = owners(patients, len(positive))
    cells = _cells(positive, call)
    sums = patient_sums(cells, owner)
    found = {}
    for name, (hits, units) in PROPORTIONS.items():
        share = proportion_interval(np.stack([sums[:, hits].sum(1), sums[:, units].sum(1)], axis=1), confidence)
        counted = int((sums[:, units].sum(1) > 0).sum())
        images = int(cells[:, units].sum())
        found[name] = Estimate(*share, counted, images, SCORE, without_interval(counted))
    value, low, high = interval(sums, _summaries, confidence, draws, seed)
    for i, name in enumerate(SUMMARIES):
        method = "bootstrap of patients, BCa"
        found[name] = Estimate(float(value[i]), float(low[i]), float(high[i]), len(sums), len(positive), method)
    refit = refit_of(folds, owner, again)
    if refit is None:
        return found
    others = patient_sums(_cells(positive, filled(again, call.astype(np.float64)) > 0.5), owner)
    factors = dict(zip(SUMMARIES, refit.factor_of_sums(sums, others, _summaries).tolist(), strict=True))
    shares = refit.factor_of_sums(sums, others, _proportions)
    of_pairs = {name: found[name].patients / len(sums) for name in PROPORTIONS}
    of_pairs |= {"sensitivity": share_of_class(positive), "specificity": share_of_class(~positive)}
    for name, factor in zip(PROPORTIONS, shares.tolist(), strict=True):
        factors[name] = 1 + (factor - 1) * of_pairs[name]
    return all_widened(found, factors, refit.caution)


def _cells(positive: Booleans, call: Booleans) -> Booleans:
    """True positives, false positives, false negatives, true negatives, (n, 4)."""
    return np.stack([positive & call, ~positive & call, positive & ~call, ~positive & ~call], axis=1)


def _proportions(sums: Floats) -> Floats:
    """PROPORTIONS from sums of cells (..., 4)."""
    shares = [
        sums[..., hits].sum(axis=-1) / np.where((whole := sums[..., units].sum(axis=-1)) > 0, whole, np.nan)
        for hits, units in PROPORTIONS.values()
    ]
    return np.stack(shares, axis=-1)


def _summaries(sums: Floats) -> Floats:
    hit, alarm, missed, quiet = (sums[..., i] for i in range(4))
    sensitivity = hit / np.where(hit + missed > 0, hit + missed, np.nan)
    specificity = quiet / np.where(quiet + alarm > 0, quiet + alarm, np.nan)
    f1 = 2 * hit / np.where(2 * hit + alarm + missed > 0, 2 * hit + alarm + missed, np.nan)
    root = np.sqrt((hit + alarm) * (hit + missed) * (quiet + alarm) * (quiet + missed))
    mcc = np.where(root > 0, (hit * quiet - alarm * missed) / np.where(root > 0, root, 1), 0.0)
    return np.stack([(sensitivity + specificity) / 2, f1, mcc], axis=-1)


def compare_called(
    labels: ArrayLike,
    first: ArrayLike,
    second: ArrayLike,
    patients: ArrayLike | None = None,
    confidence: float = 0.95,
    *,
    folds: ArrayLike | None = None,
    again: tuple[ArrayLike | None, ArrayLike | None] = (None, None),
) -> dict[str, Estimate]:
    """Paired differences (first minus second) in sensitivity and specificity of two calls of the same units.

    Interval and p belong to one test (`comparison.difference_of_pairs`). `folds` (n,) and `again`, the calls of both
    models by another fold's fit, as in `called_metrics`.
    """
    from xray_mining.statistics.comparison import difference_of_pairs

    positive = binary(labels)
    a, b = binary(first), binary(second)
    owner = owners(patients, len(positive))
    found = {}
    # Sensitivity is computed among positives, specificity among negatives: each is a comparison of its own units.
    for name, members, right in (("sensitivity", positive, True), ("specificity", ~positive, False)):
        good_a, good_b = a[members] == right, b[members] == right
        own = owners(owner[members], int(members.sum()))
        if not len(own):
            continue
        apart = good_a.astype(np.float64) - good_b
        # Calls of other folds' fits on the same units measure the effect of shared training patients.
        there = [None if calls is None else np.asarray(calls, dtype=np.float64)[members] for calls in again]
        refit = refit_of(
            None if folds is None else np.asarray(folds)[members],
            own,
            *there,
            pair=True,
            share=share_of_class(members),
        )
        factor = 1.0
        if refit is not None:
            calls_a, calls_b = (
                filled(calls, given[members].astype(np.float64)) > 0.5
                for calls, given in zip(there, (a, b), strict=True)
            )
            other = (calls_a == right).astype(np.float64) - (calls_b == right)
            factor = refit.factor_of_units(apart - apart.mean(), other - other.mean(), own)
        each = difference_of_pairs(good_a, good_b, own, confidence, widening=factor)
        found[name] = each if refit is None or not refit.caution else each.with_caution(refit.caution)
    return found


def _of_table(sums: Floats) -> Floats:
    """Accuracy, balanced accuracy, macro F1 and kappa (..., 4) from tables of truth × call (..., classes squared)."""
    width = math.isqrt(sums.shape[-1])
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


def group_metrics(
    truth: Sequence[str] | ArrayLike,
    probabilities: ArrayLike,
    classes: Sequence[str],
    patients: ArrayLike | None = None,
    *,
    folds: ArrayLike | None = None,
    again: ArrayLike | None = None,
    confidence: float = 0.95,
    draws: int = 2000,
    seed: int = 0,
) -> dict[str, Estimate]:
    """accuracy, balanced_accuracy, f1_macro and kappa of several classes; the most probable class is called.

    Args:
        truth: (n,) labels out of `classes`.
        probabilities: (n, classes) finite.
        classes: Names of the classes, in the order of the columns.
        patients: (n,) any labels; without it every unit is a patient.
        folds: (n,) the fold that tested the unit.
        again: (n, classes) probabilities by another fold's fit, nan if missing. `folds` and `again` widen the intervals
            for shared training patients (see `refit`).
        confidence: Coverage of the intervals, in (0, 1).
        draws: Draws of the bootstrap.
        seed: Its seed.

    Returns:
        Estimate by name, interval by bootstrap of patients (BCa); means over classes leave out classes without units.

    Raises:
        ValueError: If a probability is not finite.
        KeyError: If a label is not one of `classes`.

    Example:
        >>> chances = [[0.7, 0.2, 0.1], [0.2, 0.5, 0.3], [0.1, 0.6, 0.3]]
        >>> round(group_metrics(["a", "b", "c"], chances, ["a", "b", "c"])["accuracy"].value, 3)
        0.667
    """
    names = np.asarray(truth)
    values = finite("probabilities", probabilities)
    number = {name: i for i, name in enumerate(classes)}
    true = np.array([number[name] for name in names.tolist()], dtype=np.int64)
    size, width = values.shape
    owner = owners(patients, size)

    def cells(given: Floats) -> Floats:
        called = np.zeros((size, width * width))
        called[np.arange(size), true * width + given.argmax(axis=1)] = 1
        return patient_sums(called, owner)

    sums = cells(values)
    value, low, high = interval(sums, _of_table, confidence, draws, seed)
    count = int(owner.max()) + 1
    names_of = ("accuracy", "balanced_accuracy", "f1_macro", "kappa")
    found = {
        name: Estimate(float(value[i]), float(low[i]), float(high[i]), count, size, "bootstrap of patients, BCa")
        for i, name in enumerate(names_of)
    }
    refit = refit_of(folds, owner, again)
    if refit is None:
        return found
    factors = refit.factor_of_sums(sums, cells(filled(again, values)), _of_table)
    return all_widened(found, dict(zip(names_of, factors.tolist(), strict=True)), refit.caution)
