"""A table look-up and a resize by area in one pass over the picture; the values equal those of OpenCV's two passes.

Each row is looked up, averaged along itself and added to its target rows while it is in the processor's cache: the
picture is read once, and no second picture of its size is made.
"""

from typing import Any

import numpy as np

from xray_mining.kernels import compiled

_LEAST_SHARE = 1e-3
"""Shares of a pixel below this are ignored, as in OpenCV."""


def shrunk(values: np.ndarray, table: np.ndarray, height: int, width: int) -> np.ndarray:
    """Grey values of `values`, averaged by area to (height, width) uint16.

    `values` are (rows, columns) uint8 or uint16 with at least `height` rows and `width` columns; `table`, (256 or
    65536,) uint16, holds the grey value of each.
    """
    picture = np.empty((height, width), np.uint16)
    _shrink(values, table.astype(np.float32), picture)
    return picture


def prepare() -> None:
    """Compile or load the kernels before the first file; compiling takes seconds at the first use on a machine."""
    for kind in (np.uint8, np.uint16):
        values = np.zeros((4, 4), kind)
        for each in (values, np.frombuffer(values.tobytes(), kind).reshape(4, 4)):
            shrunk(each, np.zeros(np.iinfo(kind).max + 1, np.uint16), 2, 2)


@compiled
def _shares(size: int, target: int) -> tuple[Any, Any, Any]:
    """For each target pixel its first source pixel and their number; (most, target) float32 share of each."""
    scale = 1.0 / (target / size)
    first, count = np.empty(target, np.uint64), np.empty(target, np.int64)
    shares = np.zeros((int(np.ceil(scale)) + 2, target), np.float32)
    most = 0
    for place in range(target):
        start = place * scale
        end = start + scale
        width = min(scale, size - start)
        whole = int(np.ceil(start))
        stop = min(int(np.floor(end)), size - 1)
        whole = min(whole, stop)
        first[place] = whole
        number = 0
        if whole - start > _LEAST_SHARE:
            first[place] = whole - 1
            shares[number, place] = (whole - start) / width
            number += 1
        for _ in range(whole, stop):
            shares[number, place] = 1.0 / width
            number += 1
        if end - stop > _LEAST_SHARE:
            shares[number, place] = min(end - stop, 1.0, width) / width
            number += 1
        count[place] = number
        most = max(most, number)
    return first, count, shares[:most]


@compiled
def _shrink(values: Any, table: Any, picture: Any) -> None:
    columns = values.shape[1]
    height, width = picture.shape
    halved = values.shape[0] == 2 * height and columns == 2 * width
    first_row, rows, row_shares = _shares(values.shape[0], height)
    first_column, _, column_shares = _shares(columns, width)
    steps = column_shares.shape[0]
    # Zeros fill up target pixels with fewer shares than the largest.
    line = np.zeros(columns + steps, np.float32)
    narrow, total = np.zeros(width, np.float32), np.zeros(width, np.float32)
    at = -1
    for y in range(height):
        total[:] = 0
        for number in range(rows[y]):
            # A row that belongs to two target rows is looked up once.
            if int(first_row[y]) + number != at:
                at = int(first_row[y]) + number
                row = values[at]
                for x in range(columns):
                    line[x] = table[row[x]]
                narrow[:] = 0
                for step in range(steps):
                    share = column_shares[step]
                    further = np.uint64(step)
                    for x in range(width):
                        narrow[x] += share[x] * line[first_column[x] + further]
            of_row = row_shares[number, y]
            for x in range(width):
                total[x] += of_row * narrow[x]
        for x in range(width):
            # Halves are rounded to even, but upwards where OpenCV adds whole numbers: four pixels to one.
            rounded = np.floor(total[x] + np.float32(0.5)) if halved else np.rint(total[x])
            picture[y, x] = np.uint16(min(max(rounded, np.float32(0)), np.float32(65535)))


@compiled
def counted(values: Any, step: int, number: int) -> Any:
    """How often each value below `number` occurs in every `step`-th row and column, (number,) int64."""
    counts = np.zeros(number, np.int64)
    for y in range(0, values.shape[0], step):
        for x in range(0, values.shape[1], step):
            counts[values[y, x]] += 1
    return counts
