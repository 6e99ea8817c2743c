"""Scores on changed test images (another window, sharpened), and how much worse they are than on unchanged images."""

import numpy as np

from xray_mining.evaluation.options import EvaluationOptions
from xray_mining.evaluation.rows import rows_of
from xray_mining.evaluation.task import Array, Model, Task, known_rows
from xray_mining.records.estimates import EstimateRow
from xray_mining.statistics.estimate import Estimate


def scores(task: Task, options: EvaluationOptions) -> list[EstimateRow]:
    """Rows of estimates with `variant` set: every model's main metrics on its changed test images."""
    rows: list[EstimateRow] = []
    for model in task.models.values():
        for variant, values in model.variants.items():
            both = both_known(model, values)
            if len(np.unique(task.owner[both])) < 2:
                continue
            try:
                found = task.kind.changed(task, values, both, options)
            except ValueError:
                # Few images were changed, and no rotation has changed images of both classes.
                continue
            rows += rows_of(task, model, found, variant=variant)
    return rows


def both_known(model: Model, values: Array) -> Array:
    """The units (n,) bool with a prediction in `values` and one by the model on unchanged images."""
    return known_rows(values) & model.known


def lost(task: Task, model: Model, values: Array, options: EvaluationOptions) -> Estimate | None:
    """How much worse the model is on changed images than on the same images unchanged; None if not defined."""
    both = both_known(model, values)
    if len(np.unique(task.owner[both])) < 2:
        return None
    try:
        found = task.kind.lost(task, model, values, both, options)
    except ValueError:
        return None
    return found if found is not None and np.isfinite(found.p_value) else None
