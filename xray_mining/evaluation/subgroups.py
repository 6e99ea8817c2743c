"""Errors and areas by sex, age band, view, maker, archive, site and year; each subgroup is tested against the rest."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from itertools import product

import numpy as np
import polars as pl

from xray_mining.evaluation.choice import Choice
from xray_mining.evaluation.options import EvaluationOptions
from xray_mining.evaluation.rows import scored_row
from xray_mining.evaluation.small_cells import hidden_cells
from xray_mining.evaluation.small_sides import Cells
from xray_mining.evaluation.task import Array, Scored, Task
from xray_mining.records.estimates import EstimateRow
from xray_mining.records.small_counts import is_small
from xray_mining.statistics.comparison import holm

COLUMNS = ("patient_sex", "age_band", "view_position", "manufacturer", "archive", "institution", "study_year")
INTERSECTION = ("patient_sex", "age_band")
UNKNOWN = "not known"
LEVELS_AT_MOST = 30
"""Of a column with more levels only the most frequent ones are used."""


def age_bands(ages: pl.Series, width: int) -> pl.Series:
    """Age bands of `width` years as text, for example '20 to 29', for ages in years; null stays null."""
    low = (ages / width).floor().cast(pl.Int64) * width
    frame = pl.DataFrame({"low": low})
    return frame.select(
        pl.when(pl.col("low").is_null())
        .then(None)
        .otherwise(pl.format("{} to {}", pl.col("low"), pl.col("low") + width - 1))
        .alias("age_band")
    )["age_band"]


def columns(task: Task, width: int) -> pl.DataFrame:
    """The subgroup columns of a task's units, as text, in the order of the units; sites are numbered."""
    units = task.units
    sites = units["institution_key"].drop_nulls().unique().sort().to_list()
    number = {key: f"site {i + 1}" for i, key in enumerate(sites)}
    return units.select(
        "patient_sex",
        age_bands(units["age_years"], width).alias("age_band"),
        "view_position",
        "manufacturer",
        "archive",
        pl.col("institution_key").replace_strict(number, default=None, return_dtype=pl.String).alias("institution"),
        pl.col("study_year").cast(pl.String).alias("study_year"),
    )


def cells(
    table: pl.DataFrame, owner: Array, least: int, hidden: Collection[tuple[str, str, str]] = ()
) -> Iterator[tuple[str, str, Array]]:
    """The subgroups that may be printed: (family, subgroup, units (n,) bool) of each.

    Left out are columns with one level, cells of fewer than `least` patients, cells from which such a cell could be
    computed, and cells that Table 1 hides.

    Args:
        table: Columns of attributes, as `columns` gives them.
        owner: (n,) number of each unit's patient.
        least: Fewest patients of a printed cell.
        hidden: Cells that Table 1 hides: (column, level, sex), sex '' for all patients.
    """
    # Age bands and sexes are also crossed, so their cells and sums are checked together; other columns one by one.
    by_sex = shown_cells(
        table["age_band"], table["patient_sex"], owner, least, {each[1:] for each in hidden if each[0] == "age_band"}
    )
    seen: dict[str, list[tuple[str, Array]]] = {}
    for name in table.columns:
        values = table[name]
        levels = values.drop_nulls().value_counts(sort=True)[name].to_list()[:LEVELS_AT_MOST]
        if len(values.drop_nulls().unique()) < 2:
            continue
        if name == "age_band":
            shown = {level for level, sex in by_sex if not sex}
        elif name == "patient_sex":
            shown = {sex for level, sex in by_sex if not level}
        else:
            no_second = pl.Series([""] * len(values), dtype=pl.String)
            others = {(level, sex) for column, level, sex in hidden if column == name and not sex}
            shown = {level for level, _ in shown_cells(values, no_second, owner, least, others)}
        for level in sorted(levels):
            members = (values == level).fill_null(False).to_numpy()
            seen.setdefault(name, []).append((level, members))
            if level in shown:
                yield name, f"{name}={level}", members
    if all(name in seen for name in INTERSECTION):
        for (sex, a), (level, b) in product(seen["patient_sex"], seen["age_band"]):
            if (level, sex) in by_sex:
                yield " & ".join(INTERSECTION), f"patient_sex={sex} & age_band={level}", a & b


def shown_cells(
    first: pl.Series, second: pl.Series, owner: Array, least: int, hidden: Collection[tuple[str, str]]
) -> set[tuple[str, str]]:
    """The cells and margins of two columns that may be printed, as (level, level); '' means all patients.

    Unknown values count as a level, so that sums are complete, but this level is never printed.
    """
    frame = pl.DataFrame({"first": first.fill_null(UNKNOWN), "second": second.fill_null(UNKNOWN), "owner": owner})
    count = pl.col("owner").n_unique()
    counts: dict[tuple[str, str], int] = {}
    for name in dict.fromkeys(("first", "second")):
        for level, patients in frame.group_by(name).agg(count).iter_rows():
            counts[(level, "") if name == "first" else ("", level)] = patients
    for level, other, patients in frame.group_by("first", "second").agg(count).iter_rows():
        counts[(level, other)] = patients
    counts = {cell: counts[cell] for cell in sorted(counts) if any(cell)}
    few = hidden_cells(counts, least, hidden)
    return {cell for cell in counts if cell not in few and UNKNOWN not in cell}


def by_subgroup(
    task: Task, options: EvaluationOptions, choice: Choice, hidden: Collection[tuple[str, str, str]] = ()
) -> list[EstimateRow]:
    """Rows of estimates by subgroup, tested against the rest; p is adjusted by Holm within an experiment and column.

    If no patient has another sex, women against the rest and men against the rest are the same test: both rows have the
    same `p_value`, and the adjustment counts it once. `hidden` as in `cells`. Sensitivity and specificity use the units
    of one class only: they are left out if these are of few patients, or if their count would reveal few patients.
    """
    table = columns(task, options.age_band_years)
    groups = list(cells(table, task.owner, options.least_patients, hidden))
    printed = Cells(table, task.owner, {subgroup for _, subgroup, _ in groups}, options.least_patients)
    shown: dict[bytes, set[str]] = {}
    rows: list[EstimateRow] = []
    tests: list[bytes] = []
    for model in task.models.values():
        for family, subgroup, members in groups:
            if len(np.unique(task.owner[members & model.known])) < options.least_patients:
                continue
            for each, about in task.kind.by_cell(task, model, members, options):
                asked = model.known & about
                key = model.known.tobytes() + asked.tobytes()
                if key not in shown:
                    shown[key] = printed.shown(model.known, about)
                if subgroup not in shown[key]:
                    continue
                scored = _with_whole_count(each, task.owner, members & asked, options.least_patients)
                name = f"{task.name}: {model.name} by {family}, {each.metric}"
                rows.append(scored_row(task, model, scored, subgroup=subgroup, family=name))
                tests.append(_test(members, asked))
    return _adjusted(rows, tests)


def _with_whole_count(scored: Scored, owner: Array, units: Array, least: int) -> Scored:
    """The figure with the patients of all its units (n,) bool, if it says nothing of few of them.

    An area says nothing of a fold with one class: beside the size of the subgroup its own count would tell of few.
    """
    whole = len(np.unique(owner[units]))
    if not is_small(whole - scored.found.patients, least):
        return scored
    return replace(scored, found=replace(scored.found, patients=whole, images=int(units.sum())))


def _test(members: Array, asked: Array) -> bytes:
    """An identifier of the test of members against the rest; it is the same for both sides."""
    inside, outside = (members & asked).tobytes(), (~members & asked).tobytes()
    return min(inside, outside)


def _adjusted(rows: Sequence[EstimateRow], tests: Sequence[bytes]) -> list[EstimateRow]:
    """`rows` with p adjusted by Holm within a family; rows with the same identifier in `tests` count as one test."""
    families: dict[str, dict[bytes, list[int]]] = {}
    for number, (each, test) in enumerate(zip(rows, tests, strict=True)):
        families.setdefault(each.family, {}).setdefault(test, []).append(number)
    found = list(rows)
    for family in families.values():
        p_values = [rows[members[0]].p_value for members in family.values()]
        values = holm([np.nan if each is None else each for each in p_values])
        for members, p, value in zip(family.values(), p_values, values, strict=True):
            adjusted = float(value) if np.isfinite(value) else None
            for number in members:
                name = rows[number].family if adjusted is not None else ""
                found[number] = replace(rows[number], p_value=p, p_adjusted=adjusted, family=name)
    return found
