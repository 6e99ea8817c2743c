"""What kinds share whose units are of one of several classes: areas under ROC curves, guessing at one half."""

from collections.abc import Iterable

import numpy as np
import polars as pl

from xray_mining.evaluation.task import Array, TargetKind, Task
from xray_mining.records.cohort import Target


class Classes(TargetKind):
    """Scored by areas under ROC curves."""

    skill_metric = "auc"
    guess = 0.5
    guess_words = "guessing, which has 0.5"
    has_labels = True
    matched_words = "prevalence"
    without_validation = ", and has no sensitivity and specificity"

    def refusal(self, task: Task, known: Array) -> str:
        """An area needs two classes."""
        if both_classes(task, known):
            return ""
        return f"all its test units are {task.labels[known][0]}; an area needs both classes."

    def patients_by_class(self, task: Task) -> dict[str, int]:
        """Patients with a unit of the class."""
        present = sorted(np.unique(task.labels).tolist())
        return {name: len(np.unique(task.owner[task.labels == name])) for name in present}

    def matched_by(self, task: Task) -> Array | None:
        """The class."""
        return task.labels

    def skill_words(self, value: float, low: float, high: float) -> str:
        """The area beside one half."""
        return f"an area under the ROC curve of {value:.3f} ({low:.3f} to {high:.3f}), where guessing has 0.5"


def both_classes(task: Task, units: Array) -> bool:
    """The units (n,) bool are of two classes at least."""
    return len(np.unique(task.truth[units])) > 1


def pair(again: Iterable[Array | None]) -> Array | None:
    """Two models' predictions by other rotations' fits, (2, n); None where one has none."""
    given = list(again)
    there = [each for each in given if each is not None]
    return np.stack(there) if len(there) == len(given) else None


def column(values: Array | None, number: int) -> Array | None:
    """One class of values (n, classes)."""
    return None if values is None else values[:, number]


def with_every_class(frame: pl.DataFrame, target: Target) -> tuple[pl.DataFrame, list[str]]:
    """Predictions, but none where a class has no row; and the classes without one."""
    missing = sorted(set(target.classes) - set(frame["class"].unique().to_list()))
    return (frame.clear() if missing else frame), missing


def by_class(means: pl.DataFrame, keys: pl.DataFrame, target: Target, column: str = "value") -> Array:
    """A column of `means` (unit_key, class, …) in the order of `keys`, (n, classes), nan where absent."""
    of_class = [means.filter(pl.col("class") == each).select("unit_key", column) for each in target.classes]
    columns = [keys.join(each, on="unit_key", how="left", maintain_order="left")[column] for each in of_class]
    return np.stack([each.fill_null(np.nan).to_numpy() for each in columns], axis=1)
