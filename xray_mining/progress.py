"""One progress bar on standard error, one closing summary on standard output."""

import dataclasses
import io
import json
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Protocol

from tqdm import tqdm


class Bar(Protocol):
    """How far long work is."""

    def advance(self, count: int = 1, **counts: int) -> None:
        """Count `count` more units as done; `counts` are shown beside the bar (kept=12, rejected=3)."""


REPORT_SECONDS = 2.0
"""Seconds between two reports to a listener."""

_listener: ContextVar[Callable[[str], None] | None] = ContextVar("listener", default=None)


def report_to(listener: Callable[[str], None] | None) -> None:
    """From now on call `listener` with progress as text instead of drawing a bar; None: draw the bar again."""
    _listener.set(listener)


class _TextReports(io.StringIO):
    """A stream that passes each text that the bar writes to a listener."""

    def __init__(self, listener: Callable[[str], None]) -> None:
        super().__init__()
        self.listener = listener

    def write(self, text: str) -> int:
        if text.strip():
            self.listener(" ".join(text.split()))
        return len(text)


class _Tqdm(tqdm):
    """A bar that shows its pace in words: tqdm writes slow work as 107.37s/fits."""

    @property
    def format_dict(self) -> dict[str, Any]:
        """The names that a bar's format may use, among them `pace`."""
        known = super().format_dict
        done, elapsed = known["n"] - known["initial"], known["elapsed"]
        rate = known["rate"] or (done / elapsed if elapsed > 0 else 0.0)
        return {**known, "pace": pace(rate, known["unit"].strip())}


def pace(rate: float, unit: str) -> str:
    """The speed of work in words; `unit` is a plural, `rate` the units per second.

    Example:
        >>> pace(0.25, "fits"), pace(1200.0, "images")
        ('4 s a fit', '1,200 images a second')
    """
    if rate <= 0:
        return "pace not known yet"
    if rate >= 1:
        return f"{rate:,.0f} {unit} a second"
    one = f"a {unit.removesuffix('s')}"
    seconds = 1 / rate
    return f"{seconds:.0f} s {one}" if seconds < 100 else f"{seconds / 60:.0f} min {one}"


@dataclasses.dataclass(slots=True)
class _Bar:
    bar: tqdm

    def advance(self, count: int = 1, **counts: int) -> None:
        if counts:
            self.bar.set_postfix(counts, refresh=False)
        self.bar.update(count)


@contextmanager
def progress(total: int | None, label: str, unit: str = "images", done: int = 0) -> Generator[Bar]:
    """A bar with rate and time left while the block runs; silent if standard error is not a terminal.

    `done` counts units that an earlier, interrupted run finished: they fill the bar but do not enter the rate.
    """
    listener = _listener.get()
    reported = listener is not None
    words = "{n_fmt} of {total_fmt}{unit}, {pace}, {remaining} left{postfix}"
    with _Tqdm(
        total=total,
        desc=label,
        unit=f" {unit}",
        initial=done,
        dynamic_ncols=not reported,
        disable=not (reported or sys.stderr.isatty()),
        file=_TextReports(listener) if listener else sys.stderr,
        mininterval=REPORT_SECONDS if reported else 0.2,
        bar_format=words if reported else "{l_bar}{bar}| " + words,
    ) as bar:
        yield _Bar(bar)


class Summary(Protocol):
    """What a command prints when it ends: a frozen dataclass with a text form."""

    def lines(self) -> list[str]:
        """The summary as lines for people; the dataclass's fields are the same summary as JSON."""


def say(summary: Summary, as_json: bool) -> None:
    """Print a command's closing summary: lines for people, or one JSON object with the same content."""
    if as_json:
        fields = dataclasses.asdict(summary)  # ty: ignore[invalid-argument-type]
        print(json.dumps(fields, default=str, ensure_ascii=False))
    else:
        print("\n".join(summary.lines()))
