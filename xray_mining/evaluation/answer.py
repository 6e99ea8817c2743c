"""The answer in two sentences, made from the numbers."""

from collections.abc import Mapping, Sequence
from typing import Any

from xray_mining.evaluation.choice import Choice
from xray_mining.evaluation.skill import skill_of
from xray_mining.evaluation.task import Task
from xray_mining.records.check_results import words
from xray_mining.records.words import column_words

CHOSEN = "the model chosen on validation patients"


def answer(
    task: Task,
    rows: Sequence[Mapping[str, Any]],
    choice: Choice,
    confidence: float,
    least_patients: int = 0,
) -> dict[str, Any]:
    """One entry of answer.json: `sentences`, and the same as `text`; refused on fewer than `least_patients`."""
    sentences = _sentences(task, rows, choice, confidence, least_patients)
    return {"task": task.name, "target": task.target.name, "sentences": sentences, "text": " ".join(sentences)}


def failed_checks(
    answers: Sequence[Mapping[str, Any]],
    tasks: Mapping[str, Task],
    rows: Sequence[Mapping[str, Any]],
    unscored: Mapping[str, str] | None = None,
) -> tuple[list[dict[str, str]], list[dict[str, Any]]]:
    """The failed checks of `rows` that touch the whole study, and `answers` with those that touch each (`checks`).

    A check touches an answer where it is about its task, the task's cohort or one of its experiments, scored or not:
    `unscored` gives the task of each that is not. One that is about anything else belongs to the whole study.
    """
    worst = {"error": 0, "warning": 1, "note": 2}
    failed = sorted(
        (each for each in rows if each["outcome"] == "failed"),
        key=lambda each: (worst[each["severity"]], each["code"], each["sentence"]),
    )
    touches = {name: {name, task.cohort.name, *task.models} for name, task in tasks.items()}
    for experiment, name in (unscored or {}).items():
        if name in touches:
            touches[name].add(experiment)

    def told(found: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
        return [{key: each[key] for key in ("code", "severity", "title")} | {"sentence": words(each)} for each in found]

    general = [each for each in failed if not any(each["about"] in names for names in touches.values())]
    return told(general), [
        {**each, "checks": told([row for row in failed if row["about"] in touches[each["task"]]])} for each in answers
    ]


def answer_lines(checks: Sequence[Mapping[str, str]], answers: Sequence[Mapping[str, Any]]) -> list[str]:
    """answer.json in lines for a terminal: each failed check once, before the first answer that it touches."""
    lines = [_check_line(each) for each in checks]
    for each in answers:
        lines += [line for check in each.get("checks", ()) if (line := _check_line(check)) not in lines]
        lines.append(each["text"])
    return lines


def _check_line(check: Mapping[str, str]) -> str:
    return f"check failed ({check['severity']}, {check['code']}): {check['title']}: {check['sentence']}"


def _sentences(
    task: Task, rows: Sequence[Mapping[str, Any]], choice: Choice, confidence: float, least_patients: int
) -> list[str]:
    metric = task.metric
    main = {
        each["experiment"]: each
        for each in rows
        if each["metric"] == metric
        and each["baseline"] == ""
        and each["subgroup"] == "all"
        and each["split"] == "test"
        and each["variant"] == ""
        and each["level"] == task.level
        and each["class"] == ""
        and each["cohort_digest"] == task.cohort.digest
        and each["value"] is not None
    }
    what = column_words(task.target.name)
    name = choice.best
    if name not in main:
        reason = (
            "no model could be chosen on validation patients" if not name else f"{task.words(name)} could not be scored"
        )
        return [f"Whether {what} can be read from these radiographs is not answered: {reason}."]
    best = main[name]
    if best["patients"] < least_patients:
        return [
            f"Whether {what} can be read from these radiographs is not answered: {best['patients']:,} patients are "
            f"tested, and on fewer than {least_patients} no answer is given (least_patients)."
        ]
    patients = f"{best['patients']:,} patients"
    images = f" ({best['images']:,} radiographs)" if best["images"] != best["patients"] else ""
    percent = f"{100 * confidence:g} %"
    interval = _with_interval(best, percent, task.unit.strip())
    first = f"On {patients}{images} {CHOSEN} ({task.words(name)}) {task.kind.reads(task, what)} {interval}"
    rmae = _find(rows, task, name, "rmae")
    if rmae is not None:
        ends = "" if rmae["low"] is None else f" ({rmae['low']:.2f} to {rmae['high']:.2f})"
        first += f", {rmae['value']:.2f}{ends} of the error of guessing the centre"
    whole = _find(rows, task, name, metric, "patient") if images and task.level != "patient" else None
    if whole is not None:
        first += f"; {whole['value']:.{task.kind.digits}f} where a patient's images are averaged"
    skill = skill_of(task, rows, name)
    guessing = task.kind.guess_words
    if skill is not None and skill.worse:
        first += f"; it is worse than {guessing}"
    elif skill is not None and skill.unproven:
        first += f"; it is not shown to be better than {guessing}"
    if best["caution"]:
        first += f" (caution: {best['caution']})"
    if (better := _better(task, main, choice, best)) is not None:
        reached = _with_interval(better, "", best["unit"])
        first += f"; {task.words(better['experiment'])}, which was not chosen, reached {reached}"
    return [f"{first}.", _second(task, rows, main, choice, confidence)]


def _second(
    task: Task,
    rows: Sequence[Mapping[str, Any]],
    main: Mapping[str, Mapping[str, Any]],
    choice: Choice,
    confidence: float,
) -> str:
    unit = task.unit.strip()
    rival = choice.best_baseline
    kind = "The best handcrafted model"
    if rival not in main or rival == choice.best:
        rival, kind = choice.frozen, "The frozen embedding"
    if rival not in main or rival == choice.best:
        rival, kind = choice.best_null, "The best null model"
    if rival not in main:
        return "There is no other model to compare it with."
    other = main[rival]
    own = f"it is itself the best handcrafted model; {kind[0].lower()}{kind[1:]}"
    lead = (
        f"{kind} ({task.words(rival)})"
        if choice.best != choice.best_baseline
        else f"{own[0].upper()}{own[1:]} ({task.words(rival)})"
    )
    reached = f"{lead} reaches {_with_interval(other, '', unit)}"
    pair = _pair(task, rows, choice.best, rival)
    if pair is None or pair["value"] is None:
        return f"{reached}."
    p = "" if pair["p_adjusted"] is None else f" by itself; p {_p(pair['p_value'])}, {_family(rows, pair)}"
    # The p that is printed decides: an unadjusted interval may leave zero out where the adjusted p does not.
    if pair["p_adjusted"] is not None:
        apart = pair["p_adjusted"] < 1 - confidence
    else:
        apart = pair["low"] is not None and (pair["low"] > 0 or pair["high"] < 0)
    said = "the difference is" if apart else "the difference could be none:"
    if pair["low"] is None:
        return f"{reached}."
    null = _pair(task, rows, choice.best, choice.blind) if rival != choice.blind else None
    more = ""
    if null is not None and null["value"] is not None and null["low"] is not None:
        p_null = "" if null["p_adjusted"] is None else f"; adjusted p {_p(null['p_adjusted'])}"
        blind = f"the best model that sees no anatomy ({task.words(choice.blind)})"
        more = f", and from {blind} {_with_interval(null, '', unit)[:-1]}{p_null})"
    return f"{reached}; {said} {_with_interval(pair, '', unit)[:-1]}{p}){more}."


def _pair(task: Task, rows: Sequence[Mapping[str, Any]], model: str, rival: str) -> Mapping[str, Any] | None:
    """The row of the difference of `model` from `rival` in the task's metric."""
    return next(
        (
            each
            for each in rows
            if each["experiment"] == model
            and each["baseline"] == rival
            and each["metric"] == task.metric
            and each["cohort_digest"] == task.cohort.digest
            and each["target"] == task.target.name
            and each["class"] == ""
        ),
        None,
    )


def _family(rows: Sequence[Mapping[str, Any]], pair: Mapping[str, Any]) -> str:
    """The pair's p as adjusted, and for how many comparisons, as words."""
    pairs = {
        (*sorted((each["experiment"], each["baseline"])), each["class"])
        for each in rows
        if each["family"] == pair["family"] and each["p_value"] is not None and each["metric"] == pair["metric"]
    }
    if len(pairs) == 1:
        return "not adjusted"
    return f"adjusted for {len(pairs)} comparisons {_p(pair['p_adjusted'])}"


def _better(
    task: Task, main: Mapping[str, Mapping[str, Any]], choice: Choice, best: Mapping[str, Any]
) -> Mapping[str, Any] | None:
    """The model that tested best, where it lies beyond the chosen one's interval: the choice was then a poor one."""
    sign = 1 if task.kind.less_is_better else -1
    rivals = [
        each
        for name, each in main.items()
        if name != choice.best and task.models[name].kind not in ("null", "oracle") and best["low"] is not None
    ]
    found = min(rivals, key=lambda each: sign * each["value"], default=None)
    if found is None or best["low"] <= found["value"] <= best["high"] or sign * found["value"] > sign * best["value"]:
        return None
    return found


def _find(
    rows: Sequence[Mapping[str, Any]], task: Task, name: str, metric: str, level: str = ""
) -> Mapping[str, Any] | None:
    return next(
        (
            each
            for each in rows
            if each["experiment"] == name
            and each["metric"] == metric
            and each["baseline"] == ""
            and each["subgroup"] == "all"
            and each["level"] == (level or task.level)
            and each["class"] == ""
            and each["split"] == "test"
            and each["value"] is not None
        ),
        None,
    )


def _with_interval(row: Mapping[str, Any], percent: str, unit: str) -> str:
    digits = 3 if row["metric"].startswith("auc") else 2
    value = f"{_signed(row['value'], digits)}{f' {unit}' if unit else ''}"
    if row["low"] is None:
        return f"{value} (no interval)"
    ends = f"{_signed(row['low'], digits)} to {_signed(row['high'], digits)}"
    return f"{value} ({f'{percent} interval ' if percent else ''}{ends})"


def _signed(value: float, digits: int) -> str:
    return f"{value:.{digits}f}".replace("-", "−")


def _p(value: float) -> str:
    return "below 0.001" if value < 0.001 else f"{value:.3f}"
