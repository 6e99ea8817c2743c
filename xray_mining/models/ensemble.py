"""Combine several experiments; weights come from the validation patients of each rotation, never from test patients."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from xray_mining.models.fit import Fit, Fitted
from xray_mining.models.targets import ModelTarget

Array = np.ndarray[Any, Any]

INNER_FOLDS = 5


@dataclass(frozen=True, slots=True)
class Combined:
    """An ensemble's predictions in one rotation, and the weight of each member."""

    fitted: Fitted
    weights: dict[str, float]


def combine(rule: str, members: dict[str, Fitted], fit: Fit) -> Combined:
    """Combine the members' predictions by a rule.

    Args:
        rule: mean; best: the member with the lowest validation loss; stack: non-negative weights that sum to one, with
            the lowest validation loss. Stacked predictions for validation patients are out of fold (weights from the
            other patients), so that the validation score is not more optimistic than the members' scores.
        members: Predictions of each member.
        fit: The rotation.
    """
    names = sorted(members)
    shared = set.intersection(*(set(members[name].image_keys) for name in names))
    keys = [key for key in fit.keys if key in shared]
    stacked = np.stack([_in_order(members[name], keys) for name in names])
    place = {key: row for row, key in enumerate(fit.keys)}
    rows = np.array([place[key] for key in keys], dtype=np.int64)
    truths = fit.truths()[rows]
    validation = np.flatnonzero((fit.images["role"].to_numpy()[rows] == "validation") & fit.kind.known(truths))
    patients = fit.images["patient_key"].to_numpy()[rows][validation]
    known = truths[validation]
    if rule == "mean" or not len(validation):
        weights = np.full(len(names), 1 / len(names))
    elif rule == "best":
        losses = [float(fit.kind.errors(each[validation], known).mean()) for each in stacked]
        weights = np.eye(len(names))[int(np.argmin(losses))]
    else:
        weights = stack_weights(stacked[:, validation], known, fit.kind)
    values = _weighed(stacked, weights)
    if rule == "stack" and np.unique(patients).size >= INNER_FOLDS:
        from sklearn.model_selection import GroupKFold

        for others, held in GroupKFold(INNER_FOLDS).split(known, known, patients):
            own = stack_weights(stacked[:, validation[others]], known[others], fit.kind)
            values[validation[held]] = _weighed(stacked[:, validation[held]], own)
    return Combined(Fitted(keys, values), dict(zip(names, weights.tolist(), strict=True)))


def put_together(members: dict[str, Fitted], weights: dict[str, float]) -> Fitted:
    """Combine the members' predictions with given weights, for the images that all members predict, sorted by key."""
    names = sorted(members)
    keys = sorted(set.intersection(*(set(members[name].image_keys) for name in names)))
    shares = np.array([weights[name] for name in names])
    return Fitted(keys, _weighed(np.stack([_in_order(members[name], keys) for name in names]), shares))


def stack_weights(predictions: Array, truths: Array, kind: ModelTarget) -> Array:
    """Weights of the members, (members,), non-negative with sum one, for (members, n, …) predictions.

    A penalty draws the weights towards equal ones, because a validation fold has few patients and equal weights are
    hard to beat with few patients.
    """
    from scipy.optimize import minimize

    members = len(predictions)
    equal = np.full(members, 1 / members)

    def loss(weights: Array) -> float:
        return kind.stack_loss(_weighed(predictions, weights), truths) + 0.05 * float(((weights - equal) ** 2).sum())

    found = minimize(
        loss,
        equal,
        method="SLSQP",
        bounds=[(0, 1)] * members,
        constraints=[{"type": "eq", "fun": lambda weights: weights.sum() - 1}],
    )
    weights = np.clip(found.x, 0, 1) if np.isfinite(found.x).all() else equal
    return weights / weights.sum() if weights.sum() > 0 else equal


def _weighed(stacked: Array, weights: Array) -> Array:
    return np.tensordot(weights, stacked, axes=1)


def _in_order(fitted: Fitted, keys: list[str]) -> Array:
    place = {key: row for row, key in enumerate(fitted.image_keys)}
    return fitted.values[[place[key] for key in keys]]
