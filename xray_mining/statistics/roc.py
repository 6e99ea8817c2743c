"""ROC curves with a pointwise band that keeps a patient's images together."""

import numpy as np
from numpy.typing import ArrayLike

from xray_mining.statistics.auc import areas_over_folds
from xray_mining.statistics.estimate import Booleans, Floats, Integers, binary, finite, owners


def roc_curve(
    labels: ArrayLike,
    scores: ArrayLike,
    patients: ArrayLike | None = None,
    folds: ArrayLike | None = None,
    *,
    confidence: float = 0.95,
    points: int = 101,
    draws: int = 500,
    seed: int = 0,
    again: ArrayLike | None = None,
) -> Floats:
    """ROC curve at fixed false positive rates: the mean over folds of each fold's empirical curve.

    Args:
        labels: (n,) of 0 and 1.
        scores: (n,) finite, higher means more positive.
        patients: (n,) any labels; without it every unit is a patient.
        folds: (n,) the fold that tested the unit.
        confidence: Pointwise coverage of the band, in (0, 1).
        points: Number of false positive rates.
        draws: Draws of the bootstrap.
        seed: Its seed.
        again: (n,) scores by another fold's fit, nan if missing. Over folds the band is widened as the interval of the
            area is (see `refit`).

    Returns:
        (points, 4) float64 in [0, 1]: false positive rate, sensitivity, low, high. The band comes from a bootstrap of
        patients in at most 1,000 random groups, on the ranks of the scores in at most 400 steps.

    Raises:
        ValueError: If no fold has both classes.

    Example:
        >>> roc_curve([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8], points=3)[:, :2].tolist()
        [[0.0, 0.5], [0.5, 1.0], [1.0, 1.0]]
    """
    positive = binary(labels)
    values = finite("scores", scores, positive.shape)
    owner = owners(patients, len(positive))
    fold = np.zeros(len(positive), dtype=np.int64) if folds is None else np.asarray(folds)
    grid = np.linspace(0, 1, points)
    rng = np.random.default_rng([seed, 17])
    curves, drawn = [], []
    for each in np.unique(fold):
        inside = fold == each
        if not positive[inside].any() or positive[inside].all():
            continue
        one, many = _curve(
            positive[inside], values[inside], owners(owner[inside], int(inside.sum())), grid, draws=draws, rng=rng
        )
        curves.append(one)
        drawn.append(many)
    if not curves:
        raise ValueError("a curve needs both classes")
    mean = np.mean(curves, axis=0)
    tail = (1 - confidence) / 2 * 100
    low, high = np.nanpercentile(np.mean(drawn, axis=0), (tail, 100 - tail), axis=0)
    if len(curves) > 1:
        wider = np.sqrt(areas_over_folds(positive, values, owner, fold, again).factor((0, 1.0)))
        low, high = mean - (mean - low) * wider, mean + (high - mean) * wider
    return np.clip(np.stack([grid, mean, np.minimum(low, mean), np.maximum(high, mean)], axis=1), 0, 1)


def _curve(
    positive: Booleans, values: Floats, owner: Integers, grid: Floats, *, draws: int, rng: np.random.Generator
) -> tuple[Floats, Floats]:
    """One fold's curve (points,) and its bootstrap draws (draws, points).

    Scores become at most 400 steps and patients at most 1,000 groups, so that a draw is one matrix product instead of a
    sort of all images.
    """
    steps = np.unique(np.quantile(-values, np.linspace(0, 1, 401), method="lower"))
    step = np.searchsorted(steps, -values, side="left")
    patients = int(owner.max()) + 1
    groups = min(patients, 1000)
    group = (rng.permutation(patients) % groups)[owner]
    cells = len(steps) + 1
    flat = group * cells + step
    counts = {
        sign: np.bincount(flat[positive == sign], minlength=groups * cells).reshape(groups, cells).astype(np.float64)
        for sign in (True, False)
    }
    weights = np.concatenate([np.ones((1, groups)), rng.multinomial(groups, np.full(groups, 1 / groups), draws)])
    rates = {sign: np.cumsum(weights @ counts[sign], axis=1) for sign in counts}
    curves = np.full((len(weights), len(grid)), np.nan)
    for row, (hits, alarms) in enumerate(zip(rates[True], rates[False], strict=True)):
        if hits[-1] and alarms[-1]:
            x = np.concatenate(([0], alarms / alarms[-1]))
            y = np.concatenate(([0], hits / hits[-1]))
            # At one false positive rate the curve may rise vertically: only the upper end is kept, also at rate 0, so
            # that interpolation finds one sensitivity a rate.
            keep = np.concatenate((x[1:] != x[:-1], [True]))
            curves[row] = np.interp(grid, x[keep], y[keep])
    return curves[0], curves[1:]
