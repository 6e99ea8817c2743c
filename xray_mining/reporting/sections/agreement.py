"""Bland-Altman plots: differences against means, with limits of agreement."""

import polars as pl

from xray_mining.reporting import figures
from xray_mining.reporting.layout import Cautions, by_task, metric_columns, model_cell, undrawn
from xray_mining.reporting.metrics import number
from xray_mining.reporting.results import ExperimentNote, Results, Task, slug
from xray_mining.reporting.section import Block, Column, Figure, Figures, Row, Section, Table

ORDER = 75
_LIMITS = ("bias", "limit_low", "limit_high")
METRICS = (*_LIMITS, "within_limits")


def applies(results: Results) -> bool:
    """If a number is predicted."""
    return bool(results.tasks_in("agreement"))


def build(results: Results) -> Section:
    """Plots of the best model and the best handcrafted one, and a table with the limits of all models."""
    return Section(
        "agreement",
        "Limits of agreement",
        "Bland-Altman plots: the difference between prediction and truth of each image. If errors had a normal "
        "distribution, the same for all patients, about 95 of 100 images would be between the dashed limits; the table "
        "has the observed share.",
        by_task(results, results.tasks_in("agreement"), lambda task: _task(results, task)),
    )


def _task(results: Results, task: Task) -> tuple[list[Block], str]:
    frame = results.of(task, results.scatter)
    scores = results.scores(task).filter((pl.col("baseline") == "") & pl.col("metric").is_in(METRICS))
    panels = []
    for name in dict.fromkeys((task.best_baseline, task.best)):
        own = frame.filter(pl.col("experiment") == name)
        limits = scores.filter((pl.col("experiment") == name) & pl.col("value").is_not_null())["metric"]
        if own.height and set(_LIMITS) <= set(limits):
            ends = float(frame["truth"].min()), float(frame["truth"].max())  # ty: ignore[invalid-argument-type]
            panels.append(_panel(results, task, results.experiments[name], own, ends))
    names = [name for name in METRICS if name in set(scores["metric"])]
    rows, told = [], Cautions()
    for note in results.members(task):
        own = scores.filter(pl.col("experiment") == note.experiment)
        if own.height:
            cells = (model_cell(task, note), *(told.metric(own, name) for name in names))
            rows.append(Row(cells, kind=note.model_kind or "model"))
    blocks: list[Block] = [Figures(tuple(panels))] if panels else []
    if rows:
        heads = (Column("Model"), *metric_columns(names, task.unit))
        caption = f"{task.words}: bias and limits of agreement"
        blocks.append(Table(f"agreement-{task.anchor}", caption, heads, tuple(rows), told.note))
    return blocks, _pulled(results, task) if blocks else "There are no scored test images to compare."


def _pulled(results: Results, task: Task) -> str:
    """A caution if the best model's slope is below 1, because limits for all patients hide its errors at the ends."""
    rows = results.scores(task).filter(
        (pl.col("experiment") == task.best) & (pl.col("baseline") == "") & (pl.col("metric") == "slope_on_truth")
    )
    slope = next(iter(rows["value"]), None)
    if slope is None or slope >= 1:
        return ""
    where = "Error by age" if task.is_age else "Predicted against true"
    return (
        f"{results.experiments[task.best].words} predicts low values too high and high values too low (slope "
        f"{number(slope, 2)}). So near the lowest and the highest true values, fewer images may be between the limits "
        f"than the table says for all images; see {where}."
    )


def _panel(results: Results, task: Task, note: ExperimentNote, own: pl.DataFrame, ends: tuple[float, float]) -> Figure:
    limits = dict(
        results.scores(task)
        .filter(
            (pl.col("experiment") == note.experiment) & (pl.col("baseline") == "") & pl.col("metric").is_in(_LIMITS)
        )
        .select("metric", "value")
        .rows()
    )
    unit = f" ({task.unit})" if task.unit else ""
    middle = ((own["truth"] + own["value"]) / 2).to_numpy()
    apart = (own["value"] - own["truth"]).to_numpy()
    with figures.drawing(4.4, 3.5) as (figure, axes):
        low, high = ends
        margin = 0.05 * (high - low) or 1.0
        axes.set_xlim(low - margin, high + margin)
        reach = 1.1 * max(float(abs(apart).max()), abs(limits["limit_low"]), abs(limits["limit_high"]), 1e-9)
        axes.set_ylim(-reach, reach)
        figures.points(axes, middle, apart, figures.colour(note.shows))
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
