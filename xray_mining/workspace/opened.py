"""What an open workspace keeps open between calls: connections, stores and sets, each made once."""

import time
from collections.abc import Callable, Hashable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock, RLock
from typing import Any, TypeVar

from xray_mining.errors import UserError

Thing = TypeVar("Thing")


@dataclass(slots=True)
class _Slot:
    lock: Any = field(default_factory=RLock)
    state: Hashable = None
    thing: Any = None
    made: bool = False


class Opened:
    """Things that stay open until the workspace is closed. Safe in threads: the first caller makes, the others wait."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._slots: dict[Hashable, _Slot] = {}
        self._closed = False

    def get(self, key: Hashable, make: Callable[[], Thing], state: Hashable = None) -> Thing:
        """The thing under `key`, made if missing, and made again when `state` differs from the last call's.

        A replaced thing is not closed here, because other threads may still use it: it closes itself when the last
        reference to it goes.
        """
        with self._lock:
            self.refuse_closed()
            slot = self._slots.setdefault(key, _Slot())
        with slot.lock:
            # It may have been closed while this thread waited; then nothing would close the new object.
            self.refuse_closed()
            if not slot.made or slot.state != state:
                slot.thing, slot.state, slot.made = make(), state, True
            return slot.thing

    def refuse_closed(self) -> None:
        """UserError if `close` was called."""
        if self._closed:
            raise was_closed()

    def close(self) -> None:
        """Close everything that has a `close`, also if one of them fails; later calls of `get` raise UserError."""
        with self._lock:
            slots, self._slots, self._closed = list(self._slots.values()), {}, True
        with ExitStack() as closing:
            for slot in slots:
                with slot.lock:
                    close = getattr(slot.thing, "close", None)
                    slot.thing = None
                if close is not None:
                    closing.callback(close)


def was_closed() -> UserError:
    """What a call gets after its workspace was closed."""
    return UserError("the workspace was closed; open it again")


_SETTLED_NS = 2_000_000_000
"""File systems round times: a path that changed less than this ago may change again and keep the same time."""


def times_of(places: Iterable[Path]) -> Hashable:
    """Modification times of files and folders, as a state for `Opened.get`; missing paths are left out.

    Parts are renamed into their folders, so a folder's time changes with every new, replaced or removed part. A state
    taken shortly after a change equals no other state, so that a second change within one tick of the file system is
    not missed.
    """
    times = tuple((str(place), place.stat().st_mtime_ns) for place in places if place.exists())
    latest = max((changed for _, changed in times), default=0)
    return (*times, object()) if time.time_ns() - latest < _SETTLED_NS else times
