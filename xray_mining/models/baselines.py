"""scikit-learn models on tables of numbers, with hyperparameters from patient-grouped inner cross-validation.

Everything that is fitted (medians, scales, components, hyperparameters, calibration of decision values) uses only the
training and validation patients of one rotation, never test patients. Predictions for validation patients are out of
fold: the copy of the model that predicts a patient was not fitted to that patient.
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.pipeline import Pipeline
from threadpoolctl import threadpool_limits

from xray_mining.errors import UserError
from xray_mining.models.answers import INNER_FOLDS, Answers, Folds, Numbers
from xray_mining.models.estimators import (
    Components,
    Informative,
    ScaledRidge,
    Standardised,
    Steps,
    squared_length,
)
from xray_mining.models.fit import Fit, Fitted
from xray_mining.models.targets import Lesson, Teachable
from xray_mining.process_settings import Shared, warning_filters

# These matrices are small, so several threads would only wait for each other; steps already run in parallel.
_ONE_THREAD = Shared(lambda: threadpool_limits(1))

Array = np.ndarray[Any, Any]

_BOOSTING_ROUNDS = 200


@dataclass(frozen=True, slots=True)
class Learned:
    """A model fitted to one rotation's training and validation patients."""

    predictor: Any
    """Takes the table's rows; `predict` for numbers, `predict_proba` for classes."""
    out_of_fold: Array
    """(n,) or (n, classes): predictions for the fitted rows, by copies of the model not fitted to the row's patient."""
    chosen: dict[str, float]
    """Hyperparameters chosen by the inner cross-validation."""
    loss: float
    """Out-of-fold loss of these hyperparameters: mean absolute error, or log loss."""

    def values(self, matrix: Array) -> Array:
        """Predictions for other rows, (m,) or (m, classes)."""
        return predicted(self.predictor, matrix)


def predicted(predictor: Any, matrix: Array) -> Array:
    """Predictions of a fitted predictor for a table's rows: numbers (m,), or probabilities (m, classes)."""
    if hasattr(predictor, "predict_proba"):
        return predictor.predict_proba(matrix)
    return predictor.predict(matrix)


@dataclass(frozen=True, slots=True)
class Table:
    """Training data of a model: one rotation's training and validation rows."""

    matrix: Array
    """(n, columns) float64, nan for values that could not be measured."""
    truths: Array
    """(n,) float64: the number, or the class 0, 1, …"""
    patients: Array
    """(n,) patient of each row; all rows of a patient are in the same inner fold."""
    weights: Array
    """(n,) float64."""
    answers: Answers = field(default_factory=Numbers)
    """Whether truths are numbers, classes or levels."""

    def folds(self) -> Folds:
        """Patient-grouped inner folds: rows to fit on and rows held out."""
        return self.answers.folds(self.truths, self.patients, min(INNER_FOLDS, np.unique(self.patients).size))

    def lacking(self) -> str:
        """Why no model can be fitted with inner folds; an empty text if one can."""
        if np.unique(self.patients).size < 2:
            return "has one patient to learn from; take a cohort with more patients"
        needed = self.answers.needed
        if sum(patients > 0 for patients in self.answers.patients_of_classes(self.truths, self.patients)) < needed:
            return "a class has no patient to learn from; take a larger cohort or fewer folds"
        if any(len(np.unique(self.truths[fitted])) < needed for fitted, _ in self.folds()):
            return (
                "a class has one patient to learn from, and a model needs two, because one is held out; take a larger "
                "cohort or fewer folds"
            )
        return ""

    def learn(self, model: str, components: int = 0, seed: int = 0) -> Learned:
        """Fit the named model with the hyperparameters that are best over patient-grouped inner folds.

        Args:
            model: ridge (numbers), logistic (classes), boosting, support_vectors.
            components: Number of principal components to keep; 0 keeps all. Boosting uses the columns themselves.
            seed: Seed of the random numbers of boosting.
        """
        # At extreme grid values the solver may not converge; ignore the warning, because the inner folds score the
        # result anyway.
        extremes = partial(warnings.simplefilter, "ignore", ConvergenceWarning)
        with warning_filters(extremes), _ONE_THREAD:
            return _LEARNERS[model](self, components, seed)

    @property
    def shares(self) -> Array:
        """Weights of rows in fits, with mean 1; an image weighs less if its patient has many images.

        The weight is divided by the square root of the patient's number of images. This is a compromise: with equal
        weights of images, a patient with sixty images would outweigh fifty others; with equal weights of patients, most
        images of an archive with many images per patient would hardly count.
        """
        _, owner, images = np.unique(self.patients, return_inverse=True, return_counts=True)
        return _mean_one(_mean_one(self.weights) / np.sqrt(images[owner]))

    def loss(self, values: Array) -> float:
        """Mean absolute error of numbers (n,), log loss of probabilities (n, classes)."""
        return float(np.average(self.answers.errors(values, self.truths), weights=_mean_one(self.weights)))


def _mean_one(weights: Array) -> Array:
    """Weights divided by their mean; all 1 if all weights are 0."""
    total = weights.sum()
    return weights * (len(weights) / total) if total > 0 else np.ones_like(weights)


def fit_baseline(model: str, matrix: Array, fit: Fit, components: int = 0) -> tuple[Fitted, Learned]:
    """Fit a model to a rotation's training and validation patients; predict validation (out of fold) and test images.

    Args:
        model: Name of the scikit-learn model; an empty text takes the simplest one of the target's kind.
        matrix: (rows of fit.images, columns), nan for values that could not be measured.
        fit: The rotation and its images.
        components: Number of principal components to keep; 0 keeps all.

    Raises:
        UserError: If the rotation has too few patients or classes to learn from.
    """
    known = fit.rows("train", "validation", labelled=True)
    where = f"target {fit.target.name}, rotation {fit.number}"
    table = table_of(matrix, fit)
    if reason := table.lacking():
        raise UserError(f"{where}: {reason}")
    if model and model not in fit.kind.table_models:
        raise UserError(
            f"{where}: {model} does not predict {fit.kind.predicts}; take one of {', '.join(fit.kind.table_models)}"
        )
    learned = table.learn(model or fit.kind.table_models[0], components, max(fit.seed, 0))
    test = fit.rows("test")
    validation = fit.images["role"].to_numpy()[known] == "validation"
    keys = [fit.keys[row] for row in (*known[validation], *test)]
    tested = learned.values(matrix[test]) if len(test) else learned.out_of_fold[:0]
    return Fitted(keys, np.concatenate([learned.out_of_fold[validation], tested])), learned


def table_of(matrix: Array, fit: Fit) -> Teachable:
    """Training data of a rotation: training and validation images with known truths; `matrix` as in fit_baseline."""
    known = fit.rows("train", "validation", labelled=True)
    patients = fit.images["patient_key"].to_numpy()[known]
    weights = fit.images["weight"].to_numpy().astype(np.float64)[known]
    return fit.kind.table(Lesson(matrix[known], fit.truths()[known], patients, weights), fit.target)


def _linear(components: int, name: str, machine: Any) -> Pipeline:
    return Pipeline([("standardised", Standardised()), ("components", Components(components)), (name, machine)])


def _prepared(table: Table, components: int) -> list[tuple[Array, Array, Array, Array]]:
    """For each inner fold: fitted rows, held-out rows, and both transformed by steps fitted to the fitted rows."""
    prepared = []
    for fitted, held in table.folds():
        steps = _linear(components, "none", "passthrough").fit(table.matrix[fitted])
        prepared.append((fitted, held, steps.transform(table.matrix[fitted]), steps.transform(table.matrix[held])))
    return prepared


def _ridge(table: Table, components: int, seed: int) -> Learned:
    """Ridge regression; one eigendecomposition for each fold gives the predictions of all penalties."""
    factors = np.logspace(-3, 4, 29)
    answers = np.zeros((len(factors), len(table.truths)))
    for fitted, held, seen, unseen in _prepared(table, components):
        answers[:, held] = ridge_path(seen, table.truths[fitted], table.shares[fitted], unseen, factors).T
    losses = [table.loss(each) for each in answers]
    best = int(np.argmin(losses))
    predictor = _linear(components, "ridge", ScaledRidge(float(factors[best])))
    predictor.fit(table.matrix, table.truths, ridge__sample_weight=table.shares)
    return Learned(predictor, answers[best], {"penalty": float(factors[best])}, losses[best])


def ridge_path(seen: Array, truths: Array, shares: Array, unseen: Array, factors: Array) -> Array:
    """Ridge predictions for `unseen` (m, p) under every penalty factor, (m, factors).

    The penalty is the factor times the mean squared length of a row, so that one grid fits any number of columns.
    """
    mean, level = np.average(seen, axis=0, weights=shares), np.average(truths, weights=shares)
    root = np.sqrt(shares)[:, None]
    rows = (seen - mean) * root
    centred = (truths - level) * root[:, 0]
    penalties = factors * squared_length(seen)
    if rows.shape[0] <= rows.shape[1]:
        values, vectors = np.linalg.eigh(rows @ rows.T)
        inner = (vectors.T @ centred)[:, None] / (np.maximum(values, 0)[:, None] + penalties)
        coefficients = rows.T @ (vectors @ inner)
    else:
        values, vectors = np.linalg.eigh(rows.T @ rows)
        inner = (vectors.T @ (rows.T @ centred))[:, None] / (np.maximum(values, 0)[:, None] + penalties)
        coefficients = vectors @ inner
    return (unseen - mean) @ coefficients + level


def _logistic(table: Table, components: int, seed: int) -> Learned:
    grid = [{"cost": float(cost)} for cost in np.logspace(-1.5, 3.5, 11)]
    answers = np.zeros((len(grid), *table.answers.shape(len(table.truths))))
    for fitted, held, seen, unseen in _prepared(table, components):
        for answer, point in zip(answers, grid, strict=True):
            machine = table.answers.logistic(point).fit(seen, table.truths[fitted], table.shares[fitted])
            # A class that no fitted row has keeps its probability of 0.
            answer[np.ix_(held, machine.classes_.astype(int))] = machine.predict_proba(unseen)
    losses = [table.loss(each) for each in answers]
    best = int(np.argmin(losses))
    predictor = _linear(components, "logistic", table.answers.logistic(grid[best]))
    predictor.fit(table.matrix, table.truths, logistic__sample_weight=table.shares)
    return Learned(predictor, answers[best], grid[best], losses[best])


def _support_vectors(table: Table, components: int, seed: int) -> Learned:
    grid = [{"cost": cost, "spread": spread} for cost in (0.1, 0.3, 1.0, 3.0, 10.0) for spread in (0.3, 1.0)]
    kind = table.answers
    decisions = np.zeros((len(grid), *kind.decision_shape(len(table.truths))))
    prepared = _prepared(table, components)
    for fitted, held, seen, unseen in prepared:
        for decision, point in zip(decisions, grid, strict=True):
            machine = kind.vectors(point).fit(seen, table.truths[fitted], table.shares[fitted])
            decision[held] = kind.decisions(machine, unseen)
    folds = [(fitted, held) for fitted, held, *_ in prepared]
    answers = [kind.decided(each, table.truths, table.shares, folds) for each in decisions]
    losses = [table.loss(each) for each in answers]
    best = int(np.argmin(losses))
    machine = kind.final_vectors(grid[best], decisions[best], table.truths, table.shares)
    predictor = _linear(components, "vectors", machine)
    predictor.fit(table.matrix, table.truths, vectors__sample_weight=table.shares)
    return Learned(predictor, answers[best], grid[best], losses[best])


def _boosting(table: Table, components: int, seed: int) -> Learned:
    """Boosted trees; inner folds choose the number of rounds, one fit for each fold gives the losses of all rounds."""
    # Small trees with a low rate: only the number of rounds must be chosen, which the folds do without further fits.
    options: dict[str, Any] = {
        "learning_rate": 0.06,
        "max_leaf_nodes": 8,
        "min_samples_leaf": min(20, max(2, len(table.truths) // 20)),
        "l2_regularization": 1.0,
        "max_features": 0.5,
        "early_stopping": False,
        "random_state": seed,
    }
    kind = table.answers

    def prepare() -> Pipeline:
        return Pipeline([("informative", Informative(screen=kind.screen)), ("quantiles", Steps())])

    # Out-of-fold predictions after every round; the round with the smallest loss is fitted again on all rows.
    answers = np.zeros((_BOOSTING_ROUNDS, *kind.shape(len(table.truths))))
    for fitted, held in table.folds():
        steps = prepare().fit(table.matrix[fitted], table.truths[fitted])
        machine = kind.trees(_BOOSTING_ROUNDS, options)
        machine.fit(steps.transform(table.matrix[fitted]), table.truths[fitted], sample_weight=table.shares[fitted])
        unseen = steps.transform(table.matrix[held])
        for answer, values in zip(answers, kind.stages(machine, unseen), strict=True):
            answer[held] = values
    losses = [table.loss(each) for each in answers]
    best = int(np.argmin(losses))
    predictor = Pipeline([*prepare().steps, ("boosting", kind.trees(best + 1, options))])
    predictor.fit(table.matrix, table.truths, boosting__sample_weight=table.shares)
    return Learned(predictor, answers[best], {"rounds": float(best + 1)}, losses[best])


_LEARNERS: dict[str, Callable[[Table, int, int], Learned]] = {
    "ridge": _ridge,
    "logistic": _logistic,
    "support_vectors": _support_vectors,
    "boosting": _boosting,
}
