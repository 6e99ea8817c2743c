"""Several labels of an image, each true, false or unknown: one network for all, a table model for each."""

import numpy as np
import polars as pl

from xray_mining.models import calibration as maps
from xray_mining.models.targets import Array, Column, Lesson, Reading, Teachable, log_losses, mean_area
from xray_mining.records.cohort import Target


class Labels:
    """Values (n, labels) are independent probabilities; truths (n, labels) are 1, 0, or nan if unknown."""

    loss = "masked_binary_cross_entropy"
    heads: tuple[str, ...] = ("labels",)
    table_models: tuple[str, ...] = ("logistic", "boosting", "support_vectors")
    predicts = "labels"
    version = 0
    one_answer = False

    def metric(self, target: Target) -> str:
        """Mean over labels of the area under the ROC curve."""
        return "mean AUC of labels"

    def answers(self, rows: pl.DataFrame, target: Target) -> pl.DataFrame:
        """`truth` is an array in the order of target.classes, nan where unknown; the label is null."""
        wide = rows.pivot("label", index="image_key", values="value")
        truth = pl.concat_arr(pl.col(each).fill_null(float("nan")) for each in target.classes)
        return wide.select("image_key", truth.alias("truth"), pl.lit(None, pl.String).alias("label"))

    def truths(self, images: pl.DataFrame, target: Target) -> Array:
        """The column `truth`, an array in the order of target.classes."""
        answers = images["truth"].to_list()
        unknown = [np.nan] * len(target.classes)
        return np.array([unknown if each is None else each for each in answers], dtype=np.float64).reshape(
            len(answers), len(target.classes)
        )

    def certain(self, truths: Array, target: Target) -> Array:
        """Probability 1 or 0 of each label."""
        return truths

    def known(self, truths: Array) -> Array:
        """True for rows with a known answer for at least one label."""
        return np.asarray(np.isfinite(truths).any(axis=1))

    def untrainable(self, truths: Array) -> str:
        """At least one label must be true for some images and false for others."""
        both = [len(np.unique(column[np.isfinite(column)])) > 1 for column in truths.T]
        return "" if any(both) else "have the same answers"

    def centre(self, truths: Array, weights: Array, target: Target) -> Array:
        """The share of true among known answers of each label; a half if none is known."""
        known = np.isfinite(truths)
        total = (known * weights[:, None]).sum(axis=0)
        positive = (np.where(known, truths, 0) * weights[:, None]).sum(axis=0)
        return np.where(total > 0, positive / np.where(total > 0, total, 1), 0.5)

    def errors(self, values: Array, truths: Array) -> Array:
        """Mean log loss of each row's known answers."""
        known = np.isfinite(truths)
        losses = log_losses(np.where(truths == 1, values, 1 - values))
        return np.where(known, losses, 0).sum(axis=1) / np.maximum(known.sum(axis=1), 1)

    def stack_loss(self, values: Array, truths: Array) -> float:
        """Mean log loss."""
        return float(self.errors(values, truths).mean())

    def table(self, lesson: Lesson, target: Target) -> Teachable:
        """A table of two classes for each label."""
        from xray_mining.models.label_tables import LabelTables

        return LabelTables(lesson, target.classes)

    def calibration(self, values: Array, truths: Array, target: Target, patients: Array) -> maps.CalibrationMap | None:
        """A map for each label for which it helps."""
        curves = maps.curves_that_help(values, truths, patients)
        return None if curves is None else maps.CalibrationMap(len(curves), curves, apart=True)

    def columns(self, values: Array, calibrated: Array | None, truths: Array, target: Target) -> list[Column]:
        """One row for each image and label."""
        return [
            Column(label, truths[:, place], values[:, place], None if calibrated is None else calibrated[:, place])
            for place, label in enumerate(target.classes)
        ]

    def values(self, kept: pl.DataFrame, target: Target) -> tuple[list[str], Array]:
        """One column for each label."""
        wide = kept.pivot("class", index="unit_key", values="value").sort("unit_key")
        if not wide.height:
            return [], np.empty((0, len(target.classes)))
        return wide["unit_key"].to_list(), wide.select(target.classes).to_numpy()

    def read(self, said: Array, target: Target) -> Reading:
        """The probability of each label, without a single value."""
        return Reading(None, "", dict(zip(target.classes, said.mean(0).tolist(), strict=True)))

    def score(self, kept: pl.DataFrame) -> float | None:
        """The mean over rotations, seeds and labels."""
        return mean_area(kept)


KIND = Labels()
