"""FAIR002: compare two groups on a test set that is drawn so that age, sex and (for classes) prevalence are equal."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from xray_mining.evaluation.audits._audit import LEVEL, Audit, AuditedTask, Figure, NotApplicable, Verdict
from xray_mining.evaluation.options import EvaluationOptions
from xray_mining.evaluation.subgroups import age_bands
from xray_mining.evaluation.task import Array, Model, Task
from xray_mining.statistics.comparison import holm
from xray_mining.statistics.estimate import Estimate

MATCHED = ("patient_sex", "view_position", "manufacturer", "institution_key")
"""Attributes whose two most frequent levels are compared."""


@dataclass(frozen=True, slots=True)
class Pair:
    """The difference between two matched groups."""

    attribute: str
    levels: tuple[str, str]
    images: int
    gap: Estimate
    p_adjusted: float

    @property
    def names(self) -> tuple[str, str]:
        """The levels as text; sites without their keys, which have no meaning for readers and may identify the site."""
        return self.levels if self.attribute != "institution_key" else ("the largest site", "the second largest site")


def measure(audited: AuditedTask) -> tuple[Pair, ...] | NotApplicable:
    """The difference for each attribute with two groups of enough patients; p adjusted by Holm over the attributes."""
    task, model, options = audited.task, audited.best, audited.options
    if model is None:
        return NotApplicable("no best model was chosen.")
    if not task.kind.screened:
        return NotApplicable(f"groups are not compared for targets of kind {task.target.kind}.")
    compared: list[tuple[str, tuple[str, str], int, Estimate]] = []
    for name in MATCHED:
        levels = two_levels(task, model, name)
        if name == task.target.name or len(levels) != 2:
            continue
        drawn = matched(task, model, name, levels, options)
        first = (task.units[name] == levels[0]).fill_null(False).to_numpy()
        gap = gap_between(task, model, first, drawn, options)
        if gap is not None:
            compared.append((name, (levels[0], levels[1]), len(drawn), gap))
    if not compared:
        return NotApplicable(f"no two groups have enough patients of equal {equal_in(audited)} to be compared.")
    adjusted = holm([gap.p_value for *_, gap in compared])
    return tuple(Pair(*each, float(p)) for each, p in zip(compared, adjusted, strict=True))


def two_levels(task: Task, model: Model, name: str) -> list[str]:
    """The two levels of an attribute with most tested units; M before F, other levels by name."""
    values = task.units[name].filter(pl.Series(model.known)).drop_nulls()
    if name == "patient_sex":
        values = values.filter(values.is_in(["M", "F"]))
    counts = values.value_counts().sort(["count", name], descending=[True, False])
    return sorted(counts[name].head(2).to_list(), reverse=name == "patient_sex")


def matched(task: Task, model: Model, name: str, levels: Sequence[str], options: EvaluationOptions) -> Array:
    """Draw units at random, with equal numbers of both levels in each cell of age band and sex; returns their rows.

    If the kind of target has classes or levels, the units of a cell are also of one class or level.
    """
    classes = task.kind.matched_by(task)
    frame = pl.DataFrame(
        {
            "place": np.arange(len(task.truth)),
            "level": task.units[name],
            "sex": task.units["patient_sex"] if name != "patient_sex" else pl.Series([""] * len(task.truth)),
            "band": age_bands(task.units["age_years"], options.age_band_years),
            "label": np.full(len(task.truth), "") if classes is None else classes,
            "order": np.random.default_rng([options.seed, 41]).permutation(len(task.truth)),
        }
    ).filter(pl.Series(model.known) & pl.col("level").is_in(list(levels)).fill_null(False))
    cell = ["band", "sex", "label"]
    frame = frame.drop_nulls(cell)
    counts = frame.group_by(*cell, "level").len().group_by(cell).agg(pl.col("len").min(), pl.len().alias("levels"))
    drawn = (
        frame.join(counts.filter(pl.col("levels") == 2).select(*cell, "len"), on=cell)
        .with_columns(pl.col("order").rank("ordinal").over(*cell, "level").alias("_rank"))
        .filter(pl.col("_rank") <= pl.col("len"))
    )
    return drawn["place"].sort().to_numpy()


def gap_between(task: Task, model: Model, first: Array, place: Array, options: EvaluationOptions) -> Estimate | None:
    """The metric of units in `first` (n,) bool minus that of the other units in the rows `place`.

    None if there are too few patients, or if it is not defined.
    """
    if len(np.unique(task.owner[place])) < 2 * options.least_patients:
        return None
    found = task.kind.gap(task, model, first, place, options)
    return found if found is not None and np.isfinite(found.p_value) else None


def words(audited: AuditedTask, found: Pair) -> str:
    """One difference, as a clause."""
    one, other = found.names
    gap = found.gap
    return (
        f"{audited.task.kind.title} of {one} minus {other} {gap.value:.3f} ({gap.low:.3f} to {gap.high:.3f}) "
        f"on {found.images:,} images"
    )


def equal_in(audited: AuditedTask) -> str:
    """What the compared groups have alike, in words."""
    more = audited.task.kind.matched_words
    return f"age, sex and {more}" if more else "age and sex"


def tell(audited: AuditedTask, found: tuple[Pair, ...]) -> Sequence[Verdict]:
    """Failed if two groups differ by more than chance."""
    guilty = [words(audited, each) for each in found if each.p_adjusted <= LEVEL]
    named = guilty or [words(audited, each) for each in found]
    sentence = f"at equal {equal_in(audited)}: {'; '.join(named)}."
    return [Verdict("failed" if guilty else "passed", sentence, len(guilty))]


def figures(audited: AuditedTask, found: tuple[Pair, ...]) -> Sequence[Figure]:
    """One row for each pair."""
    return [
        Figure.of(
            each.gap,
            experiment=audited.choice.best,
            attribute=each.attribute,
            label=" - ".join(each.names),
            metric=audited.task.metric,
            p_adjusted=each.p_adjusted,
            words=words(audited, each),
        )
        for each in found
    ]


KIND = Audit(
    code="FAIR002",
    title="groups made equal in age and sex",
    severity="warning",
    subject=AuditedTask,
    measure=measure,
    tell=tell,
    figures=figures,
    family="fairness",
    section="subgroups",
)
