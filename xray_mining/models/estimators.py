"""Our own scikit-learn estimators: steps of the pipelines that `baselines` fits. Saved models refer to their names."""

import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin, TransformerMixin
from sklearn.feature_selection import f_regression
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.svm import SVC, SVR

from xray_mining.process_settings import warning_filters

Array = np.ndarray[Any, Any]
Screen = Callable[[Array, Array], tuple[Array, Array]]
"""F values and p values of columns, from a table and its truths."""

_BOOSTING_COLUMNS = 300
_BOOSTING_STEPS = 64
_CONSTANT_COLUMNS = partial(warnings.filterwarnings, "ignore", module=r"(sklearn|scipy|numpy)(\.|$)")
"""Constant columns have no F value; the warnings about them are not needed, because such a column is not kept."""


def squared_length(matrix: Array) -> float:
    """Mean squared length of a centred row of (n, columns); never 0."""
    return max(float(matrix.var(axis=0).sum()), 1e-12)


class ScaledRidge(RegressorMixin, BaseEstimator):
    """Ridge regression; the penalty is a factor times the mean squared length of a row, as in `ridge_path`."""

    def __init__(self, factor: float = 1.0) -> None:
        self.factor = factor

    def fit(self, matrix: Array, truths: Array, sample_weight: Array | None = None) -> "ScaledRidge":
        """Fit."""
        self.machine_ = Ridge(alpha=self.factor * squared_length(matrix))
        self.machine_.fit(matrix, truths, sample_weight=sample_weight)
        return self

    def predict(self, matrix: Array) -> Array:
        """(n,) in the target's unit."""
        return self.machine_.predict(matrix)


class ScaledLogistic(ClassifierMixin, BaseEstimator):
    """Logistic regression on rows of mean squared length 1, so that one grid of costs fits any number of columns."""

    def __init__(self, cost: float = 1.0) -> None:
        self.cost = cost

    def fit(self, matrix: Array, truths: Array, sample_weight: Array | None = None) -> "ScaledLogistic":
        """Fit."""
        self.scale_ = np.sqrt(squared_length(matrix))
        self.machine_ = LogisticRegression(C=self.cost, max_iter=500)
        self.machine_.fit(matrix / self.scale_, truths, sample_weight=sample_weight)
        self.classes_ = self.machine_.classes_
        return self

    def predict_proba(self, matrix: Array) -> Array:
        """(n, classes) probabilities."""
        return self.machine_.predict_proba(matrix / self.scale_)

    def predict(self, matrix: Array) -> Array:
        """The likeliest class."""
        return self.machine_.predict(matrix / self.scale_)


# Standardised, Components, Informative, Steps and SupportVectorProbability resemble scikit-learn's estimators but are
# kept: saved models refer to them by name, and each differs (measured by tests/benchmarks/bench_estimators.py).
# Standardised gives the same bits as SimpleImputer and StandardScaler in 1/20 of the time for small tables and a
# similar one for large ones; besides, it treats infinities as missing, and a column as constant if its deviation is
# small relative to its mean. Components differs from PCA by 1e-13 and is 1.5 to 8 times as fast. Informative gives the
# same columns as SelectKBest (slower: 46 ms for 400 rows and 3,000 columns), but keeps missing values and takes the
# first of equal columns. Steps keeps missing values, which KBinsDiscretizer refuses, and takes as long.
class Standardised(TransformerMixin, BaseEstimator):
    """Replaces missing values by medians and scales columns to mean 0 and deviation 1; constant columns become 0."""

    def fit(self, matrix: Array, truths: Array | None = None) -> "Standardised":
        """Learn each column's median, mean and deviation."""
        finite = np.isfinite(matrix)
        if finite.all():
            self.median_ = np.zeros(matrix.shape[1])
            filled = np.asarray(matrix, dtype=np.float64)
        else:
            shown = np.where(finite, matrix, np.nan)
            self.median_ = np.zeros(matrix.shape[1])
            some = finite.any(axis=0)
            self.median_[some] = np.nanmedian(shown[:, some], axis=0)
            filled = np.where(finite, matrix, self.median_)
        # Compare with the mean: in a column of huge values (a moment of a wide histogram) rounding errors look like a
        # deviation.
        self.mean_ = filled.mean(axis=0)
        deviation = filled.std(axis=0)
        self.scale_ = np.where(deviation > 1e-9 * (1 + np.abs(self.mean_)), deviation, np.inf)
        return self

    def transform(self, matrix: Array) -> Array:
        """(n, p) → (n, p) float64, clipped to ten deviations from the mean so that an outlier has a limited effect."""
        filled = np.where(np.isfinite(matrix), matrix, self.median_)
        return np.clip((filled - self.mean_) / self.scale_, -10, 10)


class Components(TransformerMixin, BaseEstimator):
    """Principal components from the smaller of covariance and Gram matrix; 0 keeps all components.

    If a table has more columns than rows, all scores together are a rotation of the table with as many columns as
    rows. Models that use only inner products or distances (ridge, logistic with a squared penalty, support vectors)
    give the same predictions from the scores in a fraction of the time.
    """

    def __init__(self, components: int = 0) -> None:
        self.components = components

    def fit(self, matrix: Array, truths: Array | None = None) -> "Components":
        """Learn the axes."""
        rows, columns = matrix.shape
        self.mean_ = matrix.mean(axis=0)
        self.axes_ = None
        if self.components == 0 and columns <= rows:
            return self
        centred = matrix - self.mean_
        if rows < columns:
            values, vectors = np.linalg.eigh(centred @ centred.T)
        else:
            values, vectors = np.linalg.eigh(centred.T @ centred)
        values, vectors = values[::-1], vectors[:, ::-1]
        kept = int((values > values[0] * 1e-10).sum()) if values[0] > 0 else 1
        kept = min(kept, self.components or kept)
        vectors = vectors[:, :kept]
        if rows < columns:
            vectors = centred.T @ (vectors / np.sqrt(np.maximum(values[:kept], 1e-30)))
        # eigh does not fix the signs; make each axis's largest entry positive, so that all machines agree.
        largest = np.abs(vectors).argmax(axis=0)
        self.axes_ = vectors * np.where(vectors[largest, np.arange(kept)] < 0, -1.0, 1.0)
        return self

    def transform(self, matrix: Array) -> Array:
        """(n, p) → (n, components)."""
        centred = matrix - self.mean_
        return centred if self.axes_ is None else centred @ self.axes_


class Informative(TransformerMixin, BaseEstimator):
    """The columns with the largest F value, at most `columns` of them: trees over thousands of columns are slow."""

    def __init__(self, columns: int = _BOOSTING_COLUMNS, screen: Screen = f_regression) -> None:
        self.columns = columns
        self.screen = screen

    def fit(self, matrix: Array, truths: Array) -> "Informative":
        """Choose the columns to keep."""
        if matrix.shape[1] <= self.columns:
            self.kept_ = np.arange(matrix.shape[1])
            return self
        filled = Standardised().fit(matrix).transform(matrix)
        with np.errstate(all="ignore"), warning_filters(_CONSTANT_COLUMNS):
            values = self.screen(filled, truths)[0]
        order = np.argsort(-np.nan_to_num(values, nan=-1.0, posinf=-1.0), kind="stable")
        self.kept_ = np.sort(order[: self.columns])
        return self

    def transform(self, matrix: Array) -> Array:
        """(n, p) → (n, kept)."""
        return matrix[:, self.kept_]


class Steps(TransformerMixin, BaseEstimator):
    """Replaces values by the number of their quantile step 0, 1, …; missing values stay nan.

    Trees split between such steps in any case. With the values themselves and weights, scikit-learn computes one
    weighted percentile for each step of each column, which takes ten times as long as the trees.
    """

    def fit(self, matrix: Array, truths: Array | None = None) -> "Steps":
        """Learn each column's limits."""
        shares = np.linspace(0, 1, _BOOSTING_STEPS + 1)[1:-1]
        columns = (column[np.isfinite(column)] for column in matrix.T)
        self.limits_ = [np.unique(np.quantile(known, shares)) if known.size else known for known in columns]
        return self

    def transform(self, matrix: Array) -> Array:
        """(n, p) → (n, p) float64."""
        steps = np.empty(matrix.shape)
        for place, limits in enumerate(self.limits_):
            steps[:, place] = np.searchsorted(limits, matrix[:, place])
        return np.where(np.isfinite(matrix), steps, np.nan)


class SupportVectorProbability(ClassifierMixin, BaseEstimator):
    """A support vector classifier whose decision values become probabilities by a logistic map fitted out of fold.

    CalibratedClassifierCV fits a map for each class against the rest, and gives no out-of-fold probabilities: with the
    grid of hyperparameters these would take 3 to 10 times as long. At two classes the probabilities differ by 0.02 at
    most. At three and ten, with 89 and 400 rows, its log loss is lower by 0.04 and 0.05: the one map of all classes has
    too many weights there. It is kept because changing it changes the figures of such studies.
    """

    def __init__(self, cost: float = 1.0, spread: float = 1.0, maps: Any = None) -> None:
        self.cost = cost
        self.spread = spread
        self.maps = maps

    def fit(self, matrix: Array, truths: Array, sample_weight: Array | None = None) -> "SupportVectorProbability":
        """Fit the vectors; `maps` must be fitted before, on out-of-fold decision values."""
        self.classes_ = np.unique(truths)
        self.machine_ = SVC(C=self.cost, gamma=self.spread / squared_length(matrix), decision_function_shape="ovr")
        self.machine_.fit(matrix, truths, sample_weight=sample_weight)
        return self

    def decision(self, matrix: Array) -> Array:
        """(n, 1) for two classes, (n, classes) for more."""
        values = self.machine_.decision_function(matrix)
        return values[:, None] if values.ndim == 1 else values

    def predict_proba(self, matrix: Array) -> Array:
        """(n, classes) probabilities."""
        return self.maps.predict_proba(self.decision(matrix))

    def predict(self, matrix: Array) -> Array:
        """The likeliest class."""
        return self.classes_[self.predict_proba(matrix).argmax(axis=1)]


class SupportVectorNumber(RegressorMixin, BaseEstimator):
    """Support vector regression of a standardised number, so that epsilon has the same meaning for any unit."""

    def __init__(self, cost: float = 1.0, spread: float = 1.0) -> None:
        self.cost = cost
        self.spread = spread

    def fit(self, matrix: Array, truths: Array, sample_weight: Array | None = None) -> "SupportVectorNumber":
        """Fit the vectors."""
        self.centre_, self.scale_ = float(np.median(truths)), float(truths.std()) or 1.0
        self.machine_ = SVR(C=self.cost, gamma=self.spread / squared_length(matrix), epsilon=0.1)
        self.machine_.fit(matrix, (truths - self.centre_) / self.scale_, sample_weight=sample_weight)
        return self

    def predict(self, matrix: Array) -> Array:
        """(n,) in the target's unit."""
        return self.machine_.predict(matrix) * self.scale_ + self.centre_
