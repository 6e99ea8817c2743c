"""Figures of labels and of levels over five folds of models that are really fitted: what the fits reach is the truth.

Several labels of an image by logistic regressions, some truths unknown; three levels by a ridge. Each rotation tests a
fold, validates on the next, which another rotation tests, and fits on the rest, as networks do.

`python tests/statistics/test_labels_and_levels.py 400` prints the rows of docs/statistics.md.
"""

import os
import sys
from collections.abc import Iterator

os.environ.setdefault("OMP_NUM_THREADS", "1")  # small fits, many of them

import numpy as np
import pytest

from xray_mining.statistics.agreement import compare_quadratic_kappa, quadratic_kappa
from xray_mining.statistics.estimate import Estimate
from xray_mining.statistics.macro import compare_macro_auc, difference_of_macro_areas, macro_auc

FOLDS, PATIENTS, COLUMNS, CROWD = 5, 250, 15, 4_000
LABELS, UNKNOWN = 4, 0.25
SHARES = (0.5, 0.3, 0.2, 0.15)
WORTH = np.concatenate([[0.8, 0.5, 0.3], np.zeros(COLUMNS - 3)])


def ridge(columns: np.ndarray, target: np.ndarray, penalty: float = 30.0) -> np.ndarray:
    """Weights (columns + 1,) of a ridge; of 0 and 1 they rank as a logistic regression's do."""
    design = np.column_stack([columns, np.ones(len(columns))])
    curvature = design.T @ design + penalty * np.diag([1.0] * columns.shape[1] + [0.0])
    return np.linalg.solve(curvature, design.T @ target)


def scores(columns: np.ndarray, weights: np.ndarray) -> np.ndarray:
    return columns @ weights[:-1] + weights[-1]


def drawn(rng: np.random.Generator, patients: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Columns (n, COLUMNS), labels (n, LABELS) and levels (n,) of new patients."""
    columns = rng.normal(size=(patients, COLUMNS))
    latent = columns @ WORTH
    cuts = np.quantile(np.random.default_rng(0).normal(0, np.sqrt(WORTH @ WORTH + 1), 100_000), 1 - np.array(SHARES))
    labels = (latent[:, None] + rng.normal(size=(patients, LABELS)) > cuts).astype(float)
    levels = np.digitize(latent + rng.normal(size=patients), [0.0, 1.2]).astype(float)
    return columns, labels, levels


def areas(labels: np.ndarray, values: np.ndarray) -> float:
    """Mean over labels of the area, without ties."""
    found = []
    for label, value in zip(labels.T == 1, values.T, strict=True):
        rank = np.argsort(np.argsort(value)) + 1.0
        positives = label.sum()
        found.append((rank[label].sum() - positives * (positives + 1) / 2) / (positives * (~label).sum()))
    return float(np.mean(found))


def nearest(values: np.ndarray) -> np.ndarray:
    return np.where(np.isfinite(values), np.clip(np.round(values), 0, 2), np.nan)


def kappa_of(levels: np.ndarray, called: np.ndarray) -> float:
    expected = ((levels[:, None] - np.arange(3)) ** 2).mean(axis=0) @ np.bincount(called.astype(int), minlength=3)
    return float(1 - ((levels - called) ** 2).sum() / expected)


def study(rng: np.random.Generator, columns_b: slice) -> Iterator[tuple[str, Estimate, float]]:
    """Every figure of one study with its truth; the second model sees fewer columns."""
    columns, labels, levels = drawn(rng, PATIENTS)
    crowd, crowd_labels, crowd_levels = drawn(rng, CROWD)
    masked = np.where(rng.random(labels.shape) < UNKNOWN, np.nan, labels)
    folds = np.arange(PATIENTS) % FOLDS
    told = [np.empty((PATIENTS, LABELS)) for _ in range(2)]
    again = [np.empty((PATIENTS, LABELS)) for _ in range(2)]
    graded, graded_again = ([np.empty(PATIENTS) for _ in range(2)] for _ in range(2))
    reached: list[list[float]] = [[], []]
    reached_kappa: list[list[float]] = [[], []]
    for fold in range(FOLDS):
        test, next_one = folds == fold, folds == (fold + 1) % FOLDS
        train = ~test & ~next_one
        for model, seen in enumerate((slice(None), columns_b)):
            weights = []
            for i in range(LABELS):
                known = train & np.isfinite(masked[:, i])
                weights.append(ridge(columns[known][:, seen], labels[known, i]))
            for rows, place in ((test, told[model]), (next_one, again[model])):
                place[rows] = np.stack([scores(columns[rows][:, seen], each) for each in weights], axis=1)
            of_crowd = np.stack([scores(crowd[:, seen], each) for each in weights], axis=1)
            reached[model].append(areas(crowd_labels, of_crowd))
            own = ridge(columns[train][:, seen], levels[train])
            graded[model][test] = scores(columns[test][:, seen], own)
            graded_again[model][next_one] = scores(columns[next_one][:, seen], own)
            reached_kappa[model].append(kappa_of(crowd_levels, nearest(scores(crowd[:, seen], own))))
    names = [str(i) for i in range(LABELS)]
    area = [float(np.mean(each)) for each in reached]
    yield "auc_macro", macro_auc(masked, told[0], names, None, folds, again=again[0]), area[0]
    pair = compare_macro_auc(masked, told[0], told[1], names, folds=folds, again=(again[0], again[1]))
    yield "auc_macro difference", pair, area[0] - area[1]
    half = rng.random(PATIENTS) < 0.4
    yield "auc_macro between groups", difference_of_macro_areas(masked, told[0], names, half, folds=folds), 0.0
    kappas = [float(np.mean(each)) for each in reached_kappa]
    quick = {"folds": folds, "draws": 300}
    called, other = nearest(graded[0]), nearest(graded[1])
    called_again, other_again = nearest(graded_again[0]), nearest(graded_again[1])
    yield "kappa_quadratic", quadratic_kappa(levels, called, again=called_again, **quick), kappas[0]
    found = compare_quadratic_kappa(levels, called, other, again=(called_again, other_again), permutations=199, **quick)
    yield "kappa_quadratic difference", found, kappas[0] - kappas[1]


def counted(studies: int, seed: int = 0) -> dict[str, tuple[float, float]]:
    """Share of intervals that hold the truth by figure, and of p up to 0.05."""
    held: dict[str, list[tuple[bool, bool]]] = {}
    for number in range(studies):
        for name, found, truth in study(np.random.default_rng([seed, number]), slice(0, COLUMNS - 1)):
            held.setdefault(name, []).append((found.low <= truth <= found.high, found.p_value <= 0.05))
    return {name: tuple(np.mean(each, axis=0).tolist()) for name, each in held.items()}


def test_intervals_of_labels_and_levels_hold_what_fitted_models_reach():
    found = counted(60)
    for name, (share, _) in found.items():
        # 95 % less or more four standard errors at 60 studies
        assert share >= 0.83, (name, share)
    assert found["auc_macro between groups"][1] <= 0.17


def test_a_planted_gap_between_groups_is_seen():
    rng = np.random.default_rng(3)
    labels = (rng.random((600, 3)) < 0.4).astype(float)
    group = rng.random(600) < 0.5
    values = labels * np.where(group, 2.0, 0.3)[:, None] + rng.normal(size=labels.shape)
    labels[rng.random(labels.shape) < 0.2] = np.nan
    found = difference_of_macro_areas(labels, values, ["a", "b", "c"], group)
    assert found.p_value < 1e-6 and found.low > 0.1
    other = difference_of_macro_areas(labels, values, ["a", "b", "c"], ~group)
    assert (other.value, other.p_value) == (pytest.approx(-found.value), pytest.approx(found.p_value))
    one = difference_of_macro_areas(labels[:, :1], values[:, :1], ["a"], group)
    from xray_mining.statistics.comparison import difference_of_areas

    known = np.isfinite(labels[:, 0])
    alone = difference_of_areas(labels[known, 0], values[known, 0], group[known])
    assert (one.value, one.low, one.high) == pytest.approx((alone.value, alone.low, alone.high))
    assert one.p_value == pytest.approx(alone.p_value, rel=0.2)


def test_quadratic_kappa_is_that_of_others_where_all_levels_occur():
    from sklearn.metrics import cohen_kappa_score

    rng = np.random.default_rng(1)
    first = rng.integers(0, 5, 200).astype(float)
    second = np.clip(first + rng.integers(-1, 2, 200), 0, 4)
    assert quadratic_kappa(first, second).value == pytest.approx(cohen_kappa_score(first, second, weights="quadratic"))
    # A level without an image still counts as a step: with level 3 missing, 4 is two steps from 2.
    gap = quadratic_kappa(np.where(first == 3, 4, first), np.where(second == 3, 4, second))
    levels = [0, 1, 2, 3, 4]
    pair = (np.where(each == 3, 4, each) for each in (first, second))
    assert gap.value == pytest.approx(cohen_kappa_score(*pair, labels=levels, weights="quadratic"))
    assert np.isnan(quadratic_kappa(np.ones(9), np.ones(9)).value)
    same = compare_quadratic_kappa(first, second, second, permutations=99)
    assert (same.value, same.low, same.high, same.p_value) == (0, 0, 0, 1)


def test_a_kappa_counts_patients_not_images():
    rng = np.random.default_rng(3)
    first = rng.integers(0, 5, 120).astype(float)
    second, third = (np.clip(first + rng.integers(-1, 2, 120), 0, 4) for _ in range(2))
    twice = np.repeat(np.arange(120), 2)
    single, double = quadratic_kappa(first, second), quadratic_kappa(first.repeat(2), second.repeat(2), twice)
    apart = quadratic_kappa(first.repeat(2), second.repeat(2))
    assert double.patients == 120 and double.value == pytest.approx(single.value)
    assert double.high - double.low == pytest.approx(single.high - single.low, rel=0.1)
    assert apart.high - apart.low < 0.8 * (double.high - double.low)
    pair = compare_quadratic_kappa(first, second, third, permutations=99)
    again = compare_quadratic_kappa(*(each.repeat(2) for each in (first, second, third)), twice, permutations=99)
    assert again.high - again.low == pytest.approx(pair.high - pair.low, rel=0.1)


if __name__ == "__main__":
    for figure, (share, small) in counted(int(sys.argv[1])).items():
        print(f"{figure}: {100 * share:.1f} of 100 intervals hold the truth; p up to 0.05 in {100 * small:.1f} of 100")
