"""A task (one target of one cohort), the models that predict its test units, and the interface of kinds of target."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import polars as pl

from xray_mining.evaluation.options import EvaluationOptions
from xray_mining.models.kind import ModelKind, Role, Sight
from xray_mining.models.kinds import kind_that_predicted
from xray_mining.records.cohort import FrozenCohort, Target
from xray_mining.registry import Kinds
from xray_mining.statistics.estimate import Estimate

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Model:
    """One experiment's predictions of one task."""

    name: str
    kind: str
    digest: str
    options: Mapping[str, Any]
    notes: Mapping[str, Any]
    """experiment.json."""
    level: str
    seeds: tuple[int, ...]
    rotations: tuple[int, ...]
    files: int
    values: Array
    """(n,) or (n, classes) in the order of the task's units; nan where the experiment did not predict the unit."""
    calibrated: Array | None
    """The same shape; calibrated values of fits that have some, else `values`; None if no fit has calibrated values."""
    validation: pl.DataFrame
    """Validation units of each rotation: unit_key, patient_key, fold, truth, label, value (a list for several classes).

    Values are means over seeds."""
    calibrated_fits: int = 0
    """Number of its `fits` (rotation and seed) with calibrated values, because calibration helped on validation
    patients."""
    calibrated_by_class: Mapping[str, int] = field(default_factory=dict)
    """The same number by class (as named in predictions), because calibration may help for some labels only."""
    fits: int = 1
    again: Array | None = None
    """Second predictions of the test units, shaped as `values`: by the fit of another rotation, for which these units
    were validation units."""
    variants: Mapping[str, Array] = field(default_factory=dict)
    """Predictions of changed test images by the name of the change, shaped as `values`."""

    def again_of(self, units: Array) -> Array | None:
        """`again` of the units (n,) bool; None if there are no second predictions."""
        return None if self.again is None else self.again[units]

    @property
    def architecture(self) -> str:
        """The model that the study file names: centre, metadata, ridge, network, …."""
        return str(self.options.get("model") or self.name)

    @property
    def shows(self) -> ModelKind[Any]:
        """The kind of model whose predictions these are."""
        return kind_that_predicted(self.kind)

    @property
    def role(self) -> Role:
        """Its role in comparisons, for example null or handcrafted."""
        return self.shows.role

    @property
    def sight(self) -> Sight:
        """How much of the anatomy it can see."""
        return self.shows.sight(self.architecture)

    @property
    def chose_by_rotation(self) -> bool:
        """Whether it chose among other models in each rotation, by the validation patients of that rotation."""
        return self.shows.chose_by_rotation(self.options)

    @cached_property
    def known(self) -> Array:
        """The units that it predicted, (n,) bool."""
        return known_rows(self.values)


def known_rows(values: Array) -> Array:
    """The rows (n,) bool of values (n,) or (n, classes) without nan and infinities."""
    # Not reshaped to (n, -1): a label whose truth is unknown everywhere has no unit, and numpy cannot infer -1 then.
    return np.asarray(np.isfinite(values).all(axis=tuple(range(1, values.ndim))))


@dataclass(frozen=True)
class Task:
    """One target of one cohort."""

    cohort: FrozenCohort
    target: Target
    level: str
    units: pl.DataFrame
    """unit_key, patient_key, fold, truth, label and the image's attributes in the catalog, sorted by unit_key.

    Every unit has a known truth."""
    models: Mapping[str, Model]

    @property
    def name(self) -> str:
        """COHORT/TARGET."""
        return f"{self.cohort.name}/{self.target.name}"

    @property
    def kind(self) -> "TargetKind":
        """The kind of its target, which has the metrics."""
        return KINDS.find(self.target.kind)

    @property
    def is_age(self) -> bool:
        """Whether the target is the patient's age in years (by its meaning, not by its name)."""
        return self.kind.is_age(self.target)

    @property
    def metric(self) -> str:
        """The metric that models are chosen by."""
        return self.kind.metric

    @property
    def unit(self) -> str:
        """The unit of an error as printed after a number, for example ' years'; empty if errors have no unit."""
        return f" {self.target.unit}" if self.kind.has_unit and self.target.unit else ""

    @cached_property
    def parts(self) -> Mapping[str, "Task"]:
        """Binary tasks by label, each with the units whose truth is known; empty for kinds other than `labels`."""
        return self.kind.parts(self)

    @cached_property
    def truth(self) -> Array:
        """(n,) float64: the number, or 1 for the positive label; for several labels (n, labels), nan for unknown."""
        return self.units["truth"].to_numpy()

    @cached_property
    def labels(self) -> Array:
        """(n,) text: the true class; empty for a number."""
        return self.units["label"].fill_null("").to_numpy()

    @cached_property
    def owner(self) -> Array:
        """(n,) int64, the number of each unit's patient, from 0."""
        return self.units["patient_key"].rank("dense").to_numpy().astype(np.int64) - 1

    @cached_property
    def folds(self) -> Array:
        """(n,) the rotation that tested each unit; -1 if several rotations tested it."""
        return self.units["fold"].to_numpy()

    @cached_property
    def latest(self) -> Array:
        """(patients,) row of each patient's latest unit (by patient_sequence), which represents the patient."""
        order = np.argsort(-self.units["patient_sequence"].fill_null(0).to_numpy(), kind="stable")
        return np.asarray(order[np.unique(self.owner[order], return_index=True)[1]])

    @property
    def patients(self) -> int:
        """Number of tested patients."""
        return int(self.owner.max()) + 1 if len(self.owner) else 0

    @property
    def rotations(self) -> int:
        """The largest number of rotations of an experiment."""
        return max((len(model.rotations) for model in self.models.values()), default=1)

    def words(self, name: str) -> str:
        """An experiment's name for people; a null model is called by its kind if it is the only one of this kind."""
        model = self.models.get(name)
        if model is not None and model.role is Role.NULL:
            same = [each for each in self.models.values() if each.role is Role.NULL]
            if sum(each.architecture == model.architecture for each in same) == 1:
                return model.architecture.replace("_", " ")
        return name.replace("_", " ")

    @property
    def centre(self) -> Model | None:
        """The experiment that guesses the centre for every unit."""
        return next((each for each in self.models.values() if each.sight is Sight.NOTHING), None)

    @property
    def oracle(self) -> Model | None:
        """The experiment that reads the phantom's truth."""
        return next((each for each in self.models.values() if each.role is Role.ORACLE), None)


@dataclass(frozen=True, slots=True)
class Scored:
    """One metric of one experiment on its test units, before it becomes a row of estimates."""

    metric: str
    found: Estimate
    class_: str = ""
    operating_point: str | None = None
    threshold: float | None = None


@dataclass(frozen=True, slots=True)
class Side:
    """One class against all others: the data of its area, its ROC curve and its calibration bins."""

    class_: str
    """Empty for a binary target."""
    units: Array
    """(n,) bool: the task's units that it is about; the arrays below have m values, one for each of these units."""
    positive: Array
    """(m,) bool."""
    values: Array
    """(m,) scores or probabilities of the class."""
    again: Array | None
    """(m,) the same by the fit of another rotation; None if there are no such predictions."""
    calibrated: bool = False
    """True if `values` are probabilities after calibration on validation patients."""


@dataclass(frozen=True, slots=True)
class Calls:
    """The class that each unit is called, at one operating point."""

    operating_point: str
    threshold: float | None
    classes: tuple[str, ...]
    truth: Array
    """(m,) text."""
    called: Array
    """(m,) text."""
    owner: Array
    """(m,) number of the unit's patient."""


class TargetKind(Protocol):
    """How a kind of target is scored and compared; each kind is one file of `evaluation/targets`.

    A method that has a body here may be left out by a kind to which it does not apply.
    """

    metric: str
    """The metric that models are chosen by, as named in rows of estimates."""
    title: str
    """Short name of the metric in a sentence, for example MAE."""
    words: str
    """Full name of the metric, for example mean absolute error."""
    less_is_better: bool = False
    has_unit: bool = False
    """Errors are in the target's unit."""
    unitless: frozenset[str] = frozenset()
    """Metrics without this unit."""
    one_value: bool = True
    """Each unit has one truth and one predicted value, so that the page can draw points and show cases."""
    has_labels: bool = False
    """Table 1 has a column for each label."""
    digits: int = 3
    """Decimal places of the metric in the answer."""
    skill_metric: str
    """The metric that compares a model with guessing."""
    guess: float
    """The value of `skill_metric` for guessing."""
    guess_words: str
    """Guessing in a sentence, after 'better than'."""
    screened: tuple[str, ...] = ()
    """Metrics by subgroup that the fairness audit judges."""
    gained: tuple[str, str] = ("", "")
    """Name of the metric of `gain` in the table of audits, and its words in a sentence."""
    matched_words: str = ""
    """A word for the property that `matched_by` makes equal between two groups; empty if it makes nothing equal."""
    without_class: str = "no test patient is {}"
    """Sentence about classes without a test patient, whose names replace the braces."""
    in_smallest_class: str = "in the smallest class"
    """Words after a number of test patients, which say who is counted."""
    without_validation: str = ""
    """End of the sentence 'it cannot be chosen as the best' about an experiment without validation predictions."""

    # From predictions to units.

    def kept(self, frame: pl.DataFrame, target: Target) -> tuple[pl.DataFrame, list[str]]:
        """The rows of predictions that are scored, and the classes without a probability."""
        return frame, []

    def truths(self, rows: pl.DataFrame, target: Target) -> pl.DataFrame:
        """unit_key, truth and label of every unit in `rows` of unit_key, truth and class."""
        ...

    def aligned(self, means: pl.DataFrame, keys: pl.DataFrame, target: Target) -> Array:
        """The values of `means` (unit_key, class, value) in the order of `keys`.

        Returns:
            (n,) or (n, classes) float64; nan for missing values.
        """
        ...

    def validation(self, means: pl.DataFrame, target: Target) -> pl.DataFrame:
        """Validation units by rotation as in `Model.validation`; `means` has a row for each fold, unit and class."""
        ...

    def is_age(self, target: Target) -> bool:
        """Whether the target is the patient's age in years."""
        return False

    def parts(self, task: Task) -> Mapping[str, Task]:
        """Binary tasks by label (`Task.parts`); empty for kinds with one truth for each unit."""
        return {}

    def unknown(self, task: Task) -> Mapping[str, int]:
        """Number of test units with unknown truth, by label; empty for kinds with one truth for each unit."""
        return {}

    def table_labels(self, rows: pl.DataFrame, target: Target) -> pl.DataFrame:
        """image_key and label (a column of Table 1) of a cohort's members, from CohortTargets rows of the target."""
        return rows.select("image_key", "label")

    def table_variables(self, rows: pl.DataFrame, target: Target) -> pl.DataFrame:
        """image_key and a column of text for each further variable of Table 1, from CohortTargets rows."""
        return rows.select("image_key").clear()

    def answered(self, rows: pl.DataFrame) -> pl.DataFrame:
        """image_key of members with a known value, from CohortTargets rows of the target."""
        return rows.filter(pl.col("value").is_not_null() | pl.col("label").is_not_null()).select("image_key")

    # Scores.

    def refusal(self, task: Task, known: Array) -> str:
        """A sentence why the units (n,) bool cannot be scored; empty if they can."""
        return ""

    def scores(self, task: Task, model: Model, options: EvaluationOptions) -> Iterator[Scored]:
        """Every metric of a model on the test units that it predicts."""
        ...

    def scores_by_patient(self, task: Task, model: Model, options: EvaluationOptions) -> dict[str, Estimate]:
        """Main metrics after averaging each patient's images; empty if they are not defined."""
        return {}

    def validation_score(self, task: Task, model: Model) -> float:
        """The metric on the model's validation units; nan if it is not defined.

        Raises:
            ValueError: if the validation units cannot be scored.
        """
        ...

    # Comparisons.

    def differences(
        self, task: Task, model: Model, baseline: Model, both: Array, options: EvaluationOptions
    ) -> Iterator[Scored]:
        """Paired differences between two models on the units `both` (n,) bool, which both models predicted."""
        ...

    def smallest_difference(self, task: Task, first: Model, second: Model, both: Array) -> float | None:
        """The smallest true difference that a test set of this size detects in 8 of 10 cases; None if not defined."""
        return None

    # Subgroups.

    def by_cell(
        self, task: Task, model: Model, members: Array, options: EvaluationOptions
    ) -> Iterator[tuple[Scored, Array]]:
        """Metrics of a subgroup, with p of the test against the rest, each with the units (n,) bool that it is about.

        `members` (n,) bool are the units of the subgroup.
        """
        yield from ()

    # Changed images.

    def changed(self, task: Task, values: Array, units: Array, options: EvaluationOptions) -> dict[str, Estimate]:
        """Main metrics of the predictions `values` of changed images, on the units (n,) bool.

        Raises:
            ValueError: if these units cannot be scored.
        """
        ...

    def lost(
        self, task: Task, model: Model, values: Array, units: Array, options: EvaluationOptions
    ) -> Estimate | None:
        """How much worse the model is on changed images than on the same images unchanged, paired; above 0 is worse.

        Raises:
            ValueError: if these units cannot be scored.
        """
        ...

    def beyond_guessing(self, task: Task, model: Model, units: Array) -> float:
        """How much better than guessing the model is on these units, in its metric; nan if that is not defined."""
        ...

    # Data of figures.

    def sides(self, task: Task, model: Model) -> Iterator[Side]:
        """Classes for ROC curves."""
        yield from ()

    def probabilities(self, task: Task, model: Model) -> Iterator[Side]:
        """Classes with probabilities, for calibration."""
        yield from ()

    def two_labels(self, task: Task) -> tuple[str, str] | None:
        """The positive label and the other one, if every unit has one of these two; None for other kinds."""
        return None

    def calls(self, task: Task, model: Model, options: EvaluationOptions) -> Iterator[Calls]:
        """Called classes, for confusion matrices."""
        yield from ()

    def caption(self, task: Task, unit: Mapping[str, Any]) -> str:
        """The words below a unit's picture: its truth and its prediction (`_value`)."""
        return ""

    # Figures of audits.

    def gain(self, task: Task, model: Model, options: EvaluationOptions) -> Estimate | None:
        """How much better than guessing a model is, with a two-sided p; None if that is not defined."""
        return None

    def matched_by(self, task: Task) -> Array | None:
        """The class or level of each unit (n,); groups are matched by it, and by age and sex. None for other kinds."""
        return None

    def gap(self, task: Task, model: Model, first: Array, units: Array, options: EvaluationOptions) -> Estimate | None:
        """The metric of a group of units minus the metric of the other units; None if that is not defined.

        Args:
            task: The task.
            model: The model that is scored.
            first: (n,) bool, the group.
            units: Rows (m,) of all units that are compared.
            options: Confidence of the interval, and draws.
        """
        return None

    def losses(self, task: Task, model: Model) -> Array | None:
        """The absolute error of each unit, (n,); None if it is not defined for the kind or the model."""
        return None

    def patients_by_class(self, task: Task) -> dict[str, int]:
        """Number of test patients by class, without empty classes; empty for kinds without classes."""
        return {}

    def levels(self, task: Task) -> Mapping[str, int]:
        """Number of test patients by level in order, with empty levels; empty for kinds without levels."""
        return {}

    # Words of the answer.

    def reads(self, task: Task, what: str) -> str:
        """The predicate of the answer before the number, for example 'reads age with a mean absolute error of'.

        `what` is the target's name for people.
        """
        ...

    def skill_words(self, value: float, low: float, high: float) -> str:
        """The skill metric with its interval, compared with guessing."""
        ...


KINDS: Kinds[TargetKind] = Kinds("xray_mining.evaluation.targets", "target kind")
