"""Ordered levels: the confusion matrix of levels, and agreement beyond chance."""

from collections.abc import Mapping
from typing import Any

import polars as pl

from xray_mining.evaluation.audits._audit import LEVEL
from xray_mining.reporting.layout import Cautions, by_task, metric_columns, model_cell
from xray_mining.reporting.metrics import interval, metric_of, p_value
from xray_mining.reporting.models import shown
from xray_mining.reporting.results import ExperimentNote, Results, Task
from xray_mining.reporting.section import Block, Cell, Column, Row, Section, Table, Text
from xray_mining.reporting.sections.operating_points import confusion_table

ORDER = 42
KAPPA = "kappa_quadratic"
METRICS = (KAPPA, "spearman", "mae", "bias")
ADJUSTED = "Two-sided p of no difference, adjusted for all comparisons with readers (Holm)."


def applies(results: Results) -> bool:
    """If ordered levels are predicted."""
    return bool(results.tasks_in("levels"))


def build(results: Results) -> Section:
    """The confusion of the best model, and the agreement of all models."""
    return Section(
        "levels",
        "Level by level",
        "Models predict an expected level; the nearest level is called. Weighted kappa measures the agreement of "
        "called and true levels: 1 is perfect, 0 is chance, and a wrong call counts by the square of its distance from "
        "the true level. The kappa of two readers of the same images is below 1 too; a model cannot be shown to be "
        "better than this.",
        by_task(results, results.tasks_in("levels"), lambda task: _task(results, task)),
    )


def _task(results: Results, task: Task) -> tuple[list[Block], str]:
    blocks: list[Block] = []
    frame = results.of(task, results.confusion).filter(pl.col("experiment") == task.best)
    if frame.height:
        caption = f"{results.experiments[task.best].words}: true and called level, images"
        blocks.append(confusion_table(results, task, frame, name=f"levels-{task.anchor}-called", caption=caption))
    scores = results.scores(task).filter(pl.col("class") == "")
    agreement = _agreement(results, task, scores)
    if agreement is not None:
        blocks.append(agreement)
        blocks += [Text(each) for each in _beside_readers(results, task, scores)]
    return blocks, "" if blocks else "There are no scored test images."


def _agreement(results: Results, task: Task, scores: pl.DataFrame) -> Table | None:
    """Each model's agreement, and its difference in kappa from each second reader, as a table; None without scores."""
    plain = scores.filter(pl.col("baseline") == "")
    pairs = scores.filter((pl.col("baseline") != "") & (pl.col("metric") == KAPPA))
    names = [name for name in METRICS if name in set(plain["metric"])]
    readers = [each for each in _readers(results, task) if each.experiment in set(pairs["baseline"])]
    rows, told = [], Cautions()
    for note in results.members(task):
        own = plain.filter(pl.col("experiment") == note.experiment)
        if own.is_empty() or not names:
            continue
        cells = [model_cell(task, note), *(told.metric(own, name) for name in names)]
        for reader in readers:
            pair = _pair(pairs, note.experiment, reader.experiment)
            cells.append(Cell("–") if pair is None else told.cell(pair, sign=True))
            cells.append(p_value(None if pair is None else pair["p_adjusted"]))
        rows.append(Row(tuple(cells), kind=note.model_kind or "model"))
    if not rows:
        return None
    heads = [Column("Model"), *metric_columns(names, task.unit)]
    for reader in readers:
        meaning = "Weighted kappa minus the kappa of the second reader, on images that both have read."
        heads.append(Column(f"Kappa minus {reader.words}", numeric=True, explanation=meaning))
        heads.append(Column("p", numeric=True, explanation=ADJUSTED))
    caption = f"{task.words}: agreement of called and true levels"
    return Table(f"levels-{task.anchor}-agreement", caption, tuple(heads), tuple(rows), told.note)


def _readers(results: Results, task: Task) -> list[ExperimentNote]:
    return [note for note in results.members(task) if shown(note.model_kind).is_a_person]


def _pair(pairs: pl.DataFrame, model: str, reader: str) -> dict[str, Any] | None:
    """The row of the difference between a model and a reader; None if they were not compared."""
    return next(pairs.filter(experiment=model, baseline=reader).iter_rows(named=True), None)


def _beside_readers(results: Results, task: Task, scores: pl.DataFrame) -> list[str]:
    """Sentences for each second reader: the reader's kappa, the best model's kappa, and their difference."""
    of_kappa = scores.filter(pl.col("metric") == KAPPA)
    kappas = {row["experiment"]: row for row in of_kappa.filter(pl.col("baseline") == "").iter_rows(named=True)}
    best = kappas.get(task.best)
    said = []
    for note in _readers(results, task):
        if best is None or note.experiment not in kappas:
            continue
        pair = _pair(of_kappa, task.best, note.experiment)
        said.append(
            f"{note.words} (a second reader) agrees with the reference with a weighted kappa of "
            f"{_kappa(kappas[note.experiment])}, and the best model, {results.experiments[task.best].words}, with "
            f"{_kappa(best)}. The agreement of readers is a realistic goal for a model."
            f"{'' if pair is None else _difference(pair)}"
        )
    return said


def _kappa(row: Mapping[str, Any]) -> str:
    cell = interval(row["value"], row["low"], row["high"], metric_of(row["metric"]))
    return f"{cell.text} ({cell.detail}; {row['images']:,} images of {row['patients']:,} patients)"


def _difference(row: Mapping[str, Any]) -> str:
    """The best model's kappa minus the reader's, and what the adjusted p says of it, as a sentence after another."""
    cell = interval(row["value"], row["low"], row["high"], metric_of(row["metric"]), sign=True)
    p = row["p_adjusted"]
    verdict = "whether the model or the reader agrees better is not shown"
    if p is not None and p <= LEVEL:
        verdict = f"the model agrees {'better' if row['value'] > 0 else 'less'} than the reader"
    said = "p not defined" if p is None else f"adjusted p {p_value(p).text}"
    return (
        f" On the {row['images']:,} images that both read the model's kappa minus the reader's is {cell.text} "
        f"({cell.detail}; {said}): {verdict}."
    )
