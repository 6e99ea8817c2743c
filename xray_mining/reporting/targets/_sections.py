"""Sections and sentences that several kinds of target share."""

OF_NUMBERS = ("predicted-against-true", "agreement")
OF_CLASSES = ("roc", "calibration", "operating-points")
RANGE = (
    "figures hold for the range of values in this cohort. MAE, R² and correlation cannot be compared with those of a "
    "cohort with another range; rMAE depends less on the range."
)
PREVALENCE = "predictive values and calibration hold only for the share of positives in this cohort."
