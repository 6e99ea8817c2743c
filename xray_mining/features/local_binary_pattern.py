"""Uniform, rotation-invariant local binary patterns (Ojala, Pietikäinen, Mäenpää 2002)."""

import numpy as np

from xray_mining.features.options import FeatureOptions
from xray_mining.features.picture import Array, Picture, by_region, region_rows
from xray_mining.features.registry import feature
from xray_mining.kernels import compiled
from xray_mining.sets.instrument import Column

_RADII_PX = (1, 2, 4)


def _table() -> Array:
    """Pattern of eight bits → number of ones where it changes at most twice around the circle, else 9."""
    table = np.zeros(256, np.uint8)
    for pattern in range(256):
        bits = [(pattern >> place) & 1 for place in range(8)]
        changes = sum(bits[place] != bits[place - 1] for place in range(8))
        table[pattern] = sum(bits) if changes <= 2 else 9
    return table


_UNIFORM = _table()


@compiled
def pattern_counts(values: Array, zones: Array, zone_count: int, box: tuple[int, int, int, int], radius: int) -> Array:
    """Counts of the ten uniform patterns by zone, (zones, 10) int64.

    The eight neighbours are on the square ring at `radius`, at multiples of 45 degrees; pixels whose ring leaves the
    radiograph are ignored.
    """
    first_row, first_column, end_row, end_column = box
    counts = np.zeros((zone_count, 10), np.int64)
    for row in range(first_row + radius, end_row - radius):
        for column in range(first_column + radius, end_column - radius):
            zone = zones[row, column]
            if zone < 0:
                continue
            top, bottom, left, right = row - radius, row + radius, column - radius, column + radius
            here = values[row, column]
            pattern = (
                (values[row, right] >= here)
                | (values[top, right] >= here) << 1
                | (values[top, column] >= here) << 2
                | (values[top, left] >= here) << 3
                | (values[row, left] >= here) << 4
                | (values[bottom, left] >= here) << 5
                | (values[bottom, column] >= here) << 6
                | (values[bottom, right] >= here) << 7
            )
            counts[zone, _UNIFORM[pattern]] += 1
    return counts


def _columns(options: FeatureOptions) -> list[Column]:
    names = [
        (f"local_binary_pattern_{kind}_r{radius}", "")
        for radius in _RADII_PX
        for kind in (*(f"ones{ones}" for ones in range(9)), "other")
    ]
    return by_region(names, options)


@feature(_columns, turns=True)
def local_binary_pattern(picture: Picture, options: FeatureOptions) -> Array:
    """Shares of the ten patterns at three radii, by region; nan for a region without a complete ring."""
    blocks = []
    for radius in _RADII_PX:
        counts = pattern_counts(picture.values, picture.zones, picture.zone_count, picture.box, radius)
        rows = region_rows(counts.sum(axis=0), counts, options).astype(np.float64)
        total = rows.sum(axis=1, keepdims=True)
        blocks.append(np.divide(rows, total, out=np.full(rows.shape, np.nan), where=total > 0))
    return np.concatenate(blocks, axis=1).ravel()
