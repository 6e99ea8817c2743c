"""Levels in order: how often each level is called each other, and agreement beyond chance."""

from collections.abc import Mapping
from typing import Any

import polars as pl

from xray_mining.reporting.layout import Cautions, by_task, metric_columns, model_cell
from xray_mining.reporting.metrics import interval, metric_of
from xray_mining.reporting.models import shown
from xray_mining.reporting.results import Results, Task
from xray_mining.reporting.section import Block, Column, Row, Section, Table, Text
from xray_mining.reporting.sections.operating_points import confusion_table

ORDER = 42
METRICS = ("kappa_quadratic", "spearman", "mae", "bias")


def applies(results: Results) -> bool:
    """Where levels in order are predicted."""
    return bool(results.tasks_in("levels"))


def build(results: Results) -> Section:
    """The confusion of the best model, and the agreement of all models."""
    return Section(
        "levels",
        "Level by level",
        "The level nearest to the expected one is called. Weighted kappa counts a call by the square of its distance "
        "from the true level: 1 is perfect agreement, 0 is chance. Two readers of the same images reach a kappa below "
        "1 too, and a model cannot be shown to be better than they agree.",
        by_task(results, results.tasks_in("levels"), lambda task: _task(results, task)),
    )


def _task(results: Results, task: Task) -> tuple[list[Block], str]:
    blocks: list[Block] = []
    frame = results.of(task, results.confusion).filter(pl.col("experiment") == task.best)
    if frame.height:
        caption = f"{results.experiments[task.best].words}: true and called level, images"
        blocks.append(confusion_table(results, task, frame, name=f"levels-{task.anchor}-called", caption=caption))
    scores = results.scores(task).filter((pl.col("baseline") == "") & (pl.col("class") == ""))
    names = [name for name in METRICS if name in set(scores["metric"])]
    rows, told = [], Cautions()
    for note in results.members(task):
        own = scores.filter(pl.col("experiment") == note.experiment)
        if own.height and names:
            cells = (model_cell(task, note), *(told.metric(own, name) for name in names))
            rows.append(Row(cells, kind=note.model_kind or "model"))
    if rows:
        heads = (Column("Model"), *metric_columns(names, task.unit))
        caption = f"{task.words}: agreement of called and true levels"
        blocks.append(Table(f"levels-{task.anchor}-agreement", caption, heads, tuple(rows), told.note))
        blocks += [Text(each) for each in _beside_readers(results, task, scores)]
    return blocks, "" if blocks else "There are no scored test images to call a level of."


def _beside_readers(results: Results, task: Task, scores: pl.DataFrame) -> list[str]:
    """One sentence for each reader: its kappa, and that of the best model."""
    kappas = {row["experiment"]: row for row in scores.filter(metric="kappa_quadratic").iter_rows(named=True)}
    best = kappas.get(task.best)
    readers = [note for note in results.members(task) if shown(note.model_kind).is_a_person]
    return [
        f"{note.words} (a second reader) agrees with the reference by a weighted kappa of "
        f"{_kappa(kappas[note.experiment])}, "
        f"and the best model, {results.experiments[task.best].words}, by {_kappa(best)}: the agreement of readers is "
        f"what a model can be asked to reach."
        for note in readers
        if best is not None and note.experiment in kappas
    ]


def _kappa(row: Mapping[str, Any]) -> str:
    cell = interval(row["value"], row["low"], row["high"], metric_of(row["metric"]))
    return f"{cell.text} ({cell.detail}; {row['images']:,} images of {row['patients']:,} patients)"
