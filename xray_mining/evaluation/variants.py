"""SHORT002: how much of a score hangs on window and sharpness, from predictions of changed test images."""

from typing import Any

import numpy as np

from xray_mining.evaluation.choice import Choice
from xray_mining.evaluation.gather import Array, Model, Task, finding
from xray_mining.evaluation.options import EvaluationOptions
from xray_mining.evaluation.rows import number, row, rows_of
from xray_mining.statistics.auc import area_difference, areas_over_folds, auc
from xray_mining.statistics.classification import compare_macro_auc, macro_auc
from xray_mining.statistics.comparison import holm
from xray_mining.statistics.errors import compare_errors, error_metrics
from xray_mining.statistics.estimate import Estimate

WORDS = {"window": "in another window", "sharpened": "sharpened"}
LEVEL = 0.05
TOLERATED = 0.5
"""Of what a model knows beyond guessing: a larger loss on changed images is an alarm."""

_METRICS = ("mae", "rmse", "bias")

Rows = list[dict[str, Any]]


def scores(task: Task, options: EvaluationOptions) -> Rows:
    """Rows of estimates with `variant` set: every model's main metrics on its changed test images."""
    rows: Rows = []
    for model in task.models.values():
        for variant, values in model.variants.items():
            both = _both(model, values)
            owner = task.owner[both]
            if len(np.unique(owner)) < 2:
                continue
            truth = task.truth[both]
            if task.is_number:
                found = options.bootstrapped(error_metrics)(
                    truth,
                    values[both],
                    owner,
                    folds=task.folds[both],
                )
                rows += rows_of(task, model, {name: found[name] for name in _METRICS}, variant=variant)
            elif len(np.unique(truth)) < 2:
                continue
            else:
                rows += _areas(task, model, variant, values, both, options)
    return rows


def _areas(  # noqa: PLR0917  the loop's own variables
    task: Task, model: Model, variant: str, values: Array, both: Array, options: EvaluationOptions
) -> Rows:
    owner, folds = task.owner[both], task.folds[both]
    try:
        if task.target.kind == "binary":
            area = auc(task.truth[both], values[both], owner, folds, options.confidence)
            return [row(task, model, "auc", area, variant=variant)]
        classes = task.target.classes
        area = macro_auc(task.labels[both], values[both], classes, owner, folds, confidence=options.confidence)
        return [row(task, model, "auc_macro", area, variant=variant)]
    except ValueError:
        # Few images were changed, and no rotation changed both classes.
        return []


def hanging(task: Task, options: EvaluationOptions, choice: Choice) -> tuple[Rows, Rows]:
    """Rows of audits and of check_results: what each model loses on changed images; the best model is judged.

    Failed where the loss is more than chance (Holm over the variants) and more than half of what the best model
    knows on the same images beyond guessing: the MAE of the centre minus its own, or its area above 0.5.
    """
    title = "the score under another window and sharpness"
    rows, guilty, judged = [], [], []
    for model in task.models.values():
        lost = {
            variant: found
            for variant, values in model.variants.items()
            if (found := _lost(task, model, values, options)) is not None
        }
        adjusted = holm([found.p_value for found in lost.values()])
        for (variant, found), p in zip(lost.items(), adjusted, strict=True):
            known = _known(task, model, _both(model, model.variants[variant]))
            share = found.value / known if known > 0 else float("nan")
            words = _sentence(task, variant, found, share)
            rows.append(
                {
                    "code": "SHORT002",
                    "audit": "variants",
                    "target": task.target.name,
                    "experiment": model.name,
                    "attribute": variant,
                    "label": "",
                    "metric": f"{task.metric}_lost",
                    "value": number(found.value),
                    "low": number(found.low),
                    "high": number(found.high),
                    "patients": found.patients,
                    "p_value": number(found.p_value),
                    "p_adjusted": number(float(p)),
                    "words": words,
                }
            )
            if model.name == choice.best:
                judged.append(words)
                if p <= LEVEL and found.value > 0 and not share <= TOLERATED:
                    guilty.append(words)
    if not judged:
        sentence = f"{task.name}: the best model has no predictions of changed images (design, changed_images)."
        return rows, [finding("SHORT002", "warning", "not_applicable", title, sentence)]
    outcome = "failed" if guilty else "passed"
    # About the experiment: a page that names it above the sentence does not repeat it.
    sentence = f"{choice.best}: {'; '.join(guilty or judged)}."
    return rows, [finding("SHORT002", "warning", outcome, title, sentence, offenders=len(guilty), about=choice.best)]


def _both(model: Model, values: Array) -> Array:
    """Which units have both predictions, (n,) bool."""
    return np.asarray(np.isfinite(values.reshape(len(values), -1)).all(axis=1)) & model.known


def _lost(task: Task, model: Model, values: Array, options: EvaluationOptions) -> Estimate | None:
    """How much worse the changed images are predicted, paired; above 0 is worse. None where that is not defined."""
    both = _both(model, values)
    owner, truth, folds = task.owner[both], task.truth[both], task.folds[both]
    plain, other = model.values[both], values[both]
    if len(np.unique(owner)) < 2:
        return None
    if task.is_number:
        found = compare_errors(
            truth, other, plain, owner, folds=folds, confidence=options.confidence, draws=500, seed=options.seed
        )
        return found["mae"] if np.isfinite(found["mae"].p_value) else None
    if len(np.unique(truth)) < 2:
        return None
    try:
        if task.target.kind == "binary":
            areas = areas_over_folds(truth, np.stack([plain, other]), owner, folds)
            found = area_difference(areas, 0, 1, options.confidence)
        else:
            found = compare_macro_auc(
                task.labels[both],
                plain,
                other,
                task.target.classes,
                owner,
                folds=folds,
                confidence=options.confidence,
            )
    except ValueError:
        return None
    return found if np.isfinite(found.p_value) else None


def _known(task: Task, model: Model, units: Array) -> float:
    """What the model knows of these units beyond guessing; nan where that cannot be said."""
    if task.is_number:
        centre = task.models.get(task.of_architecture("centre"))
        if centre is None or not centre.known[units].all():
            return float("nan")
        truth = task.truth[units]
        own = np.abs(model.values[units] - truth).mean()
        return float(np.abs(centre.values[units] - truth).mean() - own)
    if task.target.kind == "binary":
        areas = areas_over_folds(task.truth[units], model.values[units], folds=task.folds[units])
        return float(areas.values[0]) - 0.5
    labels, values, classes = task.labels[units], model.values[units], task.target.classes
    return macro_auc(labels, values, classes, task.owner[units], task.folds[units]).value - 0.5


def _sentence(task: Task, variant: str, found: Estimate, share: float) -> str:
    unit = f" {task.target.unit}" if task.is_number and task.target.unit else ""
    metric = {"mae": "MAE", "auc": "AUC", "auc_macro": "mean AUC"}[task.metric]
    value, low, high = found.value, found.low, found.high
    way = ("above" if value >= 0 else "below") if task.is_number else ("below" if value >= 0 else "above")
    if value < 0:
        value, low, high = -value, -high, -low
    part = f", {100 * share:.0f} % of what it knows beyond guessing" if share > 0 else ""
    if share > 1:  # of next to nothing, a number of percent says nothing
        part = ", more than all that it knows beyond guessing"
    return (
        f"{WORDS.get(variant, variant)}, the {metric} is {value:.3f}{unit} {way} that of the same {found.images:,} "
        f"images unchanged ({low:.3f} to {high:.3f}{part})"
    )
