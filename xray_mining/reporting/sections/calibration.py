"""Calibration: whether a predicted probability of 80 % is right in 8 of 10 cases."""

import polars as pl

from xray_mining.reporting import figures
from xray_mining.reporting.layout import Cautions, by_task, metric_columns, model_cell
from xray_mining.reporting.results import ExperimentNote, Results, Task, slug
from xray_mining.reporting.section import Block, Cell, Column, Figure, Figures, Row, Section, Table

ORDER = 55
METRICS = ("calibration_slope", "calibration_intercept", "ece", "brier", "log_loss")


_PRINTED = (
    "Calibrated on validation patients if this reduced the squared error on validation patients that were left out of "
    "the calibration; otherwise as the model gave them."
)


def applies(results: Results) -> bool:
    """If probabilities are predicted."""
    return bool(results.tasks_in("calibration"))


def build(results: Results) -> Section:
    """Reliability curves of selected models, and a table of calibration metrics of all models."""
    return Section(
        "calibration",
        "Calibration",
        "Test images are divided into ten equal groups by predicted probability. On the thin line, the share of "
        "positives is equal to the predicted probability.",
        by_task(results, results.tasks_in("calibration"), lambda task: _task(results, task)),
    )


def _task(results: Results, task: Task) -> tuple[list[Block], str]:
    frame = results.of(task, results.calibration)
    panels = []
    for note in results.shown(task):
        own = frame.filter(pl.col("experiment") == note.experiment)
        if own.is_empty() or not note.shows.calibration_shown:
            continue
        panels += [_panel(task, note, label, own.filter(pl.col("class") == label)) for label in _labels(task, own)]
    blocks: list[Block] = [Figures(tuple(panels))] if panels else []
    scores = results.scores(task).filter((pl.col("baseline") == "") & (pl.col("class") == ""))
    names = [name for name in METRICS if name in set(scores["metric"])]
    rows, told = [], Cautions()
    for note in results.members(task):
        own = scores.filter((pl.col("experiment") == note.experiment) & pl.col("metric").is_in(names))
        if own.height:
            cells = (model_cell(task, note), Cell(_words(note)), *(told.metric(own, name) for name in names))
            rows.append(Row(cells, kind=note.model_kind or "model"))
    if rows:
        blocks.append(
            Table(
                f"calibration-{task.anchor}",
                f"{task.words}: calibration of the probabilities",
                (Column("Model"), Column("Probabilities", explanation=_PRINTED), *metric_columns(names)),
                tuple(rows),
                told.note,
            )
        )
    return blocks, "" if blocks else "There are no probabilities for test patients."


def _words(note: ExperimentNote) -> str:
    if not note.calibrated_fits:
        return "as the model gave them"
    some = "" if note.calibrated_fits == note.fits else f" in {note.calibrated_fits} of {note.fits} fits"
    return f"calibrated{some}"


def _labels(task: Task, own: pl.DataFrame) -> list[str]:
    return [label for label in ("", *task.classes) if label in set(own["class"])]


def _panel(task: Task, note: ExperimentNote, label: str, own: pl.DataFrame) -> Figure:
    shade = figures.colour(note.shows)
    said = []
    with figures.drawing(3.6, 3.5) as (figure, axes):
        axes.plot([0, 1], [0, 1], color=figures.COLOURS["quiet"], linewidth=0.9)
        for calibrated in (False, True):
            rows = own.filter(pl.col("calibrated") == calibrated).sort("predicted")
            if rows.is_empty():
                continue
            x, y = rows["predicted"].to_numpy(), rows["observed"].to_numpy()
            ends = (y - rows["low"].to_numpy()).clip(0), (rows["high"].to_numpy() - y).clip(0)
            words = f"{_words(note)} on validation patients" if calibrated else "as the model gave it"
            ground = shade if calibrated else "#ffffff"
            axes.errorbar(
                x,
                y,
                yerr=ends,
                color=shade,
                alpha=1 if calibrated else 0.55,
                marker="o",
                markersize=4.5,
                markerfacecolor=ground,
                linewidth=1.2,
                elinewidth=0.9,
                label=words,
            )
            said.append(words)
        axes.set_xlim(-0.02, 1.02)
        axes.set_ylim(-0.02, 1.02)
        axes.set_aspect("equal")
        axes.set_xlabel("predicted probability")
        axes.set_ylabel("share of positives")
        axes.set_title(note.words + (f", {label}" if label else ""))
        if len(said) > 1:  # with one curve, the caption says what it is
            axes.legend(loc="best")
        return figures.finished(
            figure,
            f"calibration-{task.anchor}-{slug(note.experiment)}" + (f"-{slug(label)}" if label else ""),
            f"{note.words}: {' and '.join(said)}.",
            f"Reliability curve of {note.words}: {' and '.join(said)}.",
        )
