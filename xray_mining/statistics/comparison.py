"""Tests of differences, and corrections for multiple tests."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from xray_mining.statistics import measured
from xray_mining.statistics.estimate import Booleans, Estimate, Floats, finite, owners
from xray_mining.statistics.resampling import (
    LEAST_FOR_PROPORTIONS,
    linear_interval,
    patient_sums,
    permutation_p,
    quantile_by_patient,
)


def holm(p_values: ArrayLike) -> Floats:
    """Holm's step-down adjusted p values, (m,); nan stays nan and does not count as a test.

    Example:
        >>> holm([0.01, 0.04, 0.03]).tolist()
        [0.03, 0.06, 0.06]
    """
    p = np.asarray(p_values, dtype=np.float64)
    adjusted = np.full(p.shape, np.nan)
    known = np.flatnonzero(np.isfinite(p))
    order = known[np.argsort(p[known], kind="stable")]
    factors = len(order) - np.arange(len(order))
    adjusted[order] = np.minimum(np.maximum.accumulate(p[order] * factors), 1) if len(order) else []
    return adjusted


def benjamini_hochberg(p_values: ArrayLike) -> Floats:
    """Benjamini and Hochberg's adjusted p values, (m,), which control the false discovery rate; nan stays nan.

    Example:
        >>> benjamini_hochberg([0.01, 0.04, 0.03]).round(3).tolist()
        [0.03, 0.04, 0.04]
    """
    p = np.asarray(p_values, dtype=np.float64)
    adjusted = np.full(p.shape, np.nan)
    known = np.isfinite(p)
    adjusted[known] = stats.false_discovery_control(p[known]) if known.any() else []
    return adjusted


def mcnemar(right_a: ArrayLike, right_b: ArrayLike, patients: ArrayLike | None = None) -> float:
    """Two-sided p of the hypothesis that two calls are right equally often on the same units.

    Args:
        right_a: (n,) bool, whether the first call was right.
        right_b: (n,) bool, the same for the second.
        patients: (n,) any labels; without it every unit is a patient.

    Returns:
        p in [0, 1]; 1 if no pair is discordant. With one unit per patient it is the exact binomial test of the
        discordant pairs; else Durkalski's statistic (Statistics in Medicine 22:2417, 2003): the squared sum of
        patients' differences over the sum of their squares, with one degree of freedom.

    Example:
        >>> mcnemar([True, True, True, True, False], [False, False, False, True, False])
        0.25
    """
    a, b = np.asarray(right_a, dtype=bool), np.asarray(right_b, dtype=bool)
    apart = a.astype(np.int64) - b
    owner = owners(patients, len(apart))
    sums = np.bincount(owner, apart)
    total = float((sums**2).sum())
    if total == 0:
        return 1.0
    if len(sums) == len(apart):
        discordant = int(np.abs(apart).sum())
        return float(stats.binomtest(int((apart > 0).sum()), discordant, 0.5).pvalue)
    return float(stats.chi2.sf(sums.sum() ** 2 / total, 1))


def difference_of_pairs(
    right_a: ArrayLike,
    right_b: ArrayLike,
    patients: ArrayLike | None = None,
    confidence: float = 0.95,
    *,
    widening: float = 1.0,
) -> Estimate:
    """Difference in how often two calls are right on the same units, with interval and p of one test.

    Tango's score interval for paired proportions (Statistics in Medicine 17:891, 1998), within [-1, 1], and its test of
    no difference. If patients have several units, these count as the number of independent units that would give the
    same variance; with few discordant patients that variance is pulled towards the one of fully alike units, and
    Student's quantile is used. `widening` multiplies the variance, for fits that share training patients (see `refit`).

    Args:
        right_a: (n,) bool, whether the first call was right.
        right_b: (n,) bool, the same for the second.
        patients: (n,) any labels; without it every unit is a patient.
        confidence: Coverage of the interval, in (0, 1).
        widening: Factor of the variance.

    Returns:
        Estimate of share right (first) minus share right (second); no interval and no p for fewer than
        LEAST_FOR_PROPORTIONS patients.

    Example:
        >>> print(difference_of_pairs([1, 1, 1, 1, 0, 1], [0, 1, 1, 0, 0, 1]))
        0.333 (-0.187 to 0.700; 6 patients)
    """
    a, b = np.asarray(right_a, dtype=bool), np.asarray(right_b, dtype=bool)
    owner = owners(patients, len(a))
    units = np.bincount(owner).astype(np.float64)
    apart = np.bincount(owner, a.astype(np.float64) - b)
    count, total = len(units), float(units.sum())
    value = float(apart.sum() / total)
    if count < LEAST_FOR_PROPORTIONS:
        caution = f"no interval and no p for fewer than {LEAST_FOR_PROPORTIONS} patients"
        return Estimate(value, np.nan, np.nan, count, len(a), "paired, Tango's score", caution)
    first, second = float((a & ~b).sum()), float((b & ~a).sum())
    clustered = bool((units > 1).any())
    design = 1.0
    if clustered:
        alike = float((units**2).sum()) / total
        single = (first + second) / total - value**2
        telling = float((np.bincount(owner, a != b) > 0).sum())
        seen = float(((apart - value * units) ** 2).sum()) / total * count / (count - 1)
        design = max(1.0, (telling * seen / single + alike) / (telling + 1)) if single > 0 else alike
    first, second, total = (each / (design * widening) for each in (first, second, total))
    reach = quantile_by_patient(confidence, count, clustered=clustered)
    low = _end_of_pairs(first, second, total, reach, -1.0)
    high = _end_of_pairs(first, second, total, -reach, 1.0)
    z = abs(_score_of_pairs(first, second, total, 0.0))
    p = float(2 * (stats.t.sf(z, count - 1) if clustered else stats.norm.sf(z)))
    return Estimate(value, low, high, count, len(a), "paired, Tango's score, clustered by patient", "", p)


def _score_of_pairs(first: float, second: float, total: float, difference: float) -> float:
    """Tango's statistic for a hypothetical `difference`; `first` and `second` count the discordant pairs."""
    middle = (2 * total - first + second) * difference - first - second
    rest = -second * difference * (1 - difference)
    rarer = (np.sqrt(max(middle**2 - 8 * total * rest, 0.0)) - middle) / (4 * total)
    variance = total * (2 * rarer + difference * (1 - difference))
    off = first - second - total * difference
    return 0.0 if abs(off) < 1e-12 else float(off / np.sqrt(variance)) if variance > 0 else float(np.sign(off) * np.inf)


def _end_of_pairs(first: float, second: float, total: float, reach: float, bound: float) -> float:
    """The difference at which the statistic, which falls as the difference rises, equals `reach`; by bisection."""
    value = (first - second) / total
    low, high = min(value, bound), max(value, bound)
    for _ in range(60):
        middle = (low + high) / 2
        if _score_of_pairs(first, second, total, middle) > reach:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def paired_permutation(
    first: ArrayLike, second: ArrayLike, patients: ArrayLike | None = None, draws: int = 9999, seed: int = 0
) -> float:
    """Two-sided p that the means of two paired values (n,) are equal, by exchanging them within random patients."""
    a, b = finite("first", first), finite("second", second)
    ones = np.ones(len(a))
    sums_a = patient_sums(np.stack([ones, a], axis=1), patients)
    sums_b = patient_sums(np.stack([ones, b], axis=1), patients)
    p = permutation_p(sums_a, sums_b, lambda s: (s[..., 1] / s[..., 0])[..., None], draws=draws, seed=seed)
    return float(p[0])


def difference_of_means(
    values: ArrayLike, members: ArrayLike, patients: ArrayLike | None = None, confidence: float = 0.95
) -> Estimate:
    """Mean of `values` (n,) among `members` (n,) bool minus the mean of the rest, with a Student interval and p.

    A patient may have units on both sides; the variance comes from influences summed per patient. nan if a side is
    empty. Interval and p are from the larger of two variances: each side's own, and that of all units, because a small
    side whose values are all equal has a variance of 0. There is neither (nan) if a side is one patient. The effect of
    shared training patients cancels out between the sides (see `refit`).
    """
    array, inside = finite("values", values), np.asarray(members, dtype=bool)
    owner = owners(patients, len(array))
    count = int(owner.max()) + 1 if len(array) else 0
    if not inside.any() or inside.all():
        return Estimate(np.nan, np.nan, np.nan, count, len(array), "difference of means")
    means = array[inside].mean(), array[~inside].mean()
    value = float(means[0] - means[1])
    if min(len(np.unique(owner[side])) for side in (inside, ~inside)) < 2:
        caution = "no interval and no p, for a side is one patient"
        return Estimate(value, np.nan, np.nan, count, len(array), "difference of means", caution)
    influence = np.where(inside, (array - means[0]) / inside.sum(), -(array - means[1]) / (~inside).sum())
    alike = _variance_of_mean(array - array.mean(), owner) * len(array) * (1 / inside.sum() + 1 / (~inside).sum())
    return tested(value, influence, alike, owner, confidence, method="difference of means, variance by patient")


def difference_of_areas(
    labels: ArrayLike,
    scores: ArrayLike,
    members: ArrayLike,
    patients: ArrayLike | None = None,
    folds: ArrayLike | None = None,
    *,
    confidence: float = 0.95,
) -> Estimate:
    """AUC among `members` (n,) bool minus AUC among the rest, each a mean over `folds` (n,) as in `areas_over_folds`.

    Scores of different folds come from different fits and are not compared; a fold without both classes on a side is
    left out of that side. nan if a side has no fold with both classes. Interval and p are from the larger of two
    variances: each side's own, and that of all units, because a small side that is perfectly ranked has a variance of
    0. There is neither (nan) if one patient is all of a class on a side of a fold. `caution` tells of few patients in a
    class. The effect of shared training patients cancels out between the sides (see `refit`).
    """
    from xray_mining.statistics.auc import FEW_IN_CLASS, auc_influence

    label, score = np.asarray(labels), np.asarray(scores, dtype=np.float64)
    inside: Booleans = np.asarray(members, dtype=bool)
    owner = owners(patients, len(label))
    fold = np.zeros(len(label), dtype=np.int64) if folds is None else np.asarray(folds)
    influence, areas, alike = np.zeros(len(label)), [], 0.0
    smallest = len(label)
    for side, sign in ((inside, 1.0), (~inside, -1.0)):
        parts = [side & (fold == each) for each in np.unique(fold)]
        parts = [part for part in parts if len(np.unique(label[part])) > 1]
        if not parts:
            return Estimate(np.nan, np.nan, np.nan, int(owner.max()) + 1, len(label), "difference of areas")
        own = []
        for part in parts:
            area, influences = auc_influence(label[part], score[part])
            influence[part] = sign * influences * larger_where_few(label[part], owner[part]) / len(parts)
            own.append(area)
            whole = fold == fold[part][0]
            alike += _variance_as_of_all(label, score, owner, part, whole) / len(parts) ** 2
        areas.append(float(np.mean(own)))
        smallest = min(smallest, patients_of_rarer(label, owner, parts))
    method = "difference of areas, variance by patient"
    found = tested(areas[0] - areas[1], influence, alike, owner, confidence, method=method)
    return found.with_caution(measured.FEW_IN_CLASS) if smallest < FEW_IN_CLASS else found


def patients_of_rarer(label: np.ndarray, owner: np.ndarray, parts: Sequence[Booleans]) -> int:
    """Patients of the rarer class, summed over `parts`, units (n,) bool that each have both classes."""
    counts = [[len(np.unique(owner[part & (label == each)])) for each in np.unique(label[part])] for part in parts]
    return int(np.sum(counts, axis=0).min())


def larger_where_few(label: np.ndarray, owner: np.ndarray) -> Floats:
    """Factors (n,) for influences, so that their squares are not too small if a class has few patients.

    Influences are centred by their class's own mean; DeLong divides by (size - 1) for the same reason. All are nan if
    one patient is all of a class: that influence is 0 and shows no variance.
    """
    wider = np.ones(len(label))
    for each in np.unique(label):
        same = label == each
        patients = len(np.unique(owner[same]))
        if patients < 2:
            return np.full(len(label), np.nan)
        wider[same] = np.sqrt(patients / (patients - 1))
    return wider


_MANY = 200
"""From this number of units of each class on, a side's own variance is used instead of that of all units."""


def _variance_as_of_all(label: np.ndarray, score: Floats, owner: np.ndarray, part: Booleans, whole: Booleans) -> float:
    """Variance of the area of the units `part` (n,) bool, from influences of all units in `whole`, by class."""
    from xray_mining.statistics.auc import auc_influence

    classes, sizes = np.unique(label[part], return_counts=True)
    source = whole if sizes.min() < _MANY else part
    influence, total = auc_influence(label[source], score[source])[1], 0.0
    for each, size in zip(classes, sizes, strict=True):
        same = label[source] == each
        count = int(same.sum())
        total += _variance_of_mean(influence[same] * count, owner[source][same]) * count / int(size)
    return total


def _variance_of_mean(values: np.ndarray, owner: np.ndarray) -> float:
    """Variance of the mean of values (n,) around zero, clustered by patient."""
    sums = np.bincount(owner, values)
    return float((sums**2).sum()) / len(values) ** 2


def tested(
    value: float, influence: Floats, alike: float, owner: np.ndarray, confidence: float, *, method: str
) -> Estimate:
    """`value` with interval and p from the larger of two variances: that of `influence` (n,), and `alike`."""
    _, _, error = linear_interval(value, influence, owner, confidence)
    count = int(owner.max()) + 1
    larger = float(np.maximum(error, alike**0.5))  # nan if either is nan
    half = float(stats.t.ppf(0.5 + confidence / 2, max(count - 1, 1))) * larger
    p = float(2 * stats.t.sf(abs(value) / larger, max(count - 1, 1))) if larger else np.nan
    return Estimate(value, value - half, value + half, count, len(influence), method, "", p)
