"""The public `estimate`: the same figures as evaluate's, from arrays or from a frame of predictions."""

import numpy as np
import polars as pl
import pytest

from xray_mining.errors import UserError
from xray_mining.statistics import Estimate, estimate
from xray_mining.statistics.auc import auc
from xray_mining.statistics.errors import error_metrics


def made() -> tuple[np.ndarray, ...]:
    """Labels, scores, patients of two images each, folds, and scores by another fold's fit."""
    rng = np.random.default_rng(1)
    patient = np.repeat(np.arange(100), 2)
    label = np.repeat(rng.integers(0, 2, 100), 2)
    score = rng.normal(label, 1)
    return label, score, patient, patient % 5, score + rng.normal(0, 0.4, 200)


def test_arrays():
    label, score, patient, fold, again = made()
    assert estimate("auc", label, score, patient) == auc(label, score, patient)
    folded = estimate("auc", label, score, patient, folds=fold, again=again)
    assert folded == auc(label, score, patient, fold, again=again)
    truth = label * 10.0
    assert estimate("mae", truth, score, patient) == error_metrics(truth, score, patient)["mae"]
    called = estimate("sensitivity", label, score, patient, threshold=0.5)
    assert called.value == pytest.approx((score[label == 1] >= 0.5).mean()) and isinstance(called, Estimate)


@pytest.mark.parametrize("metric", ["auc", "mae", "rmse", "average_precision"])
def test_folds_alone_widen_by_a_constant_that_the_caution_names(metric):
    label, score, patient, fold, again = made()
    alone, known = (estimate(metric, label, score, patient, folds=fold, again=each) for each in (None, again))
    assert "multiplied by a constant" in alone.caution and "constant" not in known.caution
    if metric == "mae":
        whole = estimate(metric, label, score, patient)
        assert alone.high - alone.value == pytest.approx(np.sqrt(1.5) * (whole.high - whole.value))
    if metric == "auc":
        same = estimate(metric, label, score, patient, folds=fold, again=score)
        logit = [np.log(each.high / (1 - each.high)) - np.log(each.value / (1 - each.value)) for each in (alone, same)]
        assert logit[0] == pytest.approx(np.sqrt(1.5) * logit[1])


def test_a_frame_of_predictions():
    label, score, patient, fold, again = made()
    keys = [f"image {i}" for i in range(200)]

    def rows(values: np.ndarray, split: str, seed: int, folds: np.ndarray) -> pl.DataFrame:
        return pl.DataFrame(
            {
                "unit_key": keys, "patient_key": patient, "fold": folds, "seed": seed, "truth": label * 1.0,
                "value": values, "split": split, "variant": "", "class": "",
            }
        )  # fmt: skip

    tests = pl.concat([rows(score - 0.5, "test", 1, fold), rows(score + 0.5, "test", 2, fold)])
    changed = rows(-score, "test", 1, fold).with_columns(variant=pl.lit("window"))
    whole = pl.concat([tests, changed, rows(again, "validation", 1, (fold + 4) % 5)])
    order = np.argsort(keys)
    wanted = auc(label[order], score[order], patient[order], fold[order], again=again[order])
    assert estimate("auc", whole).value == pytest.approx(wanted.value)
    assert (estimate("auc", whole).low, estimate("auc", whole).patients) == (pytest.approx(wanted.low), 100)
    assert "constant" in estimate("auc", tests).caution


def test_what_does_not_fit_is_one_sentence():
    label, score, *_ = made()
    with pytest.raises(UserError, match="did you mean 'rmse'"):
        estimate("rmsee", label, score)
    with pytest.raises(UserError, match="needs a threshold"):
        estimate("f1", label, score)
    with pytest.raises(UserError, match="truth and value"):
        estimate("mae", pl.DataFrame({"truth": [1.0]}))
    with pytest.raises(UserError, match="or a frame"):
        estimate("mae", label)
    two = pl.DataFrame({"truth": [1.0, 0.0], "value": [0.2, 0.1], "class": ["a", "b"]})
    with pytest.raises(UserError, match="several of class"):
        estimate("auc", two)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"predicted": np.zeros(50)}, "lengths are truth 200, predicted 50"),
        ({"truth": ["a", "b"] * 100}, "truth must be numbers"),
        ({"patients": np.zeros(3)}, "patients 3"),
        ({"predicted": np.zeros((200, 2))}, "predicted must be one number per row"),
    ],
)
@pytest.mark.parametrize("metric", ["auc", "mae", "brier"])
def test_arrays_that_do_not_fit_are_one_sentence(metric, change, words):
    label, score, patient, _, _ = made()
    with pytest.raises(UserError, match=words):
        estimate(metric, **({"truth": label, "predicted": score, "patients": patient} | change))
