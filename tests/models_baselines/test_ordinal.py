"""Levels in an order: the chain of steps, its inner folds, and the rows of predictions."""

import json

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xray_mining.errors import UserError
from xray_mining.models.answers import Levels
from xray_mining.models.baselines import Table
from xray_mining.models.calibration import CalibrationMap, calibration_map, chances_above, shares_of_levels
from xray_mining.models.chain import Chain
from xray_mining.models.estimators import ScaledLogistic
from xray_mining.models.targets import TARGETS
from xray_mining.records.cohort import Target
from xray_mining.records.estimates import Estimates
from xray_mining.records.predictions import Predictions

KIND = TARGETS.find("ordinal")
SCORE = Target("score", "ordinal", "points", classes=("0", "1", "2", "4"))


def graded(n=240, levels=4, seed=0):
    """Six columns, of which one shows the level with noise; two images of each patient."""
    rng = np.random.default_rng(seed)
    matrix = rng.normal(size=(n, 6))
    cuts = np.quantile(matrix[:, 0], np.linspace(0, 1, levels + 1)[1:-1])
    return matrix, np.digitize(matrix[:, 0] + rng.normal(0, 0.3, n), cuts).astype(float), np.arange(n) // 2


@settings(max_examples=25, deadline=None)
@given(st.integers(2, 5), st.integers(0, 1000))
def test_probabilities_of_levels_are_shares_of_one_and_higher_levels_never_likelier_to_be_passed(levels, seed):
    rng = np.random.default_rng(seed)
    matrix, truths = rng.normal(size=(40, 3)), rng.integers(0, levels, 40).astype(float)
    found = Chain(ScaledLogistic(1.0), levels).fit(matrix, truths).predict_proba(rng.normal(size=(9, 3)))
    assert found.shape == (9, levels) and (found >= -1e-12).all()
    assert np.allclose(found.sum(axis=1), 1)
    # A step is the logistic regression of being above its level, fitted to the rows that reach it and no others.
    new = rng.normal(size=(5, 3))
    shares = Chain(ScaledLogistic(1.0), levels).fit(matrix, truths).predict_proba(new)
    for level in range(levels - 1):
        reached = truths >= level
        above = (truths[reached] > level).astype(float)
        if 0 < above.sum() < len(above):
            alone = ScaledLogistic(1.0).fit(matrix[reached], above).predict_proba(new)[:, 1]
            assert np.allclose(shares[:, level + 1 :].sum(axis=1), alone * shares[:, level:].sum(axis=1))


@pytest.mark.parametrize("model", KIND.table_models)
def test_levels_are_learned_in_their_order_by_each_model(model):
    matrix, truths, patients = graded()
    learned = Table(matrix, truths, patients, np.ones(len(truths)), Levels(4)).learn(model)
    assert np.allclose(learned.out_of_fold.sum(axis=1), 1)
    expected = learned.out_of_fold @ np.arange(4)
    assert np.corrcoef(expected, truths)[0, 1] > 0.75
    assert learned.values(matrix[:3]).shape == (3, 4)


@pytest.mark.parametrize("model", KIND.table_models)
def test_a_level_of_one_patient_or_of_none_stops_no_model(model):
    matrix, truths, patients = graded(120)
    truths[truths == 2] = 1
    truths[:2] = 2
    table = Table(matrix, np.where(truths == 3, 4, truths), patients, np.ones(120), Levels(6))
    assert not table.lacking()
    found = table.learn(model).out_of_fold
    assert found.shape == (120, 6) and np.isfinite(found).all() and np.allclose(found.sum(axis=1), 1)
    assert Table(matrix, np.zeros(120), patients, np.ones(120), Levels(6)).lacking()


def test_levels_are_calibrated_step_by_step_where_a_level_is_rare():
    rng = np.random.default_rng(3)
    odds = rng.normal(0, 1.5, 600)
    cuts = np.array([-1.0, 0.0, 1.0, 2.0, 5.5])
    sure = 1 / (1 + np.exp(-3 * (odds[:, None] - cuts)))  # three times too sure
    truths = (rng.random(600)[:, None] < 1 / (1 + np.exp(-(odds[:, None] - cuts)))).sum(axis=1).astype(float)
    assert (truths == 5).sum() < 20
    values, fitted, patients = shares_of_levels(sure), np.arange(600) < 400, np.arange(600)
    target = Target("score", "ordinal", classes=tuple("012345"))
    rare = np.where(truths[fitted] == 5, 4, truths[fitted])
    rare[0] = 5  # one patient: a map for each level is impossible
    assert calibration_map(values[fitted], rare, 6, patients[fitted]) is None
    found = KIND.calibration(values[fitted], rare, target, patients[fitted])
    assert found is not None and found.cumulative and [each.kind for each in found.curves[:4]] == ["logistic"] * 4
    assert found.curves[4].kind == "same"
    mapped = CalibrationMap.from_json(json.loads(json.dumps(found.to_json()))).of(values)
    assert np.allclose(mapped.sum(axis=1), 1) and mapped.min() > -1e-12
    held = ~fitted
    above = truths[:, None] > np.arange(5)

    def score(shares):
        """The ranked probability score."""
        return ((chances_above(shares) - above)[held] ** 2).sum(axis=1).mean()

    assert score(mapped) < 0.95 * score(values)
    errors = [((each[held] @ np.arange(6) - truths[held]) ** 2).mean() for each in (mapped, values)]
    assert errors[0] < errors[1]
    # A model that says the truth is left as it is.
    true = shares_of_levels(1 / (1 + np.exp(-(odds[:, None] - cuts))))
    kept = KIND.calibration(true[fitted], truths[fitted], target, patients[fitted])
    assert kept is None or np.abs(kept.of(true) - true).max() < 0.1


def test_rows_have_the_expected_level_in_the_levels_own_numbers_and_each_level():
    values = np.array([[0.1, 0.2, 0.3, 0.4], [1.0, 0, 0, 0]])
    columns = KIND.columns(values, None, np.array([3.0, np.nan]), SCORE)
    assert [each.name for each in columns] == ["", "0", "1", "2", "4"]
    assert columns[0].value.tolist() == pytest.approx([0.2 + 0.6 + 1.6, 0])
    assert columns[0].truth[0] == 4 and np.isnan(columns[0].truth[1])
    assert [each.truth[0] for each in columns[1:]] == [0, 0, 0, 1]
    rows = [
        {"unit_key": key, "class": each.name, "value": each.value[row]}
        for row, key in enumerate("ab")
        for each in columns
    ]
    keys, again = KIND.values(pl.DataFrame(rows), SCORE)
    assert keys == ["a", "b"] and np.array_equal(again, values)


def test_a_cohort_of_an_earlier_version_is_frozen_again():
    with pytest.raises(UserError, match="without its levels; freeze the cohort again"):
        KIND.truths(pl.DataFrame({"label": ["0"]}), Target("score", "ordinal"))


def test_an_ordinal_target_goes_from_the_header_to_scores(small):
    levels = "case when number < 15 then 'none' when number < 35 then 'mild' else 'severe' end"
    experiments = {
        "one": {"model": "logistic", "features": ["f"]},
        "two": {"model": "boosting", "features": ["g"]},
        "both": {"model": "ensemble", "members": ["one", "two"], "rule": "stack"},
    }
    made = small("ordinal levels='none, mild, severe'", levels, experiments, design={"changed_images": 3})
    made.train(*experiments, "null_centre_c_t", "null_thumbnail_c_t")
    _, checks = made.evaluate()
    assert checks.filter(code="EVAL005").is_empty(), "every experiment is scored"
    found = Estimates.read([made.workspace.evaluation(made.study.study) / "estimates.parquet"]).filter(
        pl.col("split") == "test", pl.col("variant") == "", pl.col("subgroup") == "all", pl.col("level") == "image"
    )
    plain = found.filter(baseline="", metric="kappa_quadratic")
    assert set(plain["experiment"]) == {*experiments, "null_centre_c_t", "null_thumbnail_c_t"}
    for name, kappa in plain.select("experiment", "value").iter_rows():
        rows = Predictions.read(made.workspace.experiment(made.study.study, name) / "predictions")
        rows = rows.filter(pl.col("class") == "", pl.col("split") == "test", pl.col("variant") == "")
        truth, called = rows["truth"].to_numpy(), rows["value"].round().to_numpy()
        by_chance = ((truth[:, None] - called[None]) ** 2).mean()
        assert kappa == pytest.approx(1 - ((truth - called) ** 2).mean() / by_chance), name
    assert found.filter(pl.col("baseline") != "", metric="kappa_quadratic")["p_value"].is_between(0, 1).all()
    frame = Predictions.read(made.workspace.experiment(made.study.study, "both") / "predictions")
    assert set(frame["class"]) == {"", "none", "mild", "severe"}
    assert set(frame.filter(pl.col("class") == "")["truth"].drop_nulls()) <= {0.0, 1.0, 2.0}
    shares = frame.filter(pl.col("class") != "").group_by("unit_key", "variant").agg(pl.col("value").sum())
    assert (
        (shares["value"] - 1).abs().max() < 1e-9 and "" in set(shares["variant"]) and shares["variant"].n_unique() > 1
    )
