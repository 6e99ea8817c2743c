"""SHORT003: how much of the variance of the target, and of the predictions, maker, site, view and year explain."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from scipy import stats

from xray_mining.evaluation.audits._audit import LEVEL, Audit, AuditedTask, Figure, NotApplicable, Verdict, level_words
from xray_mining.evaluation.task import Array
from xray_mining.statistics.comparison import benjamini_hochberg

ATTRIBUTES = ("manufacturer", "manufacturer_model_name", "institution_key", "archive", "view_position", "study_year")


@dataclass(frozen=True, slots=True)
class Explained:
    """Shares of variance that one attribute explains."""

    attribute: str
    of_target: float
    of_predictions: float
    """Share of the variance of the best model's predictions; nan if there is no best model."""
    p_value: float
    p_adjusted: float

    @property
    def words(self) -> str:
        """Both shares as a clause."""
        said = f"{level_words(self.attribute)} explains {100 * self.of_target:.1f} % of the target's variance"
        if np.isfinite(self.of_predictions):
            said += f" and {100 * self.of_predictions:.1f} % of the variance of the best model's predictions"
        return said


def measure(audited: AuditedTask) -> tuple[Explained, ...] | NotApplicable:
    """The shares of each attribute, from one unit of each patient; p adjusted by Benjamini-Hochberg over attributes."""
    task, model = audited.task, audited.best
    if not task.kind.one_value:
        kind = task.target.kind
        return NotApplicable(f"a variance needs one number for each image; targets of kind {kind} have no such number.")
    if not len(task.truth):
        return NotApplicable("no test unit has a known truth.")
    first = task.latest
    measured: list[tuple[str, float, float, float]] = []
    for name in ATTRIBUTES:
        level = levels(task.units[name][first], audited.options.least_patients)
        own, p = variance_between(level, task.truth[first])
        if np.isfinite(p):
            predicted = float("nan")
            if model is not None:
                known = model.known[first]
                predicted = variance_between(level[known], model.values[first][known])[0]
            measured.append((name, own, predicted, p))
    if not measured:
        return NotApplicable("no attribute has two levels with enough patients.")
    adjusted = benjamini_hochberg([p for *_, p in measured])
    return tuple(Explained(*each, float(q)) for each, q in zip(measured, adjusted, strict=True))


def levels(values: pl.Series, least: int) -> Array:
    """Number the levels of `values`, (n,) int64; levels with fewer than `least` units share the number 0."""
    frame = pl.DataFrame({"level": values.cast(pl.String).fill_null("")})
    rare = pl.len().over("level") < least
    number_of = pl.when(rare).then(None).otherwise(pl.col("level")).rank("dense").fill_null(0).cast(pl.Int64)
    return frame.select(number_of.alias("number"))["number"].to_numpy()


def variance_between(level: Array, values: Array) -> tuple[float, float]:
    """Share of the variance of `values` (n,) between levels, and p of an analysis of variance.

    The share is omega squared, whose mean is 0 if there is no difference; negative values are set to 0. Both results
    are nan if there are fewer than two levels, or as many levels as values.
    """
    present, place, counts = np.unique(level, return_inverse=True, return_counts=True)
    more, inside = len(present) - 1, len(values) - len(present)
    if more < 1 or inside < 1:
        return float("nan"), float("nan")
    means = np.bincount(place, values) / counts
    within = float(((values - means[place]) ** 2).sum()) / inside
    total = float(((values - values.mean()) ** 2).sum())
    between = total - within * inside
    if within <= 1e-12 * total:
        # All values within each level are equal: the levels explain all variance, or there is no variance.
        return (1.0, 0.0) if total > 0 else (float("nan"), float("nan"))
    share = (between - more * within) / (total + within)
    return max(0.0, share), float(stats.f.sf(between / more / within, more, inside))


def tell(_: AuditedTask, found: tuple[Explained, ...]) -> Sequence[Verdict]:
    """Failed if an attribute explains more than chance."""
    guilty = [each.words for each in found if each.p_adjusted <= LEVEL]
    if guilty:
        return [Verdict("failed", f"{'; '.join(guilty)}.", len(guilty))]
    names = ", ".join(level_words(each.attribute) for each in found)
    return [Verdict("passed", f"the target is not shown to differ by {names}.", 0)]


def figures(audited: AuditedTask, found: tuple[Explained, ...]) -> Sequence[Figure]:
    """One row for each attribute."""
    return [
        Figure(
            experiment=audited.choice.best,
            attribute=each.attribute,
            metric="variance_explained",
            value=each.of_target,
            patients=audited.task.patients,
            p_value=each.p_value,
            p_adjusted=each.p_adjusted,
            words=each.words,
        )
        for each in found
    ]


KIND = Audit(
    code="SHORT003",
    title="the target by maker, site, view and year",
    severity="warning",
    subject=AuditedTask,
    measure=measure,
    tell=tell,
    figures=figures,
    family="shortcut",
)
