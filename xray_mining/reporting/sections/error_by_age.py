"""Error and bias over true age, which show regression to the mean."""

from collections.abc import Sequence
from typing import NamedTuple

import polars as pl

from xray_mining.records.words import SEX_WORDS
from xray_mining.reporting import figures
from xray_mining.reporting.layout import by_task
from xray_mining.reporting.metrics import interval, metric_of
from xray_mining.reporting.models import LineStyle
from xray_mining.reporting.results import Results, Task
from xray_mining.reporting.section import HIDDEN, Block, Cell, Column, Figure, Figures, Row, Section, Table, hidden_note

ORDER = 50

_TITLES = {"mae": "Mean absolute error", "bias": "Bias: predicted minus true"}
_SEXES = {"F": ("vermilion", "-"), "M": ("blue", "-")}


def applies(results: Results) -> bool:
    """If age is predicted."""
    return any(task.is_age for task in results.tasks_in("error-by-age"))


def build(results: Results) -> Section:
    """Error and bias of selected models, then of the best model by sex."""
    tasks = [task for task in results.tasks_in("error-by-age") if task.is_age]
    return Section(
        "error-by-age",
        "Error by age",
        "Models often predict too high an age for young patients and too low an age for old patients (regression to "
        "the mean). The bias then falls with age. Predictions are not corrected for this.",
        by_task(results, tasks, lambda task: _task(results, task)),
    )


def _task(results: Results, task: Task) -> tuple[list[Block], str]:
    frame = results.of(task, results.error_by_age)
    if frame.is_empty():
        return [], "No age band has enough test patients to be drawn."
    everybody = frame.filter(pl.col("patient_sex") == "all")
    models = [
        _Line(note.words, figures.colour(note.shows), note.shows.lines.get(note.model, note.shows.line), own)
        for note in results.shown(task)
        if (own := everybody.filter(pl.col("experiment") == note.experiment)).height
    ]
    best = frame.filter(pl.col("experiment") == task.best)
    sexes = [
        _Line(SEX_WORDS[sex], figures.COLOURS[shade], style, own)
        for sex, (shade, style) in _SEXES.items()
        if (own := best.filter(pl.col("patient_sex") == sex)).height
    ]
    blocks: list[Block] = []
    if models:
        blocks.append(Figures(tuple(_panel(task, models, metric, "by-age", "Selected models") for metric in _TITLES)))
    if sexes:
        model = results.experiments[task.best].words
        blocks.append(Figures(tuple(_panel(task, sexes, metric, "by-age-and-sex", model) for metric in _TITLES)))
    overall = best.filter(pl.col("patient_sex") == "all").sort("age")
    if overall.height:
        blocks.append(_table(results, task, overall))
    return blocks, ""


class _Line(NamedTuple):
    words: str
    colour: str
    style: LineStyle
    rows: pl.DataFrame


def _panel(task: Task, lines: Sequence[_Line], metric: str, name: str, who: str) -> Figure:
    with figures.drawing(4.4, 3.4) as (figure, axes):
        for line in lines:
            rows = line.rows.sort("age")
            x, y = rows["age"].to_numpy(), rows[metric].to_numpy()
            low, high = (rows[f"{metric}_{end}"].fill_null(float("nan")).to_numpy() for end in ("low", "high"))
            figures.band(axes, x, low, high, line.colour)
            axes.plot(x, y, color=line.colour, label=line.words, linestyle=line.style, marker="o", markersize=3)
        if metric == "bias":
            axes.axhline(0, color=figures.COLOURS["quiet"], linewidth=0.9)
        else:
            axes.set_ylim(bottom=0)
        ends = pl.concat([line.rows.select("age_low", "age_high") for line in lines])
        figures.ticks_of_ages(axes, ends["age_low"].min() - 1, ends["age_high"].max() + 1)  # ty: ignore[unsupported-operator]
        axes.set_title(_TITLES[metric])
        axes.set_xlabel(f"true age ({task.unit})")
        axes.set_ylabel(f"{metric_of(metric).title} ({task.unit})")
        axes.legend(loc="best")
        words = ", ".join(line.words for line in lines)
        return figures.finished(
            figure,
            f"{metric}-{name}-{task.anchor}",
            f"{who}; bands are confidence intervals.",
            f"{_TITLES[metric]} over true age. {who}: {words}.",
        )


def _table(results: Results, task: Task, overall: pl.DataFrame) -> Table:
    rows = []
    for row in overall.iter_rows(named=True):
        cells = [Cell(f"{row['age_low']:g} to {row['age_high']:g}", value=row["age"])]
        counted = not row["hidden"]
        cells.append(Cell(f"{row['patients']:,}", value=row["patients"]) if counted else HIDDEN)
        for metric in ("mae", "bias"):
            low, high = row[f"{metric}_low"], row[f"{metric}_high"]
            cells.append(interval(row[metric], low, high, metric_of(metric), sign=metric == "bias"))
        rows.append(Row(tuple(cells)))
    return Table(
        f"error-by-age-{task.anchor}",
        f"{results.experiments[task.best].words}: error by true age",
        (
            Column(f"Age, {task.unit}"),
            Column("Patients", numeric=True),
            Column(f"MAE, {task.unit}", numeric=True),
            Column(f"Bias, {task.unit}", numeric=True),
        ),
        tuple(rows),
        hidden_note(results.notes.least_patients) if any(HIDDEN in row.cells for row in rows) else "",
    )
