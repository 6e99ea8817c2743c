"""Finds the elements of a DICOM header in memory: the position of each, without reading values."""

from typing import Any

import numpy as np
from pydicom.valuerep import EXPLICIT_VR_LENGTH_32, VR

from xray_mining.kernels import compiled

ITEM, ITEM_END, SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_UNDEFINED = 0xFFFFFFFF
_DEEPEST = 16
"""Depth of nested sequences; a deeper header is read by pydicom."""
_UNKNOWN, _SHORT, _LONG, _OF_ITEMS = range(4)
"""Value representations by the form of their length field."""


def _kinds() -> np.ndarray:
    """Form of the length field of each value representation, by its two letters as a number."""
    kinds = np.full(65536, _UNKNOWN, np.uint8)
    for each in (str(each) for each in VR):
        if len(each) == 2:
            kinds[int.from_bytes(each.encode(), "little")] = _LONG if each in EXPLICIT_VR_LENGTH_32 else _SHORT
    kinds[int.from_bytes(b"SQ", "little")] = _OF_ITEMS
    return kinds


_KINDS = _kinds()


def prepare() -> None:
    """Compile or load the kernels before work begins; compiling takes seconds, which must not count for a file."""
    places_of(bytes(8), 0, 8, implicit=True, last=0, wanted=np.empty(0, np.int64))


def places_of(
    data: bytes, start: int, stop: int, *, implicit: bool, last: int, wanted: np.ndarray
) -> tuple[list[list[int]], int]:
    """Tag, position of the element, start and end of its value for each of the `wanted` tags, (n,) int64 and sorted.

    Also the position of the first tag after `last`, or of the end; -1 if the header breaks the standard: tags out of
    order, wrong lengths, unknown value representations, or elements of a command.
    """
    places = np.empty((len(wanted), 4), np.int64)
    number, at = _walk(np.frombuffer(data, np.uint8), (start, stop), implicit, last, wanted, _KINDS, places)
    return places[:number].tolist(), at


@compiled
def _two_bytes(data: Any, at: Any) -> Any:
    return np.int64(data[at]) | np.int64(data[at + 1]) << 8


@compiled
def _four_bytes(data: Any, at: Any) -> Any:
    return _two_bytes(data, at) | _two_bytes(data, at + 2) << 16


@compiled
def _tag(data: Any, at: Any) -> Any:
    return _two_bytes(data, at) << 16 | _two_bytes(data, at + 2)


@compiled
def _value_of(data: Any, at: Any, end: Any, implicit: Any, kinds: Any) -> tuple[Any, Any, Any]:
    """Start and length of the value of the element at `at`, and whether the length may be undefined; -1 if invalid."""
    if implicit:
        return at + 8, _four_bytes(data, at + 4), True
    kind = kinds[_two_bytes(data, at + 4)]
    if kind >= _LONG:
        # A length field past the end of the buffer is invalid too.
        return (at + 12, _four_bytes(data, at + 8), kind == _OF_ITEMS) if at + 12 <= end else (-1, 0, False)
    if kind == _UNKNOWN:
        return -1, 0, False
    return at + 8, _two_bytes(data, at + 6), False


@compiled
def _end_of_items(data: Any, at: Any, end: Any, implicit: Any, kinds: Any) -> Any:
    """End of a sequence of undefined length that begins at `at`; -1 if it is invalid."""
    # Last tag seen in each enclosing open item; tags must increase within an item.
    tags_before = np.empty(_DEEPEST, np.int64)
    depth, before, in_item = 0, -1, False
    while at + 8 <= end:
        tag, length = _tag(data, at), _four_bytes(data, at + 4)
        if not in_item:
            at += 8
            if tag == SEQUENCE_END and length == 0:
                if depth == 0:
                    return at
                depth -= 1
                before, in_item = tags_before[depth], True
            elif tag != ITEM:
                return -1
            elif length == _UNDEFINED:
                before, in_item = -1, True
            else:
                at += length
        elif tag >= ITEM_END:
            if tag != ITEM_END or length != 0:
                return -1
            at += 8
            in_item = False
        else:
            start, length, may_be_open = _value_of(data, at, end, implicit, kinds)
            if start < 0 or tag <= before or tag >> 16 == 0x0004:
                return -1
            before = tag
            if length == _UNDEFINED:
                if not may_be_open or depth == _DEEPEST:
                    return -1
                tags_before[depth] = before
                depth += 1
                at, in_item = start, False
            else:
                at = start + length
    return -1


@compiled
def _walk(  # noqa: PLR0917  compiled: no keywords
    data: Any, span: Any, implicit: Any, last: Any, wanted: Any, kinds: Any, places: Any
) -> tuple[Any, Any]:
    """See `places_of`: fills `places`; returns their number and the position at which the walk stopped."""
    at, end = span
    number, next_wanted, before = 0, 0, -1
    while at + 8 <= end:
        tag = _tag(data, at)
        if tag > last:
            return number, at
        start, length, may_be_open = _value_of(data, at, end, implicit, kinds)
        if start < 0 or tag <= before or tag >> 16 == 0x0004:
            return number, -1
        before = tag
        if length == _UNDEFINED:
            after = _end_of_items(data, start, end, implicit, kinds) if may_be_open else -1
            stop = after - 8
        else:
            after = stop = start + length
        if after < 0 or after > end:
            return number, -1
        while next_wanted < len(wanted) and wanted[next_wanted] < tag:
            next_wanted += 1
        if next_wanted < len(wanted) and wanted[next_wanted] == tag:
            places[number, 0], places[number, 1], places[number, 2], places[number, 3] = tag, at, start, stop
            number += 1
        at = after
    return number, at if at == end else -1
