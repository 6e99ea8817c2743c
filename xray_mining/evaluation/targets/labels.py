"""Several labels of an image (findings), each true, false or unknown: one binary task each, and their mean area."""

from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np
import polars as pl

from xray_mining.evaluation.options import EvaluationOptions
from xray_mining.evaluation.targets._classes import APART, both_classes, both_in_a_fold, by_class, column
from xray_mining.evaluation.targets._mean_area import MeanArea
from xray_mining.evaluation.targets.binary import KIND as BINARY
from xray_mining.evaluation.task import Array, Calls, Model, Scored, Side, Task
from xray_mining.records.cohort import Target
from xray_mining.statistics.macro import macro_auc


class Labels(MeanArea):
    """Scored by the mean over labels of the area under the ROC curve, and each label as a binary target.

    A unit whose truth is unknown for one label is left out for this label only.
    """

    has_labels = False
    several = "labels"
    matched_words = ""
    without_class = "all test patients have {}, or no test patient has it"
    in_smallest_class = "with (or without, whichever is rarer) the rarest label"

    def truths(self, rows: pl.DataFrame, target: Target) -> pl.DataFrame:
        """unit_key, truth (an array with 1, 0 or nan (unknown) for each label) and an empty label of every unit."""
        first = rows.group_by("unit_key", "class").agg(pl.col("truth").first())
        keys = first.select("unit_key").unique().sort("unit_key")
        return keys.with_columns(_array("truth", by_class(first, keys, target, "truth")), pl.lit("").alias("label"))

    def validation(self, means: pl.DataFrame, target: Target) -> pl.DataFrame:
        """Truths and probabilities of all labels as arrays; nan for unknown truths."""
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
        """Number of units with unknown truth, by label; labels known for every unit are left out."""
        counts = np.isnan(task.truth).sum(axis=0).tolist()
        return {name: count for name, count in zip(task.target.classes, counts, strict=True) if count}

    def table_variables(self, rows: pl.DataFrame, target: Target) -> pl.DataFrame:
        """A column 'TARGET: LABEL' for each label (present, absent or null), so that Table 1 shows its prevalence."""
        word = pl.when(pl.col("value") == 1).then(pl.lit("present")).when(pl.col("value") == 0).then(pl.lit("absent"))
        long = rows.select("image_key", pl.format(f"{target.name}: {{}}", "label").alias("label"), word.alias("word"))
        wide = long.pivot("label", index="image_key", values="word")
        return wide.select("image_key", *(f"{target.name}: {each}" for each in target.classes))

    def answered(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Images with a known value of at least one label; `rows` has one row for each image and label."""
        return rows.filter(pl.col("value").is_not_null()).select("image_key").unique()

    def refusal(self, task: Task, known: Array) -> str:
        """A sentence if no label is true for some units of a fold and false for others; else empty."""
        truth, folds = task.truth[known], task.folds[known]
        if any(both_in_a_fold(column, folds) for column in truth.T):
            return ""
        if ((truth == 1).any(axis=0) & (truth == 0).any(axis=0)).any():
            return f"no fold has test units for which a label is true and others for which it is false; {APART}."
        return "no label is true for some test units and false for others; an area under the ROC curve needs both."

    def patients_by_class(self, task: Task) -> dict[str, int]:
        """For each label the smaller number of patients: those with it, or those without it."""
        counts = {}
        for name, part in task.parts.items():
            sides = [len(np.unique(part.owner[part.truth == each])) for each in (0, 1)]
            if min(sides):
                counts[name] = min(sides)
        return counts

    def scores(self, task: Task, model: Model, options: EvaluationOptions) -> Iterator[Scored]:
        """The mean area, then all metrics of a binary target for each label."""
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
        """The truths of all labels, (n, labels)."""
        return task.truth

    def again(self, task: Task, model: Model, units: Array) -> Array | None:
        """Probabilities by the fit of another rotation; the model's own for unknown truths, which are not scored."""
        again = super().again(task, model, units)
        return None if again is None else np.where(np.isnan(task.truth[units]), model.values[units], again)

    def matched_by(self, task: Task) -> Array | None:
        """None, because an image may have several labels."""
        return None

    def validated(self, frame: pl.DataFrame, target: Target) -> Array:
        """The truths of validation rows, (n, labels)."""
        return frame["truth"].to_numpy()

    def differences(
        self, task: Task, model: Model, baseline: Model, both: Array, options: EvaluationOptions
    ) -> Iterator[Scored]:
        """Paired differences for each label as for a binary target, and of the mean area."""
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
        """Each label, on the units with a known truth."""
        for name, part, own in _scorable(task, model):
            yield from (_in_task(task, name, side) for side in BINARY.sides(part, own))

    def probabilities(self, task: Task, model: Model) -> Iterator[Side]:
        """Each label, with calibrated probabilities if the label's calibration helped on validation patients."""
        for name, part, own in _scorable(task, model):
            yield from (_in_task(task, name, side) for side in BINARY.probabilities(part, own))

    def calls(self, task: Task, model: Model, options: EvaluationOptions) -> Iterator[Calls]:
        """The calls of each label at each operating point."""
        for _, part, own in _scorable(task, model):
            yield from BINARY.calls(part, own, options)

    def reads(self, task: Task, what: str) -> str:
        """'distinguishes present from absent for 14 labels of findings with a mean … of', before the number."""
        return (
            f"distinguishes present from absent for {len(task.target.classes)} labels of {what} with a {self.words} of"
        )


def _array(name: str, values: Array) -> pl.Series:
    """Values (n, labels) as a column of arrays."""
    return pl.Series(name, values, dtype=pl.Array(pl.Float64, values.shape[1]))


def _known(task: Task, label: str) -> Array:
    """Units (n,) bool with a known truth of the label."""
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
    # If calibration did not help for a label, its column of `calibrated` is a copy of the model's own probabilities.
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
    """The labels that can be scored: in some rotation, predicted units have both truths of the label."""
    for name, part in task.parts.items():
        own = part.models[model.name]
        if both_classes(part, own.known):
            yield name, part, own


def _in_task(task: Task, name: str, side: Side) -> Side:
    """A label's side with `units` as places in the task of all labels, not in the label's own task."""
    units = np.zeros(len(task.truth), dtype=bool)
    units[np.flatnonzero(_known(task, name))[side.units]] = True
    return replace(side, class_=name, units=units)


KIND = Labels()
