"""numba for the kernels: they are compiled once on each machine and cached on disk."""

from collections.abc import Callable
from typing import Any


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile `function` to machine code.

    numba caches it beside the source, or in the user's cache folder if the package's folder is read-only (or where
    NUMBA_CACHE_DIR says); with neither, each process compiles anew.
    """
    import numba

    try:
        return numba.njit(nogil=True, cache=True)(function)
    except RuntimeError:
        # numba found no folder for its cache.
        return numba.njit(nogil=True)(function)
