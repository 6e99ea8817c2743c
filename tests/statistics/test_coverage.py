"""Coverage by simulation: 95 % intervals hold the truth in 94 to 96 of 100 draws, and null p values are uniform.

`python tests/statistics/test_coverage.py 10000` prints the table of docs/statistics.md.
"""

import sys
from collections.abc import Callable, Iterator
from functools import cache

import numpy as np
import pytest
from scipy import stats

from xray_mining.statistics.auc import area_difference, area_estimate, areas_over_folds
from xray_mining.statistics.average_precision import average_precision
from xray_mining.statistics.calibration import calibration_metrics
from xray_mining.statistics.classification import PROPORTIONS, called_metrics
from xray_mining.statistics.comparison import difference_of_means, mcnemar
from xray_mining.statistics.errors import compare_errors, error_metrics

draws_of = {"bootstrap": 400}
"""Few for the reduced version; the long ones set what evaluate takes."""
ERRORS = (
    "mae", "rmse", "bias", "median_error", "r2", "rmae", "pearson", "spearman", "ccc", "calibration_slope",
    "within_5", "within_10", "limit_low", "limit_high",
)  # fmt: skip


def people(
    rng: np.random.Generator, patients: int, images: int | np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Truth, prediction and patient: half of the error's variance is the patient's own if there are several images."""
    owner = np.repeat(np.arange(patients), images)
    truth = np.repeat(rng.uniform(20, 80, patients), images)
    share = 0.5 if np.max(images) > 1 else 0.0
    own = np.repeat(rng.normal(0, 1, patients), images)
    error = 6 * (np.sqrt(share) * own + np.sqrt(1 - share) * rng.normal(0, 1, len(owner)))
    return truth, 50 + 0.8 * (truth - 50) + error + 1, owner


@cache
def sure_errors() -> dict[str, float]:
    """What the metrics of `people` are in two million of them: the same however many images a patient has."""
    truth, given, _ = people(np.random.default_rng(99), 2_000_000, 1)
    sure = error_metrics(truth, given, None, np.full(len(truth), 50.0), draws=100)
    return {name: sure[name].value for name in ERRORS}


UNEQUAL = (66, 61, 47, 41, 26, 20, 17, 14, 12, *[9] * 20, *[5] * 46, *[2] * 35, *[1] * 100)
"""How many images each of 210 patients has, much as in a real archive: they tell as much as 42 patients alike."""


def errors_of_unequal() -> Iterator[dict[str, tuple[float, float, float]]]:
    rng = np.random.default_rng(7)
    sure = sure_errors()
    while True:
        # Who has how many is drawn too, as whole patients are.
        images = rng.choice(UNEQUAL, len(UNEQUAL))
        truth, given, owner = people(rng, len(images), images)
        found = error_metrics(truth, given, owner, np.full(len(truth), 50.0), draws=draws_of["bootstrap"])
        yield {name: (found[name].low, found[name].high, sure[name]) for name in ("mae", "rmse", "bias", "r2")}


def errors(patients: int, images: int) -> Iterator[dict[str, tuple[float, float, float]]]:
    rng = np.random.default_rng([patients, images, 1])
    sure = sure_errors()
    while True:
        truth, given, owner = people(rng, patients, images)
        found = error_metrics(truth, given, owner, np.full(len(truth), 50.0), draws=draws_of["bootstrap"])
        yield {name: (found[name].low, found[name].high, sure[name]) for name in ERRORS}


def scores(
    rng: np.random.Generator, positives: int, negatives: int, area: float, images: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels, scores and patients; several images of a patient share half of the variance."""
    apart = stats.norm.ppf(area) * np.sqrt(2)
    label = np.repeat(np.arange(positives + negatives) < positives, images)
    owner = np.repeat(np.arange(positives + negatives), images)
    share = 0.5 if images > 1 else 0.0
    own = np.repeat(rng.normal(0, 1, positives + negatives), images)
    noise = np.sqrt(share) * own + np.sqrt(1 - share) * rng.normal(0, 1, len(owner))
    return label.astype(int), label * apart + noise, owner


def areas(positives: int, negatives: int, area: float, images: int) -> Iterator[dict[str, tuple[float, float, float]]]:
    rng = np.random.default_rng([positives, negatives, int(area * 1000), images])
    while True:
        label, score, owner = scores(rng, positives, negatives, area, images)
        found = area_estimate(areas_over_folds(label, score, owner), 0)
        yield {"auc": (found.low, found.high, area)}


def draw(rng: np.random.Generator, patients: int, images: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    owner = np.repeat(np.arange(patients), images)
    own = np.repeat(rng.normal(0, 1, patients), images) * (0.7 if images > 1 else 0)
    logit = own + rng.normal(0, 1.4 if images == 1 else np.sqrt(1.4**2 - 0.49), len(owner))
    label = rng.random(len(owner)) < 1 / (1 + np.exp(-logit))
    return label.astype(int), 1 / (1 + np.exp(-(0.3 + 1.2 * logit))), owner


def figures(label: np.ndarray, chance: np.ndarray, owner: np.ndarray | None, draws: int) -> dict:
    found = calibration_metrics(label, chance, owner, draws=draws)
    found |= called_metrics(label, chance >= 0.5, owner, draws=draws)
    found["average_precision"] = average_precision(label, chance, owner)
    del found["ece"]  # it has no interval
    return found


@cache
def sure_figures() -> dict[str, float]:
    label, chance, _ = draw(np.random.default_rng(98), 2_000_000, 1)
    return {name: each.value for name, each in figures(label, chance, None, 100).items()}


def probabilities(patients: int, images: int) -> Iterator[dict[str, tuple[float, float, float]]]:
    rng = np.random.default_rng([patients, images, 2])
    sure = sure_figures()
    while True:
        found = figures(*draw(rng, patients, images), draws_of["bootstrap"])
        yield {name: (each.low, each.high, sure[name]) for name, each in found.items()}


def paired(patients: int, images: int) -> Iterator[dict[str, tuple[float, float, float]]]:
    """Two models with equal errors in the population: intervals of differences hold 0."""
    rng = np.random.default_rng([patients, images, 3])
    while True:
        truth, given, owner = people(rng, patients, images)
        other = 50 + 0.8 * (truth - 50) + 1 + rng.normal(0, 6, len(truth))
        found = compare_errors(truth, given, other, owner, draws=draws_of["bootstrap"], permutations=99)
        label = (truth + rng.normal(0, 25, len(truth)) > 50).astype(int)
        two = areas_over_folds(label, np.stack([given, other]), owner)
        difference = area_difference(two, 0, 1)
        rows = {f"difference in {name}": (found[name].low, found[name].high, 0.0) for name in ("mae", "rmse")}
        if images == 1:
            rows["difference in auc"] = (difference.low, difference.high, 0.0)
        yield rows


CELLS: dict[str, Callable[[], Iterator[dict[str, tuple[float, float, float]]]]] = {
    "100 patients": lambda: errors(100, 1),
    "100 patients, 3 images each": lambda: errors(100, 3),
    "50 + 50 patients, area 0.80": lambda: areas(50, 50, 0.8, 1),
    "50 + 50 patients, area 0.95": lambda: areas(50, 50, 0.95, 1),
    "50 + 50 patients, area 0.97": lambda: areas(50, 50, 0.97, 1),
    "60 + 60 patients, 3 images each, area 0.90": lambda: areas(60, 60, 0.9, 3),
    "200 patients, probabilities": lambda: probabilities(200, 1),
    "200 patients, 3 images each, probabilities": lambda: probabilities(200, 3),
    "100 patients, paired": lambda: paired(100, 1),
    "100 patients, 3 images each, paired": lambda: paired(100, 3),
}
FLAGGED: dict[str, Callable[[], Iterator[dict[str, tuple[float, float, float]]]]] = {
    "20 + 500 patients, area 0.95": lambda: areas(20, 500, 0.95, 1),
    "100 + 100 patients, area 0.99": lambda: areas(100, 100, 0.99, 1),
    "210 patients, from 1 to 66 images": errors_of_unequal,
}


def coverage(cell: Iterator[dict[str, tuple[float, float, float]]], draws: int) -> dict[str, float]:
    held: dict[str, list[bool]] = {}
    for _ in range(draws):
        for name, (low, high, truth) in next(cell).items():
            held.setdefault(name, []).append(low <= truth <= high)
    return {name: float(np.mean(each)) for name, each in held.items()}


@pytest.mark.parametrize("name", CELLS)
def test_intervals_cover(name):
    draws = 150
    wide = 3.7 * np.sqrt(0.95 * 0.05 / draws)
    for metric, held in coverage(CELLS[name](), draws).items():
        assert 0.95 - wide <= held <= 0.95 + wide, f"{metric}: {held}"


@pytest.mark.soak
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("name", CELLS)
def test_intervals_cover_in_ten_thousand_draws(name):
    draws_of["bootstrap"] = 2000
    for metric, held in coverage(CELLS[name](), 10_000).items():
        # The score interval of a proportion holds at few patients, and is a little wide elsewhere.
        most = 0.98 if metric in PROPORTIONS or metric.startswith("within_") else 0.96
        assert 0.94 <= held <= most, f"{metric}: {held}"


def null_p(rng: np.random.Generator, images: int) -> dict[str, float]:
    truth, given, owner = people(rng, 80, images)
    # Two models whose errors are exchangeable: the same shared part, own noise of equal size.
    first, second = (given + rng.normal(0, 5, len(truth)) for _ in range(2))
    label = (truth + rng.normal(0, 25, len(truth)) > 50).astype(int)
    p = {
        "permutation, mae": compare_errors(truth, first, second, owner, draws=100, permutations=999)["mae"].p_value,
        "DeLong or Obuchowski": area_difference(
            areas_over_folds(label, np.stack([first, second]), owner), 0, 1
        ).p_value,
        "difference of means": difference_of_means(np.abs(first - truth), owner % 2 == 0, owner).p_value,
    }
    if images > 1:
        p["clustered McNemar"] = mcnemar(np.abs(first - truth) < 6, np.abs(second - truth) < 6, owner)
    return p


def nulls(images: int, draws: int) -> tuple[dict[str, float], dict[str, float]]:
    """Share of null p values up to 0.05, and p of the Kolmogorov-Smirnov test that they are uniform, by test."""
    rng = np.random.default_rng([images, 4])
    seen: dict[str, list[float]] = {}
    for _ in range(draws):
        for name, p in null_p(rng, images).items():
            seen.setdefault(name, []).append(p)
    return {name: float((np.array(p) <= 0.05).mean()) for name, p in seen.items()}, {
        name: float(stats.kstest(p, "uniform").pvalue) for name, p in seen.items()
    }


@pytest.mark.parametrize("images", [1, 3])
def test_null_comparisons_give_uniform_p_values(images):
    rejected, uniform = nulls(images, 200)
    assert all(share <= 0.05 + 3.7 * np.sqrt(0.05 * 0.95 / 200) for share in rejected.values()), rejected
    assert all(p > 1e-3 for p in uniform.values()), uniform


@pytest.mark.soak
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("images", [1, 3])
def test_null_comparisons_reject_five_in_a_hundred(images):
    rejected, _ = nulls(images, 10_000)
    assert all(0.04 <= share <= 0.06 for share in rejected.values()), rejected


if __name__ == "__main__":
    total = int(sys.argv[1])
    draws_of["bootstrap"] = 1000
    print("| units | metric | coverage of 95 % intervals |\n|---|---|---|", flush=True)
    for title, make in (CELLS | FLAGGED).items():
        for metric, held in coverage(make(), total).items():
            print(f"| {title} | {metric} | {100 * held:.1f} % |", flush=True)
    print("\n| images a patient | test | null p values up to 0.05 |\n|---|---|---|", flush=True)
    for images in (1, 3):
        for test, share in nulls(images, total)[0].items():
            print(f"| {images} | {test} | {100 * share:.1f} % |", flush=True)
