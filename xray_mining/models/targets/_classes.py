"""Shared by kinds with exclusive classes: one row of probabilities for each image, judged by log loss."""

import numpy as np
import polars as pl

from xray_mining.models import calibration as maps
from xray_mining.models.targets import (
    Array,
    Column,
    Lesson,
    Reading,
    Teachable,
    log_losses_of_classes,
    mean_area,
    one_answer,
)
from xray_mining.records.cohort import Target


class Classes:
    """Values (n, classes) are probabilities in the order of target.classes; truths (n,) are positions there."""

    table_models: tuple[str, ...] = ("logistic", "boosting", "support_vectors")
    predicts = "groups"
    version = 0
    one_answer = True

    def metric(self, target: Target) -> str:
        """Area under the ROC curve."""
        return "AUC"

    def answers(self, rows: pl.DataFrame, target: Target) -> pl.DataFrame:
        """The rows themselves."""
        return one_answer(rows)

    def truths(self, images: pl.DataFrame, target: Target) -> Array:
        """The position of the column `label` among the classes."""
        place = {label: float(i) for i, label in enumerate(target.classes)}
        return np.array([place.get(label, np.nan) for label in images["label"].to_list()], dtype=np.float64)

    def certain(self, truths: Array, target: Target) -> Array:
        """Probability 1 of the class."""
        return np.eye(len(target.classes))[truths.astype(int)]

    def known(self, truths: Array) -> Array:
        """True for finite truths."""
        return np.isfinite(truths)

    def untrainable(self, truths: Array) -> str:
        """Two classes must occur."""
        return "are of one class" if len(np.unique(truths)) < 2 else ""

    def centre(self, truths: Array, weights: Array, target: Target) -> Array:
        """The share of each class."""
        shares = np.bincount(truths.astype(int), weights, minlength=len(target.classes))
        return shares / shares.sum()

    def errors(self, values: Array, truths: Array) -> Array:
        """Log loss of each row."""
        return log_losses_of_classes(values, truths)

    def stack_loss(self, values: Array, truths: Array) -> float:
        """Mean log loss."""
        return float(self.errors(values, truths).mean())

    def table(self, lesson: Lesson, target: Target) -> Teachable:
        """A table for classification."""
        from xray_mining.models import answers
        from xray_mining.models.baselines import Table

        kind = answers.Classes(len(target.classes))
        return Table(lesson.matrix, lesson.truths, lesson.patients, lesson.weights, kind)

    def calibration(self, values: Array, truths: Array, target: Target, patients: Array) -> maps.CalibrationMap | None:
        """A map of each class's probability, scaled so that classes sum to one."""
        return maps.calibration_map(values, truths, len(target.classes), patients)

    def columns(self, values: Array, calibrated: Array | None, truths: Array, target: Target) -> list[Column]:
        """One row for each image and class."""
        return [column_of(label, values, calibrated, truths, target) for label in target.classes]

    def values(self, kept: pl.DataFrame, target: Target) -> tuple[list[str], Array]:
        """One column for each class."""
        wide = kept.pivot("class", index="unit_key", values="value").sort("unit_key")
        if not wide.height:
            return [], np.empty((0, len(target.classes)))
        return wide["unit_key"].to_list(), wide.select(target.classes).to_numpy()

    def read(self, said: Array, target: Target) -> Reading:
        """The likeliest class and its probability."""
        mean = said.mean(0)
        place = int(mean.argmax())
        return Reading(said[:, place], target.classes[place], dict(zip(target.classes, mean.tolist(), strict=True)))

    def score(self, kept: pl.DataFrame) -> float | None:
        """The mean over rotations, seeds and classes."""
        return mean_area(kept)


def column_of(label: str, values: Array, calibrated: Array | None, truths: Array, target: Target) -> Column:
    """One class's probabilities, with truth 1 for images of the class and 0 for others."""
    place = target.classes.index(label)
    own = np.where(np.isfinite(truths), truths == place, np.nan)
    return Column(label, own, values[:, place], None if calibrated is None else calibrated[:, place])
