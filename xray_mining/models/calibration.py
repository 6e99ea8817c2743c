"""Calibration maps, fitted to validation patients; each map is increasing in the value that it maps.

A map is used only if it helps, which is tested on validation patients that it was not fitted to.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from xray_mining.statistics.estimate import effective_patients

Array = np.ndarray[Any, Any]

# With fewer validation patients (effective number, as if all had equally many images), or fewer patients of the rarer
# class, a map would be noise: in 105 fits to 210 real patients with up to 66 images, counting patients alone gave 8
# maps, and 7 of them made predictions worse.
_LEAST = 20
_LEAST_OF_CLASS = 5
_ISOTONIC_FROM = 1000
_FOLDS = 5
# The squared error must fall by this many standard errors. At 0, a quarter of the accepted maps of nearly calibrated
# models make them worse; at 1, most maps that would help small cohorts are rejected.
_ERRORS_AWAY = 0.5


@dataclass(frozen=True, slots=True)
class Curve:
    """Map of one column: a line `level + slope * x`, the logistic function of a line in log odds, or steps."""

    kind: str
    """line, logistic, steps or same."""
    level: float = 0.0
    slope: float = 1.0
    at: tuple[float, ...] = ()
    reads: tuple[float, ...] = ()

    def of(self, values: Array) -> Array:
        """(n,) → (n,)."""
        if self.kind == "line":
            return self.level + self.slope * values
        if self.kind == "logistic":
            return 1 / (1 + np.exp(-(self.level + self.slope * _log_odds(values))))
        if self.kind == "steps":
            return np.interp(values, self.at, self.reads)
        return values


@dataclass(frozen=True, slots=True)
class CalibrationMap:
    """Maps raw values to calibrated ones; for two classes, the first one's curve gives both."""

    classes: int
    """0 for numbers."""
    curves: tuple[Curve, ...]
    apart: bool = False
    """Whether each column has its own curve and columns do not sum to one, as for several labels."""
    cumulative: bool = False
    """Whether the curves are of the chances of being above each level but the highest, as for levels in an order."""

    def of(self, values: Array) -> Array:
        """Calibrated values of raw ones, (n,) or (n, classes); probabilities of classes sum to one."""
        if values.ndim == 1:
            return self.curves[0].of(values)
        if self.cumulative:
            steps = chances_above(values)
            mapped = np.stack([curve.of(steps[:, number]) for number, curve in enumerate(self.curves)], axis=1)
            # Curves are fitted step by step; being above a level must not become likelier than above a lower one.
            return shares_of_levels(np.minimum.accumulate(mapped, axis=1))
        columns = [curve.of(values[:, number]) for number, curve in enumerate(self.curves)]
        if self.apart:
            return np.stack(columns, axis=1)
        if self.classes == 2:
            columns.append(1 - columns[0])
        found = np.stack(columns, axis=1)
        return found / np.maximum(found.sum(axis=1, keepdims=True), 1e-12)

    def to_json(self) -> dict[str, Any]:
        """The map as lists and numbers."""
        return asdict(self)

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> "CalibrationMap":
        """The map from the result of `to_json`."""
        curves = tuple(
            Curve(each["kind"], each["level"], each["slope"], tuple(each["at"]), tuple(each["reads"]))
            for each in found["curves"]
        )
        return cls(int(found["classes"]), curves, bool(found.get("apart", False)), bool(found.get("cumulative", False)))


def chances_above(shares: Array) -> Array:
    """Probabilities of levels (n, levels) → of being above each level but the highest, (n, levels - 1)."""
    return np.cumsum(shares[:, :0:-1], axis=1)[:, ::-1]


def shares_of_levels(above: Array) -> Array:
    """The reverse of `chances_above`."""
    ones, zeros = np.ones((len(above), 1)), np.zeros((len(above), 1))
    return np.hstack([ones, above]) - np.hstack([above, zeros])


def calibration_map(values: Array, truths: Array, classes: int, patients: Array) -> CalibrationMap | None:
    """Fit a calibration map to validation rows; None if it does not help.

    For numbers the map is the regression line of truth on prediction. For classes it is a logistic map of each
    probability's log odds (isotonic with 1,000 or more validation patients), scaled so that classes sum to one. It
    helps if maps fitted to four fifths of the patients make the squared error of the other fifth smaller, in total by
    more than half a standard error.

    Args:
        values: (m,) or (m, classes) predictions.
        truths: (m,) numbers, or positions of classes.
        classes: Number of classes; 0 for numbers.
        patients: (m,) patient of each row.
    """
    owner = np.unique(patients, return_inverse=True)[1]
    if owner.size == 0 or effective_patients(owner) < _LEAST:
        return None
    if any(
        min(np.unique(owner[truths == number]).size, np.unique(owner[truths != number]).size) < _LEAST_OF_CLASS
        for number in range(classes)
    ):
        return None
    mapped = np.array(values, dtype=np.float64)
    # Folds of whole patients in random order, so that the order of keys has no effect.
    fold = np.random.default_rng(0).permutation(owner.max() + 1)[owner] % _FOLDS
    for number in range(_FOLDS):
        away, here = fold != number, fold == number
        each = _fitted(values[away], truths[away], classes, owner[away])
        if each is not None:
            mapped[here] = each.of(values[here])
    gains = _squares(values, truths, classes) - _squares(mapped, truths, classes)
    sums = np.bincount(owner, gains)
    if sums.mean() <= _ERRORS_AWAY * sums.std(ddof=1) / np.sqrt(len(sums)):
        return None
    return _fitted(values, truths, classes, owner)


def curves_that_help(values: Array, truths: Array, patients: Array) -> tuple[Curve, ...] | None:
    """A curve for each column of probabilities, judged for itself; "same" where none helps, None if none helps at all.

    Args:
        values: (m, k) probabilities, each of one question.
        truths: (m, k) 1, 0, or nan where the answer is unknown: such a row is left out for that column.
        patients: (m,) patient of each row.
    """
    found = []
    for value, truth in zip(values.T, truths.T, strict=True):
        known = np.isfinite(truth)
        # For two classes calibration_map fits the curve of the first one, so put the positive answer first.
        sides = np.stack([value, 1 - value], axis=1)[known]
        own = calibration_map(sides, 1 - truth[known], 2, patients[known])
        found.append(Curve("same") if own is None else own.curves[0])
    return None if all(each.kind == "same" for each in found) else tuple(found)


def _squares(values: Array, truths: Array, classes: int) -> Array:
    """Squared error of each row (Brier's score for classes), (m,)."""
    if classes == 0:
        return (values - truths) ** 2
    return ((values - (truths[:, None] == np.arange(classes))) ** 2).sum(axis=1)


def _fitted(values: Array, truths: Array, classes: int, owner: Array) -> CalibrationMap | None:
    if classes == 0:
        line = _line(values, truths)
        return None if line is None else CalibrationMap(0, (line,))
    patients = np.unique(owner).size
    curves = [_probability(values[:, number], truths == number, patients) for number in range(classes)]
    if classes == 2:
        curves = curves[:1]
    return None if all(curve.kind == "same" for curve in curves) else CalibrationMap(classes, tuple(curves))


def _line(seen: Array, truths: Array) -> Curve | None:
    if seen.std() < 1e-9:
        return None
    slope, level = np.polyfit(seen, truths, 1)
    # A falling line would reverse the ranking: such a model has no skill and is left uncalibrated.
    return Curve("line", float(level), float(slope)) if slope > 0 else None


def _probability(seen: Array, known: Array, patients: int) -> Curve:
    if known.all() or not known.any():
        return Curve("same")
    if patients >= _ISOTONIC_FROM:
        from sklearn.isotonic import IsotonicRegression

        steps = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip").fit(seen, known.astype(float))
        return Curve("steps", at=tuple(steps.X_thresholds_.tolist()), reads=tuple(steps.y_thresholds_.tolist()))
    from sklearn.linear_model import LogisticRegression

    machine = LogisticRegression(C=10.0).fit(_log_odds(seen)[:, None], known)
    slope = float(machine.coef_[0, 0])
    return Curve("logistic", float(machine.intercept_[0]), slope) if slope > 0 else Curve("same")


def _log_odds(values: Array) -> Array:
    share = np.clip(values, 1e-6, 1 - 1e-6)
    return np.log(share / (1 - share))
