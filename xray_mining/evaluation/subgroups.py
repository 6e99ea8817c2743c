"""Errors and areas by sex, age band, view, maker, archive, site and year, with the rest as the other side of a test."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import polars as pl

from xray_mining.evaluation.choice import Choice, operating_points
from xray_mining.evaluation.gather import Array, Model, Task
from xray_mining.evaluation.options import EvaluationOptions
from xray_mining.evaluation.rows import row
from xray_mining.evaluation.small_cells import hidden_cells
from xray_mining.statistics.auc import auc
from xray_mining.statistics.comparison import difference_of_areas, difference_of_means, holm
from xray_mining.statistics.estimate import Estimate, owners
from xray_mining.statistics.refit import SCALES, filled, refit_of, share_of_class, widened
from xray_mining.statistics.resampling import SCORE, linear_interval, patient_sums, proportion_interval

COLUMNS = ("patient_sex", "age_band", "view_position", "manufacturer", "archive", "institution", "study_year")
INTERSECTION = ("patient_sex", "age_band")
UNKNOWN = "not known"
LEVELS_AT_MOST = 30
"""Columns with more levels are cut to those with most patients."""


def age_bands(ages: pl.Series, width: int) -> pl.Series:
    """Ages in years as texts like '20 to 29'; null stays null."""
    low = (ages / width).floor().cast(pl.Int64) * width
    frame = pl.DataFrame({"low": low})
    return frame.select(
        pl.when(pl.col("low").is_null())
        .then(None)
        .otherwise(pl.format("{} to {}", pl.col("low"), pl.col("low") + width - 1))
        .alias("age_band")
    )["age_band"]


def columns(task: Task, width: int) -> pl.DataFrame:
    """The subgroup columns of a task's units, as text, in their order."""
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
    """(family, subgroup, which units) of every cell that may be printed; one-level columns are left out.

    Left out are cells of fewer than `least` patients, those whose sums would tell of one, and what Table 1 does not
    tell: `hidden`, of (column, level, sex), sex '' for both together.
    """
    by_sex = told_cells(
        table["age_band"], table["patient_sex"], owner, least, {each[1:] for each in hidden if each[0] == "age_band"}
    )
    seen: dict[str, list[tuple[str, Array]]] = {}
    for name in table.columns:
        values = table[name]
        levels = values.drop_nulls().value_counts(sort=True)[name].to_list()[:LEVELS_AT_MOST]
        if len(values.drop_nulls().unique()) < 2:
            continue
        if name == "age_band":
            told = {level for level, sex in by_sex if not sex}
        elif name == "patient_sex":
            told = {sex for level, sex in by_sex if not level}
        else:
            nobody = pl.Series([""] * len(values), dtype=pl.String)
            others = {(level, sex) for column, level, sex in hidden if column == name and not sex}
            told = {level for level, _ in told_cells(values, nobody, owner, least, others)}
        for level in sorted(levels):
            members = (values == level).fill_null(False).to_numpy()
            seen.setdefault(name, []).append((level, members))
            if level in told:
                yield name, f"{name}={level}", members
    if all(name in seen for name in INTERSECTION):
        for (sex, a), (level, b) in product(seen["patient_sex"], seen["age_band"]):
            if (level, sex) in by_sex:
                yield " & ".join(INTERSECTION), f"patient_sex={sex} & age_band={level}", a & b


def told_cells(
    first: pl.Series, second: pl.Series, owner: Array, least: int, hidden: Collection[tuple[str, str]]
) -> set[tuple[str, str]]:
    """The cells of two columns and their margins that may be printed; 'unknown' is a level, and is not printed."""
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
) -> list[dict[str, Any]]:
    """Rows of estimates by subgroup, each tested against the rest, p adjusted by Holm within experiment and column.

    Women against the rest and men against the rest are one test where nobody is of another sex: rows of one test have
    the same `p_value`, and it counts once. `hidden` as in `cells`.
    """
    if task.target.kind == "group":
        return []
    table = columns(task, options.age_band_years)
    groups = list(cells(table, task.owner, options.least_patients, hidden))
    rows: list[dict[str, Any]] = []
    tests: list[bytes] = []
    for model in task.models.values():
        for family, subgroup, members in groups:
            for each in _cell(task, model, members, options):
                name = f"{task.name}: {model.name} by {family}, {each['metric']}"
                rows.append(each | {"subgroup": subgroup, "family": name})
                tests.append(_test(members, model.known & _side(task, each["metric"])))
    _adjust(rows, tests)
    return rows


def _side(task: Task, metric: str) -> Array:
    """The units a metric is about."""
    sides = {"sensitivity": task.truth == 1, "specificity": task.truth == 0}
    return sides.get(metric, np.ones(len(task.truth), dtype=bool))


def _test(members: Array, asked: Array) -> bytes:
    """What tells a test of members against the rest from others: the same for either side of one division."""
    inside, outside = (members & asked).tobytes(), (~members & asked).tobytes()
    return min(inside, outside)


def _adjust(rows: list[dict[str, Any]], tests: Sequence[bytes]) -> None:
    """Holm within a family; two levels that are everybody between them are one test, and have one p."""
    families: dict[str, dict[bytes, list[dict[str, Any]]]] = {}
    for each, test in zip(rows, tests, strict=True):
        families.setdefault(each["family"], {}).setdefault(test, []).append(each)
    for family in families.values():
        p_values = [members[0]["p_value"] for members in family.values()]
        found = holm([np.nan if each is None else each for each in p_values])
        for members, p, value in zip(family.values(), p_values, found, strict=True):
            for each in members:
                each |= {"p_value": p, "p_adjusted": float(value) if np.isfinite(value) else None}
                if each["p_adjusted"] is None:
                    each["family"] = ""


def _folds_of_both(task: Task, inside: Array) -> Array:
    negative, positive = (np.unique(task.folds[inside & (task.truth == each)]) for each in (0, 1))
    return np.intersect1d(negative, positive)


def _loss_again(error: Array, metric: str) -> Array:
    return np.abs(error) if metric == "mae" else error


def _for_folds(
    task: Task, found: Estimate, values: Array, again: Array | None, units: Array, *, metric: str, among: Array
) -> Estimate:
    """The mean of `values` (n,) over units (n,) bool with what shared training patients add; its p has it already.

    `among` (n,) bool: all units that the metric is about, of which `units` are the subgroup's.
    """
    owner = owners(task.owner[units], int(units.sum()))
    there = None if again is None else again[units]
    share = (int(owner.max()) + 1) / len(np.unique(task.owner[among]))
    share *= 1.0 if among.all() else share_of_class(among)
    refit = refit_of(task.folds[units], owner, there, share=share)
    if refit is None:
        return found
    first = values[units]
    other = filled(there, first)
    factor = refit.factor_of_units(first - first.mean(), other - other.mean(), owner)
    wide = widened(found, factor, SCALES.get(metric, "plain"), refit.caution)
    return replace(wide, p_value=found.p_value)


def _cell(task: Task, model: Model, members: Array, options: EvaluationOptions) -> list[dict[str, Any]]:
    known = model.known
    inside = members & known
    count = len(np.unique(task.owner[inside]))
    if count < options.least_patients:
        return []
    owner = owners(task.owner[inside], int(inside.sum()))
    rest = known & ~members
    if task.is_number:
        error = model.values - task.truth
        rows = []
        for metric, values in (("mae", np.abs(error)), ("bias", error)):
            mean = float(values[inside].mean())
            influence = (values[inside] - mean) / inside.sum()
            low, high, _ = linear_interval(mean, influence, owner, options.confidence)
            others = None if model.again is None else _loss_again(model.again - task.truth, metric)
            p_value = np.nan
            if rest.any():
                tested = difference_of_means(values[known], members[known], task.owner[known], options.confidence)
                p_value = tested.p_value
            method = "Student, variance by patient"
            found = Estimate(mean, low, high, count, int(inside.sum()), method, "", p_value)
            everybody = np.ones(len(members), dtype=bool)
            found = _for_folds(task, found, values, others, inside, metric=metric, among=everybody)
            rows.append(row(task, model, metric, found))
        return rows
    truth = task.truth
    if len(np.unique(truth[inside])) < 2:
        return []
    try:
        found = auc(
            truth[inside],
            model.values[inside],
            owner,
            task.folds[inside],
            options.confidence,
            again=model.again_of(inside),
            share=count / task.patients,
        )
    except ValueError:
        # Both classes are here, but no rotation tested both.
        return []
    # Folds in which it has one class only say nothing of its area: their patients are not behind the figure.
    told = inside & np.isin(task.folds, _folds_of_both(task, inside))
    count = len(np.unique(task.owner[told]))
    if count < options.least_patients:
        return []
    found = replace(found, patients=count, images=int(told.sum()))
    if not np.isfinite(found.low):
        found = found.with_caution("no interval, for a fold has a single patient of a class")
    tested = difference_of_areas(
        truth[known],
        model.values[known],
        members[known],
        task.owner[known],
        task.folds[known],
        confidence=options.confidence,
    )
    rows = [row(task, model, "auc", found, p_value=None if np.isnan(tested.p_value) else tested.p_value)]
    for point in operating_points(model, options.sensitivity_targets)[:1]:
        called, again = point.called(task, model), point.called_again(task, model)
        other = None if again is None else 1 - again
        for metric, side, right, there in (
            ("sensitivity", truth == 1, called, again),
            ("specificity", truth == 0, ~called, other),
        ):
            here = inside & side
            own = len(np.unique(task.owner[here]))
            if own < options.least_patients:
                continue
            sums = patient_sums(
                np.stack([right[here], np.ones(int(here.sum()))], axis=1), owners(task.owner[here], int(here.sum()))
            )
            value, low, high = proportion_interval(sums, options.confidence)
            against = known & side
            tested = difference_of_means(
                right[against].astype(np.float64),
                members[against],
                task.owner[against],
                options.confidence,
            )
            each = Estimate(value, low, high, own, int(here.sum()), SCORE, "", tested.p_value)
            each = _for_folds(task, each, right.astype(np.float64), there, here, metric=metric, among=side)
            rows.append(row(task, model, metric, each, operating_point=point.name, threshold=point.threshold))
    return rows
