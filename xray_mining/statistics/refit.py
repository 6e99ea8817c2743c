"""How much folds that share training patients add to the variance of a figure; one rule for all figures over folds.

Each patient of k folds is tested by a fit that learned from most patients of the other folds, and these are tested by
fits that learned from that patient. The effect of two patients on each other's loss through the fits has the same sign
both ways, so it adds up instead of averaging out, and the variance between patients does not show it (Bengio &
Grandvalet, JMLR 5:1089, 2004: one run of folds has no unbiased estimate). Let v be the variance between patients, and t
the part of it that other training patients would have changed. The variance is v + t: v for a model that always learns
the same, 2 v for a model that learns noise. Nadeau & Bengio (Machine Learning 52:239, 2003) use v (1 + k / (k - 1)) for
every model.

t is measured from second predictions: those of another fold's fit that did not learn from the patient either, as for
its validation patients. The measure is the mean square change of patients' influences on the figure between the two
fits. Without second predictions a constant is used, with a caution.

The effect of two patients on each other counts once per pair of patients that enter the figure. So a figure of a part
of the tested patients (a subgroup) gets that part's share of t, a figure of one class (sensitivity) gets the share of
the other class, and a difference between two parts gets no t, because it cancels out. docs/statistics.md has
simulations with fitted models.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike
from scipy import special, stats

from xray_mining.statistics.estimate import Booleans, Estimate, Floats, Integers
from xray_mining.statistics.measured import NOT_AGAIN
from xray_mining.statistics.resampling import GROUPS_AT_MOST, Statistic, grouped, patient_sums

WITHOUT_AGAIN = 0.5
"""t / v without second predictions: between the values of errors (0 to 0.3) and of areas (0.2 to 1)."""
AT_MOST = 1.0
"""The largest t / v: with other training patients, nothing of the variance between patients would stay the same."""
OF_SQUARES = 1.5
"""The largest t / v of squared errors and log losses, to which a fit's common error of all its patients adds.

Chosen by simulation: for models of noise the variance of a Brier score is 2.2 v, of a difference in RMSE 2.0 to 2.3 v.
"""
SQUARES = ("rmse", "r2", "error_deviation", "limit_low", "limit_high", "brier", "log_loss")
"""Figures of squared errors, or of a loss close to squared errors."""
LEAST_KNOWN = 0.5
"""Least share of patients with second predictions; below it the constant is used."""


def per_change(folds: int) -> float:
    """Factor from the mean square change of influences to t: two of k fits share most of their training patients.

    For a model that is linear in its training patients it is 1.33 at five folds with inner folds; interactions of three
    and more patients add to it. Chosen by simulation.
    """
    return (folds + 2) / 4


@dataclass(frozen=True, slots=True)
class Refit:
    """The folds of a figure, and which patients have second predictions."""

    folds: int
    known: Booleans
    """(P,) bool: all units of the patient have second predictions."""
    pair: bool = False
    """Whether the figure is a difference of two models."""
    share: float = 1.0
    """Share of the tested patients that enter the figure."""

    @property
    def measured(self) -> bool:
        """Whether enough patients have second predictions to measure t."""
        return bool(len(self.known) and self.known.mean() >= LEAST_KNOWN)

    @property
    def caution(self) -> str:
        """Why the interval may be unreliable; empty if t is measured."""
        return "" if self.measured else NOT_AGAIN

    def constant(self) -> float:
        """Factor of the variance if t is not measured.

        It is larger for a difference of two models: errors that both models share cancel out, the effect of fitting
            does not.
        """
        return 1 + self.share * (AT_MOST if self.pair else WITHOUT_AGAIN)

    def factor(self, first: Floats, again: Floats, names: Sequence[str] = ()) -> Floats:
        """Factors of variances, (m,), from patients' influences (P, m) by the first and by the second prediction.

        `names` (m): the figures; those of squared errors have a larger limit.
        """
        one, other = np.atleast_2d(first.T).T, np.atleast_2d(again.T).T
        if not self.measured:
            return np.full(one.shape[1], self.constant())
        one, other = one[self.known], other[self.known]
        one, other = one - one.mean(axis=0), other - other.mean(axis=0)
        whole = (one**2).sum(axis=0)
        with np.errstate(all="ignore"):
            share = per_change(self.folds) * ((one - other) ** 2).sum(axis=0) / whole
        most = np.array([OF_SQUARES if name in SQUARES else AT_MOST for name in names or [""]])
        added = np.clip(np.where(whole > 0, share, 0.0), 0, most)
        return np.asarray(1 + self.share * added, dtype=np.float64)

    def factor_of_units(self, first: ArrayLike, again: ArrayLike, owner: Integers) -> float:
        """The factor of one figure, from units' influences (n,)."""
        sums = patient_sums(np.stack([np.asarray(first), np.nan_to_num(np.asarray(again))], axis=1), owner)
        return float(self.factor(sums[:, 0], sums[:, 1])[0])

    def factor_of_sums(self, sums: Floats, again: Floats, statistic: Statistic, names: Sequence[str] = ()) -> Floats:
        """Factors of a statistic of patients' sums (P, k), whose influences are found by leaving patients out."""
        if not self.measured:
            with np.errstate(all="ignore"):
                return np.full(np.atleast_1d(statistic(sums.sum(axis=0))).shape, self.constant())
        width = sums.shape[1]
        both = np.concatenate([sums[self.known], again[self.known]], axis=1)
        both = grouped(both, GROUPS_AT_MOST, np.random.default_rng([29, len(both)]))
        with np.errstate(all="ignore"):
            one, other = (statistic(part.sum(axis=0) - part) for part in (both[:, :width], both[:, width:]))
        whole = Refit(self.folds, np.ones(len(both), dtype=bool), self.pair, self.share)
        return np.nan_to_num(whole.factor(one, other, names), nan=1.0)


def refit_of(
    folds: ArrayLike | None, owner: Integers, *again: ArrayLike | None, pair: bool = False, share: float = 1.0
) -> Refit | None:
    """The rule for units of these folds (n,); None for one fold, in which no training patients are shared.

    `again`: for each model, predictions of the same units by another fold's fit, (n,) or (n, m), nan if missing. A unit
    has second predictions if all models have them. `share`: share of the tested patients that these units belong to.
    """
    if folds is None:
        return None
    count = len(np.unique(np.asarray(folds)))
    if count < 2:
        return None
    there = np.ones(len(owner), dtype=bool)
    for each in again:
        if each is None:
            there[:] = False
        else:
            values = np.asarray(each, dtype=np.float64)
            there &= np.isfinite(values.reshape(len(owner), -1)).all(axis=1)
    return Refit(count, np.bincount(owner, ~there) == 0, pair, share)


def share_of_class(members: Booleans) -> float:
    """Share of t for a figure of one class, as sensitivity: the share of the other class among the units (n,).

    The rarer a class, the more each of its patients changes a fit: a fit learns equally from both classes if they are
    equally frequent, and mostly from the rarer one if not.
    """
    return 1 - float(np.mean(members))


def filled(again: ArrayLike | None, first: Floats) -> Floats:
    """`again` as numbers, with `first` for missing values."""
    if again is None:
        return first
    values = np.asarray(again, dtype=np.float64)
    return np.where(np.isfinite(values), values, first)


def _plain(values: Floats) -> Floats:
    return values


_SCALES: Mapping[str, tuple[Callable[..., Floats], Callable[..., Floats], float, float]] = {
    "plain": (_plain, _plain, -np.inf, np.inf),
    "size": (_plain, _plain, 0.0, np.inf),
    "share": (special.logit, special.expit, 0.0, 1.0),
    "correlation": (np.arctanh, np.tanh, -1.0, 1.0),
    "ratio": (np.log, np.exp, 0.0, np.inf),
}
"""Scale on which an interval is symmetric: its function, the inverse, and the limits of the figure."""

SCALES: Mapping[str, str] = {
    **dict.fromkeys(("mae", "rmse", "median_error", "brier", "log_loss", "error_deviation"), "size"),
    **dict.fromkeys(("pearson", "spearman", "ccc", "mcc", "kappa", "kappa_quadratic"), "correlation"),
    **dict.fromkeys(("rmae", "mae_ratio"), "ratio"),
    **dict.fromkeys(
        (
            "auc", "auc_macro", "average_precision", "sensitivity", "specificity", "positive_predictive_value",
            "negative_predictive_value", "accuracy", "balanced_accuracy", "f1", "f1_macro",
        ),
        "share",
    ),
}  # fmt: skip
"""Scale by metric; every other metric is plain."""


def widened(found: Estimate, factor: float, scale: str = "plain", caution: str = "") -> Estimate:
    """The estimate with its variance multiplied by `factor`: both ends move away from the value, and p grows with them.

    `scale`, on which the ends move: plain, size, share, correlation or ratio. At the end of a scale (a share of 1) they
    move on the plain scale.
    """
    if factor != 1:
        there, back, least, most = _SCALES[scale]
        ends = np.array([found.low, found.value, found.high])
        with np.errstate(all="ignore"):
            moved = there(ends)
        if not np.isfinite(moved).all():
            there, back, moved = _plain, _plain, ends
        wide = back(moved[1] + (moved - moved[1]) * np.sqrt(factor))
        low, high = np.clip(wide[[0, 2]], least, most)
        p = found.p_value
        if 0 < p < 1:
            p = float(2 * stats.norm.sf(stats.norm.isf(p / 2) / np.sqrt(factor)))
        found = replace(found, low=float(low), high=float(high), p_value=p)
    return found.with_caution(caution) if caution else found


def all_widened(found: Mapping[str, Estimate], factors: Mapping[str, float], caution: str = "") -> dict[str, Estimate]:
    """Several estimates by metric, each widened on its own scale; those without a factor stay unchanged."""
    return {
        name: widened(
            each, factors[name], "share" if name.startswith("within_") else SCALES.get(name, "plain"), caution
        )
        if name in factors
        else each
        for name, each in found.items()
    }
