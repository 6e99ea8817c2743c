"""Areas under the ROC curve against one half, the area of guessing.

An area's own variance is too small with few patients, and is 0 if the ranking is perfect. A test of guessing needs the
variance that the area has if scores tell nothing: that of ranks given to units at random (Mann & Whitney 1947), here
with ties, several images of a patient and several labels. The interval takes the same variance, which Newcombe's method
5 (Statistics in Medicine 25:559, 2006) makes smaller towards areas of 0 and 1, so it includes one half exactly if p
exceeds one minus its confidence.
"""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import optimize, stats

from xray_mining.statistics.auc import area_estimate, areas_over_folds
from xray_mining.statistics.estimate import Estimate, Floats, Integers, owners

VARIANCE_OF_GUESSING = "variance of guessing"
"""The method of such estimates."""


def area_gain(
    labels: ArrayLike,
    scores: ArrayLike,
    patients: ArrayLike | None = None,
    folds: ArrayLike | None = None,
    confidence: float = 0.95,
    *,
    again: ArrayLike | None = None,
) -> Estimate:
    """`auc.auc` minus one half, with interval and two-sided p; arguments as there.

    There is neither interval nor p (nan) if a fold has only one patient of a class.
    """
    areas = areas_over_folds(labels, scores, patients, folds, again)
    whole = area_estimate(areas, 0, confidence)
    low = high = p = np.nan
    if np.isfinite(areas.covariance).all():
        truth, given = (np.asarray(each, dtype=np.float64)[:, None] for each in (labels, scores))
        fold = np.zeros(len(truth)) if folds is None else np.asarray(folds)
        variance = variance_of_guessing(truth, given, owners(patients, len(truth)), fold) * areas.factor((0, 1.0))
        low, high, p = against_guessing(whole.value, variance, areas.positives, areas.negatives, confidence)
    return Estimate(whole.value - 0.5, low, high, whole.patients, whole.images, VARIANCE_OF_GUESSING, whole.caution, p)


def variance_of_guessing(truth: Floats, scores: Floats, owner: Integers, fold: NDArray[Any]) -> float:
    """Variance of the mean area over labels, each a mean over folds, if scores do not depend on truths.

    Args:
        truth: (n, labels) of 0 and 1, nan if unknown.
        scores: (n, labels), compared within a fold only.
        owner: (n,) patients as numbers 0 … P - 1.
        fold: (n,) the fold that tested the unit.

    Returns:
        The variance with truths as they are and scores given to units at random. Scores of a patient's images, and of
        labels, are as alike as they are seen to be. Labels and folds without an area count as in `macro_auc`.

    Example:
        >>> truth, scores = np.array([[0.0], [0], [1], [1]]), np.array([[0.1], [0.4], [0.3], [0.8]])
        >>> round(variance_of_guessing(truth, scores, np.arange(4), np.zeros(4)), 4)  # (4 + 1) / (12 * 2 * 2)
        0.1042
    """
    weights, ranks, known = (np.zeros(truth.shape) for _ in range(3))
    labels = 0
    for i, column in enumerate(truth.T):
        inside = [np.flatnonzero(np.isfinite(column) & (fold == each)) for each in np.unique(fold)]
        inside = [units for units in inside if len(np.unique(column[units])) > 1]
        labels += bool(inside)
        for units in inside:
            positive, rank = column[units], stats.rankdata(scores[units, i])
            pairs = positive.sum() * (1 - positive).sum()
            weights[units, i] = (positive - positive.mean()) / (pairs * len(inside))
            ranks[units, i] = rank - rank.mean()
            known[units, i] = 1
    found = sum(
        _variance_in_fold(weights[part], ranks[part], known[part], owner[part])
        for part in (fold == each for each in np.unique(fold))
    )
    return float(found) / labels**2 if labels else float("nan")


def _variance_in_fold(weights: Floats, ranks: Floats, known: Floats, owner: Integers) -> float:
    """Variance of the sum over labels of weighted ranks, (n, labels) each."""
    people = np.unique(owner, return_inverse=True)[1]
    summed = [np.stack([np.bincount(people, column) for column in each.T], axis=1) for each in (weights, ranks, known)]
    (by_weight, by_rank, by_count), (of_weights, of_ranks, counts) = (
        [each.T @ each for each in arrays] for arrays in (summed, (weights, ranks, known))
    )
    same_image = of_weights * of_ranks / np.maximum(counts - 1, 1)
    # Covariance of the scores of two images of a patient, from all such pairs.
    other_image = (by_weight - of_weights) * (by_rank - of_ranks) / np.maximum(by_count - counts, 1)
    # Ranks are centred by all images of all patients, which hides more of their variance the fewer patients there are.
    hidden = len(summed[0]) / max(len(summed[0]) - 1, 1) * (len(owner) - 1) / len(owner)
    return max(float((same_image + other_image).sum()), 0.0) * hidden


def against_guessing(
    area: float, variance: float, positives: int, negatives: int, confidence: float = 0.95
) -> tuple[float, float, float]:
    """Ends of an interval of `area` minus one half, and the two-sided p that it is one half.

    Args:
        area: In [0, 1].
        variance: By `variance_of_guessing`; 0 if all scores are equal.
        positives: Patients with the class.
        negatives: Patients without it.
        confidence: Coverage of the interval, in (0, 1).

    Example:
        >>> [round(each, 3) for each in against_guessing(1.0, 0.1042, 2, 2)]
        [-0.114, 0.5, 0.121]
    """
    size = (positives + negatives) / 2 - 1
    reach = float(stats.norm.ppf(0.5 + confidence / 2))

    def shape(value: float) -> float:
        return value * (1 - value) * (1 + size * ((1 - value) / (2 - value) + value / (1 + value)))

    p = float(2 * stats.norm.sf(abs(area - 0.5) / np.sqrt(variance))) if variance else 1.0
    # Scores that are all equal have an area of one half for certain; other scores of the same patients would vary.
    at_half = variance or (positives + negatives + 1) / (12 * positives * negatives)

    def excess(value: float) -> float:
        return abs(value - area) - reach * np.sqrt(at_half * shape(value) / shape(0.5))

    low = 0.0 if area == 0 else float(optimize.brentq(excess, 1e-12, area - 1e-12))
    high = 1.0 if area == 1 else float(optimize.brentq(excess, area + 1e-12, 1 - 1e-12))
    return low - 0.5, high - 0.5, p
