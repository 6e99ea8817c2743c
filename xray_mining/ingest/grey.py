"""Numbers → a picture that can be compared with others; knows no file.

The order is fixed: modality LUT or rescale → padding excluded → VOI (its LUT, else the first window, else percentiles)
→ inversion → resize by area and padding to a square → integer. All steps up to the inversion are one table from stored
value to grey value, so that each pixel is looked up once.
"""

from dataclasses import dataclass, replace
from math import isqrt

import cv2
import numpy as np

from xray_mining.archive.claims_of_values import by_values
from xray_mining.archive.radiograph import Encoded, Window
from xray_mining.archive.values import looked_up, modality_values, stored_values, windowed
from xray_mining.ingest.decode import Stored
from xray_mining.ingest.options import GreyOptions
from xray_mining.ingest.shrink import counted, shrunk

# Number of sampled pixels from which percentiles and the clipped fraction are computed.
_SAMPLE = 300_000
_TOP = 65535


@dataclass(frozen=True, slots=True)
class Placement:
    """Position of an image within its padded square, in store pixels."""

    left: int
    top: int
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Grey:
    """A standardised picture and how it was made."""

    picture: np.ndarray
    """(side, side) uint8 or uint16, bright = dense."""
    placement: Placement
    window_source: str
    """voi_lut, window, percentiles or full_range."""
    inverted: bool
    clipped_fraction: float
    encoded: Encoded
    """The picture's description as the values show it; its flags name the overruled header values."""


def grey(stored: Stored, encoded: Encoded, options: GreyOptions) -> Grey:
    """The standardised picture of one frame; header values are first compared with the decoded values."""
    believed = by_values(encoded, stored.values, _histogram(stored.values), stored.from_colours)
    stored, encoded = replace(stored, values=believed.values), believed.encoded
    table, source, clipped = grey_table(believed.counts, stored, encoded, options)
    placement = place(encoded.rows, encoded.columns, encoded.aspect, options.side_px)
    if _is_smaller(stored.values, placement):
        picture = shrunk(stored.values, table, placement.height, placement.width)
    else:
        picture = _through(stored.values, table)
    square = into_square(picture, placement, options.side_px)
    if options.value_type == "uint8":
        square = cv2.convertScaleAbs(square, alpha=1 / 257)
    return Grey(square, placement, source, encoded.photometric == "MONOCHROME1", clipped, encoded)


def grey_table(
    counts: np.ndarray, stored: Stored, encoded: Encoded, options: GreyOptions
) -> tuple[np.ndarray, str, float]:
    """Grey value of every stored value, (256 or 65536,) uint16; source of the window; share of pixels outside it.

    `counts`: how often each stored value occurs, (256 or 65536,) int.
    """
    number = len(counts)
    if not stored.from_colours and number > 2 << encoded.high_bit:
        # Bits above the high bit carry no value: compute the table for one period and repeat it.
        counts = counts.reshape(-1, 2 << encoded.high_bit).sum(axis=0)
        table, source, clipped = grey_table(counts, stored, encoded, options)
        return np.tile(table, number // len(table)), source, clipped
    if stored.from_colours:
        meaning = np.arange(number)
    else:
        meaning = stored_values(number, encoded.bits_stored, encoded.high_bit, encoded.signed)
    padding = np.zeros(number, bool)
    if encoded.padding is not None and not stored.from_colours:
        padding = (meaning >= encoded.padding[0]) & (meaning <= encoded.padding[1])
    values = meaning.astype(np.float64) if stored.from_colours else modality_values(meaning, encoded)
    # Colours and palettes are ready for display: a VOI applies to stored monochrome values only.
    as_seen = stored.from_colours or encoded.palette is not None
    shown = counts * ~padding
    window = None
    if encoded.voi_lut is not None and not as_seen:
        fraction, source = looked_up(values, encoded.voi_lut), "voi_lut"
        first = encoded.voi_lut.first
        outside = (values < first) | (values > first + len(encoded.voi_lut.values) - 1)
    else:
        if encoded.windows and not as_seen:
            window, source = encoded.windows[0], "window"
        else:
            low, high, source = _percentile_range(values, shown, options.clip_percent)
            window = Window((low + high) / 2, max(high - low, 1e-9), "LINEAR_EXACT")
        fraction = windowed(values, window)
        outside = (fraction <= 0) & (values < window.centre) | (fraction >= 1) & (values > window.centre)
        edges = (values == window.centre - window.width / 2) | (values == window.centre + window.width / 2)
        outside &= ~edges
    total = shown.sum()
    clipped = float((shown * outside).sum() / total) if total else 0.0
    # PS3.3 C.7.6.3.1.2: MONOCHROME1 shows the lowest value white. Turn it after the VOI window, never before: the
    # window is given in the values before the turn.
    if encoded.photometric == "MONOCHROME1":
        fraction = 1 - fraction
    fraction = np.where(padding, 0, fraction)
    return np.rint(np.clip(fraction, 0, 1) * _TOP).astype(np.uint16), source, clipped


def _percentile_range(values: np.ndarray, counts: np.ndarray, clip_percent: float) -> tuple[float, float, str]:
    there = np.flatnonzero(counts)
    if not len(there):
        return 0.0, 1.0, "full_range"
    order = there[np.argsort(values[there], kind="stable")]
    cumulated = np.cumsum(counts[order])
    places = np.searchsorted(cumulated, cumulated[-1] * np.array([clip_percent, 100 - clip_percent]) / 100)
    low, high = values[order[np.minimum(places, len(order) - 1)]]
    if clip_percent == 0 or high <= low:
        return float(values[order[0]]), float(values[order[-1]]), "full_range"
    return float(low), float(high), "percentiles"


def _histogram(values: np.ndarray) -> np.ndarray:
    """How often each value occurs in an even sample of the pixels, (256 or 65536,) int."""
    step = max(isqrt(values.size // _SAMPLE), 1)
    return counted(values, step, 256 if values.dtype == np.uint8 else 65536)


def _through(values: np.ndarray, table: np.ndarray) -> np.ndarray:
    try:
        return cv2.LUT(values, table)
    except cv2.error:
        # OpenCV before 5 has no tables for 16-bit values.
        return np.take(table, values)


def place(rows: int, columns: int, aspect: float, side_px: int) -> Placement:
    """Position of an image of `rows` × `columns` pixels of height-to-width `aspect` in a square of `side_px`."""
    tall, wide = rows * aspect, float(columns)
    scale = side_px / max(tall, wide)
    width = min(max(round(wide * scale), 1), side_px)
    height = min(max(round(tall * scale), 1), side_px)
    return Placement((side_px - width) // 2, (side_px - height) // 2, width, height)


def _is_smaller(image: np.ndarray, placement: Placement) -> bool:
    """Whether the image must be made smaller in one direction and larger in none."""
    spare = image.shape[0] - placement.height, image.shape[1] - placement.width
    return min(spare) >= 0 and max(spare) > 0


def into_square(image: np.ndarray, placement: Placement, side_px: int) -> np.ndarray:
    """An image resized to its position in a square of zeros, (side_px, side_px) of the image's type."""
    size = (placement.width, placement.height)
    if image.shape[::-1] != size:
        how = cv2.INTER_AREA if _is_smaller(image, placement) else cv2.INTER_LINEAR
        image = cv2.resize(image, size, interpolation=how)
    if size == (side_px, side_px):
        return image
    square = np.zeros((side_px, side_px), image.dtype)
    square[placement.top : placement.top + placement.height, placement.left : placement.left + placement.width] = image
    return square


def mask_into_square(mask: np.ndarray, placement: Placement, side_px: int) -> np.ndarray:
    """A (height, width) bool mask resized and padded like its picture, (side_px, side_px) bool."""
    return into_square(mask.astype(np.uint8) * 255, placement, side_px) >= 128


def box_into_square(
    box: tuple[float, float, float, float], columns: float, rows: float, placement: Placement
) -> tuple[float, float, float, float]:
    """x, y, width, height of a box in an image of `columns` × `rows`, scaled and padded like its picture."""
    across, down = placement.width / columns, placement.height / rows
    x, y, width, height = box
    return placement.left + x * across, placement.top + y * down, width * across, height * down
