"""Shared code of the kinds with several classes or labels, scored by the mean of their areas under the ROC curve."""

from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import polars as pl
from scipy import stats

from xray_mining.evaluation.options import EvaluationOptions
from xray_mining.evaluation.targets._classes import Classes, by_class, with_every_class
from xray_mining.evaluation.task import Array, Model, Scored, Task
from xray_mining.records.cohort import Target
from xray_mining.statistics.auc import mean_area
from xray_mining.statistics.errors import detected
from xray_mining.statistics.estimate import Estimate
from xray_mining.statistics.macro import (
    compare_macro_auc,
    difference_of_macro_areas,
    macro_auc,
    macro_gain,
    number_of_areas,
    shared_classes,
)

Again = tuple[Array | None, Array | None]
"""Predictions of two models by fits of other rotations."""


def _of(answers: Array, columns: Array) -> Array:
    """Truths of some columns (classes,) bool; labels (n,) as they are: one of another class is none of them."""
    return answers[:, columns] if answers.ndim == 2 else answers


class MeanArea(Classes):
    """A kind of target that is scored by the mean area; predicted values are (n, classes)."""

    metric = "auc_macro"
    title = "mean AUC"
    words = "mean area under the ROC curve"
    skill_metric = "auc_macro"
    one_value = False
    several = "classes"
    """What the mean is over, as a word."""
    screened = ("auc_macro",)
    gained = ("auc_above_half", "mean AUC above 0.5")

    @abstractmethod
    def answers(self, task: Task) -> Array:
        """Truths as `macro_auc` needs them: (n,) labels, or (n, classes) of 0, 1 and nan."""
        ...

    def again(self, task: Task, model: Model, units: Array) -> Array | None:
        """Probabilities (m, classes) of the units (n,) bool by the fit of another rotation; None if there are none."""
        return model.again_of(units)

    @abstractmethod
    def validated(self, frame: pl.DataFrame, target: Target) -> Array:
        """Truths of validation rows, (n, classes) of 0, 1 and nan."""
        ...

    def kept(self, frame: pl.DataFrame, target: Target) -> tuple[pl.DataFrame, list[str]]:
        """All rows; no rows at all if a class has no probabilities."""
        return with_every_class(frame, target)

    def aligned(self, means: pl.DataFrame, keys: pl.DataFrame, target: Target) -> Array:
        """A probability for each class, (n, classes)."""
        return by_class(means, keys, target)

    def validation_score(self, task: Task, model: Model) -> float:
        """The mean over classes of the area; the area of a class is a mean over rotations."""
        frame = model.validation
        truth, values = self.validated(frame, task.target), np.stack(frame["value"].to_list())
        folds = frame["fold"].to_numpy()
        areas = []
        for number in range(len(task.target.classes)):
            known = np.isfinite(truth[:, number])
            label = truth[known, number]
            if len(np.unique(label)) > 1:
                areas.append(mean_area(label, values[known, number], folds[known]))
        return float(np.mean(areas)) if areas else float("nan")

    def difference(
        self, task: Task, first: Array, second: Array, units: Array, *, again: Again, options: EvaluationOptions
    ) -> Estimate:
        """The paired difference between the mean areas of two models on the units (n,) bool."""
        return compare_macro_auc(
            self.answers(task)[units],
            first[units],
            second[units],
            task.target.classes,
            task.owner[units],
            folds=task.folds[units],
            again=again,
            confidence=options.confidence,
        )

    def changed(self, task: Task, values: Array, units: Array, options: EvaluationOptions) -> dict[str, Estimate]:
        """The mean area on changed images of the units (n,) bool."""
        truth, owner, folds = self.answers(task)[units], task.owner[units], task.folds[units]
        classes = task.target.classes
        try:
            found = macro_auc(truth, values[units], classes, owner, folds, confidence=options.confidence)
        except ValueError:
            return {}
        return {"auc_macro": found}

    def lost(
        self, task: Task, model: Model, values: Array, units: Array, options: EvaluationOptions
    ) -> Estimate | None:
        """The mean area on unchanged images minus that on the same images changed."""
        try:
            return self.difference(task, model.values, values, units, again=(None, None), options=options)
        except ValueError:
            return None

    def beyond_guessing(self, task: Task, model: Model, units: Array) -> float:
        """The mean area minus 0.5."""
        truth, values, owner, folds = (
            each[units] for each in (self.answers(task), model.values, task.owner, task.folds)
        )
        try:
            return macro_auc(truth, values, task.target.classes, owner, folds).value - 0.5
        except ValueError:
            return float("nan")

    def smallest_difference(self, task: Task, first: Model, second: Model, both: Array) -> float | None:
        """The smallest difference of mean areas, from the standard error of the paired difference."""
        again = (self.again(task, first, both), self.again(task, second, both))
        try:
            found = self.difference(task, first.values, second.values, both, again=again, options=EvaluationOptions())
        except ValueError:
            return None
        error = (found.high - found.value) / stats.t.ppf(0.5 + EvaluationOptions().confidence / 2, found.patients - 1)
        return float(detected() * error) if error > 0 else None

    def by_cell(
        self, task: Task, model: Model, members: Array, options: EvaluationOptions
    ) -> Iterator[tuple[Scored, Array]]:
        """The mean area of a subgroup, over the classes for which it can be compared with the other units."""
        known, classes = model.known, task.target.classes
        inside = members & known
        answers, owner, folds = self.answers(task), task.owner, task.folds
        shared = shared_classes(answers[known], classes, members[known], owner[known], folds[known])
        if not shared.any():
            return
        again = self.again(task, model, inside)
        found = macro_auc(
            _of(answers, shared)[inside],
            model.values[inside][:, shared],
            [name for name, is_shared in zip(classes, shared, strict=True) if is_shared],
            owner[inside],
            folds[inside],
            again=None if again is None else again[:, shared],
            confidence=options.confidence,
            share=len(np.unique(owner[inside])) / task.patients,
        )
        if found.patients < options.least_patients:
            return
        count = number_of_areas(answers[known], classes, folds[known])
        if shared.sum() < count:
            found = found.with_caution(f"mean over {shared.sum()} of {count} {self.several}")
        tested = self.gap(task, model, members, np.flatnonzero(known), options)
        yield Scored("auc_macro", replace(found, p_value=tested.p_value)), np.ones(len(members), dtype=bool)

    def gain(self, task: Task, model: Model, options: EvaluationOptions) -> Estimate | None:
        """The mean area minus 0.5."""
        known = model.known
        truth, values, owner, folds = (
            each[known] for each in (self.answers(task), model.values, task.owner, task.folds)
        )
        again = self.again(task, model, known)
        try:
            return macro_gain(
                truth, values, task.target.classes, owner, folds, again=again, confidence=options.confidence
            )
        except ValueError:
            return None

    def gap(self, task: Task, model: Model, first: Array, units: Array, options: EvaluationOptions) -> Estimate:
        """The mean area of the units in `first` minus that of the others, over classes with an area in both groups."""
        return difference_of_macro_areas(
            self.answers(task)[units],
            model.values[units],
            task.target.classes,
            first[units],
            task.owner[units],
            folds=task.folds[units],
            confidence=options.confidence,
        )
