"""Scores of different folds come from different fits: nothing ranks them together."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from xray_mining.statistics.auc import average_precision
from xray_mining.statistics.classification import compare_macro_auc, macro_auc
from xray_mining.statistics.comparison import difference_of_areas


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
