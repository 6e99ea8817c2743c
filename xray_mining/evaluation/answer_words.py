"""The answer of a task in two sentences, from its facts.

They are written here, not in reporting, because answer.json holds them and `evaluate` prints them without a page.
"""

from xray_mining.evaluation.answer_facts import Comparison, Facts
from xray_mining.evaluation.task import Task
from xray_mining.models.kind import Role
from xray_mining.records.estimates import EstimateRow
from xray_mining.records.words import column_words

CHOSEN = "the model chosen on validation patients"
_RIVALS = {
    Role.HANDCRAFTED: "the best handcrafted model",
    Role.FROZEN: "the frozen embedding",
    Role.NULL: "the best null model",
}


def sentences(task: Task, facts: Facts | None, chosen: str, confidence: float, least_patients: int) -> tuple[str, ...]:
    """The two sentences of an answer, or one sentence that refuses to answer.

    It refuses if there are no `facts`, or if fewer than `least_patients` were tested.
    """
    what = column_words(task.target.name)
    if facts is None:
        reason = (
            f"{task.words(chosen)} could not be scored" if chosen else "no model could be chosen on validation patients"
        )
        return (f"There is no answer whether {what} can be read from these radiographs: {reason}.",)
    if facts.best.patients < least_patients:
        return (
            f"There is no answer whether {what} can be read from these radiographs: only {facts.best.patients:,} "
            f"patients were tested, and an answer needs at least {least_patients} (option least_patients).",
        )
    return (_first(task, facts, what, confidence), _second(task, facts, confidence))


def _first(task: Task, facts: Facts, what: str, confidence: float) -> str:
    """How well the best model reads the target, with cautions."""
    best = facts.best
    images = f" ({best.images:,} radiographs)" if best.images != best.patients else ""
    interval = _with_interval(best, f"{100 * confidence:g} %", task.unit.strip())
    said = (
        f"On {best.patients:,} patients{images} {CHOSEN} ({task.words(best.experiment)}) {task.kind.reads(task, what)} "
        f"{interval}"
    )
    if facts.rmae is not None:
        ends = "" if facts.rmae.low is None else f" ({facts.rmae.low:.2f} to {facts.rmae.high:.2f})"
        said += f", which is {facts.rmae.value:.2f}{ends} times the error of guessing the centre"
    if facts.by_patient is not None:
        said += f"; after averaging each patient's images {facts.by_patient.value:.{task.kind.digits}f}"
    if facts.skill is not None and facts.skill.worse:
        said += f"; it is worse than {task.kind.guess_words}"
    elif facts.skill is not None and facts.skill.unproven:
        said += f"; it is not shown to be better than {task.kind.guess_words}"
    if best.caution:
        said += f" (caution: {best.caution})"
    if facts.better is not None:
        reached = _with_interval(facts.better, "", facts.better.unit)
        said += f"; {task.words(facts.better.experiment)}, which was not chosen, reached {reached}"
    return f"{said}."


def _second(task: Task, facts: Facts, confidence: float) -> str:
    """How much better the best model is than its rival."""
    found = facts.comparison
    if found is None:
        return "There is no other model to compare it with."
    unit = task.unit.strip()
    own = "the chosen model is also the best handcrafted model; " if facts.is_best_handcrafted else ""
    lead = f"{own}{_RIVALS[found.role]} ({task.words(found.rival.experiment)})"
    reached = f"{lead[0].upper()}{lead[1:]} reaches {_with_interval(found.rival, '', unit)}"
    pair, null = found.difference, found.from_blind
    if pair is None:
        return f"{reached}."
    said = "the difference is" if found.shows_a_difference(confidence) else "the difference may be due to chance:"
    more = ""
    if null is not None:
        p_null = "" if null.p_adjusted is None else f"; adjusted p {_p(null.p_adjusted)}"
        blind = f"the model that sees no anatomy and was best on validation patients ({task.words(null.baseline)})"
        more = f" The difference from {blind} is {_value(null, unit)} ({_ends(null)}{p_null})."
    return f"{reached}; {said} {_value(pair, unit)} ({_ends(pair)}{_adjusted(found, pair)}).{more}"


def _adjusted(found: Comparison, pair: EstimateRow) -> str:
    """The pair's p without adjustment, and adjusted for all comparisons of its family; empty if there is no p."""
    if pair.p_adjusted is None:
        return ""
    if found.compared == 1:
        return f"; p {_p(pair.p_value)}, not adjusted because it is the only comparison"
    adjusted = f"p adjusted for {found.compared} comparisons {_p(pair.p_adjusted)}"
    return f"; interval and p {_p(pair.p_value)} are not adjusted, {adjusted}"


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
