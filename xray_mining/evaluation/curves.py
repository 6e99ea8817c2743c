"""Data of the page's figures: curves, points, bands, bins and matrices."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from xray_mining.evaluation.hidden_counts import labels_unknown_of_few
from xray_mining.evaluation.options import EvaluationOptions
from xray_mining.evaluation.small_cells import Line, with_complements
from xray_mining.evaluation.subgroups import age_bands, shown_cells
from xray_mining.evaluation.task import Array, Task
from xray_mining.records import evaluation_tables as tables
from xray_mining.records.small_counts import is_small
from xray_mining.statistics.calibration import reliability_curve
from xray_mining.statistics.estimate import Estimate, owners
from xray_mining.statistics.refit import Refit, filled, refit_of, widened
from xray_mining.statistics.resampling import linear_interval
from xray_mining.statistics.roc import roc_curve

SCATTER_AT_MOST = 5000
BAND_WIDTHS = (1, 2, 5, 10)
"""Widths in years tried for error_by_age, the narrowest first."""


@dataclass(frozen=True)
class Figures:
    """The tables of the page's figures; each frame has the columns of its record."""

    roc: pl.DataFrame
    error_by_age: pl.DataFrame
    calibration: pl.DataFrame
    confusion: pl.DataFrame
    scatter: pl.DataFrame

    @classmethod
    def of(cls, task: Task, options: EvaluationOptions, hidden: Collection[tuple[str, str, str]]) -> "Figures":
        """The tables of one task; `hidden` are cells that Table 1 hides, as in `error_by_age`."""
        points = scatter(task, options)
        empty = tables.ScatterPoints.create_empty()
        return cls(
            roc=tables.RocPoints.from_rows(roc(task, options)),
            error_by_age=tables.ErrorByAge.from_rows(error_by_age(task, options, hidden)),
            calibration=tables.CalibrationBins.from_rows(calibration(task, options)),
            confusion=tables.Confusion.from_rows(confusion(task, options)),
            scatter=empty if points is None else points.select(empty.columns),
        )

    @classmethod
    def together(cls, parts: Sequence["Figures"]) -> "Figures":
        """The tables of all tasks; empty ones if no task could be scored."""
        parts = [cls.empty(), *parts]
        return cls(**{each.name: pl.concat([getattr(part, each.name) for part in parts]) for each in fields(cls)})

    @classmethod
    def empty(cls) -> "Figures":
        """The tables without a row."""
        return cls(
            roc=tables.RocPoints.create_empty(),
            error_by_age=tables.ErrorByAge.create_empty(),
            calibration=tables.CalibrationBins.create_empty(),
            confusion=tables.Confusion.create_empty(),
            scatter=tables.ScatterPoints.create_empty(),
        )

    def write(self, folder: Path) -> None:
        """Write each table to a Parquet file in `folder`."""
        for record in (
            tables.RocPoints,
            tables.ErrorByAge,
            tables.CalibrationBins,
            tables.Confusion,
            tables.ScatterPoints,
        ):
            record.write(getattr(self, record.table), folder / f"{record.table}.parquet")


def roc(task: Task, options: EvaluationOptions) -> list[dict[str, Any]]:
    """Rows of the table `roc`: a curve for each experiment, and for each class if there are several."""
    rows = []
    for model in task.models.values():
        for side in task.kind.sides(task, model):
            try:
                points = roc_curve(
                    side.positive,
                    side.values,
                    task.owner[side.units],
                    task.folds[side.units],
                    confidence=options.confidence,
                    seed=options.seed,
                    again=side.again,
                )
            except ValueError:
                continue
            names = ("false_positive_rate", "sensitivity", "low", "high")
            rows += [
                {"experiment": model.name, "target": task.target.name, "class": side.class_}
                | dict(zip(names, point, strict=True))
                for point in points.tolist()
            ]
    return rows


def drawable(task: Task, options: EvaluationOptions) -> Array:
    """The units (n,) bool that may be drawn as points: enough test patients are of their age band and sex."""
    frame = pl.DataFrame(
        {
            "band": age_bands(task.units["age_years"], options.age_band_years),
            "sex": task.units["patient_sex"],
            "owner": task.owner,
        }
    )
    patients = frame.select(pl.col("owner").n_unique().over("band", "sex"))["owner"].to_numpy()
    return np.asarray(patients >= options.least_patients)


def scatter(task: Task, options: EvaluationOptions) -> pl.DataFrame | None:
    """Rows of the table `scatter`: the same random test units for every experiment; None if a unit has several values.

    At most SCATTER_AT_MOST units are drawn.
    """
    if not task.kind.one_value:
        return None
    rng = np.random.default_rng([options.seed, 31])
    shown = np.flatnonzero(drawable(task, options))
    chosen = np.sort(rng.permutation(shown)[:SCATTER_AT_MOST])
    order = rng.permutation(len(chosen))
    units = task.units[chosen].select(
        pl.col("unit_key").alias("image_key") if task.level == "image" else pl.lit(None, pl.String).alias("image_key"),
        "truth",
        "patient_sex",
        "view_position",
        age_bands(task.units["age_years"][chosen], options.age_band_years).alias("age_band"),
    )
    frames = []
    for model in task.models.values():
        values = pl.Series("value", model.values[chosen])
        frame = units.with_columns(
            pl.lit(model.name).alias("experiment"),
            pl.lit(task.target.name).alias("target"),
            pl.Series("unit", order, dtype=pl.Int64),
            values,
        )
        frames.append(frame.filter(pl.col("value").is_finite()))
    return pl.concat(frames)


def error_by_age(
    task: Task, options: EvaluationOptions, hidden: Collection[tuple[str, str, str]] = ()
) -> list[dict[str, Any]]:
    """Rows of the table `error_by_age`, for all patients, men and women; empty if the target is not an age.

    Bands of fewer than the least patients are left out. A band is kept without its count if a small band could be
    computed from the count, or if Table 1 hides it.

    Args:
        task: The scored task.
        options: Least patients, confidence.
        hidden: Cells that Table 1 hides: (column, level, sex), sex '' for all patients.
    """
    if not task.is_age:
        return []
    # Narrow bands show most, but each must have enough patients to be drawn.
    width = next((each for each in BAND_WIDTHS if _filled(task, each, options.least_patients)), BAND_WIDTHS[-1])
    band = np.floor(task.truth / width).astype(np.int64)
    sexes = task.units["patient_sex"].fill_null("").to_numpy()
    others = {each[1:] for each in hidden if each[0] == "age_band"}
    bands = age_bands(pl.Series(task.truth), width)
    shown = shown_cells(bands, task.units["patient_sex"], task.owner, options.least_patients, others)
    rows = []
    for model in task.models.values():
        error = np.where(model.known, model.values - task.truth, np.nan)
        # Fits of several rotations share training patients; `again` shows by how much intervals must be widened.
        again = None if model.again is None else model.again - task.truth
        for sex in ("all", "M", "F"):
            of_sex = model.known & (True if sex == "all" else sexes == sex)
            for each in np.unique(band[of_sex]):
                inside = of_sex & (band == each)
                count = len(np.unique(task.owner[inside]))
                cell = (f"{each * width} to {each * width + width - 1}", "" if sex == "all" else sex)
                if count < options.least_patients:
                    continue
                owner = owners(task.owner[inside], int(inside.sum()))
                row: dict[str, Any] = {
                    "experiment": model.name,
                    "target": task.target.name,
                    "patient_sex": sex,
                    "age": (each + 0.5) * width,
                    "age_low": each * width,
                    "age_high": (each + 1) * width,
                    "patients": count if cell in shown else 0,
                    "images": int(inside.sum()) if cell in shown else 0,
                    "hidden": cell not in shown,
                }
                errors_again = np.full(len(owner), np.nan) if again is None else again[inside]
                refit = refit_of(task.folds[inside], owner, errors_again, share=count / task.patients)
                rows.append(row | _mean_errors(error[inside], errors_again, owner, refit, options.confidence))
    return rows


def _mean_errors(
    error: Array, again: Array, owner: Array, refit: Refit | None, confidence: float
) -> dict[str, float | None]:
    """Bias and MAE of the errors (n,) with their intervals, which `refit` widens; None for ends that are not finite."""
    found: dict[str, float | None] = {}
    for name, values, others in (("bias", error, again), ("mae", np.abs(error), np.abs(again))):
        mean = float(values.mean())
        low, high, _ = linear_interval(mean, (values - mean) / len(values), owner, confidence)
        if refit is not None:
            factor = refit.factor_of_units(values - mean, filled(others, values) - mean, owner)
            wide = widened(Estimate(mean, low, high, 0, 0, ""), factor)
            low, high = wide.low, wide.high
        found |= {name: mean, f"{name}_low": _known(low), f"{name}_high": _known(high)}
    return found


def _known(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _filled(task: Task, width: int, least: int) -> bool:
    """Whether at least 90 % of patients are in bands with enough patients of their sex to be drawn."""
    frame = pl.DataFrame({"band": np.floor(task.truth / width), "sex": task.units["patient_sex"], "owner": task.owner})
    counts = frame.group_by("band", "sex").agg(pl.col("owner").n_unique())["owner"].to_numpy()
    return bool(counts[counts >= least].sum() >= 0.9 * counts.sum())


def calibration(task: Task, options: EvaluationOptions) -> list[dict[str, Any]]:
    """Rows of the table `calibration` for each class with probabilities; bins of too few patients are left out."""
    rows = []
    few = labels_unknown_of_few(task, options.least_patients)
    for model in task.models.values():
        if not model.known.any():
            continue
        for side in task.kind.probabilities(task, model):
            found = reliability_curve(
                side.positive,
                side.values,
                task.owner[side.units],
                options.confidence,
                folds=task.folds[side.units],
                again=side.again,
            )
            for number, each in enumerate(found):
                if each.patients < options.least_patients or not np.isfinite(each.low):
                    continue
                rows.append(
                    {
                        "experiment": model.name,
                        "target": task.target.name,
                        "class": side.class_,
                        "calibrated": side.calibrated,
                        "bin": number,
                        "predicted": each.predicted,
                        "observed": each.observed,
                        "low": each.low,
                        "high": each.high,
                        "patients": 0 if side.class_ in few else each.patients,
                        "images": 0 if side.class_ in few else each.images,
                    }
                )
    return rows


def confusion(task: Task, options: EvaluationOptions) -> list[dict[str, Any]]:
    """Rows of the table `confusion` at every operating point of the kind of target.

    Cells of too few patients are hidden. If a class has one such cell, its smallest other cell is hidden too. If a
    class has few patients, its cells are hidden, and cells of other classes by whose sum it would be known. If the
    truth of a label is unknown for few patients, all its cells are hidden.
    """
    rows = []
    few = labels_unknown_of_few(task, options.least_patients)
    for model in task.models.values():
        if not model.known.any():
            continue
        for calls in task.kind.calls(task, model, options):
            inside = {
                (truth, name): (calls.truth == truth) & (calls.called == name)
                for truth in calls.classes
                for name in calls.classes
            }
            patients = {cell: len(np.unique(calls.owner[units])) for cell, units in inside.items()}
            whole = {truth: len(np.unique(calls.owner[calls.truth == truth])) for truth in calls.classes}
            hidden = set(inside) if few & set(calls.classes) else _hidden_calls(patients, whole, options.least_patients)
            rows += [
                {
                    "experiment": model.name,
                    "target": task.target.name,
                    "operating_point": calls.operating_point,
                    "threshold": calls.threshold,
                    "truth": truth,
                    "predicted": name,
                    "images": 0 if (truth, name) in hidden else int(units.sum()),
                    "patients": 0 if (truth, name) in hidden else patients[truth, name],
                    "hidden": (truth, name) in hidden,
                }
                for (truth, name), units in inside.items()
            ]
    return rows


def _hidden_calls(
    patients: Mapping[tuple[str, str], int], whole: Mapping[str, int], least: int
) -> set[tuple[str, str]]:
    """Hidden cells (truth, predicted) of a confusion matrix; the patients of all classes together are printed."""
    counts = {**patients, **{(truth, ""): count for truth, count in whole.items()}}
    lines = [Line(tuple(cell for cell in patients if cell[0] == truth), (truth, "")) for truth in whole]
    few = [cell for cell, count in counts.items() if is_small(count, least)]
    hidden = with_complements([Line(tuple((truth, "") for truth in whole)), *lines], counts, few)
    return hidden & set(patients)
