"""Hashes of a picture and of 54 crops of it; they hardly change with brightness, contrast, size and compression.

Each hash is three words of 64 signs of cosine coefficients. The first word, of the lowest frequencies, describes what
all chests have in common and their position; the other two words distinguish chests.
"""

import math
import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import polars as pl

from xray_mining.ingest.duplicates import frequencies
from xray_mining.kernels import compiled
from xray_mining.pixels.store import PixelStore
from xray_mining.progress import progress
from xray_mining.workspace import Workspace, write_frame

SIDE = 128
"""Side of the small pictures that are hashed and aligned."""
_CELLS = 32
"""A crop is divided into this number of squares across and down."""


def _crops() -> np.ndarray:
    """Top, left, height, width of the whole picture and of its 54 crops, of 128 × 128 pixels: (55, 4) int64."""
    found = [(0, 0, SIDE, SIDE)]
    for scale in (0.93, 0.86, 0.78, 0.7):
        side = round(SIDE * scale)
        rest = SIDE - side
        found += [
            (round(rest * down), round(rest * across), side, side) for down in (0, 0.5, 1) for across in (0, 0.5, 1)
        ]
    for scale in (0.9, 0.8, 0.7):
        side = round(SIDE * scale)
        for place in (0, 0.5, 1):
            at = round((SIDE - side) * place)
            found += [(at, 0, side, SIDE), (0, at, SIDE, side)]
    return np.array(found, np.int64)


CROPS = _crops()
WORDS = 3
_ROWS, _COLUMNS = (np.array(each, np.int64) for each in zip(*frequencies(64 * WORDS), strict=True))
_COSINES = np.array(
    [
        [math.cos(math.pi * (2 * place + 1) * frequency / (2 * _CELLS)) for place in range(_CELLS)]
        for frequency in range(int(max(_ROWS.max(), _COLUMNS.max())) + 1)
    ],
    np.float32,
)


_HASHED = {"pixel_digest": pl.String, "search": pl.String, "hashes": pl.Array(pl.UInt64, len(CROPS) * WORDS)}
# Pictures read at once, and number of hashes after which a part is written.
_BATCH, _PART = 256, 25_600


def hashes_of_all(workspace: Workspace, pixels: PixelStore, pictured: pl.DataFrame) -> np.ndarray:
    """(n, 55, 3) uint64 for n pictures, kept for the next run; `pictured` has their image_key, pixel_digest and search.

    A run that is killed loses only the last part.
    """
    folder = workspace.parts("_all", "near_duplicates_hashes")
    search = str(pictured["search"].first() or "")
    missing = pictured.join(kept(folder, _HASHED, search), on="pixel_digest", how="anti", maintain_order="left")
    with (
        ThreadPoolExecutor(os.cpu_count()) as threads,
        progress(missing.height, "near-duplicates: hashes") as bar,
    ):
        for start in range(0, missing.height, _PART):
            part = missing[start : start + _PART]
            made = []
            for some in part.iter_slices(_BATCH):
                keys = some["image_key"]
                made += threads.map(_hashed, pixels.read(keys), pixels.content_boxes(keys).astype(int))
                bar.advance(some.height)
            hashes = pl.Series("hashes", np.array(made).reshape(len(made), -1), dtype=_HASHED["hashes"])
            appended(folder, part.select("pixel_digest", "search", hashes))
    every = kept(folder, _HASHED, search).unique("pixel_digest")
    found = pictured.select("pixel_digest").join(every, on="pixel_digest", how="left", maintain_order="left")
    values = found["hashes"].to_numpy() if found.height else np.empty(0, np.uint64)
    return np.ascontiguousarray(values).reshape(-1, len(CROPS), WORDS)


def kept(folder: Path, schema: Mapping[str, Any], search: str) -> pl.DataFrame:
    """Hashes of the same `search` from parts in `folder`; damaged parts are skipped."""
    frames = [pl.DataFrame(schema=schema)]
    for path in sorted(folder.glob("*.parquet")):
        try:
            part = pl.read_parquet(path).select(list(schema)).filter(pl.col("search") == search)
        except pl.exceptions.PolarsError:
            continue
        if part.height:
            frames.append(part)
    return pl.concat(frames)


def appended(folder: Path, frame: pl.DataFrame) -> None:
    """Write rows as the next part of `folder`."""
    last = max((int(path.stem) for path in folder.glob("*.parquet")), default=-1)
    write_frame(frame, folder / f"{last + 1:05d}.parquet")


def _hashed(picture: np.ndarray, box: np.ndarray) -> np.ndarray:
    return hashes_of(small_of(picture, box))


def small_of(picture: np.ndarray, box: np.ndarray) -> np.ndarray:
    """The picture to hash: the content in `box` (left, top, width, height), equalised, (128, 128) uint8."""
    left, top, width, height = box
    content = picture[top : top + height, left : left + width]
    if content.dtype != np.uint8:
        content = cv2.convertScaleAbs(content, alpha=1 / 257)
    return cv2.equalizeHist(cv2.resize(content, (SIDE, SIDE), interpolation=cv2.INTER_AREA))


def hashes_of(small: np.ndarray) -> np.ndarray:
    """(55, 3) uint64 for a (128, 128) uint8 picture: the signs of 192 cosine coefficients for each of `CROPS`."""
    values = np.empty((len(CROPS), WORDS), np.uint64)
    _hash(small, CROPS, _COSINES, _ROWS, _COLUMNS, values)
    return values


@compiled
def _hash(  # noqa: PLR0917  compiled: no keywords
    small: Any, crops: Any, cosines: Any, rows: Any, columns: Any, values: Any
) -> None:
    # The sum of all pixels above and to the left is below 2^24, so float32 is exact. It is interpolated linearly
    # between pixels, so that the mean of any rectangle needs four look-ups.
    sums = np.zeros((SIDE + 2, SIDE + 2), np.float32)
    for y in range(SIDE):
        of_row = np.float32(0)
        for x in range(SIDE):
            of_row += np.float32(small[y, x])
            sums[y + 1, x + 1] = sums[y, x + 1] + of_row
    corners = np.empty((_CELLS + 1, _CELLS + 1), np.float32)
    cells = np.empty((_CELLS, _CELLS), np.float32)
    downwards = np.empty((len(cosines), _CELLS), np.float32)
    for crop in range(len(crops)):
        top, left, height, width = crops[crop]
        # Means of the crop's cells, from sums interpolated at their corners.
        for y in range(_CELLS + 1):
            down = top + height * y / _CELLS
            row = int(down)
            below = np.float32(down - row)
            for x in range(_CELLS + 1):
                across = left + width * x / _CELLS
                column = int(across)
                right = np.float32(across - column)
                upper = sums[row, column] + right * (sums[row, column + 1] - sums[row, column])
                lower = sums[row + 1, column] + right * (sums[row + 1, column + 1] - sums[row + 1, column])
                corners[y, x] = upper + below * (lower - upper)
        for y in range(_CELLS):
            for x in range(_CELLS):
                cells[y, x] = corners[y + 1, x + 1] - corners[y + 1, x] - corners[y, x + 1] + corners[y, x]
        # Cosine coefficients are separable: first down the columns, then along the rows.
        downwards[:] = 0
        for frequency in range(len(cosines)):
            for y in range(_CELLS):
                cosine = cosines[frequency, y]
                for x in range(_CELLS):
                    downwards[frequency, x] += cosine * cells[y, x]
        # The signs of the coefficients, 64 in each word.
        values[crop] = 0
        for sign in range(len(rows)):
            coefficient = np.float32(0)
            for x in range(_CELLS):
                coefficient += cosines[columns[sign], x] * downwards[rows[sign], x]
            if coefficient > 0:
                values[crop, sign >> 6] |= np.uint64(1) << np.uint64(sign & 63)
