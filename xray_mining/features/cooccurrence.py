"""Haralick's statistics of grey-level co-occurrence (Haralick 1973; definitions as in IBSI, arXiv:1612.07003)."""

import numpy as np

from xray_mining.features.options import FeatureOptions
from xray_mining.features.picture import Array, Picture, by_region, region_rows
from xray_mining.features.registry import feature
from xray_mining.kernels import compiled
from xray_mining.sets.instrument import Column

_STATISTICS = (
    "contrast",
    "dissimilarity",
    "inverse_difference_moment",
    "second_moment",
    "entropy",
    "correlation",
    "cluster_shade",
    "cluster_prominence",
)


@compiled
def pair_counts(levels: Array, zones: Array, zone_count: int, distance: int, level_count: int) -> Array:
    """Pairs of grey levels at Chebyshev distance `distance` in four directions, together.

    `levels` (h, w) uint8 in 0 … level_count - 1. Gives (zones + 1, levels, levels) int32, each pair once, upper and
    lower triangle as met: row 0 … zones - 1 the pairs within a zone, the last row all pairs within the radiograph.
    Diagonal offsets are (d, d), as in IBSI.
    """
    height, width = levels.shape
    counts = np.zeros((zone_count + 1, level_count, level_count), np.int32)
    for direction in range(4):
        down = 0 if direction == 0 else distance
        right = 0 if direction == 2 else (-distance if direction == 3 else distance)
        for row in range(height - down):
            for column in range(max(0, -right), width - max(0, right)):
                zone = zones[row, column]
                other = zones[row + down, column + right]
                if zone < 0 or other < 0:
                    continue
                # Pairs across zones count only for the whole radiograph.
                place = zone if zone == other else zone_count
                counts[place, levels[row, column], levels[row + down, column + right]] += 1
    for zone in range(zone_count):
        counts[zone_count] += counts[zone]
    return counts


@compiled
def _cluster(counts: Array, region: int, total: float, mean: float) -> tuple[float, float]:
    """Cluster shade and prominence of one region's symmetric matrix."""
    shade = prominence = 0.0
    for i in range(counts.shape[1]):
        for j in range(i + 1):
            both = counts[region, i, j] + counts[region, j, i]
            if both == 0:
                continue
            cell = both / (2 * total) * (1 if i == j else 2)
            far = i + j - 2 * mean
            shade += cell * far * far * far
            prominence += cell * far * far * far * far
    return shade, prominence


@compiled
def _statistics(counts: Array) -> Array:
    """(regions, levels, levels) counts → (regions, 8) of the symmetric matrices; nan for a region without pairs."""
    regions, size, _ = counts.shape
    found = np.full((regions, 8), np.nan)
    margin = np.zeros(size)
    for region in range(regions):
        total = 0.0
        for i in range(size):
            for j in range(size):
                total += counts[region, i, j]
        if total == 0:
            continue
        margin[:] = 0
        contrast = dissimilarity = inverse = second = entropy = 0.0
        for i in range(size):
            for j in range(i + 1):
                both = counts[region, i, j] + counts[region, j, i]
                if both == 0:
                    continue
                # The symmetric matrix holds every pair in both orders: off the diagonal two equal cells.
                cell = both / (2 * total)
                apart = i - j
                margin[i] += cell
                if i == j:
                    second += cell * cell
                    entropy -= cell * np.log2(cell)
                    inverse += cell
                else:
                    margin[j] += cell
                    contrast += 2 * cell * apart * apart
                    dissimilarity += 2 * cell * apart
                    inverse += 2 * cell / (1 + apart * apart)
                    second += 2 * cell * cell
                    entropy -= 2 * cell * np.log2(cell)
        mean = 0.0
        for i in range(size):
            mean += margin[i] * i
        variance = 0.0
        for i in range(size):
            variance += margin[i] * (i - mean) * (i - mean)
        found[region, 0] = contrast
        found[region, 1] = dissimilarity
        found[region, 2] = inverse
        found[region, 3] = second
        found[region, 4] = entropy
        if variance > 1e-12:
            # The two margins of a symmetric matrix are equal: covariance = variance - contrast / 2.
            found[region, 5] = 1 - contrast / (2 * variance)
        found[region, 6], found[region, 7] = _cluster(counts, region, total, mean)
    return found


def _columns(options: FeatureOptions) -> list[Column]:
    names = [
        (f"cooccurrence_{statistic}_d{distance}", "bits" if statistic == "entropy" else "")
        for distance in options.distances_px
        for statistic in _STATISTICS
    ]
    return by_region(names, options)


@feature(_columns, turns=True)
def cooccurrence(picture: Picture, options: FeatureOptions) -> Array:
    """Eight statistics of the symmetric co-occurrence matrix, directions merged, by region and distance."""
    levels = (picture.values.astype(np.uint16) * options.grey_levels // 256).astype(np.uint8)
    blocks = []
    for distance in options.distances_px:
        counts = pair_counts(levels, picture.zones, picture.zone_count, distance, options.grey_levels)
        blocks.append(_statistics(region_rows(counts[-1], counts[:-1], options)))
    return np.concatenate(blocks, axis=1).ravel()
