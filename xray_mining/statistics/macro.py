"""Mean area under the ROC curve over classes, or over labels of which a unit may have several."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from xray_mining.statistics import measured
from xray_mining.statistics.auc import FEW_IN_CLASS, areas_over_folds, auc_influence, logit_interval
from xray_mining.statistics.comparison import larger_where_few, tested
from xray_mining.statistics.estimate import Booleans, Estimate, Floats, Integers, finite, owners
from xray_mining.statistics.refit import Refit, filled, refit_of
from xray_mining.statistics.resampling import linear_interval


@dataclass(frozen=True, slots=True)
class _Macro:
    """A macro area with its variance."""

    value: float
    variance: float
    smallest: int
    """Patients of the rarest side, with or without, of any class, summed over folds."""
    patients: int
    images: int
    caution: str


def macro_auc(
    truth: ArrayLike,
    probabilities: ArrayLike,
    classes: Sequence[str],
    patients: ArrayLike | None = None,
    folds: ArrayLike | None = None,
    *,
    again: ArrayLike | None = None,
    confidence: float = 0.95,
) -> Estimate:
    """Mean over classes of each class's area against the others.

    Args:
        truth: (n,) labels out of `classes`; or, if a unit may have several labels or none, (n, classes) of 0 and 1, nan
            if unknown.
        probabilities: (n, classes) finite.
        classes: Names of the classes, in the order of the columns.
        patients: (n,) any labels; without it every unit is a patient.
        folds: (n,) the fold that tested the unit.
        again: (n, classes) probabilities by another fold's fit, nan if missing (see `refit`).
        confidence: Coverage of the interval, in (0, 1).

    Returns:
        Estimate in [0, 1], interval on the logit scale, variance from influences summed per patient. A class that all
        units or no units have is left out; patients in folds in which no class has both sides are not counted.
        Influences are increased by class and fold if the class has few patients; there is no interval (nan) if a fold
        has only one patient on a side. `caution` names classes with few patients.

    Raises:
        ValueError: If no class has an area.

    Example:
        >>> chances = np.array([[7, 2, 1], [2, 5, 3], [1, 6, 3], [5, 3, 2], [2, 4, 4], [3, 2, 5]]) / 10
        >>> round(macro_auc(["a", "b", "c", "a", "b", "c"], chances, ["a", "b", "c"]).value, 3)
        0.854
    """
    found = _macro(truth, probabilities, classes, patients, folds, again)
    value, variance = found.value, found.variance
    low, high = logit_interval(value, variance, found.smallest, found.patients, confidence)
    method = "influence function, logit scale"
    return Estimate(value, float(low), float(high), found.patients, found.images, method, found.caution)


def macro_gain(
    truth: ArrayLike,
    probabilities: ArrayLike,
    classes: Sequence[str],
    patients: ArrayLike | None = None,
    folds: ArrayLike | None = None,
    *,
    again: ArrayLike | None = None,
    confidence: float = 0.95,
) -> Estimate:
    """`macro_auc` minus one half (the area of guessing), with a normal interval and two-sided p; arguments as there."""
    found = _macro(truth, probabilities, classes, patients, folds, again)
    gain, error = found.value - 0.5, float(np.sqrt(found.variance))
    half = float(stats.norm.ppf(0.5 + confidence / 2)) * error
    p = float(2 * stats.norm.sf(abs(gain) / error)) if error else (0.0 if gain else 1.0)
    method = "influence function"
    return Estimate(gain, gain - half, gain + half, found.patients, found.images, method, found.caution, p)


def _macro(  # noqa: PLR0917  as macro_auc
    truth: ArrayLike,
    probabilities: ArrayLike,
    classes: Sequence[str],
    patients: ArrayLike | None,
    folds: ArrayLike | None,
    again: ArrayLike | None,
) -> _Macro:
    names, values = np.asarray(truth), finite("probabilities", probabilities)
    owner = owners(patients, len(names))
    value, influence, smallest, scored = _macro_influence(names, values, classes, owner, folds)
    own = owners(owner[scored], int(scored.sum()))
    variance = float((np.bincount(own, influence[scored]) ** 2).sum())
    refit = _refit_of(folds, own, scored, again)
    if refit is not None:
        there = influence
        if refit.measured:
            there = _macro_influence(names, filled(again, values), classes, owner, folds)[1]
        variance *= refit.factor_of_units(influence[scored], there[scored], own)
    cautions = [measured.FEW_IN_CLASS] if smallest < FEW_IN_CLASS else []
    cautions += [refit.caution] if refit is not None and refit.caution else []
    return _Macro(value, variance, smallest, int(own.max()) + 1, int(scored.sum()), "; ".join(cautions))


def _refit_of(
    folds: ArrayLike | None, owner: Integers, scored: Booleans, *again: ArrayLike | None, pair: bool = False
) -> Refit | None:
    """The rule for the scored units (n,) bool, whose patients are `owner`."""
    there = [None if each is None else np.asarray(each, dtype=np.float64)[scored] for each in again]
    return refit_of(None if folds is None else np.asarray(folds)[scored], owner, *there, pair=pair)


def compare_macro_auc(
    truth: ArrayLike,
    first: ArrayLike,
    second: ArrayLike,
    classes: Sequence[str],
    patients: ArrayLike | None = None,
    *,
    folds: ArrayLike | None = None,
    again: tuple[ArrayLike | None, ArrayLike | None] = (None, None),
    confidence: float = 0.95,
) -> Estimate:
    """Paired difference (first minus second) of two models' `macro_auc` on the same units, with a two-sided p.

    The variance is that of the differences of influences, summed per patient. The same model twice gives p = 1.
    `again`: both models' probabilities by another fold's fit, as in `macro_auc`.
    """
    names = np.asarray(truth)
    owner = owners(patients, len(names))
    given = [finite("probabilities", each) for each in (first, second)]
    (a, own_a, _, scored), (b, own_b, _, _) = (_macro_influence(names, each, classes, owner, folds) for each in given)
    own = owners(owner[scored], int(scored.sum()))
    apart = (own_a - own_b)[scored]
    _, _, error = linear_interval(a - b, apart, own, confidence)
    refit = _refit_of(folds, own, scored, *again, pair=True)
    if refit is not None:
        there = apart
        if refit.measured:
            others = [
                _macro_influence(names, filled(each, values), classes, owner, folds)[1]
                for each, values in zip(again, given, strict=True)
            ]
            there = (others[0] - others[1])[scored]
        error *= np.sqrt(refit.factor_of_units(apart, there, own))
    count = int(own.max()) + 1
    p, half = np.nan, np.nan
    if np.isfinite(error):
        half = float(stats.t.ppf(0.5 + confidence / 2, count - 1)) * error
        p = float(2 * stats.t.sf(abs(a - b) / error, count - 1)) if error > 1e-12 else (1.0 if a == b else np.nan)
    method = "paired, influence function by patient"
    found = Estimate(a - b, a - b - half, a - b + half, count, int(scored.sum()), method, "", p)
    return found.with_caution(refit.caution) if refit is not None and refit.caution else found


def difference_of_macro_areas(
    truth: ArrayLike,
    probabilities: ArrayLike,
    classes: Sequence[str],
    members: ArrayLike,
    patients: ArrayLike | None = None,
    *,
    folds: ArrayLike | None = None,
    confidence: float = 0.95,
) -> Estimate:
    """`macro_auc` among `members` (n,) bool minus that of the rest, over classes that have an area on both sides.

    For each class, a fold without both classes on a side is left out of that side. nan if no class is left. p is the
    larger of two, as in `comparison.difference_of_areas`: with each side's own influences, and with the influences of
    its units among all units.
    """
    names, values = np.asarray(truth), finite("probabilities", probabilities)
    inside: Booleans = np.asarray(members, dtype=bool)
    owner = owners(patients, len(names))
    fold = np.zeros(len(names), dtype=np.int64) if folds is None else np.asarray(folds)
    method = "difference of mean areas, variance by patient"
    areas: list[float] = []
    influence, alike = np.zeros(len(names)), np.zeros((2, len(names)))
    scored = np.zeros(len(names), dtype=bool)
    # A class counts only if it has an area on both sides, so that both means are over the same classes.
    for i, name in enumerate(classes):
        label, known = _of_class(names, i, name)
        sides = [_parts(label, known & side, fold) for side in (inside, ~inside)]
        if not all(sides):
            continue
        own = [0.0, 0.0]
        for number, (parts, sign) in enumerate(zip(sides, (1.0, -1.0), strict=True)):
            for part in parts:
                area, each = auc_influence(label[part], values[part, i])
                own[number] += area / len(parts)
                influence[part] += sign * each * larger_where_few(label[part], owner[part]) / len(parts)
                scored |= part
                whole = known & (fold == fold[part][0])
                alike[number, whole] += _as_of_all(label, values[:, i], part, whole) / len(parts)
        areas.append(own[0] - own[1])
    if not areas:
        return Estimate(np.nan, np.nan, np.nan, int(owner.max()) + 1, len(names), method)
    influence, alike = influence / len(areas), alike / len(areas)
    # The sides hold different patients, so their variances add up.
    variance = float(sum((np.bincount(owner, side) ** 2).sum() for side in alike))
    own_patients = owners(owner[scored], int(scored.sum()))
    return tested(float(np.mean(areas)), influence[scored], variance, own_patients, confidence, method=method)


def _as_of_all(label: NDArray[Any], score: Floats, part: Booleans, whole: Booleans) -> Floats:
    """Influences of the units of `whole` on an area, scaled by class to the number of units in `part`."""
    found = auc_influence(label[whole], score[whole])[1]
    for each in (True, False):
        same = label[whole] == each
        found[same] *= np.sqrt(same.sum() / (label[part] == each).sum())
    return found


def _of_class(names: NDArray[Any], number: int, name: str) -> tuple[Booleans, Booleans]:
    """Which units have the class, and for which units that is known, (n,) bool each."""
    if names.ndim == 2:
        return names[:, number] == 1, np.isfinite(names[:, number])
    return names == name, np.ones(len(names), dtype=bool)


def _parts(label: Booleans, units: Booleans, fold: NDArray[Any]) -> list[Booleans]:
    """`units` (n,) bool of each fold in which they have both classes."""
    parts = [units & (fold == each) for each in np.unique(fold)]
    return [part for part in parts if label[part].any() and not label[part].all()]


def _wider(label: Booleans, owner: Integers) -> Floats:
    """`larger_where_few`; nan where one patient is all of a side, whose influence is 0 and says nothing of variance."""
    if min(len(np.unique(owner[label])), len(np.unique(owner[~label]))) < 2:
        return np.full(len(label), np.nan)
    return larger_where_few(label, owner)


def _macro_influence(
    names: NDArray[Any], values: Floats, classes: Sequence[str], owner: Integers, folds: ArrayLike | None
) -> tuple[float, Floats, int, Booleans]:
    """The macro area, each unit's influence (n,), patients of the rarest side of any class, and units that count."""
    fold = np.zeros(len(names), dtype=np.int64) if folds is None else np.asarray(folds)
    influence, areas, smallest = np.zeros(len(names)), [], []
    scored = np.zeros(len(names), dtype=bool)
    for i, name in enumerate(classes):
        label, known = _of_class(names, i, name)
        inside = _parts(label, known, fold)
        if not inside:
            continue
        found = areas_over_folds(label[known], values[known, i], owner[known], fold[known])
        areas.append(float(found.values[0]))
        smallest += [found.positives, found.negatives]
        for members in inside:
            scored |= members
            own = auc_influence(label[members], values[members, i])[1] * _wider(label[members], owner[members])
            influence[members] += own / len(inside)
    if not areas:
        raise ValueError("an area needs both classes")
    return float(np.mean(areas)), influence / len(areas), min(smallest), scored
