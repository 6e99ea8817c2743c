"""Metrics of every experiment of a task on its test units."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl

from xray_mining.evaluation.choice import Choice, OperatingPoint, operating_points
from xray_mining.evaluation.gather import Array, Model, Task, finding
from xray_mining.evaluation.options import EvaluationOptions
from xray_mining.evaluation.rows import bare, row, rows_of
from xray_mining.statistics.agreement import kappa
from xray_mining.statistics.auc import auc, average_precision
from xray_mining.statistics.calibration import calibration_metrics
from xray_mining.statistics.classification import called_metrics, group_metrics, macro_auc
from xray_mining.statistics.errors import error_metrics
from xray_mining.statistics.estimate import Estimate, owners
from xray_mining.statistics.resampling import SCORE, patient_sums, proportion_interval

CALIBRATION = ("brier", "log_loss", "ece", "calibration_slope", "calibration_intercept")


def score(task: Task, options: EvaluationOptions, choice: Choice) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Rows of estimates and of check_results for every experiment of a task."""
    rows: list[dict[str, Any]] = []
    findings: list[dict[str, Any]] = []
    centre = task.models.get(task.of_architecture("centre"))
    for model in task.models.values():
        known = model.known
        sentence = refusal(task, model)
        if sentence:
            findings.append(
                finding(
                    "EVAL005",
                    "warning",
                    "failed",
                    "experiments that cannot be scored",
                    f"{model.name}: {sentence}",
                    about=model.name,
                )
            )
        findings += _remarks(task, model)
        if known.any():
            rows += _rows(task, model, known, centre, options)
            rows += _per_patient(task, model, known, centre, options)
        value = choice.scores.get(model.name, float("nan"))
        if np.isfinite(value):
            patients, images = model.validation["patient_key"].n_unique(), model.validation.height
            found = bare(value, patients, images, "on validation patients, for the choice of models")
            rows.append(row(task, model, task.metric, found, split="validation"))
    return rows, findings


def refusal(task: Task, model: Model) -> str:
    """Why an experiment cannot be scored, as a sentence; '' where it can."""
    known = model.known
    if not known.any():
        return "it has no prediction for a test unit whose truth is known."
    patients = len(np.unique(task.owner[known]))
    if patients < 2:
        return f"its test units are of {patients} patient; an interval needs two."
    if not task.is_number and len(np.unique(task.truth[known])) < 2:
        only = task.labels[known][0]
        return f"all its test units are {only}; an area needs both classes."
    return ""


def _remarks(task: Task, model: Model) -> list[dict[str, Any]]:
    found = []
    known = model.known
    if known.any() and model.kind != "null" and np.ptp(model.values[known], axis=0).max() < 1e-12:
        found.append(
            finding(
                "EVAL006",
                "warning",
                "failed",
                "predictions that are the same for everybody",
                f"{model.name}: predicts the same for every test unit; correlations and slopes are not defined.",
                offenders=1,
                about=model.name,
            )
        )
    if not model.validation.height:
        what = "it cannot be chosen as the best" + (
            "" if task.is_number else ", and has no sensitivity and specificity"
        )
        found.append(
            finding(
                "EVAL008",
                "warning",
                "failed",
                "experiments without validation predictions",
                f"{model.name}: has no predictions for validation patients: {what}.",
                offenders=1,
                about=model.name,
            )
        )
    missing = int((~known).sum())
    if missing and known.any():
        found.append(
            finding(
                "EVAL009",
                "warning",
                "failed",
                "test units without a prediction",
                f"{model.name}: {missing:,} of {len(known):,} test units have no prediction; comparisons are on units "
                f"that both experiments predict.",
                offenders=missing,
                about=model.name,
            )
        )
    return found


def _rows(
    task: Task, model: Model, known: Array, centre: Model | None, options: EvaluationOptions
) -> list[dict[str, Any]]:
    owner = task.owner[known]
    if task.is_number:
        guess = None
        if centre is not None and centre.known[known].all():
            guess = centre.values[known]
        found = _number(
            task,
            task.truth[known],
            model.values[known],
            owner,
            guess=guess,
            folds=task.folds[known],
            again=model.again_of(known),
            options=options,
        )
        return rows_of(task, model, found)
    folds, again = task.folds[known], model.again_of(known)
    if task.target.kind == "binary":
        rows = rows_of(task, model, _binary(task, model, known, options))
        for point in operating_points(model, options.sensitivity_targets):
            rows += _called(task, model, point, known, options)
        return rows
    labels, values = task.labels[known], model.values[known]
    classes = task.target.classes
    found = options.bootstrapped(group_metrics)(
        labels,
        values,
        classes,
        owner,
        folds=folds,
        again=again,
    )
    if len(np.unique(labels)) > 1:
        found["auc_macro"] = macro_auc(
            labels, values, classes, owner, folds, again=again, confidence=options.confidence
        )
    rows = rows_of(task, model, found)
    for i, name in enumerate(classes):
        mine = labels == name
        if not mine.any() or mine.all():
            continue
        there = None if again is None else again[:, i]
        each = {
            "auc": auc(mine, values[:, i], owner, folds, options.confidence, again=there),
            "average_precision": average_precision(mine, values[:, i], owner, folds, options.confidence, again=there),
            "brier": options.bootstrapped(calibration_metrics)(
                mine,
                np.clip(values[:, i], 0, 1),
                owner,
                folds=folds,
                again=there,
            )["brier"],
        }
        rows += rows_of(task, model, each, **{"class": name})
    return rows


def _number(
    task: Task,
    truth: Array,
    values: Array,
    owner: Array,
    *,
    guess: Array | None,
    folds: Array,
    again: Array | None,
    options: EvaluationOptions,
) -> dict[str, Estimate]:
    found = options.bootstrapped(error_metrics)(
        truth,
        values,
        owner,
        guess,
        folds=folds,
        again=again,
    )
    found["within_limits"] = _within_limits(values - truth, owner, found, options)
    if task.target.kind == "ordinal":
        steps = np.unique(truth)
        nearest = _nearest(values, steps)
        found["kappa_quadratic"] = options.bootstrapped(kappa)(
            truth,
            nearest,
            owner,
            "quadratic",
            folds=folds,
            again=None if again is None else np.where(np.isfinite(again), _nearest(again, steps), np.nan),
        )
    return found


def _nearest(values: Array, steps: Array) -> Array:
    """The step that each value (n,) is nearest to."""
    return steps[np.abs(values[:, None] - steps[None, :]).argmin(axis=1)]


def _within_limits(error: Array, owner: Array, found: Mapping[str, Estimate], options: EvaluationOptions) -> Estimate:
    """Share of units whose error lies between the limits of agreement, which are taken as they are."""
    low, high = found["limit_low"], found["limit_high"]
    inside = (error >= low.value) & (error <= high.value)
    sums = patient_sums(np.stack([inside, np.ones_like(error)], axis=1), owners(owner, len(error)))
    share, share_low, share_high = proportion_interval(sums, options.confidence)
    return Estimate(share, share_low, share_high, low.patients, low.images, SCORE, low.caution)


def _binary(task: Task, model: Model, known: Array, options: EvaluationOptions) -> dict[str, Estimate]:
    truth, owner, folds = task.truth[known], task.owner[known], task.folds[known]
    if len(np.unique(truth)) < 2:
        return {}
    again = model.again_of(known)
    found = {
        "auc": auc(truth, model.values[known], owner, folds, options.confidence, again=again),
        "average_precision": average_precision(
            truth, model.values[known], owner, folds, options.confidence, again=again
        ),
    }
    given, calibrated = probabilities(model)
    if given is not None:
        metrics = options.bootstrapped(calibration_metrics)(
            truth,
            given[known],
            owner,
            folds=folds,
            again=probabilities_again(task, model, given, known),
        )
        suffix = f"; {_calibrated_words(model)}" if calibrated else "; probabilities as the model gave them"
        found |= {name: replace(each, method=each.method + suffix) for name, each in metrics.items()}
    return found


def _calibrated_words(model: Model) -> str:
    some = "" if model.calibrated_fits == model.fits else f" of {model.calibrated_fits} of {model.fits} fits"
    return f"probabilities{some} after calibration on validation patients"


def probabilities_again(task: Task, model: Model, given: Array, known: Array) -> Array | None:
    """The known units' probabilities by another rotation's fit, mapped as their rotation maps values to `given`."""
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


def probabilities(model: Model) -> tuple[Array | None, bool]:
    """Probabilities of a binary experiment, calibrated ones before raw ones; None where the scores are none."""
    for values, calibrated in ((model.calibrated, True), (model.values, False)):
        if values is None:
            continue
        inside = values[model.known]
        if np.isfinite(inside).all() and len(inside) and inside.min() >= 0 and inside.max() <= 1:
            return values, calibrated
    return None, False


def _called(
    task: Task, model: Model, point: OperatingPoint, known: Array, options: EvaluationOptions
) -> list[dict[str, Any]]:
    called, again = point.called(task, model)[known], point.called_again(task, model)
    found = options.bootstrapped(called_metrics)(
        task.truth[known],
        called,
        task.owner[known],
        folds=task.folds[known],
        again=None if again is None else again[known],
    )
    return rows_of(task, model, found, operating_point=point.name, threshold=point.threshold)


def _per_patient(
    task: Task, model: Model, known: Array, centre: Model | None, options: EvaluationOptions
) -> list[dict[str, Any]]:
    """Main metrics after averaging a patient's images, where some patient has several."""
    owner = task.owner[known]
    if task.level == "patient" or task.target.kind == "group" or len(np.unique(owner)) == len(owner):
        return []
    frame = pl.DataFrame(
        {
            "owner": owner,
            "truth": task.truth[known],
            "value": model.values[known],
            "fold": task.folds[known],
            "guess": centre.values[known] if centre is not None else np.full(len(owner), np.nan),
            "again": np.full(len(owner), np.nan) if model.again is None else model.again[known],
        }
    )
    means = (
        frame.group_by("owner")
        .agg(
            pl.col("truth").mean(),
            pl.col("truth").n_unique().alias("truths"),
            pl.col("value").mean(),
            pl.col("guess").mean(),
            pl.col("again").mean(),
            pl.col("fold").first(),
        )
        .sort("owner")
    )
    if task.is_number:
        guess = means["guess"].to_numpy()
        found = _number(
            task,
            means["truth"].to_numpy(),
            means["value"].to_numpy(),
            np.arange(means.height),
            guess=guess if np.isfinite(guess).all() else None,
            folds=means["fold"].to_numpy(),
            again=means["again"].to_numpy(),
            options=options,
        )
    else:
        # A patient who is in both classes has no class: such patients are scored by image only.
        means = means.filter(pl.col("truths") == 1)
        if means["truth"].n_unique() < 2:
            return []
        found = {
            "auc": auc(
                means["truth"].to_numpy(),
                means["value"].to_numpy(),
                None,
                means["fold"].to_numpy(),
                options.confidence,
                again=means["again"].to_numpy(),
            )
        }
    named = {
        metric: replace(each, method=f"mean of a patient's images; {each.method}", images=int(known.sum()))
        for metric, each in found.items()
    }
    return rows_of(task, model, named, level="patient")
