"""What folds that share training patients add to the variance of a figure: one rule for everything over folds.

Every patient of k folds is tested by a fit that has learned from most of the others, and they are tested by fits that
have learned from that patient. What two patients do to each other's loss through the fits is alike both ways, so that
it adds up instead of averaging out, and the variance between patients does not show it (Bengio & Grandvalet, JMLR
5:1089, 2004: one run of folds has no unbiased estimate). With v the variance between patients and t the part of it that
other training patients would have changed, the variance is v + t: v alone for a model that always learns the same, 2 v
for one that learns noise. Nadeau & Bengio (Machine Learning 52:239, 2003) take v (1 + k / (k - 1)) for every model.

t is measured where patients are predicted again, by a fit of another fold that did not learn from them either, as
validation patients are: from the mean square of how a patient's influence on the figure changes between the two fits.
Without such predictions a constant is used, with a caution.

What two patients do to each other is counted once for each pair of patients behind a figure: a figure of a part of the
tested patients, as a subgroup, has its share of t, one of a class (sensitivity) has the other class's, and a difference
between two parts, where it cancels out, has none. Simulated with fitted models in docs/statistics.md.
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
"""t / v where no patient is predicted again: between that of errors (0 to 0.3) and of areas (0.2 to 1)."""
AT_MOST = 1.0
"""The largest t / v: nothing of what is seen between patients would be the same with other training patients."""
OF_SQUARES = 1.5
"""The largest t / v of squared errors and log losses: how far a fit strays is alike for all whom it tests, besides.

Chosen by simulation: of models of noise the variance of a Brier score is 2.2 v, of a difference in RMSE 2.0 to 2.3 v.
"""
SQUARES = ("rmse", "r2", "error_deviation", "limit_low", "limit_high", "brier", "log_loss")
"""Figures of squared errors, or of a loss that is nearly one."""
LEAST_KNOWN = 0.5
"""Share of patients that must be predicted again, else the constant is used."""


def per_change(folds: int) -> float:
    """From the mean square change of influences to t: fits of two of k folds have most training patients in common.

    For a model that is linear in its training patients it is 1.33 at five folds with inner folds, and what three and
    more patients do to each other comes on top: chosen by simulation.
    """
    return (folds + 2) / 4


@dataclass(frozen=True, slots=True)
class Refit:
    """Fits of several folds, and which patients are predicted again."""

    folds: int
    known: Booleans
    """(P,) patients all of whose units are predicted again."""
    pair: bool = False
    """The figure is a difference of two models."""
    share: float = 1.0
    """Share of the tested patients that the figure is of."""

    @property
    def measured(self) -> bool:
        """Enough patients are predicted again."""
        return bool(len(self.known) and self.known.mean() >= LEAST_KNOWN)

    @property
    def caution(self) -> str:
        """Why the interval may not hold; empty where the rule could measure."""
        return "" if self.measured else NOT_AGAIN

    def constant(self) -> float:
        """What the variance is multiplied by where nothing is measured.

        What two models both find hard cancels out of their difference, and how they were fitted remains.
        """
        return 1 + self.share * (AT_MOST if self.pair else WITHOUT_AGAIN)

    def factor(self, first: Floats, again: Floats, names: Sequence[str] = ()) -> Floats:
        """What variances are multiplied by, (m,), from patients' influences (P, m) by the one and the other fit.

        `names` (m): the figures, for those of squared errors may have a larger factor.
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
        """The same of one figure from units' influences (n,)."""
        sums = patient_sums(np.stack([np.asarray(first), np.nan_to_num(np.asarray(again))], axis=1), owner)
        return float(self.factor(sums[:, 0], sums[:, 1])[0])

    def factor_of_sums(self, sums: Floats, again: Floats, statistic: Statistic, names: Sequence[str] = ()) -> Floats:
        """The same of a statistic of patients' sums (P, k): influences by leaving one patient (or group) out."""
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
    """How the rule applies to units of these folds (n,); None for one fold, where nothing is shared.

    `again`: predictions of the same units by another fold's fit, (n,) or (n, m), nan where missing, one for each
    model; a unit is predicted again where all are there. `share`: what share of the tested patients these are.
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
    """What share of t a figure of one class has, as sensitivity: the share that the other class has of the units (n,).

    The rarer a class, the further each of its patients moves a fit: what a fit learns comes from both in equal parts
    where they are equally many, and nearly all from the rarer one elsewhere.
    """
    return 1 - float(np.mean(members))


def filled(again: ArrayLike | None, first: Floats) -> Floats:
    """`again` as numbers, with `first` where nothing is predicted again."""
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
"""Where an interval is symmetric: there and back, and what the figure cannot pass."""

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
    """The estimate with its variance multiplied by `factor`: ends move away from the value on `scale`, p follows.

    `scale`: plain, size, share, correlation or ratio. At the end of a scale (a share of 1) ends move on the plain one.
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
    """Several by metric, each on its own scale; those without a factor stay as they are."""
    return {
        name: widened(
            each, factors[name], "share" if name.startswith("within_") else SCALES.get(name, "plain"), caution
        )
        if name in factors
        else each
        for name, each in found.items()
    }
