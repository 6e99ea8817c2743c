"""Metrics of every experiment of a task on its test units."""

from dataclasses import replace

import numpy as np

from xray_mining.evaluation.choice import Choice
from xray_mining.evaluation.hidden_counts import labels_unknown_of_few
from xray_mining.evaluation.options import EvaluationOptions
from xray_mining.evaluation.rows import bare, row, rows_of, scored_row
from xray_mining.evaluation.task import Model, Task
from xray_mining.models.kind import Role
from xray_mining.records.check_results import CheckRow
from xray_mining.records.estimates import EstimateRow

_SAME = 1e-12
"""Predictions that differ by less are equal except for rounding."""


def score(task: Task, options: EvaluationOptions, choice: Choice) -> tuple[list[EstimateRow], list[CheckRow]]:
    """Score every experiment of a task: rows of estimates, and of check_results about predictions and truths."""
    rows: list[EstimateRow] = []
    checks: list[CheckRow] = []
    if unknown := task.kind.unknown(task):
        few = labels_unknown_of_few(task, options.least_patients)
        hidden = f"fewer than {options.least_patients} patients"
        counts = ", ".join(f"{label} {hidden if label in few else f'{count:,}'}" for label, count in unknown.items())
        sentence = (
            f"{task.name}: test units with unknown truth are left out for these labels: {counts} of "
            f"{len(task.units):,} test units."
        )
        checks.append(CheckRow("EVAL016", "note", "passed", "labels whose truth is not known", sentence))
    for model in task.models.values():
        known = model.known
        sentence = refusal(task, model)
        if sentence:
            checks.append(
                CheckRow(
                    "EVAL005",
                    "warning",
                    "failed",
                    "experiments that cannot be scored",
                    f"{model.name}: {sentence}",
                    about=model.name,
                )
            )
        checks += _remarks(task, model)
        if known.any():
            rows += _rows(task, model, options)
            rows += _per_patient(task, model, options)
        value = choice.scores.get(model.name, float("nan"))
        if np.isfinite(value):
            patients, images = model.validation["patient_key"].n_unique(), model.validation.height
            found = bare(value, patients, images, "on validation patients, for the choice of models")
            rows.append(row(task, model, task.metric, found, split="validation"))
    return rows, checks


def refusal(task: Task, model: Model) -> str:
    """A sentence why an experiment cannot be scored; empty if it can."""
    known = model.known
    if not known.any():
        return "it has no prediction for any test unit with a known truth."
    patients = len(np.unique(task.owner[known]))
    if patients < 2:
        return f"all its test units are of {patients} patient; an interval needs two patients."
    return task.kind.refusal(task, known)


def same_for_all(task: Task, model: Model) -> str:
    """A sentence if the model predicts the same for every test unit; empty if its predictions differ.

    Several classes or labels are checked one by one. If a label cannot be learned in a rotation, the prediction is its
    share in the training data; this has an area of 0.5, which lowers the mean area.
    """
    known = model.known
    values = model.values[known]
    if not len(values):
        return ""
    if np.ptp(values, axis=0).max() < _SAME:
        return "predicts the same value for every test unit; correlations and slopes are not defined."
    if values.ndim == 1:
        return ""
    folds = task.folds[known]
    tested = [values[folds == each] for each in np.unique(folds)]
    # A rotation with one test unit cannot show a difference.
    spread = np.array([np.ptp(part, axis=0) for part in tested if len(part) > 1]).reshape(-1, values.shape[1])
    constant = (spread < _SAME).sum(axis=0).tolist()
    named = [
        f"{name} ({count} of {len(spread)} rotations)" if len(spread) > 1 else name
        for name, count in zip(task.target.classes, constant, strict=True)
        if count
    ]
    if not named:
        return ""
    return (
        f"predicts the same value for every test unit for {', '.join(named)}, probably because the training data have "
        f"too few cases; its area is then 0.5, which counts in the mean area."
    )


def _remarks(task: Task, model: Model) -> list[CheckRow]:
    """Failed checks about a model's predictions: constant, without validation units, or incomplete."""
    found = []
    known = model.known
    # Null models may be constant on purpose.
    same = "" if model.role is Role.NULL else same_for_all(task, model)
    if same:
        found.append(
            CheckRow(
                "EVAL006",
                "warning",
                "failed",
                "predictions that are the same for all patients",
                f"{model.name}: {same}",
                offenders=1,
                about=model.name,
            )
        )
    if not model.validation.height:
        what = f"it cannot be chosen as the best{task.kind.without_validation}"
        found.append(
            CheckRow(
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
            CheckRow(
                "EVAL009",
                "warning",
                "failed",
                "test units without a prediction",
                f"{model.name}: {missing:,} of {len(known):,} test units have no prediction; comparisons use only "
                f"units that both experiments predict.",
                offenders=missing,
                about=model.name,
            )
        )
    return found


def _rows(task: Task, model: Model, options: EvaluationOptions) -> list[EstimateRow]:
    return [scored_row(task, model, each) for each in task.kind.scores(task, model, options)]


def _per_patient(task: Task, model: Model, options: EvaluationOptions) -> list[EstimateRow]:
    """Main metrics after averaging each patient's images; empty if every patient has one image."""
    owner = task.owner[model.known]
    if task.level == "patient" or len(np.unique(owner)) == len(owner):
        return []
    named = {
        metric: replace(each, method=f"mean of a patient's images; {each.method}", images=len(owner))
        for metric, each in task.kind.scores_by_patient(task, model, options).items()
    }
    return rows_of(task, model, named, level="patient")
