"""Area under the ROC curve: DeLong's variance in O(n log n), Obuchowski's for patients with several images.

DeLong, DeLong & Clarke-Pearson, Biometrics 44:837 (1988); Sun & Xu, IEEE Signal Processing Letters 21:1389 (2014);
Obuchowski, Biometrics 53:567 (1997); Newcombe, Statistics in Medicine 25:559 (2006), method 5; LeDell, Petersen &
van der Laan, Electronic Journal of Statistics 9:1583 (2015) for the mean over folds.
"""

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import ArrayLike
from scipy import optimize, stats

from xray_mining.statistics import measured
from xray_mining.statistics.estimate import Booleans, Estimate, Floats, Integers, binary, finite, of_unequal, owners
from xray_mining.statistics.refit import Refit, filled, refit_of

# Below this many patients in a class, or above this area, even the logit interval does not hold its 95 %: see
# `measured`.
FEW_IN_CLASS = 50
HIGH_AUC = 0.97


@dataclass(frozen=True, slots=True)
class Auc:
    """An area with DeLong's variance and Wald interval, cut at 0 and 1: exactly what R's pROC gives."""

    auc: float
    variance: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class AucComparison:
    """The difference of two areas on the same units (first minus second), with DeLong's paired test."""

    difference: float
    covariance: float
    z: float
    p_value: float
    low: float
    high: float


def placements(labels: ArrayLike, scores: ArrayLike) -> Floats:
    """Share of the other class that each unit is on the right side of, ties half, (n,) float64 in [0, 1].

    `labels` (n,) of 0 and 1, `scores` (n,) finite, higher means more positive. One sort, then sums over runs of ties.
    Raises ValueError where a class is empty.
    """
    positive = binary(labels)
    values = finite("scores", scores, positive.shape)
    positives = int(positive.sum())
    negatives = len(positive) - positives
    if not positives or not negatives:
        raise ValueError("an area needs both classes")
    order = np.argsort(values)
    values, positive = values[order], positive[order]
    starts = np.flatnonzero(np.concatenate(([True], values[1:] != values[:-1])))
    below = np.concatenate(([0], np.cumsum(positive)))
    run = np.concatenate((starts, [len(values)]))
    positives_before = below[run]
    negatives_before = run - positives_before
    lengths = np.diff(run)
    for_positive = (negatives_before[:-1] + negatives_before[1:]) / (2 * negatives)
    for_negative = 1 - (positives_before[:-1] + positives_before[1:]) / (2 * positives)
    placed = np.empty(len(values))
    placed[order] = np.where(positive, np.repeat(for_positive, lengths), np.repeat(for_negative, lengths))
    return placed


def auc_covariance(labels: ArrayLike, scores: ArrayLike, patients: ArrayLike | None = None) -> tuple[Floats, Floats]:
    """Areas (k,) of k scores, (k, n), on the same units, and their covariance (k, k).

    Without `patients` it is DeLong's, with them Obuchowski's, which is the same where every patient has one unit.
    nan where a class holds one patient only.
    """
    positive = binary(labels)
    rows = np.atleast_2d(np.asarray(scores, dtype=np.float64))
    placed = np.stack([placements(positive, row) for row in rows])
    areas = placed[:, positive].mean(axis=1)
    owner = owners(patients, len(positive))
    centred = placed - areas[:, None]
    patients_count = int(owner.max()) + 1
    covariance = np.zeros((len(rows), len(rows)))
    m, n = int(positive.sum()), int((~positive).sum())
    if patients is None:
        for members, size in ((positive, m), (~positive, n)):
            part = centred[:, members]
            with np.errstate(invalid="ignore", divide="ignore"):
                covariance += np.divide(part @ part.T, (size - 1) * size) if size > 1 else np.nan
        return areas, covariance
    sums = {}
    for name, members in (("positive", positive), ("negative", ~positive)):
        sums[name] = np.stack([np.bincount(owner[members], row[members], patients_count) for row in centred])
    for name, members, size in (("positive", positive, m), ("negative", ~positive, n)):
        own = len(np.unique(owner[members]))
        covariance += sums[name] @ sums[name].T / size**2 * (own / (own - 1) if own > 1 else np.nan)
    mixed = sums["positive"] @ sums["negative"].T
    covariance += (mixed + mixed.T) / (m * n) * (patients_count / (patients_count - 1) if patients_count > 1 else 1)
    return areas, covariance


def auc_delong(labels: ArrayLike, scores: ArrayLike, confidence: float = 0.95) -> Auc:
    """Area, DeLong variance and Wald interval of `scores` (n,) for `labels` (n,) of 0 and 1, as pROC's ci.auc.

    Exactly pROC's figures, which cover too little where the area is near 1: `auc` gives what a page should print.
    Raises ValueError where a class is empty or a score is not finite.
    """
    areas, covariance = auc_covariance(labels, scores)
    area, variance = float(areas[0]), float(covariance[0, 0])
    half = float(stats.norm.ppf(0.5 + confidence / 2)) * np.sqrt(variance)
    return Auc(area, variance, max(0.0, area - half), min(1.0, area + half))


def compare_auc(labels: ArrayLike, scores_a: ArrayLike, scores_b: ArrayLike, confidence: float = 0.95) -> AucComparison:
    """DeLong's paired test of two scores (n,) on the same units, as pROC's roc.test; equal scores give z = 0, p = 1."""
    areas, covariance = auc_covariance(labels, np.stack([np.asarray(scores_a), np.asarray(scores_b)]))
    return _comparison(areas, covariance, confidence)


def _comparison(areas: Floats, covariance: Floats, confidence: float) -> AucComparison:
    difference = float(areas[0] - areas[1])
    variance = float(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1])
    error = np.sqrt(max(variance, 0.0))
    # The same score twice: rounding leaves a variance near 1e-20, which counts as zero.
    same = error <= 1e-12
    z = (0.0 if difference == 0 else np.copysign(np.inf, difference)) if same else difference / error
    half = float(stats.norm.ppf(0.5 + confidence / 2)) * error
    p_value = float(2 * stats.norm.sf(abs(z)))
    return AucComparison(difference, float(covariance[0, 1]), float(z), p_value, difference - half, difference + half)


def logit_interval(area: float, variance: float, positives: int, negatives: int, confidence: float) -> Floats:
    """Interval (2,) of an area on the logit scale; by Newcombe's method 5 where the area is 0 or 1, or its variance 0.

    `positives`, `negatives`: how many patients each class has.
    """
    if np.isnan(variance):
        return np.array([np.nan, np.nan])
    z = float(stats.norm.ppf(0.5 + confidence / 2))
    if variance > 0 and 0 < area < 1:
        half = z * np.sqrt(variance) / (area * (1 - area))
        logit = np.log(area / (1 - area))
        return 1 / (1 + np.exp(-np.array([logit - half, logit + half])))

    def variance_at(value: float) -> float:
        size = (positives + negatives) / 2 - 1
        mixed = 1 + size * ((1 - value) / (2 - value) + value / (1 + value))
        return value * (1 - value) * mixed / (positives * negatives)

    def excess(value: float) -> float:
        return abs(value - area) - z * np.sqrt(variance_at(value))

    low = 0.0 if area == 0 else float(optimize.brentq(excess, 1e-12, area - 1e-12))
    high = 1.0 if area == 1 else float(optimize.brentq(excess, area + 1e-12, 1 - 1e-12))
    return np.array([low, high])


@dataclass(frozen=True, slots=True)
class Areas:
    """Mean areas over folds of several scores on the same units, with their covariance."""

    values: Floats
    covariance: Floats
    patients: int
    images: int
    positives: int
    """Patients with the class, summed over folds."""
    negatives: int
    folds: int
    left_out: int
    """Folds without both classes."""
    caution: str = ""
    """Why intervals may cover too little."""
    refit: Refit | None = None
    """How folds that share training patients are allowed for; None for one fold."""
    influence: Floats = field(default_factory=lambda: np.zeros((0, 0)))
    """Patients' influences on each area, (k, P); empty for one fold."""
    influence_again: Floats = field(default_factory=lambda: np.zeros((0, 0)))
    """The same by the fits that predicted them again."""

    def factor(self, *weights: tuple[int, float]) -> float:
        """What the variance of a sum of areas, each (which, weight), is multiplied by for shared training patients."""
        if self.refit is None:
            return 1.0
        one, other = (
            np.sum([weight * rows[which] for which, weight in weights], axis=0)
            for rows in (self.influence, self.influence_again)
        )
        refit = replace(self.refit, pair=len(weights) > 1)
        return float(refit.factor(one, other)[0])

    def variance(self, *weights: tuple[int, float]) -> float:
        """Variance of a sum of areas, each (which, weight), with what shared training patients add."""
        along = np.zeros(len(self.values))
        for which, weight in weights:
            along[which] += weight
        return float(along @ self.covariance @ along) * self.factor(*weights)


def mean_area(labels: ArrayLike, scores: ArrayLike, groups: ArrayLike) -> float:
    """Mean over groups (as folds) of the area within each; groups without both classes are left out.

    Args:
        labels: (n,) of 0 and 1.
        scores: (n,) finite, higher means more positive.
        groups: (n,) any numbers; scores of different groups are not compared.

    Returns:
        The mean, without an interval; nan where no group has both classes.

    Example:
        >>> mean_area([0, 1, 0, 1, 1], [0.1, 0.4, 0.8, 0.3, 0.2], [0, 0, 1, 1, 2])
        0.5
    """
    positive, values, group = binary(labels), np.asarray(scores, dtype=np.float64), np.asarray(groups)
    areas = []
    for each in np.unique(group):
        inside = group == each
        if positive[inside].any() and not positive[inside].all():
            areas.append(placements(positive[inside], values[inside])[positive[inside]].mean())
    return float(np.mean(areas)) if areas else float("nan")


def areas_over_folds(
    labels: ArrayLike,
    scores: ArrayLike,
    patients: ArrayLike | None = None,
    folds: ArrayLike | None = None,
    again: ArrayLike | None = None,
    *,
    share: float = 1.0,
) -> Areas:
    """Areas of k scores (k, n), a mean over folds: covariance summed over folds, over the number of folds squared.

    Scores of different folds come from different fits and are not compared with one another. A fold without both
    classes is left out, and its patients are not counted; ValueError where no fold has both. `again` (k, n): scores of
    the same units by another fold's fit, nan where missing, `share`: what share of the tested patients these
    are (see `refit`).
    """
    positive = binary(labels)
    rows = np.atleast_2d(np.asarray(scores, dtype=np.float64))
    owner = owners(patients, len(positive))
    fold = np.zeros(len(positive), dtype=np.int64) if folds is None else np.asarray(folds)
    parts, left_out = [], 0
    positives = negatives = 0
    behind = np.zeros(len(positive), dtype=bool)
    for each in np.unique(fold):
        inside = fold == each
        if not positive[inside].any() or positive[inside].all():
            left_out += 1
            continue
        behind |= inside
        parts.append(auc_covariance(positive[inside], rows[:, inside], owner[inside]))
        positives += len(np.unique(owner[inside & positive]))
        negatives += len(np.unique(owner[inside & ~positive]))
    if not parts:
        raise ValueError("an area needs both classes")
    refit, influences = _shared(positive, rows, owner, fold, again=again, behind=behind)
    return Areas(
        values=np.mean([areas for areas, _ in parts], axis=0),
        covariance=np.sum([covariance for _, covariance in parts], axis=0) / len(parts) ** 2,
        patients=len(np.unique(owner[behind])),
        images=int(behind.sum()),
        positives=positives,
        negatives=negatives,
        folds=len(parts),
        left_out=left_out,
        caution=of_unequal(owner),
        refit=None if refit is None else replace(refit, share=share),
        influence=influences[0],
        influence_again=influences[1],
    )


def _shared(
    positive: Booleans, rows: Floats, owner: Integers, fold: Integers, *, again: ArrayLike | None, behind: Booleans
) -> tuple[Refit | None, tuple[Floats, Floats]]:
    """How the rule of shared training patients applies, and patients' influences (k, P) by both fits."""
    own = owners(owner[behind], int(behind.sum()))
    other = None if again is None else np.atleast_2d(np.asarray(again, dtype=np.float64))[:, behind]
    refit = refit_of(fold[behind], own, *([None] if other is None else other))
    if refit is None or other is None or not refit.measured:
        nothing = np.zeros((len(rows), len(np.bincount(own))))
        return refit, (nothing, nothing)
    there = filled(other, rows[:, behind])
    both = [_influences(positive[behind], each, own, fold[behind]) for each in (rows[:, behind], there)]
    return refit, (both[0], both[1])


def _influences(positive: Booleans, rows: Floats, owner: Integers, fold: Integers) -> Floats:
    """Patients' influences (k, P) on areas that are means over folds; every fold has both classes."""
    units = np.zeros(rows.shape)
    numbers = np.unique(fold)
    for each in numbers:
        inside = fold == each
        for number, row in enumerate(rows):
            units[number, inside] = auc_influence(positive[inside], row[inside])[1] / len(numbers)
    return np.stack([np.bincount(owner, each) for each in units]).astype(np.float64)


def auc(
    labels: ArrayLike,
    scores: ArrayLike,
    patients: ArrayLike | None = None,
    folds: ArrayLike | None = None,
    confidence: float = 0.95,
    *,
    again: ArrayLike | None = None,
    share: float = 1.0,
) -> Estimate:
    """The area that a page prints: patients' images together, mean over folds, interval on the logit scale.

    `labels` (n,) of 0 and 1, `scores` (n,), `patients` (n,) any labels, `folds` (n,), `again` (n,) scores of the same
    units by another fold's fit, `share`: what share of the tested patients these are (see `refit`). `caution` says when
    even this interval is known not to cover. Raises ValueError where no fold has both classes.
    """
    areas = areas_over_folds(labels, scores, patients, folds, again, share=share)
    return area_estimate(areas, 0, confidence)


def area_estimate(areas: Areas, which: int, confidence: float = 0.95) -> Estimate:
    """One of `areas` as an Estimate with its logit interval."""
    value, variance = float(areas.values[which]), areas.variance((which, 1.0))
    low, high = logit_interval(value, variance, areas.positives, areas.negatives, confidence)
    cautions = []
    if min(areas.positives, areas.negatives) < FEW_IN_CLASS:
        cautions.append(measured.FEW_IN_CLASS)
    if max(value, 1 - value) > HIGH_AUC:
        cautions.append(measured.NEAR_END)
    if areas.left_out:
        cautions.append("a fold without both classes was left out")
    if areas.caution:
        cautions.append(areas.caution)
    if areas.refit is not None and areas.refit.caution:
        cautions.append(areas.refit.caution)
    method = "Obuchowski, logit scale" if areas.images > areas.patients else "DeLong, logit scale"
    if areas.folds > 1:
        method += f", mean over {areas.folds} folds"
    return Estimate(value, low, high, areas.patients, areas.images, method, "; ".join(cautions))


def area_difference(areas: Areas, first: int, second: int, confidence: float = 0.95) -> Estimate:
    """Paired difference of two of `areas`, with its p value.

    Where the two do not vary at all though they differ, as a score that is always right and a constant one, the areas'
    own intervals are put together (Donner & Zou 2012), and p is of a difference of two areas without skill.
    """
    pair = [first, second]
    factor = areas.factor((first, 1.0), (second, -1.0))
    found = _comparison(areas.values[pair], areas.covariance[np.ix_(pair, pair)] * factor, confidence)
    method = "paired Obuchowski" if areas.images > areas.patients else "paired DeLong"
    low, high, p = found.low, found.high, found.p_value
    if found.difference != 0 and np.isinf(found.z):
        (a, b), (of_a, of_b) = areas.values[pair], (area_estimate(areas, each, confidence) for each in pair)
        low = found.difference - float(np.hypot(a - of_a.low, of_b.high - b))
        high = found.difference + float(np.hypot(of_a.high - a, b - of_b.low))
        p = without_skill(found.difference, areas.positives, areas.negatives, areas=2)
        method = "Newcombe, two intervals put together"
    made = Estimate(found.difference, low, high, areas.patients, areas.images, method, areas.caution, p)
    return made.with_caution(areas.refit.caution) if areas.refit is not None and areas.refit.caution else made


def without_skill(value: float, positives: int, negatives: int, areas: int = 1) -> float:
    """Two-sided p of an area above one half, or of a difference of two, by the Mann-Whitney variance of no skill.

    For what has no variance of its own: an area of exactly 1 among these many patients of each class.
    """
    variance = areas * (positives + negatives + 1) / (12 * positives * negatives)
    return float(2 * stats.norm.sf(abs(value) / np.sqrt(variance)))


def auc_influence(labels: ArrayLike, scores: ArrayLike) -> tuple[float, Floats]:
    """The area and each unit's influence on it, (n,): the sum of squares of their sums per patient is its variance."""
    positive = binary(labels)
    placed = placements(positive, scores)
    area = float(placed[positive].mean())
    return area, (placed - area) / np.where(positive, positive.sum(), (~positive).sum())


def average_precision(
    labels: ArrayLike,
    scores: ArrayLike,
    patients: ArrayLike | None = None,
    folds: ArrayLike | None = None,
    confidence: float = 0.95,
    *,
    again: ArrayLike | None = None,
) -> Estimate:
    """Mean precision over positives, ties taken together (scikit-learn's average_precision_score), a mean over folds.

    The interval is on the logit scale, from the infinitesimal jackknife with a patient's units together. Scores of
    different folds come from different fits and are not ranked together; a fold without positives is left out, and its
    patients are not counted. `again` (n,): scores of the same units by another fold's fit (see `refit`).
    """
    positive = binary(labels)
    values = finite("scores", scores, positive.shape)
    if not positive.any():
        raise ValueError("average precision needs positives")
    fold = np.zeros(len(positive), dtype=np.int64) if folds is None else np.asarray(folds)
    numbers = [each for each in np.unique(fold) if positive[fold == each].any()]
    behind = np.isin(fold, numbers)
    positive, values, fold = positive[behind], values[behind], fold[behind]
    owner = owners(owners(patients, len(behind))[behind], len(values))
    value, influence = _mean_precision(positive, values, fold)
    sums = np.bincount(owner, influence)
    count = len(sums)
    variance = float((sums**2).sum()) * count / max(count - 1, 1)
    positives = len(np.unique(owner[positive]))
    # Student's quantile by the number of patients with a hit: the influences of few positives carry the variance.
    upper = (1 + confidence) / 2
    wide = (stats.t.ppf(upper, max(positives - 1, 1)) / stats.norm.ppf(upper)) ** 2
    caution = measured.FEW_IN_CLASS if min(positives, count - positives) < FEW_IN_CLASS else ""
    method = "infinitesimal jackknife, logit scale" + (f", mean over {len(numbers)} folds" if len(numbers) > 1 else "")
    found = Estimate(value, np.nan, np.nan, count, len(values), method, caution)
    other = None if again is None else np.asarray(again, dtype=np.float64)[behind]
    refit = refit_of(fold, owner, other)
    if refit is not None:
        there = _mean_precision(positive, filled(other, values), fold)[1] if refit.measured else influence
        variance *= refit.factor_of_units(influence, there, owner)
        found = found.with_caution(refit.caution) if refit.caution else found
    if behind.sum() < len(behind):
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
    # d AP / d weight of unit k: its own term, and its part in the precision at every lower threshold.
    ahead_hit = np.cumsum((in_run / called)[::-1])[::-1]
    ahead_all = np.cumsum((in_run * above / called**2)[::-1])[::-1]
    gradient = (hits * (precision[run] - value) + hits * ahead_hit[run] - ahead_all[run]) / total
    influence = np.empty(len(values))
    influence[order] = gradient
    return value, influence
