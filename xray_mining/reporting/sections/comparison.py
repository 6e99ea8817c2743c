"""The comparison tables: metrics of every model of a task (also nulls and oracle), and paired differences."""

import polars as pl

from xray_mining.evaluation.comparisons import OTHER_NULLS, READERS
from xray_mining.reporting import models
from xray_mining.reporting.figures import forest
from xray_mining.reporting.layout import Cautions, by_task, metric_columns, model_cell
from xray_mining.reporting.metrics import metric_of, number, p_value
from xray_mining.reporting.results import Results, Task
from xray_mining.reporting.section import Block, Cell, Column, Figure, Row, Section, Table, Text
from xray_mining.statistics.measured import false_alarms, outside

ORDER = 30

_ORACLE = "it reads the true anatomy of the phantom, so models of the image should not be better."
_WITHOUT_A_ROW = {
    "absent": "Not in the table, because they have no predictions",
    "stale": "Not in the table, because their predictions were made with earlier options of the study",
}


def applies(results: Results) -> bool:
    """Always: it is the main result."""
    return True


def build(results: Results) -> Section:
    """Metrics of all models with intervals, then differences with adjusted p values."""
    if not results.tasks:
        return Section("comparison", "Which model reads it best", "No experiment of this study has predictions.")
    percent = round(100 * results.notes.confidence)
    return Section(
        "comparison",
        "Which model reads it best",
        f"{_same_patients(results)} {_unseen(results)} Small numbers are {percent} % confidence intervals, which keep "
        f"the images of a patient together. {how_chosen(results)}",
        (*_learnt_from(results), *by_task(results, results.tasks, lambda task: _task(results, task))),
    )


def _same_patients(results: Results) -> str:
    rows = [
        results.scores(task).filter(
            (pl.col("baseline") == "") & (pl.col("class") == "") & (pl.col("metric") == task.metric)
        )
        for task in results.tasks
    ]
    if all((each["images"] == task.images).all() for each, task in zip(rows, results.tasks, strict=True)):
        return "All models of a task predict the same patients."
    return (
        "Some models have no prediction for some test patients (see Audits), so scores are of slightly different "
        "patients. Differences between two models are of patients that both predict."
    )


def _unseen(results: Results) -> str:
    outcomes = results.outcomes("GATE001", "GATE002", "GATE003")
    if "failed" in outcomes:
        return (
            "The leakage checks found patients or exposures in both training and test data: do not trust these "
            "figures (see Audits)."
        )
    if "passed" not in outcomes:
        return "It was not checked whether a model had these patients in its training data."
    rest = "" if outcomes == {"passed"} else " (some checks could not run, see Audits)"
    return f"The leakage checks found no patient in both training and test data of a model{rest}."


def how_chosen(results: Results) -> str:
    """How the best model of each task was chosen, as sentences."""
    said = {
        "apart": "chosen on validation patients, who are not test patients",
        "pooled": "chosen by validation scores over all rotations, and validation patients of one rotation are test "
        "patients of another; ensembles with rule best choose within each rotation and avoid this",
        "within": "an ensemble with rule best, which chose in each rotation by its validation patients",
        "": "chosen on validation patients",
    }
    tasks = [task for task in results.tasks if task.best]
    words = {task.chosen: said.get(task.chosen, said[""]) for task in tasks}
    if not words:
        return "No best model could be chosen."
    if len(words) == 1:
        return (
            f"The best model was {next(iter(words.values()))}."
            if "within" not in words
            else f"The best model is {said['within']}."
        )
    return " ".join(
        f"{task.words}: the best model {'is' if task.chosen == 'within' else 'was'} {words[task.chosen]}."
        for task in tasks
    )


def _learnt_from(results: Results) -> list[Block]:
    done = {note.model_kind for note in results.experiments.values() if note.outcome == "done"}
    kinds = sorted(map(models.shown, done), key=lambda kind: (kind.place, kind.words))
    both = [kind.learn_from_both for kind in kinds if kind.learn_from_both]
    said = []
    if both:
        listed = " and ".join([", ".join(both[:-1]), both[-1]] if len(both) > 1 else both)
        said.append(
            f"{listed[0].upper()}{listed[1:]} learn from training and validation patients together; inner folds "
            f"decide their settings."
        )
    said += [kind.learns_from for kind in kinds if kind.learns_from]
    if over_rotations(results):
        said.append(SHARED)
    return [Text(" ".join(said), "quiet")] if said else []


YOUDEN = "Sensitivity and specificity are at the threshold with the largest Youden index on validation patients."
SHARED = (
    "Fits of several rotations share training patients. Therefore intervals are wider and p values are larger, "
    "depending on how much results change when the fit of another rotation predicts the same patients. Intervals "
    "should contain the true value in 95 of 100 studies. In simulations with fitted models, 93 to 97 of 100 did, with "
    f"these exceptions: {outside()}. Without a true difference, 5 of 100 p values should be at most 0.05; in "
    f"simulations it was {false_alarms()}."
)


def over_rotations(results: Results) -> bool:
    """Whether a task has several rotations, so that its figures combine several fits."""
    return any(task.rotations > 1 for task in results.tasks)


def _task(results: Results, task: Task) -> tuple[list[Block], str]:
    scores = results.scores(task)
    plain = at_main_point(scores.filter((pl.col("baseline") == "") & (pl.col("class") == "")))
    notes = [note for note in results.members(task) if note.experiment in set(plain["experiment"])]
    if not notes:
        return [], "There are no estimates: no model of this task has predictions for test patients."
    blocks: list[Block] = []
    names = [name for name in task.shows.compared if name in set(plain["metric"])]
    rows, told = [], Cautions()
    for note in notes:
        own = plain.filter(pl.col("experiment") == note.experiment)
        rows.append(
            Row((model_cell(task, note), *(told.metric(own, name) for name in names)), kind=note.model_kind or "model")
        )
    remarks = [told.note]
    if "sensitivity" in names:
        remarks.append(YOUDEN)
    if task.oracle in {note.experiment for note in notes}:
        remarks.append(f"{results.experiments[task.oracle].words.capitalize()}: {_ORACLE}")
    blocks.append(
        Table(
            f"comparison-{task.anchor}",
            f"{task.words}: {len(notes)} models on {task.patients:,} test patients",
            (Column("Model"), *metric_columns(names, task.unit)),
            tuple(rows),
            " ".join(each for each in remarks if each),
        )
    )
    blocks += _differences(results, task, scores)
    if task.shows.by_class:
        blocks += _classes(results, task, scores)
    blocks += _patients(results, task)
    for outcome, reason in _WITHOUT_A_ROW.items():
        names = sorted(
            note.words for note in results.experiments.values() if (note.task, note.outcome) == (task.task, outcome)
        )
        if names:
            blocks.append(Text(f"{reason}: {', '.join(names)}.", "quiet"))
    return blocks, ""


def at_main_point(rows: pl.DataFrame) -> pl.DataFrame:
    """Rows without an operating point, or at the main one: largest Youden index, or most probable class."""
    return rows.filter(pl.col("operating_point").fill_null("").is_in(["", "youden", "largest"]))


def all_models(results: Results, task: Task) -> Figure | None:
    """A figure of all models of a task with their intervals, for the top of the page; None without scores."""
    plain = at_main_point(results.scores(task).filter((pl.col("baseline") == "") & (pl.col("class") == "")))
    rows = plain.filter(pl.col("metric") == task.metric)
    if rows.is_empty():
        return None
    metric = metric_of(task.metric)
    lines = [
        (note.words, note.shows, row["value"], row["low"], row["high"])
        for note in results.members(task)
        for row in rows.filter(pl.col("experiment") == note.experiment).head(1).iter_rows(named=True)
    ]
    unit = f" ({task.metric_unit})" if task.metric_unit else ""
    chance = None if task.shows.chance is None else (task.shows.chance, "chance")
    if task.shows.shows_centre and task.centre:
        centre = rows.filter(pl.col("experiment") == task.centre)["value"].to_list()
        chance = (centre[0], "guessing the centre") if centre else None
    words = "; ".join(f"{line[0]} {number(line[2], metric.digits)}" for line in lines)
    return forest(
        f"forest-{task.anchor}",
        lines,
        label=f"{metric.title}{unit}",
        caption=f"{task.words}: {metric.title} of every model with its interval; hollow: null models and the oracle.",
        alternative=f"{metric.title} by model: {words}.",
        reference=chance[0] if chance else None,
        reference_words=chance[1] if chance else "",
    )


def _differences(results: Results, task: Task, scores: pl.DataFrame) -> list[Block]:
    """A table of paired differences in the main metric, and a sentence about the smallest detectable difference."""
    pairs = at_main_point(scores.filter((pl.col("baseline") != "") & (pl.col("class") == "")))
    pairs = pairs.filter(pl.col("metric") == task.metric)
    if pairs.is_empty():
        return [Text("No two models of this task could be compared on the same patients.", "quiet")]
    metric = metric_of(task.metric)
    # The best null is last: if it also is the best model without anatomy, its column is called "best null", as in the
    # other tables.
    roles = {
        task.best_baseline: "best handcrafted",
        task.frozen: "frozen embedding",
        task.blind: "best without anatomy",
        task.best_null: "best null",
    }
    roles |= {
        note.experiment: "second reader" for note in results.members(task) if models.shown(note.model_kind).is_a_person
    }
    found = set(pairs["baseline"])
    order = [name for name in (task.best_baseline, task.frozen, task.best_null, task.blind) if name in found]
    order = list(dict.fromkeys(order))
    baselines = [*order, *sorted(found - set(order))]
    # Two columns for each baseline: the difference, and its p.
    columns = [Column("Model")]
    for name in baselines:
        words = results.experiments[name].words if name in results.experiments else name
        role = f" ({roles[name]})" if name in roles else ""
        columns.append(Column(f"against {words}{role}", numeric=True))
        columns.append(Column("p", numeric=True, explanation="Two-sided p value for no difference."))
    rows, told = [], Cautions()
    for note in results.members(task):
        own = pairs.filter(pl.col("experiment") == note.experiment)
        if own.is_empty():
            continue
        cells = [model_cell(task, note)]
        for name in baselines:
            row = next(own.filter(pl.col("baseline") == name).iter_rows(named=True), None)
            if row is None:
                cells += [Cell("–"), Cell("–")]
                continue
            adjusted = row["p_adjusted"] if row["p_adjusted"] is not None else row["p_value"]
            cells += [told.cell(row, sign=True), p_value(adjusted)]
        rows.append(Row(tuple(cells), kind=note.model_kind or "model"))
    unit = f" in {task.metric_unit}" if task.metric_unit else ""
    direction = f"{'below' if metric.better == 'lower' else 'above'} zero the model of the row is better"
    blocks: list[Block] = [
        Table(
            f"differences-{task.anchor}",
            f"Difference in {metric.title}{unit} on the same patients ({direction})",
            tuple(columns),
            tuple(rows),
            " ".join(each for each in (adjusted_words(pairs), told.note) if each),
        )
    ]
    apart = results.told_apart(task)
    if apart:
        blocks.append(Text(f"{apart[0].upper()}{apart[1:]}."))
    return blocks


def adjusted_words(pairs: pl.DataFrame) -> str:
    """A sentence about the adjustment of these p values: the number of comparisons in each family."""
    tested = pairs.filter(pl.col("p_value").is_not_null())
    if tested.is_empty():
        return "No p value could be computed."
    if tested["p_adjusted"].null_count():
        return "Not all p values are adjusted for the number of comparisons."
    ends = [pl.min_horizontal("experiment", "baseline"), pl.max_horizontal("experiment", "baseline").alias("other")]
    family = pl.col("family")
    asked = pl.when(family.str.ends_with(OTHER_NULLS)).then(pl.lit("null models other than the best"))
    asked = asked.when(family.str.ends_with(READERS)).then(pl.lit("second readers")).otherwise(pl.lit(""))
    counts = dict(tested.select(asked.alias("asked"), *ends).unique()["asked"].value_counts(sort=True).rows())
    if sum(counts.values()) == 1:
        return "There is only one comparison, so p is not adjusted."
    main = counts.pop("", 0)
    if not main and len(counts) == 1:
        [(words, count)] = counts.items()
        whose = "with second readers" if words == "second readers" else "of null models"
        return f"p values are adjusted for {count} comparisons, all {whose} (Holm)."
    # These are separate families, so their comparisons do not make the others less significant.
    said = [f"{main} {'comparison' if main == 1 else 'comparisons'}"] if main else []
    said += [f"those of {words} separately, for {count}" for words, count in sorted(counts.items())]
    return f"p values are adjusted {'for ' if main else 'by family, '}{', '.join(said)} (Holm)."


def _classes(results: Results, task: Task, scores: pl.DataFrame) -> list[Block]:
    rows = scores.filter((pl.col("baseline") == "") & (pl.col("class") != "") & (pl.col("metric") == "auc"))
    if rows.is_empty():
        return []
    classes = [label for label in task.classes if label in set(rows["class"])]
    lines, told = [], Cautions()
    for note in results.members(task):
        own = rows.filter(pl.col("experiment") == note.experiment)
        if not own.is_empty():
            cells = [told.metric(own.filter(pl.col("class") == label), "auc") for label in classes]
            lines.append(Row((model_cell(task, note), *cells), kind=note.model_kind or "model"))
    return [
        Table(
            f"classes-{task.anchor}",
            f"{task.words}: AUC of each class against the rest",
            (Column("Model"), *(Column(label, numeric=True) for label in classes)),
            tuple(lines),
            told.note,
        )
    ]


def _patients(results: Results, task: Task) -> list[Block]:
    if task.level == "patient":
        return []
    rows = results.by_patient(task).filter((pl.col("baseline") == "") & (pl.col("class") == ""))
    rows = at_main_point(rows)
    names = [name for name in task.shows.compared[:4] if name in set(rows["metric"])]
    lines, told = [], Cautions()
    for note in results.members(task):
        own = rows.filter(pl.col("experiment") == note.experiment)
        if not own.is_empty():
            cells = [told.metric(own, name) for name in names]
            lines.append(Row((model_cell(task, note), *cells), kind=note.model_kind or "model"))
    if not lines:
        return []
    return [
        Table(
            f"by-patient-{task.anchor}",
            f"{task.words}: the same metrics after averaging each patient's images",
            (Column("Model"), *metric_columns(names, task.unit)),
            tuple(lines),
            told.note,
        )
    ]
