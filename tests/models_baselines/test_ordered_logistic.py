"""Logistic regression of ordered levels: against statsmodels and scikit-learn, few rows, missing levels, laws."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import check_grad
from scipy.stats import ortho_group
from sklearn.linear_model import LogisticRegression
from statsmodels.miscmodels.ordinal_model import OrderedModel

from xray_mining.models.answers import Classes, Levels
from xray_mining.models.estimators import squared_length
from xray_mining.models.ordered_logistic import OrderedLogistic, _Problem


def graded(rows: int, columns: int, levels: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Rows whose level rises with a sum of the columns, with logistic noise."""
    rng = np.random.default_rng(seed)
    matrix = rng.normal(size=(rows, columns))
    score = matrix @ rng.normal(size=columns) * 2 / np.sqrt(columns) + rng.logistic(size=rows)
    return matrix, np.digitize(score, np.quantile(score, np.arange(1, levels) / levels)).astype(float)


def test_without_a_penalty_it_is_the_model_of_statsmodels():
    matrix, truths = graded(400, 4, 5)
    theirs = OrderedModel(truths, matrix, distr="logit").fit(method="bfgs", disp=0, gtol=1e-8).predict(matrix)
    ours = OrderedLogistic(1e8, 5).fit(matrix, truths).predict_proba(matrix)
    np.testing.assert_allclose(ours, theirs, atol=1e-4)


@pytest.mark.parametrize("cost", [0.1, 1.0, 30.0])
def test_two_levels_are_scikit_learns_logistic_regression_with_the_same_penalty(cost):
    matrix, truths = graded(200, 30, 2)
    # Both scale the rows by their mean length, ours after centring them.
    matrix -= matrix.mean(axis=0)
    scaled = matrix / np.sqrt(squared_length(matrix))
    theirs = LogisticRegression(C=cost, tol=1e-9, max_iter=5000).fit(scaled, truths).predict_proba(scaled)
    np.testing.assert_allclose(OrderedLogistic(cost).fit(matrix, truths).predict_proba(matrix), theirs, atol=1e-4)


def test_the_gradient_is_that_of_the_loss():
    matrix, truths = graded(60, 3, 4)
    weights = np.random.default_rng(1).uniform(0.2, 2, 60)
    problem = _Problem(matrix, truths.astype(int), weights, 0.7)
    for seed in range(5):
        point = np.random.default_rng(seed).normal(size=6)
        assert check_grad(lambda at: problem.loss(at)[0], lambda at: problem.loss(at)[1], point) < 1e-4


@settings(max_examples=20, deadline=None)
@given(st.integers(2, 6), st.integers(0, 1000))
def test_shares_sum_to_one_and_a_weight_counts_as_that_many_rows(levels, seed):
    rng = np.random.default_rng(seed)
    matrix, truths = rng.normal(size=(40, 3)), rng.integers(0, levels, 40).astype(float)
    truths[:2] = 0, levels - 1
    counts = rng.integers(1, 4, 40)
    new = rng.normal(size=(9, 3)) * 5
    once = OrderedLogistic(1.0, levels).fit(matrix, truths, counts.astype(float))
    shares = once.predict_proba(new)
    assert (shares >= 0).all() and np.allclose(shares.sum(axis=1), 1)
    again = OrderedLogistic(1.0, levels)
    # The mean squared length of the repeated rows is another one, and with it the penalty's unit.
    repeated = np.repeat(matrix, counts, axis=0)
    again.cost = float((repeated**2).sum(axis=1).mean() / (matrix**2).sum(axis=1).mean())
    again.fit(repeated, np.repeat(truths, counts))
    np.testing.assert_allclose(again.predict_proba(new), shares, atol=5e-3)


def test_with_more_columns_than_rows_it_finds_what_it_finds_in_rotated_columns():
    matrix, truths = graded(40, 60, 4)
    turned = matrix @ ortho_group.rvs(60, random_state=1)
    ours, theirs = (OrderedLogistic(3.0, 4).fit(each, truths).predict_proba(each) for each in (matrix, turned))
    np.testing.assert_allclose(ours, theirs, atol=1e-3)
    wide = np.hstack([matrix, np.zeros((40, 5))])
    np.testing.assert_allclose(OrderedLogistic(3.0, 4).fit(wide, truths).predict_proba(wide), ours, atol=1e-3)


def test_a_level_without_a_row_gets_the_share_of_half_a_row_and_the_others_keep_their_order():
    matrix, truths = graded(50, 3, 3)
    shares = (
        OrderedLogistic(1.0, 6).fit(matrix, np.array([0, 2, 5])[truths.astype(int)].astype(float)).predict_proba(matrix)
    )
    np.testing.assert_allclose(shares[:, [1, 3, 4]], 0.5 / 51.5)
    whole = OrderedLogistic(1.0, 3).fit(matrix, truths).predict_proba(matrix)
    np.testing.assert_allclose(shares[:, [0, 2, 5]] / (1 - 1.5 / 51.5), whole)


def test_many_levels_of_few_rows_are_read_better_than_by_guessing():
    shares = []
    for seed in range(6):
        matrix, truths = graded(160, 12, 16, seed)
        fitted, held = slice(0, 70), slice(70, None)
        found = OrderedLogistic(1.0, 16).fit(matrix[fitted], truths[fitted]).predict_proba(matrix[held]) @ np.arange(16)
        guessed = np.abs(truths[held] - np.median(truths[fitted])).mean()
        shares.append(np.abs(found - truths[held]).mean() / guessed)
    assert np.mean(shares) < 0.9


def test_levels_are_learned_by_it_and_classes_are_not():
    assert Levels(3).logistic({"cost": 2.0}).get_params() == {"cost": 2.0, "levels": 3}
    assert Classes(3).logistic({"cost": 2.0}).get_params() == {"cost": 2.0}
