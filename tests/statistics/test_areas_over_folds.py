"""Scores of different folds come from different fits: nothing ranks them together."""

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import average_precision_score, roc_auc_score

from xray_mining.statistics.auc import area_difference, areas_over_folds, auc, auc_delong
from xray_mining.statistics.average_precision import average_precision
from xray_mining.statistics.comparison import difference_of_areas, difference_of_means
from xray_mining.statistics.estimate import Estimate
from xray_mining.statistics.guessing import area_gain, variance_of_guessing
from xray_mining.statistics.macro import (
    compare_macro_auc,
    difference_of_macro_areas,
    macro_auc,
    macro_gain,
    shared_classes,
)
from xray_mining.statistics.measured import FEW_IN_CLASS


def shifted(seed: int = 0) -> tuple[np.ndarray, ...]:
    """Labels, scores with another offset in every fold, folds and sex."""
    rng = np.random.default_rng(seed)
    fold = np.arange(300) % 3
    label = rng.random(300) < 0.4
    male = rng.random(300) < 0.5
    return label, label + rng.normal(0, 1, 300) + 10 * fold, fold, male


def test_average_precision_is_the_mean_over_folds():
    label, score, fold, _ = shifted()
    found = average_precision(label, score, folds=fold)
    assert found.value == pytest.approx(
        np.mean([average_precision_score(label[fold == i], score[fold == i]) for i in range(3)])
    )
    assert found.low < found.value < found.high and "3 folds" in found.method
    assert found.value > average_precision(label, score).value


def test_a_difference_of_areas_is_of_means_over_folds():
    label, score, fold, male = shifted()
    sides = [
        np.mean([roc_auc_score(label[part], score[part]) for part in (side & (fold == i) for i in range(3))])
        for side in (male, ~male)
    ]
    found = difference_of_areas(label, score, male, folds=fold)
    assert found.value == pytest.approx(sides[0] - sides[1])
    # An offset by fold changes nothing.
    again = difference_of_areas(label, score - 10 * fold, male, folds=fold)
    assert (found.value, found.p_value) == pytest.approx((again.value, again.p_value))


def test_macro_areas_are_compared_in_pairs():
    rng = np.random.default_rng(2)
    classes = ("a", "b", "c")
    truth = rng.choice(classes, 300)
    hot = np.stack([truth == name for name in classes], axis=1)
    first, second = (shift * hot + rng.normal(0, 1, hot.shape) for shift in (1.5, 0.5))
    found = compare_macro_auc(truth, first, second, classes)
    apart = macro_auc(truth, first, classes).value - macro_auc(truth, second, classes).value
    assert found.value == pytest.approx(apart) and found.low > 0 and found.p_value < 0.001
    same = compare_macro_auc(truth, first, first, classes)
    assert (same.value, same.p_value) == (0, 1)
    swapped = compare_macro_auc(truth, second, first, classes)
    assert swapped.value == pytest.approx(-found.value) and swapped.p_value == pytest.approx(found.p_value)


def several_labels(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Truths of three labels that go together, scores of area 0.76, and patients of two images each."""
    rng = np.random.default_rng(seed)
    owner = np.repeat(np.arange(150), 2)
    ill = rng.normal(0, 1, 150)[owner]
    truth = (np.stack([ill + rng.normal(0, 1, 300) for _ in range(3)], axis=1) > 0).astype(float)
    return truth, truth + rng.normal(0, 1, 150)[owner][:, None] + rng.normal(0, 0.2, truth.shape), owner


def test_an_image_with_several_labels_counts_for_each_of_them():
    classes = ["effusion", "mass", "nodule"]
    truth, score, owner = several_labels(0)
    found = macro_auc(truth, score, classes, owner)
    assert found.value == pytest.approx(roc_auc_score(truth, score, average="macro"))
    assert found.low < found.value < found.high and found.patients == 150
    unknown = truth.copy()
    unknown[:40, 1] = np.nan
    own = [roc_auc_score(truth[part, i], score[part, i]) for i, part in enumerate((..., slice(40, None), ...))]
    assert macro_auc(unknown, score, classes, owner).value == pytest.approx(np.mean(own))
    better = compare_macro_auc(truth, score + truth, score, classes, owner)
    assert better.low > 0 and better.p_value < 0.001


def test_the_interval_of_several_labels_covers():
    # True area of a label: its scores differ by 1, each with variance 1.04.
    area = stats.norm.cdf(1 / np.sqrt(2 * 1.04))
    held = []
    for seed in range(400):
        truth, score, owner = several_labels(seed)
        found = macro_auc(truth, score, ["a", "b", "c"], owner)
        held.append(found.low <= area <= found.high)
    # 95 % of 400 are 380, with a standard error of 4.4.
    assert 364 <= sum(held) <= 396


def rare(patients: int, folds: int, each: int, labels: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Truths with so many patients of each label in each fold, scores of area 0.76, and folds."""
    rng = np.random.default_rng(seed)
    truth = np.zeros((folds, patients, labels))
    for fold, label in np.ndindex(folds, labels):
        truth[fold, rng.choice(patients, each, replace=False), label] = 1
    truth = truth.reshape(-1, labels)
    return truth, truth + rng.normal(0, 1, truth.shape), np.repeat(np.arange(folds), patients)


def test_one_patient_of_a_side_in_a_fold_gives_no_interval():
    names = ["a", "b"]
    truth, score, fold = rare(40, 3, 1, 2)
    found = macro_auc(truth, score, names, folds=fold)
    assert np.isfinite(found.value) and np.isnan([found.low, found.high]).all()
    assert FEW_IN_CLASS in found.caution
    against = macro_gain(truth, score, names, folds=fold)
    assert np.isnan([against.low, against.high, against.p_value]).all()
    pair = compare_macro_auc(truth, score, score + truth, names, folds=fold)
    assert np.isnan([pair.low, pair.high, pair.p_value]).all()
    # One patient without a label says as little.
    assert np.isnan(macro_auc(1 - truth, score, names, folds=fold).low)
    many = macro_auc(*rare(200, 3, 60, 2)[:2], names, folds=rare(200, 3, 60, 2)[2])
    assert np.isfinite(many.low) and FEW_IN_CLASS not in many.caution


def test_the_mean_area_of_one_label_has_the_interval_of_its_area():
    truth, score, fold = rare(40, 5, 3, 1)
    found, alone = macro_auc(truth, score, ["a"], folds=fold), auc(truth[:, 0], score[:, 0], folds=fold)
    assert found.value == alone.value
    assert (found.low, found.high) == pytest.approx((alone.low, alone.high), rel=0.01)


@pytest.mark.parametrize(("folds", "each", "labels"), [(5, 2, 1), (5, 2, 4)])
def test_the_interval_of_rare_labels_covers(folds: int, each: int, labels: int):
    area, held, count = stats.norm.cdf(1 / np.sqrt(2)), 0, 100
    for seed in range(count):
        truth, score, fold = rare(40, folds, each, labels, seed)
        found = macro_auc(truth, score, [str(label) for label in range(labels)], folds=fold)
        held += found.low <= area <= found.high
    assert held >= 93


def gaps(studies: int, few: int, labels: int) -> list[tuple[Estimate, float]]:
    """Gaps of 20 patients, of whom `few` have each label, from 100, of whom 20 have it; and errors by DeLong alone."""
    found, inside = [], np.arange(120) < 20
    for seed in range(studies):
        rng = np.random.default_rng(seed)
        truth = np.zeros((120, labels))
        for label in range(labels):
            truth[rng.choice(20, few, replace=False), label] = 1
            truth[20 + rng.choice(100, 20, replace=False), label] = 1
        score = truth + rng.normal(0, 1, truth.shape)
        gap = difference_of_macro_areas(truth, score, [str(label) for label in range(labels)], inside)
        sides = [auc_delong(truth[side, 0], score[side, 0]).variance for side in (inside, ~inside)]
        if labels == 1 and seed < 20:
            alone = difference_of_areas(truth[:, 0], score[:, 0], inside)
            assert (alone.low, alone.high, alone.p_value) == pytest.approx((gap.low, gap.high, gap.p_value))
        found.append((gap, float(np.sqrt(sum(sides)))))
    return found


@pytest.mark.parametrize(("few", "labels"), [(2, 1), (3, 1), (5, 1), (2, 3)])
def test_a_gap_of_few_patients_has_an_interval_that_covers_and_agrees_with_its_p(few: int, labels: int):
    found = [gap for gap, _ in gaps(200, few, labels)]
    assert np.mean([gap.low <= 0 <= gap.high for gap in found]) >= 0.91
    assert all((gap.low <= 0 <= gap.high) == (gap.p_value >= 0.05) for gap in found)
    assert all(gap.caution == FEW_IN_CLASS for gap in found)


def test_a_gap_with_one_patient_of_a_class_has_neither_interval_nor_p():
    rng = np.random.default_rng(0)
    inside, owner = np.arange(60) < 12, np.arange(60)
    truth = (rng.random((60, 2)) < 0.4).astype(float)
    truth[:12, 0] = np.arange(12) == 0
    score = rng.normal(0, 1, truth.shape)
    one = difference_of_areas(truth[:, 0], score[:, 0], inside)
    assert np.isfinite(one.value) and np.isnan([one.low, one.high, one.p_value]).all() and one.caution == FEW_IN_CLASS
    # The mean is over the label that two patients at least have and lack on both sides.
    assert shared_classes(truth, ["a", "b"], inside).tolist() == [False, True]
    mean = difference_of_macro_areas(truth, score, ["a", "b"], inside)
    other = difference_of_areas(truth[:, 1], score[:, 1], inside)
    assert (mean.value, mean.low, mean.p_value) == pytest.approx((other.value, other.low, other.p_value), rel=1e-3)
    mean = difference_of_means(score[:, 0], np.arange(60) < 2, np.r_[0, 0, np.arange(1, 59)])
    assert np.isfinite(mean.value) and np.isnan([mean.low, mean.high, mean.p_value]).all()
    # Several images of one patient are one patient.
    owner[:12] = 0
    truth[:12] = np.arange(12)[:, None] % 2
    for found in (
        difference_of_areas(truth[:, 0], score[:, 0], inside, owner),
        difference_of_macro_areas(truth, score, ["a", "b"], inside, owner),
    ):
        assert np.isnan([found.low, found.high, found.p_value]).all() and FEW_IN_CLASS in found.caution


def gains(studies: int, patients: int, few: int, labels: int, shift: float = 0.0) -> list[tuple[Estimate, float]]:
    """Gains of scores that tell nothing (or have the area of `shift`), and p of the first label by DeLong alone."""
    found = []
    for seed in range(studies):
        rng = np.random.default_rng(seed)
        truth = np.zeros((patients, labels))
        for label in range(labels):
            truth[rng.choice(patients, few, replace=False), label] = 1
        score = shift * truth + rng.normal(0, 1, truth.shape)
        gain = macro_gain(truth, score, [str(label) for label in range(labels)])
        own = auc_delong(truth[:, 0], score[:, 0])
        error = np.sqrt(own.variance)
        p = float(2 * stats.norm.sf(abs(own.auc - 0.5) / error)) if error else 0.0
        if labels == 1 and seed < 20:
            alone = area_gain(truth[:, 0], score[:, 0])
            assert (alone.low, alone.high, alone.p_value) == pytest.approx((gain.low, gain.high, gain.p_value))
        found.append((gain, p))
    return found


@pytest.mark.parametrize(("patients", "few", "labels"), [(20, 2, 1), (20, 3, 1), (30, 5, 1), (30, 5, 4)])
def test_nothing_is_gained_by_chance_from_few_patients(patients: int, few: int, labels: int):
    found = [gain for gain, _ in gains(200, patients, few, labels)]
    # 5 % of 200 are 10, with a standard error of 3.1.
    assert sum(gain.p_value <= 0.05 for gain in found) <= 20
    assert all((gain.low <= 0 <= gain.high) == (gain.p_value >= 0.05) for gain in found)
    area = stats.norm.cdf(2 / np.sqrt(2))
    found = [gain for gain, _ in gains(200, patients, few, labels, shift=2.0)]
    assert np.mean([gain.low <= area - 0.5 <= gain.high for gain in found]) >= 0.91


def test_a_perfect_ranking_of_four_patients_is_not_more_than_chance():
    truth, score = np.array([[1.0], [1], [0], [0]]), np.array([[0.9], [0.8], [0.2], [0.1]])
    for found in (macro_gain(truth, score, ["a"]), area_gain(truth[:, 0], score[:, 0])):
        assert found.value == 0.5 and found.p_value > 0.1 and found.low < 0
    constant = area_gain(truth[:, 0], np.ones(4))
    assert (constant.value, constant.p_value) == (0, 1) and constant.low < 0 < constant.high


def test_the_variance_of_guessing_is_that_of_permuted_scores():
    rng = np.random.default_rng(0)
    fold, owner = np.arange(60) % 2, np.arange(60)
    truth = (rng.random((60, 3)) < 0.3).astype(float)
    truth[rng.random(truth.shape) < 0.2] = np.nan
    score = rng.integers(0, 4, truth.shape).astype(float)  # with ties, and two labels alike
    score[:, 1] = score[:, 0] + rng.integers(0, 2, 60)
    areas = []
    for _ in range(400):
        order = np.arange(60)
        for each in (0, 1):
            order[fold == each] = rng.permutation(order[fold == each])
        areas.append(macro_auc(truth, score[order], ["a", "b", "c"], owner, fold).value)
    # A variance of 400 draws has a standard error of 7 %.
    assert variance_of_guessing(truth, score, owner, fold) == pytest.approx(np.var(areas), rel=0.25)
    twice = [np.repeat(each, 2, axis=0) for each in (truth, score, owner, fold)]
    assert variance_of_guessing(*twice) == pytest.approx(variance_of_guessing(truth, score, owner, fold), rel=0.05)


def test_a_part_of_the_patients_has_its_share_of_what_fits_add():
    rng = np.random.default_rng(1)
    truth = (np.arange(300) // 5 % 3 == 0).astype(float)
    score, again = truth + rng.normal(0, 1, (2, 300))
    part, fold = np.arange(300) < 60, np.arange(300) % 5
    one = auc(truth[part], score[part], None, fold[part], again=again[part], share=0.2)
    column = truth[part][:, None], score[part][:, None], ["a"], None, fold[part]
    found = macro_auc(*column, again=again[part][:, None], share=0.2)
    assert (found.low, found.high) == pytest.approx((one.low, one.high), abs=0.005)
    whole = macro_auc(*column, again=again[part][:, None])
    assert whole.high - whole.low > 1.1 * (found.high - found.low)


def test_images_of_one_patient_are_one():
    truth, score, _ = several_labels(0)
    once, names = slice(None, None, 2), ["a", "b", "c"]
    own = np.arange(150)
    twice = np.repeat(own, 2)
    for single, double in (
        (
            macro_auc(truth[once], score[once], names, own),
            macro_auc(truth[once].repeat(2, 0), score[once].repeat(2, 0), names, twice),
        ),
        (
            compare_macro_auc(truth[once], score[once], score[once] + 0.5 * truth[once], names, own),
            compare_macro_auc(*(each[once].repeat(2, 0) for each in (truth, score, score + 0.5 * truth)), names, twice),
        ),
    ):
        assert (double.low, double.high) == pytest.approx((single.low, single.high))
        assert double.patients == single.patients == 150


def test_areas_that_do_not_vary_have_an_interval_all_the_same():
    label = np.array([0, 0, 0, 1, 1, 1])
    pair = np.stack([label + 0.0, np.zeros(6)])
    found = area_difference(areas_over_folds(label, pair), 0, 1)
    assert (found.value, found.method) == (0.5, "Newcombe, two intervals put together")
    # By all ways to change the two models' places within six patients, p is 0.10.
    assert found.low < 0.2 and found.high <= 1.0 and 0.05 < found.p_value < 0.3
    many = np.repeat([0, 1], 200)
    found = area_difference(areas_over_folds(many, np.stack([many + 0.0, np.zeros(400)])), 0, 1)
    assert found.low > 0.4 and found.p_value < 1e-9


if __name__ == "__main__":
    reached = stats.norm.cdf(1 / np.sqrt(2))
    cells = [(*shape, *rest) for shape in ((5, 50), (1, 100)) for rest in np.ndindex(3, 5)]
    for folds, patients, wide, many in cells:
        labels, each = (1, 3, 14)[wide], (1, 2, 3, 5, 10)[many]
        made = [rare(patients, folds, each, labels, seed) for seed in range(300)]
        found = [macro_auc(truth, score, [str(i) for i in range(labels)], folds=fold) for truth, score, fold in made]
        held = 100 * np.mean([one.low <= reached <= one.high for one in found])
        print(f"{folds} folds of {patients}, {labels} labels, {each} patients of each: {held:.1f} of 100 hold it")
    for few, labels in ((2, 1), (3, 1), (5, 1), (2, 4), (5, 4)):
        made = gaps(400, few, labels)
        held = 100 * np.mean([gap.low <= 0 <= gap.high for gap, _ in made])
        small = 100 * np.mean([gap.p_value <= 0.05 for gap, _ in made])
        # Student's 97.5 % quantile with 119 degrees of freedom
        alone = (
            "" if labels > 1 else f"; by DeLong alone {100 * np.mean([abs(g.value) <= 1.98 * e for g, e in made]):.1f}"
        )
        print(f"gap, {few} patients of {labels} labels inside: {held:.1f} of 100 hold it, {small:.1f} alarms{alone}")
    for patients, few, labels in ((20, 2, 1), (20, 3, 1), (30, 5, 1), (30, 5, 4), (60, 10, 4)):
        made = gains(400, patients, few, labels)
        small, alone = (
            100 * np.mean(np.array(p) <= 0.05) for p in ([g.p_value for g, _ in made], [p for _, p in made])
        )
        held = [
            100 * np.mean([gain.low <= stats.norm.cdf(shift / np.sqrt(2)) - 0.5 <= gain.high for gain, _ in made])
            for shift in (0, 1, 2.5)
            for made in [gains(400, patients, few, labels, shift)]
        ]
        told = " / ".join(f"{each:.1f}" for each in held)
        before = "" if labels > 1 else f"; by DeLong alone {alone:.1f}"
        cell = f"gain, {few} of {patients}, {labels} labels"
        print(f"{cell}: {small:.1f} alarms{before}; {told} of 100 hold areas of 0.5 / 0.76 / 0.96")
