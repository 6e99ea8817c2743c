"""What the steps of a study may take, roughly, and in which order they give answers soonest.

No result depends on these guesses, so they are in no digest.
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
    """What a study's steps may take, by name, and their order."""

    work: Mapping[str, Work]
    seconds: Mapping[str, float]
    """Corrected by what earlier steps took in this workspace."""
    order: tuple[str, ...]
    """All steps, those first whose answer comes soonest, each after what it needs."""

    def priorities(self) -> dict[str, int]:
        """Name of each step → its priority for Snakemake: larger is earlier."""
        return {name: len(self.order) - place for place, name in enumerate(self.order)}


def expect(study: Study, steps: Sequence[Step], extent: Extent, times: Path) -> Expected:
    """What the steps may take; `times` is the file in which `remember` keeps what earlier ones took."""
    work = {step.name: work_of(study, step, extent) for step in steps}
    factor = _factors(times)
    seconds = {name: each.seconds * factor(each.kind) for name, each in work.items()}
    return Expected(work, seconds, soonest_first(steps, work, seconds, extent.done))


def soonest_first(
    steps: Sequence[Step], work: Mapping[str, Work], seconds: Mapping[str, float], done: frozenset[str] = frozenset()
) -> tuple[str, ...]:
    """The steps in the order in which answers come soonest, each after what it needs.

    An experiment waits for its own time and that of all that it needs. What it needs is as urgent as the most urgent
    experiment that needs it. Experiments that train a network, or need one that does, come after all others: theirs
    are the longest and least certain times.
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
    place = {step.name: number for number, step in enumerate(steps)}
    order: list[str] = []
    waiting = set(by_name)
    while waiting:
        ready = [name for name in waiting if not waiting.intersection(by_name[name].after)]
        order.append(min(ready, key=lambda name: (urgency[name], seconds[name], place[name])))
        waiting.remove(order[-1])
    return tuple(order)


def _each_after_what_it_needs(steps: Iterable[Step]) -> list[Step]:
    """The steps of a plan, in which an ensemble may come before its members."""
    by_name = {step.name: step for step in steps}
    needs = {name: step.after for name, step in by_name.items()}
    return [by_name[name] for name in TopologicalSorter(needs).static_order()]


def remember(times: Path, work: Work, seconds: float) -> None:
    """Keep the time of a step that found none of its work done: others would make the guesses too low."""
    row = {"kind": work.kind, "expected": round(work.seconds, 2), "seconds": round(seconds, 2)}
    # Ignore a full disk here: the steps report it, and only their files are needed.
    with contextlib.suppress(OSError), times.open("a", encoding="utf-8") as file:
        file.write(json.dumps(row) + "\n")


def _factors(times: Path) -> Callable[[str], float]:
    """How many times the guess steps of a kind took here: the last ones of the kind, else of its stage, else all."""
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
            continue  # a line that was cut off
        if ratio > 0:
            for name in {kind, kind.partition(" ")[0], ""}:
                ratios.setdefault(name, []).append(log(min(max(ratio, 0.02), 50.0)))

    def factor(kind: str) -> float:
        known = next((found for name in (kind, kind.partition(" ")[0], "") if (found := ratios.get(name))), [0.0])
        return exp(median(known[-5:]))

    return factor


def rough(seconds: float) -> str:
    """A time in words that promise no more than a guess can hold."""
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
    """What the named steps take side by side: no less than the longest chain, nor than all work shared by the cores."""
    chains: dict[str, float] = {}
    work = 0.0
    for step in _each_after_what_it_needs(steps):
        own = seconds.get(step.name, 0.0)
        chains[step.name] = own + max((chains[each] for each in step.after), default=0.0)
        work += own * min(step.threads, cores)
    return max(work / cores, max(chains.values(), default=0.0))


def cores() -> int:
    """Cores that jobs may use."""
    return max(1, len(os.sched_getaffinity(0)))
