"""The other tables in evaluations/STUDY, beside estimates, check_results and pictures: the data of the figures."""

from dataclasses import dataclass

import dataframely as dy

from xray_mining.records.record import Record, count, number, text


class RocPoints(Record):
    """A fixed grid of at most 201 false positive rates; in cross-validation the mean curve over folds."""

    table = "roc"
    home = "files"
    question = "one point of the ROC curve of one experiment on its test units"

    experiment = text("the experiment")
    target = text("what is predicted")
    class_ = dy.String(alias="class", description="the class; empty for a binary target")
    false_positive_rate = number("share of the negatives called positive", nullable=False, min=0, max=1)
    sensitivity = number("share of the positives called positive", nullable=False, min=0, max=1)
    low = number("lower end of the pointwise interval", nullable=False, min=0, max=1)
    high = number("upper end of the pointwise interval", nullable=False, min=0, max=1)


class ScatterPoints(Record):
    """A random draw of at most 5,000 test units per target, the same units for every experiment of one cohort.

    Units of an age band and sex with fewer test patients than the least cell size are left out.
    """

    table = "scatter"
    home = "files"
    question = "one scored test unit of one experiment"

    experiment = text("the experiment")
    target = text("what is predicted")
    unit = count("number of the unit in the draw, the same for every experiment of the target")
    image_key = text("the radiograph; null if the unit is a study or a patient", nullable=True)
    truth = number("the target's value", nullable=False)
    value = number("the prediction, mean over seeds and rotations", nullable=False)
    patient_sex = text("M, F, O; null if unknown", nullable=True)
    view_position = text("PA, AP, …; null if unknown", nullable=True)
    age_band = text("as '20 to 29'; null if the age is unknown", nullable=True)


class ErrorByAge(Record):
    """Bands with fewer patients than the least cell size are left out; a count that would reveal one is hidden."""

    table = "error_by_age"
    home = "files"
    question = "bias and mean absolute error of one experiment in one band of true age, for a target that is the age"

    experiment = text("the experiment")
    target = text("what is predicted")
    patient_sex = text("all, M or F")
    age = number("middle of the band", "years", nullable=False)
    age_low = number("first age of the band", "years", nullable=False)
    age_high = number("end of the band, not part of it", "years", nullable=False)
    patients = count("patients in the band; 0 if hidden")
    images = count("images in the band; 0 if hidden")
    hidden = dy.Bool(nullable=True, description="counts are hidden, because they would reveal those of a smaller band")
    bias = number("mean of predicted minus true", "the target's unit", nullable=False)
    bias_low = number("lower end of its interval", "the target's unit")
    bias_high = number("upper end of its interval", "the target's unit")
    mae = number("mean absolute error", "the target's unit", nullable=False)
    mae_low = number("lower end of its interval", "the target's unit")
    mae_high = number("upper end of its interval", "the target's unit")


class CalibrationBins(Record):
    """Ten bins with equal numbers of units."""

    table = "calibration"
    home = "files"
    question = "one bin of the reliability curve of one experiment on its test units"

    experiment = text("the experiment")
    target = text("what is predicted")
    class_ = dy.String(alias="class", description="the class; empty for a binary target")
    calibrated = dy.Bool(description="from value_calibrated; false: from the model's own probability")
    bin = count("number of the bin, from 0")
    predicted = number("mean predicted probability", nullable=False, min=0, max=1)
    observed = number("share of positives", nullable=False, min=0, max=1)
    low = number("lower end of its interval", nullable=False, min=0, max=1)
    high = number("upper end of its interval", nullable=False, min=0, max=1)
    patients = count("patients in the bin; 0 if hidden, because the label is not known of few others")
    images = count("units in the bin; 0 if hidden")


class Confusion(Record):
    """The threshold of each rotation comes from its validation patients."""

    table = "confusion"
    home = "files"
    question = "one cell of the confusion matrix of one experiment at one operating point"

    experiment = text("the experiment")
    target = text("what is predicted")
    operating_point = text(
        "youden, sensitivity 0.9, …; 'largest' for a target with several classes, 'nearest level' for levels in order"
    )
    threshold = number("mean threshold over rotations; null for several classes")
    truth = text("the true class")
    predicted = text("the predicted class")
    images = count("units in the cell; 0 if hidden")
    patients = count("patients in the cell; 0 if hidden")
    hidden = dy.Bool(
        nullable=True, description="the cell has fewer patients than the least cell size, or would reveal such a cell"
    )


class TableOne(Record):
    """Counts patients by their latest image; `column` is 'all', a role, a fold, or a label of one of the targets."""

    table = "table_one"
    home = "files"
    question = "one cell of Table 1 of one cohort"

    cohort = text("the cohort's name")
    cohort_digest = text("its digest")
    column = text(
        "all, train, validation, test, a label of a target (with the target's name if two targets share the label), or "
        "'fold 0', 'fold 1', … for labels and levels under several rotations"
    )
    column_order = count("order of the column")
    variable = text("age_years, patient_sex, view_position, manufacturer, archive, study_year, …")
    variable_order = count("order of the variable")
    unit = text("unit of a number; empty without unit")
    level = text("the label of a category; empty for a number; 'not known' and 'all others' (rare labels) last")
    level_order = count("order of the level within its variable")
    patients = count("patients in the cell; 0 below the least cell size (see `hidden`)")
    images = count("images in the cell; 0 below the least cell size")
    share = number("share of the column's patients", min=0, max=1)
    mean = number("mean of a number")
    deviation = number("its standard deviation", min=0)
    median = number("its median")
    quarter = number("its lower quartile")
    three_quarters = number("its upper quartile")
    target = text("the target whose label the column is; empty for all and for roles", nullable=True)
    standardised_difference = number(
        "between the two labels of the column's target; for 'all' and roles, of the first target, or of train and test"
    )
    hidden = dy.Bool(
        description="small, or would reveal a small cell: its counts are hidden, in a small cell its other values too"
    )


class AuditRows(Record):
    """The outcome of each audit is in check_results, under the same code."""

    table = "audits"
    home = "files"
    question = "one figure of one audit"

    code = text("code of the audit, as SHORT001")
    audit = text("family of the audit, as fairness")
    experiment = text("the experiment; empty if the figure is about the cohort")
    target = text("what is predicted")
    attribute = text("the examined attribute or variant, as manufacturer")
    label = text("its level, or a pair of levels; empty if there is none")
    metric = text("name of the metric")
    value = number("the figure")
    low = number("lower end of its interval")
    high = number("upper end of its interval")
    patients = count("patients that it is computed from; 0 if hidden, as a class of few patients")
    p_value = number("two-sided p of no effect", min=0, max=1)
    p_adjusted = number("the same, adjusted within the audit", min=0, max=1)
    words = text("the figure as a sentence")


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditRow:
    """One row of `audits`; the columns are described there."""

    code: str
    audit: str
    target: str
    words: str
    metric: str
    patients: int
    experiment: str = ""
    attribute: str = ""
    label: str = ""
    value: float | None = None
    low: float | None = None
    high: float | None = None
    p_value: float | None = None
    p_adjusted: float | None = None


ALL: tuple[type[Record], ...] = (
    RocPoints,
    ScatterPoints,
    ErrorByAge,
    CalibrationBins,
    Confusion,
    TableOne,
    AuditRows,
)
