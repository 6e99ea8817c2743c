"""Bland-Altman: differences against means, with limits of agreement."""

import polars as pl

from xray_mining.reporting import figures
from xray_mining.reporting.layout import Cautions, by_task, metric_columns, model_cell, undrawn
from xray_mining.reporting.metrics import number
from xray_mining.reporting.results import ExperimentNote, Results, Task, slug
from xray_mining.reporting.section import Block, Column, Figure, Figures, Row, Section, Table

ORDER = 75
_METRICS = ("bias", "limit_low", "limit_high")


def applies(results: Results) -> bool:
    """Where a number is predicted."""
    return bool(results.tasks_of("number", "ordinal"))


def build(results: Results) -> Section:
    """The best model and the best handcrafted one, and the limits of all."""
    return Section(
        "agreement",
        "Limits of agreement",
        "Bland and Altman's picture: how far prediction and truth lie apart for one patient. 95 of 100 differences lie "
        "between the dashed limits.",
        by_task(results, results.tasks_of("number", "ordinal"), lambda task: _task(results, task)),
    )


def _task(results: Results, task: Task) -> tuple[list[Block], str]:
    frame = results.of(task, results.scatter)
    scores = results.scores(task).filter((pl.col("baseline") == "") & pl.col("metric").is_in(_METRICS))
    panels = []
    for name in dict.fromkeys((task.best_baseline, task.best)):
        own = frame.filter(pl.col("experiment") == name)
        limits = dict(scores.filter(pl.col("experiment") == name).select("metric", "value").rows())
        if own.height and set(_METRICS) <= set(limits):
            panels.append(_panel(results, task, results.experiments[name], own, frame, limits))
    rows, told = [], Cautions()
    for note in results.members(task):
        own = scores.filter(pl.col("experiment") == note.experiment)
        if own.height:
            cells = (model_cell(task, note), *(told.metric(own, name) for name in _METRICS))
            rows.append(Row(cells, kind=note.model_kind or "model"))
    blocks: list[Block] = [Figures(tuple(panels))] if panels else []
    if rows:
        heads = (Column("Model"), *metric_columns(_METRICS, task.unit))
        caption = f"{task.words}: bias and limits of agreement"
        blocks.append(Table(f"agreement-{task.anchor}", caption, heads, tuple(rows), told.note))
    return blocks, "" if blocks else "There are no scored test images to compare."


def _panel(
    results: Results,
    task: Task,
    note: ExperimentNote,
    own: pl.DataFrame,
    frame: pl.DataFrame,
    limits: dict[str, float],
) -> Figure:
    unit = f" ({task.unit})" if task.unit else ""
    middle = ((own["truth"] + own["value"]) / 2).to_numpy()
    apart = (own["value"] - own["truth"]).to_numpy()
    with figures.drawing(4.4, 3.5) as (figure, axes):
        low, high = float(frame["truth"].min()), float(frame["truth"].max())  # ty: ignore[invalid-argument-type]
        margin = 0.05 * (high - low) or 1.0
        axes.set_xlim(low - margin, high + margin)
        reach = 1.1 * max(float(abs(apart).max()), abs(limits["limit_low"]), abs(limits["limit_high"]), 1e-9)
        axes.set_ylim(-reach, reach)
        figures.points(axes, middle, apart, figures.colour(note.model_kind))
        axes.axhline(0, color=figures.COLOURS["quiet"], linewidth=0.8)
        axes.axhline(limits["bias"], color=figures.COLOURS["ink"], linewidth=1.4)
        for end in ("limit_low", "limit_high"):
            axes.axhline(limits[end], color=figures.COLOURS["ink"], linewidth=1.1, linestyle=(0, (5, 3)))
        axes.set_xlabel(f"mean of predicted and true{unit}")
        axes.set_ylabel(f"predicted minus true{unit}")
        axes.set_title(note.words)
        words = (
            f"bias {number(limits['bias'], 2)}, limits {number(limits['limit_low'], 1)} to "
            f"{number(limits['limit_high'], 1)}{' ' + task.unit if task.unit else ''}"
        )
        return figures.finished(
            figure,
            f"agreement-{task.anchor}-{slug(note.experiment)}",
            f"{note.words}: {words}.{undrawn(results, task)}",
            f"Bland-Altman plot of {note.words}: {words}.",
        )
