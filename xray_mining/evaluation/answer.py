"""The answer of each task, and the failed checks that affect it."""

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
    """Answer a task in sentences; with fewer than `least_patients` tested patients the sentence refuses to answer.

    Args:
        task: The scored task.
        rows: Its estimates and comparisons over all test units.
        choice: The models that were chosen on validation patients.
        confidence: Confidence of the intervals, in (0, 1).
        least_patients: Fewest tested patients for an answer.
    """
    said = sentences(task, facts_of(task, rows, choice), choice.best, confidence, least_patients)
    return Answer(task.name, task.target.name, said, " ".join(said))


def with_failed_checks(
    answers: Sequence[Answer],
    tasks: Mapping[str, Task],
    checks: Sequence[CheckRow],
    unscored: Mapping[str, str] | None = None,
) -> Answers:
    """Add to each answer the failed checks that affect it; the other failed checks belong to the whole study.

    A check affects an answer if it is about the answer's task, the task's cohort or an experiment of the task.

    Args:
        answers: One answer for each task.
        tasks: Tasks by name.
        checks: Results of all checks of the study.
        unscored: For each experiment without a score the name of its task: checks about it affect that answer too.
    """
    failed = sorted(
        (each for each in checks if each.outcome == "failed"),
        key=lambda each: (SEVERITIES.index(each.severity), each.code, each.sentence),
    )
    subjects = {name: {name, task.cohort.name, *task.models} for name, task in tasks.items()}
    for experiment, name in (unscored or {}).items():
        if name in subjects:
            subjects[name].add(experiment)

    def those(wanted: Callable[[CheckRow], bool]) -> tuple[FailedCheck, ...]:
        return tuple(FailedCheck(each.code, each.severity, each.title, each.words) for each in failed if wanted(each))

    general = those(lambda check: not any(check.about in names for names in subjects.values()))
    affected = [
        replace(each, checks=those(lambda check, each=each: check.about in subjects[each.task])) for each in answers
    ]
    return Answers(general, tuple(affected))
