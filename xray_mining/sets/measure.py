"""Cohort × instrument → set: measures only what is missing, in one or several processes, in atomic parts."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from multiprocessing import get_context
from time import monotonic
from typing import Any

import numpy as np

from xray_mining.errors import CannotFinish, UserError
from xray_mining.pixels.store import PixelStore
from xray_mining.pixels.variants import changed
from xray_mining.progress import progress
from xray_mining.records.cohort import FrozenCohort
from xray_mining.records.ledger import record_run
from xray_mining.sets.code import digest_of_code, versions_of
from xray_mining.sets.instrument import CannotMeasure, Instrument
from xray_mining.sets.measured import About, MeasuredSet, read_description, sets_of
from xray_mining.sets.pictures import Pictures
from xray_mining.workspace import Workspace, digest_of, sweep

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, slots=True)
class SetSummary:
    """Summary of a command that measures."""

    set: str
    """Name of the set's folder."""
    kind: str
    images: int
    measured: int
    kept: int
    columns: int
    seconds: float
    failed: int = 0
    """Radiographs of the cohort that could not be measured."""
    reasons: Mapping[str, int] = field(default_factory=dict)
    """Reasons with their counts."""
    anew: str = ""
    """Why an earlier set of the same options is not used, if there is one."""

    def lines(self) -> list[str]:
        """The counts as a sentence, and the reasons why pictures could not be measured."""
        rate = f", {self.measured / self.seconds:.0f} a second" if self.measured and self.seconds > 0 else ""
        counts = (
            f"{self.set}: {self.images:,} radiographs × {self.columns:,} numbers "
            f"({self.measured:,} measured now{rate}; {self.kept:,} were there)"
        )
        failed = f"; {self.failed:,} could not be measured" if self.failed else ""
        why = [f"{self.set}: {count:,} could not be measured: {reason}" for reason, count in self.reasons.items()]
        return [counts + failed + (f"; {self.anew}" if self.anew else ""), *why]


@dataclass(frozen=True, slots=True)
class SetSummaries:
    """The same for several sets."""

    sets: tuple[SetSummary, ...]

    def lines(self) -> list[str]:
        """The lines of all sets."""
        return [line for each in self.sets for line in each.lines()]


@dataclass(frozen=True, slots=True)
class Wanted:
    """A set, defined by everything that its numbers depend on; it may not be measured yet."""

    workspace: Workspace
    key: str
    """Its name in the study."""
    instrument: Instrument
    store: str
    """The pixel store."""
    variant: str = ""
    """How pictures are changed before they are measured (`pixels.variants`); changed pictures have their own set."""

    @property
    def options(self) -> dict[str, Any]:
        """The instrument's options, and the variant."""
        return _options(self.instrument, self.variant)

    @property
    def code(self) -> str:
        """Digest of the code that measures."""
        return _code(self.instrument, self.variant)

    @property
    def name(self) -> str:
        """NAME-DIGEST of the set."""
        told = {**dependencies_of(self.instrument, self.variant), "store": self.store}
        return f"{self.key}-{digest_of(told)[:12]}"

    def open(self) -> MeasuredSet:
        """The set, whether it is measured or not."""
        folder = self.workspace.measured(self.instrument.kind, self.name)
        return MeasuredSet(folder, Pictures.open(self.workspace))

    def read(self, image_keys: Sequence[str]) -> Array:
        """`MeasuredSet.read` of the existing set.

        Raises:
            UserError: If it is not measured yet, or lacks some of the radiographs.
        """
        made = self.open()
        if not made.exists():
            raise UserError(
                f"{self.instrument.kind} {self.key}: are not measured yet; run `xray-mining {self.instrument.command}` "
                f"on the cohort"
            )
        return made.read(image_keys)

    def fill(self, image_keys: Sequence[str], *, jobs: int = 1, shards: tuple[int, int] | None = None) -> SetSummary:
        """Measure what the set lacks of these radiographs, part by part; resumes after any interruption.

        Two commands that fill one set at the same time wait for each other, unless they have different shards.

        Args:
            image_keys: The radiographs.
            jobs: Number of processes, for an instrument that is faster with several.
            shards: First and last + 1 of the shards to which the radiographs belong; None for all.

        Returns:
            What was done.

        Raises:
            UserError: If a radiograph has no picture in the store.
            CannotFinish: If a measuring process is killed; the parts written so far are kept.
        """
        started = monotonic()
        made = self.open()
        missing, anew = made.missing(image_keys), ""
        if missing or not made.exists():
            with made.locked(shards):
                sweep(made.folder)
                # While this one waited for the lock, another command may have measured them, or read pictures anew.
                made = self.open()
                missing = made.missing(image_keys)
                if not made.exists():
                    anew = self._begin(made)
                self._measure(made, missing, len(image_keys), jobs)
        made.describe(made.about())
        failures = made.failures()
        failures = failures.filter(failures["image_key"].is_in(list(image_keys)))
        return SetSummary(
            made.name,
            made.kind,
            len(image_keys),
            len(missing),
            len(image_keys) - len(missing),
            len(made.about().columns),
            monotonic() - started,
            failures.height,
            dict(sorted(Counter(failures["reason"]).items())),
            anew,
        )

    def _begin(self, made: MeasuredSet) -> str:
        """Write set.json; returns why earlier sets of the same options are not used, if there are any."""
        reasons = self._earlier()
        instrument = self.instrument
        about = About(
            instrument.command,
            self.store,
            instrument.columns(),
            instrument.value_type,
            instrument.one_vector,
            self.options,
            self.code,
            versions_of(instrument.packages),
            instrument.inputs,
            tuple(reasons),
        )
        made.describe(about)
        if not reasons:
            return ""
        latest = list(reasons)[-1]
        return f"measured anew, because {reasons[latest]} since {latest}, which is kept and no longer used"

    def _earlier(self) -> dict[str, str]:
        """Sets of these options and this store that depend on something else, each with what has changed since."""
        found = {}
        for name in sets_of(self.workspace, self.instrument.kind, self.key):
            said = read_description(self.workspace.measured(self.instrument.kind, name))
            # A damaged set.json has no store: it must not stop another set.
            if name == self.name or said.get("store") != self.store or json.loads(said["options"]) != self.options:
                continue
            if "format" not in said:
                found[name] = "xray-mining did not note then what it measured with"
                continue
            found[name] = " and ".join(self._changes(said)) or "what it depends on has changed"
        return found

    def _changes(self, said: Mapping[str, Any]) -> Iterator[str]:
        """What differs from the description of another set of the same options."""
        then, now = said["versions"], versions_of(self.instrument.packages)
        yield from (f"{each} is {now[each]} instead of {then.get(each)}" for each in now if now[each] != then.get(each))
        then, now = said["inputs"], self.instrument.inputs
        yield from (f"input {each} has changed" for each in sorted({*then, *now}) if then.get(each) != now.get(each))
        if said["code"] != self.code:
            yield "the code that measures has changed"

    def _measure(self, made: MeasuredSet, missing: Sequence[str], total: int, jobs: int) -> None:
        """Measure and write part after part."""
        if not missing:
            return
        width, size = len(made.about().columns), self.instrument.part_images
        parts = [missing[first : first + size] for first in range(0, len(missing), size)]
        step = self.instrument.batch_images
        batches = [part[first : first + step] for part in parts for first in range(0, len(part), step)]
        task = _Task(self.instrument, PixelStore.open(self.workspace, self.store), self.variant)
        measured = _measured(task, batches, jobs if self.instrument.processes else 1)
        with progress(total, f"{made.kind} {made.name}", done=total - len(missing)) as bar:
            for part in parts:
                rows: list[Array] = []
                reasons: list[str] = []
                while len(reasons) < len(part):
                    matrix, why = next(measured)
                    if matrix.shape != (len(why), width):
                        raise ValueError(f"{made.name}: {matrix.shape} numbers for {len(why)} × {width}")
                    rows.append(matrix)
                    reasons += why
                    bar.advance(len(why))
                made.write(part, np.concatenate(rows).astype(self.instrument.value_type), reasons)


def dependencies_of(instrument: Instrument, variant: str = "") -> dict[str, Any]:
    """All that the numbers of an instrument depend on, except the pixels; see `Wanted.name` and the plan of a study."""
    return {
        "options": _options(instrument, variant),
        "inputs": dict(instrument.inputs),
        "code": _code(instrument, variant),
        "versions": versions_of(instrument.packages),
    }


def _options(instrument: Instrument, variant: str) -> dict[str, Any]:
    return dict(instrument.options) | ({"variant": variant} if variant else {})


def _code(instrument: Instrument, variant: str) -> str:
    return digest_of_code(instrument.sources + (("xray_mining.pixels.variants",) if variant else ()))


def measure(
    workspace: Workspace,
    cohort: FrozenCohort,
    key: str,
    instrument: Instrument,
    *,
    jobs: int = 1,
    shards: tuple[int, int] | None = None,
) -> SetSummary:
    """Measure the radiographs of a cohort that a set does not hold yet; resumes after any interruption.

    Args:
        workspace: The workspace.
        cohort: The cohort.
        key: The set's name in the study.
        instrument: The instrument that measures.
        jobs: Number of processes, for an instrument that is faster with several.
        shards: (first, last + 1): only radiographs of these shards of their archives, for several machines.

    Returns:
        What was done, with the counts of pictures that could not be measured.

    Raises:
        UserError: If the workspace has no pictures, or not those of a member.
    """
    wanted = Wanted(workspace, key, instrument, store_of(workspace, cohort.store))
    keys = in_shards(workspace, wanted.store, cohort.members()["image_key"].to_list(), shards)
    command = f"{instrument.command} {cohort.name}" + (f" --shards {shards[0]}:{shards[1]}" if shards else "")
    name = wanted.name
    with record_run(workspace, instrument.command, f"{cohort.name}/{name}", command, wanted.options) as notes:
        notes.inputs |= {"cohort": cohort.digest, **instrument.inputs}
        summary = wanted.fill(keys, jobs=jobs, shards=shards)
        notes.outputs["set"] = name
    return summary


def store_of(workspace: Workspace, store: str | None = None) -> str:
    """The name of a pixel store: the given one, or the workspace's current one; UserError if there is none."""
    name = store or workspace.settings.store
    if not name:
        raise UserError(f"{workspace.root.name}: holds no pictures yet; `xray-mining ingest ARCHIVE` makes them")
    return name


def in_shards(workspace: Workspace, store: str, image_keys: Sequence[str], shards: tuple[int, int] | None) -> list[str]:
    """The keys whose radiograph is in one of the shards; all keys if no shards are given."""
    if shards is None:
        return list(image_keys)
    frame = PixelStore.open(workspace, store).frame
    inside = frame.filter(frame["shard"].is_between(shards[0], shards[1] - 1))["image_key"].to_list()
    return sorted(set(inside) & set(image_keys))


@dataclass(frozen=True, slots=True)
class _Task:
    """What a process needs in order to measure."""

    instrument: Instrument
    store: PixelStore
    variant: str

    def measured(self, image_keys: Sequence[str]) -> tuple[Array, list[str]]:
        """The numbers of some radiographs, and for each the reason why it could not be measured, or ''."""
        boxes = self.store.content_boxes(image_keys)
        pictures = changed(self.store.read(image_keys), boxes, self.variant)
        try:
            return _finite(self.instrument.measure(pictures, boxes))
        except CannotMeasure as error:
            if len(pictures) == 1:
                return np.full((1, len(self.instrument.columns())), np.nan), [str(error) or "no reason was given"]
        # One of the pictures cannot be measured: measure each alone to find it.
        alone = [self.measured([key]) for key in image_keys]
        return np.concatenate([matrix for matrix, _ in alone]), [why for _, reasons in alone for why in reasons]


def _finite(measured: Array) -> tuple[Array, list[str]]:
    """The rows; one with an infinity becomes a failure, because no model can learn from it and no mean has a value."""
    infinite = np.atleast_1d(np.isinf(measured).any(axis=1))
    rows = np.where(infinite[:, None], np.nan, measured) if infinite.any() else measured
    return rows, ["a number is infinite" if each else "" for each in infinite]


def _measured(task: _Task, batches: Sequence[Sequence[str]], jobs: int) -> Iterator[tuple[Array, list[str]]]:
    """The numbers of the batches, in order."""
    if jobs <= 1 or len(batches) < 2 * jobs:
        yield from map(task.measured, batches)
        return
    try:
        yield from _in_processes(task, batches, jobs)
    except BrokenProcessPool as error:
        # Its pictures get no row of failures: such a row is kept for good, and memory may suffice the next time.
        raise CannotFinish(
            f"{task.instrument.command}: a measuring process was killed, most often because memory was short; the "
            f"parts written so far are kept; repeat the command with fewer --jobs"
        ) from error


def _in_processes(task: _Task, batches: Sequence[Sequence[str]], jobs: int) -> Iterator[tuple[Array, list[str]]]:
    # Use spawn: forked children of a process with polars threads may hang. Kernels are cached, so spawned ones compile
    # nothing. Each process gets the store once, because sending its rows takes longer than measuring a batch.
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn"), initializer=_begin, initargs=(task,)) as pool:
        waiting = []
        for batch in batches:
            waiting.append(pool.submit(_measured_there, batch))
            if len(waiting) > 4 * jobs:
                yield waiting.pop(0).result()
        for each in waiting:
            yield each.result()


_there: list[_Task] = []
"""The task of this measuring process."""


def _begin(task: _Task) -> None:
    _there[:] = [task]


def _measured_there(image_keys: Sequence[str]) -> tuple[Array, list[str]]:
    return _there[0].measured(image_keys)
