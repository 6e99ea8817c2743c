"""Settings of the whole process (warning filters, log levels, options of libraries), changed for a block only.

Threads share such a setting: if each block saves, changes and restores it, the change can remain when another thread
did the same in between. Here the first block that needs a change makes it, and the last one undoes it.
"""

import logging
import os
import warnings
from collections.abc import Callable, Generator, Mapping
from contextlib import AbstractContextManager, contextmanager
from threading import Lock


class Shared:
    """A change of the process that several threads share: made by the first block, undone after the last.

    Example:
        >>> import logging
        >>> quiet = Shared(lambda: log_level("some.library", logging.ERROR))
        >>> with quiet, quiet:
        ...     logging.getLogger("some.library").level == logging.ERROR
        True
        >>> logging.getLogger("some.library").level == logging.NOTSET
        True
    """

    def __init__(self, make: Callable[[], AbstractContextManager[object]]) -> None:
        self._make = make
        self._lock = Lock()
        self._blocks = 0
        self._change: AbstractContextManager[object] | None = None

    def __enter__(self) -> None:
        with self._lock:
            if self._change is None:
                change = self._make()
                change.__enter__()
                self._change = change
            self._blocks += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._blocks -= 1
            if not self._blocks and self._change is not None:
                change, self._change = self._change, None
                change.__exit__(None, None, None)


@contextmanager
def log_level(name: str, level: int) -> Generator[None]:
    """A logger's level while the block runs; use it through `Shared`."""
    logger = logging.getLogger(name)
    before = logger.level
    logger.setLevel(level)
    try:
        yield
    finally:
        logger.setLevel(before)


@contextmanager
def attribute(owner: object, name: str, value: object) -> Generator[None]:
    """An attribute's value while the block runs; use it through `Shared`."""
    before = getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, before)


@contextmanager
def environment(values: Mapping[str, str]) -> Generator[None]:
    """Environment variables while the block runs; use it through `Shared`."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


_WARNINGS = Shared(warnings.catch_warnings)


@contextmanager
def warning_filters(*filters: Callable[[], object]) -> Generator[None]:
    """`warnings.catch_warnings` for threads: the filters are restored when the last such block of any thread ends.

    Until then they are valid for all threads. So no check may depend on a filter, and one that ignores warnings names
    their category or module.

    Args:
        filters: Each adds one filter, as `partial(warnings.simplefilter, "ignore", ConvergenceWarning)` does.
    """
    with _WARNINGS:
        for add in filters:
            add()
        yield
