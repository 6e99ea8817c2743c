"""Several classes without an order, for example makers: scored by the mean area of each class against the others."""

from collections.abc import Iterator

import numpy as np
import polars as pl

from xray_mining.evaluation.options import EvaluationOptions
from xray_mining.evaluation.targets._classes import both_classes, both_in_a_fold, column, pair
from xray_mining.evaluation.targets._mean_area import MeanArea
from xray_mining.evaluation.task import Array, Calls, Model, Scored, Side, Task
from xray_mining.records.cohort import Target
from xray_mining.statistics.auc import area_difference, areas_over_folds, auc
from xray_mining.statistics.average_precision import average_precision
from xray_mining.statistics.calibration import calibration_metrics
from xray_mining.statistics.classification import group_metrics
from xray_mining.statistics.macro import macro_auc


class Group(MeanArea):
    """Scored by the mean over classes of the area under the ROC curve, and by calls of the most probable class."""

    def truths(self, rows: pl.DataFrame, target: Target) -> pl.DataFrame:
        """unit_key, truth (the number of the class) and label (its name) of every unit."""
        labelled = rows.filter(pl.col("truth") == 1).group_by("unit_key").agg(pl.col("class").first().alias("label"))
        place = pl.DataFrame({"label": list(target.classes), "truth": np.arange(len(target.classes), dtype=np.float64)})
        return labelled.join(place, on="label", how="inner")

    def validation(self, means: pl.DataFrame, target: Target) -> pl.DataFrame:
        """A list of probabilities and the label of each unit that has all probabilities and a known label."""
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
        """Metrics of all classes together, then areas and Brier score of each class."""
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
            if not both_in_a_fold(mine, folds):
                continue
            yield Scored("auc", auc(mine, given, owner, folds, options.confidence, again=there), name)
            precision = average_precision(mine, given, owner, folds, options.confidence, again=there)
            yield Scored("average_precision", precision, name)
            given = np.clip(given, 0, 1)
            metrics = options.bootstrapped(calibration_metrics)(mine, given, owner, folds=folds, again=there)
            yield Scored("brier", metrics["brier"], name)

    def answers(self, task: Task) -> Array:
        """The class of each unit, (n,) text."""
        return task.labels

    def validated(self, frame: pl.DataFrame, target: Target) -> Array:
        """1 for the unit's own class, 0 for the others, (n, classes)."""
        return (frame["label"].to_numpy()[:, None] == np.array(target.classes)).astype(float)

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
            if both_in_a_fold(mine, folds):
                scores = np.stack([first[:, i], second[:, i]])
                areas = areas_over_folds(mine, scores, owner, folds, pair(column(each, i) for each in again))
                yield Scored("auc", area_difference(areas, 0, 1, options.confidence), name)
                compared = True
        if compared:
            macro = self.difference(task, model.values, baseline.values, both, again=again, options=options)
            yield Scored("auc_macro", macro)

    def sides(self, task: Task, model: Model) -> Iterator[Side]:
        """Each class against the others."""
        known = model.known
        labels, values, again = task.labels[known], model.values[known], model.again_of(known)
        for i, name in enumerate(task.target.classes):
            yield Side(name, known, labels == name, values[:, i], column(again, i))

    def probabilities(self, task: Task, model: Model) -> Iterator[Side]:
        """Each class against the others, with scores clipped to [0, 1]."""
        for side in self.sides(task, model):
            again = None if side.again is None else np.clip(side.again, 0, 1)
            yield Side(side.class_, side.units, side.positive, np.clip(side.values, 0, 1), again)

    def calls(self, task: Task, model: Model, options: EvaluationOptions) -> Iterator[Calls]:
        """The most probable class of every unit, as one operating point."""
        known = model.known
        labels, owner = task.labels[known], task.owner[known]
        classes = tuple(task.target.classes) or tuple(sorted(np.unique(labels).tolist()))
        called = np.array(classes)[model.values[known].argmax(axis=1)]
        yield Calls("largest", None, classes, labels, called, owner)

    def reads(self, task: Task, what: str) -> str:
        """'distinguishes the classes of maker with a mean area under the ROC curve of', before the number."""
        return f"distinguishes the classes of {what} with a {self.words} of"


KIND = Group()
