"""First-order statistics of the grey levels, from one histogram per region."""

import numpy as np

from xray_mining.features.options import FeatureOptions
from xray_mining.features.picture import Array, Picture, by_region, region_rows
from xray_mining.features.registry import feature
from xray_mining.kernels import compiled
from xray_mining.sets.instrument import Column

_NAMES = (
    ("intensity_mean", "grey levels"),
    ("intensity_deviation", "grey levels"),
    ("intensity_skewness", ""),
    ("intensity_kurtosis", ""),
    ("intensity_p10", "grey levels"),
    ("intensity_p25", "grey levels"),
    ("intensity_median", "grey levels"),
    ("intensity_p75", "grey levels"),
    ("intensity_p90", "grey levels"),
    ("intensity_entropy", "bits"),
    ("intensity_uniformity", ""),
)


@compiled
def histograms(values: Array, zones: Array, zone_count: int) -> Array:
    """Counts of 256 grey levels by zone, (zones, 256) int64; pixels of zone -1 are ignored."""
    counts = np.zeros((zone_count, 256), np.int64)
    for row in range(values.shape[0]):
        for column in range(values.shape[1]):
            zone = zones[row, column]
            if zone >= 0:
                counts[zone, values[row, column]] += 1
    return counts


@compiled
def _statistics(counts: Array) -> Array:
    """(regions, 256) counts → (regions, 11); nan for a region without pixels."""
    found = np.full((counts.shape[0], 11), np.nan)
    for region in range(counts.shape[0]):
        total = 0.0
        mean = 0.0
        for level in range(256):
            total += counts[region, level]
            mean += counts[region, level] * level
        if total == 0:
            continue
        # Two passes over the histogram: the moments need the mean first.
        mean /= total
        second = 0.0
        third = 0.0
        fourth = 0.0
        entropy = 0.0
        uniformity = 0.0
        for level in range(256):
            share = counts[region, level] / total
            if share > 0:
                far = level - mean
                second += share * far * far
                third += share * far * far * far
                fourth += share * far * far * far * far
                entropy -= share * np.log2(share)
                uniformity += share * share
        found[region, 0] = mean
        found[region, 1] = np.sqrt(second)
        # Skewness and kurtosis of a flat region are not defined and stay nan.
        if second > 1e-12:
            found[region, 2] = third / second**1.5
            found[region, 3] = fourth / (second * second) - 3
        # Percentiles are the levels at which the cumulated counts reach their share.
        below = 0.0
        place = 0
        wanted = (0.1, 0.25, 0.5, 0.75, 0.9)
        for level in range(256):
            below += counts[region, level]
            while place < 5 and below >= wanted[place] * total:
                found[region, 4 + place] = level
                place += 1
        found[region, 9] = entropy
        found[region, 10] = uniformity
    return found


def _columns(options: FeatureOptions) -> list[Column]:
    return by_region(_NAMES, options)


@feature(_columns)
def intensity(picture: Picture, options: FeatureOptions) -> Array:
    """Moments, percentiles, entropy of the grey levels of each region; skewness of a flat region is nan."""
    counts = histograms(picture.values, picture.zones, picture.zone_count)
    return _statistics(region_rows(counts.sum(axis=0), counts, options)).ravel()
