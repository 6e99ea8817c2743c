"""Convert the predictions of a fit to rows of the record, with calibrated values, and back."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import polars as pl

from xray_mining.models.calibration import CalibrationMap
from xray_mining.models.fit import Fit, Fitted
from xray_mining.models.task import Task
from xray_mining.pixels.variants import VARIANTS

Array = np.ndarray[Any, Any]


def calibration_of_fit(fit: Fit, fitted: Fitted) -> CalibrationMap | None:
    """The calibration map of the fit's validation patients; None if calibration does not help."""
    at, truths = _known(fit, fitted)
    images = fit.images[at]
    checked = np.flatnonzero((images["role"].to_numpy() == "validation") & fit.kind.known(truths))
    owners = images["patient_key"].to_numpy()[checked]
    return fit.kind.calibration(fitted.values[checked], truths[checked], fit.target, owners)


def changed_rows(task: Task[Any], fit: Fit, digest: str) -> Iterator[pl.DataFrame]:
    """Predictions for some test images after a change (another window, sharpened), as rows of the record.

    The first images by key are taken. Keys are digests, so this is a random sample, the same for every experiment.
    """
    rows = fit.rows("test", labelled=True)[: task.study.design.changed_images]
    if not task.kind.predicts_changed or not len(rows):
        return
    keys = [fit.keys[row] for row in rows]
    for variant in VARIANTS:
        fitted = task.kind.changed(task, fit, keys, variant)
        if len(fitted.image_keys):
            yield prediction_rows(task, fit, fitted, digest).with_columns(
                variant=pl.lit(variant), value_calibrated=pl.lit(None, pl.Float64)
            )


def prediction_rows(
    task: Task[Any], fit: Fit, fitted: Fitted, digest: str, calibration: CalibrationMap | None = None
) -> pl.DataFrame:
    """The fit's predictions as rows of the record, with calibrated values if there is a map."""
    at, truths = _known(fit, fitted)
    images = fit.images[at]
    mapped = None if calibration is None else calibration.of(fitted.values)
    frames = [
        pl.DataFrame(
            {
                "class": [column.name] * len(at),
                "split": images["role"],
                "unit_key": fitted.image_keys,
                "patient_key": images["patient_key"],
                "truth": pl.Series(column.truth.astype(float)).fill_nan(None),
                "value": column.value,
                "value_calibrated": column.calibrated,
                "spread": fitted.spread if column.has_spread else None,
            },
            schema_overrides={"value_calibrated": pl.Float64, "spread": pl.Float64},
        )
        for column in fit.kind.columns(fitted.values, mapped, truths, fit.target)
    ]
    return pl.concat(frames).with_columns(
        study=pl.lit(task.study.study),
        experiment=pl.lit(task.name),
        experiment_digest=pl.lit(digest),
        model_kind=pl.lit(task.kind.name),
        cohort_digest=pl.lit(task.cohort.digest),
        target=pl.lit(fit.target.name),
        seed=pl.lit(fit.seed, pl.Int64),
        fold=pl.lit(fit.number, pl.Int64),
        variant=pl.lit(""),
        level=pl.lit("image"),
    )


def fitted_of(frame: pl.DataFrame, fit: Fit) -> Fitted:
    """Predictions from rows of one experiment and rotation: the mean over seeds, images sorted by key."""
    means = frame.group_by("unit_key", "class").agg(pl.col("value").mean())
    return Fitted(*fit.kind.values(means, fit.target))


def _known(fit: Fit, fitted: Fitted) -> tuple[Array, Array]:
    """Row numbers of the fitted images in the fit, (n,), and their truths, NaN where unknown, (n,)."""
    place = {key: row for row, key in enumerate(fit.keys)}
    at = np.array([place[key] for key in fitted.image_keys], dtype=np.int64)
    return at, fit.truths()[at]
