"""Paired differences against the best handcrafted baseline, the frozen embedding and the best null."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from xray_mining.evaluation.choice import Choice, operating_points
from xray_mining.evaluation.gather import Array, Model, Task
from xray_mining.evaluation.options import EvaluationOptions
from xray_mining.evaluation.rows import row
from xray_mining.statistics.auc import area_difference, areas_over_folds
from xray_mining.statistics.classification import compare_called, compare_macro_auc
from xray_mining.statistics.comparison import holm
from xray_mining.statistics.errors import compare_errors, smallest_difference
from xray_mining.statistics.estimate import Estimate

OTHER_NULLS = "other nulls"
"""How the family ends that holds the comparisons of nulls that the answer does not name."""


def compare(task: Task, options: EvaluationOptions, choice: Choice) -> list[dict[str, Any]]:
    """Rows of paired differences of every experiment of a task, p adjusted by Holm within a family, a pair once."""
    rows: list[dict[str, Any]] = []
    wanted = (choice.best_baseline, choice.frozen, choice.best_null, choice.blind)
    baselines = [name for name in dict.fromkeys(wanted) if name]
    for name in baselines:
        for model in task.models.values():
            if model.name == name:
                continue
            for metric, found, more in _differences(task, model, task.models[name], options):
                rows.append(row(task, model, metric, found, baseline=name, **more))
    return adjusted(rows, task.name, choice.best_null, choice.blind)


def adjusted(rows: list[dict[str, Any]], where: str, *best_nulls: str) -> list[dict[str, Any]]:
    """`rows` with p_adjusted and family: Holm over all comparisons of one metric at one operating point.

    Two baselines are compared both ways round: that is one test, so it counts once and both rows have its p values.
    Nulls other than `best_nulls` are a family of their own: who asks what they reach shall not weaken the answer.
    """
    families: dict[str, dict[tuple[Any, ...], list[int]]] = {}
    for number, each in enumerate(rows):
        point = f" at {each['operating_point']}" if each["operating_point"] else ""
        aside = each.get("model_kind") == "null" and each["experiment"] not in best_nulls
        family = f"{where}: {each['metric']}{point}, {OTHER_NULLS if aside else 'all comparisons'}"
        if each["p_value"] is not None and each["metric"] != "mae_ratio":
            pair = (*sorted((each["experiment"], each["baseline"])), each["class"])
            families.setdefault(family, {}).setdefault(pair, []).append(number)
    for family, pairs in families.items():
        tested = [rows[members[0]]["p_value"] for members in pairs.values()]
        for members, p, value in zip(pairs.values(), tested, holm(tested), strict=True):
            for number in members:
                rows[number] |= {"p_value": p, "p_adjusted": float(value), "family": family}
    for each in rows:
        if each["metric"] == "mae_ratio":
            twin = next(
                (
                    other
                    for other in rows
                    if other["metric"] == "mae"
                    and other["experiment"] == each["experiment"]
                    and other["baseline"] == each["baseline"]
                ),
                each,
            )
            each |= {"p_adjusted": twin["p_adjusted"], "family": twin["family"]}
    return rows


def _differences(
    task: Task, model: Model, baseline: Model, options: EvaluationOptions
) -> list[tuple[str, Estimate, dict[str, Any]]]:
    both = model.known & baseline.known
    owner = task.owner[both]
    if not both.any() or len(np.unique(owner)) < 2:
        return []
    truth = task.truth[both]
    folds, again = task.folds[both], (model.again_of(both), baseline.again_of(both))
    if task.is_number:
        found = options.bootstrapped(compare_errors)(
            truth,
            model.values[both],
            baseline.values[both],
            owner,
            folds=folds,
            again=again,
        )
        return [(metric, each, {}) for metric, each in found.items()]
    if len(np.unique(truth)) < 2:
        return []
    if task.target.kind == "group":
        rows: list[tuple[str, Estimate, dict[str, Any]]] = []
        labels = task.labels[both]
        for i, name in enumerate(task.target.classes):
            mine = labels == name
            if mine.any() and not mine.all():
                pair = np.stack([model.values[both][:, i], baseline.values[both][:, i]])
                areas = areas_over_folds(mine, pair, owner, folds, _pair([_column(each, i) for each in again]))
                rows.append(("auc", area_difference(areas, 0, 1, options.confidence), {"class": name}))
        if rows:
            macro = compare_macro_auc(
                labels,
                model.values[both],
                baseline.values[both],
                task.target.classes,
                owner,
                folds=folds,
                again=again,
                confidence=options.confidence,
            )
            rows.append(("auc_macro", macro, {}))
        return rows
    pair = np.stack([model.values[both], baseline.values[both]])
    areas = areas_over_folds(truth, pair, owner, folds, _pair(again))
    rows = [("auc", area_difference(areas, 0, 1, options.confidence), {})]
    own = {each.name: each for each in operating_points(model, options.sensitivity_targets)}
    other = {each.name: each for each in operating_points(baseline, options.sensitivity_targets)}
    for name, point in own.items():
        if name in other:
            found = compare_called(
                truth,
                point.called(task, model)[both],
                other[name].called(task, baseline)[both],
                owner,
                options.confidence,
                folds=folds,
                again=(_of(point.called_again(task, model), both), _of(other[name].called_again(task, baseline), both)),
            )
            more = {"operating_point": name, "threshold": point.threshold}
            rows += [(metric, each, more) for metric, each in found.items()]
    return rows


def _column(values: Array | None, number: int) -> Array | None:
    return None if values is None else values[:, number]


def _of(values: Array | None, units: Array) -> Array | None:
    return None if values is None else values[units]


def _pair(again: Sequence[Array | None]) -> Array | None:
    """Two models' predictions by other rotations' fits, (2, n); None where one has none."""
    there = [each for each in again if each is not None]
    return np.stack(there) if len(there) == len(again) else None


@dataclass(frozen=True, slots=True)
class Smallest:
    """How small a difference between two models this test set shows."""

    difference: float
    """Shown with a probability of 80 %, in the task's metric."""
    rival: str
    """The experiment that the best model is compared with."""
    role: str
    """best_baseline, frozen or best_null."""


def smallest(task: Task, choice: Choice) -> Smallest | None:
    """The difference of the best model from its rival that this test set would show in 8 of 10 repetitions.

    The rival is the best handcrafted baseline; where that is the best model itself the frozen embedding, then the best
    null. None where there is no pair.
    """
    roles = {"best_baseline": choice.best_baseline, "frozen": choice.frozen, "best_null": choice.best_null}
    role = next((role for role, name in roles.items() if name and name != choice.best), "")
    if not choice.best or not role or task.target.kind == "group":
        return None
    name = roles[role]
    first, second = task.models[choice.best], task.models[name]
    both = first.known & second.known
    owner = task.owner[both]
    if not both.any() or len(np.unique(owner)) < 2:
        return None
    truth, folds, again = task.truth[both], task.folds[both], (first.again_of(both), second.again_of(both))
    if task.is_number:
        difference = smallest_difference(
            truth, first.values[both], second.values[both], owner, folds=folds, again=again
        )
        return Smallest(difference, name, role)
    try:
        pair = np.stack([first.values[both], second.values[both]])
        areas = areas_over_folds(truth, pair, owner, folds, _pair(again))
    except ValueError:
        return None
    variance = areas.variance((0, 1.0), (1, -1.0))
    if variance <= 1e-24:  # nothing varies, so that nothing can be said of repetitions
        return None
    return Smallest(float((1.959963984540054 + 0.8416212335729143) * np.sqrt(max(variance, 0))), name, role)
