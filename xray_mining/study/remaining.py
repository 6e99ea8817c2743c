"""The estimated time left of a run; estimates improve with every step that ends."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from xray_mining.study.expected import Expected, cores, expect, remember, rough, together
from xray_mining.study.options import Study
from xray_mining.study.plan import Step
from xray_mining.study.work import PROCESS_SECONDS, Extent

_OVERDUE = 0.25
"""Time left of a step that takes longer than estimated, as a share of the time that it has taken so far."""


@dataclass(slots=True)
class Remaining:
    """The steps of a run that are not done yet."""

    study: Study
    steps: Sequence[Step]
    look: Callable[[], Extent]
    """Returns the amount of work in the workspace, as far as it is known now."""
    times: Path
    """File in which the times of steps are recorded."""
    expected: Expected
    now: Callable[[], float] = time.monotonic
    waiting: set[str] = field(default_factory=set)
    started: dict[str, float] = field(default_factory=dict)

    @classmethod
    def of(cls, study: Study, steps: Sequence[Step], look: Callable[[], Extent], times: Path) -> "Remaining":
        """The state before any step; nothing is planned yet."""
        return cls(study, steps, look, times, expect(study, steps, look(), times))

    def plan(self, names: Iterable[str]) -> str:
        """Record the steps that will run; returns a sentence for the start of the run."""
        self.waiting = set(names)
        count = len(self.waiting)
        if not count:
            return ""
        return f"{count} {'step' if count == 1 else 'steps'} to do, {self.left()} in all; times are rough guesses"

    def start(self, name: str) -> str:
        """Record that a step has started; returns the estimated time of the step and of all."""
        self.waiting.add(name)
        self.started[name] = self.now()
        return f"{rough(self.expected.seconds[name])}; {self.left()} left in all"

    def end(self, name: str, seconds: float, whole: bool) -> None:
        """Record that a step is done; `whole` says whether it did all of its work now."""
        self.waiting.discard(name)
        self.started.pop(name, None)
        if whole:
            remember(self.times, self.expected.work[name], seconds + PROCESS_SECONDS)
        # Estimate again, because the size of a cohort is known only after it is frozen.
        self.expected = expect(self.study, self.steps, self.look(), self.times)

    def left(self) -> str:
        """Estimated time of the remaining steps, in words."""
        return rough(together(self._seconds(), self.steps, cores()))

    def _seconds(self) -> Mapping[str, float]:
        return {name: self._left_of(name) for name in self.waiting}

    def _left_of(self, name: str) -> float:
        guess = self.expected.seconds[name]
        if name not in self.started:
            return guess
        passed = self.now() - self.started[name]
        return max(guess - passed, _OVERDUE * passed)
