"""Estimators of models/estimators.py against scikit-learn's: differences in values and times, in one run.

`python tests/benchmarks/bench_estimators.py`. Comments there cite these lines.
"""

import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.stats import spearmanr
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_wine
from sklearn.decomposition import PCA
from sklearn.feature_selection import SelectKBest, f_regression
from sklearn.impute import SimpleImputer
from sklearn.linear_model import Ridge
from sklearn.metrics import log_loss
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import KBinsDiscretizer, StandardScaler
from sklearn.svm import SVC
from threadpoolctl import threadpool_limits

from xray_mining.models.answers import Classes, Levels
from xray_mining.models.baselines import Table, ridge_path
from xray_mining.models.chain import Chain
from xray_mining.models.estimators import Components, Informative, ScaledLogistic, Standardised, Steps, squared_length

TABLES = ((200, 100), (800, 300), (400, 3000))
"""Rows and columns."""
SVM_ROWS, SVM_DRAWS = 400, 10
LEVEL_DRAWS = 10
PENALTIES = np.logspace(-3, 4, 29)


def compared(what: str, ours: Callable[[], Any], theirs: Callable[[], Any]) -> None:
    """One line: the largest difference, and the best of three times of each."""
    values, seconds = [], []
    for work in (ours, theirs):
        best = np.inf
        for _ in range(3):
            start = time.perf_counter()
            value = work()
            best = min(best, time.perf_counter() - start)
        values.append(np.asarray(value))
        seconds.append(1e3 * best)
    difference = np.abs(values[0] - values[1]).max() / np.abs(values[1]).max()
    print(f"  {what:<32} difference {difference:.0e}, {seconds[0]:8.1f} ms, scikit-learn's {seconds[1]:8.1f} ms")


def table(rows: int, columns: int) -> None:
    """Steps of the pipelines, on a made-up table."""
    print(f"{rows} rows, {columns} columns")
    rng = np.random.default_rng(0)
    matrix = rng.normal(size=(rows, columns)) * rng.gamma(1, 3, columns)
    holes = np.where(rng.random(matrix.shape) < 0.02, np.nan, matrix)
    truths, equal = matrix[:, :5].sum(1) + rng.normal(size=rows), np.ones(rows)
    filled = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
    compared(
        "Standardised",
        lambda: Standardised().fit(holes).transform(holes),
        lambda: np.clip(filled.fit(holes).transform(holes), -10, 10),
    )
    compared(
        "Components(20), signs aside",
        lambda: np.abs(Components(20).fit(matrix).transform(matrix)),
        lambda: np.abs(PCA(20, svd_solver="full").fit(matrix).transform(matrix)),
    )
    compared(
        "Informative(50)",
        lambda: Informative(50).fit(matrix, truths).transform(matrix),
        lambda: SelectKBest(f_regression, k=50).fit(matrix, truths).transform(matrix),
    )
    compared(
        "Steps, in shares of 63 steps",
        lambda: Steps().fit(matrix).transform(matrix),
        lambda: KBinsDiscretizer(64, encode="ordinal", strategy="quantile").fit(matrix).transform(matrix),
    )
    compared(
        f"ridge_path, {len(PENALTIES)} penalties",
        lambda: ridge_path(matrix, truths, equal, matrix, PENALTIES),
        lambda: np.stack(
            [Ridge(each * squared_length(matrix)).fit(matrix, truths).predict(matrix) for each in PENALTIES], 1
        ),
    )


def support_vectors() -> None:
    """Probabilities of support vectors, on noisy tables whose classes overlap."""
    for name, load in (("breast cancer", load_breast_cancer), ("wine", load_wine), ("digits", load_digits)):
        clean, labels = load(return_X_y=True)
        losses, apart, seconds = np.zeros((SVM_DRAWS, 2)), 0.0, np.zeros(2)
        for seed in range(SVM_DRAWS):
            rng = np.random.default_rng(seed)
            order = rng.permutation(len(labels))
            seen, unseen = np.split(order, [min(SVM_ROWS, len(labels) // 2)])
            noisy = clean + rng.normal(0, 2 * clean.std(0) + 1e-9, clean.shape)
            scale = Standardised().fit(noisy[seen])
            known, new = scale.transform(noisy[seen]), scale.transform(noisy[unseen])
            patients, equal = np.arange(len(seen)), np.ones(len(seen))
            lesson = Table(known, labels[seen].astype(float), patients, equal, Classes(len(np.unique(labels))))
            start = time.perf_counter()
            learned = lesson.learn("support_vectors")
            ours = learned.values(new)
            seconds[0] += time.perf_counter() - start
            start = time.perf_counter()
            machine = SVC(C=learned.chosen["cost"], gamma=learned.chosen["spread"] / squared_length(known))
            theirs = CalibratedClassifierCV(machine, cv=lesson.folds(), ensemble=False).fit(known, lesson.truths)
            given = theirs.predict_proba(new)
            # Out-of-fold probabilities for every point of the grid would take a calibrated fit a fold and point.
            seconds[1] += (time.perf_counter() - start) * len(lesson.folds()) * 10
            apart = max(apart, float(np.abs(ours - given).max()))
            losses[seed] = [log_loss(labels[unseen], each, labels=np.unique(labels)) for each in (ours, given)]
        mean, worse = losses.mean(axis=0), int((losses[:, 1] > losses[:, 0]).sum())
        print(
            f"{name}, {len(np.unique(labels))} classes: log loss {mean[0]:.4f}, CalibratedClassifierCV's {mean[1]:.4f} "
            f"(higher in {worse} of {SVM_DRAWS}); probabilities differ by {apart:.2f} at most; "
            f"{seconds[0]:.0f} s, by CalibratedClassifierCV about {seconds[1]:.0f} s"
        )


class ChainedLevels(Levels):
    """Levels with a classifier for each step, as CORN has."""

    def logistic(self, point: dict[str, float]) -> Chain:
        """The chain of the classifiers."""
        return Chain(ScaledLogistic(**point), self.count)


def levels() -> None:
    """Ordered levels of few rows: one set of weights for all levels against a classifier for each step."""
    matrix, number = load_diabetes(return_X_y=True)
    for count, rows in ((4, 60), (19, 60), (19, 300)):
        truths = np.digitize(number, np.quantile(number, np.arange(1, count) / count)).astype(float)
        ranks, losses, seconds = np.zeros((LEVEL_DRAWS, 2)), np.zeros((LEVEL_DRAWS, 2)), np.zeros(2)
        for seed in range(LEVEL_DRAWS):
            rng = np.random.default_rng(seed)
            order = rng.permutation(len(truths))
            seen, unseen = order[:rows], order[rows:]
            # Columns of noise beside the ten that say something, as in a set of features.
            noisy = np.hstack([matrix / matrix.std(0), rng.normal(size=(len(matrix), 190))])
            for which, kind in enumerate((Levels(count), ChainedLevels(count))):
                start = time.perf_counter()
                learned = Table(noisy[seen], truths[seen], np.arange(rows), np.ones(rows), kind).learn("logistic")
                expected = learned.values(noisy[unseen]) @ np.arange(count)
                seconds[which] += time.perf_counter() - start
                ranks[seed, which] = np.nan_to_num(spearmanr(expected, truths[unseen])[0])
                losses[seed, which] = np.abs(expected - truths[unseen]).mean()
        (rank, chained), (error, error_chained) = ranks.mean(axis=0), losses.mean(axis=0)
        print(
            f"diabetes, {count} levels, {rows} rows: rank correlation {rank:.2f}, of a chain {chained:.2f}; mean error "
            f"{error:.2f} and {error_chained:.2f} levels (chain's lower in {(losses[:, 1] < losses[:, 0]).sum()} of "
            f"{LEVEL_DRAWS}); {seconds[0] / LEVEL_DRAWS:.1f} s, chain {seconds[1] / LEVEL_DRAWS:.1f} s"
        )


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    with threadpool_limits(1):
        for rows, columns in TABLES:
            table(rows, columns)
        levels()
        support_vectors()
