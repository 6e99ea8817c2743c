"""Locks between processes: one lock is one file, or a range of slices in one file."""

import errno
import fcntl
import os
import struct
import sys
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

from xray_mining.errors import CannotFinish, disk_error

if TYPE_CHECKING:
    from filelock import FileLock

PATIENCE_S = 1.0
"""A shorter wait is not reported; `alive` is called this often."""

_ALL = 1 << 40
_GUARD = threading.Lock()
_THREADS: dict[Path, threading.Lock] = {}
_OWNER = struct.Struct("@hhqqi4x")
"""Linux's struct flock: type, whence, start, length, process."""


@contextmanager
def lock(path: Path, wait: bool = True, alive: Callable[[], None] | None = None, what: str = "") -> Generator[int]:
    """Hold the lock `path` while the block runs; threads of one process exclude each other too.

    Args:
        path: The lock file; it stays when the lock is released.
        wait: Whether to wait while another process or thread holds the lock.
        alive: Called again and again during a long wait.
        what: The sentence for a long wait or a refusal, without its end; by default it names the lock file.

    Yields:
        The file descriptor. A child process that inherits it holds the lock for as long as it lives.

    Raises:
        CannotFinish: If the file cannot be written, or if `wait` is False and the lock is held.
    """
    from filelock import FileLock

    descriptors: list[int] = []
    # A soft lock (a file whose presence is the lock) would survive a killed process, so it is no fallback here.
    held = FileLock(path, thread_local=False, fallback_to_soft=False, on_acquired=descriptors.append)
    path.parent.mkdir(parents=True, exist_ok=True)
    if not _acquired(held, path, PATIENCE_S if wait else 0.0):
        sentence = what or f"{path.name}: another command holds this lock"
        if not wait:
            raise CannotFinish(f"{sentence}; wait for it and repeat")
        print(f"{sentence}; waiting for it", file=sys.stderr, flush=True)
        if alive is not None:
            alive()
        while not _acquired(held, path, -1.0 if alive is None else PATIENCE_S):
            assert alive is not None
            alive()
    try:
        yield descriptors[0]
    finally:
        held.release()


def _acquired(held: "FileLock", path: Path, seconds: float) -> bool:
    """Whether the lock was acquired within `seconds`; a negative number waits without end."""
    from filelock import Timeout

    try:
        held.acquire(timeout=seconds, poll_interval=0.02)
    except Timeout:
        return False
    except OSError as error:
        raise disk_error(error, path) from error
    return True


@contextmanager
def lock_slices(path: Path, slices: tuple[int, int] | None, what: str) -> Generator[None]:
    """Hold slices of work (from the first up to the last, None for all) while the block runs, and no others.

    Waits while another process holds one of them, and prints to standard error `what` (process N). The lock belongs to
    the process and ends with it, also when it is killed. fcntl is used because filelock locks whole files only.
    Threads of one process wait for one another, whatever their slices.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    first, last = slices or (0, _ALL)
    # For fcntl a length of 0 means "to the end of the file".
    last = max(last, first + 1)
    # For fcntl all threads of a process are one owner, and closing one handle of a file gives up all its locks.
    with _own_threads(path):
        try:
            handle = path.open("a")
        except OSError as error:
            raise disk_error(error, path) from error
        yield from _held(handle, path, first, last, what)


def _own_threads(path: Path) -> threading.Lock:
    """The lock between threads of this process for one file."""
    with _GUARD:
        return _THREADS.setdefault(path.resolve(), threading.Lock())


def _held(handle: IO[str], path: Path, first: int, last: int, what: str) -> Generator[None]:
    with handle:
        try:
            fcntl.lockf(handle, fcntl.LOCK_EX | fcntl.LOCK_NB, last - first, first)
        except OSError as error:
            if error.errno not in (errno.EACCES, errno.EAGAIN):
                raise disk_error(error, path) from error
            print(f"{what}{_owner(handle, first, last)}; waiting until it has ended", file=sys.stderr, flush=True)
            fcntl.lockf(handle, fcntl.LOCK_EX, last - first, first)
        yield


def _owner(handle: IO[str], first: int, last: int) -> str:
    """Which process holds the slices, as " (process 123)"; empty where the system does not say."""
    asked = _OWNER.pack(fcntl.F_WRLCK, os.SEEK_SET, first, last - first, 0)
    try:
        kind, _, _, _, process = _OWNER.unpack(fcntl.fcntl(handle, fcntl.F_GETLK, asked))
    except (OSError, struct.error):
        return ""
    return f" (process {process})" if kind != fcntl.F_UNLCK and process > 0 else ""
