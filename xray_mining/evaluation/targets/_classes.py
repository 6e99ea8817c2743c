"""What kinds share whose units are of one of several classes: areas under ROC curves, guessing at one half."""

from collections.abc import Iterable

import numpy as np

from xray_mining.evaluation.task import Array, TargetKind, Task


class Classes(TargetKind):
    """Scored by areas under ROC curves."""

    skill_metric = "auc"
    guess = 0.5
    guess_words = "guessing, which has 0.5"
    has_labels = True
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
