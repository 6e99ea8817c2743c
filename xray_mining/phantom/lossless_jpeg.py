"""Lossless JPEG with first-order prediction (ITU-T T.81 Annex H, process 14, selection value 1).

Written here because no codec among the dependencies writes this variant, the most common in DICOM.
"""

import struct
from functools import cache

import numpy as np
from numba import njit

# Code lengths by category (bits of the difference), near the best for radiographs; any prefix code would be valid.
_LENGTHS = (4, 4, 3, 3, 3, 3, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13)


@cache
def _table() -> tuple[np.ndarray, np.ndarray, bytes]:
    """Code and length per category, and the DHT segment's body."""
    order = sorted(range(len(_LENGTHS)), key=lambda category: (_LENGTHS[category], category))
    codes, code, before = np.zeros(len(_LENGTHS), np.int64), 0, _LENGTHS[order[0]]
    for category in order:
        code <<= _LENGTHS[category] - before
        codes[category], before = code, _LENGTHS[category]
        code += 1
    counts = bytes(sum(length == bits for length in _LENGTHS) for bits in range(1, 17))
    return codes, np.array(_LENGTHS, np.int64), counts + bytes(order)


@njit(cache=True)
def _scan(values: np.ndarray, precision: int, codes: np.ndarray, lengths: np.ndarray, out: np.ndarray) -> int:
    rows, columns = values.shape
    held, bits, place = np.uint64(0), 0, 0
    for row in range(rows):
        for column in range(columns):
            if column > 0:
                predicted = np.int64(values[row, column - 1])
            elif row > 0:
                predicted = np.int64(values[row - 1, 0])
            else:
                predicted = np.int64(1) << (precision - 1)
            difference = np.int64(values[row, column]) - predicted
            size, left = 0, abs(difference)
            while left:
                size += 1
                left >>= 1
            held = (held << np.uint64(lengths[size])) | np.uint64(codes[size])
            bits += lengths[size]
            if 0 < size < 16:
                tail = difference if difference > 0 else difference + (np.int64(1) << size) - 1
                held = (held << np.uint64(size)) | np.uint64(tail)
                bits += size
            while bits >= 8:
                byte = (held >> np.uint64(bits - 8)) & np.uint64(255)
                out[place] = byte
                place += 1
                bits -= 8
                if byte == 255:
                    out[place] = 0
                    place += 1
            held &= (np.uint64(1) << np.uint64(bits)) - np.uint64(1)
    if bits:
        byte = ((held << np.uint64(8 - bits)) | np.uint64((1 << (8 - bits)) - 1)) & np.uint64(255)
        out[place] = byte
        place += 1
        if byte == 255:
            out[place] = 0
            place += 1
    return place


def encode(values: np.ndarray, precision: int = 16) -> bytes:
    """A lossless JPEG stream of (rows, columns) uint16 values of at most `precision` bits (up to 15)."""
    codes, lengths, table = _table()
    rows, columns = values.shape
    out = np.empty(values.size * 8 + 64, np.uint8)
    used = _scan(np.ascontiguousarray(values), precision, codes, lengths, out)
    return b"".join([
        b"\xff\xd8",
        b"\xff\xc3" + struct.pack(">HBHHBBBB", 11, precision, rows, columns, 1, 1, 0x11, 0),
        b"\xff\xc4" + struct.pack(">HB", 3 + len(table), 0) + table,
        b"\xff\xda" + struct.pack(">HBBBBBB", 8, 1, 1, 0, 1, 0, 0),
        out[:used].tobytes(),
        b"\xff\xd9",
    ])  # fmt: skip
