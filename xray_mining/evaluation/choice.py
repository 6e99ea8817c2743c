"""What is decided on validation patients: the best model of each kind, and the operating points.

Under one rotation nobody who decides is tested. Under several, the patients who validate one rotation are tested in
another, so a choice by scores pooled over rotations has seen, through models that did not train on them, the patients
who are scored later: `Choice.how` says so, and the page repeats it. An ensemble with rule best chooses inside each
rotation and is free of that: where the task has one, it is the best model.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from xray_mining.evaluation.gather import Array, Model, Task
from xray_mining.statistics.auc import areas_over_folds
from xray_mining.statistics.classification import sensitivity_threshold, youden_threshold

CANDIDATES = ("baseline", "frozen", "network", "ensemble")
"""Kinds that may be called the best model: nulls, probes, search and the oracle may not."""

SEES_ANATOMY = ("thumbnail",)
"""Null models whose picture still shows lungs and heart."""


@dataclass(frozen=True, slots=True)
class Choice:
    """Names of experiments, '' where there is none; chosen by `scores`, and how those relate to the tested patients."""

    best: str
    best_baseline: str
    frozen: str
    best_null: str
    scores: Mapping[str, float]
    """The task's metric on validation units, by experiment; nan where it has none."""
    how: str = "apart"
    """apart: no patient who decided is tested; pooled: some are, in other rotations; within: the best model is an
    ensemble that chose in each rotation by that rotation's validation patients."""
    blind: str = ""
    """The best null that sees no anatomy: `best_null` unless that is a thumbnail."""


def validation_score(task: Task, model: Model) -> float:
    """MAE over all validation units, or the mean over rotations of the AUC; nan where there is nothing to score."""
    frame = model.validation
    if not frame.height:
        return float("nan")
    if task.is_number:
        return float((frame["value"] - frame["truth"]).abs().mean())  # ty: ignore[invalid-argument-type]
    folds = frame["fold"].to_numpy()
    try:
        if task.target.kind == "binary":
            return float(areas_over_folds(frame["truth"].to_numpy(), frame["value"].to_numpy(), folds=folds).values[0])
        labels, values = frame["label"].to_numpy(), np.stack(frame["value"].to_list())
        areas = []
        for i, name in enumerate(task.target.classes):
            if (labels == name).any() and not (labels == name).all():
                areas.append(float(areas_over_folds(labels == name, values[:, i], folds=folds).values[0]))
        return float(np.mean(areas)) if areas else float("nan")
    except ValueError:
        return float("nan")


def choose(task: Task) -> Choice:
    """The best model, baseline, frozen embedding and null of a task, by validation score; ties by name; see `how`."""
    scores = {name: validation_score(task, model) for name, model in task.models.items()}
    sign = 1 if task.is_number else -1

    def best(kinds: Iterable[str], but: Iterable[str] = ()) -> str:
        wanted = [
            name
            for name, model in task.models.items()
            if model.kind in tuple(kinds) and model.architecture not in tuple(but) and np.isfinite(scores[name])
        ]
        return min(wanted, key=lambda name: (sign * scores[name], name), default="")

    how, chosen = "apart", best(CANDIDATES)
    if any(
        model.validation["patient_key"].is_in(task.units["patient_key"].implode()).any()
        for model in task.models.values()
    ):
        how = "pooled"
        inside = [
            name
            for name, model in task.models.items()
            if model.kind == "ensemble" and model.options.get("rule") == "best" and np.isfinite(scores[name])
        ]
        if inside:
            how, chosen = "within", min(inside, key=lambda name: (sign * scores[name], name))
    return Choice(
        best=chosen,
        best_baseline=best(("baseline",)),
        frozen=best(("frozen",)),
        best_null=best(("null",)),
        scores=scores,
        how=how,
        blind=best(("null",), SEES_ANATOMY),
    )


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """One way to set the threshold, with what it gave in each rotation."""

    name: str
    thresholds: Mapping[int, float]
    """Rotation → threshold."""

    @property
    def threshold(self) -> float:
        """Mean over rotations."""
        return float(np.mean(list(self.thresholds.values())))

    def called(self, task: Task, model: Model) -> Array:
        """Which units are called positive, (n,) bool: each by the threshold of the rotation that tested it."""
        return model.values >= self._levels(task)

    def called_again(self, task: Task, model: Model) -> Array | None:
        """The same of the predictions by another rotation's fit, (n,) 1, 0, or nan where there is none."""
        if model.again is None:
            return None
        return np.where(np.isfinite(model.again), model.again >= self._levels(task), np.nan)

    def _levels(self, task: Task) -> Array:
        level = np.full(len(task.folds), self.threshold)
        for rotation, threshold in self.thresholds.items():
            level[task.folds == rotation] = threshold
        return level


def operating_points(model: Model, sensitivities: Sequence[float]) -> list[OperatingPoint]:
    """The Youden point, and one for each wanted sensitivity, set on the model's validation units; none without them."""
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
