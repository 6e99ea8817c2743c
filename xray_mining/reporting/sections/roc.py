"""ROC curves with confidence bands."""

import polars as pl

from xray_mining.reporting import figures
from xray_mining.reporting.layout import by_task
from xray_mining.reporting.metrics import number
from xray_mining.reporting.results import Results, Task, slug
from xray_mining.reporting.section import Block, Figure, Figures, Section

ORDER = 45


def applies(results: Results) -> bool:
    """If classes are predicted."""
    return bool(results.tasks_in("roc"))


def build(results: Results) -> Section:
    """One panel for a binary task; one panel for each class of a task with several classes."""
    return Section(
        "roc",
        "ROC curves",
        "Share of positives that are found (upwards) and share of negatives that are called positive (to the right), "
        "at all thresholds. Bands are pointwise confidence intervals.",
        by_task(results, results.tasks_in("roc"), lambda task: _task(results, task)),
    )


def _task(results: Results, task: Task) -> tuple[list[Block], str]:
    frame = results.of(task, results.roc)
    classes = [label for label in ("", *task.classes) if label in set(frame["class"])]
    panels = [_panel(results, task, label, frame.filter(pl.col("class") == label)) for label in classes]
    if not panels:
        return [], "There is no curve: all test patients are of one class, or no model has scores of them."
    return [Figures(tuple(panels))], ""


def _panel(results: Results, task: Task, label: str, frame: pl.DataFrame) -> Figure:
    scores = results.scores(task).filter(
        (pl.col("metric") == "auc") & (pl.col("baseline") == "") & (pl.col("class") == label)
    )
    values = dict(scores.select("experiment", "value").rows())
    said = []
    with figures.drawing(4.4, 4.2) as (figure, axes):
        axes.plot([0, 1], [0, 1], color=figures.COLOURS["line"], linewidth=1)
        for note in results.shown(task):
            own = frame.filter(pl.col("experiment") == note.experiment).sort("false_positive_rate")
            if own.is_empty() or note.model in note.shows.constant:
                continue
            shade = figures.colour(note.shows)
            x = own["false_positive_rate"].to_numpy()
            figures.band(axes, x, own["low"].to_numpy(), own["high"].to_numpy(), shade)
            words = f"{note.words}, AUC {number(values.get(note.experiment))}"
            axes.plot(
                x,
                own["sensitivity"].to_numpy(),
                color=shade,
                linestyle=note.shows.lines.get(note.model, note.shows.line),
                label=words,
            )
            said.append(words)
        axes.set_xlim(-0.01, 1)
        axes.set_ylim(0, 1.01)
        axes.set_aspect("equal")
        axes.set_xlabel("false positive rate (1 − specificity)")
        axes.set_ylabel("sensitivity")
        if said:
            axes.legend(loc="lower right")
        title = label or task.words
        axes.set_title(title)
        return figures.finished(
            figure,
            f"roc-{task.anchor}" + (f"-{slug(label)}" if label else ""),
            f"{title}: {len(said)} models on {task.patients:,} test patients.",
            f"ROC curves, {title}: {'; '.join(said)}.",
        )
