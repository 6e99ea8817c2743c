"""Laws that the statistics keep whatever the numbers are."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xray_mining.statistics.agreement import kappa, spearman
from xray_mining.statistics.auc import areas_over_folds, auc, auc_covariance, auc_delong, compare_auc
from xray_mining.statistics.average_precision import average_precision
from xray_mining.statistics.classification import called_metrics, youden_threshold
from xray_mining.statistics.comparison import benjamini_hochberg, holm, mcnemar
from xray_mining.statistics.errors import compare_errors, error_metrics
from xray_mining.statistics.resampling import interval, patient_sums

few = settings(max_examples=40, deadline=None)


@st.composite
def readings(draw, least=4, most=60):
    """Labels with both classes and integer scores with ties."""
    count = draw(st.integers(least, most))
    labels = np.array(draw(st.lists(st.integers(0, 1), min_size=count, max_size=count)))
    labels[:2], labels[2:4] = 0, 1
    scores = np.array(draw(st.lists(st.integers(-9, 9), min_size=count, max_size=count)), dtype=float)
    return labels, scores


@st.composite
def ages(draw, least=6, most=40):
    """True and predicted ages of patients who may have several images."""
    count = draw(st.integers(least, most))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    patients = rng.integers(0, max(2, count // 2), count)
    patients[:2] = 0, 1
    # Whole years: ties stay ties when they are moved and stretched by whole numbers.
    truth = np.round(rng.uniform(18, 90, count))
    return truth, truth + rng.normal(0, 8, count).round(), patients


@few
@given(readings())
def test_auc_knows_only_the_order(reading):
    labels, scores = reading
    found = auc_delong(labels, scores)
    assert auc_delong(labels, scores**3) == found
    assert auc_delong(labels, -scores).auc == pytest.approx(1 - found.auc)
    assert auc_delong(1 - labels, -scores).auc == pytest.approx(found.auc)
    assert auc_delong(1 - labels, -scores).variance == pytest.approx(found.variance, abs=1e-15)


@few
@given(readings())
def test_auc_is_the_share_of_pairs_in_order(reading):
    labels, scores = reading
    apart = np.subtract.outer(scores[labels == 1], scores[labels == 0])
    assert auc_delong(labels, scores).auc == pytest.approx((apart > 0).mean() + (apart == 0).mean() / 2)


@few
@given(readings(), st.randoms(use_true_random=False))
def test_nothing_hangs_on_the_order_of_rows(reading, random):
    labels, scores = reading
    order = list(range(len(labels)))
    random.shuffle(order)
    patients = np.arange(len(labels)) // 2
    one, other = auc(labels, scores, patients), auc(labels[order], scores[order], patients[order])
    assert (one.value, one.low, one.high) == pytest.approx((other.value, other.low, other.high), abs=1e-9, nan_ok=True)
    first, second = average_precision(labels, scores), average_precision(labels[order], scores[order])
    assert first.value == pytest.approx(second.value)


@few
@given(readings())
def test_intervals_hold_their_value_and_stay_within_bounds(reading):
    labels, scores = reading
    for found in (auc(labels, scores), average_precision(labels, scores)):
        assert 0 <= found.low <= found.value <= found.high <= 1
    for found in called_metrics(labels, scores >= youden_threshold(labels, scores), draws=100).values():
        assert np.isnan(found.value) or -1 <= found.value <= 1


@few
@given(readings())
def test_twice_the_same_images_of_a_patient_add_nothing(reading):
    labels, scores = reading
    once = auc_covariance(labels, scores, np.arange(len(labels)))
    twice = auc_covariance(np.tile(labels, 2), np.tile(scores, 2), np.tile(np.arange(len(labels)), 2))
    np.testing.assert_allclose(once[0], twice[0])
    np.testing.assert_allclose(once[1], twice[1], rtol=1e-9, atol=1e-15)


@few
@given(readings())
def test_a_score_does_not_differ_from_itself(reading):
    labels, scores = reading
    found = compare_auc(labels, scores, scores)
    assert (found.difference, found.z, found.p_value) == (0, 0, 1)


@few
@given(readings(least=12))
def test_one_fold_is_no_folds_and_a_one_class_fold_is_left_out(reading):
    labels, scores = reading
    whole, one = auc(labels, scores), auc(labels, scores, folds=np.zeros(len(labels)))
    assert whole == one
    more = np.concatenate([labels, [1, 1]]), np.concatenate([scores, [0, 0]])
    folds = np.concatenate([np.zeros(len(labels)), [1, 1]])
    assert areas_over_folds(*more, folds=folds).left_out == 1
    assert areas_over_folds(*more, folds=folds).values[0] == pytest.approx(whole.value)


@few
@given(ages(), st.integers(-50, 50), st.sampled_from([0.25, 0.5, 2, 12]))
def test_errors_move_and_stretch_with_their_unit(people, shift, scale):
    truth, given_, patients = people
    one = error_metrics(truth, given_, patients, draws=100)
    other = error_metrics(truth * scale + shift, given_ * scale + shift, patients, draws=100)
    for name in ("mae", "rmse", "bias", "median_error"):
        assert other[name].value == pytest.approx(one[name].value * scale, abs=1e-6)
    for name in ("r2", "pearson", "spearman", "ccc", "calibration_slope"):
        assert other[name].value == pytest.approx(one[name].value, abs=1e-6, nan_ok=True)


@few
@given(ages())
def test_error_metrics_know_their_places(people):
    truth, given_, patients = people
    found = error_metrics(truth, given_, patients, np.full(len(truth), truth.mean()), draws=100)
    assert abs(found["bias"].value) <= found["mae"].value + 1e-9 <= found["rmse"].value + 2e-9
    assert abs(found["ccc"].value) <= abs(found["pearson"].value) + 1e-9
    assert found["within_5"].value <= found["within_10"].value
    assert found["mae"].patients == len(np.unique(patients)) and found["mae"].images == len(truth)
    perfect = error_metrics(truth, truth, patients, draws=100)
    assert perfect["mae"].value == 0 and perfect["r2"].value == pytest.approx(1)
    assert perfect["ccc"].value == pytest.approx(1) and perfect["calibration_slope"].value == pytest.approx(1)


@few
@given(ages())
def test_a_difference_turns_its_sign_with_its_sides(people):
    truth, given_, patients = people
    other = given_ + np.random.default_rng(0).normal(0, 1, len(truth))
    one = compare_errors(truth, given_, other, patients, draws=100, permutations=99)
    two = compare_errors(truth, other, given_, patients, draws=100, permutations=99)
    assert one["mae"].value == pytest.approx(-two["mae"].value)
    assert one["mae"].p_value == pytest.approx(two["mae"].p_value)
    same = compare_errors(truth, given_, given_, patients, draws=100, permutations=99)
    assert same["mae"].value == 0 and same["mae"].p_value == 1 and same["mae"].low == same["mae"].high == 0


@few
@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_adjusted_p_values_keep_their_order_and_never_shrink(values):
    p = np.array(values)
    for adjust in (holm, benjamini_hochberg):
        found = adjust(p)
        assert (found >= p - 1e-15).all() and (found <= 1).all()
        order = np.argsort(p, kind="stable")
        assert (np.diff(found[order]) >= -1e-15).all()
    assert (benjamini_hochberg(p) <= holm(p) + 1e-15).all()
    np.testing.assert_array_equal(holm(np.append(p, np.nan))[:-1], holm(p))


@few
@given(ages())
def test_a_reading_agrees_with_itself(people):
    truth, _, patients = people
    assert spearman(truth, truth, patients).value == pytest.approx(1, abs=1e-9, nan_ok=True)
    grade = (truth // 10).astype(int)
    if len(np.unique(grade)) > 1:
        assert kappa(grade, grade, patients, "quadratic", draws=50).value == pytest.approx(1)
    right = truth > 50
    assert mcnemar(right, right, patients) == 1


@few
@given(st.integers(2, 40), st.integers(0, 2**32))
def test_the_bootstrap_of_a_constant_is_that_constant(patients, seed):
    sums = patient_sums(np.full((patients, 2), 3.0))
    value, low, high = interval(sums, lambda s: (s[..., 0] / s[..., 1])[..., None], draws=50, seed=seed)
    assert value[0] == low[0] == high[0] == 1
