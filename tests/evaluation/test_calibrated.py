"""Which probabilities are scored: calibrated ones where a fit has them, raw ones elsewhere, and which is said."""

import numpy as np
import polars as pl
import pytest

from xray_mining.evaluation.choice import choose
from xray_mining.evaluation.estimates import score
from xray_mining.evaluation.gather import gather
from xray_mining.evaluation.options import EvaluationOptions

OPTIONS = EvaluationOptions(bootstraps=100)


def of_fold(fold):
    """Calibrated values, far from the raw ones, for the fits of one rotation (None: of all)."""
    mine = pl.lit(True) if fold is None else pl.col("fold") == fold
    return lambda frame: frame.with_columns(
        pl.when(mine).then(0.2 + 0.1 * pl.col("value")).otherwise(None).alias("value_calibrated")
    )


@pytest.fixture
def scored(make):
    def build(keep):
        made = make(patients=100, pictures=False, folds=2)
        rng = np.random.default_rng(2)
        raw = rng.uniform(0.05, 0.95, made.frame.height)
        made.predict("made", "ridge", "baseline", "patient_sex", raw, rotations=2, keep=keep)
        (task,) = gather(made.workspace, "made").tasks
        (brier,) = [each for each in score(task, OPTIONS, choose(task))[0] if each.metric == "brier"]
        return task, brier

    return build


@pytest.mark.parametrize(
    ("keep", "which", "words"),
    [
        (of_fold(None), (0, 1), "probabilities after calibration on validation patients"),
        (of_fold(1), (1,), "probabilities of 1 of 2 fits after calibration on validation patients"),
        (lambda frame: frame, (), "probabilities as the model gave them"),
    ],
)
def test_calibrated_probabilities_are_scored_where_a_fit_has_them(scored, keep, which, words):
    task, brier = scored(keep)
    raw = task.models["ridge"].values
    used = np.where(np.isin(task.folds, which), 0.2 + 0.1 * raw, raw)
    assert brier.value == pytest.approx(float(((used - task.truth) ** 2).mean()), abs=1e-12)
    assert brier.method.endswith(words)
    assert (task.models["ridge"].calibrated_fits, task.models["ridge"].fits) == (len(which), 2)
