"""Choose the best model of each role by its score on validation patients.

With one rotation, validation patients are not tested. With several rotations, the validation patients of one rotation
are test patients of another, so a choice by scores over all rotations depends on patients who are tested too;
`Choice.how` says so, and the page repeats it. An ensemble with the rule `best` chooses within each rotation and avoids
this, so it is the best model if the task has one.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from xray_mining.evaluation.task import Model, Task
from xray_mining.models.kind import Role, Sight


@dataclass(frozen=True, slots=True)
class Choice:
    """Names of the chosen experiments (an empty text for a missing role), and how they were chosen."""

    best: str
    best_baseline: str
    frozen: str
    best_null: str
    scores: Mapping[str, float]
    """The task's metric on validation units, by experiment; nan if it cannot be computed."""
    how: str = "apart"
    """apart: no validation patient is tested; pooled: some are tested in other rotations; within: the best model is an
    ensemble that chose in each rotation by the validation patients of that rotation."""
    blind: str = ""
    """The best null that sees no anatomy: `best_null`, unless that sees a thumbnail."""


def validation_score(task: Task, model: Model) -> float:
    """The task's metric on the model's validation units; nan if there are none, or they cannot be scored."""
    if not model.validation.height:
        return float("nan")
    try:
        return task.kind.validation_score(task, model)
    except ValueError:
        return float("nan")


def choose(task: Task) -> Choice:
    """Choose the best model, baseline, frozen embedding and null of a task by validation score; of ties the first name.

    `Choice.how` says whether tested patients took part in the choice.
    """
    scores = {name: validation_score(task, model) for name, model in task.models.items()}
    sign = 1 if task.kind.less_is_better else -1

    def best(among: Callable[[Model], bool]) -> str:
        wanted = [name for name, model in task.models.items() if among(model) and np.isfinite(scores[name])]
        return min(wanted, key=lambda name: (sign * scores[name], name), default="")

    def best_of(role: Role) -> str:
        return best(lambda model: model.role is role)

    how, chosen = "apart", best(lambda model: model.shows.may_be_best)
    if any(
        model.validation["patient_key"].is_in(task.units["patient_key"].implode()).any()
        for model in task.models.values()
    ):
        how = "pooled"
        if inside := best(lambda model: model.chose_by_rotation):
            how, chosen = "within", inside
    return Choice(
        best=chosen,
        best_baseline=best_of(Role.HANDCRAFTED),
        frozen=best_of(Role.FROZEN),
        best_null=best_of(Role.NULL),
        scores=scores,
        how=how,
        blind=best(lambda model: model.role is Role.NULL and model.sight is not Sight.ANATOMY),
    )
