"""SHORT002: how much of a score hangs on window and sharpness, from predictions of changed test images."""

from typing import Any

import numpy as np

from xray_mining.evaluation.choice import Choice
from xray_mining.evaluation.gather import finding
from xray_mining.evaluation.options import EvaluationOptions
from xray_mining.evaluation.rows import number, rows_of
from xray_mining.evaluation.task import Array, Model, Task, known_rows
from xray_mining.statistics.comparison import holm
from xray_mining.statistics.estimate import Estimate

WORDS = {"window": "in another window", "sharpened": "sharpened"}
LEVEL = 0.05
TOLERATED = 0.5
"""Of what a model knows beyond guessing: a larger loss on changed images is an alarm."""

Rows = list[dict[str, Any]]


def scores(task: Task, options: EvaluationOptions) -> Rows:
    """Rows of estimates with `variant` set: every model's main metrics on its changed test images."""
    rows: Rows = []
    for model in task.models.values():
        for variant, values in model.variants.items():
            both = both_known(model, values)
            if len(np.unique(task.owner[both])) < 2:
                continue
            try:
                found = task.kind.changed(task, values, both, options)
            except ValueError:
                # Few images were changed, and no rotation changed both classes.
                continue
            rows += rows_of(task, model, found, variant=variant)
    return rows


def hanging(task: Task, options: EvaluationOptions, choice: Choice) -> tuple[Rows, Rows]:
    """Rows of audits and of check_results: what each model loses on changed images; the best model is judged.

    Failed where the loss is more than chance (Holm over the variants) and more than half of what the best model
    knows on the same images beyond guessing: the MAE of the centre minus its own, or its area above 0.5.
    """
    title = "the score under another window and sharpness"
    rows, guilty, judged = [], [], []
    for model in task.models.values():
        losses = {
            variant: found
            for variant, values in model.variants.items()
            if (found := lost(task, model, values, options)) is not None
        }
        adjusted = holm([found.p_value for found in losses.values()])
        for (variant, found), p in zip(losses.items(), adjusted, strict=True):
            known = known_beyond_guessing(task, model, both_known(model, model.variants[variant]))
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


def both_known(model: Model, values: Array) -> Array:
    """Which units have both predictions, (n,) bool."""
    return known_rows(values) & model.known


def lost(task: Task, model: Model, values: Array, options: EvaluationOptions) -> Estimate | None:
    """How much worse the changed images are predicted, paired; above 0 is worse. None where that is not defined."""
    both = both_known(model, values)
    if len(np.unique(task.owner[both])) < 2:
        return None
    try:
        found = task.kind.lost(task, model, values, both, options)
    except ValueError:
        return None
    return found if found is not None and np.isfinite(found.p_value) else None


def known_beyond_guessing(task: Task, model: Model, units: Array) -> float:
    """What the model gains on these units over guessing, in the task's metric; nan where that is not defined."""
    return task.kind.beyond_guessing(task, model, units)


def _sentence(task: Task, variant: str, found: Estimate, share: float) -> str:
    value, low, high = found.value, found.low, found.high
    way = ("above" if value >= 0 else "below") if task.kind.less_is_better else ("below" if value >= 0 else "above")
    if value < 0:
        value, low, high = -value, -high, -low
    part = f", {100 * share:.0f} % of what it knows beyond guessing" if share > 0 else ""
    if share > 1:  # of next to nothing, a number of percent says nothing
        part = ", more than all that it knows beyond guessing"
    return (
        f"{WORDS.get(variant, variant)}, the {task.kind.title} is {value:.3f}{task.unit} {way} that of the same "
        f"{found.images:,} images unchanged ({low:.3f} to {high:.3f}{part})"
    )
