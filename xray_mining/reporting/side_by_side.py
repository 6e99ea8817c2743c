"""The page of several studies: their models side by side, and the differences of their cohorts."""

from collections.abc import Sequence
from typing import Any

import polars as pl

from xray_mining.errors import UserError
from xray_mining.reporting.figures import forest
from xray_mining.reporting.layout import Cautions, metric_columns, model_cell
from xray_mining.reporting.metrics import metric_of, number
from xray_mining.reporting.results import Results, Task, slug
from xray_mining.reporting.section import Block, Cell, Column, Figures, Part, Points, Row, Section, Table
from xray_mining.reporting.sections.comparison import at_main_point
from xray_mining.reporting.sections.table_one import cell_of, variable_words

Pair = tuple[Results, Task]


def head_and_sections(studies: Sequence[Results]) -> tuple[dict[str, Any], list[dict[str, str]], list[Section]]:
    """The head, the failed checks and the sections of the page of several studies.

    Raises:
        UserError: if a study is named twice, because its rows could not be distinguished.
    """
    names = [results.study for results in studies]
    if len(set(names)) < len(names):
        raise UserError(f"report: a study is named twice ({', '.join(names)}); name each once")
    sections = [_models(studies), _cohorts(studies), _people(studies), _versions(studies)]
    found = [
        row | {"title": f"{results.study}: {row['title']}", "anchor": "cohorts"}
        for results in studies
        for row in results.check_results.filter(pl.col("outcome") == "failed").sort("code").iter_rows(named=True)
    ]
    answers = [
        {"title": f"{results.study}: {task.words}", "sentences": results.answers.get(task.task, ())}
        for results in studies
        for task in results.tasks
    ]
    head = {
        "title": f"{' · '.join(names)} – xray_mining",
        "menu": "The answers",
        "eyebrow": f"{len(names)} studies side by side",
        "heading": ", ".join(names[:-1]) + f" and {names[-1]}",
        "answers": answers,
        "calm": "No check of these studies failed.",
        "facts": [(results.study, f"{len(results.experiments)} models") for results in studies],
    }
    return head, found, sections


def _models(studies: Sequence[Results]) -> Section:
    groups: dict[tuple[str, str, str], list[Pair]] = {}
    for results in studies:
        for task in results.tasks:
            groups.setdefault((task.target, task.kind, task.unit), []).append((results, task))
    blocks = [Part(pairs[0][1].words, _target(pairs)) for pairs in groups.values()]
    shared = sum(len({results.study for results, _ in pairs}) > 1 for pairs in groups.values())
    sentence = (
        "Models of different studies were tested on different patients, unless their cohorts have the same digest. "
        "Rows can be compared by eye, but differences between studies are not tested here."
    )
    if not shared:
        sentence = "These studies have no common target, so their figures are not comparable. " + sentence
    return Section("models", "Models side by side", sentence, tuple(blocks))


def _target(pairs: list[Pair]) -> tuple[Block, ...]:
    """A figure of the chosen models and a table of all models for one target, over all studies that have it."""
    task = pairs[0][1]
    rows, lines, told, names = [], [], Cautions(), list(task.shows.compared)
    frames = [
        at_main_point(results.scores(each).filter((pl.col("baseline") == "") & (pl.col("class") == "")))
        for results, each in pairs
    ]
    # Only metrics that some study has are columns; the first of them is drawn.
    present = {metric for frame in frames for metric in frame["metric"]}
    names = [name for name in names if name in present]
    main = names[0] if names else ""
    for (results, each), frame in zip(pairs, frames, strict=True):
        for note in results.members(each):
            own = frame.filter(pl.col("experiment") == note.experiment)
            if own.is_empty():
                continue
            model = model_cell(each, note)
            cells = [
                Cell(f"{results.study}: {note.words}", model.detail, mark=model.mark),
                Cell(f"{each.patients:,}", value=float(each.patients)),
            ]
            rows.append(Row((*cells, *(told.metric(own, name) for name in names)), kind=note.model_kind or "model"))
            first = next(own.filter(pl.col("metric") == main).iter_rows(named=True), None)
            chosen = (each.best, each.best_baseline, each.best_null, each.frozen, each.oracle)
            if first is not None and note.experiment in chosen:
                words = f"{results.study}: {note.words}"
                lines.append((words, note.shows, first["value"], first["low"], first["high"]))
    if not rows:
        return (Points(("No study has an estimate of this target.",)),)
    metric = metric_of(main)
    unit = f" ({task.metric_unit})" if task.metric_unit else ""
    said = "; ".join(f"{line[0]} {number(line[2], metric.digits, metric.percent)}" for line in lines)
    name = slug(f"{task.target}-{task.kind}")
    figure = forest(
        f"side-by-side-{name}",
        lines,
        label=f"{metric.title}{unit}",
        caption=f"{metric.title} of the best models, null models and oracle of each study.",
        alternative=f"{metric.title}: {said}.",
    )
    heads = (Column("Model"), Column("Test patients", numeric=True), *metric_columns(names, task.unit))
    caption = f"{task.words}: {len(rows)} models of {len(pairs)} studies"
    return Figures((figure,)), Table(f"models-{name}", caption, heads, tuple(rows), told.note)


def _cohorts(studies: Sequence[Results]) -> Section:
    """A table of all cohorts, and sentences about the differences between two of them."""
    rows, known = [], []
    for results in studies:
        for cohort in results.cohorts:
            # Studies with several rotations have no roles, but a count of tested patients.
            steps, roles = cohort.get("steps") or [{}], {role["role"]: role for role in cohort.get("roles", ())}
            last, test = steps[-1], cohort.get("tested") or roles.get("test", {})
            parameters = ", ".join(f"{key} = {value}" for key, value in cohort.get("parameters", {}).items())
            known.append((f"{results.study}: {results.cohort_words(cohort['cohort'])}", cohort))
            rows.append(
                Row(
                    (
                        Cell(known[-1][0]),
                        Cell(cohort.get("query", ""), parameters),
                        Cell(
                            f"{last.get('images', 0):,}", f"{last.get('patients', 0):,} patients", last.get("images", 0)
                        ),
                        Cell(
                            f"{test.get('images', 0):,}", f"{test.get('patients', 0):,} patients", test.get("images", 0)
                        ),
                        Cell(str(cohort.get("folds", "")), cohort.get("salt", "")),
                        Cell(cohort.get("store", "")),
                        Cell(cohort.get("digest", ""), mark="digest"),
                    )
                )
            )
    if not rows:
        return Section("cohorts", "Where their cohorts differ", "No study has recorded how its cohorts were selected.")
    heads = (
        Column("Cohort"),
        Column("SQL file"),
        Column("Images", numeric=True),
        Column("Test images", numeric=True),
        Column("Folds, salt"),
        Column("Pixel store"),
        Column("Digest"),
    )
    # The number of pairs grows with the square of the cohorts, so only the first sentences are listed.
    sentences = [
        sentence
        for place, (name, cohort) in enumerate(known)
        for other, theirs in known[place + 1 :]
        if (sentence := _difference(name, cohort, other, theirs))
    ]
    blocks: list[Block] = [Points(tuple(sentences[:20]))] if sentences else []
    if len(sentences) > 20:
        blocks.append(Points((f"{len(sentences) - 20} further pairs are not listed; the table has all cohorts.",)))
    blocks.append(Table("cohorts-compared", f"{len(rows)} cohorts", heads, tuple(rows)))
    same = len({cohort.get("digest") for _, cohort in known}) == 1
    sentence = (
        "All cohorts have the same digest: the same patients, folds and targets."
        if same
        else "The cohorts are not the same."
    )
    return Section("cohorts", "Where their cohorts differ", sentence, tuple(blocks))


def _difference(name: str, cohort: dict[str, Any], other: str, theirs: dict[str, Any]) -> str:
    """A sentence about the differences of two cohorts; empty if they have no common target."""
    targets = [{each["name"] for each in one.get("targets", ())} for one in (cohort, theirs)]
    if targets[0] and targets[1] and not targets[0] & targets[1]:
        return ""
    if cohort.get("digest") == theirs.get("digest"):
        return f"{name} and {other}: the same patients, folds and targets."
    apart = [
        words
        for key, words in (
            ("query", "the SQL file"),
            ("sql", "the SQL's text"),
            ("parameters", "its parameters"),
            ("salt", "the salt of the folds"),
            ("folds", "the number of folds"),
            ("store", "the pixel store"),
            ("catalog_digest", "the content of the archives"),
        )
        if cohort.get(key) != theirs.get(key)
    ]
    return f"{name} and {other} differ in {', '.join(apart) or 'their members'}."


def _people(studies: Sequence[Results]) -> Section:
    columns: list[tuple[str, dict[tuple[str, str, str], dict[str, Any]]]] = []
    order: dict[tuple[str, str, str], tuple[int, int]] = {}
    for results in studies:
        everybody = results.table_one.filter(pl.col("column") == "all")
        for cohort in everybody["cohort"].unique(maintain_order=True).to_list():
            cells = {}
            for row in everybody.filter(pl.col("cohort") == cohort).iter_rows(named=True):
                key = (row["variable"], row["unit"], row["level"])
                cells[key] = row
                order.setdefault(key, (row["variable_order"], row["level_order"]))
            columns.append((f"{results.study}: {results.cohort_words(cohort)}", cells))
    if not columns:
        return Section("people", "Who they are", "No study has described its patients.")
    rows = []
    for key in sorted(order, key=lambda key: (order[key], key)):
        variable, unit, level = key
        words = variable_words(variable) + (f", {unit}" if unit else "") + (f": {level}" if level else "")
        rows.append(Row((Cell(words), *(cell_of(cells.get(key)) for _, cells in columns))))
    heads = (Column(""), *(Column(name, numeric=True) for name, _ in columns))
    table = Table(
        "people-compared",
        "All members of each cohort: mean ± standard deviation, or number (share)",
        heads,
        tuple(rows),
    )
    return Section("people", "Who they are", "Each patient is counted once in each cohort.", (table,))


def _versions(studies: Sequence[Results]) -> Section:
    rows: list[Row] = []
    packages = sorted({name for results in studies for name in results.provenance.versions})
    differing = 0
    for package in packages:
        found = [str(results.provenance.versions.get(package, "–")) for results in studies]
        mark = "failed" if len(set(found)) > 1 else ""
        differing += bool(mark)
        rows.append(Row((Cell(package), *(Cell(version, mark=mark) for version in found))))
    for title, value in (
        ("digest of the study file", lambda results: results.provenance.study_digest or "–"),
        ("seeds", lambda results: ", ".join(str(seed) for seed in results.provenance.seeds) or "–"),
        ("kinds of model", lambda results: ", ".join(_kinds(results)) or "–"),
    ):
        rows.append(Row((Cell(title), *(Cell(value(results)) for results in studies))))
    heads = (Column(""), *(Column(results.study) for results in studies))
    sentence = (
        f"{differing} packages have different versions in these studies; this may be the cause of different results."
        if differing
        else "All studies used the same versions of the packages that can change results."
    )
    return Section(
        "versions", "Versions", sentence, (Table("versions-compared", "Versions and seeds", heads, tuple(rows)),)
    )


def _kinds(results: Results) -> list[str]:
    return sorted({note.shows.words for note in results.experiments.values()})
