"""The best model by sex, age, view, maker, site and year."""

import re

import polars as pl

from xray_mining.records.images import YEARS_ARE_SHIFTED
from xray_mining.records.words import SEX_WORDS
from xray_mining.reporting.figures import Line, forest
from xray_mining.reporting.layout import Cautions, by_task, metric_columns
from xray_mining.reporting.metrics import metric_of, number, p_value
from xray_mining.reporting.models import ModelKind
from xray_mining.reporting.results import Results, Task
from xray_mining.reporting.section import Block, Cell, Column, Figure, Figures, Row, Section, Table
from xray_mining.reporting.sections.table_one import variable_words

ORDER = 70
DRAWN = 40
"""Largest number of groups in the figure; the table has all groups."""
_LOOKS = ModelKind(words="", colour="blue")
"""All groups have the same marker and colour, for any kind of model."""


def applies(results: Results) -> bool:
    """Always."""
    return True


def build(results: Results) -> Section:
    """For each task a figure of the main metric by group, and a table."""
    least = results.notes.least_patients
    return Section(
        "subgroups",
        "Subgroups",
        f"The best model in groups of test patients. Groups of fewer than {least} patients are left out, and so are "
        f"groups from which such a number could be computed. p compares a group with all other patients and is "
        f"adjusted for the number of groups; two groups that together are all patients count as one test. The audit "
        f"FAIR001 tests all columns together with another adjustment, so its p values differ.",
        by_task(results, results.tasks, lambda task: _task(results, task)),
    )


def parts_of(subgroup: str) -> list[str]:
    """The column=value pairs of a subgroup; a value may contain ' & '."""
    return re.split(r" & (?=[a-z_]+=)", subgroup)


def subgroup_words(subgroup: str) -> str:
    """A subgroup in words: 'women, age 20 to 29' for 'patient_sex=F & age_band=20 to 29'."""
    said = []
    for pair in parts_of(subgroup):
        name, _, level = pair.partition("=")
        if name == "patient_sex":
            said.append(SEX_WORDS.get(level, level))
        elif name == "age_band":
            said.append(f"age {level}")
        else:
            words = variable_words(name).lower()
            # Sites are called 'site 1' already.
            said.append(level if level.startswith(f"{words} ") else f"{words} {level}")
    return ", ".join(said)


def _task(results: Results, task: Task) -> tuple[list[Block], str]:
    """The figure and the table of one task."""
    rows = results.by_subgroup(task).filter(
        (pl.col("experiment") == task.best) & (pl.col("baseline") == "") & (pl.col("class") == "")
    )
    rows = rows.filter(pl.col("operating_point").fill_null("").is_in(["", "youden", "largest"]))
    names = [name for name in task.shows.by_subgroup if name in set(rows["metric"])]
    if not names:
        return [], "No subgroup has enough test patients."
    groups = rows["subgroup"].unique(maintain_order=True).to_list()
    groups.sort(key=lambda group: (len(parts_of(group)), _rank(group), group))
    main = names[0]
    # The figure has groups of one column with an interval; the table also has sex by age.
    lines, table, told = [], [], Cautions()
    without = 0
    for group in groups:
        own = {row["metric"]: row for row in rows.filter(pl.col("subgroup") == group).iter_rows(named=True)}
        first = own.get(main)
        if first is None:
            continue
        if len(parts_of(group)) == 1 and first["low"] is None:
            without += 1
        elif len(parts_of(group)) == 1:
            words = subgroup_words(group)
            words = words if len(words) < 34 else words[:32] + " …"
            lines.append((words, _LOOKS, first["value"], first["low"], first["high"]))
        cells = [Cell(subgroup_words(group)), Cell(f"{first['patients']:,}", value=first["patients"])]
        for name in names:
            row = own.get(name)
            cells.append(Cell("–") if row is None else told.cell(row, sign=name == "bias"))
        adjusted = first["p_adjusted"] if first["p_adjusted"] is not None else first["p_value"]
        cells.append(p_value(adjusted))
        table.append(Row(tuple(cells)))
    model = results.experiments[task.best].words
    metric = metric_of(main)
    figure = _figure(results, task, main, lines[:DRAWN], without)
    years = YEARS_ARE_SHIFTED if any("study_year=" in group for group in groups) else ""
    heads = (
        Column("Group"),
        Column("Patients", numeric=True),
        *metric_columns(names, task.unit),
        Column("p", numeric=True, explanation=f"For no difference in {metric.title} from all other patients."),
    )
    return [
        Figures((figure,)),
        Table(f"subgroups-{task.anchor}", f"{model}: by subgroup", heads, tuple(table), f"{told.note} {years}".strip()),
    ], ""


def _figure(results: Results, task: Task, main: str, single: list[Line], without: int) -> Figure:
    """The figure of groups of one column; `without` is the number of groups without an interval, not drawn."""
    model, metric = results.experiments[task.best].words, metric_of(main)
    whole = results.scores(task).filter(
        (pl.col("experiment") == task.best) & (pl.col("metric") == main) & (pl.col("baseline") == "")
    )
    reference = whole["value"].to_list()[0] if whole.height else None
    unit = f" ({task.metric_unit})" if task.metric_unit else ""
    undrawn = f" Not drawn: {without} without an interval (see the table)." if without else ""
    return forest(
        f"forest-of-subgroups-{task.anchor}",
        single,
        label=f"{metric.title}{unit}",
        caption=f"{model}: {metric.title} in each group; the dashed line is all patients.{undrawn}",
        alternative=f"{metric.title} of {model} by subgroup: "
        + "; ".join(f"{line[0]} {number(line[2], metric.digits, metric.percent)}" for line in single)
        + ".",
        reference=reference,
        reference_words="all patients",
    )


def _rank(group: str) -> int:
    order = ("patient_sex", "age_band", "view_position", "manufacturer", "archive", "institution", "study_year")
    name = group.partition("=")[0]
    return order.index(name) if name in order else len(order)
