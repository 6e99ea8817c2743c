"""The constant that a null predicts is the best one in the metric of its kind of target."""

import numpy as np
import pytest

from xray_mining.models.targets import TARGETS
from xray_mining.records.cohort import Target

RNG = np.random.default_rng(0)
SKEWED = np.where(RNG.random(300) < 0.6, 0, RNG.integers(2, 5, 300)).astype(float)
FOUND = (RNG.random((300, 2)) < (0.3, 0.8)).astype(float)
FOUND[RNG.random(FOUND.shape) < 0.2] = np.nan
LEVELS = ("2", "3", "4", "5", "9")
KINDS = (
    (Target("t", "number"), RNG.gamma(2, 10, 300), RNG.gamma(2, 10, 40)),
    (Target("t", "binary", positive="b", classes=("a", "b")), SKEWED > 1, RNG.dirichlet((1, 1), 40)),
    (Target("t", "group", classes=tuple("abcde")), SKEWED, RNG.dirichlet(np.ones(5), 40)),
    (Target("t", "ordinal", classes=LEVELS), SKEWED, RNG.dirichlet(np.full(5, 0.3), 40)),
    (Target("t", "labels", classes=("a", "b")), FOUND, RNG.random((40, 2))),
)


def loss(target: Target, said: np.ndarray, truths: np.ndarray, weights: np.ndarray) -> float:
    """The weighted mean error of one constant; of levels, that of the expected level."""
    kind = TARGETS.find(target.kind)
    values = np.repeat(np.asarray(said, dtype=float)[None], len(truths), axis=0)
    known = np.ones(truths.shape)
    if target.kind == "ordinal":
        errors = np.abs(values @ target.numbers - np.array(target.numbers)[truths.astype(int)])
    elif target.kind == "labels":  # each label has its own mean, over the images whose truth is known
        known = np.isfinite(truths)
        right = np.where(truths == 1, values, 1 - values)
        errors = np.where(known, -np.log(right), 0)
        return float(((errors * weights[:, None]).sum(0) / (known * weights[:, None]).sum(0)).sum())
    else:
        errors = kind.errors(values, truths)
    return float(np.average(errors, weights=weights))


@pytest.mark.parametrize(("target", "truths", "others"), KINDS, ids=lambda each: getattr(each, "kind", ""))
def test_no_other_constant_has_a_smaller_loss(target, truths, others):
    truths, weights = np.asarray(truths, dtype=float), np.random.default_rng(1).uniform(0.5, 2, len(truths))
    best = TARGETS.find(target.kind).centre(truths, weights, target)
    least = loss(target, best, truths, weights)
    near = [0.99 * best + 0.01 * other for other in others]
    assert all(loss(target, other, truths, weights) >= least - 1e-12 for other in (*others, *near))


@pytest.mark.parametrize("truths", [[0, 0, 1], [0, 1, 1], [3, 3], [0, 4], [1, 2, 4, 4]])
def test_shares_of_levels_sum_to_one(truths):
    target = Target("t", "ordinal", classes=LEVELS)
    found = TARGETS.find("ordinal").centre(np.array(truths, dtype=float), np.ones(len(truths)), target)
    assert found.sum() == 1 and found @ np.arange(5) == np.median(truths)


def test_two_levels_share_the_probability_where_the_median_lies_between_them():
    target = Target("t", "ordinal", classes=LEVELS)
    found = TARGETS.find("ordinal").centre(np.array([0.0, 1.0]), np.ones(2), target)
    assert found.tolist() == [0.5, 0.5, 0, 0, 0]
