"""Baselines: what they learn, what they must not see, and what they refuse."""

import json

import numpy as np
import polars as pl
import pytest

from xray_mining.errors import UserError
from xray_mining.models.baselines import Components, Standardised, Steps, Table, fit_baseline, ridge_path
from xray_mining.models.calibration import CalibrationMap, calibration_map
from xray_mining.models.ensemble import combine, stack_weights
from xray_mining.models.fit import Fit, Fitted
from xray_mining.models.kinds.null import centre
from xray_mining.models.targets import TARGETS
from xray_mining.records.cohort import Target

AGE = Target("age_years", "number", "years")
SEX = Target("patient_sex", "binary", positive="M", classes=("F", "M"))
STAGE = Target("stage", "group", classes=("a", "b", "c"))


def fit_of(target, truths, roles, patients=None, labels=None, weights=None):
    n = len(truths)
    patients = list(range(n)) if patients is None else patients
    return Fit(
        0,
        -1,
        target,
        pl.DataFrame(
            {
                "image_key": [f"i{k:04d}" for k in range(n)],
                "patient_key": [f"p{k:04d}" for k in patients],
                "study_key": [f"s{k:04d}" for k in range(n)],
                "weight": [1.0] * n if weights is None else weights,
                "role": roles,
                "truth": truths,
                "label": [None] * n if labels is None else labels,
            },
            schema_overrides={"truth": pl.Float64, "label": pl.String},
        ),
    )


def roles_of(n):
    return (["test"] + ["validation"] + ["train"] * 3) * (n // 5)


def made(kind, n=200, p=30, seed=0):
    rng = np.random.default_rng(seed)
    matrix = rng.normal(size=(n, p))
    score = matrix[:, 0] + 0.5 * matrix[:, 1]
    if kind == "number":
        return matrix, fit_of(AGE, (50 + 10 * score + rng.normal(0, 2, n)).tolist(), roles_of(n))
    if kind == "binary":
        truth = (score + rng.normal(0, 0.3, n) > 0).astype(float)
        return matrix, fit_of(SEX, truth.tolist(), roles_of(n), labels=["M" if each else "F" for each in truth])
    place = np.digitize(score, (-0.5, 0.5))
    return matrix, fit_of(STAGE, [None] * n, roles_of(n), labels=["abc"[each] for each in place])


@pytest.mark.parametrize(
    ("model", "kind"),
    [
        ("ridge", "number"),
        ("boosting", "number"),
        ("support_vectors", "number"),
        ("logistic", "binary"),
        ("boosting", "binary"),
        ("support_vectors", "binary"),
        ("logistic", "group"),
        ("support_vectors", "group"),
    ],
)
def test_each_model_learns_what_is_there(model, kind):
    matrix, fit = made(kind)
    matrix[3, 5] = np.nan
    fitted, learned = fit_baseline(model, matrix, fit)
    roles = dict(zip(fit.keys, fit.images["role"], strict=True))
    assert sorted(fitted.image_keys) == sorted(key for key in fit.keys if roles[key] != "train")
    truths = dict(zip(fit.keys, fit.truths(), strict=True))
    for role in ("validation", "test"):
        at = [row for row, key in enumerate(fitted.image_keys) if roles[key] == role]
        known = np.array([truths[fitted.image_keys[row]] for row in at])
        if kind == "number":
            assert np.abs(fitted.values[at] - known).mean() < 0.6 * np.abs(known - np.median(known)).mean()
        else:
            # Guessing gets a half of two classes right, and less of three.
            assert (fitted.values[at].argmax(axis=1) == known).mean() > (0.7 if kind == "binary" else 0.55)
            assert np.allclose(fitted.values[at].sum(axis=1), 1)
    assert learned.chosen


@pytest.mark.parametrize("model", ["ridge", "support_vectors", "boosting"])
def test_what_stands_in_the_test_split_changes_nothing_but_its_own_predictions(model):
    matrix, fit = made("number", n=100)
    fitted, _ = fit_baseline(model, matrix, fit)
    test = fit.rows("test")
    other = matrix.copy()
    other[test] = 99.0
    changed = fit_of(AGE, np.where(np.isin(np.arange(100), test), -1.0, fit.truths()).tolist(), roles_of(100))
    again, _ = fit_baseline(model, other, changed)
    validation = [row for row, key in enumerate(fitted.image_keys) if fit.keys.index(key) not in test]
    assert np.array_equal(fitted.values[validation], again.values[validation])


def test_noise_is_not_learned_out_of_fold_even_when_patients_repeat():
    rng = np.random.default_rng(1)
    patients = np.repeat(np.arange(40), 5)
    matrix = rng.normal(size=(40, 400))[patients] + rng.normal(0, 0.05, (200, 400))
    truths = rng.normal(size=40)[patients]
    learned = Table(matrix, truths, patients, np.ones(200)).learn("ridge")
    assert np.corrcoef(learned.out_of_fold, truths)[0, 1] < 0.4
    assert np.abs(learned.values(matrix) - truths).mean() < learned.loss


def test_ridge_path_agrees_with_the_normal_equations():
    rng = np.random.default_rng(2)
    for shape in ((30, 8), (12, 25)):
        seen, unseen, truths = rng.normal(size=shape), rng.normal(size=(5, shape[1])), rng.normal(size=shape[0])
        shares = rng.uniform(0.5, 2, shape[0])
        shares /= shares.mean()
        factor = 0.3
        penalty = factor * seen.var(axis=0).sum()
        mean, level = np.average(seen, axis=0, weights=shares), np.average(truths, weights=shares)
        left = (seen - mean).T @ (shares[:, None] * (seen - mean)) + penalty * np.eye(shape[1])
        wanted = (unseen - mean) @ np.linalg.solve(left, (seen - mean).T @ (shares * (truths - level))) + level
        assert np.allclose(ridge_path(seen, truths, shares, unseen, np.array([factor]))[:, 0], wanted)


def test_components_keep_all_distances_of_a_wide_table():
    matrix = np.random.default_rng(4).normal(size=(20, 100))
    turned = Components().fit(matrix).transform(matrix)
    assert turned.shape[1] <= 20
    assert np.allclose(turned @ turned.T, (matrix - matrix.mean(0)) @ (matrix - matrix.mean(0)).T)


def test_missing_numbers_take_the_median_and_empty_columns_say_nothing():
    matrix = np.array([[1.0, np.nan], [3.0, np.nan], [np.nan, np.nan], [100.0, np.nan]])
    found = Standardised().fit(matrix).transform(matrix)
    assert np.isfinite(found).all()
    assert (found[:, 1] == 0).all()
    assert found[2, 0] == pytest.approx((3 - np.mean([1, 3, 3, 100])) / np.std([1, 3, 3, 100]))


def test_one_patient_or_a_missing_class_is_refused():
    matrix, ages = np.ones((5, 2)), [1.0, 2.0, 50.0, 60.0, 90.0]
    roles = ["test", "test", "validation", "train", "train"]
    same = fit_of(AGE, ages, roles, patients=[0, 1, 2, 2, 2])
    with pytest.raises(UserError, match="target age_years, rotation 0: has one patient"):
        fit_baseline("ridge", matrix, same)
    with pytest.raises(UserError, match="a class has no patient"):
        fit_baseline("logistic", matrix, fit_of(SEX, [0.0] * 5, roles))
    with pytest.raises(UserError, match="logistic does not predict numbers; take one of ridge"):
        fit_baseline("logistic", matrix, fit_of(AGE, ages, roles))


def test_the_centre_is_the_median_and_the_shares():
    fit = fit_of(AGE, [1.0, 2.0, 50.0, 60.0, 90.0], ["test", "validation", "train", "train", "train"])
    assert np.allclose(centre(fit).values, 55.0)
    _, groups = made("group")
    values = centre(groups).values
    assert np.allclose(values.sum(axis=1), 1)


def test_an_ensemble_never_looks_at_the_test_truths():
    _, fit = made("number")
    rows = fit.rows("validation", "test")
    keys = [fit.keys[row] for row in rows]
    rng = np.random.default_rng(5)
    members = {
        "good": Fitted(keys, fit.truths()[rows] + rng.normal(0, 2, len(rows))),
        "poor": Fitted(keys, fit.truths()[rows] + rng.normal(0, 20, len(rows))),
    }
    best = combine("best", members, fit)
    assert best.weights == {"good": 1.0, "poor": 0.0}
    assert np.array_equal(best.fitted.values, members["good"].values)
    for rule in ("mean", "best", "stack"):
        truths = np.where(np.isin(np.arange(200), fit.rows("test")), np.nan, fit.truths())
        hidden = fit_of(AGE, [None if np.isnan(each) else each for each in truths], roles_of(200))
        assert np.allclose(combine(rule, members, fit).fitted.values, combine(rule, members, hidden).fitted.values)
    assert combine("stack", members, fit).weights["good"] > 0.7


def test_stack_weights_stand_on_the_simplex():
    rng = np.random.default_rng(6)
    truths = rng.normal(size=50)
    weights = stack_weights(np.stack([truths, -truths, rng.normal(size=50)]), truths, TARGETS.find("number"))
    assert weights.min() >= 0
    assert weights.sum() == pytest.approx(1)


def test_calibration_keeps_the_order_and_mends_the_level():
    rng = np.random.default_rng(7)
    truths = rng.normal(50, 10, 100)
    values = 0.5 * (truths - 50) + 70
    found = calibration_map(values, truths, 0, np.arange(100))
    assert found is not None and np.allclose(found.of(values), truths)
    labels = rng.integers(0, 2, 100).astype(float)
    high = np.clip(0.5 + 0.1 * (labels - 0.5) + rng.normal(0, 0.05, 100), 0.01, 0.99)
    raw = np.stack([1 - high, high], 1)
    of_classes = calibration_map(raw, labels, 2, np.arange(100))
    assert of_classes is not None
    shares = of_classes.of(raw)
    assert np.array_equal(np.argsort(shares[:, 1], kind="stable"), np.argsort(high, kind="stable"))
    assert np.allclose(shares.sum(axis=1), 1)
    assert calibration_map(values[:5], truths[:5], 0, np.arange(5)) is None


def test_steps_keep_the_order_and_what_is_missing_and_are_few_enough_to_be_taken_as_they_are():
    rng = np.random.default_rng(8)
    matrix = np.column_stack([rng.normal(size=500), rng.integers(0, 3, 500), np.full(500, np.nan)])
    matrix[7, 0] = np.nan
    found = Steps().fit(matrix).transform(matrix)
    assert np.array_equal(np.isnan(found), np.isnan(matrix))
    known = np.delete(np.arange(500), 7)
    order = known[np.argsort(matrix[known, 0])]
    assert (np.diff(found[order, 0]) >= 0).all()
    assert len(np.unique(found[known, 0])) == 64
    assert len(np.unique(found[:, 1])) <= 3


def miscalibrated(patients, of_each, slope, seed):
    """Raw probabilities (n, 2) whose log odds are `slope` times too far from 0, labels and owners."""
    rng = np.random.default_rng(seed)
    owner = np.repeat(np.arange(patients), of_each)
    odds = np.repeat(rng.normal(0, 1.5, patients), of_each)
    labels = (rng.random(patients * of_each) < 1 / (1 + np.exp(-odds))).astype(float)
    given = 1 / (1 + np.exp(-slope * odds))
    return np.stack([1 - given, given], axis=1), labels, owner


def test_a_map_is_used_where_patients_that_it_has_not_seen_gain_by_it_and_nowhere_else():
    used = dict.fromkeys((1.0, 4.0), 0)
    for slope in used:
        for seed in range(20):
            values, labels, owner = miscalibrated(60, 1, slope, seed)
            found = calibration_map(values, labels, 2, owner)
            used[slope] += found is not None
    # In-fold every map looks as if it helped: of a calibrated model's, all 20 would be taken.
    assert used[1.0] <= 4
    assert used[4.0] >= 16


def test_patients_with_many_images_do_not_judge_their_own_map():
    # Scores and labels of a patient's 20 images are alike: with images of one patient on both sides the map would be
    # judged by what it was fitted on.
    rng = np.random.default_rng(3)
    used = 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        owner = np.repeat(np.arange(24), 20)
        labels = np.repeat(rng.integers(0, 2, 24), 20).astype(float)
        given = np.clip(np.repeat(0.5 + rng.normal(0, 0.02, 24), 20), 0.01, 0.99)
        found = calibration_map(np.stack([1 - given, given], 1), labels, 2, owner)
        used += found is not None
    assert used <= 3


def test_a_few_patients_with_most_of_the_images_are_too_few_for_a_map():
    values, labels, owner = miscalibrated(60, 1, 4.0, 5)
    assert calibration_map(values, labels, 2, owner) is not None
    # Five of them have forty images each: as good as six patients with equally many.
    times = np.where(owner < 5, 40, 1)
    assert calibration_map(np.repeat(values, times, 0), np.repeat(labels, times), 2, np.repeat(owner, times)) is None


def test_a_map_goes_through_a_file_and_gives_the_same_values():
    values, labels, owner = miscalibrated(200, 2, 4.0, 1)
    rng = np.random.default_rng(8)
    truths = rng.normal(50, 10, 100)
    many, names, owners = miscalibrated(1200, 1, 4.0, 2)
    three = np.concatenate([values * 0.9, np.full((len(values), 1), 0.1)], axis=1)
    for raw, true, classes, whose in (
        (values, labels, 2, owner),
        (0.5 * truths + 9, truths, 0, np.arange(100)),
        (many, names, 2, owners),
        (three, np.where(np.arange(len(labels)) % 10 == 0, 2, labels), 3, owner),
    ):
        found = calibration_map(raw, true, classes, whose)
        assert found is not None
        again = CalibrationMap.from_json(json.loads(json.dumps(found.to_json())))
        assert np.array_equal(again.of(raw), found.of(raw))
        if classes:
            assert np.allclose(found.of(raw).sum(axis=1), 1)
