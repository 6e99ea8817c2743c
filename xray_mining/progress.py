"""One progress bar on standard error, one closing summary on standard output."""

import dataclasses
import json
import sys
from collections.abc import Generator
from contextlib import contextmanager
from typing import Protocol

from tqdm import tqdm


class Bar(Protocol):
    """What long work tells about itself."""

    def advance(self, count: int = 1, **counts: int) -> None:
        """`count` more units are done; `counts` stand beside the bar (kept=12, rejected=3)."""


@dataclasses.dataclass(slots=True)
class _Bar:
    bar: tqdm

    def advance(self, count: int = 1, **counts: int) -> None:
        if counts:
            self.bar.set_postfix(counts, refresh=False)
        self.bar.update(count)


@contextmanager
def progress(total: int | None, label: str, unit: str = "images", done: int = 0) -> Generator[Bar]:
    """A bar with rate and time left while the block runs; silent where standard error is not a terminal.

    `done` counts units that an earlier, interrupted run has already finished: they fill the bar, not the rate.
    """
    with tqdm(
        total=total,
        desc=label,
        unit=f" {unit}",
        initial=done,
        dynamic_ncols=True,
        disable=not sys.stderr.isatty(),
        file=sys.stderr,
        mininterval=0.2,
    ) as bar:
        yield _Bar(bar)


class Summary(Protocol):
    """What a command says when it ends: a frozen dataclass that can also say itself in words."""

    def lines(self) -> list[str]:
        """The summary as lines for people; the dataclass's fields are the same summary as JSON."""


def say(summary: Summary, as_json: bool) -> None:
    """Print a command's closing summary: lines for people, or one JSON object with the same content."""
    if as_json:
        fields = dataclasses.asdict(summary)  # ty: ignore[invalid-argument-type]
        print(json.dumps(fields, default=str, ensure_ascii=False))
    else:
        print("\n".join(summary.lines()))
