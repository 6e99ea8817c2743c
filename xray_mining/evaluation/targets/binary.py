"""Two classes, one of them called positive, for example female and male."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl

from xray_mining.evaluation.operating_points import OperatingPoint, operating_points
from xray_mining.evaluation.options import EvaluationOptions
from xray_mining.evaluation.targets import _one_value as one_value
from xray_mining.evaluation.targets._classes import Classes, both_classes, both_in_a_fold, pair
from xray_mining.evaluation.task import Array, Calls, Model, Scored, Side, Task
from xray_mining.records.cohort import Target
from xray_mining.statistics.auc import (
    Areas,
    area_difference,
    areas_over_folds,
    auc,
    mean_area,
)
from xray_mining.statistics.average_precision import average_precision
from xray_mining.statistics.calibration import calibration_metrics
from xray_mining.statistics.classification import called_metrics, compare_called
from xray_mining.statistics.comparison import difference_of_areas, difference_of_means
from xray_mining.statistics.errors import detected
from xray_mining.statistics.estimate import Estimate, owners
from xray_mining.statistics.guessing import area_gain
from xray_mining.statistics.resampling import SCORE, patient_sums, proportion_interval


class Binary(Classes):
    """Scored by the area under the ROC curve, and by calls at thresholds that are set on validation patients."""

    metric = "auc"
    title = "AUC"
    words = "area under the ROC curve"
    screened = ("auc",)
    gained = ("auc_above_half", "AUC above 0.5")

    def kept(self, frame: pl.DataFrame, target: Target) -> tuple[pl.DataFrame, list[str]]:
        """The probabilities of the positive class."""
        return (frame.filter(pl.col("class") == target.positive) if frame["class"].n_unique() > 1 else frame), []

    def truths(self, rows: pl.DataFrame, target: Target) -> pl.DataFrame:
        """unit_key, truth (1 for the positive class, else 0) and label of every unit."""
        other = _other_label(target) or f"not {target.positive}"
        positive = pl.when(pl.col("truth") == 1).then(pl.lit(target.positive))
        return one_value.first_truths(rows).with_columns(positive.otherwise(pl.lit(other)).alias("label"))

    def aligned(self, means: pl.DataFrame, keys: pl.DataFrame, target: Target) -> Array:
        """The score of the positive class, (n,)."""
        return one_value.aligned(means, keys)

    def validation(self, means: pl.DataFrame, target: Target) -> pl.DataFrame:
        """One score for each validation unit."""
        return one_value.validation(means)

    def table_labels(self, rows: pl.DataFrame, target: Target) -> pl.DataFrame:
        """The label; where its text is missing, the class that the value 0 or 1 stands for."""
        other = next((each for each in target.classes if each != target.positive), "")
        by_value = (
            pl.when(pl.col("value") == 1).then(pl.lit(target.positive)).when(pl.col("value") == 0).then(pl.lit(other))
        )
        return rows.select("image_key", pl.coalesce(pl.col("label"), by_value).alias("label"))

    def scores(self, task: Task, model: Model, options: EvaluationOptions) -> Iterator[Scored]:
        """Areas, calibration (if the scores are probabilities), and metrics of the calls at each operating point."""
        known = model.known
        truth, owner, folds = task.truth[known], task.owner[known], task.folds[known]
        if both_classes(task, known):
            again, values = model.again_of(known), model.values[known]
            yield Scored("auc", auc(truth, values, owner, folds, options.confidence, again=again))
            precision = average_precision(truth, values, owner, folds, options.confidence, again=again)
            yield Scored("average_precision", precision)
            for side in self.probabilities(task, model):
                metrics = options.bootstrapped(calibration_metrics)(
                    truth, side.values, owner, folds=folds, again=side.again
                )
                words = _calibrated_words(model) if side.calibrated else "probabilities as the model gave them"
                for name, each in metrics.items():
                    yield Scored(name, replace(each, method=f"{each.method}; {words}"))
        for point in operating_points(model, options.sensitivity_targets):
            called, again = point.called(task, model)[known], _of(point.called_again(task, model), known)
            found = options.bootstrapped(called_metrics)(truth, called, owner, folds=folds, again=again)
            for name, each in found.items():
                yield Scored(name, each, operating_point=point.name, threshold=point.threshold)

    def scores_by_patient(self, task: Task, model: Model, options: EvaluationOptions) -> dict[str, Estimate]:
        """The area of each patient's mean score, over patients whose images are all of one class."""
        means = one_value.patient_means(task, model, None).filter(pl.col("truths") == 1)
        truth, value, fold, again = (means[name].to_numpy() for name in ("truth", "value", "fold", "again"))
        if not both_in_a_fold(truth, fold):
            return {}
        return {"auc": auc(truth, value, None, fold, options.confidence, again=again)}

    def validation_score(self, task: Task, model: Model) -> float:
        """The mean over rotations of the area."""
        truth, value, folds = (model.validation[name].to_numpy() for name in ("truth", "value", "fold"))
        return mean_area(truth, value, folds)

    def differences(
        self, task: Task, model: Model, baseline: Model, both: Array, options: EvaluationOptions
    ) -> Iterator[Scored]:
        """Paired differences of the area, and of sensitivity and specificity at operating points of both models."""
        if not both_classes(task, both):
            return
        truth, owner, folds = task.truth[both], task.owner[both], task.folds[both]
        yield Scored("auc", area_difference(_areas_of_pair(task, model, baseline, both), 0, 1, options.confidence))
        own, other = (
            {each.name: each for each in operating_points(side, options.sensitivity_targets)}
            for side in (model, baseline)
        )
        for name, point in own.items():
            if name not in other:
                continue
            found = compare_called(
                truth,
                point.called(task, model)[both],
                other[name].called(task, baseline)[both],
                owner,
                options.confidence,
                folds=folds,
                again=(_of(point.called_again(task, model), both), _of(other[name].called_again(task, baseline), both)),
            )
            for metric, each in found.items():
                yield Scored(metric, each, operating_point=name, threshold=point.threshold)

    def smallest_difference(self, task: Task, first: Model, second: Model, both: Array) -> float | None:
        """The smallest difference of areas, from the variance of the paired difference."""
        try:
            areas = _areas_of_pair(task, first, second, both)
        except ValueError:
            return None
        variance = areas.variance((0, 1.0), (1, -1.0))
        if variance <= 1e-24:  # the scores are equal or perfect, so repetitions cannot be predicted
            return None
        return float(detected() * np.sqrt(variance))

    def by_cell(
        self, task: Task, model: Model, members: Array, options: EvaluationOptions
    ) -> Iterator[tuple[Scored, Array]]:
        """The area of a subgroup, and sensitivity and specificity at the Youden point."""
        known = model.known
        inside = members & known
        if not both_classes(task, inside):
            return
        found = _area_of_cell(task, model, inside, options)
        if found is None:
            return
        tested = difference_of_areas(
            task.truth[known],
            model.values[known],
            members[known],
            task.owner[known],
            task.folds[known],
            confidence=options.confidence,
        )
        yield Scored("auc", replace(found, p_value=tested.p_value)), np.ones(len(members), dtype=bool)
        for point in operating_points(model, options.sensitivity_targets)[:1]:
            yield from _calls_of_cell(task, model, members, point, options)

    def changed(self, task: Task, values: Array, units: Array, options: EvaluationOptions) -> dict[str, Estimate]:
        """The area on changed images; empty if they are all of one class."""
        if not both_classes(task, units):
            return {}
        found = auc(task.truth[units], values[units], task.owner[units], task.folds[units], options.confidence)
        return {"auc": found}

    def lost(
        self, task: Task, model: Model, values: Array, units: Array, options: EvaluationOptions
    ) -> Estimate | None:
        """The area on unchanged images minus that on the same images changed."""
        if not both_classes(task, units):
            return None
        scores = np.stack([model.values[units], values[units]])
        areas = areas_over_folds(task.truth[units], scores, task.owner[units], task.folds[units])
        return area_difference(areas, 0, 1, options.confidence)

    def beyond_guessing(self, task: Task, model: Model, units: Array) -> float:
        """The area minus 0.5."""
        return mean_area(task.truth[units], model.values[units], task.folds[units]) - 0.5

    def sides(self, task: Task, model: Model) -> Iterator[Side]:
        """The positive class against the other."""
        known = model.known
        yield Side("", known, task.truth[known] == 1, model.values[known], model.again_of(known))

    def probabilities(self, task: Task, model: Model) -> Iterator[Side]:
        """The positive class: calibrated probabilities, else the model's own; no side if scores are not in [0, 1]."""
        known = model.known
        for values, calibrated in ((model.calibrated, True), (model.values, False)):
            if values is None:
                continue
            inside = values[known]
            if np.isfinite(inside).all() and len(inside) and inside.min() >= 0 and inside.max() <= 1:
                again = _probabilities_again(task, model, values, known)
                yield Side("", known, task.truth[known] == 1, inside, again, calibrated)
                return

    def two_labels(self, task: Task) -> tuple[str, str] | None:
        """The positive label and the other one."""
        return task.target.positive, _other_label(task.target)

    def calls(self, task: Task, model: Model, options: EvaluationOptions) -> Iterator[Calls]:
        """The calls at each operating point."""
        known = model.known
        labels, owner = task.labels[known], task.owner[known]
        classes = tuple(task.target.classes) or tuple(sorted(np.unique(labels).tolist()))
        positive = task.target.positive
        other = next((each for each in classes if each != positive), f"not {positive}")
        for point in operating_points(model, options.sensitivity_targets):
            called = np.where(point.called(task, model)[known], positive, other)
            yield Calls(point.name, point.threshold, classes, labels, called, owner)

    def caption(self, task: Task, unit: Mapping[str, Any]) -> str:
        """The true class, and the predicted probability of the positive class."""
        return f"true {unit['label']}, probability of {task.target.positive} {unit['_value']:.2f}"

    def gain(self, task: Task, model: Model, options: EvaluationOptions) -> Estimate | None:
        """The area minus 0.5."""
        known = model.known
        truth, values, owner, folds = (each[known] for each in (task.truth, model.values, task.owner, task.folds))
        try:
            return area_gain(truth, values, owner, folds, options.confidence, again=model.again_of(known))
        except ValueError:
            return None

    def gap(self, task: Task, model: Model, first: Array, units: Array, options: EvaluationOptions) -> Estimate | None:
        """The area of the units in `first` minus the area of the other units."""
        return difference_of_areas(
            task.truth[units],
            model.values[units],
            first[units],
            task.owner[units],
            task.folds[units],
            confidence=options.confidence,
        )

    def losses(self, task: Task, model: Model) -> Array | None:
        """Distance of the probability from the truth 0 or 1, (n,); None if the scores are not probabilities."""
        for side in self.probabilities(task, model):
            losses = np.full(len(task.truth), np.nan)
            losses[side.units] = np.abs(side.values - task.truth[side.units])
            return losses
        return None

    def reads(self, task: Task, what: str) -> str:
        """'distinguishes M from F with an area under the ROC curve of', before the number."""
        other = _other_label(task.target) or "the rest"
        return f"distinguishes {task.target.positive} from {other} with an {self.words} of"


def _areas_of_pair(task: Task, first: Model, second: Model, both: Array) -> Areas:
    scores = np.stack([first.values[both], second.values[both]])
    again = pair((first.again_of(both), second.again_of(both)))
    return areas_over_folds(task.truth[both], scores, task.owner[both], task.folds[both], again)


def _area_of_cell(task: Task, model: Model, inside: Array, options: EvaluationOptions) -> Estimate | None:
    """The area of the units (n,) bool; None if no rotation tested both classes, or if there are too few patients."""
    count = len(np.unique(task.owner[inside]))
    try:
        found = auc(
            task.truth[inside],
            model.values[inside],
            owners(task.owner[inside], int(inside.sum())),
            task.folds[inside],
            options.confidence,
            again=model.again_of(inside),
            share=count / task.patients,
        )
    except ValueError:
        return None
    # A fold with only one class does not contribute to the area, so its patients are not counted.
    negative, positive = (np.unique(task.folds[inside & (task.truth == each)]) for each in (0, 1))
    counted = inside & np.isin(task.folds, np.intersect1d(negative, positive))
    count = len(np.unique(task.owner[counted]))
    if count < options.least_patients:
        return None
    found = replace(found, patients=count, images=int(counted.sum()))
    if not np.isfinite(found.low):
        found = found.with_caution("no interval, because a fold has only one patient of a class")
    return found


def _calls_of_cell(
    task: Task, model: Model, members: Array, point: OperatingPoint, options: EvaluationOptions
) -> Iterator[tuple[Scored, Array]]:
    """Sensitivity and specificity of a subgroup at one operating point, each with the units that it is about."""
    called, again = point.called(task, model), point.called_again(task, model)
    known = model.known
    for metric, side, right, others in (
        ("sensitivity", task.truth == 1, called, again),
        ("specificity", task.truth == 0, ~called, None if again is None else 1 - again),
    ):
        here, against = members & known & side, known & side
        own = len(np.unique(task.owner[here]))
        if own < options.least_patients:
            continue
        hits = np.stack([right[here], np.ones(int(here.sum()))], axis=1)
        sums = patient_sums(hits, owners(task.owner[here], int(here.sum())))
        value, low, high = proportion_interval(sums, options.confidence)
        shares = right.astype(np.float64)
        tested = difference_of_means(shares[against], members[against], task.owner[against], options.confidence)
        found = Estimate(value, low, high, own, int(here.sum()), SCORE, "", tested.p_value)
        found = one_value.widened_mean(task, found, shares, others, here, metric=metric, among=side)
        yield Scored(metric, found, operating_point=point.name, threshold=point.threshold), side


def _calibrated_words(model: Model) -> str:
    some = "" if model.calibrated_fits == model.fits else f" of {model.calibrated_fits} of {model.fits} fits"
    return f"probabilities{some} after calibration on validation patients"


def _probabilities_again(task: Task, model: Model, given: Array, known: Array) -> Array | None:
    """Probabilities of the known units by the fit of another rotation, (m,); None if there are no such predictions.

    The other fit's scores are mapped to probabilities in the same way as each unit's own rotation maps its scores to
    `given`, so that both are on one scale.
    """
    again = model.again_of(known)
    if again is None:
        return None
    found, values, folds = np.full(len(again), np.nan), model.values[known], task.folds[known]
    for each in np.unique(folds):
        inside = folds == each
        order = np.argsort(values[inside], kind="stable")
        mapped = np.interp(again[inside], values[inside][order], given[known][inside][order])
        found[inside] = np.where(np.isfinite(again[inside]), mapped, np.nan)
    return found


def _of(values: Array | None, units: Array) -> Array | None:
    return None if values is None else values[units]


def _other_label(target: Target) -> str:
    """The label that is not the positive one; empty if none occurs."""
    return next((each for each in target.classes if each != target.positive), "")


KIND = Binary()
