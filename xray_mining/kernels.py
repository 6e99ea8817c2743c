"""numba for the kernels: compiled once a machine and kept on disk."""

from collections.abc import Callable
from typing import Any


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """`function` in machine code.

    numba keeps it beside the source, or in the user's cache folder where the package may not be written to (or where
    NUMBA_CACHE_DIR says); with neither, each process compiles anew.
    """
    import numba

    try:
        return numba.njit(nogil=True, cache=True)(function)
    except RuntimeError:
        return numba.njit(nogil=True)(function)
