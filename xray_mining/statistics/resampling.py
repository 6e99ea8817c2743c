"""Resampling of patients: a patient's images stay together, and many draws are one matrix product.

Every statistic here is a function of sums over units. A draw therefore needs the sums per patient and how often each
patient was drawn, not the units. More patients than `groups_at_most` are divided at random into that many groups, which
are drawn instead: group sums are independent and identically distributed, so the variance is the same, with a relative
error of 1/sqrt(2 groups).
"""

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import ArrayLike
from scipy import special, stats

from xray_mining.statistics.estimate import Floats, Integers, owners

GROUPS_AT_MOST = 5_000
Statistic = Callable[[Floats], Floats]
"""Sums (..., k) → statistics (..., m); nan if not defined."""


def patient_sums(values: ArrayLike, patients: ArrayLike | None = None) -> Floats:
    """Sums of `values` (n, k) over the units of each patient, (P, k).

    Example:
        >>> patient_sums([[1.0, 10.0], [2.0, 20.0], [3.0, 30.0]], ["a", "b", "a"]).tolist()
        [[4.0, 40.0], [2.0, 20.0]]
    """
    array = np.asarray(values, dtype=np.float64)
    owner = owners(patients, len(array))
    if patients is None:
        return array
    return np.stack([np.bincount(owner, column) for column in array.T], axis=1).astype(np.float64)


def grouped(sums: Floats, groups_at_most: int | None, rng: np.random.Generator) -> Floats:
    """Sums (groups, k) of patients divided at random into at most `groups_at_most` groups of about equal size."""
    if groups_at_most is None or len(sums) <= groups_at_most:
        return sums
    group = rng.permutation(len(sums)) % groups_at_most
    return np.stack([np.bincount(group, column, groups_at_most) for column in sums.T], axis=1).astype(np.float64)


def draw_counts(rng: np.random.Generator, draws: int, members: int) -> Iterator[Floats]:
    """How often each of `members` is drawn in each of `draws` draws: blocks (draws in block, members)."""
    block = max(1, min(draws, 4_000_000 // members))
    for start in range(0, draws, block):
        rows = min(block, draws - start)
        drawn = rng.integers(members, size=(rows, members), dtype=np.int64)
        drawn += np.arange(rows, dtype=drawn.dtype)[:, None] * members
        yield np.bincount(drawn.ravel(), minlength=rows * members).reshape(rows, members).astype(np.float64)


def bootstrap(
    sums: Floats, statistic: Statistic, draws: int, seed: int, groups_at_most: int | None = GROUPS_AT_MOST
) -> tuple[Floats, Floats]:
    """Statistics of the drawn samples, (draws, m), and of the samples without one patient (or group), (P, m)."""
    rng = np.random.default_rng([seed, len(sums)])
    members = grouped(sums, groups_at_most, rng)
    with np.errstate(all="ignore"):
        drawn = np.concatenate([statistic(counts @ members) for counts in draw_counts(rng, draws, len(members))])
        left_out = statistic(members.sum(axis=0) - members)
    return drawn, left_out


def interval(
    sums: Floats,
    statistic: Statistic,
    confidence: float = 0.95,
    draws: int = 2000,
    seed: int = 0,
    *,
    groups_at_most: int | None = GROUPS_AT_MOST,
) -> tuple[Floats, Floats, Floats]:
    """Statistics of all patients with BCa bootstrap intervals.

    Bias-corrected and accelerated (Efron 1987), with percentiles widened from the normal to Student's distribution
    (Hesterberg, The American Statistician 69:371, 2015); without that, intervals of few patients hold the truth too
    rarely.

    Args:
        sums: (P, k) sums per patient, from `patient_sums`.
        statistic: Function of sums (..., k) that returns (..., m).
        confidence: Coverage of the intervals, in (0, 1).
        draws: Draws of the bootstrap.
        seed: Its seed.
        groups_at_most: More patients than this are drawn in groups; None for no limit.

    Returns:
        Values (m,), lower ends (m,), upper ends (m,); ends are nan for fewer than two patients.

    Example:
        >>> sums = patient_sums([[1.0, 4.0], [1.0, 6.0], [1.0, 8.0], [1.0, 6.0]])
        >>> value, low, high = interval(sums, lambda each: each[..., 1:] / each[..., :1])
        >>> value.tolist(), bool(low[0] < 6 < high[0])
        ([6.0], True)
    """
    with np.errstate(all="ignore"):
        value = np.atleast_1d(statistic(sums.sum(axis=0)))
    if len(sums) < 2:
        return value, np.full_like(value, np.nan), np.full_like(value, np.nan)
    drawn, left_out = bootstrap(sums, statistic, draws, seed, groups_at_most)
    low, high = np.full_like(value, np.nan), np.full_like(value, np.nan)
    count = len(left_out)
    for column, here in enumerate(value):
        column_drawn = drawn[:, column]
        column_drawn = column_drawn[np.isfinite(column_drawn)]
        if not np.isfinite(here) or len(column_drawn) < max(10, draws / 2):
            continue
        below = (column_drawn < here).mean() + (column_drawn == here).mean() / 2
        bias = special.ndtri(np.clip(below, 1 / (draws + 1), draws / (draws + 1)))
        without = left_out[np.isfinite(left_out[:, column]), column]
        apart = without.mean() - without if len(without) else np.zeros(1)
        squares = float((apart**2).sum())
        skew = (apart**3).sum() / (6 * squares**1.5) if squares > 0 else 0.0
        tails = (apart**4).sum() / squares**2 if squares > 0 else 3 / count
        # With heavy-tailed influences the spread itself is uncertain: take the harmonic mean of Satterthwaite's degrees
        # of freedom, 2n / (kurtosis - 1), and the usual n - 1. Coverage: docs/statistics.md.
        freedom = 2 / (1 / (count - 1) + max(tails - 1 / count, 2 / count) / 2)
        tail = stats.t.ppf(0.5 - confidence / 2, freedom) * np.sqrt(count / (count - 1))
        ends = bias + np.array([tail, -tail])
        low[column], high[column] = np.quantile(column_drawn, special.ndtr(bias + ends / (1 - skew * ends)))
    return value, low, high


def standard_errors(
    sums: Floats, statistic: Statistic, groups_at_most: int | None = GROUPS_AT_MOST, seed: int = 0
) -> Floats:
    """Jackknife standard errors (m,) of `statistic`, which leaves out one patient (or group) at a time."""
    members = grouped(sums, groups_at_most, np.random.default_rng([seed, len(sums)]))
    with np.errstate(all="ignore"):
        left_out = statistic(members.sum(axis=0) - members)
        apart = left_out - np.nanmean(left_out, axis=0)
    return np.sqrt(np.nansum(apart**2, axis=0) * (len(members) - 1) / len(members))


def signs(rng: np.random.Generator, draws: int, members: int) -> Iterator[Floats]:
    """Random signs, half of them -1: blocks (draws in block, members)."""
    block = max(1, min(draws, 8_000_000 // members))
    for start in range(0, draws, block):
        rows = min(block, draws - start)
        bits = np.frombuffer(rng.bytes((rows * members + 7) // 8), dtype=np.uint8)
        yield 1.0 - 2.0 * np.unpackbits(bits)[: rows * members].reshape(rows, members).astype(np.float64)


def permutation_p(
    sums_a: Floats,
    sums_b: Floats,
    statistic: Statistic,
    *,
    draws: int = 9999,
    seed: int = 0,
    groups_at_most: int | None = GROUPS_AT_MOST,
) -> Floats:
    """Two-sided permutation p (m,) of the hypothesis that the two models are exchangeable within each patient.

    `sums_a`, `sums_b` (P, k) belong to the same patients. The statistic is statistic(a) - statistic(b); each draw
    exchanges the models of a random half of the patients. The smallest p is 1/(draws + 1).
    """
    rng = np.random.default_rng([seed, 23])
    both = grouped(np.concatenate([sums_a, sums_b], axis=1), groups_at_most, rng)
    width = sums_a.shape[1]
    middle = (both[:, :width] + both[:, width:]) / 2
    half = (both[:, :width] - both[:, width:]) / 2
    centre, observed = middle.sum(axis=0), half.sum(axis=0)
    with np.errstate(all="ignore"):
        seen = np.abs(statistic(centre + observed) - statistic(centre - observed))
        exceed = np.zeros(seen.shape)
        for sign in signs(rng, draws, len(both)):
            moved = sign @ half
            found = np.abs(statistic(centre + moved) - statistic(centre - moved))
            exceed += (found >= seen * (1 - 1e-12)).sum(axis=0)
    return (exceed + 1) / (draws + 1)


LEAST_FOR_PROPORTIONS = 5
"""Fewer patients than this give no interval of a proportion, because no method held its coverage."""
SCORE = "Wilson's score, clustered by patient"
_ALIKE = 1.0
"""Weight, in patients with misses, of the assumption that all images of a patient are alike."""


def proportion_interval(sums: Floats, confidence: float = 0.95) -> tuple[float, float, float]:
    """Proportion Σ hits / Σ units with Wilson's score interval, clustered by patient.

    The interval is Wilson's for the number of independent units that would give the variance seen between patients
    (Korn & Graubard, Survey Methodology 24:193, 1998), with Student's quantile if a patient has several units. A few
    misses hardly show how alike a patient's images are, so the variance is pulled towards that of fully alike images,
    and no end is closer to 1 (or 0) than it would be with fewer misses (or hits).

    Args:
        sums: (P, 2) hits and units of each patient.
        confidence: Coverage of the interval, in (0, 1).

    Returns:
        Proportion, lower end, upper end. All are nan without units; the ends are nan for fewer than
        LEAST_FOR_PROPORTIONS patients.

    Example:
        >>> [round(each, 3) for each in proportion_interval(np.array([[1, 1]] * 8 + [[0, 1]] * 2))]
        [0.8, 0.474, 0.947]
    """
    sums = sums[sums[:, 1] > 0]
    if not len(sums):
        return float("nan"), float("nan"), float("nan")
    hits, units = sums.sum(axis=0)
    share = float(hits / units)
    if len(sums) < LEAST_FOR_PROPORTIONS:
        return share, float("nan"), float("nan")
    high = _furthest_end(sums[:, 0], sums[:, 1], confidence)
    low = 1 - _furthest_end(sums[:, 1] - sums[:, 0], sums[:, 1], confidence)
    return share, min(low, share), max(high, share)


def without_interval(patients: int) -> str:
    """Why a proportion has no interval; empty if it has one."""
    few = f"no interval for a proportion of fewer than {LEAST_FOR_PROPORTIONS} patients"
    return few if patients < LEAST_FOR_PROPORTIONS else ""


def _furthest_end(events: Floats, units: Floats, confidence: float) -> float:
    """The largest upper end of the share of events, over all smaller numbers of events of the same patients."""
    patients, total = len(units), float(units.sum())
    order = np.argsort(-events, kind="stable")
    counts = np.round(events[order]).astype(np.int64)
    owner = np.repeat(np.arange(patients), counts)
    nth = np.arange(len(owner)) - (np.cumsum(counts) - counts)[owner] + 1
    # Try 0, 1, 2, … events, patients with most events first: this order makes them as clustered as possible.
    seen = np.arange(len(owner) + 1, dtype=np.float64)
    squares = np.concatenate([[0.0], np.cumsum(2.0 * nth - 1)])
    crossed = np.concatenate([[0.0], np.cumsum(units[order][owner])])
    with_some = np.concatenate([[0], owner + 1]).astype(np.float64)
    share = seen / total
    apart = squares - 2 * share * crossed + share**2 * float((units**2).sum())
    alike = float((units**2).sum()) / total
    design = np.full(len(seen), alike)
    clustered = bool((units > 1).any())
    inner = (share > 0) & (share < 1)
    found = apart[inner] / total * patients / (patients - 1) / (share[inner] * (1 - share[inner]))
    telling = np.minimum(with_some, patients)[inner]
    design[inner] = (found * telling + alike * _ALIKE) / (telling + _ALIKE) if clustered else found
    size = total / np.maximum(design, 1.0)
    z = quantile_by_patient(confidence, patients, clustered=clustered)
    middle = (share + z**2 / (2 * size)) / (1 + z**2 / size)
    half = z / (1 + z**2 / size) * np.sqrt(share * (1 - share) / size + z**2 / (4 * size**2))
    return float(min(1.0, (middle + half).max()))


def quantile_by_patient(confidence: float, patients: int, *, clustered: bool) -> float:
    """Half width of an interval in standard errors: normal, or Student's if a variance between patients is used."""
    tail = 0.5 + confidence / 2
    return float(stats.t.ppf(tail, patients - 1) if clustered else special.ndtri(tail))


def linear_interval(
    value: float, influence: Floats, owner: Integers, confidence: float = 0.95
) -> tuple[float, float, float]:
    """Ends and standard error of a Student interval around `value`, from units' influences (n,) summed per patient."""
    sums = np.bincount(owner, influence)
    sums = sums[np.bincount(owner) > 0]
    count = len(sums)
    if count < 2:
        return float("nan"), float("nan"), float("nan")
    error = float(np.sqrt((sums**2).sum() * count / (count - 1)))
    half = float(stats.t.ppf(0.5 + confidence / 2, count - 1)) * error
    return value - half, value + half, error
