"""Meaning of stored values: bits, rescale or table, and the VOI window or table that shows them.

The formulas of PS3.3 C.7.6.3, C.11.1 and C.11.2 on arrays.
"""

import numpy as np

from xray_mining.archive.radiograph import Encoded, LookUp, Window


def stored_values(number: int, bits_stored: int, high_bit: int, signed: bool) -> np.ndarray:
    """The stored value of each bit pattern from 0 to `number` - 1, (number,) int64.

    Bits above the high bit are not part of the value (old overlays are stored there), nor are bits below its lowest
    one.
    """
    bits = min(bits_stored, number.bit_length() - 1)
    shift = max(min(high_bit, number.bit_length() - 2) - bits + 1, 0)
    values = (np.arange(number) >> shift) & ((1 << bits) - 1)
    return np.where(values >= 1 << (bits - 1), values - (1 << bits), values) if signed else values


def modality_values(stored: np.ndarray, encoded: Encoded) -> np.ndarray:
    """Stored values → values after the modality step, float64: by its table, else by slope and intercept."""
    if encoded.palette is not None:
        red, green, blue = (entries_of(stored, table).astype(np.float64) for table in encoded.palette)
        return 0.299 * red + 0.587 * green + 0.114 * blue
    if encoded.modality_lut is not None:
        return entries_of(stored, encoded.modality_lut).astype(np.float64)
    return stored * encoded.slope + encoded.intercept


def entries_of(values: np.ndarray, table: LookUp) -> np.ndarray:
    """The table's entry of each value."""
    # PS3.3 C.11.1.1: values before the first map to the first entry, values after the last to the last.
    places = np.clip(np.rint(values).astype(np.int64) - table.first, 0, len(table.values) - 1)
    return table.values[places]


def looked_up(values: np.ndarray, table: LookUp) -> np.ndarray:
    """Values through a VOI table, float64 in [0, 1]."""
    # Some writers state fewer bits than their entries use.
    top = max((1 << table.bits) - 1, int(table.values.max()), 1)
    return entries_of(values, table) / top


def windowed(values: np.ndarray, window: Window) -> np.ndarray:
    """Values through a VOI window, float64 in [0, 1] (PS3.3 C.11.2.1.2 and C.11.2.1.3)."""
    centre, width = window.centre, window.width
    if window.function == "SIGMOID":
        return 1 / (1 + np.exp(np.clip(-4 * (values - centre) / width, -700, 700)))
    if window.function == "LINEAR_EXACT":
        return np.clip((values - centre) / width + 0.5, 0, 1)
    if width <= 1:
        return (values > centre - 0.5).astype(np.float64)
    return np.clip((values - (centre - 0.5)) / (width - 1) + 0.5, 0, 1)
