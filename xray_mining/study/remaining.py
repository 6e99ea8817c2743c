"""How much of a run is left, while it runs: guesses that get better with every step that ends."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from xray_mining.study.expected import Expected, cores, expect, remember, rough, together
from xray_mining.study.options import Study
from xray_mining.study.plan import Step
from xray_mining.study.work import PROCESS_SECONDS, Extent

_OVERDUE = 0.25
"""Of the time that it took so far, what a step is given that takes longer than was thought."""


@dataclass(slots=True)
class Remaining:
    """The steps of a run that are not done yet."""

    study: Study
    steps: Sequence[Step]
    look: Callable[[], Extent]
    """What is known of the workspace now."""
    times: Path
    """Where the times of steps are kept."""
    expected: Expected
    now: Callable[[], float] = time.monotonic
    waiting: set[str] = field(default_factory=set)
    started: dict[str, float] = field(default_factory=dict)

    @classmethod
    def of(cls, study: Study, steps: Sequence[Step], look: Callable[[], Extent], times: Path) -> "Remaining":
        """Before any step: nothing is planned yet."""
        return cls(study, steps, look, times, expect(study, steps, look(), times))

    def plan(self, names: Iterable[str]) -> str:
        """These steps are going to be done; a sentence for the start of the run."""
        self.waiting = set(names)
        count = len(self.waiting)
        if not count:
            return ""
        return f"{count} {'step' if count == 1 else 'steps'} to do, {self.left()} in all; times are rough guesses"

    def start(self, name: str) -> str:
        """The step begins; what it may take, and what all of them."""
        self.waiting.add(name)
        self.started[name] = self.now()
        return f"{rough(self.expected.seconds[name])}; {self.left()} left in all"

    def end(self, name: str, seconds: float, whole: bool) -> None:
        """The step is done; `whole` where nothing of it was done before."""
        self.waiting.discard(name)
        self.started.pop(name, None)
        if whole:
            remember(self.times, self.expected.work[name], seconds + PROCESS_SECONDS)
        # How many radiographs a cohort has is known once it is frozen.
        self.expected = expect(self.study, self.steps, self.look(), self.times)

    def left(self) -> str:
        """How long the rest may take, in words."""
        return rough(together(self._seconds(), self.steps, cores()))

    def _seconds(self) -> Mapping[str, float]:
        return {name: self._left_of(name) for name in self.waiting}

    def _left_of(self, name: str) -> float:
        guess = self.expected.seconds[name]
        if name not in self.started:
            return guess
        passed = self.now() - self.started[name]
        return max(guess - passed, _OVERDUE * passed)
