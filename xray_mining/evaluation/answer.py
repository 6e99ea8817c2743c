"""The answer of each task, and the failed checks that touch it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from xray_mining.evaluation.answer_facts import facts_of
from xray_mining.evaluation.answer_words import sentences
from xray_mining.evaluation.choice import Choice
from xray_mining.evaluation.task import Task
from xray_mining.records.answers import Answer, Answers, FailedCheck
from xray_mining.records.check_results import SEVERITIES, CheckRow
from xray_mining.records.estimates import EstimateRow


def answer(
    task: Task,
    rows: Sequence[EstimateRow],
    choice: Choice,
    confidence: float,
    least_patients: int = 0,
) -> Answer:
    """The answer of a task; refused on fewer than `least_patients`."""
    said = sentences(task, facts_of(task, rows, choice), choice.best, confidence, least_patients)
    return Answer(task.name, task.target.name, said, " ".join(said))


def with_failed_checks(
    answers: Sequence[Answer],
    tasks: Mapping[str, Task],
    checks: Sequence[CheckRow],
    unscored: Mapping[str, str] | None = None,
) -> Answers:
    """`answers` with the failed checks that touch each, and those that touch the whole study.

    A check touches an answer where it is about its task, the task's cohort or one of its experiments, scored or not:
    `unscored` gives the task of each that is not. One that is about anything else belongs to the whole study.
    """
    failed = sorted(
        (each for each in checks if each.outcome == "failed"),
        key=lambda each: (SEVERITIES.index(each.severity), each.code, each.sentence),
    )
    touches = {name: {name, task.cohort.name, *task.models} for name, task in tasks.items()}
    for experiment, name in (unscored or {}).items():
        if name in touches:
            touches[name].add(experiment)

    def those(wanted: Callable[[CheckRow], bool]) -> tuple[FailedCheck, ...]:
        return tuple(FailedCheck(each.code, each.severity, each.title, each.words) for each in failed if wanted(each))

    general = those(lambda check: not any(check.about in names for names in touches.values()))
    touched = [
        replace(each, checks=those(lambda check, each=each: check.about in touches[each.task])) for each in answers
    ]
    return Answers(general, tuple(touched))
