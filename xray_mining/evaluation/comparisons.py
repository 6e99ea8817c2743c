"""Paired differences of each model from the best handcrafted baseline, the frozen embedding, the best null, readers."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np

from xray_mining.evaluation.choice import Choice
from xray_mining.evaluation.options import EvaluationOptions
from xray_mining.evaluation.rows import scored_row
from xray_mining.evaluation.task import Task
from xray_mining.models.kind import Role
from xray_mining.models.kinds import kind_that_predicted
from xray_mining.records.estimates import EstimateRow
from xray_mining.statistics.comparison import holm

OTHER_NULLS = "other nulls"
"""End of the name of the family with comparisons of nulls that the answer does not report."""
READERS = "comparisons with readers"
"""End of the name of the family with comparisons with second readers, which answer a separate question."""


def compare(task: Task, options: EvaluationOptions, choice: Choice) -> list[EstimateRow]:
    """Paired differences of every experiment of a task, as rows of estimates; p adjusted as `adjusted` says."""
    rows: list[EstimateRow] = []
    readers = [name for name, model in task.models.items() if model.role is Role.READER]
    wanted = (choice.best_baseline, choice.frozen, choice.best_null, choice.blind, *readers)
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
    return adjusted(rows, task.name, choice.best_null, choice.blind, readers=readers)


def adjusted(
    rows: Sequence[EstimateRow], where: str, *best_nulls: str, readers: Collection[str] = ()
) -> list[EstimateRow]:
    """Set p_adjusted and family in `rows`: Holm over all comparisons of one metric at one operating point.

    The labels of one pair of models are a family, because it answers in which labels these two models differ. With all
    pairs and labels in one family (about a hundred tests) no label would be significant. Whether two models differ at
    all is tested by the mean over labels.

    Two baselines are compared in both directions. This is one test, so it counts once and both rows have the same p.
    Nulls other than `best_nulls` are a separate family, so that adding null models to a study does not make the
    comparisons of the answer less significant. Comparisons of other models with `readers` are a separate family too.
    """
    families: dict[str, dict[tuple[str, ...], list[int]]] = {}
    for number, each in enumerate(rows):
        if each.p_value is not None and each.metric != "mae_ratio":
            pair = (*sorted((each.experiment, each.baseline)), each.class_)
            families.setdefault(_family(each, where, best_nulls, readers), {}).setdefault(pair, []).append(number)
    found = list(rows)
    for family, pairs in families.items():
        tested = [_p_value(rows[members[0]]) for members in pairs.values()]
        for members, p, value in zip(pairs.values(), tested, holm(tested), strict=True):
            for number in members:
                found[number] = replace(rows[number], p_value=p, p_adjusted=float(value), family=family)
    # The ratio of two errors is tested by their difference, so it has the same adjusted p.
    twins = {(each.experiment, each.baseline): each for each in found if each.metric == "mae"}
    return [
        replace(each, p_adjusted=twin.p_adjusted, family=twin.family)
        if each.metric == "mae_ratio" and (twin := twins.get((each.experiment, each.baseline))) is not None
        else each
        for each in found
    ]


def _family(row: EstimateRow, where: str, best_nulls: Sequence[str], readers: Collection[str]) -> str:
    point = f" at {row.operating_point}" if row.operating_point else ""
    if row.class_:
        return f"{where}: {row.metric}{point}, labels of {' and '.join(sorted((row.experiment, row.baseline)))}"
    aside = kind_that_predicted(row.model_kind).role is Role.NULL and row.experiment not in best_nulls
    read = row.experiment in readers or row.baseline in readers
    asked = OTHER_NULLS if aside else READERS if read else "all comparisons"
    return f"{where}: {row.metric}{point}, {asked}"


def _p_value(row: EstimateRow) -> float:
    return float("nan") if row.p_value is None else row.p_value


@dataclass(frozen=True, slots=True)
class Smallest:
    """The smallest difference between two models that this test set can detect."""

    difference: float
    """Detected with a probability of 80 %; in the task's metric."""
    rival: str
    """The experiment that the best model is compared with."""
    role: str
    """best_baseline, frozen or best_null."""


@dataclass(frozen=True, slots=True)
class Rival:
    """The experiment that the best model is compared with first."""

    name: str
    role: str
    """best_baseline, frozen or best_null."""


def rival(choice: Choice) -> Rival | None:
    """The best handcrafted baseline; if that is the best model, the frozen embedding; else the best null."""
    roles = {"best_baseline": choice.best_baseline, "frozen": choice.frozen, "best_null": choice.best_null}
    others = [Rival(name, role) for role, name in roles.items() if name and name != choice.best]
    return others[0] if choice.best and others else None


def smallest(task: Task, choice: Choice) -> Smallest | None:
    """The difference between the best model and its rival that this test set would detect in 8 of 10 repetitions.

    None if there is no rival, or if it is not defined for this kind of target.
    """
    other = rival(choice)
    if other is None:
        return None
    first, second = task.models[choice.best], task.models[other.name]
    both = first.known & second.known
    if len(np.unique(task.owner[both])) < 2:
        return None
    difference = task.kind.smallest_difference(task, first, second, both)
    return None if difference is None else Smallest(difference, other.name, other.role)
