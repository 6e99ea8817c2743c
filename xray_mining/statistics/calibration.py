"""Calibration of probabilities: Brier score, log loss, slope, intercept, expected calibration error, curves."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from xray_mining.statistics.estimate import Booleans, Estimate, Floats, Integers, binary, finite, owners
from xray_mining.statistics.refit import all_widened, filled, refit_of, widened
from xray_mining.statistics.resampling import interval, patient_sums, proportion_interval

SMALLEST = 1e-7
"""Probabilities are clipped to [SMALLEST, 1 - SMALLEST] before a logarithm."""


@dataclass(frozen=True, slots=True)
class Bin:
    """One bin of a reliability curve."""

    predicted: float
    observed: float
    low: float
    high: float
    patients: int
    images: int


def calibration_metrics(
    labels: ArrayLike,
    probabilities: ArrayLike,
    patients: ArrayLike | None = None,
    *,
    folds: ArrayLike | None = None,
    again: ArrayLike | None = None,
    confidence: float = 0.95,
    draws: int = 2000,
    seed: int = 0,
    bins: int = 10,
) -> dict[str, Estimate]:
    """Calibration figures of probabilities: brier, log_loss, ece, calibration_slope, calibration_intercept.

    Slope and intercept are logistic (Cox 1958): y on logit p, and the intercept with the slope fixed at 1. The expected
    calibration error (ece) has no interval: chance increases it, for a perfect model too, and again in every resample.

    Args:
        labels: (n,) of 0 and 1.
        probabilities: (n,) in [0, 1].
        patients: (n,) any labels; without it every unit is a patient.
        folds: (n,) the fold that tested the unit.
        again: (n,) probabilities by another fold's fit, nan if missing. `folds` and `again` widen the intervals for
            shared training patients (see `refit`); slope and intercept as much as the log loss.
        confidence: Coverage of the intervals, in (0, 1).
        draws: Draws of the bootstrap.
        seed: Its seed.
        bins: Number of bins of ece, with equal numbers of units.

    Returns:
        Estimate by name. Brier score and log loss have a bootstrap of patients (BCa), slope and intercept Student
        intervals with a sandwich variance summed per patient.

    Raises:
        ValueError: If a probability is outside [0, 1] or not finite, or a label is not 0 or 1.

    Example:
        >>> found = calibration_metrics([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
        >>> round(found["brier"].value, 4), round(found["log_loss"].value, 4)
        (0.1581, 0.4723)
    """
    positive = binary(labels)
    given = finite("probabilities", probabilities, positive.shape)
    if len(given) and (given.min() < 0 or given.max() > 1):
        raise ValueError("probabilities are not all between 0 and 1")
    owner = owners(patients, len(given))
    cut = np.clip(given, SMALLEST, 1 - SMALLEST)
    target = positive.astype(np.float64)
    place = _places(given, bins)
    # Brier score and log loss are means over units, so a bootstrap of patients' sums suffices.
    units = _losses(positive, given)

    def statistic(sums: Floats) -> Floats:
        return sums[..., 1:] / sums[..., :1]

    value, low, high = interval(patient_sums(units, owner), statistic, confidence, draws, seed)
    count = int(owner.max()) + 1
    found = {
        name: Estimate(float(value[i]), float(low[i]), float(high[i]), count, len(given), "bootstrap of patients, BCa")
        for i, name in enumerate(("brier", "log_loss"))
    }
    apart = float(np.abs(np.bincount(place, given - target)).sum()) / len(given)
    caution = "a perfect model's is not 0"
    found["ece"] = Estimate(apart, np.nan, np.nan, count, len(given), "bins of equal size", caution)
    found |= _logistic(positive, np.log(cut) - np.log1p(-cut), owner, confidence)
    refit = refit_of(folds, owner, again)
    if refit is None:
        return found
    others = _losses(positive, np.clip(filled(again, given), 0, 1))
    # Slope and intercept have no influence function here, so they are widened like the log loss.
    names = ("brier", "log_loss")
    brier, log_loss = refit.factor_of_sums(patient_sums(units, owner), patient_sums(others, owner), statistic, names)
    slopes = dict.fromkeys(("calibration_slope", "calibration_intercept"), float(log_loss))
    found = all_widened(found, {"brier": float(brier), "log_loss": float(log_loss)} | slopes, refit.caution)
    for name in slopes:
        found[name] = found[name].with_caution("pooled over folds, whose fits differ")
    return found


def _losses(positive: Booleans, given: Floats) -> Floats:
    """Terms of Brier score and log loss, one row per unit, (n, 3)."""
    cut = np.clip(given, SMALLEST, 1 - SMALLEST)
    loss = -np.where(positive, np.log(cut), np.log1p(-cut))
    return np.stack([np.ones(len(given)), (given - positive) ** 2, loss], axis=1)


def _logistic(positive: np.ndarray, logit: Floats, owner: Integers, confidence: float) -> dict[str, Estimate]:
    count, size = int(owner.max()) + 1, len(logit)
    method = "logistic regression, sandwich variance by patient"
    nothing = Estimate(np.nan, np.nan, np.nan, count, size, method, "not defined for these predictions")
    found = {"calibration_slope": nothing, "calibration_intercept": nothing}
    if positive.all() or not positive.any():
        return found
    one = np.ones((size, 1))
    for name, design, offset in (
        ("calibration_slope", np.concatenate([one, logit[:, None]], axis=1), np.zeros(size)),
        ("calibration_intercept", one, logit),
    ):
        if name == "calibration_slope" and np.ptp(logit) < 1e-9:
            continue
        fit = logistic_fit(design, positive, offset, owner)
        if fit is None:
            continue
        weights, covariance = fit
        value, error = float(weights[-1]), float(np.sqrt(covariance[-1, -1]))
        half = float(stats.t.ppf(0.5 + confidence / 2, max(count - 1, 1))) * error
        found[name] = Estimate(value, value - half, value + half, count, size, method)
    return found


def logistic_fit(
    design: Floats, positive: ArrayLike, offset: Floats | None = None, patients: ArrayLike | None = None
) -> tuple[Floats, Floats] | None:
    """Weights (k,) of a logistic regression of labels on `design` (n, k), and their sandwich covariance (k, k).

    Newton's method; None if it does not converge (perfect separation).
    """
    # Own code because no dependency provides it: scipy has no logistic regression, scikit-learn's takes no offset and
    # gives no covariance, and statsmodels is installed for tests only, which compare this fit with it.
    target = binary(positive).astype(np.float64)
    shift = np.zeros(len(target)) if offset is None else offset
    owner = owners(patients, len(target))
    weights = np.zeros(design.shape[1])
    for _ in range(100):
        chance = 1 / (1 + np.exp(-np.clip(design @ weights + shift, -40, 40)))
        gradient = design.T @ (target - chance)
        curvature = (design * (chance * (1 - chance))[:, None]).T @ design
        try:
            step = np.linalg.solve(curvature, gradient)
        except np.linalg.LinAlgError:
            return None
        length = float(np.abs(step).max())
        weights = weights + step * min(1.0, 4.0 / max(length, 1e-300))
        if np.abs(weights).max() > 1e3:
            return None
        if length < 1e-10 * (1 + np.abs(weights).max()):
            break
    else:
        return None
    score = design * (target - chance)[:, None]
    sums = np.stack([np.bincount(owner, column) for column in score.T], axis=1)
    inverse = np.linalg.inv(curvature)
    count = len(sums)
    return weights, inverse @ (sums.T @ sums) @ inverse * (count / max(count - 1, 1))


def _places(given: Floats, bins: int) -> Integers:
    """Each unit's bin number; bins have equal numbers of units, as far as ties allow."""
    return np.searchsorted(_edges(given, bins), given, side="left").astype(np.int64)


def _edges(given: Floats, bins: int) -> Floats:
    return np.quantile(given, np.linspace(0, 1, bins + 1)[1:-1])


def reliability_curve(
    labels: ArrayLike,
    probabilities: ArrayLike,
    patients: ArrayLike | None = None,
    confidence: float = 0.95,
    bins: int = 10,
    *,
    folds: ArrayLike | None = None,
    again: ArrayLike | None = None,
) -> list[Bin]:
    """Reliability curve: mean probability and share of positives in bins with equal numbers of units.

    Args:
        labels: (n,) of 0 and 1.
        probabilities: (n,) finite.
        patients: (n,) any labels; without it every unit is a patient.
        confidence: Coverage of the intervals, in (0, 1).
        bins: Number of bins.
        folds: (n,) the fold that tested the unit.
        again: (n,) probabilities by another fold's fit, nan if missing. `folds` and `again` widen the intervals for
            shared training patients (see `refit`), because the other fit might have put a unit into another bin.

    Returns:
        One Bin per occupied bin, in the order of the probabilities; Wilson's score interval clustered by patient.

    Raises:
        ValueError: If a probability is not finite, or a label is not 0 or 1.

    Example:
        >>> found = reliability_curve([0, 0, 1, 1], [0.125, 0.25, 0.5, 0.75], bins=2)
        >>> [(each.predicted, each.observed) for each in found]
        [(0.1875, 0.0), (0.625, 1.0)]
    """
    positive = binary(labels)
    given = finite("probabilities", probabilities, positive.shape)
    owner = owners(patients, len(given))
    place = _places(given, bins)
    refit = refit_of(folds, owner, again, share=1 / max(len(np.unique(place)), 1))
    elsewhere = np.searchsorted(_edges(given, bins), filled(again, given), side="left")
    found = []
    for each in np.unique(place):
        inside = place == each
        own = owners(owner[inside], int(inside.sum()))
        sums = patient_sums(np.stack([positive[inside], np.ones(inside.sum())], axis=1), own)
        share, low, high = proportion_interval(sums, confidence)
        if refit is not None:
            apart = positive - share
            factor = refit.factor_of_units(apart * inside, apart * (elsewhere == each), owner)
            wide = widened(Estimate(share, low, high, 0, 0, ""), factor, "share")
            low, high = wide.low, wide.high
        found.append(Bin(float(given[inside].mean()), share, low, high, len(sums), int(inside.sum())))
    return found
