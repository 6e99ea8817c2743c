"""Several classes without an order, as makers: scored by the mean area of each class against the others."""

from collections.abc import Iterator

import numpy as np
import polars as pl

from xray_mining.evaluation.options import EvaluationOptions
from xray_mining.evaluation.targets._classes import Classes, both_classes, by_class, column, pair, with_every_class
from xray_mining.evaluation.task import Array, Calls, Model, Scored, Side, Task
from xray_mining.records.cohort import Target
from xray_mining.statistics.auc import area_difference, areas_over_folds, auc, average_precision, mean_area
from xray_mining.statistics.calibration import calibration_metrics
from xray_mining.statistics.classification import group_metrics
from xray_mining.statistics.estimate import Estimate
from xray_mining.statistics.macro import compare_macro_auc, macro_auc


class Group(Classes):
    """Scored by the mean over classes of the area under the ROC curve, and by the class with most probability."""

    metric = "auc_macro"
    title = "mean AUC"
    words = "mean area under the ROC curve"
    skill_metric = "auc_macro"
    one_value = False

    def kept(self, frame: pl.DataFrame, target: Target) -> tuple[pl.DataFrame, list[str]]:
        """All rows, but none where a class has no probability."""
        return with_every_class(frame, target)

    def truths(self, rows: pl.DataFrame, target: Target) -> pl.DataFrame:
        """The number of the class and its name."""
        labelled = rows.filter(pl.col("truth") == 1).group_by("unit_key").agg(pl.col("class").first().alias("label"))
        place = pl.DataFrame({"label": list(target.classes), "truth": np.arange(len(target.classes), dtype=np.float64)})
        return labelled.join(place, on="label", how="inner")

    def aligned(self, means: pl.DataFrame, keys: pl.DataFrame, target: Target) -> Array:
        """A probability for each class, (n, classes)."""
        return by_class(means, keys, target)

    def validation(self, means: pl.DataFrame, target: Target) -> pl.DataFrame:
        """A list of probabilities and the label, of units that have all probabilities and a known label."""
        place = {label: i for i, label in enumerate(target.classes)}
        return (
            means.filter(pl.col("class").is_in(list(target.classes)))
            .with_columns(pl.col("class").replace_strict(place, return_dtype=pl.Int64).alias("_place"))
            .sort("fold", "unit_key", "_place")
            .group_by("fold", "unit_key", maintain_order=True)
            .agg(
                pl.col("patient_key").first(),
                pl.col("class").filter(pl.col("truth") == 1).first().alias("label"),
                pl.col("value"),
            )
            .filter((pl.col("value").list.len() == len(place)) & pl.col("label").is_not_null())
        )

    def scores(self, task: Task, model: Model, options: EvaluationOptions) -> Iterator[Scored]:
        """Of all classes together, then the areas and Brier score of each."""
        known = model.known
        labels, values, owner, folds = task.labels[known], model.values[known], task.owner[known], task.folds[known]
        classes, again = task.target.classes, model.again_of(known)
        found = options.bootstrapped(group_metrics)(labels, values, classes, owner, folds=folds, again=again)
        yield from (Scored(metric, each) for metric, each in found.items())
        if both_classes(task, known):
            area = macro_auc(labels, values, classes, owner, folds, again=again, confidence=options.confidence)
            yield Scored("auc_macro", area)
        for side in self.sides(task, model):
            mine, given, there, name = side.positive, side.values, side.again, side.class_
            if not mine.any() or mine.all():
                continue
            yield Scored("auc", auc(mine, given, owner, folds, options.confidence, again=there), name)
            precision = average_precision(mine, given, owner, folds, options.confidence, again=there)
            yield Scored("average_precision", precision, name)
            given = np.clip(given, 0, 1)
            metrics = options.bootstrapped(calibration_metrics)(mine, given, owner, folds=folds, again=there)
            yield Scored("brier", metrics["brier"], name)

    def validation_score(self, task: Task, model: Model) -> float:
        """Mean over classes of the area, each a mean over rotations."""
        frame = model.validation
        labels, values, folds = frame["label"].to_numpy(), np.stack(frame["value"].to_list()), frame["fold"].to_numpy()
        areas = [
            mean_area(labels == name, values[:, i], folds)
            for i, name in enumerate(task.target.classes)
            if (labels == name).any() and not (labels == name).all()
        ]
        return float(np.mean(areas)) if areas else float("nan")

    def differences(
        self, task: Task, model: Model, baseline: Model, both: Array, options: EvaluationOptions
    ) -> Iterator[Scored]:
        """Paired differences of the area of each class, and of their mean."""
        if not both_classes(task, both):
            return
        labels, owner, folds = task.labels[both], task.owner[both], task.folds[both]
        again = (model.again_of(both), baseline.again_of(both))
        first, second = model.values[both], baseline.values[both]
        compared = False
        for i, name in enumerate(task.target.classes):
            mine = labels == name
            if mine.any() and not mine.all():
                scores = np.stack([first[:, i], second[:, i]])
                areas = areas_over_folds(mine, scores, owner, folds, pair(column(each, i) for each in again))
                yield Scored("auc", area_difference(areas, 0, 1, options.confidence), name)
                compared = True
        if compared:
            yield Scored("auc_macro", self._difference(task, first, second, both, again, options))

    def _difference(  # noqa: PLR0917  two models side by side
        self,
        task: Task,
        first: Array,
        second: Array,
        units: Array,
        again: tuple[Array | None, Array | None],
        options: EvaluationOptions,
    ) -> Estimate:
        return compare_macro_auc(
            task.labels[units],
            first,
            second,
            task.target.classes,
            task.owner[units],
            folds=task.folds[units],
            again=again,
            confidence=options.confidence,
        )

    def changed(self, task: Task, values: Array, units: Array, options: EvaluationOptions) -> dict[str, Estimate]:
        """The mean area on changed images."""
        if not both_classes(task, units):
            return {}
        labels, owner, folds = task.labels[units], task.owner[units], task.folds[units]
        classes = task.target.classes
        found = macro_auc(labels, values[units], classes, owner, folds, confidence=options.confidence)
        return {"auc_macro": found}

    def lost(
        self, task: Task, model: Model, values: Array, units: Array, options: EvaluationOptions
    ) -> Estimate | None:
        """The mean area on unchanged images minus that on the same images changed."""
        if not both_classes(task, units):
            return None
        return self._difference(task, model.values[units], values[units], units, (None, None), options)

    def beyond_guessing(self, task: Task, model: Model, units: Array) -> float:
        """The mean area above one half."""
        labels, values, owner, folds = (each[units] for each in (task.labels, model.values, task.owner, task.folds))
        return macro_auc(labels, values, task.target.classes, owner, folds).value - 0.5

    def sides(self, task: Task, model: Model) -> Iterator[Side]:
        """Each class against the others."""
        known = model.known
        labels, values, again = task.labels[known], model.values[known], model.again_of(known)
        for i, name in enumerate(task.target.classes):
            yield Side(name, known, labels == name, values[:, i], column(again, i))

    def probabilities(self, task: Task, model: Model) -> Iterator[Side]:
        """Each class against the others, scores cut at 0 and 1."""
        for side in self.sides(task, model):
            again = None if side.again is None else np.clip(side.again, 0, 1)
            yield Side(side.class_, side.units, side.positive, np.clip(side.values, 0, 1), again)

    def calls(self, task: Task, model: Model, options: EvaluationOptions) -> Iterator[Calls]:
        """The class with most probability."""
        known = model.known
        labels, owner = task.labels[known], task.owner[known]
        classes = tuple(task.target.classes) or tuple(sorted(np.unique(labels).tolist()))
        called = np.array(classes)[model.values[known].argmax(axis=1)]
        yield Calls("largest", None, classes, labels, called, owner)

    def reads(self, task: Task, what: str) -> str:
        """Tells the classes."""
        return f"tells {what} with a {self.words} of"


KIND = Group()
