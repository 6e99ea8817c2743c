"""Agreement of two readings: rank correlation, Bland-Altman limits, kappas."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from xray_mining.statistics.estimate import NORMAL_95, Estimate, Floats, Integers, finite, of_unequal, owners
from xray_mining.statistics.refit import filled, refit_of, widened
from xray_mining.statistics.resampling import interval, linear_interval, patient_sums, permutation_p


def spearman(
    first: ArrayLike, second: ArrayLike, patients: ArrayLike | None = None, confidence: float = 0.95
) -> Estimate:
    """Spearman's rank correlation.

    Args:
        first: (n,) finite.
        second: (n,) finite.
        patients: (n,) any labels; without it every unit is a patient.
        confidence: Coverage of the interval, in (0, 1).

    Returns:
        Estimate in [-1, 1] with a Fisher z interval; nan for a constant. The variance comes from influences summed per
        patient (Croux & Dehon, Statistical Methods and Applications 19:497, 2010).

    Raises:
        ValueError: If a value is not finite.

    Example:
        >>> print(spearman([1, 2, 3, 4, 5, 6], [2, 1, 3, 6, 4, 5]))
        0.771 (-0.167 to 0.977; 6 patients)
    """
    x, y = finite("first", first), finite("second", second)
    owner = owners(patients, len(x))
    count = int(owner.max()) + 1 if len(x) else 0
    method = "influence function, Fisher z"
    if len(x) < 3 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return Estimate(np.nan, np.nan, np.nan, count, len(x), method, "a constant has no correlation")
    size = len(x)
    value, influence = _grades(x, y)
    _, _, error = linear_interval(value, influence, owner, confidence)
    if np.isnan(error):
        return Estimate(value, np.nan, np.nan, count, size, method)
    inside = float(np.clip(value, -1 + 1e-9, 1 - 1e-9))
    half = float(stats.t.ppf(0.5 + confidence / 2, max(count - 1, 1))) * error / (1 - inside**2)
    low, high = np.tanh(np.arctanh(inside) + np.array([-half, half]))
    return Estimate(value, float(low), float(high), count, size, method)


def spearman_influence(first: ArrayLike, second: ArrayLike) -> Floats:
    """Each unit's influence on Spearman's correlation, (n,); zeros if the correlation is not defined."""
    x, y = finite("first", first), finite("second", second)
    return np.zeros(len(x)) if len(x) < 3 or np.ptp(x) == 0 or np.ptp(y) == 0 else _grades(x, y)[1]


def _grades(x: Floats, y: Floats) -> tuple[float, Floats]:
    """The correlation of grades, and each unit's influence on it, (n,)."""
    size = len(x)
    grade_x = (stats.rankdata(x) - 0.5) / size
    grade_y = (stats.rankdata(y) - 0.5) / size
    deviation = float(grade_x.std() * grade_y.std())
    value = float(np.mean((grade_x - grade_x.mean()) * (grade_y - grade_y.mean())) / deviation)
    # Effect of one unit on the other units' grades: mean over j of 1(x_i <= x_j) of y_j's grade; a tie counts one half.
    moved = _mean_above(x, grade_y - grade_y.mean()) + _mean_above(y, grade_x - grade_x.mean())
    own = (grade_x - grade_x.mean()) * (grade_y - grade_y.mean())
    influence = (own + moved) / deviation
    return value, (influence - influence.mean()) / size


def _mean_above(x: Floats, weights: Floats) -> Floats:
    order = np.argsort(x, kind="stable")
    ordered = weights[order]
    tail = np.concatenate((np.cumsum(ordered[::-1])[::-1], [0.0]))
    left = np.searchsorted(x[order], x, side="left")
    right = np.searchsorted(x[order], x, side="right")
    return (tail[left] + tail[right]) / 2 / len(x)


LIMITS = 1.96
"""Limits of agreement in standard deviations, rounded as in Bland & Altman's paper, so that its examples come out."""


@dataclass(frozen=True, slots=True)
class BlandAltman:
    """Mean difference and limits of agreement (mean ∓ 1.96 standard deviations), each with its interval."""

    bias: Estimate
    low: Estimate
    high: Estimate


def bland_altman(
    first: ArrayLike,
    second: ArrayLike,
    patients: ArrayLike | None = None,
    *,
    confidence: float = 0.95,
    draws: int = 2000,
    seed: int = 0,
) -> BlandAltman:
    """Mean difference and limits of agreement of `first` minus `second`.

    Args:
        first: (n,) finite.
        second: (n,) finite, in the same unit.
        patients: (n,) any labels; without it every unit is a patient.
        confidence: Coverage of the intervals, in (0, 1).
        draws: Draws of the bootstrap.
        seed: Its seed.

    Returns:
        BlandAltman with bias, low and high in the unit of the input. With one unit per patient the bias has Student's
        interval and the limits the variance s² (1/n + 1.96²/(2 (n - 1))), as in Bland & Altman, Statistical Methods in
        Medical Research 8:135 (1999); else all three intervals come from a bootstrap of patients.

    Raises:
        ValueError: If a value is not finite.

    Example:
        >>> print(bland_altman([50, 61, 72, 80], [52, 60, 70, 81]).bias)
        0.000 (-2.905 to 2.905; 4 patients)
    """
    apart = finite("first", first) - finite("second", second)
    owner = owners(patients, len(apart))
    count, size = int(owner.max()) + 1, len(apart)
    mean, spread = float(apart.mean()), float(apart.std(ddof=1))
    if count == size:
        t = float(stats.t.ppf(0.5 + confidence / 2, size - 1))
        halves = (
            t * spread / np.sqrt(size),
            t * spread * np.sqrt(1 / size + NORMAL_95**2 / (2 * (size - 1))),
        )
        points = ((mean, halves[0]), (mean - LIMITS * spread, halves[1]), (mean + LIMITS * spread, halves[1]))
        found = [Estimate(point, point - half, point + half, count, size, "Bland-Altman") for point, half in points]
    else:
        sums = patient_sums(np.stack([np.ones(size), apart, apart**2], axis=1), owner)
        value, low, high = interval(sums, _limits, confidence, draws, seed)
        found = [
            Estimate(float(value[i]), float(low[i]), float(high[i]), count, size, "bootstrap of patients, BCa")
            for i in range(3)
        ]
    return BlandAltman(*found)


def _limits(sums: Floats) -> Floats:
    count = sums[..., 0]
    mean = sums[..., 1] / count
    spread = np.sqrt(np.maximum(sums[..., 2] / count - mean**2, 0) * count / (count - 1))
    return np.stack([mean, mean - LIMITS * spread, mean + LIMITS * spread], axis=-1)


def kappa(
    first: ArrayLike,
    second: ArrayLike,
    patients: ArrayLike | None = None,
    weights: str = "none",
    *,
    folds: ArrayLike | None = None,
    again: ArrayLike | None = None,
    confidence: float = 0.95,
    draws: int = 2000,
    seed: int = 0,
) -> Estimate:
    """Cohen's kappa of two readings with whole-number or text labels.

    Args:
        first: (n,) labels.
        second: (n,) labels.
        patients: (n,) any labels; without it every unit is a patient.
        weights: Cost of a disagreement by the distance of the labels in sorted order: none (every disagreement costs
            one), linear or quadratic, as in scikit-learn.
        folds: (n,) the fold that tested the unit.
        again: (n,) numeric labels as `second` by another fold's fit, nan if missing. `folds` and `again` widen the
            interval for shared training patients (see `refit`).
        confidence: Coverage of the interval, in (0, 1).
        draws: Draws of the bootstrap.
        seed: Its seed.

    Returns:
        Estimate up to 1, interval by bootstrap of patients (BCa); nan if chance alone would give full agreement.

    Example:
        >>> round(kappa([0, 1, 2, 2, 1, 0], [0, 1, 2, 1, 1, 0], weights="quadratic").value, 3)
        0.857
    """
    labels, numbers = np.unique(np.concatenate([np.asarray(first), np.asarray(second)]), return_inverse=True)
    size, classes = len(numbers) // 2, len(labels)
    owner = owners(patients, size)

    def cells_of(one: Integers, other: Integers) -> Floats:
        cells = np.zeros((size, classes * classes))
        cells[np.arange(size), one * classes + other] = 1
        return patient_sums(cells, owner)

    apart = np.abs(np.subtract.outer(np.arange(classes), np.arange(classes))).astype(np.float64)
    cost = {"none": (apart > 0).astype(np.float64), "linear": apart, "quadratic": apart**2}[weights]

    def statistic(sums: Floats) -> Floats:
        table = sums.reshape(*sums.shape[:-1], classes, classes)
        total = table.sum(axis=(-1, -2))
        chance = table.sum(axis=-1)[..., :, None] * table.sum(axis=-2)[..., None, :] / total[..., None, None]
        expected = (chance * cost).sum(axis=(-1, -2))
        return (1 - (table * cost).sum(axis=(-1, -2)) / np.where(expected > 0, expected, np.nan))[..., None]

    # Every weighting is a function of the table of counts, so one bootstrap of patients' tables serves all.
    sums = cells_of(numbers[:size], numbers[size:])
    value, low, high = interval(sums, statistic, confidence, draws, seed)
    method = "bootstrap of patients, BCa"
    found = Estimate(float(value[0]), float(low[0]), float(high[0]), len(sums), size, method)
    refit = refit_of(folds, owner, again)
    if refit is None:
        return found
    other = numbers[size:]
    if again is not None:
        values = filled(again, np.asarray(second, dtype=np.float64))
        # A label that only the other fit gives is not in the table; the nearest lower label replaces it.
        other = np.clip(np.searchsorted(labels, values, side="right") - 1, 0, classes - 1)
    factor = refit.factor_of_sums(sums, cells_of(numbers[:size], other), statistic)[0]
    return widened(found, float(factor), "correlation", refit.caution)


def quadratic_kappa(
    truth: ArrayLike,
    given: ArrayLike,
    patients: ArrayLike | None = None,
    *,
    folds: ArrayLike | None = None,
    again: ArrayLike | None = None,
    confidence: float = 0.95,
    draws: int = 2000,
    seed: int = 0,
) -> Estimate:
    """Cohen's kappa of two readings (n,) in numbers; a disagreement costs the square of its size.

    Equal to `kappa` with quadratic weights if the readings are whole numbers of a scale whose levels all occur; here a
    level that does not occur still counts as a step. Other arguments as in `kappa`.

    Example:
        >>> round(quadratic_kappa([0, 1, 2, 2, 1, 0], [0, 1, 2, 1, 1, 0]).value, 3)
        0.857
    """
    true, values = finite("truth", truth), finite("given", given)
    owner = owners(patients, len(true))
    sums = patient_sums(_moments(true, values), owner)
    value, low, high = interval(sums, _from_moments, confidence, draws, seed)
    method = "bootstrap of patients, BCa"
    found = Estimate(float(value[0]), float(low[0]), float(high[0]), len(sums), len(true), method)
    refit = refit_of(folds, owner, again)
    if refit is None:
        return found
    others = patient_sums(_moments(true, filled(again, values)), owner)
    factor = refit.factor_of_sums(sums, others, _from_moments)[0]
    return widened(found, float(factor), "correlation", refit.caution)


def compare_quadratic_kappa(
    truth: ArrayLike,
    first: ArrayLike,
    second: ArrayLike,
    patients: ArrayLike | None = None,
    *,
    folds: ArrayLike | None = None,
    again: tuple[ArrayLike | None, ArrayLike | None] = (None, None),
    confidence: float = 0.95,
    draws: int = 2000,
    seed: int = 0,
    permutations: int = 9999,
) -> Estimate:
    """Paired difference (first minus second) of two readings' `quadratic_kappa` with the truth, on the same units.

    Interval by bootstrap of patients; p from exchanging the two readings within random patients. `folds` and `again` as
    in `errors.compare_errors`.
    """
    true = finite("truth", truth)
    owner = owners(patients, len(true))
    given = [finite(name, each) for name, each in (("first", first), ("second", second))]

    def sums_of(readings: Sequence[Floats]) -> Floats:
        return np.concatenate([patient_sums(_moments(true, each), owner) for each in readings], axis=1)

    sums = sums_of(given)
    width = sums.shape[1] // 2
    value, low, high = interval(sums, _apart, confidence, draws, seed)
    p_value = permutation_p(sums[:, :width], sums[:, width:], _from_moments, draws=permutations, seed=seed)[0]
    # For equal readings the interval is the point itself.
    ends = value if np.array_equal(given[0], given[1]) else np.concatenate([low, high])
    method = f"paired bootstrap of patients, BCa, {draws} draws; permutation p, {permutations} draws"
    found = Estimate(
        float(value[0]),
        float(ends[0]),
        float(ends[-1]),
        len(sums),
        len(true),
        method,
        of_unequal(owner),
        float(p_value),
    )
    # Folds that share training patients widen the interval; the point does not change.
    refit = refit_of(folds, owner, *again, pair=True)
    if refit is None:
        return found
    others = sums_of([filled(each, values) for each, values in zip(again, given, strict=True)])
    return widened(found, float(refit.factor_of_sums(sums, others, _apart)[0]), "plain", refit.caution)


def _moments(true: Floats, given: Floats) -> Floats:
    """Moments from which quadratic kappa is computed, one row per unit, (n, 6)."""
    return np.stack([np.ones_like(true), true, true**2, given, given**2, (given - true) ** 2], axis=1)


def _from_moments(sums: Floats) -> Floats:
    """Quadratic kappa from sums of moments (..., 6): one minus disagreement divided by that of independent readings."""
    count, true, true_square, given, given_square, apart = (sums[..., i] for i in range(6))
    expected = true_square + given_square - 2 * true * given / count
    # Rounding leaves a small number if both readings are the same constant.
    some = expected > 1e-9 * (true_square + given_square)
    return np.where(some, 1 - apart / np.where(some, expected, 1), np.nan)[..., None]


def _apart(sums: Floats) -> Floats:
    """The difference of two quadratic kappas from their moments side by side, (..., 12)."""
    return _from_moments(sums[..., :6]) - _from_moments(sums[..., 6:])
