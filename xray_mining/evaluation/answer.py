"""The answer in two sentences, made from the numbers."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from xray_mining.evaluation.choice import Choice
from xray_mining.evaluation.rows import of_all_units, of_experiment
from xray_mining.evaluation.skill import skill_of
from xray_mining.evaluation.task import Task
from xray_mining.records.answers import Answer, Answers, FailedCheck
from xray_mining.records.check_results import SEVERITIES, CheckRow
from xray_mining.records.estimates import EstimateRow
from xray_mining.records.words import column_words

CHOSEN = "the model chosen on validation patients"


def answer(
    task: Task,
    rows: Sequence[EstimateRow],
    choice: Choice,
    confidence: float,
    least_patients: int = 0,
) -> Answer:
    """The answer of a task; refused on fewer than `least_patients`."""
    sentences = _sentences(task, rows, choice, confidence, least_patients)
    return Answer(task.name, task.target.name, tuple(sentences), " ".join(sentences))


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


def _sentences(
    task: Task, rows: Sequence[EstimateRow], choice: Choice, confidence: float, least_patients: int
) -> list[str]:
    main = {each.experiment: each for each in of_all_units(rows, task, task.metric)}
    what = column_words(task.target.name)
    name = choice.best
    if name not in main:
        reason = (
            "no model could be chosen on validation patients" if not name else f"{task.words(name)} could not be scored"
        )
        return [f"Whether {what} can be read from these radiographs is not answered: {reason}."]
    best = main[name]
    if best.patients < least_patients:
        return [
            f"Whether {what} can be read from these radiographs is not answered: {best.patients:,} patients are "
            f"tested, and on fewer than {least_patients} no answer is given (least_patients)."
        ]
    images = f" ({best.images:,} radiographs)" if best.images != best.patients else ""
    interval = _with_interval(best, f"{100 * confidence:g} %", task.unit.strip())
    first = (
        f"On {best.patients:,} patients{images} {CHOSEN} ({task.words(name)}) {task.kind.reads(task, what)} {interval}"
        f"{_beside_guessing(task, rows, name)}{_by_patient(task, rows, name) if images else ''}"
        f"{_skill(task, rows, name)}"
    )
    if best.caution:
        first += f" (caution: {best.caution})"
    if (better := _better(task, main, choice, best)) is not None:
        reached = _with_interval(better, "", better.unit)
        first += f"; {task.words(better.experiment)}, which was not chosen, reached {reached}"
    return [f"{first}.", _second(task, rows, main, choice, confidence)]


def _beside_guessing(task: Task, rows: Sequence[EstimateRow], name: str) -> str:
    """The error as a multiple of that of guessing, where a centre was fitted."""
    rmae = of_experiment(of_all_units(rows, task, "rmae"), name)
    if rmae is None:
        return ""
    ends = "" if rmae.low is None else f" ({rmae.low:.2f} to {rmae.high:.2f})"
    return f", {rmae.value:.2f}{ends} of the error of guessing the centre"


def _by_patient(task: Task, rows: Sequence[EstimateRow], name: str) -> str:
    """The metric after averaging a patient's images."""
    whole = of_experiment(of_all_units(rows, task, task.metric, "patient"), name) if task.level != "patient" else None
    return "" if whole is None else f"; {whole.value:.{task.kind.digits}f} where a patient's images are averaged"


def _skill(task: Task, rows: Sequence[EstimateRow], name: str) -> str:
    """A warning where the model is not shown to be better than guessing."""
    skill = skill_of(task, rows, name)
    if skill is not None and skill.worse:
        return f"; it is worse than {task.kind.guess_words}"
    if skill is not None and skill.unproven:
        return f"; it is not shown to be better than {task.kind.guess_words}"
    return ""


def _second(
    task: Task,
    rows: Sequence[EstimateRow],
    main: Mapping[str, EstimateRow],
    choice: Choice,
    confidence: float,
) -> str:
    unit = task.unit.strip()
    rival, kind = choice.best_baseline, "The best handcrafted model"
    if rival not in main or rival == choice.best:
        rival, kind = choice.frozen, "The frozen embedding"
    if rival not in main or rival == choice.best:
        rival, kind = choice.best_null, "The best null model"
    if rival not in main:
        return "There is no other model to compare it with."
    own = f"it is itself the best handcrafted model; {kind[0].lower()}{kind[1:]}"
    lead = (
        f"{kind} ({task.words(rival)})"
        if choice.best != choice.best_baseline
        else f"{own[0].upper()}{own[1:]} ({task.words(rival)})"
    )
    reached = f"{lead} reaches {_with_interval(main[rival], '', unit)}"
    pair = _pair(task, rows, choice.best, rival)
    if pair is None or pair.value is None or pair.low is None or pair.high is None:
        return f"{reached}."
    p = "" if pair.p_adjusted is None else f" by itself; p {_p(pair.p_value)}, {_family(rows, pair)}"
    # The p that is printed decides: an unadjusted interval may leave zero out where the adjusted p does not.
    tested = pair.p_adjusted is not None
    apart = pair.p_adjusted < 1 - confidence if tested else pair.low > 0 or pair.high < 0
    said = "the difference is" if apart else "the difference could be none:"
    null = _pair(task, rows, choice.best, choice.blind) if rival != choice.blind else None
    more = ""
    if null is not None and null.value is not None and null.low is not None:
        p_null = "" if null.p_adjusted is None else f"; adjusted p {_p(null.p_adjusted)}"
        blind = f"the best model that sees no anatomy ({task.words(choice.blind)})"
        more = f", and from {blind} {_value(null, unit)} ({_ends(null)}{p_null})"
    return f"{reached}; {said} {_value(pair, unit)} ({_ends(pair)}{p}){more}."


def _pair(task: Task, rows: Sequence[EstimateRow], model: str, rival: str) -> EstimateRow | None:
    """The row of the difference of `model` from `rival` in the task's metric."""
    return next(
        (
            each
            for each in rows
            if (each.experiment, each.baseline, each.metric, each.class_) == (model, rival, task.metric, "")
            and each.target == task.target.name
        ),
        None,
    )


def _family(rows: Sequence[EstimateRow], pair: EstimateRow) -> str:
    """The pair's p as adjusted, and for how many comparisons, as words."""
    pairs = {
        (*sorted((each.experiment, each.baseline)), each.class_)
        for each in rows
        if each.family == pair.family and each.p_value is not None and each.metric == pair.metric
    }
    if len(pairs) == 1:
        return "not adjusted"
    return f"adjusted for {len(pairs)} comparisons {_p(pair.p_adjusted)}"


def _better(task: Task, main: Mapping[str, EstimateRow], choice: Choice, best: EstimateRow) -> EstimateRow | None:
    """The model that tested best, where it is beyond the chosen one's interval: the choice was then a poor one."""
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


def _with_interval(row: EstimateRow, percent: str, unit: str) -> str:
    if row.low is None:
        return f"{_value(row, unit)} (no interval)"
    return f"{_value(row, unit)} ({f'{percent} interval ' if percent else ''}{_ends(row)})"


def _value(row: EstimateRow, unit: str) -> str:
    return f"{_signed(row.value, _digits(row))}{f' {unit}' if unit else ''}"


def _ends(row: EstimateRow) -> str:
    return f"{_signed(row.low, _digits(row))} to {_signed(row.high, _digits(row))}"


def _digits(row: EstimateRow) -> int:
    return 3 if row.metric.startswith("auc") else 2


def _signed(value: float | None, digits: int) -> str:
    return f"{value:.{digits}f}".replace("-", "−")


def _p(value: float | None) -> str:
    return "not defined" if value is None else "below 0.001" if value < 0.001 else f"{value:.3f}"
