"""Operating points and confusion matrices: thresholds from validation patients, applied to test patients."""

import polars as pl

from xray_mining.reporting.layout import Cautions, by_task, metric_columns, model_cell
from xray_mining.reporting.metrics import number
from xray_mining.reporting.results import Results, Task, slug
from xray_mining.reporting.section import HIDDEN, Block, Cell, Column, Row, Section, Table, hidden_note

ORDER = 60
METRICS = (
    "sensitivity",
    "specificity",
    "positive_predictive_value",
    "negative_predictive_value",
    "balanced_accuracy",
    "f1",
    "mcc",
)
_RATES = "Sensitivity and specificity above are rates of whole classes; they are printed even if few calls are wrong."


def applies(results: Results) -> bool:
    """If classes are predicted."""
    return bool(results.tasks_in("operating-points"))


def build(results: Results) -> Section:
    """One table for each threshold, and the confusion matrices of the best model."""
    return Section(
        "operating-points",
        "Operating points",
        "Thresholds were set on validation patients and not changed afterwards. The tables show their results on test "
        "patients.",
        by_task(results, results.tasks_in("operating-points"), lambda task: _task(results, task)),
    )


def _words(point: str) -> str:
    """An operating point in words."""
    name, _, value = point.partition(" ")
    if name in ("sensitivity", "specificity") and value:
        return f"threshold with a {name} of {number(float(value), 0, percent=True)} on validation patients"
    return {
        "youden": "threshold with the largest Youden index on validation patients",
        "largest": "class with the largest probability",
    }.get(point, point)


def _task(results: Results, task: Task) -> tuple[list[Block], str]:
    """Tables of one task: metrics at each operating point, then the best model's confusion matrices."""
    blocks: list[Block] = []
    scores = results.scores(task).filter(
        (pl.col("baseline") == "") & (pl.col("class") == "") & (pl.col("operating_point").fill_null("") != "")
    )
    # Each operating point has a table, because models are compared at the same rule for the threshold.
    for point in scores["operating_point"].unique(maintain_order=True).to_list():
        at_point = scores.filter(pl.col("operating_point") == point)
        names = [name for name in METRICS if name in set(at_point["metric"])]
        rows, told = [], Cautions()
        for note in results.members(task):
            own = at_point.filter(pl.col("experiment") == note.experiment)
            if own.height and names:
                cut = own["threshold"].drop_nulls().to_list()
                cells = [model_cell(task, note), Cell(number(cut[0]), value=cut[0]) if cut else Cell("–")]
                cells += [told.metric(own, name) for name in names]
                rows.append(Row(tuple(cells), kind=note.model_kind or "model"))
        if rows:
            heads = (Column("Model"), Column("Threshold", numeric=True), *metric_columns(names))
            blocks.append(
                Table(
                    f"operating-point-{task.anchor}-{slug(point)}",
                    f"{task.words}: {_words(point)}",
                    heads,
                    tuple(rows),
                    told.note,
                )
            )
    # Confusion matrices are shown for the best model only, or there would be too many.
    frame = results.of(task, results.confusion).filter(pl.col("experiment") == task.best)
    model = results.experiments[task.best].words if task.best in results.experiments else ""
    blocks += [
        confusion_table(
            results,
            task,
            frame.filter(pl.col("operating_point") == point),
            name=f"confusion-{task.anchor}-{slug(point)}",
            caption=f"{model}: confusion matrix in images, {_words(point)}",
            rates=_RATES,
        )
        for point in frame["operating_point"].unique(maintain_order=True).to_list()
    ]
    return blocks, "" if blocks else "No threshold could be set: there are no validation patients of both classes."


def confusion_table(
    results: Results, task: Task, frame: pl.DataFrame, *, name: str, caption: str, rates: str = ""
) -> Table:
    """The confusion matrix of one model: a row for each true class, a column for each called class.

    Args:
        results: The study.
        task: The task.
        frame: Rows of the table `confusion` of one model and operating point.
        name: Name of the table.
        caption: Caption above it.
        rates: A sentence after the legend of hidden counts.
    """
    found = frame["truth"].unique(maintain_order=True).to_list()
    classes = [label for label in task.classes if label in found] or found
    rows = []
    for truth in classes:
        of_truth = frame.filter(pl.col("truth") == truth)
        own = dict(of_truth.select("predicted", "images").rows())
        hidden = set(of_truth.filter(pl.col("hidden").fill_null(False))["predicted"])
        # A share beside a hidden cell would reveal the size of the class and so the hidden cell.
        total = 0 if hidden else sum(own.values())
        cells = [Cell(f"truly {truth}")]
        for predicted in classes:
            if predicted in hidden:
                cells.append(HIDDEN)
                continue
            images = own.get(predicted, 0)
            share = number(images / total, 1, percent=True) if total else ""
            cells.append(Cell(f"{images:,}", share, images, mark="right" if predicted == truth else ""))
        rows.append(Row(tuple(cells)))
    least = results.notes.least_patients
    note = f"{hidden_note(least)} {rates}".strip() if any(HIDDEN in row.cells for row in rows) else ""
    return Table(
        name,
        caption,
        (Column("Truth"), *(Column(f"called {label}", numeric=True) for label in classes)),
        tuple(rows),
        note,
    )
