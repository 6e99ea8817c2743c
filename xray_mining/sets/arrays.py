"""Several arrays in one file, each in .npy format: written atomically, read through a memory map."""

import math
import mmap
import struct
import tokenize
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xxhash

from xray_mining.workspace import write_atomically

Array = np.ndarray[Any, Any]

_ALIGNED = 64
_DAMAGED = (ValueError, TypeError, SyntaxError, tokenize.TokenError, MemoryError, OverflowError, struct.error)
"""Errors of numpy's reader for headers with altered bytes."""


def write_arrays(path: Path, arrays: Sequence[Array]) -> None:
    """Write arrays to one file, atomically; `numpy.load` can read the first of them too."""
    with write_atomically(path) as scratch, scratch.open("wb") as file:
        for each in arrays:
            file.write(bytes(-file.tell() % _ALIGNED))
            np.lib.format.write_array(file, np.ascontiguousarray(each), version=(1, 0), allow_pickle=False)


def open_arrays(path: Path, at_random: bool = False) -> list[Array]:
    """The arrays of a file, read-only: a page of the file is read when one of its numbers is.

    Args:
        path: A file of `write_arrays`.
        at_random: Whether few rows will be read, so that the system should not read ahead.

    Raises:
        ValueError: If the file is cut off, has a damaged header, or is not a file of `write_arrays`.
    """
    with path.open("rb") as file:
        held = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    if at_random:
        held.madvise(mmap.MADV_RANDOM)
    arrays = []
    while held.tell() < len(held):
        held.seek(held.tell() + -held.tell() % _ALIGNED)
        arrays.append(_next_array(held))
    return arrays


def write_checked(path: Path, arrays: Sequence[Array]) -> None:
    """`write_arrays` with a checksum as one more array, for files that `open_checked` reads."""
    write_arrays(path, [*arrays, np.array([checksum(arrays)], np.uint64)])


def open_checked(path: Path) -> list[Array]:
    """The arrays of a file of `write_checked`; unlike `open_arrays` it reads the whole file.

    Raises:
        ValueError: If one bit differs from what was written.
    """
    *arrays, told = open_arrays(path)
    if told.shape != (1,) or int(told[0]) != checksum(arrays):
        raise ValueError("the content differs from its checksum")
    return arrays


def checksum(arrays: Iterable[Array]) -> int:
    """64 bits of the types, shapes and bytes of some arrays, to find damage of disks and copies."""
    total = xxhash.xxh3_64()
    for each in arrays:
        total.update(f"{each.dtype.str}{each.shape}".encode())
        total.update(np.ascontiguousarray(each).data)
    return total.intdigest()


def checksums_of_rows(matrix: Array) -> Array:
    """64 bits of the bytes of each row, (n,) uint64."""
    return np.fromiter(map(xxhash.xxh3_64_intdigest, np.ascontiguousarray(matrix)), np.uint64, len(matrix))


def _next_array(held: mmap.mmap) -> Array:
    """The array that begins at the present position of a file, which is moved to the array's end."""
    try:
        if np.lib.format.read_magic(held) != (1, 0):
            raise ValueError("an array of another format")
        shape, by_columns, dtype = np.lib.format.read_array_header_1_0(held)
        start, count = held.tell(), math.prod(shape)
        if by_columns or not dtype.isnative or min(shape, default=0) < 0:
            raise ValueError("an array of another order")
        flat = np.frombuffer(held, dtype, count, start) if count else np.empty(0, dtype)
        held.seek(start + count * dtype.itemsize)
        return flat.reshape(shape)
    except _DAMAGED as error:
        raise ValueError(f"not a readable array ({type(error).__name__})") from error


def texts(values: Iterable[str]) -> Array:
    """Texts as an array of fixed-width bytes that a file can hold, (n,) S."""
    encoded = [each.encode() for each in values]
    return np.array(encoded, dtype="S") if encoded else np.empty(0, "S1")


def place_in(ordered: Array, wanted: Array) -> Array:
    """Index of each wanted text in a sorted array of texts, (n,) int64; -1 if it is missing."""
    if not len(ordered):
        return np.full(len(wanted), -1)
    # Compare in one width: for wider texts numpy would copy the whole sorted array.
    same = wanted.astype(ordered.dtype)
    found = np.minimum(np.searchsorted(ordered, same), len(ordered) - 1)
    return np.where((ordered[found] == same) & (np.strings.str_len(wanted) <= ordered.dtype.itemsize), found, -1)
