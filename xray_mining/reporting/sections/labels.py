"""Several labels of an image, one by one: scores of each label, and differences from the best handcrafted model."""

from typing import Any

import polars as pl

from xray_mining.reporting.figures import forest
from xray_mining.reporting.layout import Cautions, by_task, metric_columns
from xray_mining.reporting.metrics import number, p_value
from xray_mining.reporting.results import Results, Task
from xray_mining.reporting.section import (
    HIDDEN,
    Block,
    Cell,
    Column,
    Figure,
    Figures,
    Row,
    Section,
    Table,
    hidden_note,
)
from xray_mining.reporting.sections.comparison import YOUDEN, at_main_point
from xray_mining.reporting.sections.table_one import cell_of

ORDER = 35
METRICS = ("auc", "average_precision", "sensitivity", "specificity", "brier", "calibration_slope")
WITH = "Test patients who have the label on their latest image, as in Table 1, and their share."
FIRST_ROWS = 14
"""Number of labels that are shown before the reader opens the table."""
ROWS_A_FIGURE = 20
"""More labels are drawn in several figures side by side, with the same scale."""


def applies(results: Results) -> bool:
    """If an image has several labels."""
    return bool(results.tasks_in("labels"))


def build(results: Results) -> Section:
    """Figures and tables with one row for each label, from the best score to the worst."""
    return Section(
        "labels",
        "Label by label",
        "For each label, models predict whether it is present or absent; images with unknown truth of the label are "
        "left out. Labels are sorted by the area under the ROC curve of the best model. With many labels, some are at "
        "the top or at the bottom by chance: see the intervals.",
        by_task(results, results.tasks_in("labels"), lambda task: _task(results, task)),
    )


def _task(results: Results, task: Task) -> tuple[list[Block], str]:
    scores = at_main_point(results.scores(task)).filter(pl.col("class") != "")
    plain = scores.filter(pl.col("baseline") == "")
    best = plain.filter((pl.col("experiment") == task.best) & (pl.col("metric") == "auc")).drop_nulls("value")
    labels = best.sort(["value", "class"], descending=[True, False])["class"].to_list()
    if not labels:
        return [], "No label is present in some test patients and absent in others, or no model could be chosen."
    blocks: list[Block] = [
        Figures(tuple(_figures(results, task, plain, labels))),
        _of_best(results, task, scores, labels),
        _of_models(results, task, plain, labels),
    ]
    return blocks, ""


def _figures(results: Results, task: Task, plain: pl.DataFrame, labels: list[str]) -> list[Figure]:
    areas = plain.filter(pl.col("metric") == "auc")
    own = {row["class"]: row for row in areas.filter(pl.col("experiment") == task.best).iter_rows(named=True)}
    rival = (
        areas.filter(pl.col("experiment") == task.best_baseline) if task.best_baseline != task.best else areas.clear()
    )
    ticks = dict(rival.select("class", "value").rows())
    ends = [row[end] for row in own.values() for end in ("low", "high", "value")] + list(ticks.values())
    known = [each for each in (*ends, task.shows.chance) if each is not None]
    limits = min(known) - 0.02, max(known) + 0.02
    model = results.experiments[task.best]
    pages = -(-len(labels) // ROWS_A_FIGURE)
    size = -(-len(labels) // pages)
    beside = f" Ticks: {results.experiments[task.best_baseline].words}." if ticks else ""
    found = []
    for page in range(pages):
        part = labels[page * size : (page + 1) * size]
        place = "" if pages == 1 else f", {page * size + 1} to {page * size + len(part)} of {len(labels)}"
        words = "; ".join(f"{label} {number(own[label]['value'])}" for label in part)
        found.append(
            forest(
                f"labels-{task.anchor}" + (f"-{page + 1}" if pages > 1 else ""),
                [
                    (_short(label), model.shows, own[label]["value"], own[label]["low"], own[label]["high"])
                    for label in part
                ],
                label="AUC",
                caption=f"{model.words}: AUC of each label with its interval{place}.{beside}",
                alternative=f"AUC of {model.words} by label: {words}.",
                reference=task.shows.chance,
                reference_words="chance",
                ticks=[ticks.get(label) for label in part],
                limits=limits,
            )
        )
    return found


def _short(label: str) -> str:
    return label if len(label) < 30 else label[:28] + " …"


def _of_best(results: Results, task: Task, scores: pl.DataFrame, labels: list[str]) -> Table:
    """A table of the best model's metrics by label, and of its difference from the best handcrafted model."""
    own = scores.filter(pl.col("experiment") == task.best)
    plain = own.filter(pl.col("baseline") == "")
    pairs = own.filter((pl.col("baseline") == task.best_baseline) & (pl.col("metric") == "auc"))
    pairs = pairs.filter(pl.col("baseline") != "")
    names = [name for name in METRICS if name in set(plain["metric"])]
    having = _having(results, task)
    rows, told = [], Cautions()
    for label in labels:
        mine = plain.filter(pl.col("class") == label)
        cut = mine["threshold"].drop_nulls().to_list()
        area = mine.filter(pl.col("metric") == "auc").row(0, named=True)
        counted = Cell(f"{area['patients']:,}", value=area["patients"]) if area["patients"] else HIDDEN
        cells = [Cell(label), counted]
        cells += [cell_of(having.get(label))] if having else []
        cells += [told.metric(mine, name) for name in names]
        cells.append(Cell(number(cut[0]), value=cut[0]) if cut else Cell("–"))
        if pairs.height:
            pair = next(pairs.filter(pl.col("class") == label).iter_rows(named=True), None)
            cells.append(Cell("–") if pair is None else told.cell(pair, sign=True))
            cells.append(p_value(None if pair is None else pair["p_adjusted"]))
        rows.append(Row(tuple(cells)))
    heads = [
        Column("Label"),
        Column("Patients", numeric=True),
        *([Column("With", numeric=True, explanation=WITH)] if having else []),
        *metric_columns(names),
        Column("Threshold", numeric=True),
    ]
    if pairs.height:
        heads.append(Column(f"AUC minus {results.experiments[task.best_baseline].words}", numeric=True))
        heads.append(
            Column(
                "p",
                numeric=True,
                explanation="Two-sided p value for no difference, adjusted for the labels of these two models.",
            )
        )
    caption = f"{results.experiments[task.best].words}: {len(labels)} labels"
    hidden = hidden_note(results.notes.least_patients) if any(HIDDEN in row.cells for row in rows) else ""
    said = " ".join(each for each in (told.note, hidden, YOUDEN if "sensitivity" in names else "") if each)
    return Table(f"labels-{task.anchor}-best", caption, tuple(heads), tuple(rows), said, first=FIRST_ROWS)


def _having(results: Results, task: Task) -> dict[str, dict[str, Any]]:
    """The cell of Table 1 with the test patients who have a label, by label; hidden cells stay hidden."""
    rows = results.table_one.filter((pl.col("cohort") == task.cohort) & (pl.col("level") == "present"))
    tested = "test" if "test" in set(results.table_one.filter(pl.col("cohort") == task.cohort)["column"]) else "all"
    cells = {row["variable"]: row for row in rows.filter(pl.col("column") == tested).iter_rows(named=True)}
    found = {label: cells.get(f"{task.target}: {label}") for label in task.classes}
    return {label: row for label, row in found.items() if row is not None}


def _of_models(results: Results, task: Task, plain: pl.DataFrame, labels: list[str]) -> Table:
    """A table of the area of each label for selected models."""
    areas = plain.filter(pl.col("metric") == "auc")
    notes = [note for note in results.shown(task) if note.experiment in set(areas["experiment"])]
    rows, told = [], Cautions()
    for label in labels:
        mine = areas.filter(pl.col("class") == label)
        cells = [told.metric(mine.filter(pl.col("experiment") == note.experiment), "auc") for note in notes]
        rows.append(Row((Cell(label), *cells)))
    heads = (Column("Label"), *(Column(note.words, numeric=True) for note in notes))
    caption = f"{task.words}: AUC of each label by {len(notes)} models"
    return Table(f"labels-{task.anchor}-models", caption, heads, tuple(rows), told.note, first=FIRST_ROWS)
