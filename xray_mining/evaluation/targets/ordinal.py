"""Levels in order, as grades 0 to 4: scored as a number, and by how well the nearest levels agree."""

import numpy as np

from xray_mining.evaluation.options import EvaluationOptions
from xray_mining.evaluation.targets._numbers import Numbers
from xray_mining.evaluation.task import Array
from xray_mining.statistics.agreement import kappa
from xray_mining.statistics.estimate import Estimate


class Ordinal(Numbers):
    """A number whose predictions are also rounded to the nearest level."""

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
        """The metrics of a number, and quadratic kappa of the nearest levels."""
        found = super().metrics(truth, values, owner, guess=guess, folds=folds, again=again, options=options)
        steps = np.unique(truth)
        found["kappa_quadratic"] = options.bootstrapped(kappa)(
            truth,
            _nearest(values, steps),
            owner,
            "quadratic",
            folds=folds,
            again=None if again is None else np.where(np.isfinite(again), _nearest(again, steps), np.nan),
        )
        return found


def _nearest(values: Array, steps: Array) -> Array:
    """The step that each value (n,) is nearest to."""
    return steps[np.abs(values[:, None] - steps[None, :]).argmin(axis=1)]


KIND = Ordinal()
