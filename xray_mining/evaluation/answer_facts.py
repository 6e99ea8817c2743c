"""The estimates that the answer of a task reports; `answer_words` turns them into sentences."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from xray_mining.evaluation.choice import Choice
from xray_mining.evaluation.rows import of_all_units, of_experiment
from xray_mining.evaluation.skill import Skill, skill_of
from xray_mining.evaluation.task import Task
from xray_mining.models.kind import Role
from xray_mining.records.estimates import EstimateRow


@dataclass(frozen=True, slots=True)
class Comparison:
    """The best model compared with one other model."""

    rival: EstimateRow
    """The score of the other model."""
    role: Role
    """Role of the other model, which is the best one of this role."""
    difference: EstimateRow | None
    """None if it was not computed or has no interval."""
    compared: int
    """Number of comparisons in the family of the difference; its p is adjusted for them."""
    from_blind: EstimateRow | None
    """The difference from the best model that sees no anatomy; None if the rival is that model."""

    def shows_a_difference(self, confidence: float) -> bool:
        """Whether the difference is more than chance.

        The adjusted p decides, because the page prints it. The interval is not adjusted: it may exclude zero although
        the adjusted p is not significant.
        """
        found = self.difference
        if found is None or found.low is None or found.high is None:
            return False
        if found.p_adjusted is not None:
            return found.p_adjusted < 1 - confidence
        return found.low > 0 or found.high < 0


@dataclass(frozen=True, slots=True)
class Facts:
    """Estimates of the best model of a task."""

    best: EstimateRow
    rmae: EstimateRow | None
    """Its error divided by the error of guessing the centre; None if no centre was fitted."""
    by_patient: EstimateRow | None
    """Its metric after averaging each patient's images; None if every patient has one image."""
    skill: Skill | None
    better: EstimateRow | None
    """The model with the best test score, if that score is outside the interval of the chosen model."""
    is_best_handcrafted: bool
    comparison: Comparison | None
    """None where there is no second model."""


def facts_of(task: Task, rows: Sequence[EstimateRow], choice: Choice) -> Facts | None:
    """Collect the estimates for an answer; None if no model was chosen, or the chosen model could not be scored."""
    main = {each.experiment: each for each in of_all_units(rows, task, task.metric)}
    name = choice.best
    if name not in main:
        return None
    several = main[name].images != main[name].patients and task.level != "patient"
    return Facts(
        best=main[name],
        rmae=of_experiment(of_all_units(rows, task, "rmae"), name),
        by_patient=of_experiment(of_all_units(rows, task, task.metric, "patient"), name) if several else None,
        skill=skill_of(task, rows, name),
        better=_better(task, main, choice, main[name]),
        is_best_handcrafted=name == choice.best_baseline,
        comparison=_comparison(task, rows, main, choice),
    )


def _comparison(
    task: Task, rows: Sequence[EstimateRow], main: Mapping[str, EstimateRow], choice: Choice
) -> Comparison | None:
    """Compare the best model with the best handcrafted one; without one with the frozen embedding, or the best null."""
    roles = {Role.HANDCRAFTED: choice.best_baseline, Role.FROZEN: choice.frozen, Role.NULL: choice.best_null}
    others = [(role, name) for role, name in roles.items() if name in main and name != choice.best]
    if not others:
        return None
    role, rival = others[0]
    difference = _pair(task, rows, choice.best, rival)
    # Without a scored null that sees no anatomy `blind` is '': rows without a baseline are the model's own scores.
    blind = _pair(task, rows, choice.best, choice.blind) if choice.blind not in ("", rival) else None
    return Comparison(
        rival=main[rival],
        role=role,
        difference=difference,
        compared=0 if difference is None else _compared(rows, difference),
        from_blind=blind,
    )


def _pair(task: Task, rows: Sequence[EstimateRow], model: str, rival: str) -> EstimateRow | None:
    """The difference between `model` and `rival` in the task's metric; None if it has no interval."""
    wanted = (model, rival, task.metric, "", task.target.name)
    found = (each for each in rows if (each.experiment, each.baseline, each.metric, each.class_, each.target) == wanted)
    row = next(found, None)
    return None if row is None or row.value is None or row.low is None or row.high is None else row


def _compared(rows: Sequence[EstimateRow], pair: EstimateRow) -> int:
    """Number of comparisons in the family of `pair`; a pair of models counts once."""
    pairs = {
        (*sorted((each.experiment, each.baseline)), each.class_)
        for each in rows
        if each.family == pair.family and each.p_value is not None and each.metric == pair.metric
    }
    return len(pairs)


def _better(task: Task, main: Mapping[str, EstimateRow], choice: Choice, best: EstimateRow) -> EstimateRow | None:
    """The model with the best test score, if this is outside the interval of the chosen model: a poor choice."""
    sign = 1 if task.kind.less_is_better else -1
    if best.low is None or best.high is None:
        return None
    rivals = [
        (sign * each.value, each)
        for name, each in main.items()
        if name != choice.best and task.models[name].shows.may_be_best and each.value is not None
    ]
    _, found = min(rivals, key=lambda each: each[0], default=(0.0, None))
    if found is None or found.value is None or best.value is None or best.low <= found.value <= best.high:
        return None
    return None if sign * found.value > sign * best.value else found
