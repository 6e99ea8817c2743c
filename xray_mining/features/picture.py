"""A radiograph as the families get it, and their shared code: zones, and columns and rows by region."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from xray_mining.features.options import FeatureOptions
from xray_mining.sets.instrument import Column

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, slots=True)
class Picture:
    """The input of a family."""

    values: Array
    """(side, side) uint8, bright = dense, resized to FeatureOptions.side_px."""
    zones: Array
    """(side, side) int16: the zone of each pixel, row by row from the top left; -1 outside the radiograph."""
    zone_count: int
    box: tuple[int, int, int, int]
    """top, left, bottom, right of the radiograph within the padded square, in pixels."""

    @property
    def content(self) -> Array:
        """The radiograph without its padding, (height, width) uint8."""
        top, left, bottom, right = self.box
        return self.values[top:bottom, left:right]


def picture_of(image: Array, box: Sequence[float] | Array | None, options: FeatureOptions) -> Picture:
    """The input for the families: uint8, resized, with zones."""
    import cv2

    if image.ndim != 2:
        raise ValueError(f"a picture has height and width, not {image.shape}")
    values = (image >> 8).astype(np.uint8) if image.dtype == np.uint16 else np.ascontiguousarray(image)
    side = options.side_px
    height, width = values.shape
    if (height, width) != (side, side):
        shrinks = side <= min(height, width)
        values = cv2.resize(values, (side, side), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
    left, top, box_width, box_height = (0.0, 0.0, float(width), float(height)) if box is None else map(float, box)
    rows = _inside(top * side / height, (top + box_height) * side / height, side)
    columns = _inside(left * side / width, (left + box_width) * side / width, side)
    zones = np.full((side, side), -1, np.int16)
    tall, wide = rows[1] - rows[0], columns[1] - columns[0]
    zone_row = np.arange(tall) * options.zone_rows // tall
    zone_column = np.arange(wide) * options.zone_columns // wide
    zones[rows[0] : rows[1], columns[0] : columns[1]] = zone_row[:, None] * options.zone_columns + zone_column
    count = options.zone_rows * options.zone_columns
    return Picture(np.ascontiguousarray(values, np.uint8), zones, count, (rows[0], columns[0], rows[1], columns[1]))


def _inside(low: float, high: float, side: int) -> tuple[int, int]:
    """Whole pixels from `low` to `high`, at least one, within the side."""
    first = min(max(int(np.ceil(low - 0.5)), 0), side - 1)
    return first, max(min(int(np.floor(high + 0.5)), side), first + 1)


def regions_of(options: FeatureOptions) -> list[str]:
    """Prefixes of the measured regions: whole, then zone_ROW_COLUMN from the top left."""
    zones = [f"zone_{row}_{column}" for row in range(options.zone_rows) for column in range(options.zone_columns)]
    return (["whole"] if "whole" in options.regions else []) + (zones if "zones" in options.regions else [])


def by_region(names: Iterable[tuple[str, str]], options: FeatureOptions) -> list[Column]:
    """A column for each region and (name, unit), regions outermost."""
    names = list(names)
    return [Column(f"{region}_{name}", unit) for region in regions_of(options) for name, unit in names]


def region_rows(whole: Array, zones: Array, options: FeatureOptions) -> Array:
    """Rows of the measured regions: (…) for the whole and (zones, …), as (regions, …)."""
    parts = ([whole[None]] if "whole" in options.regions else []) + ([zones] if "zones" in options.regions else [])
    return np.concatenate(parts)
