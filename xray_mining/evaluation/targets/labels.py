"""Several labels of an image, each true, false or not known, as findings: a binary task each, and their mean area."""

from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np
import polars as pl

from xray_mining.evaluation.options import EvaluationOptions
from xray_mining.evaluation.targets._classes import by_class, column
from xray_mining.evaluation.targets._mean_area import MeanArea
from xray_mining.evaluation.targets.binary import KIND as BINARY
from xray_mining.evaluation.task import Array, Calls, Model, Scored, Side, Task
from xray_mining.records.cohort import Target
from xray_mining.statistics.macro import macro_auc


class Labels(MeanArea):
    """Scored by the mean over labels of the area under the ROC curve, and label by label as a binary target.

    A unit's label whose truth is not known is left out for that label alone.
    """

    has_labels = False
    matched_words = ""
    without_class = "every test patient is {}, or nobody is"
    in_smallest_class = "on the rarer side of the rarest label"

    def truths(self, rows: pl.DataFrame, target: Target) -> pl.DataFrame:
        """For each label 1, 0, or nan where it is not known; the text is empty."""
        first = rows.group_by("unit_key", "class").agg(pl.col("truth").first())
        keys = first.select("unit_key").unique().sort("unit_key")
        return keys.with_columns(_array("truth", by_class(first, keys, target, "truth")), pl.lit("").alias("label"))

    def validation(self, means: pl.DataFrame, target: Target) -> pl.DataFrame:
        """Truths and probabilities of all labels, nan where the truth is not known."""
        parts = []
        for _, frame in means.sort("fold", "unit_key").group_by("fold", maintain_order=True):
            keys = frame.select("fold", "unit_key", "patient_key").unique("unit_key", maintain_order=True)
            truth, value = (by_class(frame, keys, target, name) for name in ("truth", "value"))
            parts.append(keys.with_columns(_array("truth", truth), _array("value", value), pl.lit("").alias("label")))
        return pl.concat(parts) if parts else means.drop("class").with_columns(pl.lit("").alias("label"))

    def parts(self, task: Task) -> Mapping[str, Task]:
        """A binary task for each label."""
        return {name: _part(task, number, name) for number, name in enumerate(task.target.classes)}

    def unknown(self, task: Task) -> Mapping[str, int]:
        """Of each label that is not known for every unit."""
        counts = np.isnan(task.truth).sum(axis=0).tolist()
        return {name: count for name, count in zip(task.target.classes, counts, strict=True) if count}

    def table_variables(self, rows: pl.DataFrame, target: Target) -> pl.DataFrame:
        """Each label as 'TARGET: LABEL', with present, absent or null, so that Table 1 has its prevalence."""
        word = pl.when(pl.col("value") == 1).then(pl.lit("present")).when(pl.col("value") == 0).then(pl.lit("absent"))
        long = rows.select("image_key", pl.format(f"{target.name}: {{}}", "label").alias("label"), word.alias("word"))
        wide = long.pivot("label", index="image_key", values="word")
        return wide.select("image_key", *(f"{target.name}: {each}" for each in target.classes))

    def answered(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Images with a known value of one label at least: each label has a row, named in its text."""
        return rows.filter(pl.col("value").is_not_null()).select("image_key").unique()

    def refusal(self, task: Task, known: Array) -> str:
        """One label at least must be true of some units and false of others."""
        truth = task.truth[known]
        if ((truth == 1).any(axis=0) & (truth == 0).any(axis=0)).any():
            return ""
        return "no label is true of some test units and false of others; an area needs both."

    def patients_by_class(self, task: Task) -> dict[str, int]:
        """Patients of the rarer side of each label."""
        counts = {}
        for name, part in task.parts.items():
            sides = [len(np.unique(part.owner[part.truth == each])) for each in (0, 1)]
            if min(sides):
                counts[name] = min(sides)
        return counts

    def scores(self, task: Task, model: Model, options: EvaluationOptions) -> Iterator[Scored]:
        """The mean area, then what a binary target has for each label."""
        known = model.known
        truth, values, owner, folds = task.truth[known], model.values[known], task.owner[known], task.folds[known]
        again, classes = self.again(task, model, known), task.target.classes
        try:
            area = macro_auc(truth, values, classes, owner, folds, again=again, confidence=options.confidence)
        except ValueError:
            return
        yield Scored("auc_macro", area)
        for name, part, own in _scorable(task, model):
            yield from (replace(each, class_=name) for each in BINARY.scores(part, own, options))

    def answers(self, task: Task) -> Array:
        """The truths of all labels."""
        return task.truth

    def again(self, task: Task, model: Model, units: Array) -> Array | None:
        """Where a truth is not known, and nothing is computed, the model's own."""
        again = super().again(task, model, units)
        return None if again is None else np.where(np.isnan(task.truth[units]), model.values[units], again)

    def matched_by(self, task: Task) -> Array | None:
        """Nothing: an image may have several labels."""
        return None

    def validated(self, frame: pl.DataFrame, target: Target) -> Array:
        """The same of validation rows."""
        return frame["truth"].to_numpy()

    def differences(
        self, task: Task, model: Model, baseline: Model, both: Array, options: EvaluationOptions
    ) -> Iterator[Scored]:
        """Paired differences of each label as of a binary target, and of the mean area."""
        again = (self.again(task, model, both), self.again(task, baseline, both))
        try:
            macro = self.difference(task, model.values, baseline.values, both, again=again, options=options)
        except ValueError:
            return
        for name, part, own in _scorable(task, model):
            other = part.models[baseline.name]
            units = both[_known(task, name)]
            if len(np.unique(part.owner[units])) > 1:
                found = BINARY.differences(part, own, other, units, options)
                yield from (replace(each, class_=name) for each in found)
        yield Scored("auc_macro", macro)

    def sides(self, task: Task, model: Model) -> Iterator[Side]:
        """Each label, of the units whose truth is known."""
        for name, part, own in _scorable(task, model):
            yield from (_in_task(task, name, side) for side in BINARY.sides(part, own))

    def probabilities(self, task: Task, model: Model) -> Iterator[Side]:
        """The same with calibrated probabilities where the label's map is shown to help."""
        for name, part, own in _scorable(task, model):
            yield from (_in_task(task, name, side) for side in BINARY.probabilities(part, own))

    def calls(self, task: Task, model: Model, options: EvaluationOptions) -> Iterator[Calls]:
        """Of each label, at each operating point."""
        for _, part, own in _scorable(task, model):
            yield from BINARY.calls(part, own, options)

    def reads(self, task: Task, what: str) -> str:
        """Tells each label, as the mean over them."""
        return f"tells {len(task.target.classes)} labels of {what} with a {self.words} of"


def _array(name: str, values: Array) -> pl.Series:
    """Values (n, labels) as a column of arrays."""
    return pl.Series(name, values, dtype=pl.Array(pl.Float64, values.shape[1]))


def _known(task: Task, label: str) -> Array:
    """Units (n,) bool whose truth of the label is known."""
    return np.isfinite(task.truth[:, task.target.classes.index(label)])


def _part(task: Task, number: int, name: str) -> Task:
    truth = task.truth[:, number]
    known = np.isfinite(truth)
    other = f"no {name}"
    target = replace(task.target, kind="binary", positive=name, classes=(other, name))
    units = task.units.with_columns(
        pl.Series("truth", truth), pl.Series("label", np.where(truth == 1, name, other), dtype=pl.String)
    ).filter(pl.Series(known))
    models = {each.name: _model_of(each, number, name, known) for each in task.models.values()}
    return replace(task, target=target, units=units, models=models)


def _model_of(model: Model, number: int, name: str, known: Array) -> Model:
    frame = model.validation
    if frame.height:
        truth, value = (frame[name].to_numpy()[:, number] for name in ("truth", "value"))
        frame = frame.with_columns(pl.Series("truth", truth), pl.Series("value", value)).filter(
            pl.col("truth").is_not_nan()
        )
    calibrated = None if model.calibrated is None else model.calibrated[known, number]
    values = model.values[known, number]
    # A label whose map is not shown to help has the model's own probabilities among the calibrated ones.
    if calibrated is not None and np.array_equal(calibrated, values, equal_nan=True):
        calibrated = None
    return replace(
        model,
        values=values,
        calibrated=calibrated,
        calibrated_fits=model.calibrated_by_class.get(name, 0),
        again=column(model.again_of(known), number),
        variants={name: changed[known, number] for name, changed in model.variants.items()},
        validation=frame,
    )


def _scorable(task: Task, model: Model) -> Iterator[tuple[str, Task, Model]]:
    """Labels that are true of some units that the model predicts and false of others, in some rotation."""
    for name, part in task.parts.items():
        own = part.models[model.name]
        truth, folds = part.truth[own.known], part.folds[own.known]
        if any(len(np.unique(truth[folds == each])) > 1 for each in np.unique(folds)):
            yield name, part, own


def _in_task(task: Task, name: str, side: Side) -> Side:
    """A label's side with its units counted in the task of all labels."""
    units = np.zeros(len(task.truth), dtype=bool)
    units[np.flatnonzero(_known(task, name))[side.units]] = True
    return replace(side, class_=name, units=units)


KIND = Labels()
