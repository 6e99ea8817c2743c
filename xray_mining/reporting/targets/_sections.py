"""What kinds of target share."""

OF_NUMBERS = ("predicted-against-true", "agreement")
OF_CLASSES = ("roc", "calibration", "operating-points")
RANGE = (
    "figures are for the range and mix of this cohort; MAE, R² and correlation of a cohort with another range are not "
    "comparable, rMAE is less sensitive to it."
)
PREVALENCE = "predictive values and calibration hold for the share of positives in this cohort only."
