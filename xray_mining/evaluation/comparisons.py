"""Paired differences against the best handcrafted baseline, the frozen embedding and the best null."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from xray_mining.evaluation.choice import Choice
from xray_mining.evaluation.options import EvaluationOptions
from xray_mining.evaluation.rows import scored_row
from xray_mining.evaluation.task import Task
from xray_mining.statistics.comparison import holm

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
            baseline = task.models[name]
            both = model.known & baseline.known
            if len(np.unique(task.owner[both])) > 1:
                found = task.kind.differences(task, model, baseline, both, options)
                rows += [scored_row(task, model, each, baseline=name) for each in found]
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
    if not choice.best or not role:
        return None
    name = roles[role]
    first, second = task.models[choice.best], task.models[name]
    both = first.known & second.known
    if len(np.unique(task.owner[both])) < 2:
        return None
    difference = task.kind.smallest_difference(task, first, second, both)
    return None if difference is None else Smallest(difference, name, role)
