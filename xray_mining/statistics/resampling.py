"""Resampling of patients: a patient's images go together, and many draws are one matrix product.

Every statistic here is a function of sums over units, so a draw needs the sums per patient and how often each patient
was drawn, never the units. Where there are more patients than `groups_at_most` they are put at random into that many
groups, which are drawn instead: group sums are independent and alike, so the variance is the same, with a relative
error of 1/sqrt(2 groups).
"""

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import ArrayLike
from scipy import special, stats

from xray_mining.statistics.estimate import Floats, Integers, owners

GROUPS_AT_MOST = 5_000
Statistic = Callable[[Floats], Floats]
"""Sums (..., k) → statistics (..., m); nan where they are not defined."""


def patient_sums(values: ArrayLike, patients: ArrayLike | None = None) -> Floats:
    """Sums of `values` (n, k) over the units of each patient, (P, k)."""
    array = np.asarray(values, dtype=np.float64)
    owner = owners(patients, len(array))
    if patients is None:
        return array
    return np.stack([np.bincount(owner, column) for column in array.T], axis=1).astype(np.float64)


def grouped(sums: Floats, groups_at_most: int | None, rng: np.random.Generator) -> Floats:
    """Patients put at random into at most `groups_at_most` groups of like size, sums (groups, k)."""
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
    """Statistics of the drawn samples, (draws, m), and of the samples that leave one patient (or group) out, (P, m)."""
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
    """Statistics (m,) of all patients with the ends (m,), (m,) of their BCa intervals; nan for fewer than two patients.

    Bias-corrected and accelerated (Efron 1987), with the percentiles widened from the normal to Student's distribution
    (Hesterberg, The American Statistician 69:371, 2015), without which few patients are covered too seldom.
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
        # Heavy-tailed influences make the spread itself uncertain: Satterthwaite's degrees of freedom, 2n / (kurtosis
        # - 1), and the usual n - 1 in equal parts (harmonic mean). Measured: docs/statistics.md.
        freedom = 2 / (1 / (count - 1) + max(tails - 1 / count, 2 / count) / 2)
        tail = stats.t.ppf(0.5 - confidence / 2, freedom) * np.sqrt(count / (count - 1))
        ends = bias + np.array([tail, -tail])
        low[column], high[column] = np.quantile(column_drawn, special.ndtr(bias + ends / (1 - skew * ends)))
    return value, low, high


def standard_errors(
    sums: Floats, statistic: Statistic, groups_at_most: int | None = GROUPS_AT_MOST, seed: int = 0
) -> Floats:
    """Jackknife standard errors (m,) of `statistic`, leaving one patient (or group) out at a time."""
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
    """Two-sided p (m,) that the two models may be exchanged within each patient.

    `sums_a`, `sums_b` (P, k) belong to the same patients. The statistic is statistic(a) - statistic(b); in every draw
    the models of half of the patients (drawn anew) change places. The smallest p is 1/(draws + 1).
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
"""Patients below which no interval of a proportion is given: none was seen to hold."""
SCORE = "Wilson's score, clustered by patient"
_ALIKE = 1.0
"""How many patients with misses the assumption weighs that a patient's images are all alike."""


def proportion_interval(sums: Floats, confidence: float = 0.95) -> tuple[float, float, float]:
    """Σ hits / Σ units of patients' sums (P, 2: hits, units), with a score interval clustered by patient.

    Wilson's, at the size that independent units would need for the variance seen between patients (Korn & Graubard,
    Survey Methodology 24:193, 1998), with Student's quantile where a patient has several units. Few misses tell little
    of how alike a patient's images are: the variance is drawn towards that of images all alike, and no end lies
    closer to 1 (or 0) than it would with fewer misses (or hits). nan without units, and nan ends for fewer than
    LEAST_FOR_PROPORTIONS patients.
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
    """Why a proportion has no interval; empty where it has one."""
    few = f"no interval for a proportion of fewer than {LEAST_FOR_PROPORTIONS} patients"
    return few if patients < LEAST_FOR_PROPORTIONS else ""


def _furthest_end(events: Floats, units: Floats, confidence: float) -> float:
    """The upper end of the share of events, the largest of those that fewer of the same patients' events would have."""
    patients, total = len(units), float(units.sum())
    order = np.argsort(-events, kind="stable")
    counts = np.round(events[order]).astype(np.int64)
    owner = np.repeat(np.arange(patients), counts)
    nth = np.arange(len(owner)) - (np.cumsum(counts) - counts)[owner] + 1
    # With 0, 1, 2, … events, those of the patients with most of them first: together they are as alike as can be.
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
    """How many standard errors an interval reaches: normal, or Student's where a variance between patients is used."""
    tail = 0.5 + confidence / 2
    return float(stats.t.ppf(tail, patients - 1) if clustered else special.ndtri(tail))


def linear_interval(
    value: float, influence: Floats, owner: Integers, confidence: float = 0.95
) -> tuple[float, float, float]:
    """Ends and standard error of a Student interval around `value` from units' influences (n,), summed per patient."""
    sums = np.bincount(owner, influence)
    sums = sums[np.bincount(owner) > 0]
    count = len(sums)
    if count < 2:
        return float("nan"), float("nan"), float("nan")
    error = float(np.sqrt((sums**2).sum() * count / (count - 1)))
    half = float(stats.t.ppf(0.5 + confidence / 2, count - 1)) * error
    return value - half, value + half, error
