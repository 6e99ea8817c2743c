"""Cut the long steps of a plan into slices, each a separate job, followed by a step that gathers their results.

A slice writes its own parts and its own summary. The gathering step finds all work done and writes what the whole step
would write.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from math import ceil
from typing import TYPE_CHECKING

from xray_mining.models.kinds import kind_of
from xray_mining.study.instruments import section_of
from xray_mining.workspace import digest_of

if TYPE_CHECKING:
    from xray_mining.study.options import Study
    from xray_mining.study.plan import Step

OPEN_END = 10**9
"""End of the last slice of shards, which takes all further shards if there are more than estimated."""


@dataclass(frozen=True, slots=True)
class Slice:
    """The part of a step's work that one job does; without any field, all of it."""

    shards: tuple[int, int] | None = None
    """First shard, and the shard after the last."""
    rotation: int | None = None
    seed: int | None = None

    @property
    def name(self) -> str:
        """The last part of the step's name."""
        if self.shards is not None:
            first, end = self.shards
            return f"shards{first}-{'end' if end == OPEN_END else end - 1}"
        return f"rotation{self.rotation}-seed{self.seed}"

    @property
    def is_whole(self) -> bool:
        """Whether it is the whole step."""
        return self.shards is None and self.rotation is None


WHOLE = Slice()


@dataclass(frozen=True, slots=True)
class Spread:
    """How a plan is cut."""

    pieces: int
    """Most slices of ingest and of each set."""
    shards: int
    """Number of shards of the largest archive, as far as it is known before ingest."""

    def by_shards(self) -> list[Slice]:
        """Slices of consecutive shards."""
        width = max(1, ceil(self.shards / self.pieces))
        firsts = range(0, max(1, self.shards), width)
        return [Slice((first, first + width if first + width < self.shards else OPEN_END)) for first in firsts]


def cut(steps: "Iterable[Step]", study: "Study", spread: Spread) -> "Iterator[Step]":
    """Replace each step that can be cut by its slices and the step that gathers them."""
    for step in steps:
        slices = _slices(step, study, spread)
        if len(slices) < 2:
            yield step
            continue
        pieces = [
            replace(
                step,
                name=f"{step.name}/{each.name}",
                digest=digest_of([step.digest, each.name]),
                slice=each,
                share=1 / len(slices),
            )
            for each in slices
        ]
        yield from pieces
        yield replace(step, after=(*step.after, *(each.name for each in pieces)), share=0.0, threads=1)


def _slices(step: "Step", study: "Study", spread: Spread) -> list[Slice]:
    if step.stage == "ingest" or section_of(step.stage):
        return spread.by_shards()
    # The null models of a cohort and target share one small step.
    if step.stage != "train" or len(step.keys) != 1 or step.keys[0] not in study.experiments:
        return []
    options = study.experiments[step.keys[0]]
    rotations = study.cohorts[options.cohort].folds if study.design.rotations == "all" else 1
    seeds = kind_of(options).seeds(study.design)
    return [Slice(rotation=number, seed=seed) for number in range(rotations) for seed in seeds]
