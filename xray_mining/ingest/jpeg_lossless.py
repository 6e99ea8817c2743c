"""JPEG lossless (ISO 10918-1, process 14), the syntax of most archived radiographs.

Kept because it takes a third of the time of `imagecodecs.jpeg8_decode` on real files (`make bench-jpeg_lossless`;
figures in docs/decoders.md). It decodes only what archives contain: one component, one scan, no restarts, nothing after
the end. For any other kind `decoded` raises OtherKind, and the caller uses a library.
"""

from functools import lru_cache
from typing import Any

import numpy as np

from xray_mining.kernels import compiled

_INDEX_BITS = 12
"""Bits that are looked up at once: more would need a table too large for the processor's first cache."""
_MOST_DIFFERENCES = 3
"""Largest number of differences in one entry of the table."""
_LOOKUPS = 4
"""Bytes that may be read between two checks of the file's length."""
_SOF3, _DHT, _SOI, _EOI, _SOS, _DQT, _DRI, _COM = 0xC3, 0xC4, 0xD8, 0xD9, 0xDA, 0xDB, 0xDD, 0xFE
_OF_APPLICATIONS = range(0xE0, 0xF0)
# One grey pixel of 8 bits.
_SMALLEST = "ffd8ffc3000b080001000101011100ffc40014000100000000000000000000000000000000ffda00080101000100007fffd9"


class OtherKind(ValueError):
    """A kind of picture that this decoder does not support."""


def prepare() -> None:
    """Compile or load the kernels; compiling takes seconds at the first use on a machine."""
    decoded(bytes.fromhex(_SMALLEST))


def decoded(data: Any) -> np.ndarray:
    """The picture of a lossless JPEG, (rows, columns) uint8 up to 8 bits and else uint16.

    Raises OtherKind for an unsupported kind, ValueError for damage, IndexError for a header that is cut off.
    """
    stream = np.frombuffer(data, np.uint8)
    precision, rows, columns, predictor, codes, start = _before_the_scan(bytes(stream[:65536]))
    picture = np.empty((rows, columns), np.uint16)
    if not _decode(stream[start:], predictor, precision, _tables(codes, predictor == 1), picture):
        raise ValueError("damaged")
    return picture.astype(np.uint8) if precision <= 8 else picture


def _before_the_scan(head: bytes) -> tuple[int, int, int, int, bytes, int]:
    """Precision, rows, columns, predictor, the code table as stored, and the offset of the scan's bits."""
    tables: dict[int, bytes] = {}
    frame = None
    if head[:2] != bytes((0xFF, _SOI)):
        raise OtherKind("no JPEG")
    at = 2
    while at + 4 <= len(head) and head[at] == 0xFF:
        marker, size = head[at + 1], int.from_bytes(head[at + 2 : at + 4], "big")
        body = head[at + 4 : at + 2 + size]
        at += 2 + size
        if marker == _DHT:
            while len(body) > 17:
                stop = 17 + sum(body[1:17])
                tables[body[0]] = body[1:stop]
                body = body[stop:]
        elif marker == _SOF3 and frame is None:
            precision, components = body[0], body[5]
            frame = precision, int.from_bytes(body[1:3], "big"), int.from_bytes(body[3:5], "big"), components
        elif marker == _SOS and frame is not None and len(body) == 6:
            precision, rows, columns, components = frame
            of_scan, _, which, predictor, _, point_transform = body
            codes = tables.get(which >> 4)
            fits = of_scan == components == 1 and point_transform == 0 and rows and columns and 2 <= precision <= 16
            if not fits or codes is None or not 1 <= predictor <= 7:
                raise OtherKind("of another kind")
            return precision, rows, columns, predictor, codes, at
        elif marker not in (_DQT, _COM) and marker not in _OF_APPLICATIONS:
            # Restarts are left to a library. With two frames, a later one could replace the one that was checked here.
            raise OtherKind("of another kind")
    raise OtherKind("no scan")


@lru_cache(16)
def _tables(codes: bytes, summed: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """By 16 bits: length and symbol of the code that they begin with; by `_INDEX_BITS` bits: entries of `_pack`."""
    lengths, symbols = np.zeros(65536, np.uint8), np.zeros(65536, np.uint8)
    code, place = 0, 16
    for length in range(1, 17):
        for _ in range(codes[length - 1]):
            first, number = code << (16 - length), 1 << (16 - length)
            if place >= len(codes) or first + number > 65536 or codes[place] > 16:
                raise ValueError("a damaged table")
            lengths[first : first + number], symbols[first : first + number] = length, codes[place]
            code, place = code + 1, place + 1
        code <<= 1
    table = np.zeros(1 << _INDEX_BITS, np.uint64)
    _pack(lengths, symbols, summed, table)
    return lengths, symbols, table


@compiled
def _difference(symbol: Any, bits: Any) -> Any:
    """The difference for a symbol and its extra bits (table H.2); symbol 16 has no extra bits and means 32768."""
    if symbol == 0:
        return 0
    if symbol == 16:
        return 32768
    return bits if bits >> (symbol - 1) else bits - (1 << symbol) + 1


@compiled
def _pack(lengths: Any, symbols: Any, summed: Any, table: Any) -> None:
    """For each index, the differences that it contains completely, as running sums: three times 16 bits.

    The next 8 bits hold their number, and the 8 bits above the number of bits that they use.
    """
    for index in range(len(table)):
        used, number, entry, before = 0, 0, 0, 0
        while number < _MOST_DIFFERENCES:
            left = _INDEX_BITS - used
            start = (index << (16 - left)) & 0xFFFF
            length, symbol = np.int64(lengths[start]), np.int64(symbols[start])
            extra = 0 if symbol == 16 else symbol
            if length == 0 or length + extra > left:
                break
            bits = (index >> (left - length - extra)) & ((1 << extra) - 1)
            value = _difference(symbol, bits) + (before if summed else 0)
            entry |= (value & 0xFFFF) << (16 * number)
            before = value
            used += length + extra
            number += 1
        if summed:
            # Unused entries repeat the last sum.
            for place in range(number, _MOST_DIFFERENCES):
                entry |= (before & 0xFFFF) << (16 * place)
        table[index] = np.uint64(entry) | np.uint64(number) << np.uint64(48) | np.uint64(used) << np.uint64(56)


@compiled
def _filled(data: Any, at: Any, window: Any, have: Any) -> Any:
    """The window with 56 bits or more: window, its bits, the next place in `data`, and how many bits are added zeros.

    A byte 0 after a byte 0xFF is no data. At a marker and after the end, zeros are added.
    """
    if at + 8 <= len(data):
        word, place = np.uint64(0), np.uint64(at)
        for step in range(8):
            word = word << np.uint64(8) | np.uint64(data[place + np.uint64(step)])
        # A byte 0xFF has a meaning of its own (the test for a byte 0, of the inverse).
        marks = (~word - np.uint64(0x0101010101010101)) & word & np.uint64(0x8080808080808080)
        if marks == np.uint64(0):
            return window | word >> np.uint64(have), have | 56, at + ((63 - have) >> 3), 0
    zeros = 0
    while have <= 56:
        byte = 0
        if at + 1 < len(data) and (data[at] != 0xFF or data[at + 1] == 0):
            byte = data[at]
            at += 2 if byte == 0xFF else 1
        else:
            zeros += 8
        window |= np.uint64(byte) << np.uint64(56 - have)
        have += 8
    return window, have, at, zeros


@compiled
def _one(window: Any, lengths: Any, symbols: Any) -> Any:
    """Bits that the first code of the window takes with its extra ones, and its difference; 0 bits where it is none."""
    code = window >> np.uint64(48)
    length, symbol = np.int64(lengths[code]), np.int64(symbols[code])
    if length == 0:
        return 0, 0
    extra = 0 if symbol == 16 else symbol
    bits = np.int64(window << np.uint64(length) >> np.uint64(64 - extra)) if extra else 0
    return length + extra, _difference(symbol, bits)


@compiled
def _decode(data: Any, predictor: Any, precision: Any, tables: Any, picture: Any) -> Any:
    """Fill `picture` from a scan; False if its bits are no valid code, or end before or after the last pixel."""
    lengths, symbols, table = tables
    rows, columns = picture.shape
    line = np.empty(columns, np.int16)
    # With prediction from the left, a pixel is the sum of the differences before it.
    kept = -1 if predictor == 1 else 0
    at, end = 0, len(data)
    # The next bits, most significant first; their number; and how many of them are zeros added after the end.
    window, have, made_up = np.uint64(0), 0, 0
    for y in range(rows):
        x, before = 0, 0
        while x < columns:
            if have < 56:
                window, have, at, zeros = _filled(data, at, window, have)
                made_up += zeros
            short = x + _LOOKUPS * _MOST_DIFFERENCES > columns
            for _ in range(0 if short else _LOOKUPS):
                entry = table[window >> np.uint64(64 - _INDEX_BITS)]
                number = np.int64(entry >> np.uint64(48)) & 0xFF
                if number == 0:
                    short = True
                    break
                line[x] = np.int16(before + np.int64(entry & np.uint64(0xFFFF)))
                line[x + 1] = np.int16(before + np.int64((entry >> np.uint64(16)) & np.uint64(0xFFFF)))
                third = before + np.int64((entry >> np.uint64(32)) & np.uint64(0xFFFF))
                line[x + 2] = np.int16(third)
                before = third & kept
                used = entry >> np.uint64(56)
                window <<= used
                have -= np.int64(used)
                x += number
            if short and have >= 32:
                # One by one: a code that the table does not hold, or the end of a row, after which nothing is read.
                taken, difference = _one(window, lengths, symbols)
                if taken == 0:
                    return False
                window <<= np.uint64(taken)
                have -= taken
                value = before + difference
                line[x] = np.int16(value)
                before = value & kept
                x += 1
        first = np.int64(picture[y - 1, 0]) if y else 1 << (precision - 1)
        if predictor == 1:
            for x in range(columns):
                picture[y, x] = np.uint16((first + line[x]) & 0xFFFF)
        else:
            _undo(line, first, predictor if y else 1, picture[max(y - 1, 0)], picture[y])
        if made_up > have:
            # A few bytes may state a picture of gigabytes: stop as soon as the data end.
            return False
    # All bits were present, and less than a byte of them is left before the end mark.
    return have >= made_up and have - made_up < 8 and at + 1 < end and data[at] == 0xFF and data[at + 1] == _EOI


@compiled
def _undo(line: Any, first: Any, predictor: Any, above: Any, row: Any) -> None:
    """Differences → a row, modulo 65536, by the predictors of table H.1; `first` is added to its first pixel."""
    row[0] = np.uint16((first + line[0]) & 0xFFFF)
    for x in range(1, len(row)):
        a, b, c = np.int64(row[x - 1]), np.int64(above[x]), np.int64(above[x - 1])
        if predictor == 1:
            guess = a
        elif predictor == 2:
            guess = b
        elif predictor == 3:
            guess = c
        elif predictor == 4:
            guess = a + b - c
        elif predictor == 5:
            guess = a + ((b - c) >> 1)
        elif predictor == 6:
            guess = b + ((a - c) >> 1)
        else:
            guess = (a + b) >> 1
        row[x] = np.uint16((guess + line[x]) & 0xFFFF)
