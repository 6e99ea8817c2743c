"""Several arrays in one file, each in .npy format: written atomically, read through a memory map."""

import math
import mmap
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from xray_mining.workspace import write_atomically

Array = np.ndarray[Any, Any]

_ALIGNED = 64


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
            ValueError: If the file is cut off or is not a file of `write_arrays`.
    """
    with path.open("rb") as file:
        held = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    if at_random:
        held.madvise(mmap.MADV_RANDOM)
    arrays = []
    while held.tell() < len(held):
        held.seek(held.tell() + -held.tell() % _ALIGNED)
        if np.lib.format.read_magic(held) != (1, 0):
            raise ValueError("an array of another format")
        shape, _, dtype = np.lib.format.read_array_header_1_0(held)
        start, count = held.tell(), math.prod(shape)
        flat = np.frombuffer(held, dtype, count, start) if count else np.empty(0, dtype)
        arrays.append(flat.reshape(shape))
        held.seek(start + count * dtype.itemsize)
    return arrays


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
