"""What the truths of a table are (numbers, classes or levels), each with what scikit-learn needs to learn them."""

import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.feature_selection import f_classif, f_regression
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold, StratifiedGroupKFold

from xray_mining.models.chain import Chain
from xray_mining.models.estimators import ScaledLogistic, Screen, SupportVectorNumber, SupportVectorProbability
from xray_mining.models.ordered_logistic import OrderedLogistic
from xray_mining.models.targets import absolute_errors, log_losses_of_classes
from xray_mining.process_settings import warning_filters

Array = np.ndarray[Any, Any]
Folds = list[tuple[Array, Array]]
"""Rows to fit on and rows held out, for each inner fold."""

INNER_FOLDS = 5


class Answers(ABC):
    """One sort of truths (n,), and of predictions (n,) or (n, classes)."""

    needed: int = 0
    """Different truths that every fit must have."""
    screen: Screen
    """F values of columns, to choose among very many."""

    @abstractmethod
    def shape(self, rows: int) -> tuple[int, ...]:
        """Shape of the predictions for this many rows."""

    @abstractmethod
    def errors(self, values: Array, truths: Array) -> Array:
        """Error of each prediction, (n,)."""

    @abstractmethod
    def folds(self, truths: Array, patients: Array, count: int) -> Folds:
        """Patient-grouped inner folds."""

    def patients_of_classes(self, truths: Array, patients: Array) -> list[int]:
        """Number of patients of each class; empty for numbers."""
        return []

    def logistic(self, point: dict[str, float]) -> Any:
        """A logistic regression that is not fitted yet."""
        return ScaledLogistic(**point)

    @abstractmethod
    def trees(self, rounds: int, options: dict[str, Any]) -> Any:
        """Boosted trees that are not fitted yet."""

    @abstractmethod
    def stages(self, trees: Any, matrix: Array) -> Iterator[Array]:
        """Predictions of fitted trees after each round."""

    @abstractmethod
    def vectors(self, point: dict[str, float]) -> Any:
        """A support vector machine that is not fitted yet."""

    @abstractmethod
    def decision_shape(self, rows: int) -> tuple[int, ...]:
        """Shape of the machine's decision values for this many rows."""

    @abstractmethod
    def decisions(self, machine: Any, matrix: Array) -> Array:
        """Decision values of a fitted machine."""

    @abstractmethod
    def decided(self, decisions: Array, truths: Array, shares: Array, folds: Folds) -> Array:
        """Out-of-fold predictions from out-of-fold decision values."""

    @abstractmethod
    def final_vectors(self, point: dict[str, float], decisions: Array, truths: Array, shares: Array) -> Any:
        """The machine that is fitted to all rows, given the out-of-fold decision values of its point."""


class Numbers(Answers):
    """Truths (n,) are numbers, and predictions (n,) too."""

    screen = staticmethod(f_regression)

    def shape(self, rows: int) -> tuple[int, ...]:
        """One number a row."""
        return (rows,)

    def errors(self, values: Array, truths: Array) -> Array:
        """Absolute errors."""
        return absolute_errors(values, truths)

    def folds(self, truths: Array, patients: Array, count: int) -> Folds:
        """Folds of about equal size."""
        return list(GroupKFold(count).split(truths, truths, patients))

    def trees(self, rounds: int, options: dict[str, Any]) -> Any:
        """For regression."""
        return HistGradientBoostingRegressor(max_iter=rounds, **options)

    def stages(self, trees: Any, matrix: Array) -> Iterator[Array]:
        """Numbers (n,)."""
        return trees.staged_predict(matrix)

    def vectors(self, point: dict[str, float]) -> Any:
        """For regression."""
        return SupportVectorNumber(**point)

    def decision_shape(self, rows: int) -> tuple[int, ...]:
        """One number a row."""
        return (rows,)

    def decisions(self, machine: Any, matrix: Array) -> Array:
        """The predictions themselves."""
        return machine.predict(matrix)

    def decided(self, decisions: Array, truths: Array, shares: Array, folds: Folds) -> Array:
        """The decision values themselves."""
        return decisions

    def final_vectors(self, point: dict[str, float], decisions: Array, truths: Array, shares: Array) -> Any:
        """The same machine."""
        return self.vectors(point)


class Classes(Answers):
    """Truths (n,) are classes 0, 1, …, and predictions (n, classes) their probabilities."""

    screen = staticmethod(f_classif)

    def __init__(self, count: int) -> None:
        self.count = count
        self.needed = count

    def shape(self, rows: int) -> tuple[int, ...]:
        """A probability for each row and class."""
        return (rows, self.count)

    def errors(self, values: Array, truths: Array) -> Array:
        """Log losses."""
        return log_losses_of_classes(values, truths)

    def folds(self, truths: Array, patients: Array, count: int) -> Folds:
        """Folds that share out each class; if a class has few patients, each is dealt out by itself."""
        if min(self.patients_of_classes(truths, patients)) < INNER_FOLDS:
            return self._folds_of_small_classes(truths, patients, count)
        # A fold may lack a class with few images; its loss still counts, so ignore scikit-learn's warning.
        few = partial(warnings.filterwarnings, "ignore", message="The least populated class in y has only")
        with warning_filters(few):
            return list(StratifiedGroupKFold(count).split(truths, truths, patients))

    def patients_of_classes(self, truths: Array, patients: Array) -> list[int]:
        """Number of patients of each class."""
        return [np.unique(patients[truths == number]).size for number in range(self.count)]

    def _folds_of_small_classes(self, truths: Array, patients: Array, count: int) -> Folds:
        """Folds in which patients are dealt out class by class, the smallest class first.

        Every class with at least two patients is then in at least two folds, so that no fit lacks a class: support
        vectors and logistic regression cannot be fitted to one class.
        """
        fold = np.full(len(truths), -1)
        dealt = 0
        for number in np.argsort(self.patients_of_classes(truths, patients), kind="stable"):
            for patient in np.unique(patients[(truths == number) & (fold < 0)]):
                fold[patients == patient] = dealt % count
                dealt += 1
        return [(np.flatnonzero(fold != each), np.flatnonzero(fold == each)) for each in range(count)]

    def probabilities(self, machine: Any, values: Array) -> Array:
        """Probabilities (n, fitted classes) of a fitted classifier as (n, classes): 0 for a class that it lacks."""
        found = np.zeros((len(values), self.count))
        found[:, machine.classes_.astype(int)] = values
        return found

    def trees(self, rounds: int, options: dict[str, Any]) -> Any:
        """For classification."""
        return HistGradientBoostingClassifier(max_iter=rounds, **options)

    def stages(self, trees: Any, matrix: Array) -> Iterator[Array]:
        """Probabilities (n, classes)."""
        return (self.probabilities(trees, each) for each in trees.staged_predict_proba(matrix))

    def vectors(self, point: dict[str, float]) -> Any:
        """For classification."""
        return SupportVectorProbability(**point)

    def decision_shape(self, rows: int) -> tuple[int, ...]:
        """One value a row for two classes, else one for each class."""
        return (rows, self.count if self.count > 2 else 1)

    def decisions(self, machine: Any, matrix: Array) -> Array:
        """Distances from the borders between classes."""
        return machine.decision(matrix)

    def decided(self, decisions: Array, truths: Array, shares: Array, folds: Folds) -> Array:
        """Probabilities by a map of the decision values; the map of a fold is fitted to the other folds."""
        values = np.zeros(self.shape(len(truths)))
        for others, held in folds:
            maps = _decision_map().fit(decisions[others], truths[others], sample_weight=shares[others])
            values[held] = self.probabilities(maps, maps.predict_proba(decisions[held]))
        return values

    def final_vectors(self, point: dict[str, float], decisions: Array, truths: Array, shares: Array) -> Any:
        """The machine with the map of all rows."""
        return SupportVectorProbability(**point, maps=_decision_map().fit(decisions, truths, sample_weight=shares))


class Levels(Classes):
    """Classes in an order; two levels that occur are enough for a fit."""

    def __init__(self, count: int) -> None:
        super().__init__(count)
        self.needed = 2

    def logistic(self, point: dict[str, float]) -> Any:
        """One set of weights of the columns for all levels, and a threshold for each."""
        return OrderedLogistic(levels=self.count, **point)

    def trees(self, rounds: int, options: dict[str, Any]) -> Any:
        """A chain of steps from level to level."""
        return Chain(super().trees(rounds, options), self.count)


def _decision_map() -> LogisticRegression:
    return LogisticRegression(C=1e3, max_iter=500)
