"""SKILL001: whether a model is worse than guessing, by the confidence interval of its score."""

from collections.abc import Sequence
from dataclasses import dataclass

from xray_mining.evaluation.audits._audit import Audit, AuditedTask, NotApplicable, Verdict
from xray_mining.evaluation.skill import Skill, skill_of


@dataclass(frozen=True, slots=True)
class Judged:
    """The score of one model."""

    experiment: str
    skill: Skill


def measure(audited: AuditedTask) -> tuple[Judged, ...] | NotApplicable:
    """The score of every model that may be called the best."""
    task = audited.task
    found = tuple(
        Judged(name, skill)
        for name, model in task.models.items()
        if model.shows.may_be_best and (skill := skill_of(task, audited.scores, name)) is not None
    )
    return found or NotApplicable("no model has a score with an interval that can be compared with guessing.")


def tell(_: AuditedTask, found: tuple[Judged, ...]) -> Sequence[Verdict]:
    """Failed if the whole interval of a model is worse than guessing."""
    guilty = [f"{each.experiment} has {each.skill.words}" for each in found if each.skill.worse]
    unproven = [each.experiment for each in found if each.skill.unproven]
    others = f" Not shown to be better than guessing: {', '.join(unproven)}." if unproven else ""
    sentence = f"{'; '.join(guilty)}." if guilty else f"none of {len(found)} models is shown to be worse than guessing."
    return [Verdict("failed" if guilty else "passed", f"{sentence}{others}", len(guilty))]


KIND = Audit(
    code="SKILL001",
    title="models that are worse than guessing",
    severity="warning",
    subject=AuditedTask,
    measure=measure,
    tell=tell,
    section="comparison",
)
