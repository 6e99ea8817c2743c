"""Shared code of number and ordinal: each unit has a true and a predicted number; their difference is the error."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import polars as pl

from xray_mining.evaluation.options import EvaluationOptions
from xray_mining.evaluation.targets import _one_value as one_value
from xray_mining.evaluation.task import Array, Model, Scored, TargetKind, Task
from xray_mining.records.cohort import Target
from xray_mining.statistics.comparison import difference_of_means
from xray_mining.statistics.errors import compare_errors, error_metrics, smallest_difference
from xray_mining.statistics.estimate import Estimate, owners
from xray_mining.statistics.resampling import SCORE, linear_interval, patient_sums, proportion_interval

ON_CHANGED_IMAGES = ("mae", "rmse", "bias")
UNITLESS = (
    "r2", "rmae", "mae_ratio", "pearson", "spearman", "ccc", "calibration_slope", "slope_on_truth", "within_5",
    "within_10", "within_limits", "kappa_quadratic",
)  # fmt: skip


class Numbers(TargetKind):
    """A kind of target that is scored by errors in the target's unit."""

    metric = "mae"
    title = "MAE"
    words = "mean absolute error"
    less_is_better = True
    has_unit = True
    unitless = frozenset(UNITLESS)
    digits = 2
    skill_metric = "rmae"
    guess = 1.0
    guess_words = "guessing the centre"
    screened = ("mae",)
    gained = ("mae_gained", "MAE below guessing the centre")

    def truths(self, rows: pl.DataFrame, target: Target) -> pl.DataFrame:
        """unit_key, truth (the number) and an empty label of every unit."""
        return one_value.first_truths(rows).with_columns(pl.lit("").alias("label"))

    def aligned(self, means: pl.DataFrame, keys: pl.DataFrame, target: Target) -> Array:
        """One value for each unit, (n,)."""
        return one_value.aligned(means, keys)

    def validation(self, means: pl.DataFrame, target: Target) -> pl.DataFrame:
        """One value for each validation unit."""
        return one_value.validation(means)

    def metrics(
        self,
        truth: Array,
        values: Array,
        owner: Array,
        *,
        guess: Array | None,
        folds: Array,
        again: Array | None,
        options: EvaluationOptions,
    ) -> dict[str, Estimate]:
        """All metrics of predicted `values` (n,) for the numbers `truth` (n,), by name.

        `guess` (n,) is the prediction of the centre, for metrics relative to guessing.
        """
        found = options.bootstrapped(error_metrics)(truth, values, owner, guess, folds=folds, again=again)
        found["within_limits"] = _within_limits(values - truth, owner, found, options)
        return found

    def scores(self, task: Task, model: Model, options: EvaluationOptions) -> Iterator[Scored]:
        """Errors, correlations and limits of agreement; relative to guessing if the centre predicts all these units."""
        known, centre = model.known, task.centre
        found = self.metrics(
            task.truth[known],
            model.values[known],
            task.owner[known],
            guess=centre.values[known] if centre is not None and centre.known[known].all() else None,
            folds=task.folds[known],
            again=model.again_of(known),
            options=options,
        )
        yield from (Scored(metric, each) for metric, each in found.items())

    def scores_by_patient(self, task: Task, model: Model, options: EvaluationOptions) -> dict[str, Estimate]:
        """The same metrics of each patient's mean over images."""
        means = one_value.patient_means(task, model, None if task.centre is None else task.centre.values)
        guess = means["guess"].to_numpy()
        return self.metrics(
            means["truth"].to_numpy(),
            means["value"].to_numpy(),
            np.arange(means.height),
            guess=guess if np.isfinite(guess).all() else None,
            folds=means["fold"].to_numpy(),
            again=means["again"].to_numpy(),
            options=options,
        )

    def validation_score(self, task: Task, model: Model) -> float:
        """The MAE over all validation units."""
        frame = model.validation
        return float((frame["value"] - frame["truth"]).abs().mean())  # ty: ignore[invalid-argument-type]

    def differences(
        self, task: Task, model: Model, baseline: Model, both: Array, options: EvaluationOptions
    ) -> Iterator[Scored]:
        """Paired differences between the errors of two models."""
        found = options.bootstrapped(compare_errors)(
            task.truth[both],
            model.values[both],
            baseline.values[both],
            task.owner[both],
            folds=task.folds[both],
            again=(model.again_of(both), baseline.again_of(both)),
        )
        yield from (Scored(metric, each) for metric, each in found.items())

    def smallest_difference(self, task: Task, first: Model, second: Model, both: Array) -> float | None:
        """The smallest difference, in MAE."""
        return smallest_difference(
            task.truth[both],
            first.values[both],
            second.values[both],
            task.owner[both],
            folds=task.folds[both],
            again=(first.again_of(both), second.again_of(both)),
        )

    def by_cell(
        self, task: Task, model: Model, members: Array, options: EvaluationOptions
    ) -> Iterator[tuple[Scored, Array]]:
        """MAE and bias of a subgroup."""
        known = model.known
        inside, rest = members & known, known & ~members
        owner = owners(task.owner[inside], int(inside.sum()))
        error = model.values - task.truth
        again = None if model.again is None else model.again - task.truth
        all_units = np.ones(len(members), dtype=bool)
        for metric, values, others in (
            ("mae", np.abs(error), None if again is None else np.abs(again)),
            ("bias", error, again),
        ):
            mean = float(values[inside].mean())
            influence = (values[inside] - mean) / inside.sum()
            low, high, _ = linear_interval(mean, influence, owner, options.confidence)
            p_value = np.nan
            if rest.any():
                tested = difference_of_means(values[known], members[known], task.owner[known], options.confidence)
                p_value = tested.p_value
            method = "Student, variance by patient"
            patients = len(np.unique(task.owner[inside]))
            found = Estimate(mean, low, high, patients, int(inside.sum()), method, "", p_value)
            found = one_value.widened_mean(task, found, values, others, inside, metric=metric, among=all_units)
            yield Scored(metric, found), all_units

    def changed(self, task: Task, values: Array, units: Array, options: EvaluationOptions) -> dict[str, Estimate]:
        """MAE, RMSE and bias on changed images."""
        found = options.bootstrapped(error_metrics)(
            task.truth[units], values[units], task.owner[units], folds=task.folds[units]
        )
        return {name: found[name] for name in ON_CHANGED_IMAGES}

    def lost(
        self, task: Task, model: Model, values: Array, units: Array, options: EvaluationOptions
    ) -> Estimate | None:
        """The MAE on changed images minus the MAE on the same images unchanged."""
        return compare_errors(
            task.truth[units],
            values[units],
            model.values[units],
            task.owner[units],
            folds=task.folds[units],
            confidence=options.confidence,
            draws=500,
            seed=options.seed,
        )["mae"]

    def beyond_guessing(self, task: Task, model: Model, units: Array) -> float:
        """The centre's MAE minus the model's."""
        centre = task.centre
        if centre is None or not centre.known[units].all():
            return float("nan")
        truth = task.truth[units]
        own = np.abs(model.values[units] - truth).mean()
        return float(np.abs(centre.values[units] - truth).mean() - own)

    def caption(self, task: Task, unit: Mapping[str, Any]) -> str:
        """The true and the predicted number."""
        return f"true {unit['truth']:.0f}, predicted {unit['_value']:.0f}"

    def gain(self, task: Task, model: Model, options: EvaluationOptions) -> Estimate | None:
        """The centre's MAE minus the model's, paired."""
        centre = task.centre
        if centre is None or centre.name == model.name or not (model.known & centre.known).any():
            return None
        both = model.known & centre.known
        return compare_errors(
            task.truth[both],
            centre.values[both],
            model.values[both],
            task.owner[both],
            folds=task.folds[both],
            again=(centre.again_of(both), model.again_of(both)),
            confidence=options.confidence,
            draws=500,
            seed=options.seed,
        )["mae"]

    def gap(self, task: Task, model: Model, first: Array, units: Array, options: EvaluationOptions) -> Estimate | None:
        """The MAE of the units in `first` minus the MAE of the other units."""
        error = np.abs(model.values[units] - task.truth[units])
        return difference_of_means(error, first[units], task.owner[units], options.confidence)

    def losses(self, task: Task, model: Model) -> Array | None:
        """The absolute error of each unit, (n,)."""
        return np.abs(model.values - task.truth)

    def reads(self, task: Task, what: str) -> str:
        """'reads age with a mean absolute error of', before the number."""
        return f"reads {what} with a {self.words} of"

    def skill_words(self, value: float, low: float, high: float) -> str:
        """The error as a multiple of the error of guessing."""
        return f"{value:.2f} times ({low:.2f} to {high:.2f}) the error of guessing the centre"


def _within_limits(error: Array, owner: Array, found: Mapping[str, Estimate], options: EvaluationOptions) -> Estimate:
    """Share of units whose error is within the limits of agreement; the limits are treated as exact."""
    low, high = found["limit_low"], found["limit_high"]
    inside = (error >= low.value) & (error <= high.value)
    sums = patient_sums(np.stack([inside, np.ones_like(error)], axis=1), owners(owner, len(error)))
    share, share_low, share_high = proportion_interval(sums, options.confidence)
    return Estimate(share, share_low, share_high, low.patients, low.images, SCORE, low.caution)
