"""A model card and a draft of a methods section in Markdown, from the same tables as the page."""

import re

import polars as pl

from xray_mining.reporting.metrics import metric_of, number
from xray_mining.reporting.results import Results, Task
from xray_mining.reporting.section import Points
from xray_mining.reporting.sections import checklist, limits

NOT_STATED = "*not stated*"


def escaped(text: str) -> str:
    """Escape `text` so that Markdown shows it unchanged, without tags, emphasis or table cells."""
    return re.sub(r"([\\`*_{}\[\]<>|#])", r"\\\1", text).replace("\n", " ")


def _score(results: Results, task: Task, name: str) -> str:
    rows = results.scores(task).filter(
        (pl.col("experiment") == name)
        & (pl.col("baseline") == "")
        & (pl.col("class") == "")
        & (pl.col("metric") == task.metric)
    )
    if rows.is_empty():
        return "–"
    row, metric = rows.row(0, named=True), metric_of(task.metric)
    unit = f" {task.metric_unit}" if task.metric_unit else ""
    ends = ""
    if row["low"] is not None and row["high"] is not None:
        ends = f" ({number(row['low'], metric.digits)} to {number(row['high'], metric.digits)})"
    return f"{number(row['value'], metric.digits)}{unit}{ends}"


def model_card(results: Results) -> str:
    """The model card in Markdown: intended use, models, test patients, scores, checks, licences, limits."""
    said = results.statements
    lines = [f"# Model card: {escaped(results.study)}", "", escaped(results.question), "", "## Intended use", ""]
    lines += [escaped(said.get("intended_use", "")) or NOT_STATED, ""]
    lines += ["Not for diagnosis, and not for decisions about a person.", ""]
    for task in results.tasks:
        metric = metric_of(task.metric)
        lines += [f"## {escaped(task.words)}", "", *(escaped(line) for line in results.answers.get(task.task, ())), ""]
        lines += [
            f"{task.patients:,} test patients; cohort {escaped(results.cohort_words(task.cohort))}, digest "
            f"{task.cohort_digest}.",
            "",
            f"| model | family | {metric.title} | seeds | seconds | digest |",
            "|---|---|---|---|---|---|",
        ]
        for note in results.members(task):
            lines.append(
                f"| {escaped(note.words)}{' (best on validation)' if note.experiment == task.best else ''} "
                f"| {note.shows.words} | {_score(results, task, note.experiment)} "
                f"| {note.seed_words} | {number(note.seconds, 1)} | {note.digest} |"
            )
        lines.append("")
    lines += ["## Checks", ""]
    for row in results.check_results.sort("code").iter_rows(named=True):
        lines.append(f"- {row['code']}, {row['outcome'].replace('_', ' ')}: {escaped(row['sentence'])}")
    licences = results.provenance.licences
    lines += ["", "## Weights and licences", ""]
    lines += [f"- {escaped(str(name))}: {escaped(str(licence))}" for name, licence in licences.items()] or ["None."]
    lines += ["", "## Limits", ""]
    lines += [
        f"- {escaped(point)}"
        for block in limits.build(results).blocks
        if isinstance(block, Points)
        for point in block.points
    ]
    lines += ["", "## Ethics and funding", "", escaped(said.get("ethics", "")) or NOT_STATED, ""]
    lines += [escaped(said.get("funding", "")) or NOT_STATED]
    return "\n".join(lines) + "\n"


def methods(results: Results) -> str:
    """A draft of a paper's methods section in Markdown; facts that only the authors know are marked as not stated."""
    answers = {number: answer(results) for number, _, answer in checklist.ITEMS}
    parts = [
        ("Data", (7, 8, 11, 12)),
        ("Images", (9,)),
        ("Reference standard", (14,)),
        ("Partitions", (19, 20, 21)),
        ("Models", (22, 24, 25, 27, 26)),
        ("Statistics", (28, 29, 30)),
        ("Software", (23,)),
    ]
    lines = [f"# Methods: {escaped(results.study)}", ""]
    for title, numbers in parts:
        found = [escaped(answers[number]).rstrip(".") + "." for number in numbers if answers[number]]
        lines += [f"**{title}.** {' '.join(found) or NOT_STATED}", ""]
    return "\n".join(lines).rstrip() + "\n"
