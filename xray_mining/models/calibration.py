"""Calibration on validation patients: what a prediction is worth, without changing who stands above whom."""

from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

# Below this many validation patients, or this many of the rarer class, a map would be noise.
_LEAST = 20
_LEAST_OF_CLASS = 5
_ISOTONIC_FROM = 1000


def calibrated(values: Array, validation: Array, truths: Array, classes: int, patients: Array) -> Array | None:
    """`values` (n,) or (n, classes) through maps fitted on the validation rows; None where there are too few.

    `validation` are row numbers with known `truths` (len(validation),); `patients` their owners. Numbers: the straight
    line of truth on prediction. Classes: a logistic map of each probability's log odds (isotonic with 1,000 or more
    validation patients), then shares of one.
    """
    if np.unique(patients).size < _LEAST:
        return None
    if classes == 0:
        return _line(values, values[validation], truths)
    columns = []
    for number in range(classes):
        known = (truths == number).astype(float)
        if min(known.sum(), len(known) - known.sum()) < _LEAST_OF_CLASS:
            return None
        columns.append(_probability(values[:, number], values[validation, number], known, np.unique(patients).size))
        if classes == 2:
            columns.append(1 - columns[0])
            break
    found = np.stack(columns, axis=1)
    return found / np.maximum(found.sum(axis=1, keepdims=True), 1e-12)


def _line(values: Array, seen: Array, truths: Array) -> Array | None:
    if seen.std() < 1e-9:
        return None
    slope, level = np.polyfit(seen, truths, 1)
    # A falling line would turn the ranking: the model has no skill there, and is left as it is.
    return level + slope * values if slope > 0 else None


def _probability(values: Array, seen: Array, known: Array, patients: int) -> Array:
    if patients >= _ISOTONIC_FROM:
        from sklearn.isotonic import IsotonicRegression

        return IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip").fit(seen, known).predict(values)
    from sklearn.linear_model import LogisticRegression

    machine = LogisticRegression(C=10.0).fit(_log_odds(seen)[:, None], known)
    if machine.coef_[0, 0] <= 0:
        return values
    return machine.predict_proba(_log_odds(values)[:, None])[:, 1]


def _log_odds(values: Array) -> Array:
    share = np.clip(values, 1e-6, 1 - 1e-6)
    return np.log(share / (1 - share))
