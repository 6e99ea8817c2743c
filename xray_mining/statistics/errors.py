"""Errors of predicted numbers (age in years, scores), each with an interval that keeps a patient's images together."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from xray_mining.statistics.agreement import spearman, spearman_influence
from xray_mining.statistics.estimate import NORMAL_95, Estimate, Floats, Integers, finite, of_unequal, owners
from xray_mining.statistics.refit import Refit, all_widened, filled, refit_of, widened
from xray_mining.statistics.resampling import (
    SCORE,
    interval,
    linear_interval,
    patient_sums,
    permutation_p,
    proportion_interval,
    standard_errors,
)

_COUNT, _TRUE, _GIVEN, _TRUE2, _GIVEN2, _CROSS, _ABSOLUTE, _CENTRE, _SQUARE, _ERROR = range(10)

METRICS = (
    "mae", "rmse", "bias", "r2", "rmae", "pearson", "ccc", "calibration_slope", "calibration_intercept",
    "slope_on_truth", "limit_low", "limit_high", "error_deviation",
)  # fmt: skip
"""The statistics of `from_sums`, in this order."""


def sums_of(truth: Floats, predicted: Floats, centre: Floats | None) -> Floats:
    """Terms of the metrics, one row per unit, (n, 10); truth is centred by its mean to avoid cancellation."""
    error = predicted - truth
    shift = truth.mean() if len(truth) else 0.0
    true, given = truth - shift, predicted - shift
    guess = np.abs(centre - truth) if centre is not None else np.full_like(truth, np.nan)
    return np.stack(
        [np.ones_like(truth), true, given, true**2, given**2, true * given, np.abs(error), guess, error**2, error],
        axis=1,
    )


def from_sums(shift: float) -> "_FromSums":
    """The statistic from sums (..., 10) → METRICS (..., 13); `shift` is the mean that `sums_of` subtracted."""
    return _FromSums(shift)


class _FromSums:
    def __init__(self, shift: float) -> None:
        self.shift = shift

    def __call__(self, sums: Floats) -> Floats:
        count = sums[..., _COUNT]
        mean = sums / count[..., None]
        true, given = mean[..., _TRUE], mean[..., _GIVEN]
        var_true = mean[..., _TRUE2] - true**2
        var_given = mean[..., _GIVEN2] - given**2
        # A constant prediction leaves a rounding error as variance; its slope and correlation are not defined.
        var_given = np.where(var_given <= 1e-12 * (1 + given**2), np.nan, var_given)
        var_true_or_nan = np.where(var_true <= 1e-12 * (1 + true**2), np.nan, var_true)
        cross = mean[..., _CROSS] - true * given
        bias = mean[..., _ERROR]
        slope = cross / var_given
        spread = np.sqrt(np.maximum(mean[..., _SQUARE] - bias**2, 0) * count / np.maximum(count - 1, 1))
        together = np.nan_to_num(var_true_or_nan) + np.nan_to_num(var_given) + (true - given) ** 2
        return np.stack(
            [
                mean[..., _ABSOLUTE],
                np.sqrt(mean[..., _SQUARE]),
                bias,
                1 - mean[..., _SQUARE] / var_true_or_nan,
                mean[..., _ABSOLUTE] / mean[..., _CENTRE],
                cross / np.sqrt(var_given * var_true_or_nan),
                2 * cross / np.where(together > 0, together, np.nan),
                slope,
                true + self.shift - slope * (given + self.shift),
                cross / var_true_or_nan,
                bias - NORMAL_95 * spread,
                bias + NORMAL_95 * spread,
                spread,
            ],
            axis=-1,
        )


def error_metrics(
    truth: ArrayLike,
    predicted: ArrayLike,
    patients: ArrayLike | None = None,
    centre: ArrayLike | None = None,
    *,
    folds: ArrayLike | None = None,
    again: ArrayLike | None = None,
    confidence: float = 0.95,
    draws: int = 2000,
    seed: int = 0,
    within: Sequence[float] = (5, 10),
) -> dict[str, Estimate]:
    """All error metrics of predicted numbers, by name, each with its interval.

    median_error is of absolute errors; within_K is the share of units with an absolute error up to K; calibration_slope
    regresses truth on prediction (ideal 1), slope_on_truth prediction on truth (below 1: regression to the mean);
    limit_low and limit_high are mean difference ∓ 1.96 standard deviations (Bland & Altman 1999).

    Args:
        truth: (n,) finite.
        predicted: (n,) finite, in the same unit.
        patients: (n,) any labels; without it every unit is a patient.
        centre: (n,) predictions of the null model that guesses the centre, for the same units. rmae is the MAE divided
            by its MAE; without `centre` there is no rmae.
        folds: (n,) the fold that tested the unit.
        again: (n,) predictions by another fold's fit, nan if missing. `folds` and `again` widen the intervals for
            shared training patients (see `refit`).
        confidence: Coverage of the intervals, in (0, 1).
        draws: Draws of the bootstrap.
        seed: Its seed.
        within: Limits K.

    Returns:
        Estimate by name, in the unit of the input; nan if a metric is not defined, as the correlation of a constant.
        Intervals: bootstrap of patients (BCa); Woodruff's for median_error; Wilson's score for within_K; influence
        function for spearman.

    Raises:
        ValueError: If the input is empty or a value is not finite.

    Example:
        >>> print(error_metrics([50.0, 60.0, 70.0, 80.0], [52.0, 59.0, 71.0, 76.0])["mae"])
        2.000 (1.000 to 4.000; 4 patients)
    """
    true = finite("truth", truth)
    given = finite("predicted", predicted, true.shape)
    if not len(true):
        raise ValueError("errors need at least one unit")
    guess = finite("centre", centre, true.shape) if centre is not None else None
    owner = owners(patients, len(true))
    count = int(owner.max()) + 1
    # Metrics that are functions of sums share one bootstrap of patients.
    units = sums_of(true, given, guess)
    value, low, high = interval(patient_sums(units, owner), from_sums(float(true.mean())), confidence, draws, seed)
    method = f"bootstrap of patients, BCa, {draws} draws"
    caution = "one patient only" if count < 2 else ("few patients" if count < 30 else of_unequal(owner))
    found = {
        name: Estimate(float(value[i]), float(low[i]), float(high[i]), count, len(true), method, caution)
        for i, name in enumerate(METRICS)
        if name != "rmae" or guess is not None
    }
    # Quantiles, shares and rank correlation are no functions of sums: each has its own interval.
    distance = np.abs(given - true)
    found["median_error"] = quantile(distance, owner, 0.5, confidence).with_caution(caution)
    for limit in within:
        near = np.stack([distance <= limit, np.ones_like(true)], axis=1)
        share, share_low, share_high = proportion_interval(patient_sums(near, owner), confidence)
        found[f"within_{limit:g}"] = Estimate(share, share_low, share_high, count, len(true), SCORE, caution)
    found["spearman"] = spearman(true, given, owner, confidence).with_caution(caution)
    # Metrics over several folds: widen their intervals, and mark those that mix the predictions of different fits.
    refit = refit_of(folds, owner, again)
    if refit is None:
        return found
    factors = _factors(refit, true, given, filled(again, given), owner=owner, guess=guess, within=within)
    found = all_widened(found, factors, refit.caution)
    for name in POOLED:
        found[name] = found[name].with_caution(POOLED_CAUTION)
    return found


def _factors(
    refit: Refit,
    true: Floats,
    given: Floats,
    other: Floats,
    *,
    owner: Integers,
    guess: Floats | None,
    within: Sequence[float],
) -> dict[str, float]:
    """Factor of the variance of each metric, because the folds share training patients.

    `other` (n,): predictions of the same units by another fold's fit.
    """
    first, second = (patient_sums(sums_of(true, each, guess), owner) for each in (given, other))
    of_sums = refit.factor_of_sums(first, second, from_sums(float(true.mean())), METRICS)
    factors = dict(zip(METRICS, of_sums.tolist(), strict=True))
    distance, apart = np.abs(given - true), np.abs(other - true)
    median = float(np.median(distance))
    factors["median_error"] = refit.factor_of_units((distance <= median) - 0.5, (apart <= median) - 0.5, owner)
    for limit in within:
        near, near_again = distance <= limit, apart <= limit
        factors[f"within_{limit:g}"] = refit.factor_of_units(near - near.mean(), near_again - near_again.mean(), owner)
    factors["spearman"] = refit.factor_of_units(spearman_influence(true, given), spearman_influence(true, other), owner)
    return factors


POOLED = ("r2", "pearson", "spearman", "ccc", "calibration_slope", "calibration_intercept", "slope_on_truth")
"""Metrics that rank or regress predictions of different fits together; no factor of the variance corrects that."""
POOLED_CAUTION = "pooled over folds, whose fits differ"


def quantile(values: ArrayLike, patients: ArrayLike | None, level: float, confidence: float = 0.95) -> Estimate:
    """A quantile with Woodruff's interval (JASA 47:635, 1952): the interval of the share below it, inverted.

    The variance of the share is clustered by patient. A naive bootstrap of a median can hold the truth far too rarely.
    """
    array = finite("values", values)
    owner = owners(patients, len(array))
    point = float(np.quantile(array, level))
    influence = ((array <= point) - level) / len(array)
    influence -= influence.mean()
    low, high, _ = linear_interval(level, influence, owner, confidence)
    if np.isnan(low):
        return Estimate(point, np.nan, np.nan, 1, len(array), "Woodruff")
    # Use order statistics, not interpolation, so that the interval is never narrower than the observed values allow.
    ends = (
        float(np.quantile(array, max(low, 0), method="lower")),
        float(np.quantile(array, min(high, 1), method="higher")),
    )
    return Estimate(point, ends[0], ends[1], int(owner.max()) + 1, len(array), "Woodruff")


DIFFERENCES = ("mae", "rmse", "bias", "mae_ratio")


def _differences(both: Floats) -> Floats:
    count = both[..., 0]
    first, second = both[..., 1:4], both[..., 4:7]
    return np.stack(
        [
            (first[..., 0] - second[..., 0]) / count,
            np.sqrt(first[..., 1] / count) - np.sqrt(second[..., 1] / count),
            (first[..., 2] - second[..., 2]) / count,
            first[..., 0] / second[..., 0],
        ],
        axis=-1,
    )


def compare_errors(
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
) -> dict[str, Estimate]:
    """Paired differences (first minus second) in mae, rmse and bias, and the ratio of MAEs (mae_ratio).

    Args:
        truth: (n,) finite.
        first: (n,) predictions of the first model, in the same unit.
        second: (n,) predictions of the second model.
        patients: (n,) any labels; without it every unit is a patient.
        folds: (n,) the fold that tested the unit.
        again: Both models' predictions by another fold's fit, (n,) each, nan if missing. `folds` and `again` widen
            intervals and p for shared training patients (see `refit`).
        confidence: Coverage of the intervals, in (0, 1).
        draws: Draws of the bootstrap.
        seed: Its seed.
        permutations: Draws of the permutation test.

    Returns:
        Estimate by name: interval by paired bootstrap of patients (BCa), p from exchanging the models within random
        patients.

    Raises:
        ValueError: If a value is not finite or the shapes differ.

    Example:
        >>> found = compare_errors([50.0, 60.0, 70.0, 80.0], [52.0, 59.0, 71.0, 76.0], [55.0, 50.0, 66.0, 70.0])
        >>> found["mae"].value, round(found["mae_ratio"].value, 3)
        (-5.25, 0.276)
    """
    true = finite("truth", truth)
    owner = owners(patients, len(true))
    given = [finite(name, each, true.shape) for name, each in (("first", first), ("second", second))]
    sums = patient_sums(_pair_units(true, *given), owner)
    value, low, high = interval(sums, _differences, confidence, draws, seed)
    # The permutation exchanges the models of whole patients, as units of one patient are not independent.
    count = sums[:, :1]
    p_values = permutation_p(
        np.concatenate([count, sums[:, 1:4]], axis=1),
        np.concatenate([count, sums[:, 4:7]], axis=1),
        _three,
        draws=permutations,
        seed=seed,
    )
    p_values = np.append(p_values, p_values[0])
    # Equal predictions have the difference 0 exactly, also as interval.
    same = bool(np.array_equal(given[0], given[1]))
    caution = of_unequal(owner)
    method = f"paired bootstrap of patients, BCa, {draws} draws; permutation p, {permutations} draws"
    found = {
        name: Estimate(
            float(value[i]),
            float(value[i] if same else low[i]),
            float(value[i] if same else high[i]),
            len(sums),
            len(true),
            method,
            caution,
            float(p_values[i]),
        )
        for i, name in enumerate(DIFFERENCES)
    }
    refit = refit_of(folds, owner, *again, pair=True)
    if refit is None:
        return found
    others = patient_sums(_pair_units(true, filled(again[0], given[0]), filled(again[1], given[1])), owner)
    factors = refit.factor_of_sums(sums, others, _differences, DIFFERENCES)
    return {
        name: widened(each, float(factor), "ratio" if name == "mae_ratio" else "plain", refit.caution)
        for (name, each), factor in zip(found.items(), factors, strict=True)
    }


def _pair_units(true: Floats, first: Floats, second: Floats) -> Floats:
    """Terms of the differences, one row per unit, (n, 7)."""
    parts = [np.stack([np.abs(error), error**2, error], axis=1) for error in (first - true, second - true)]
    return np.concatenate([np.ones((len(true), 1)), *parts], axis=1)


def _three(sums: Floats) -> Floats:
    count = sums[..., 0]
    return np.stack([sums[..., 1] / count, np.sqrt(sums[..., 2] / count), sums[..., 3] / count], axis=-1)


def detected(power: float = 0.8) -> float:
    """The difference, in standard errors, that a two-sided test at 5 % detects with this power."""
    return float(stats.norm.ppf(0.975) + stats.norm.ppf(power))


def smallest_difference(
    truth: ArrayLike,
    first: ArrayLike,
    second: ArrayLike,
    patients: ArrayLike | None = None,
    power: float = 0.8,
    *,
    folds: ArrayLike | None = None,
    again: tuple[ArrayLike | None, ArrayLike | None] = (None, None),
) -> float:
    """The difference in MAE that a two-sided test at 5 % would detect with this power on units like these.

    Arguments as in `compare_errors`; the result is in the unit of the truth.
    """
    true = finite("truth", truth)
    owner = owners(patients, len(true))

    def apart(one: ArrayLike, other: ArrayLike) -> Floats:
        values = np.abs(finite("first", one) - true) - np.abs(finite("second", other) - true)
        return patient_sums(np.stack([np.ones_like(true), values], axis=1), owner)

    def mean(sums: Floats) -> Floats:
        return (sums[..., 1] / sums[..., 0])[..., None]

    sums = apart(first, second)
    error = standard_errors(sums, mean)[0]
    refit = refit_of(folds, owner, *again, pair=True)
    if refit is not None:
        given = finite("first", first), finite("second", second)
        others = apart(filled(again[0], given[0]), filled(again[1], given[1]))
        error *= np.sqrt(refit.factor_of_sums(sums, others, mean)[0])
    return detected(power) * float(error)
