"""Ordered levels from any scikit-learn classifier for two classes."""

from collections.abc import Iterator, Sequence
from itertools import repeat
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, clone

from xray_mining.models.calibration import shares_of_levels

Array = np.ndarray[Any, Any]


class Chain(ClassifierMixin, BaseEstimator):
    """Ordered levels 0, 1, …: one classifier for each step gives the probability of being above a reached level.

    The continuation-ratio model (Fienberg 1980; as CORN: Shi, Cao, Raschka 2021, arXiv:2111.08851). The probability of
    being above a level is the product of the steps' probabilities up to it, so it never increases with the level.
    """

    def __init__(self, machine: Any = None, levels: int = 2) -> None:
        self.machine = machine
        self.levels = levels

    def fit(self, matrix: Array, truths: Array, sample_weight: Array | None = None) -> "Chain":
        """Fit each step to the rows that reach it."""
        weights = np.ones(len(truths)) if sample_weight is None else sample_weight
        self.classes_ = np.arange(self.levels)
        self.steps_: list[Any] = []
        for level in range(self.levels - 1):
            rows = np.flatnonzero(truths >= level)
            above = (truths[rows] > level).astype(float)
            if len(np.unique(above)) == 2:
                self.steps_.append(clone(self.machine).fit(matrix[rows], above, sample_weight=weights[rows]))
            else:
                # All rows are on one side: use a constant near 0 or 1, or a half if no row reaches the level.
                self.steps_.append(float((above.sum() + 0.5) / (len(above) + 1)))
        return self

    def predict_proba(self, matrix: Array) -> Array:
        """(n, levels) probabilities."""
        return self._levels([self._above(step, matrix) for step in self.steps_])

    def staged_predict_proba(self, matrix: Array) -> Iterator[Array]:
        """(n, levels) probabilities after each round of boosted trees."""
        stages = [
            repeat(np.full(len(matrix), step))
            if isinstance(step, float)
            else (each[:, 1] for each in step.staged_predict_proba(matrix))
            for step in self.steps_
        ]
        for _, *above in zip(range(self.machine.max_iter), *stages, strict=False):
            yield self._levels(above)

    def predict(self, matrix: Array) -> Array:
        """The likeliest level."""
        return self.classes_[self.predict_proba(matrix).argmax(axis=1)]

    def _above(self, step: Any, matrix: Array) -> Array:
        return np.full(len(matrix), step) if isinstance(step, float) else step.predict_proba(matrix)[:, 1]

    def _levels(self, steps: Sequence[Array]) -> Array:
        """Conditional probabilities of each step, (n,) each, as probabilities of levels (n, levels)."""
        return shares_of_levels(np.cumprod(np.stack(steps, axis=1), axis=1))
