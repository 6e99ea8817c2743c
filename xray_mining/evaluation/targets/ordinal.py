"""Ordered levels, for example grades 0 to 4: scored as a number, and by the agreement (kappa) of the nearest level."""

from collections.abc import Iterator

import numpy as np
import polars as pl

from xray_mining.evaluation.options import EvaluationOptions
from xray_mining.evaluation.targets._numbers import Numbers
from xray_mining.evaluation.task import Array, Calls, Model, Scored, Task
from xray_mining.records.cohort import Target
from xray_mining.statistics.agreement import compare_quadratic_kappa, quadratic_kappa
from xray_mining.statistics.estimate import Estimate

CALLED = "nearest level"
"""Name of the operating point for the confusion matrix: the level nearest to the expected level is called."""


class Ordinal(Numbers):
    """A number (the expected level); each prediction is also rounded to the nearest level."""

    matched_words = "level"

    def kept(self, frame: pl.DataFrame, target: Target) -> tuple[pl.DataFrame, list[str]]:
        """Rows of expected levels; the rows with the probability of one level are not scored."""
        return frame.filter(pl.col("class") == ""), []

    def scores(self, task: Task, model: Model, options: EvaluationOptions) -> Iterator[Scored]:
        """The metrics of a number, and the quadratic kappa of the nearest levels."""
        yield from super().scores(task, model, options)
        known, again = model.known, model.again_of(model.known)
        found = options.bootstrapped(quadratic_kappa)(
            task.truth[known],
            _nearest(task, model.values[known]),
            task.owner[known],
            folds=task.folds[known],
            again=None if again is None else _nearest(task, again),
        )
        yield Scored("kappa_quadratic", found)

    def differences(
        self, task: Task, model: Model, baseline: Model, both: Array, options: EvaluationOptions
    ) -> Iterator[Scored]:
        """Paired differences of errors, and of the quadratic kappa."""
        yield from super().differences(task, model, baseline, both, options)
        found: Estimate = options.bootstrapped(compare_quadratic_kappa)(
            task.truth[both],
            _nearest(task, model.values[both]),
            _nearest(task, baseline.values[both]),
            task.owner[both],
            folds=task.folds[both],
            again=tuple(
                None if each is None else _nearest(task, each)
                for each in (model.again_of(both), baseline.again_of(both))
            ),
        )
        yield Scored("kappa_quadratic", found)

    def calls(self, task: Task, model: Model, options: EvaluationOptions) -> Iterator[Calls]:
        """The nearest level of every unit, as one operating point."""
        known, names = model.known, _levels(task)
        called = _nearest(task, model.values[known])
        texts = {number: name for name, number in names.items()}
        truth, calls = (np.array([texts[each] for each in part.tolist()]) for part in (task.truth[known], called))
        yield Calls(CALLED, None, tuple(names), truth, calls, task.owner[known])

    def levels(self, task: Task) -> dict[str, int]:
        """All levels of the target."""
        named = _named(task)
        return {name: len(np.unique(task.owner[named == name])) for name in _levels(task)}

    def table_variables(self, rows: pl.DataFrame, target: Target) -> pl.DataFrame:
        """A column 'TARGET: level' with the level, so that Table 1 shows the share of each level, in order."""
        if not target.classes:
            return super().table_variables(rows, target)
        numbers = list(target.numbers)
        named = pl.col("value").replace_strict(numbers, list(target.classes), default=None)
        level = named.cast(pl.Enum(target.classes)).alias(f"{target.name}: level")
        return rows.select("image_key", level)

    def matched_by(self, task: Task) -> Array | None:
        """The true level: errors are larger at the outer levels, so groups with more of them would seem worse."""
        return _named(task)


def _named(task: Task) -> Array:
    """The true level of each unit (n,) by its name."""
    names = {number: name for name, number in _levels(task).items()}
    return np.array([names[each] for each in task.truth.tolist()], dtype=str)


def _levels(task: Task) -> dict[str, float]:
    """Numbers of the levels by name, lowest first; for cohorts frozen without levels, the numbers in the truths."""
    if task.target.classes:
        return dict(zip(task.target.classes, task.target.numbers, strict=True))
    return {f"{each:g}": each for each in np.unique(task.truth).tolist()}


def _nearest(task: Task, values: Array) -> Array:
    """The number of the level nearest to each value (n,); nan stays nan."""
    steps = np.array(list(_levels(task).values()))
    nearest = steps[np.abs(np.nan_to_num(values)[:, None] - steps[None, :]).argmin(axis=1)]
    return np.where(np.isfinite(values), nearest, np.nan)


KIND = Ordinal()
