"""Shared code of the kinds of target that are scored by areas under ROC curves (binary, group, labels)."""

from collections.abc import Iterable

import numpy as np
import polars as pl

from xray_mining.evaluation.task import Array, TargetKind, Task
from xray_mining.records.cohort import Target


class Classes(TargetKind):
    """A kind of target that is scored by areas under ROC curves; guessing has an area of 0.5."""

    skill_metric = "auc"
    guess = 0.5
    guess_words = "guessing, which has 0.5"
    has_labels = True
    matched_words = "prevalence"
    without_validation = ", and has no sensitivity and specificity"

    def refusal(self, task: Task, known: Array) -> str:
        """A sentence if no fold has units of two classes, because an area needs two classes in a fold; else empty."""
        if both_classes(task, known):
            return ""
        present = np.unique(task.labels[known])
        if len(present) > 1:
            return f"no fold has test units of two classes; {APART}."
        return f"all its test units are {present[0]}; an area under the ROC curve needs both classes."

    def patients_by_class(self, task: Task) -> dict[str, int]:
        """Number of patients with at least one unit of the class."""
        present = sorted(np.unique(task.labels).tolist())
        return {name: len(np.unique(task.owner[task.labels == name])) for name in present}

    def matched_by(self, task: Task) -> Array | None:
        """The class of each unit, (n,) text."""
        return task.labels

    def skill_words(self, value: float, low: float, high: float) -> str:
        """The area, compared with that of guessing."""
        return f"an area under the ROC curve of {value:.3f} ({low:.3f} to {high:.3f}), while guessing has 0.5"


APART = (
    "an area under the ROC curve needs both classes in one fold, because scores of different folds cannot be ranked "
    "together"
)


def both_classes(task: Task, units: Array) -> bool:
    """Whether some fold has at least two classes among the units (n,) bool, so that they have an area."""
    return both_in_a_fold(task.truth[units], task.folds[units])


def both_in_a_fold(truth: Array, folds: Array) -> bool:
    """Whether some fold has two different known truths (n,); nan is unknown."""
    known = np.isfinite(truth)
    return any(len(np.unique(truth[known & (folds == each)])) > 1 for each in np.unique(folds))


def pair(again: Iterable[Array | None]) -> Array | None:
    """Stack two models' predictions by fits of other rotations, (2, n); None if a model has no such predictions."""
    given = list(again)
    present = [each for each in given if each is not None]
    return np.stack(present) if len(present) == len(given) else None


def column(values: Array | None, number: int) -> Array | None:
    """The values (n,) of class `number` in `values` (n, classes); None stays None."""
    return None if values is None else values[:, number]


def with_every_class(frame: pl.DataFrame, target: Target) -> tuple[pl.DataFrame, list[str]]:
    """Predictions, and the classes that have no row; if such a class exists, the predictions are empty."""
    missing = sorted(set(target.classes) - set(frame["class"].unique().to_list()))
    return (frame.clear() if missing else frame), missing


def by_class(means: pl.DataFrame, keys: pl.DataFrame, target: Target, column: str = "value") -> Array:
    """A column of `means` (unit_key, class, …) as (n, classes) float64 in the order of `keys`; nan for missing rows."""
    of_class = [means.filter(pl.col("class") == each).select("unit_key", column) for each in target.classes]
    columns = [keys.join(each, on="unit_key", how="left", maintain_order="left")[column] for each in of_class]
    return np.stack([each.fill_null(np.nan).to_numpy() for each in columns], axis=1)
