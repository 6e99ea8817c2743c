"""estimates: every number that a report may print, with its confidence interval."""

from dataclasses import asdict, dataclass
from typing import Any

import dataframely as dy

from xray_mining.records.record import Record, choice, count, number, text


class Estimates(Record):
    """A row without baseline is a metric; a row with a baseline is a paired difference (experiment minus baseline)."""

    table = "estimates"
    home = "results"
    question = "one metric of one experiment, or one paired difference of two"

    study = text("the study")
    experiment = text("the experiment")
    experiment_digest = text("its digest")
    model_kind = text("family of the model")
    cohort_digest = text("the cohort")
    baseline = text("the experiment it is compared with; empty for a metric")
    target = text("what is predicted")
    class_ = dy.String(alias="class", description="the class; empty for a number or all classes")
    metric = text("mae, rmse, r2, bias, rmae, auc, sensitivity, specificity, …")
    unit = text("unit of the value; empty without unit")
    level = text("what was scored: image, study or patient")
    variant = text("how the test images were changed; empty for unchanged ones")
    subgroup = text("scored patients: 'all', or column=value, joined by ' & '")
    split = text("test or validation")
    threshold = number("the operating point, if the metric has one")
    patients = count("patients scored; 0 if hidden, because they or those left out are few")
    images = count("images scored; 0 if hidden")
    value = number("the estimate")
    low = number("lower end of the 95 % interval")
    high = number("upper end of the 95 % interval")
    method = text("how the interval was computed")
    p_value = number("two-sided p of no difference", min=0, max=1)
    p_adjusted = number("the same, adjusted within its family", min=0, max=1)
    family = text("the comparisons it was adjusted with; empty if it was not adjusted")
    operating_point = text(
        "how the threshold was set on validation patients: youden, sensitivity 0.9, …; null without a threshold",
        nullable=True,
    )
    caution = text(
        "why the interval may be unreliable, as 'few patients in a class'; null if no reason is known", nullable=True
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class EstimateRow:
    """One row of `estimates` without its study; the columns are described there, `class_` is its column `class`."""

    experiment: str
    experiment_digest: str
    model_kind: str
    cohort_digest: str
    target: str
    metric: str
    unit: str
    level: str
    patients: int
    images: int
    value: float | None
    low: float | None
    high: float | None
    method: str
    baseline: str = ""
    class_: str = ""
    variant: str = ""
    subgroup: str = "all"
    split: str = "test"
    threshold: float | None = None
    p_value: float | None = None
    p_adjusted: float | None = None
    family: str = ""
    operating_point: str | None = None
    caution: str | None = None

    def as_row(self, study: str) -> dict[str, Any]:
        """Columns of the record."""
        row = asdict(self)
        return row | {"study": study, "class": row.pop("class_")}


class Pictures(Record):
    """Pictures that `evaluate` drew, so that `report` needs no pixel store."""

    table = "pictures"
    home = "files"
    question = "one picture for the report: an average, or a case"

    study = text("the study")
    kind = choice("what it shows", ("average", "case", "figure"))
    label = text("its caption, as 'Males, 21' or 'true 34, predicted 61'")
    section = text("the section it belongs to, as average_images or cases")
    order = count("its place in the section")
    experiment = text("the experiment, for a case")
    image_key = dy.String(nullable=True, description="the radiograph, for a case")
    images = count("images in an average; 1 for a case")
    png = dy.Binary(description="PNG bytes, without metadata")


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureRow:
    """One row of `pictures` without its study; the columns are described there."""

    kind: str
    label: str
    section: str
    png: bytes
    order: int = 0
    experiment: str = ""
    image_key: str | None = None
    images: int = 1
