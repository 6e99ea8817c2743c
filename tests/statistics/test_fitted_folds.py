"""Coverage over five folds with models that are really fitted: the truth is what the fitted models reach.

Ridge and logistic regression as the product fits them (training and validation patients together, validation patients
predicted out of inner folds), boosted stumps of our own, and networks' way (training patients only) with a ridge.

`python tests/statistics/test_fitted_folds.py 400` prints the rows of docs/statistics.md.
"""

import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass

os.environ.setdefault("OMP_NUM_THREADS", "1")  # small fits, many of them
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
import pytest
from scipy import stats

from xray_mining.statistics.auc import area_difference, area_estimate, areas_over_folds, auc, average_precision
from xray_mining.statistics.calibration import calibration_metrics
from xray_mining.statistics.classification import called_metrics
from xray_mining.statistics.comparison import difference_of_areas, difference_of_means
from xray_mining.statistics.errors import compare_errors, error_metrics
from xray_mining.statistics.estimate import Estimate

FOLDS, INNER, COLUMNS = 5, 5, 40
CROWD = 4_000
"""New patients by whom is told what a fitted model reaches, where no formula tells it."""
Fit = Callable[[np.ndarray, np.ndarray], Callable[[np.ndarray], np.ndarray]]


def ridge(columns: np.ndarray, target: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    mean = columns.mean(axis=0)
    centred = columns - mean
    weights = np.linalg.solve(centred.T @ centred + 50 * np.eye(columns.shape[1]), centred.T @ (target - target.mean()))
    return lambda x: (x - mean) @ weights + target.mean()


def logistic(columns: np.ndarray, target: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    design = np.column_stack([columns, np.ones(len(columns))])
    penalty = np.diag([20.0] * columns.shape[1] + [1e-9])
    weights = np.zeros(design.shape[1])
    for _ in range(5):
        chance = 1 / (1 + np.exp(-design @ weights))
        curvature = (design * (chance * (1 - chance))[:, None]).T @ design + penalty
        weights -= np.linalg.solve(curvature, design.T @ (chance - target) + penalty @ weights)
    return lambda x: 1 / (1 + np.exp(-(x @ weights[:-1] + weights[-1])))


def stumps(columns: np.ndarray, target: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """Thirty boosted stumps on eight thresholds a column, learning rate 0.15."""
    cuts = np.quantile(columns, np.linspace(0.1, 0.9, 8), axis=0)
    below = (columns[:, None, :] <= cuts).reshape(len(columns), -1).astype(np.float64)
    count = below.sum(axis=0)
    rest = target - target.mean()
    made: list[tuple[int, float, float]] = []
    for _ in range(30):
        left = rest @ below
        total = rest.sum()
        gain = left**2 / count + (total - left) ** 2 / (len(rest) - count)
        best = int(np.argmax(gain))
        low, high = left[best] / count[best], (total - left[best]) / (len(rest) - count[best])
        rest = rest - 0.15 * np.where(below[:, best] > 0, low, high)
        made.append((best, 0.15 * low, 0.15 * high))

    def predict(x: np.ndarray) -> np.ndarray:
        found = np.full(len(x), target.mean())
        for best, low, high in made:
            cut, column = divmod(best, columns.shape[1])
            found += np.where(x[:, column] <= cuts[cut, column], low, high)
        return found

    return predict


def trees(columns: np.ndarray, target: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """scikit-learn's boosting with the product's options, but for a fixed number of rounds and larger steps."""
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    options = {
        "learning_rate": 0.12,
        "max_iter": 16,
        "max_leaf_nodes": 8,
        "min_samples_leaf": min(20, max(2, len(target) // 20)),
        "l2_regularization": 1.0,
        "max_features": 0.5,
        "max_bins": 64,
        "early_stopping": False,
        "random_state": 0,
    }
    if np.isin(target, (0, 1)).all():
        machine = HistGradientBoostingClassifier(**options).fit(columns, target)
        return lambda x: machine.predict_proba(x)[:, 1]
    return HistGradientBoostingRegressor(**options).fit(columns, target).predict


@dataclass(frozen=True)
class Kind:
    """One kind of simulated study."""

    binary: bool
    worth: float
    """What the telling column is worth; 0: there is nothing to learn."""
    patients: int
    fit: Fit
    columns: int = COLUMNS
    apart: bool = False
    """Validation patients teach nothing, as with networks; else they are predicted out of inner folds."""
    again: bool = True
    """The rule is given the predictions by other folds' fits."""
    share: float = 0.5
    """Of the patients that are positive."""

    @property
    def words(self) -> str:
        name = {ridge: "ridge", logistic: "logistic", stumps: "boosted stumps", trees: "boosted trees"}[self.fit]
        more = ", validation apart" if self.apart else ""
        more += "" if self.again else ", not predicted again"
        more += f", {self.share:.0%} positive" if self.share != 0.5 else ""
        what = "two classes" if self.binary else "a number"
        return f"{name}, {what}, {'signal' if self.worth else 'nothing to learn'}, {self.patients} patients{more}"


def people(rng: np.random.Generator, kind: Kind, size: int) -> tuple[np.ndarray, tuple[np.ndarray, np.ndarray]]:
    """Target (n,), and the columns of two models, (n, columns) each, that know the same and have noise of their own."""
    inputs = (rng.normal(size=(size, kind.columns)), rng.normal(size=(size, kind.columns)))
    if kind.binary:
        target = rng.permutation((np.arange(size) < kind.share * size).astype(np.float64))
        for columns in inputs:
            columns[:, :2] += kind.worth * target[:, None]
        return target, inputs
    common = rng.normal(size=size)
    for columns in inputs:
        columns[:, 0] = common
    return kind.worth * common + rng.normal(size=size), inputs


@dataclass(frozen=True)
class Study:
    """Two models' predictions of everybody, by the fit that tests and by another one, and each fold's fits."""

    target: np.ndarray
    fold: np.ndarray
    values: np.ndarray
    again: np.ndarray
    fits: list[list[Callable[[np.ndarray], np.ndarray]]]


def study(rng: np.random.Generator, kind: Kind) -> Study:
    target, inputs = people(rng, kind, kind.patients)
    fold = rng.permutation(kind.patients) % FOLDS
    values, again = np.zeros((2, kind.patients)), np.full((2, kind.patients), np.nan)
    fits: list[list[Callable[[np.ndarray], np.ndarray]]] = [[], []]
    for model, columns in enumerate(inputs):
        for number in range(FOLDS):
            test, checked = fold == number, fold == (number + 1) % FOLDS
            known = np.flatnonzero(~test & ~(checked & kind.apart))
            made = kind.fit(columns[known], target[known])
            fits[model].append(made)
            values[model, test] = made(columns[test])
            if not kind.again:
                continue
            if kind.apart:
                again[model, checked] = made(columns[checked])
                continue
            part = rng.permutation(len(known)) % INNER
            for each in range(INNER):
                held = known[(part == each) & checked[known]]
                if len(held):
                    own = known[part != each]
                    again[model, held] = kind.fit(columns[own], target[own])(columns[held])
    return Study(target, fold, values, again, fits)


def simulate(kind: Kind, seed: int = 1, crowd_size: int = 0) -> Iterator[tuple[Study, dict[str, list[float]]]]:
    """One study after the other, with what both models reach on new patients, by figure."""
    rng = np.random.default_rng([kind.patients, int(kind.worth * 10), kind.binary, kind.columns, seed])
    crowd, views = people(
        np.random.default_rng(99), kind, crowd_size or CROWD * (5 if kind.fit in (ridge, logistic) else 1)
    )
    while True:
        made = study(rng, kind)
        reached = [[fit(view) for fit in fits] for fits, view in zip(made.fits, views, strict=True)]
        yield made, {name: [_reached(name, crowd, own) for own in reached] for name in REACHED[kind.binary]}


REACHED = {False: ("mae", "rmse"), True: ("auc", "average_precision", "brier", "sensitivity")}


def _reached(name: str, crowd: np.ndarray, own: list[np.ndarray]) -> float:
    """A figure of one model on new patients: the mean over folds of what its fits reach."""
    positive, level = crowd == 1, float((crowd == 1).mean())
    if name == "mae":
        return float(np.mean([np.abs(each - crowd).mean() for each in own]))
    if name == "rmse":  # over all patients together: the root of the mean over folds
        return float(np.sqrt(np.mean([((each - crowd) ** 2).mean() for each in own])))
    if name == "auc":
        return float(np.mean([_area(positive, each) for each in own]))
    if name == "brier":
        return float(np.mean([((np.clip(each, 0, 1) - positive) ** 2).mean() for each in own]))
    if name == "sensitivity":
        return float(np.mean([(each[positive] >= level).mean() for each in own]))
    hits = [positive[np.argsort(-each)] for each in own]
    return float(np.mean([(np.cumsum(each) / np.arange(1, len(each) + 1))[each].mean() for each in hits]))


def _area(positive: np.ndarray, scores: np.ndarray) -> float:
    ranks = stats.rankdata(scores)
    count = positive.sum()
    return float((ranks[positive].sum() - count * (count + 1) / 2) / (count * (len(scores) - count)))


def figures(made: Study, true: dict[str, list[float]], level: float) -> dict[str, tuple[Estimate, float]]:
    """Estimates of one study with their truths, by figure; differences under `difference in …`."""
    half = np.arange(len(made.target)) % 2 == 0
    return _classes(made, true, half, level) if "auc" in true else _numbers(made, true, half)


def _numbers(made: Study, true: dict[str, list[float]], half: np.ndarray) -> dict[str, tuple[Estimate, float]]:
    again = (made.again[0], made.again[1])
    found = error_metrics(made.target, made.values[0], folds=made.fold, again=again[0], draws=300)
    apart = compare_errors(made.target, *made.values, folds=made.fold, again=again, draws=300, permutations=999)
    gap = difference_of_means(np.abs(made.values[0] - made.target), half)
    rows = {name: (found[name], true[name][0]) for name in ("mae", "rmse")}
    rows |= {f"difference in {name}": (apart[name], true[name][0] - true[name][1]) for name in ("mae", "rmse")}
    return rows | {"subgroup: gap in mae": (gap, 0.0)}


def _classes(
    made: Study, true: dict[str, list[float]], half: np.ndarray, level: float
) -> dict[str, tuple[Estimate, float]]:
    both = areas_over_folds(made.target, made.values, folds=made.fold, again=made.again)
    gap = difference_of_areas(made.target, made.values[0], half, folds=made.fold)
    rows = {
        "auc": (area_estimate(both, 0), true["auc"][0]),
        "difference in auc": (area_difference(both, 0, 1), true["auc"][0] - true["auc"][1]),
        "subgroup: gap in auc": (gap, 0.0),
    }
    inside = made.target[half], made.values[0][half]
    part = auc(*inside, folds=made.fold[half], again=made.again[0][half], share=0.5)
    rows["subgroup: auc"] = (part, true["auc"][0])
    precise = average_precision(made.target, made.values[0], folds=made.fold, again=made.again[0])
    rows["average_precision"] = (precise, true["average_precision"][0])
    inside = [np.clip(each, 0, 1) for each in (made.values[0], made.again[0])]
    metrics = calibration_metrics(made.target, inside[0], folds=made.fold, again=inside[1], draws=300)
    rows["brier"] = (metrics["brier"], true["brier"][0])
    other = np.where(np.isfinite(made.again[0]), made.again[0] >= level, np.nan)
    called = called_metrics(made.target, made.values[0] >= level, folds=made.fold, again=other, draws=300)
    rows["sensitivity"] = (called["sensitivity"], true["sensitivity"][0])
    return rows


def shares(kind: Kind, studies: int, seed: int = 1, crowd_size: int = 0) -> dict[str, tuple[float, float]]:
    """By figure: share of studies whose interval holds the truth, and share of p values up to 0.05 (nan without p)."""
    cells: dict[str, list[tuple[bool, float]]] = {}
    made = simulate(kind, seed, crowd_size)
    for _ in range(studies):
        for name, (found, truth) in figures(*next(made), level=kind.share).items():
            cells.setdefault(name, []).append((bool(found.low <= truth <= found.high), found.p_value))
    return {
        name: (
            float(np.mean([held for held, _ in rows])),
            float(np.mean([p <= 0.05 for _, p in rows])) if np.isfinite(rows[0][1]) else np.nan,
        )
        for name, rows in cells.items()
    }


SHORT = (
    Kind(binary=True, worth=0.0, patients=100, fit=logistic),
    Kind(binary=True, worth=0.6, patients=100, fit=logistic),
    Kind(binary=False, worth=0.0, patients=100, fit=ridge),
    Kind(binary=False, worth=1.0, patients=100, fit=stumps, columns=10),
)


@pytest.mark.parametrize("kind", SHORT, ids=lambda kind: kind.words)
def test_intervals_of_fitted_models_cover(kind):
    studies = 40
    for name, (held, alarms) in shares(kind, studies, seed=3, crowd_size=2000).items():
        if name.startswith("subgroup"):
            continue  # 50 patients in five folds are too few for areas, whose rows carry a caution
        # Within 3.2 standard errors of counting; the soak demands more.
        assert held >= 0.93 - 3.2 * np.sqrt(0.93 * 0.07 / studies), (name, held)
        if kind.worth == 0 and np.isfinite(alarms):
            assert alarms <= 0.06 + 3.2 * np.sqrt(0.06 * 0.94 / studies), (name, alarms)


def test_the_rule_adds_between_nothing_and_as_much_again():
    made = study(np.random.default_rng(5), Kind(binary=True, worth=0.0, patients=200, fit=logistic))
    plain = areas_over_folds(made.target, made.values[0], folds=made.fold, again=made.values[0])
    assert plain.factor((0, 1.0)) == 1
    shared = areas_over_folds(made.target, made.values[0], folds=made.fold, again=made.again[0])
    assert 1.5 < shared.factor((0, 1.0)) <= 2
    constant = auc(made.target, made.values[0], folds=made.fold)
    assert "multiplied by a constant" in constant.caution and not area_estimate(shared, 0).caution.count("constant")
    alone = auc(made.target, made.values[0])
    assert alone == auc(made.target, made.values[0], again=made.again[0]) and "fold" not in alone.caution


def test_two_models_of_noise_do_not_differ_and_areas_of_noise_are_held():
    """The fault that the rule mends: without it about 83 of 100 intervals hold and 17 p values are small."""
    rng = np.random.default_rng(8)
    kind = Kind(binary=True, worth=0.0, patients=100, fit=logistic, apart=True, columns=20)
    held, small, plain = [], [], []
    for _ in range(150):
        made = study(rng, kind)
        both = areas_over_folds(made.target, made.values, folds=made.fold, again=made.again)
        found = area_estimate(both, 0)
        held.append(found.low <= 0.5 <= found.high)
        small.append(area_difference(both, 0, 1).p_value <= 0.05)
        alone = area_estimate(areas_over_folds(made.target, made.values, folds=made.fold, again=made.values), 0)
        plain.append(alone.low <= 0.5 <= alone.high)
    assert np.mean(held) >= 0.92 and np.mean(small) <= 0.1 and np.mean(plain) < np.mean(held)


def test_a_model_that_learns_nothing_keeps_its_interval():
    rng = np.random.default_rng(6)
    truth = rng.normal(50, 10, 200)
    fold = np.arange(200) % FOLDS
    given = truth + rng.normal(0, 5, 200)
    alone = error_metrics(truth, given, draws=200)
    folded = error_metrics(truth, given, folds=fold, again=given, draws=200)
    for name in ("mae", "rmse", "bias", "median_error", "within_5"):
        assert (alone[name].low, alone[name].high) == (folded[name].low, folded[name].high), name
    constant = error_metrics(truth, given, folds=fold, draws=200)
    width, wide = (each["bias"].high - each["bias"].low for each in (alone, constant))
    assert wide == pytest.approx(np.sqrt(1.5) * width)


def test_patients_of_folds_that_are_left_out_are_not_counted():
    rng = np.random.default_rng(7)
    fold = np.repeat(np.arange(5), 40)
    label = (np.arange(200) % 4 == 0) & (fold != 3)
    score = rng.normal(label, 1)
    for found in (auc(label, score, folds=fold), average_precision(label, score, folds=fold)):
        assert (found.patients, found.images) == (160, 160)
        assert "left out" in found.caution


ROWS = (
    *(
        Kind(binary=True, worth=worth, patients=patients, fit=logistic)
        for worth in (0.0, 0.6)
        for patients in (100, 200, 300, 1000)
    ),
    *(
        Kind(binary=False, worth=worth, patients=patients, fit=ridge)
        for worth in (0.0, 1.0)
        for patients in (100, 200, 300, 1000)
    ),
    *(
        Kind(binary=binary, worth=worth, patients=patients, fit=stumps, columns=10)
        for binary in (True, False)
        for worth in (0.0, 0.6)
        for patients in (100, 200, 300, 1000)
    ),
    Kind(binary=True, worth=0.6, patients=300, fit=trees, columns=10),
    Kind(binary=False, worth=0.6, patients=300, fit=trees, columns=10),
    Kind(binary=True, worth=0.0, patients=200, fit=logistic, apart=True),
    Kind(binary=True, worth=0.6, patients=200, fit=logistic, apart=True),
    Kind(binary=False, worth=0.0, patients=200, fit=ridge, apart=True),
    Kind(binary=True, worth=0.6, patients=300, fit=logistic, share=0.1),
    Kind(binary=True, worth=0.0, patients=200, fit=logistic, again=False),
    Kind(binary=False, worth=0.0, patients=200, fit=ridge, again=False),
)
OUTSIDE = ("average_precision", "subgroup: auc", "subgroup: gap in auc", "brier")
"""Figures that no rule here brings to 93 to 97 % everywhere: docs/statistics.md names them."""


@pytest.mark.soak
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("kind", ROWS[:16], ids=lambda kind: kind.words)
def test_intervals_of_fitted_models_cover_in_a_thousand_studies(kind):
    for name, (held, alarms) in shares(kind, 1000).items():
        assert name in OUTSIDE or held >= 0.91, (name, held)
        if kind.worth == 0 and np.isfinite(alarms) and name not in OUTSIDE:
            assert alarms <= 0.08, (name, alarms)


if __name__ == "__main__":
    total, wanted = int(sys.argv[1]), sys.argv[2:]
    print(
        "| fitted model | figure | held, of 100 intervals | p up to 0.05 | studies |\n|---|---|---|---|---|", flush=True
    )
    for kind in ROWS:
        if wanted and not any(each in kind.words for each in wanted):
            continue
        studies = total // 4 if kind.fit is trees else total
        for figure, (held, alarms) in shares(kind, studies).items():
            p = f"{100 * alarms:.1f} %" if np.isfinite(alarms) and (kind.worth == 0 or "gap" in figure) else ""
            print(f"| {kind.words} | {figure} | {100 * held:.1f} % | {p} | {studies} |", flush=True)
