"""How numbers are written: title, digits and meaning of every metric, and the format of intervals and p values."""

import math

from xray_mining.reporting.metric import Metric
from xray_mining.reporting.section import Cell
from xray_mining.reporting.targets import KINDS

METRICS: dict[str, Metric] = {
    "mae": Metric("MAE", "Mean absolute error: how far a prediction is from the truth, on average.", 2, "lower"),
    "rmse": Metric("RMSE", "Root of the mean squared error: large errors have more weight.", 2, "lower"),
    "median_error": Metric("Median error", "Half of the predictions are closer to the truth than this.", 2, "lower"),
    "bias": Metric("Bias", "Mean of predicted minus true.", 2),
    "r2": Metric("R²", "Share of the variance that is explained; guessing the mean has 0.", 3, "higher"),
    "rmae": Metric("rMAE", "MAE divided by the MAE of guessing the centre; guessing has 1.", 3, "lower"),
    "pearson": Metric("Pearson r", "Linear correlation of predicted and true.", 3, "higher"),
    "spearman": Metric("Spearman ρ", "Rank correlation of predicted and true.", 3, "higher"),
    "ccc": Metric("CCC", "Concordance correlation: agreement with the line of identity.", 3, "higher"),
    "calibration_slope": Metric("Calibration slope", "1 is calibrated; below 1, probabilities are too extreme."),
    "calibration_intercept": Metric(
        "Calibration intercept", "0 is calibrated; above 0, probabilities are too low on average."
    ),
    "slope_on_truth": Metric(
        "Slope", "Slope of predicted on true; below 1, low values are predicted too high and high values too low.", 3
    ),
    "within_5": Metric("Within 5", "Share of predictions within 5 units of the truth.", 1, "higher", True),
    "within_10": Metric("Within 10", "Share of predictions within 10 units of the truth.", 1, "higher", True),
    "limit_low": Metric("Lower limit", "Limit of agreement: bias minus 1.96 standard deviations of the errors.", 2),
    "limit_high": Metric("Upper limit", "Limit of agreement: bias plus 1.96 standard deviations of the errors.", 2),
    "within_limits": Metric(
        "Between limits", "Share of all images whose error is between the limits.", 1, percent=True
    ),
    "kappa_quadratic": Metric(
        "Weighted κ", "Kappa with quadratic weights: agreement of ordered levels beyond chance.", 3, "higher"
    ),
    "auc": Metric("AUC", "Area under the ROC curve: 0.5 is chance, 1 is perfect.", 3, "higher"),
    "auc_macro": Metric("AUC, macro", "Mean over classes of the area under the ROC curve.", 3, "higher"),
    "average_precision": Metric("AP", "Average precision: area under the precision-recall curve.", 3, "higher"),
    "brier": Metric("Brier", "Mean squared error of the probabilities.", 3, "lower"),
    "log_loss": Metric("Log loss", "Negative mean log-likelihood of the probabilities.", 3, "lower"),
    "ece": Metric(
        "ECE", "Expected calibration error: mean difference of predicted probability and observed share.", 3, "lower"
    ),
    "sensitivity": Metric("Sensitivity", "Share of positives that are called positive.", 1, "higher", True),
    "specificity": Metric("Specificity", "Share of negatives that are called negative.", 1, "higher", True),
    "positive_predictive_value": Metric("PPV", "Share of positive calls that are correct.", 1, "higher", True),
    "negative_predictive_value": Metric("NPV", "Share of negative calls that are correct.", 1, "higher", True),
    "balanced_accuracy": Metric("Balanced accuracy", "Mean of sensitivity and specificity.", 1, "higher", True),
    "accuracy": Metric("Accuracy", "Share of correct calls.", 1, "higher", True),
    "f1": Metric("F1", "Harmonic mean of precision and sensitivity.", 3, "higher"),
    "f1_macro": Metric("F1, macro", "Mean over classes of F1.", 3, "higher"),
    "mcc": Metric("MCC", "Matthews correlation coefficient.", 3, "higher"),
    "kappa": Metric("κ", "Cohen's kappa: agreement beyond chance.", 3, "higher"),
    "mae_ratio": Metric("MAE ratio", "MAE divided by the MAE of the other model.", 3, "lower"),
}


def known_metric(name: str) -> Metric | None:
    """The metric of this name, also if only one kind of target has it; None if no file defines it."""
    return METRICS.get(name) or next(
        (own[name] for kind in KINDS.every().values() if name in (own := kind.metrics)), None
    )


def metric_of(name: str) -> Metric:
    """How a metric is written; a metric that no file defines is written with its name."""
    return known_metric(name) or Metric(name.replace("_", " ").capitalize(), "")


def number(value: float | None, digits: int = 3, percent: bool = False, sign: bool = False) -> str:
    """Write a number with a minus sign (not a hyphen) and commas for thousands; an en dash for None and nan."""
    if value is None or math.isnan(value):
        return "–"
    if percent:
        value = 100 * value
    text = f"{value:+,.{digits}f}" if sign else f"{value:,.{digits}f}"
    if float(text.replace(",", "")) == 0:
        text = text.lstrip("+-")
    return text.replace("-", "−") + (" %" if percent else "")


def interval(
    value: float | None,
    low: float | None,
    high: float | None,
    metric: Metric,
    *,
    mark: str = "",
    sign: bool = False,
) -> Cell:
    """A cell with an estimate and its interval in small print; a dash for what is missing."""
    if value is None or math.isnan(value):
        return Cell("–")
    detail = "–"
    if low is not None and high is not None:
        ends = (number(end, metric.digits, metric.percent, sign).removesuffix(" %") for end in (low, high))
        detail = " to ".join(ends)
    return Cell(number(value, metric.digits, metric.percent, sign), detail, value, low, high, mark=mark)


def p_value(value: float | None) -> Cell:
    """A p value as journals print it."""
    if value is None or math.isnan(value):
        return Cell("–")
    if value < 0.001:
        return Cell("< 0.001", value=value)
    return Cell(f"{value:.3f}" if value < 0.1 else f"{value:.2f}", value=value)


def count(value: int) -> Cell:
    """A cell with a count, with commas for thousands."""
    return Cell(f"{value:,}", value=float(value))


def duration(seconds: float | None) -> str:
    """Write seconds as seconds, minutes or hours; a dash for None."""
    if seconds is None:
        return "–"
    if seconds < 100:
        return f"{seconds:.1f} s"
    minutes = seconds / 60
    return f"{minutes:.1f} min" if minutes < 100 else f"{minutes / 60:.1f} h"
