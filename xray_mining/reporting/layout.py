"""Layout that several sections share: parts for each task, rows for each model, notes about cautions."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import polars as pl

from xray_mining.records.small_counts import told
from xray_mining.reporting.metrics import interval, metric_of
from xray_mining.reporting.results import ExperimentNote, Results, Task
from xray_mining.reporting.section import Block, Cell, Column, Part, Text
from xray_mining.statistics.measured import caution_words


def by_task(
    results: Results, tasks: Sequence[Task], build: Callable[[Task], tuple[list[Block], str]]
) -> tuple[Block, ...]:
    """The blocks of every task; if the study has several tasks, each task has a heading.

    `build` returns the blocks of a task and one sentence; without blocks the sentence states the reason.
    """
    blocks: list[Block] = []
    for task in tasks:
        inner, sentence = build(task)
        if len(results.tasks) == 1:
            blocks += [*([Text(sentence)] if sentence else []), *inner]
        else:
            blocks.append(Part(title_of(results, task), tuple(inner), sentence))
    return tuple(blocks)


def title_of(results: Results, task: Task) -> str:
    """A task's heading; it names the cohort if two tasks have the same target."""
    same = [other for other in results.tasks if other.words == task.words]
    return f"{task.words} ({results.cohort_words(task.cohort)})" if len(same) > 1 else task.words


def model_cell(task: Task, note: ExperimentNote) -> Cell:
    """A model's name with its family, and its role in the comparison."""
    roles = [note.shows.words]
    if note.experiment == task.best:
        roles.append("best on validation")
    elif note.experiment == task.best_baseline:
        roles = ["best handcrafted"]
    elif note.experiment == task.best_null:
        roles = ["best null"]
    return Cell(note.words, " · ".join(roles), mark="best" if note.experiment == task.best else "")


def metric_columns(names: Iterable[str], unit: str = "") -> list[Column]:
    """Heads of metric columns; errors have the target's unit."""
    columns = []
    for name in names:
        metric = metric_of(name)
        has_unit = unit and name in ("mae", "rmse", "median_error", "bias", "limit_low", "limit_high")
        title = f"{metric.title}, {unit}" if has_unit else metric.title
        if name in ("within_5", "within_10") and unit:
            title = f"{metric.title} {unit}"
        columns.append(Column(title, numeric=True, explanation=metric.explanation))
    return columns


def undrawn(results: Results, task: Task) -> str:
    """A sentence (after a space) with the number of test units that are not drawn as points; empty if all are drawn."""
    if not task.undrawn:
        return ""
    least = results.notes.least_patients
    who = f"{told(task.undrawn, least)} test {task.level}s"
    return f" Not drawn: {who} of an age band and sex with fewer than {least} test patients."


class Cautions:
    """Cautions about the intervals in one table: cells have their numbers, and the note below explains them."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def metric(self, rows: pl.DataFrame, name: str) -> Cell:
        """The cell of one metric, from the rows of one model; a dash if there is no estimate."""
        found = rows.filter(pl.col("metric") == name)
        return self.cell(found.row(0, named=True)) if found.height else Cell("–")

    def cell(self, row: Mapping[str, Any], *, sign: bool = False) -> Cell:
        """The cell of one row of estimates, marked with the number of each of its cautions."""
        cell = interval(row["value"], row["low"], row["high"], metric_of(row["metric"]), sign=sign)
        reasons = (row.get("caution") or "").split("; ")
        marks = [self._numbers.setdefault(each, len(self._numbers) + 1) for each in reasons if each]
        return replace(cell, text=" ".join([cell.text, *map(_raised, marks)]))

    @property
    def note(self) -> str:
        """One sentence for each number, with results of simulations; empty if no cell has a caution."""
        return " ".join(
            f"{_raised(number)} {reason[:1].upper()}{reason[1:]}."
            for reason, number in zip(map(caution_words, self._numbers), self._numbers.values(), strict=True)
        )


def _raised(number: int) -> str:
    return str(number).translate(str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹"))
