"""Proportions and their paired differences at few patients: within their range, monotone, interval and p agree."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize, stats

from xray_mining.statistics.classification import compare_called
from xray_mining.statistics.comparison import difference_of_pairs
from xray_mining.statistics.resampling import proportion_interval

MANY = settings(max_examples=60, deadline=None)


def missed(patients, images, misses):
    """Sums of hits and units: `misses` says how many images of the first patients are missed."""
    hits = np.full(patients, float(images))
    hits[: len(misses)] -= misses
    return np.stack([hits, np.full(patients, float(images))], axis=1)


def test_one_image_each_is_wilsons_interval():
    from statsmodels.stats.proportion import proportion_confint

    for misses in (0, 1, 7, 20):
        found = proportion_interval(missed(40, 1, [1] * misses))
        # The variance between patients is with n - 1, so that 40 patients count as 39; where there is none, as 40.
        size = 39 if misses else 40
        ends = proportion_confint(size * (1 - misses / 40), size, method="wilson")
        assert found == pytest.approx((1 - misses / 40, *ends), abs=1e-9)


@MANY
@given(
    patients=st.integers(5, 60),
    images=st.integers(1, 8),
    places=st.lists(st.integers(0, 10_000), min_size=1, max_size=40),
)
def test_one_more_miss_never_raises_the_lower_end(patients, images, places):
    misses = np.zeros(patients)
    last = proportion_interval(missed(patients, images, misses))
    for place in places:
        if misses[place % patients] < images:
            misses[place % patients] += 1
            found = proportion_interval(missed(patients, images, misses))
            assert found[1] <= last[1] + 1e-12
            assert 0 <= found[1] <= found[0] <= found[2] <= 1
            last = found


def test_the_example_of_none_and_one_miss():
    # 130 patients with three images: none missed gave 0.971, one missed 0.991
    none, one = (proportion_interval(missed(130, 3, misses))[1] for misses in ([], [1]))
    assert one <= none < 0.98


def test_images_all_alike_widen_and_hits_are_misses_turned_round():
    alike, apart = (proportion_interval(missed(30, 3, misses)) for misses in ([3, 3], [1] * 6))
    assert alike[0] == apart[0]
    assert alike[1] < apart[1] - 0.02
    turned = missed(30, 3, [3, 3])
    turned[:, 0] = turned[:, 1] - turned[:, 0]
    found = proportion_interval(turned)
    assert found == pytest.approx((1 - alike[0], 1 - alike[2], 1 - alike[1]))


def test_fewer_than_five_patients_have_no_interval_but_a_value():
    value, low, high = proportion_interval(missed(4, 10, [1]))
    assert value == 39 / 40
    assert np.isnan([low, high]).all()
    found = difference_of_pairs([1, 0, 1, 1], [0, 0, 1, 0])
    assert found.value == 0.5
    assert np.isnan([found.low, found.high, found.p_value]).all()
    assert "fewer than 5 patients" in found.caution


@MANY
@given(
    patients=st.integers(5, 45),
    images=st.integers(1, 4),
    chances=st.tuples(st.floats(0, 1), st.floats(0, 1)),
    seed=st.integers(0, 10_000),
)
def test_paired_differences_stay_in_range_and_their_p_says_what_their_interval_says(patients, images, chances, seed):
    rng = np.random.default_rng(seed)
    owner = np.repeat(np.arange(patients), images)
    a, b = (rng.random(len(owner)) < each for each in chances)
    found = difference_of_pairs(a, b, owner)
    assert -1 <= found.low <= found.value <= found.high <= 1
    assert found.value == pytest.approx(a.mean() - b.mean())
    if abs(found.p_value - 0.05) > 1e-6:
        assert (found.p_value < 0.05) == (not found.low <= 0 <= found.high)
    turned = difference_of_pairs(b, a, owner)
    assert (turned.value, turned.low, turned.high) == pytest.approx((-found.value, -found.high, -found.low), abs=1e-9)
    assert turned.p_value == pytest.approx(found.p_value)


def test_ends_of_pairs_are_where_tangos_score_is_the_quantile():
    # The score with the multinomial's probabilities fitted under the hypothesis by a general optimiser.
    both, first, second, neither = 30, 9, 3, 8
    count = both + first + second + neither
    a = [1] * both + [1] * first + [0] * second + [0] * neither
    b = [1] * both + [0] * first + [1] * second + [0] * neither
    found = difference_of_pairs(a, b)
    for end, sign in ((found.low, 1), (found.high, -1)):

        def lost(rarer, end=end):
            return -(
                first * np.log(rarer + end) + second * np.log(rarer) + (both + neither) * np.log(1 - 2 * rarer - end)
            )

        bounds = (max(0, -end) + 1e-9, (1 - end) / 2 - 1e-9)
        rarer = optimize.minimize_scalar(lost, bounds=bounds, method="bounded", options={"xatol": 1e-10}).x
        spread = np.sqrt(count * (2 * rarer + end - end**2))
        assert sign * (first - second - count * end) / spread == pytest.approx(1.959964, abs=1e-4)
    # McNemar's without a correction is its p of no difference.
    assert found.p_value == pytest.approx(2 * stats.norm.sf((first - second) / np.sqrt(first + second)))
    same = difference_of_pairs(a, a)
    assert (same.value, same.p_value) == (0, 1)
    assert same.low == pytest.approx(-same.high)
    assert same.high == pytest.approx(1.959964**2 / (count + 1.959964**2), abs=1e-6)


def test_patients_whose_images_are_alike_count_as_patients():
    a, b = [1] * 20 + [0] * 10, [1] * 10 + [0] * 20
    single = difference_of_pairs(a, b)
    owner = np.repeat(np.arange(30), 6)
    many = difference_of_pairs(np.repeat(a, 6), np.repeat(b, 6), owner)
    assert many.high - many.low > single.high - single.low - 0.01
    apart = difference_of_pairs(np.repeat(a, 6), np.repeat(b, 6))
    assert apart.high - apart.low < 0.6 * (many.high - many.low)
    labels = np.ones(180, dtype=int)
    called = compare_called(labels, np.repeat(a, 6), np.repeat(b, 6), owner)["sensitivity"]
    assert (called.low, called.high, called.p_value) == (many.low, many.high, many.p_value)


def test_ends_cover_at_few_patients_with_images_all_alike():
    rng = np.random.default_rng(4)
    for patients, share in ((20, 0.9), (45, 0.95)):
        held = 0
        for _ in range(400):
            hits = 4.0 * (rng.random(patients) < share)
            _, low, high = proportion_interval(np.stack([hits, np.full(patients, 4.0)], axis=1))
            held += low <= share <= high
        assert 0.91 <= held / 400 <= 0.995
