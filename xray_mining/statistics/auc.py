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

# The logit interval holds the truth in fewer than 95 % with fewer patients in a class or a larger area: see
# `measured`.
FEW_IN_CLASS = 50
HIGH_AUC = 0.97


@dataclass(frozen=True, slots=True)
class Auc:
    """An area with DeLong's variance and Wald interval, clipped to [0, 1]; equal to R pROC's figures."""

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
    """For each unit, the share of the other class that is ranked correctly against it; a tie counts one half.

    One sort, then sums over runs of ties (Sun & Xu 2014).

    Args:
        labels: (n,) of 0 and 1.
        scores: (n,) finite, higher means more positive.

    Returns:
        (n,) float64 in [0, 1]; the mean over either class is the area.

    Raises:
        ValueError: If a class has no unit.
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
    """Areas of k scores on the same units, and their covariance.

    Args:
        labels: (n,) of 0 and 1.
        scores: (k, n), higher means more positive.
        patients: (n,) any labels. Without it the covariance is DeLong's, with it Obuchowski's; both are equal if every
            patient has one unit.

    Returns:
        Areas (k,) and covariance (k, k); the covariance is nan if a class has one patient only.
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
    """Area, DeLong's variance and Wald interval of one score, as pROC's ci.auc gives them.

    Near an area of 1 this interval holds the truth too rarely; for reports use `auc`.

    Args:
        labels: (n,) of 0 and 1.
        scores: (n,) finite, higher means more positive.
        confidence: Coverage of the interval, in (0, 1).

    Returns:
        Auc with auc, variance, low, high. Source: DeLong et al. (1988), computed as by Sun & Xu (2014).

    Raises:
        ValueError: If a class has no unit, or a score is not finite.

    Example:
        >>> found = auc_delong([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
        >>> found.auc, round(found.variance, 4), round(float(found.low), 3), found.high
        (0.75, 0.125, 0.057, 1.0)
    """
    areas, covariance = auc_covariance(labels, scores)
    area, variance = float(areas[0]), float(covariance[0, 0])
    half = float(stats.norm.ppf(0.5 + confidence / 2)) * np.sqrt(variance)
    return Auc(area, variance, max(0.0, area - half), min(1.0, area + half))


def compare_auc(labels: ArrayLike, scores_a: ArrayLike, scores_b: ArrayLike, confidence: float = 0.95) -> AucComparison:
    """DeLong's paired test of two scores on the same units, as pROC's roc.test.

    Args:
        labels: (n,) of 0 and 1.
        scores_a: (n,) finite, higher means more positive.
        scores_b: (n,), as `scores_a`.
        confidence: Coverage of the interval, in (0, 1).

    Returns:
        AucComparison: the difference of areas (a minus b), its interval, z and two-sided p; equal scores give z = 0, p
        = 1.
        Source: DeLong et al. (1988).

    Raises:
        ValueError: If a class has no unit, or a score is not finite.

    Example:
        >>> found = compare_auc([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8], [0.3, 0.2, 0.1, 0.9])
        >>> found.difference, round(found.p_value, 3)
        (0.25, 0.48)
    """
    areas, covariance = auc_covariance(labels, np.stack([np.asarray(scores_a), np.asarray(scores_b)]))
    return _comparison(areas, covariance, confidence)


def _comparison(areas: Floats, covariance: Floats, confidence: float) -> AucComparison:
    difference = float(areas[0] - areas[1])
    variance = float(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1])
    error = np.sqrt(max(variance, 0.0))
    # The same score twice: rounding leaves a variance near 1e-20, which must count as zero.
    same = error <= 1e-12
    z = (0.0 if difference == 0 else np.copysign(np.inf, difference)) if same else difference / error
    half = float(stats.norm.ppf(0.5 + confidence / 2)) * error
    p_value = float(2 * stats.norm.sf(abs(z)))
    return AucComparison(difference, float(covariance[0, 1]), float(z), p_value, difference - half, difference + half)


def logit_interval(area: float, variance: float, positives: int, negatives: int, confidence: float) -> Floats:
    """Interval (2,) of an area on the logit scale; Newcombe's method 5 if the area is 0 or 1 or its variance is 0.

    `positives`, `negatives`: number of patients of each class.
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
    """Mean areas over folds of several scores on the same units, with their covariance; made by `areas_over_folds`."""

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
    """The rule for folds that share training patients; None for one fold."""
    influence: Floats = field(default_factory=lambda: np.zeros((0, 0)))
    """Patients' influences on each area, (k, P); empty for one fold."""
    influence_again: Floats = field(default_factory=lambda: np.zeros((0, 0)))
    """The same from second predictions, by another fold's fit."""

    def factor(self, *weights: tuple[int, float]) -> float:
        """Factor of the variance of a weighted sum of areas, each (which, weight), for shared training patients."""
        if self.refit is None:
            return 1.0
        one, other = (
            np.sum([weight * rows[which] for which, weight in weights], axis=0)
            for rows in (self.influence, self.influence_again)
        )
        refit = replace(self.refit, pair=len(weights) > 1)
        return float(refit.factor(one, other)[0])

    def variance(self, *weights: tuple[int, float]) -> float:
        """Variance of a weighted sum of areas, each (which, weight), including the part of shared training patients."""
        along = np.zeros(len(self.values))
        for which, weight in weights:
            along[which] += weight
        return float(along @ self.covariance @ along) * self.factor(*weights)


def mean_area(labels: ArrayLike, scores: ArrayLike, groups: ArrayLike) -> float:
    """Mean over groups (as folds) of the area within each group; groups without both classes are left out.

    Args:
        labels: (n,) of 0 and 1.
        scores: (n,) finite, higher means more positive.
        groups: (n,) any numbers; scores of different groups are not compared.

    Returns:
        The mean, without an interval; nan if no group has both classes.

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
    """Areas of k scores as means over folds, with the covariance of these means.

    Scores of different folds come from different fits and are never ranked together. A fold without both classes is
    left out, with its patients.

    Args:
        labels: (n,) of 0 and 1.
        scores: (k, n), higher means more positive.
        patients: (n,) any labels; without it every unit is a patient.
        folds: (n,) the fold that tested the unit.
        again: (k, n) scores of the same units by another fold's fit, nan if missing (see `refit`).
        share: Share of the tested patients that these units belong to.

    Raises:
        ValueError: If no fold has both classes.
    """
    positive = binary(labels)
    rows = np.atleast_2d(np.asarray(scores, dtype=np.float64))
    owner = owners(patients, len(positive))
    fold = np.zeros(len(positive), dtype=np.int64) if folds is None else np.asarray(folds)
    parts, left_out = [], 0
    positives = negatives = 0
    scored = np.zeros(len(positive), dtype=bool)
    # Areas are computed within folds, because scores of different fits cannot be ranked together.
    for each in np.unique(fold):
        inside = fold == each
        if not positive[inside].any() or positive[inside].all():
            left_out += 1
            continue
        scored |= inside
        parts.append(auc_covariance(positive[inside], rows[:, inside], owner[inside]))
        positives += len(np.unique(owner[inside & positive]))
        negatives += len(np.unique(owner[inside & ~positive]))
    if not parts:
        raise ValueError("an area needs both classes")
    # The rule for shared training patients uses only patients of scored folds.
    refit, influences = _shared(positive, rows, owner, fold, again=again, scored=scored)
    return Areas(
        values=np.mean([areas for areas, _ in parts], axis=0),
        covariance=np.sum([covariance for _, covariance in parts], axis=0) / len(parts) ** 2,
        patients=len(np.unique(owner[scored])),
        images=int(scored.sum()),
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
    positive: Booleans, rows: Floats, owner: Integers, fold: Integers, *, again: ArrayLike | None, scored: Booleans
) -> tuple[Refit | None, tuple[Floats, Floats]]:
    """The rule for shared training patients, and patients' influences (k, P) from both predictions."""
    own = owners(owner[scored], int(scored.sum()))
    other = None if again is None else np.atleast_2d(np.asarray(again, dtype=np.float64))[:, scored]
    refit = refit_of(fold[scored], own, *([None] if other is None else other))
    if refit is None or other is None or not refit.measured:
        nothing = np.zeros((len(rows), len(np.bincount(own))))
        return refit, (nothing, nothing)
    there = filled(other, rows[:, scored])
    both = [_influences(positive[scored], each, own, fold[scored]) for each in (rows[:, scored], there)]
    return refit, (both[0], both[1])


def _influences(positive: Booleans, rows: Floats, owner: Integers, fold: Integers) -> Floats:
    """Patients' influences (k, P) on areas that are means over folds; every fold must have both classes."""
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
    """Area under the ROC curve for reports: a mean over folds, with an interval that keeps a patient's images together.

    Args:
        labels: (n,) of 0 and 1.
        scores: (n,) finite, higher means more positive.
        patients: (n,) any labels; images of one patient share a value. Without it every unit is a patient.
        folds: (n,) the fold that tested the unit; scores of different folds are not ranked together.
        confidence: Coverage of the interval, in (0, 1).
        again: (n,) scores of the same units by another fold's fit, nan if missing (see `refit`).
        share: Share of the tested patients that these units belong to.

    Returns:
        Estimate in [0, 1], interval on the logit scale. `caution` says when simulations found that this interval holds
        the truth too rarely. Source: DeLong et al. (1988) or, if patients have several units, Obuchowski (1997); LeDell
        et al. (2015) for the mean over folds.

    Raises:
        ValueError: If no fold has both classes.

    Example:
        >>> print(auc([0, 0, 0, 1, 1, 1], [0.1, 0.4, 0.2, 0.35, 0.8, 0.7], ["a", "a", "b", "c", "c", "d"]))
        0.889 (0.500 to 0.985; 4 patients)
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
    """Paired difference of two of `areas` (first minus second), with its p value.

    If the areas differ but neither varies (one score always right, the other constant), the interval is combined from
    the two areas' own intervals (Donner & Zou 2012), and p is that of a difference between two areas without skill.
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
    """Two-sided p of an area minus one half, or of a difference of two areas, from the variance without skill.

    Used if an area has no variance of its own, as an area of exactly 1.
    """
    variance = areas * (positives + negatives + 1) / (12 * positives * negatives)
    return float(2 * stats.norm.sf(abs(value) / np.sqrt(variance)))


def auc_influence(labels: ArrayLike, scores: ArrayLike) -> tuple[float, Floats]:
    """The area and each unit's influence on it, (n,); its variance is the sum of squares of patients' influences."""
    positive = binary(labels)
    placed = placements(positive, scores)
    area = float(placed[positive].mean())
    return area, (placed - area) / np.where(positive, positive.sum(), (~positive).sum())
