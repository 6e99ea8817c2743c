"""Torch's random numbers and its rounding on GPUs: both are settings of the whole process, so threads take turns.

Without turns, a thread that fits a network would change the random numbers of another's dropout, or its rounding in
the middle of a step, and the same study would give other models than without the other thread.
"""

from collections.abc import Generator
from contextlib import contextmanager
from threading import Condition, Lock

import torch

_SEEDED = Lock()


@contextmanager
def seeded(seed: int) -> Generator[None]:
    """Draw torch's random numbers by `seed` while the block runs; such blocks of other threads wait.

    The state from before is restored, so that other users of torch in this process are not affected.
    """
    # A GPU that is not in use yet has no state to restore.
    gpus = torch.cuda.device_count() if torch.cuda.is_initialized() else 0
    with _SEEDED, torch.random.fork_rng(devices=range(gpus)):
        torch.manual_seed(seed)
        yield


@contextmanager
def undisturbed() -> Generator[None]:
    """Let no block of `seeded` run meanwhile: for code that saves and restores torch's random state by itself."""
    with _SEEDED:
        yield


class Turns:
    """Turns between two kinds of blocks: several of one kind may run at once, and those of the other kind wait."""

    def __init__(self) -> None:
        self._changed = Condition()
        self._running = {True: 0, False: 0}

    @contextmanager
    def of(self, first: bool) -> Generator[None]:
        """A block of the first kind, or of the second; a block within another of its own kind does not wait."""
        with self._changed:
            self._changed.wait_for(lambda: not self._running[not first])
            self._running[first] += 1
        try:
            yield
        finally:
            with self._changed:
                self._running[first] -= 1
                self._changed.notify_all()
