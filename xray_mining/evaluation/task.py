"""A task (one target of one cohort), the models that predict its test units, and what its kind of target must do."""

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
    """The same with the fits' calibrated values where they have some; None where no fit has."""
    validation: pl.DataFrame
    """unit_key, patient_key, fold, truth, label, value (a list for several classes); mean over seeds, by rotation."""
    calibrated_fits: int = 0
    """How many of its `fits` (rotation and seed) have calibrated values: the map helped on validation patients."""
    calibrated_by_class: Mapping[str, int] = field(default_factory=dict)
    """The same by class as predictions name it: of several labels, the map may help for some only."""
    fits: int = 1
    again: Array | None = None
    """The test units as another rotation's fit predicted them when they were its validation units, as `values`."""
    variants: Mapping[str, Array] = field(default_factory=dict)
    """Predictions of changed test images by the variant's name, as `values`."""

    def again_of(self, units: Array) -> Array | None:
        """`again` of these units; None where no unit is predicted again."""
        return None if self.again is None else self.again[units]

    @property
    def architecture(self) -> str:
        """What kind of model the study file asked for: centre, metadata, ridge, network, …."""
        return str(self.options.get("model") or self.name)

    @property
    def shows(self) -> ModelKind[Any]:
        """The kind of model whose predictions these are."""
        return kind_that_predicted(self.kind)

    @property
    def role(self) -> Role:
        """What it is compared as."""
        return self.shows.role

    @property
    def sight(self) -> Sight:
        """What it can see of the anatomy."""
        return self.shows.sight(self.architecture)

    @property
    def chose_by_rotation(self) -> bool:
        """It chose among other models in each rotation, by that rotation's validation patients."""
        return self.shows.chose_by_rotation(self.options)

    @cached_property
    def known(self) -> Array:
        """Which units it predicted, (n,) bool."""
        return known_rows(self.values)


def known_rows(values: Array) -> Array:
    """Rows (n,) bool of values (n,) or (n, classes) that are finite throughout."""
    return np.asarray(np.isfinite(values.reshape(len(values), -1)).all(axis=1))


@dataclass(frozen=True)
class Task:
    """One target of one cohort."""

    cohort: FrozenCohort
    target: Target
    level: str
    units: pl.DataFrame
    """unit_key, patient_key, fold, truth, label and what the catalog knows of the image, sorted by unit_key.

    Every unit has a known truth."""
    models: Mapping[str, Model]

    @property
    def name(self) -> str:
        """COHORT/TARGET."""
        return f"{self.cohort.name}/{self.target.name}"

    @property
    def kind(self) -> "TargetKind":
        """What evaluation does differently for this kind of target."""
        return KINDS.find(self.target.kind)

    @property
    def is_age(self) -> bool:
        """Whether the target is the patient's age in years, whatever its name; another number in years is not."""
        return self.kind.is_age(self.target)

    @property
    def metric(self) -> str:
        """The metric that models are chosen by."""
        return self.kind.metric

    @property
    def unit(self) -> str:
        """The unit of an error after a number, as ' years'; empty where it has none."""
        return f" {self.target.unit}" if self.kind.has_unit and self.target.unit else ""

    @cached_property
    def parts(self) -> Mapping[str, "Task"]:
        """For several labels a binary task for each label, of the units whose truth is known; empty for other kinds."""
        return self.kind.parts(self)

    @cached_property
    def truth(self) -> Array:
        """(n,) float64: the number, or 1 for the positive label; (n, labels) with nan where a label is not known."""
        return self.units["truth"].to_numpy()

    @cached_property
    def labels(self) -> Array:
        """(n,) text: the true class; empty for a number."""
        return self.units["label"].fill_null("").to_numpy()

    @cached_property
    def owner(self) -> Array:
        """(n,) number of the unit's patient."""
        return self.units["patient_key"].rank("dense").to_numpy().astype(np.int64) - 1

    @cached_property
    def folds(self) -> Array:
        """(n,) the rotation that tested the unit; -1 where several did."""
        return self.units["fold"].to_numpy()

    @cached_property
    def latest(self) -> Array:
        """(patients,) place of each patient's latest unit by patient_sequence, which represents the patient."""
        order = np.argsort(-self.units["patient_sequence"].fill_null(0).to_numpy(), kind="stable")
        return np.asarray(order[np.unique(self.owner[order], return_index=True)[1]])

    @property
    def patients(self) -> int:
        """How many patients are tested."""
        return int(self.owner.max()) + 1 if len(self.owner) else 0

    @property
    def rotations(self) -> int:
        """The most rotations of one experiment."""
        return max((len(model.rotations) for model in self.models.values()), default=1)

    def words(self, name: str) -> str:
        """An experiment's name for people: a null model is called by its kind where the task has one of that kind."""
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
    """One class against all others: what an area, a curve and the bins of one class are made of."""

    class_: str
    """Empty for a binary target."""
    units: Array
    """(n,) bool: the task's units that it is about; the arrays below have these units' m values."""
    positive: Array
    """(m,) bool."""
    values: Array
    """(m,)."""
    again: Array | None
    """(m,) by another rotation's fit; None where no unit is predicted again."""
    calibrated: bool = False
    """`values` are probabilities after calibration on validation patients."""


@dataclass(frozen=True, slots=True)
class Calls:
    """Every unit called one of the classes, at one operating point."""

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
    """What differs between kinds of target in the evaluation; a kind is one file of `evaluation/targets`.

    A method with a body here is for kinds that have nothing of this sort.
    """

    metric: str
    """The metric that models are chosen by, as rows of estimates name it."""
    title: str
    """The metric in a sentence, as MAE."""
    words: str
    """The metric in full, as mean absolute error."""
    less_is_better: bool = False
    has_unit: bool = False
    """Errors are in the target's unit."""
    unitless: frozenset[str] = frozenset()
    """Metrics without this unit."""
    one_value: bool = True
    """A unit has one truth and one predicted value, so points can be drawn and cases shown."""
    has_labels: bool = False
    """Table 1 has a column for each label."""
    digits: int = 3
    """Digits of the metric in the answer."""
    skill_metric: str
    """The metric that says how much better than guessing a model is."""
    guess: float
    """What guessing reaches in `skill_metric`."""
    guess_words: str
    """Guessing in a sentence."""
    screened: tuple[str, ...] = ()
    """Metrics by subgroup that the fairness audit judges."""
    gained: tuple[str, str] = ("", "")
    """The metric of `gain` in the table of audits, and in words."""
    matched_words: str = ""
    """What `matched_by` makes equal between two groups, in a word; empty where that is nothing."""
    without_class: str = "nobody in the test set is {}"
    """What is wrong with classes without a test patient, whose names replace the braces."""
    in_smallest_class: str = "in the smallest class"
    without_validation: str = ""
    """What else an experiment without validation predictions lacks, after 'it cannot be chosen as the best'."""

    # From predictions to units.

    def kept(self, frame: pl.DataFrame, target: Target) -> tuple[pl.DataFrame, list[str]]:
        """The rows of predictions that are scored, and classes that have no probability."""
        return frame, []

    def truths(self, rows: pl.DataFrame, target: Target) -> pl.DataFrame:
        """unit_key, truth and label of every unit in `rows` of unit_key, truth and class."""
        ...

    def aligned(self, means: pl.DataFrame, keys: pl.DataFrame, target: Target) -> Array:
        """`means` of unit_key, class and value in the order of `keys`: (n,) or (n, classes), nan where absent."""
        ...

    def validation(self, means: pl.DataFrame, target: Target) -> pl.DataFrame:
        """Validation units by rotation, as `Model.validation`, from means of fold, unit_key and class."""
        ...

    def is_age(self, target: Target) -> bool:
        """`Task.is_age`."""
        return False

    def parts(self, task: Task) -> Mapping[str, Task]:
        """`Task.parts`."""
        return {}

    def unknown(self, task: Task) -> Mapping[str, int]:
        """Test units whose truth is not known, by label; empty for kinds with one truth a unit."""
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
        """Why the units (n,) bool cannot be scored, as a sentence; empty where they can."""
        return ""

    def scores(self, task: Task, model: Model, options: EvaluationOptions) -> Iterator[Scored]:
        """Every metric of a model on the test units that it predicts."""
        ...

    def scores_by_patient(self, task: Task, model: Model, options: EvaluationOptions) -> dict[str, Estimate]:
        """Main metrics after averaging a patient's images; empty where the kind has none."""
        return {}

    def validation_score(self, task: Task, model: Model) -> float:
        """The metric on the model's validation units; nan where there is nothing to score. May raise ValueError."""
        ...

    # Comparisons.

    def differences(
        self, task: Task, model: Model, baseline: Model, both: Array, options: EvaluationOptions
    ) -> Iterator[Scored]:
        """Paired differences of two models on the units (n,) bool that both predict."""
        ...

    def smallest_difference(self, task: Task, first: Model, second: Model, both: Array) -> float | None:
        """The true difference of two models that a test set of this size shows in 8 of 10; None without one."""
        return None

    # Subgroups.

    def by_cell(
        self, task: Task, model: Model, members: Array, options: EvaluationOptions
    ) -> Iterator[tuple[Scored, Array]]:
        """Figures of the members (n,) bool of a subgroup, p against the rest, and the units each figure is about."""
        yield from ()

    # Changed images.

    def changed(self, task: Task, values: Array, units: Array, options: EvaluationOptions) -> dict[str, Estimate]:
        """Main metrics of predictions of changed images, of the units (n,) bool. May raise ValueError."""
        ...

    def lost(
        self, task: Task, model: Model, values: Array, units: Array, options: EvaluationOptions
    ) -> Estimate | None:
        """How much worse changed images are predicted, paired; above 0 is worse. May raise ValueError."""
        ...

    def beyond_guessing(self, task: Task, model: Model, units: Array) -> float:
        """What the model gains on these units over guessing, in its metric; nan where that is not defined."""
        ...

    # What figures are drawn from.

    def sides(self, task: Task, model: Model) -> Iterator[Side]:
        """Classes to draw a ROC curve of."""
        yield from ()

    def probabilities(self, task: Task, model: Model) -> Iterator[Side]:
        """Classes with probabilities, to draw calibration of."""
        yield from ()

    def two_labels(self, task: Task) -> tuple[str, str] | None:
        """The positive label and the other one, if every unit has one of these two; None for other kinds."""
        return None

    def calls(self, task: Task, model: Model, options: EvaluationOptions) -> Iterator[Calls]:
        """What a confusion matrix is counted from."""
        yield from ()

    def caption(self, task: Task, unit: Mapping[str, Any]) -> str:
        """The truth of a unit and its prediction (`_value`), below its picture."""
        return ""

    # What audits ask.

    def gain(self, task: Task, model: Model, options: EvaluationOptions) -> Estimate | None:
        """What a model gains over knowing nothing, two-sided p; None where that is not defined."""
        return None

    def matched_by(self, task: Task) -> Array | None:
        """What groups are made equal in (n,), apart from age and sex; None where the kind has no classes or levels."""
        return None

    def gap(self, task: Task, model: Model, first: Array, units: Array, options: EvaluationOptions) -> Estimate | None:
        """The metric of the `units` (places) that are `first` (n,) bool minus that of the others of `units`."""
        return None

    def losses(self, task: Task, model: Model) -> Array | None:
        """The absolute error of each unit (n,); None where the kind or the model has none."""
        return None

    def patients_by_class(self, task: Task) -> dict[str, int]:
        """Test patients of each class that has some; empty for kinds without classes."""
        return {}

    def levels(self, task: Task) -> Mapping[str, int]:
        """Test patients of each level in order, also of levels that nobody has; empty for kinds without levels."""
        return {}

    # The answer.

    def reads(self, task: Task, what: str) -> str:
        """What a model does, as 'reads age with a mean absolute error of'; `what` is the target's name for people."""
        ...

    def skill_words(self, value: float, low: float, high: float) -> str:
        """The skill metric with its interval beside guessing."""
        ...


KINDS: Kinds[TargetKind] = Kinds("xray_mining.evaluation.targets", "target kind")
