"""Predicted against true values, with the slope of each model."""

import polars as pl

from xray_mining.reporting import figures
from xray_mining.reporting.layout import by_task, undrawn
from xray_mining.reporting.metrics import number
from xray_mining.reporting.results import ExperimentNote, Results, Task
from xray_mining.reporting.section import Block, Figure, Figures, Section

ORDER = 40


def applies(results: Results) -> bool:
    """If a number is predicted."""
    return bool(results.tasks_in("predicted-against-true"))


def build(results: Results) -> Section:
    """One panel for each of the selected models."""
    return Section(
        "predicted-against-true",
        "Predicted against true",
        "Each point is a test image; if there are too many points, darker cells contain more of them. On the thin line "
        "predictions are correct. If the thick line is flatter, low values are predicted too high and high values too "
        "low.",
        by_task(results, results.tasks_in("predicted-against-true"), lambda task: _task(results, task)),
    )


def _task(results: Results, task: Task) -> tuple[list[Block], str]:
    frame = results.of(task, results.scatter)
    panels = []
    for note in results.shown(task):
        if note.model in note.shows.constant:
            continue
        own = frame.filter(pl.col("experiment") == note.experiment)
        if own.height:
            panels.append(_panel(results, task, note, own, frame))
    if not panels:
        return [], "There are no scored test images to draw."
    return [Figures(tuple(panels))], ""


def _panel(results: Results, task: Task, note: ExperimentNote, own: pl.DataFrame, frame: pl.DataFrame) -> Figure:
    low, high = float(frame["truth"].min()), float(frame["truth"].max())  # ty: ignore[invalid-argument-type]
    margin = 0.06 * (high - low) or 1.0
    low, high = low - margin, high + margin
    shade = figures.colour(note.shows)
    unit = f" ({task.unit})" if task.unit else ""
    slope = _slope(results, task, note, float(own["truth"].mean()))  # ty: ignore[invalid-argument-type]
    with figures.drawing(4.0, 3.9) as (figure, axes):
        axes.set_xlim(low, high)
        axes.set_ylim(low, high)
        axes.set_aspect("equal")
        figures.points(axes, own["truth"].to_numpy(), own["value"].to_numpy(), shade)
        axes.plot([low, high], [low, high], color=figures.COLOURS["quiet"], linewidth=0.9)
        if slope is not None:
            tilt, offset = slope
            axes.plot(
                [low, high], [offset + tilt * low, offset + tilt * high], color=figures.COLOURS["ink"], linewidth=1.8
            )
        axes.set_xlabel(f"true {task.words.lower()}{unit}")
        axes.set_ylabel(f"predicted{unit}")
        axes.set_title(note.words)
        words = f"{note.words}: predicted against true {task.words.lower()} of {own.height:,} test images"
        tilt_words = f", slope of the thick line {number(slope[0], 2)}" if slope is not None else ""
        return figures.finished(
            figure,
            f"scatter-{task.anchor}-{note.experiment.replace('_', '-')}",
            f"{own.height:,} test images{tilt_words}.{undrawn(results, task)}",
            f"{words}{tilt_words}.",
        )


def _slope(results: Results, task: Task, note: ExperimentNote, centre: float) -> tuple[float, float] | None:
    """Slope and intercept of the thick line; None if they were not estimated.

    The slope of predicted on true is from the estimates. The line goes through the mean truth (`centre`) and the mean
    prediction, which is the mean truth plus the bias.
    """
    rows = results.scores(task).filter((pl.col("experiment") == note.experiment) & (pl.col("baseline") == ""))
    found = dict(rows.select("metric", "value").rows())
    tilt, bias = found.get("slope_on_truth"), found.get("bias")
    return (tilt, centre + bias - tilt * centre) if tilt is not None and bias is not None else None
