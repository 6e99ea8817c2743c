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

from xray_mining.statistics.auc import area_difference, area_estimate, areas_over_folds, auc
from xray_mining.statistics.average_precision import average_precision
from xray_mining.statistics.calibration import calibration_metrics
from xray_mining.statistics.classification import called_metrics, compare_called
from xray_mining.statistics.comparison import difference_of_areas, difference_of_means
from xray_mining.statistics.errors import compare_errors, error_metrics
from xray_mining.statistics.estimate import Estimate

FOLDS, INNER, COLUMNS = 5, 5, 40
BLOCK = 50
"""Studies that are drawn with one seed, so that blocks may be counted apart."""
CROWD = 4_000
"""New patients by whom is told what a fitted model reaches, where no formula tells it."""
NODES, NODE_WEIGHTS = np.polynomial.hermite_e.hermegauss(60)
NODE_WEIGHTS /= NODE_WEIGHTS.sum()
Fit = Callable[[np.ndarray, np.ndarray], Callable[[np.ndarray], np.ndarray]]


@dataclass(frozen=True)
class Linear:
    """A fitted ridge, or a logistic regression, whose figures on endlessly many new patients are known."""

    weights: np.ndarray
    level: float
    logistic: bool

    def __call__(self, x: np.ndarray) -> np.ndarray:
        given = x @ self.weights + self.level
        return 1 / (1 + np.exp(-given)) if self.logistic else given

    def reached(self, kind: "Kind") -> dict[str, float]:
        """Every figure that is counted."""
        length = float(np.sqrt(self.weights @ self.weights))
        if not kind.binary:
            wrong = -self.weights.copy()
            wrong[0] += kind.worth
            sd = float(np.sqrt(1 + wrong @ wrong))
            off = stats.norm.pdf(self.level / sd) * 2 * sd + self.level * (1 - 2 * stats.norm.cdf(-self.level / sd))
            return {"mae": float(off), "rmse": sd**2 + self.level**2}
        # Log odds are normal in either class, `apart` standard deviations from each other.
        apart = kind.worth * float(self.weights[:2].sum()) / length
        cut = (np.log(kind.share / (1 - kind.share)) - self.level) / length
        chance = [1 / (1 + np.exp(-(self.level + length * (NODES + shift)))) for shift in (0.0, apart)]
        loss = kind.share * (1 - chance[1]) ** 2 + (1 - kind.share) * chance[0] ** 2
        steps = np.linspace(-8, 8, 1001)
        hits, alarms = (kind.share * stats.norm.sf(steps), (1 - kind.share) * stats.norm.sf(steps + apart))
        return {
            "auc": float(stats.norm.cdf(apart / np.sqrt(2))),
            "sensitivity": float(stats.norm.sf(cut - apart)),
            "specificity": float(stats.norm.cdf(cut)),
            "brier": float(loss @ NODE_WEIGHTS),
            "average_precision": float(np.trapezoid(hits / (hits + alarms) * stats.norm.pdf(steps), steps)),
        }


def ridge(columns: np.ndarray, target: np.ndarray) -> Linear:
    mean = columns.mean(axis=0)
    centred = columns - mean
    weights = np.linalg.solve(centred.T @ centred + 50 * np.eye(columns.shape[1]), centred.T @ (target - target.mean()))
    return Linear(weights, float(target.mean() - mean @ weights), logistic=False)


def logistic(columns: np.ndarray, target: np.ndarray) -> Linear:
    design = np.column_stack([columns, np.ones(len(columns))])
    penalty = np.diag([20.0] * columns.shape[1] + [1e-9])
    weights = np.zeros(design.shape[1])
    for _ in range(5):
        chance = 1 / (1 + np.exp(-design @ weights))
        curvature = (design * (chance * (1 - chance))[:, None]).T @ design + penalty
        weights -= np.linalg.solve(curvature, design.T @ (chance - target) + penalty @ weights)
    return Linear(weights[:-1], float(weights[-1]), logistic=True)


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
        "learning_rate": 0.2,
        "max_iter": 10,
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
        more += "" if self.binary else ", a number"
        return f"{name}, {'signal' if self.worth else 'nothing to learn'}, {self.patients} patients{more}"


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
    # One crowd for all studies: where it is not far larger than a study, its own chance lies beside every interval.
    crowd, views = people(np.random.default_rng(99), kind, crowd_size or max(CROWD, 40 * kind.patients))
    while True:
        made = study(rng, kind)
        each = [
            [fit.reached(kind) if isinstance(fit, Linear) else _reached(kind, crowd, fit(view)) for fit in fits]
            for fits, view in zip(made.fits, views, strict=True)
        ]
        means = [{name: float(np.mean([one[name] for one in own])) for name in own[0]} for own in each]
        # RMSE is over all patients together: the root of the mean over folds.
        yield (
            made,
            {name: [own[name] ** 0.5 if name == "rmse" else own[name] for own in means] for name in means[0]},
        )


def _reached(kind: Kind, crowd: np.ndarray, given: np.ndarray) -> dict[str, float]:
    """Every figure of one fit on a crowd of new patients; of RMSE its square."""
    if not kind.binary:
        return {"mae": float(np.abs(given - crowd).mean()), "rmse": float(((given - crowd) ** 2).mean())}
    positive = crowd == 1
    hits = positive[np.argsort(-given)]
    return {
        "auc": _area(positive, given),
        "sensitivity": float((given[positive] >= kind.share).mean()),
        "specificity": float((given[~positive] < kind.share).mean()),
        "brier": float(((np.clip(given, 0, 1) - positive) ** 2).mean()),
        "average_precision": float((np.cumsum(hits) / np.arange(1, len(hits) + 1))[hits].mean()),
    }


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
    calls = made.values >= level
    others = np.where(np.isfinite(made.again), made.again >= level, np.nan)
    called = called_metrics(made.target, calls[0], folds=made.fold, again=others[0], draws=300)
    apart = compare_called(made.target, *calls, folds=made.fold, again=(others[0], others[1]))
    for name in ("sensitivity", "specificity"):
        rows[name] = (called[name], true[name][0])
        rows[f"difference in {name}"] = (apart[name], true[name][0] - true[name][1])
    return rows


@dataclass(frozen=True)
class Counted:
    """One figure over many studies."""

    held: float
    """Share of the intervals that hold the truth; a study that gives no interval is not counted."""
    alarms: float
    """Share of p values up to 0.05; nan without p."""
    intervals: int


def shares(kind: Kind, studies: int, seed: int = 1, crowd_size: int = 0) -> dict[str, Counted]:
    """What is counted by figure."""
    cells: dict[str, list[tuple[Estimate, float]]] = {}
    for number in range(studies):
        if number % BLOCK == 0:
            made = simulate(kind, seed + number // BLOCK, crowd_size)
        for name, each in figures(*next(made), level=kind.share).items():
            cells.setdefault(name, []).append(each)
    return {name: counted(rows) for name, rows in cells.items()}


def counted(rows: list[tuple[Estimate, float]]) -> Counted:
    told = [(found, truth) for found, truth in rows if np.isfinite(found.low)]
    tested = [found.p_value for found, _ in rows if np.isfinite(found.p_value)]
    return Counted(
        float(np.mean([found.low <= truth <= found.high for found, truth in told])),
        float(np.mean(np.array(tested) <= 0.05)) if tested else np.nan,
        len(told),
    )


SHORT = (
    Kind(binary=True, worth=0.0, patients=100, fit=logistic),
    Kind(binary=True, worth=0.6, patients=100, fit=logistic),
    Kind(binary=False, worth=0.0, patients=100, fit=ridge),
    Kind(binary=False, worth=1.0, patients=100, fit=stumps, columns=10),
)


@pytest.mark.parametrize("kind", SHORT, ids=lambda kind: kind.words)
def test_intervals_of_fitted_models_cover(kind):
    studies = 40
    for name, each in shares(kind, studies, seed=3, crowd_size=2000).items():
        # Within 3.2 standard errors of counting; the soak demands more.
        assert each.held >= 0.93 - 3.2 * np.sqrt(0.93 * 0.07 / each.intervals), (name, each)
        if kind.worth == 0 and np.isfinite(each.alarms):
            assert each.alarms <= 0.06 + 3.2 * np.sqrt(0.06 * 0.94 / studies), (name, each)


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


COLUMNS_OF = {
    True: {
        "auc": "AUC",
        "difference in auc": "difference in AUC; p",
        "average_precision": "average precision",
        "brier": "Brier score",
        "sensitivity": "sensitivity",
        "difference in sensitivity": "difference in sensitivity; p",
        "specificity": "specificity",
        "difference in specificity": "difference in specificity; p",
        "subgroup: auc": "AUC of half of the patients",
        "subgroup: gap in auc": "AUC of half minus that of the rest; p",
    },
    False: {
        "mae": "MAE",
        "difference in mae": "difference in MAE; p",
        "rmse": "RMSE",
        "difference in rmse": "difference in RMSE; p",
        "subgroup: gap in mae": "MAE of half minus that of the rest; p",
    },
}
"""Columns of the tables in docs/statistics.md, by whether the target has two classes."""


def head(binary: bool) -> str:
    names = ["fitted model", "studies", *COLUMNS_OF[binary].values()]
    return f"| {' | '.join(names)} |\n|{'---|' * len(names)}"


def line(kind: Kind, found: dict[str, Counted], studies: int) -> str:
    """One row: of 100 intervals how many held; of 100 p how many were up to 0.05, where there was no difference."""
    cells = [kind.words, str(studies)]
    for name in COLUMNS_OF[kind.binary]:
        each = found[name]
        cell = f"{100 * each.held:.1f}"
        if each.intervals < studies:
            cell += f" (of {each.intervals})"
        if np.isfinite(each.alarms) and (kind.worth == 0 or "gap" in name):
            cell += f"; {100 * each.alarms:.1f}"
        cells.append(cell)
    return f"| {' | '.join(cells)} |"


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
        Kind(binary=binary, worth=worth, patients=patients, fit=fit, columns=10)
        for fit in (stumps, trees)
        for binary in (True, False)
        for worth in (0.0, 0.6)
        for patients in (100, 200, 300, 1000)
    ),
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
    for name, each in shares(kind, 1000).items():
        assert name in OUTSIDE or each.held >= 0.91, (name, each)
        if kind.worth == 0 and np.isfinite(each.alarms) and name not in OUTSIDE:
            assert each.alarms <= 0.08, (name, each)


if __name__ == "__main__":
    total, wanted = int(sys.argv[1]), sys.argv[2:]
    for binary in (True, False):
        print(head(binary), flush=True)
        for kind in ROWS:
            if kind.binary is binary and (not wanted or any(each in kind.words for each in wanted)):
                studies = total // 2 if kind.fit in (trees, stumps) else total
                print(line(kind, shares(kind, studies), studies), flush=True)
