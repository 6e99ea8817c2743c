"""Mean area under the ROC curve over classes, or over labels of which a unit may have several."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from xray_mining.statistics import measured
from xray_mining.statistics.auc import FEW_IN_CLASS, areas_over_folds, auc_influence, logit_interval
from xray_mining.statistics.comparison import larger_where_few, patients_of_rarer, tested
from xray_mining.statistics.estimate import Booleans, Estimate, Floats, Integers, finite, owners
from xray_mining.statistics.guessing import VARIANCE_OF_GUESSING, against_guessing, variance_of_guessing
from xray_mining.statistics.refit import Refit, filled, refit_of
from xray_mining.statistics.resampling import linear_interval


@dataclass(frozen=True, slots=True)
class _Macro:
    """A macro area with its variance."""

    value: float
    variance: float
    """With the part of shared training patients."""
    factor: float
    """By which that part multiplies it."""
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
    share: float = 1.0,
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
        share: Share of the tested patients that these units belong to.

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
    found = _macro(truth, probabilities, classes, patients, folds, again, share)
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
    """`macro_auc` minus one half (the area of guessing), with interval and two-sided p; arguments as there.

    Both are from the variance that the area has if the probabilities tell nothing (see `guessing`). There is neither
    (nan) if a fold has only one patient on a side.
    """
    found = _macro(truth, probabilities, classes, patients, folds, again)
    low = high = p = np.nan
    if np.isfinite(found.variance):
        names, values = np.asarray(truth), finite("probabilities", probabilities)
        answers = np.stack([_answers(names, i, name) for i, name in enumerate(classes)], axis=1)
        fold = np.zeros(len(names)) if folds is None else np.asarray(folds)
        guessing = variance_of_guessing(answers, values, owners(patients, len(names)), fold) * found.factor
        others = max(found.patients - found.smallest, 1)
        low, high, p = against_guessing(found.value, guessing, found.smallest, others, confidence)
    return Estimate(found.value - 0.5, low, high, found.patients, found.images, VARIANCE_OF_GUESSING, found.caution, p)


def _answers(names: NDArray[Any], number: int, name: str) -> Floats:
    """Truths of one class, (n,) of 0 and 1, nan if unknown."""
    label, known = _of_class(names, number, name)
    return np.where(known, label, np.nan).astype(np.float64)


def _macro(  # noqa: PLR0917  as macro_auc
    truth: ArrayLike,
    probabilities: ArrayLike,
    classes: Sequence[str],
    patients: ArrayLike | None,
    folds: ArrayLike | None,
    again: ArrayLike | None,
    share: float = 1.0,
) -> _Macro:
    names, values = np.asarray(truth), finite("probabilities", probabilities)
    owner = owners(patients, len(names))
    value, influence, smallest, scored = _macro_influence(names, values, classes, owner, folds)
    own = owners(owner[scored], int(scored.sum()))
    variance = float((np.bincount(own, influence[scored]) ** 2).sum())
    refit, factor = _refit_of(folds, own, scored, again, share=share), 1.0
    if refit is not None:
        there = influence
        if refit.measured:
            there = _macro_influence(names, filled(again, values), classes, owner, folds)[1]
        factor = refit.factor_of_units(influence[scored], there[scored], own)
    cautions = [measured.FEW_IN_CLASS] if smallest < FEW_IN_CLASS else []
    cautions += [refit.caution] if refit is not None and refit.caution else []
    return _Macro(
        value, variance * factor, factor, smallest, int(own.max()) + 1, int(scored.sum()), "; ".join(cautions)
    )


def _refit_of(
    folds: ArrayLike | None,
    owner: Integers,
    scored: Booleans,
    *again: ArrayLike | None,
    pair: bool = False,
    share: float = 1.0,
) -> Refit | None:
    """The rule for the scored units (n,) bool, whose patients are `owner`."""
    there = [None if each is None else np.asarray(each, dtype=np.float64)[scored] for each in again]
    return refit_of(None if folds is None else np.asarray(folds)[scored], owner, *there, pair=pair, share=share)


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
    """`macro_auc` among `members` (n,) bool minus that of the rest, over the classes of `shared_classes`.

    For each class, a fold without both classes on a side is left out of that side. All is nan if no class is left.
    Interval and p are from the larger of two variances, as in `comparison.difference_of_areas`: that of each side's own
    influences, and that of its units' influences among all units. `caution` tells of few patients in a class.
    """
    names, values = np.asarray(truth), finite("probabilities", probabilities)
    inside: Booleans = np.asarray(members, dtype=bool)
    owner = owners(patients, len(names))
    fold = np.zeros(len(names), dtype=np.int64) if folds is None else np.asarray(folds)
    method = "difference of mean areas, variance by patient"
    areas: list[float] = []
    influence, alike = np.zeros(len(names)), np.zeros((2, len(names)))
    scored, smallest = np.zeros(len(names), dtype=bool), len(names)
    for i in np.flatnonzero(shared_classes(names, classes, inside, owner, fold)):
        label, known = _of_class(names, int(i), classes[i])
        sides = [_parts(label, known & side, fold) for side in (inside, ~inside)]
        smallest = min(smallest, *(patients_of_rarer(label, owner, parts) for parts in sides))
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
        return Estimate(np.nan, np.nan, np.nan, int(owner.max()) + 1, len(names), method, measured.FEW_IN_CLASS)
    influence, alike = influence / len(areas), alike / len(areas)
    # The sides hold different patients, so their variances add up.
    variance = float(sum((np.bincount(owner, side) ** 2).sum() for side in alike))
    own_patients = owners(owner[scored], int(scored.sum()))
    found = tested(float(np.mean(areas)), influence[scored], variance, own_patients, confidence, method=method)
    return found.with_caution(measured.FEW_IN_CLASS) if smallest < FEW_IN_CLASS else found


def shared_classes(
    truth: ArrayLike,
    classes: Sequence[str],
    members: ArrayLike,
    patients: ArrayLike | None = None,
    folds: ArrayLike | None = None,
) -> Booleans:
    """Classes (classes,) bool that have an area with an interval among `members` (n,) bool and among the rest.

    Two means are compared over these, so that both are over the same classes. A class without an area on a side is left
    out, and one of which a fold that counts has only one patient: its rank there shows no variance.
    """
    names, inside = np.asarray(truth), np.asarray(members, dtype=bool)
    owner = owners(patients, len(names))
    fold = np.zeros(len(names), dtype=np.int64) if folds is None else np.asarray(folds)
    shared = np.zeros(len(classes), dtype=bool)
    for i, name in enumerate(classes):
        label, known = _of_class(names, i, name)
        sides = [_parts(label, known & side, fold) for side in (inside, ~inside)]
        shared[i] = all(sides) and all(
            len(np.unique(owner[part & each])) > 1 for parts in sides for part in parts for each in (label, ~label)
        )
    return shared


def number_of_areas(truth: ArrayLike, classes: Sequence[str], folds: ArrayLike | None = None) -> int:
    """How many classes have an area: some fold has units of the class and others."""
    names = np.asarray(truth)
    fold = np.zeros(len(names), dtype=np.int64) if folds is None else np.asarray(folds)
    return sum(bool(_parts(*_of_class(names, i, name), fold)) for i, name in enumerate(classes))


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
            own = auc_influence(label[members], values[members, i])[1] / len(inside)
            influence[members] += own * larger_where_few(label[members], owner[members])
    if not areas:
        raise ValueError("an area needs both classes")
    return float(np.mean(areas)), influence / len(areas), min(smallest), scored
