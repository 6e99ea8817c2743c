"""Thresholds of a binary score, set on the validation patients of each rotation."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from xray_mining.evaluation.task import Array, Model, Task
from xray_mining.statistics.classification import sensitivity_threshold, youden_threshold


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """One rule for the threshold, with the threshold of each rotation."""

    name: str
    thresholds: Mapping[int, float]
    """Threshold of each rotation."""

    @property
    def threshold(self) -> float:
        """Mean over rotations."""
        return float(np.mean(list(self.thresholds.values())))

    def called(self, task: Task, model: Model) -> Array:
        """Units that are called positive, (n,) bool, each with the threshold of the rotation that tested it."""
        return model.values >= self._levels(task)

    def called_again(self, task: Task, model: Model) -> Array | None:
        """The same for `Model.again`, (n,) float64: 1 positive, 0 negative, nan missing; None without `Model.again`."""
        if model.again is None:
            return None
        return np.where(np.isfinite(model.again), model.again >= self._levels(task), np.nan)

    def _levels(self, task: Task) -> Array:
        level = np.full(len(task.folds), self.threshold)
        for rotation, threshold in self.thresholds.items():
            level[task.folds == rotation] = threshold
        return level


def operating_points(model: Model, sensitivities: Sequence[float]) -> list[OperatingPoint]:
    """Set the Youden point and one point for each of `sensitivities` on validation units; empty without such units."""
    wanted = ["youden", *(f"sensitivity {each:g}" for each in sensitivities)]
    found: dict[str, dict[int, float]] = {name: {} for name in wanted}
    for (fold,), frame in model.validation.group_by("fold", maintain_order=True):
        truth, value = frame["truth"].to_numpy(), frame["value"].to_numpy()
        if len(np.unique(truth)) < 2:
            continue
        number = int(str(fold))
        found["youden"][number] = youden_threshold(truth, value)
        for each in sensitivities:
            found[f"sensitivity {each:g}"][number] = sensitivity_threshold(truth, value, each)
    return [OperatingPoint(name, thresholds) for name, thresholds in found.items() if thresholds]
