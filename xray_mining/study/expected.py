"""Rough estimates of the steps' times, and the order of steps that gives answers soonest.

No result depends on these estimates, so they do not enter digests.
"""

import contextlib
import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from graphlib import TopologicalSorter
from math import exp, log
from pathlib import Path
from statistics import median

from xray_mining.models.work import Work
from xray_mining.study.options import Study
from xray_mining.study.plan import Step
from xray_mining.study.work import Extent, work_of


@dataclass(frozen=True, slots=True)
class Expected:
    """Estimated times of a study's steps, by name, and their order."""

    work: Mapping[str, Work]
    seconds: Mapping[str, float]
    """Estimates, corrected by the times of earlier steps in this workspace."""
    order: tuple[str, ...]
    """All steps, each after the steps that it needs; those whose answer comes soonest are first."""

    def priorities(self) -> dict[str, int]:
        """Snakemake's priority of each step by name; a step with a larger priority starts earlier."""
        return {name: len(self.order) - position for position, name in enumerate(self.order)}


def expect(study: Study, steps: Sequence[Step], extent: Extent, times: Path) -> Expected:
    """Estimate the steps' times; `times` is the file in which `remember` records the times of earlier steps."""
    work = {step.name: work_of(study, step, extent) for step in steps}
    factor = _factors(times)
    seconds = {name: each.seconds * factor(each.kind) for name, each in work.items()}
    return Expected(work, seconds, soonest_first(steps, work, seconds, extent.done))


def soonest_first(
    steps: Sequence[Step], work: Mapping[str, Work], seconds: Mapping[str, float], done: frozenset[str] = frozenset()
) -> tuple[str, ...]:
    """Sort steps so that answers come soonest, each step after the steps that it needs.

    The cost of an experiment is its own time and that of all steps it needs that are not done. A step is as urgent as
    the cheapest experiment that needs it. Experiments that train a network, or need one that does, come last, because
    their times are the longest and least certain.
    """
    by_name = {step.name: step for step in steps}
    needed: dict[str, frozenset[str]] = {}
    for step in _each_after_what_it_needs(steps):
        needed[step.name] = frozenset({step.name}).union(*(needed[each] for each in step.after))
    trained = {name for name, each in work.items() if each.trains}
    last = (2, 0.0)
    urgency = dict.fromkeys(by_name, last)
    for step in steps:
        if step.stage in ("evaluate", "report"):
            continue
        waits = sum(seconds[each] for each in needed[step.name] - done)
        own = (1 if needed[step.name] & trained else 0, waits)
        if step.stage == "train":
            for each in needed[step.name]:
                urgency[each] = min(urgency[each], own)
    position = {step.name: number for number, step in enumerate(steps)}
    order: list[str] = []
    waiting = set(by_name)
    while waiting:
        ready = [name for name in waiting if not waiting.intersection(by_name[name].after)]
        order.append(min(ready, key=lambda name: (urgency[name], seconds[name], position[name])))
        waiting.remove(order[-1])
    return tuple(order)


def _each_after_what_it_needs(steps: Iterable[Step]) -> list[Step]:
    """The steps sorted so that each follows the steps it needs; in a plan an ensemble may precede its members."""
    by_name = {step.name: step for step in steps}
    needs = {name: step.after for name, step in by_name.items()}
    return [by_name[name] for name in TopologicalSorter(needs).static_order()]


def remember(times: Path, work: Work, seconds: float) -> None:
    """Record the time of a step that did all of its work; times of resumed steps would make the estimates too low."""
    row = {"kind": work.kind, "expected": round(work.seconds, 2), "seconds": round(seconds, 2)}
    # Ignore a full disk here: the steps report it, and this file is not needed for results.
    with contextlib.suppress(OSError), times.open("a", encoding="utf-8") as file:
        file.write(json.dumps(row) + "\n")


def _factors(times: Path) -> Callable[[str], float]:
    """A function from the kind of a step to the ratio of measured to estimated time.

    The ratio is the median of the last five steps of the kind, else of its stage, else of all steps.
    """
    ratios: dict[str, list[float]] = {}
    try:
        lines = times.read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    for line in lines:
        try:
            row = json.loads(line)
            ratio, kind = float(row["seconds"]) / float(row["expected"]), str(row["kind"])
        except (ValueError, KeyError, TypeError, ZeroDivisionError):
            continue  # An incomplete line of a killed run.
        if ratio > 0:
            for name in {kind, kind.partition(" ")[0], ""}:
                ratios.setdefault(name, []).append(log(min(max(ratio, 0.02), 50.0)))

    def factor(kind: str) -> float:
        known = next((found for name in (kind, kind.partition(" ")[0], "") if (found := ratios.get(name))), [0.0])
        return exp(median(known[-5:]))

    return factor


def rough(seconds: float) -> str:
    """An estimated time in words, rounded so that it does not look exact."""
    if seconds < 10:
        return "a few seconds"
    if seconds < 55:
        return f"about {round(seconds / 10) * 10:.0f} s"
    for unit, name, most in ((60.0, "min", 55.0), (3600.0, "h", 23.0), (86400.0, "days", float("inf"))):
        count = seconds / unit
        if count <= most:
            step = 1 if count < 10 else 5
            number = max(step, round(count / step) * step)
            return f"about {number:.0f} {'day' if (name, number) == ('days', 1) else name}"
    raise AssertionError(seconds)


def together(seconds: Mapping[str, float], steps: Iterable[Step], cores: int) -> float:
    """Time of the named steps in parallel: the longest chain of steps, or all work divided by the cores if longer."""
    chains: dict[str, float] = {}
    work = 0.0
    for step in _each_after_what_it_needs(steps):
        own = seconds.get(step.name, 0.0)
        chains[step.name] = own + max((chains[each] for each in step.after), default=0.0)
        work += own * min(step.threads, cores)
    return max(work / cores, max(chains.values(), default=0.0))


def cores() -> int:
    """Number of cores that jobs may use."""
    return max(1, len(os.sched_getaffinity(0)))
