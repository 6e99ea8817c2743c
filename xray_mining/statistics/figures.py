"""One figure with its interval, for notebooks: arrays or a frame of predictions in, Estimate out."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from xray_mining.errors import UserError, unknown_name
from xray_mining.statistics.auc import auc
from xray_mining.statistics.average_precision import average_precision
from xray_mining.statistics.calibration import calibration_metrics
from xray_mining.statistics.classification import PROPORTIONS, SUMMARIES, called_metrics
from xray_mining.statistics.errors import METRICS, error_metrics
from xray_mining.statistics.estimate import Estimate

ERRORS = (*(each for each in METRICS if each != "rmae"), "median_error", "within_5", "within_10", "spearman")
PROBABILITIES = ("brier", "log_loss", "ece")
CALLED = (*PROPORTIONS, *SUMMARIES)
AREAS: Mapping[str, Callable[..., Estimate]] = {"auc": auc, "average_precision": average_precision}


def _refuse_lengths(**rows: ArrayLike | None) -> None:
    """Raise UserError if the given arrays differ in length."""
    lengths = {name: np.size(values) for name, values in rows.items() if values is not None}
    if len(set(lengths.values())) > 1:
        said = ", ".join(f"{name} {length:,}" for name, length in lengths.items())
        raise UserError(f"estimate: arrays must have one value per row, but their lengths are {said}")


def estimate(
    metric: str,
    truth: Any,
    predicted: ArrayLike | None = None,
    patients: ArrayLike | None = None,
    *,
    folds: ArrayLike | None = None,
    again: ArrayLike | None = None,
    threshold: float | None = None,
    confidence: float = 0.95,
    draws: int = 2000,
    seed: int = 0,
) -> Estimate:
    """A metric whose interval keeps a patient's images together and allows for folds that share training patients.

    Args:
        metric: auc, average_precision; mae, rmse, bias, r2, pearson, spearman, median_error, within_5, …; brier,
            log_loss; sensitivity, specificity, accuracy, f1, … (with `threshold`); an unknown name lists all.
        truth: (n,) numbers, or 1 for the positive class and 0; or a frame of predictions, as `work.predictions`
            returns. From a frame everything except `threshold` is taken: its unchanged test rows are scored (mean
            over seeds), and its validation rows are used as `again`.
        predicted: (n,) float, higher means more positive.
        patients: (n,) any labels; images of one patient share a value. Without it every row is a patient.
        folds: (n,) the fold that tested the row, if several fits share training patients.
        again: (n,) predictions of the same rows by another fold's fit that did not learn from them, nan if missing.
            With `folds` alone a constant is used, and the estimate has a caution.
        threshold: Rows at or above it are called positive.
        confidence: Coverage of the interval, in (0, 1).
        draws: Resamples of the bootstrap, if the metric uses one.
        seed: Of these resamples.

    Returns:
        Estimate with value, low, high, patients, images, method, caution.

    Raises:
        UserError: If the metric is unknown, a threshold is missing, or arrays are not numbers of one length.
        ValueError: If a value is not finite, or a class is missing.

    Example:
        >>> print(estimate("auc", [0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8], ["a", "b", "c", "d"]).value)
        0.75
    """
    if metric not in (*AREAS, *ERRORS, *PROBABILITIES, *CALLED):
        raise unknown_name("metric", metric, [*AREAS, *ERRORS, *PROBABILITIES, *CALLED])
    if predicted is None:
        truth, predicted, patients, folds, again = _of_frame(truth)
    truth, predicted = _numbers("truth", truth), _numbers("predicted", predicted)
    _refuse_lengths(truth=truth, predicted=predicted, patients=patients, folds=folds, again=again)
    if metric in AREAS:
        return AREAS[metric](truth, predicted, patients, folds, confidence, again=again)
    resampled: dict[str, Any] = {"folds": folds, "confidence": confidence, "draws": draws, "seed": seed}
    if metric in CALLED:
        if threshold is None:
            raise UserError(f"estimate: {metric} needs a threshold, at or above which a row is called positive")
        # A row without a second prediction has no second call either, so that it stays missing.
        other = None if again is None else np.asarray(again, dtype=np.float64)
        again = None if other is None else np.where(np.isfinite(other), other >= threshold, np.nan)
        called = np.asarray(predicted, dtype=np.float64) >= threshold
        return called_metrics(truth, called, patients, again=again, **resampled)[metric]
    metrics = error_metrics if metric in ERRORS else calibration_metrics
    return metrics(truth, predicted, patients, again=again, **resampled)[metric]


def _numbers(name: str, values: Any) -> NDArray[Any]:
    try:
        found = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise UserError(f"estimate: {name} must be numbers; for a class give 1 (positive) and 0") from None
    if found.ndim != 1:
        raise UserError(f"estimate: {name} must be one number per row; it has {found.ndim} dimensions")
    return found


Columns = tuple[NDArray[Any], NDArray[Any], NDArray[Any] | None, NDArray[Any] | None, NDArray[Any] | None]


def _of_frame(frame: Any) -> Columns:
    """Truth, prediction, patient, fold and second prediction of each tested unit of a frame."""
    if not hasattr(frame, "columns"):
        raise UserError("estimate: give truth and predicted, or a frame with the columns truth and value")
    there = set(frame.columns)
    if not {"truth", "value"} <= there:
        raise UserError("estimate: the frame has no columns truth and value")

    def column(name: str, otherwise: Any) -> NDArray[Any]:
        return np.asarray(frame[name]) if name in there else np.full(len(frame), otherwise)

    truth, value = (column(name, np.nan).astype(np.float64) for name in ("truth", "value"))
    plain = (column("variant", "") == "") & np.isfinite(truth)
    test = plain & (column("split", "test") == "test")
    if not test.any():
        raise UserError("estimate: the frame has no unchanged test row with a known truth")
    for name in ("experiment", "class", "target"):
        if len(np.unique(column(name, "").astype(str)[test])) > 1:
            raise UserError(f"estimate: the frame holds several of {name}; filter it to one")
    unit = column("unit_key", "").astype(str) if "unit_key" in there else np.arange(len(frame)).astype(str)
    keys, first, place = np.unique(unit[test], return_index=True, return_inverse=True)
    counts = np.bincount(place)

    def first_of(name: str) -> NDArray[Any] | None:
        return column(name, 0)[test][first] if name in there else None

    other = plain & (column("split", "test") == "validation") & np.isin(unit, keys)
    again = None
    if other.any():
        where = np.searchsorted(keys, unit[other])
        with np.errstate(invalid="ignore"):
            again = np.bincount(where, value[other], len(keys)) / np.bincount(where, minlength=len(keys))
    return (
        truth[test][first],
        np.bincount(place, value[test]) / counts,
        first_of("patient_key"),
        first_of("fold"),
        again,
    )
