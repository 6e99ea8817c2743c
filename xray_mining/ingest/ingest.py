"""Archive → parts and pixels: one run over one archive."""

import json
import os
import time
import uuid
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import count, islice
from pathlib import Path

import polars as pl

from xray_mining.archive.adapter import Adapter, adapter_for
from xray_mining.archive.radiograph import Radiograph
from xray_mining.errors import UserError
from xray_mining.ingest import near_duplicates, shards
from xray_mining.ingest.duplicates import PIXEL_DIGEST
from xray_mining.ingest.events import reject_changed, write_events
from xray_mining.ingest.identity import open_domain
from xray_mining.ingest.options import IngestOptions
from xray_mining.ingest.parts import (
    FIRST_TABLE_SHARD,
    ShardCounts,
    accounts_of,
    counts_by_shard,
    counts_of,
    forget,
    has_parts,
    name_digests,
    outdate,
    readable_again,
    settle,
    stale,
)
from xray_mining.ingest.registered import (
    archives_of_other_rule,
    asked_before,
    mapping_before,
    mapping_of,
    register,
    remember,
    rule_of,
)
from xray_mining.ingest.request import IngestRequest, IngestResult
from xray_mining.ingest.run import ShardTask, rows_digest, rows_made_from, run_table, store_name
from xray_mining.ingest.why_again import why_again, why_rows
from xray_mining.ingest.workers import run_tasks
from xray_mining.progress import Bar, progress
from xray_mining.records.ingest_runs import IngestRuns
from xray_mining.records.ledger import record_run
from xray_mining.records.rejects import Rejects
from xray_mining.workspace import Workspace, lock, lock_slices, sweep, versions, write_json

# Table rows per slice under --metadata-only.
TABLE_ROWS = 50_000
_ASKED_AGAIN = "--again asked for it"


def ingest(workspace: Workspace, request: IngestRequest, options: IngestOptions) -> IngestResult:
    """Read an archive into parts and pixels; continues an interrupted run.

    Args:
        workspace: The workspace to fill.
        request: The source, and how to read it.
        options: Grey options, the rule for patient ids, and other options that change rows.

    Returns:
        What the run did, and the state of the whole archive before merge finds duplicates.

    Raises:
        UserError: If the source is missing, no adapter reads it, or its name or domain is taken.
        CannotFinish: If the disk refuses, another ingest holds the same shards, or workers fail repeatedly.

    Example:
        >>> result = ingest(workspace, IngestRequest(source_at(archive), name="mine", jobs=1), IngestOptions())
        >>> result.kept, result.rejected
        (2, 0)
    """
    source = request.source
    source.check()
    if source.is_within(workspace.root):
        raise UserError(f"{source}: is inside the workspace; name an archive folder outside it")
    mapping = mapping_of(request, options) or mapping_before(workspace, request, options)
    adapter = adapter_for(source, request.adapter or options.adapter, mapping)
    adapter.check()
    name = register(workspace, request, adapter, mapping)
    options = options.model_copy(update={"patient_id_rule": rule_of(workspace, name, adapter, options)})
    # Two runs over the same shards would read all of them twice; jobs with other shards may run side by side.
    busy = f"archive {name}: another ingest of it is running"
    with lock_slices(shards.folder_of(workspace, name) / "ingest.lock", request.shards, busy):
        return _ingest(workspace, request, options, name=name, adapter=adapter, mapping=mapping)


@dataclass(frozen=True, slots=True)
class _Run:
    """One run over a registered archive, by the one process that holds the lock of its shards."""

    workspace: Workspace
    request: IngestRequest
    options: IngestOptions
    adapter: Adapter
    task: ShardTask
    """The inputs that all shards share, without a shard's number and file states."""
    rows_differ: str
    """Inputs that differ from the last run's, in words."""
    started: datetime
    clock: float
    id: str

    @property
    def name(self) -> str:
        """The archive's name."""
        return self.task.archive

    @property
    def store(self) -> str:
        """The pixel store that is filled; empty if only headers are read."""
        return "" if self.request.metadata_only else store_name(self.options.grey)

    def why_again(self, earlier: Mapping[int, list[ShardCounts]], known: Mapping[str, Collection[int]]) -> str:
        """Why finished shards are read again; `known` has reasons of single shards."""
        digest, grey = self.task.digest, self.options.grey
        return why_again(self.workspace, earlier, digest, grey, rows=self.rows_differ, known=known)

    def end(self, result: IngestResult, finished: Sequence[ShardCounts], note: str) -> IngestResult:
        """The result with its duration and an optional note, written as a row of ingest_runs."""
        seconds = round(time.monotonic() - self.clock, 3)
        result = replace(result, seconds=seconds, notes=(*result.notes, *filter(None, (note,))))
        _write_run(self.workspace, self.id, result, finished, self.options, started=self.started)
        return result


def _ingest(
    workspace: Workspace,
    request: IngestRequest,
    options: IngestOptions,
    *,
    name: str,
    adapter: Adapter,
    mapping: Path | None,
) -> IngestResult:
    """Read an archive that is registered, under the lock of its shards."""
    started, clock = datetime.now(UTC), time.monotonic()
    settings = workspace.settings.archives[name]
    domain = open_domain(workspace, settings.domain, adapter.public, request.key_file)
    # Read large tables once here, so that workers load them from the private folder.
    adapter.keep_tables(shards.tables_folder(workspace, name))
    command = f"xray-mining ingest {name}" + (" --metadata-only" if request.metadata_only else "")
    with record_run(workspace, "ingest", name, command, options.model_dump(exclude={"mapping"})) as notes:
        # Remove scratch files of killed runs before anything is written.
        for place in (workspace.root / "parts" / name, workspace.root / "pixels", shards.folder_of(workspace, name)):
            if place.is_dir():
                sweep(place)
        made_from = rows_made_from(options, adapter)
        task = ShardTask(
            root=workspace.root,
            archive=name,
            adapter=adapter.name,
            source=request.source,
            mapping=mapping,
            domain=domain,
            shard=0,
            options=options,
            headers_only=request.metadata_only,
            digest=rows_digest(made_from),
        )
        run = _Run(
            workspace=workspace,
            request=request,
            options=options,
            adapter=adapter,
            task=task,
            rows_differ=why_rows((asked_before(workspace, name) or {}).get("made_from"), made_from),
            started=started,
            clock=clock,
            id=f"{started:%Y%m%dT%H%M%S}-{uuid.uuid4().hex[:8]}",
        )
        # The inputs are noted before reading: if this run is killed, the next one still knows what its shards were made
        # from.
        remember(workspace, task, made_from)
        rows = adapter.rows() if request.metadata_only else None
        if rows is not None:
            return _read_tables(run, rows)
        result = _read_files(run)
        notes.outputs["store"] = run.store
    return result


def _read_tables(run: _Run, rows: Iterator[Radiograph]) -> IngestResult:
    """Make rows from the adapter's tables alone; files are not listed, but ignored ones are counted."""
    earlier = {number: [each] for number, each in counts_of(run.workspace, run.name, "").items()}
    finished = _table_rows(run.workspace, run.task, run.adapter, rows, run.request.again)
    earlier = {each.shard: earlier[each.shard] for each in finished if each.shard in earlier}
    note = run.why_again(earlier, {_ASKED_AGAIN: earlier if run.request.again else ()})
    result = _result(run, finished=finished, listing=None, events={})
    return run.end(replace(result, ignored=run.adapter.ignored(), shards=result.shards_done), finished, note)


def _read_files(run: _Run) -> IngestResult:
    """List the archive's files and read the shards that are not finished."""
    workspace, request, name, store = run.workspace, run.request, run.name, run.store
    before = _chosen(request, shards.known_shards(workspace, name))
    for each in before:
        # A run that was killed while it moved a shard's parts into place left it incomplete.
        settle(workspace, name, each)
    if request.again:
        # Before the lists are replaced by today's: if the run is killed in between, no shard counts as read.
        outdate(workspace, name, before, store or None)
    listing = _listing(workspace, request, run.options, name, run.adapter, chosen=before)
    domain = run.task.domain
    events = write_events(workspace, name, run.id, domain, listing) if listing is not None else {}
    known = shards.known_shards(workspace, name)
    if not known:
        raise UserError(_nothing(request, run.adapter, listing))
    _open_store(workspace, store, run.options)
    tasks, note = _tasks(run, known, asked_again=set(before) if request.again else set())
    finished = _run(workspace, name, tasks, request.jobs, run.options)
    reject_changed(workspace, name, domain)
    if store:
        _use_store(run, known)
    pairs = near_duplicates.known(workspace)
    if store and run.options.near_duplicates:
        pairs = near_duplicates.find(workspace, store)
    result = _result(run, finished=finished, listing=listing, events=events)
    return run.end(replace(result, near_duplicates=pairs, shards=len(known)), finished, note)


def _tasks(run: _Run, known: Sequence[int], asked_again: set[int]) -> tuple[list[ShardTask], str]:
    """The shards to read, of those that were selected, and why finished ones are read again."""
    workspace, name, source = run.workspace, run.name, run.request.source
    chosen = _chosen(run.request, known)
    # A shard that was read with pictures has all values of its headers, so it is finished for --metadata-only too.
    done = counts_of(workspace, name, run.store or None, run.task.digest)
    name_digests(workspace, name, done.values(), PIXEL_DIGEST)
    mine = {each: done[each] for each in chosen if each in done}
    because = {
        _ASKED_AGAIN: asked_again,
        "a mask file was added, removed or changed": stale(workspace, name, mine, run.store, source),
        "a file can be read that could not be read before": readable_again(workspace, name, mine.values(), source),
        "files and rows of the table match differently": shards.contest(workspace, name, run.adapter) & set(mine),
    }
    to_do = set().union(*because.values()) & set(mine)
    counts = counts_by_shard(workspace, name)
    outdate(workspace, name, to_do, run.store or None)
    states = shards.states_of(workspace, name)
    tasks = [_with_states(run.task, each, states) for each in chosen if each not in done or each in to_do]
    earlier = {task.shard: counts.get(task.shard, []) for task in tasks if has_parts(workspace, name, task.shard)}
    return tasks, run.why_again(earlier, because)


def _use_store(run: _Run, known: Sequence[int]) -> None:
    """Make the filled store the default of commands; once all files are read, drop rows that came from tables alone."""
    workspace, name, store = run.workspace, run.name, run.store
    if workspace.settings.store != store:
        with lock(workspace.private / "settings.lock"):
            workspace.save(workspace.settings.model_copy(update={"store": store}))
    if set(known) <= set(counts_of(workspace, name, store, run.task.digest)):
        for each in counts_of(workspace, name, ""):
            if each >= FIRST_TABLE_SHARD:
                forget(workspace, name, each, "")


def _table_rows(
    workspace: Workspace, task: ShardTask, adapter: Adapter, rows: Iterator[Radiograph], again: bool
) -> list[ShardCounts]:
    """Make the catalog from an adapter's tables alone, in slices of rows; slices of unchanged tables stay."""
    earlier = counts_of(workspace, task.archive, "")
    done = {} if again else counts_of(workspace, task.archive, "", task.digest)
    if done and sum(each.files for each in done.values()) == adapter.table_files():
        return []
    finished = []
    for number in count(FIRST_TABLE_SHARD):
        slice_of_rows = list(islice(rows, TABLE_ROWS))
        if not slice_of_rows:
            break
        if number not in done:
            finished.append(run_table(replace(task, shard=number), slice_of_rows))
    for each in earlier:
        # An earlier table was longer: remove its last slices.
        if each >= number:
            forget(workspace, task.archive, each, "")
    return finished


def _chosen(request: IngestRequest, known: Sequence[int]) -> list[int]:
    return [each for each in known if request.shards is None or request.shards[0] <= each < request.shards[1]]


def _with_states(task: ShardTask, shard: int, states: Mapping[int, Mapping[int, shards.FileState]]) -> ShardTask:
    """The task of one shard, with the file events of the last walk."""
    mine = states.get(shard, {})
    vanished, changed = (
        frozenset(position for position, each in mine.items() if each.state == state)
        for state in ("vanished", "changed")
    )
    return replace(task, shard=shard, vanished=vanished, changed=changed)


def _result(
    run: _Run, *, finished: Sequence[ShardCounts], listing: shards.Listing | None, events: dict[str, int]
) -> IngestResult:
    """What the run did, without its time, notes on shards and the number of all shards."""
    workspace, task, store, adapter = run.workspace, run.task, run.store, run.adapter
    done = counts_of(workspace, task.archive, store or None, task.digest)
    failures: Counter[str] = Counter()
    for each in done.values():
        failures.update(each.decoder_failures)
    accounts = accounts_of(workspace, task.archive)
    return IngestResult(
        archive=task.archive,
        adapter=task.adapter,
        store=store,
        listed=listing.listed if listing else 0,
        ignored=listing.ignored if listing else 0,
        shards=0,
        shards_done=len(done),
        shards_now=len(finished),
        seen=accounts.seen,
        kept=accounts.kept,
        rejected=accounts.rejected,
        vanished=events.get("vanished", 0),
        changed=events.get("changed", 0),
        returned=events.get("returned", 0),
        rows_without_file=_rows_without_file(workspace, task.archive, adapter),
        repeated_rows=adapter.repeated_rows() if shards.listed_files(workspace, task.archive) else 0,
        patient_id_rule=tuple(task.options.patient_id_rule or ()),
        other_rule=archives_of_other_rule(workspace, task.archive),
        near_duplicates=0,
        bytes_now=sum(each.bytes for each in finished),
        files_now=sum(each.files for each in finished),
        seconds=0.0,
        decoder_failures=tuple(sorted(failures.items())),
        notes=tuple(adapter.notes()),
    )


def _listing(
    workspace: Workspace,
    request: IngestRequest,
    options: IngestOptions,
    name: str,
    adapter: Adapter,
    *,
    chosen: Collection[int],
) -> shards.Listing | None:
    """The walk over the archive; no walk for a job with given shards, once they are listed.

    With --again such a job walks too, because the lists of its shards must state what it reads.
    """
    if request.shards is not None and shards.known_shards(workspace, name) and not request.again:
        return None

    def renew(shard: int) -> bool:
        # A shard that was never read has no changed files.
        return (request.again and shard in chosen) or not has_parts(workspace, name, shard)

    return shards.update(workspace, name, adapter, options.shard_files, renew)


def _nothing(request: IngestRequest, adapter: Adapter, listing: shards.Listing | None) -> str:
    ignored = listing.ignored if listing else 0
    beside = f" (it has {ignored} tables, texts and similar files)" if ignored else ""
    return (
        f"{request.source}: holds no files that adapter '{adapter.name}' reads{beside}; name the folder of the images"
    )


def _open_store(workspace: Workspace, store: str, options: IngestOptions) -> None:
    if store and not (workspace.store(store) / "store.json").is_file():
        write_json({"grey": options.grey.model_dump()}, workspace.store(store) / "store.json")


def _run(
    workspace: Workspace,
    name: str,
    tasks: Sequence[ShardTask],
    jobs: int | None,
    options: IngestOptions,
) -> list[ShardCounts]:
    if not tasks:
        return []
    jobs = min(jobs or len(os.sched_getaffinity(0)), len(tasks))
    files = sum(len(shards.files_of(workspace, name, task.shard)) for task in tasks)
    log = shards.folder_of(workspace, name) / "logs"
    finished: list[ShardCounts] = []
    with progress(files, f"ingest {name}", unit="files") as bar:
        steps = _BarSteps(bar)
        finished += run_tasks(tasks, jobs, options.file_limit_s, log, steps.now)
    return finished


@dataclass(slots=True)
class _BarSteps:
    """Turns totals into steps of the progress bar."""

    bar: Bar
    files: int = 0
    clock: float = 0.0

    def now(self, files: int, kept: int, rejected: int, size: int) -> None:
        if self.clock == 0.0:
            self.clock = time.monotonic()
        seconds = max(time.monotonic() - self.clock, 0.1)
        self.bar.advance(max(files - self.files, 0), kept=kept, rejected=rejected, MB_s=round(size / 1e6 / seconds))
        self.files = max(files, self.files)


def _rows_without_file(workspace: Workspace, name: str, adapter: Adapter) -> int:
    """Number of table rows without a listed file; zero for an archive known by its table alone."""
    named = adapter.table_files()
    listed = shards.listed_files(workspace, name)
    if named is None or not listed:
        return 0
    # A file without a row in the table accounts for no row.
    none = pl.col("reason").is_in(["not_in_table", "ambiguous_row", "linked_folder", "not_a_file"])
    unnamed = Rejects.read(workspace.parts(name, Rejects.table)).filter(none).height
    return max(named - adapter.repeated_rows() - (listed - unnamed), 0)


def _write_run(
    workspace: Workspace,
    run: str,
    result: IngestResult,
    finished: Sequence[ShardCounts],
    options: IngestOptions,
    *,
    started: datetime,
) -> None:
    row = {
        "run": run,
        "archive": result.archive,
        "adapter": result.adapter,
        "store": result.store,
        "started": started.replace(tzinfo=None),
        "seconds": result.seconds,
        "listed": result.listed,
        "ignored": result.ignored,
        "seen": sum(each.seen for each in finished),
        "kept": sum(each.kept for each in finished),
        "rejected": sum(each.rejected for each in finished),
        "rows_without_file": result.rows_without_file,
        "grey_options": json.dumps(options.grey.model_dump(), sort_keys=True),
        "versions": json.dumps(dict(versions()), sort_keys=True),
    }
    IngestRuns.write(IngestRuns.from_rows([row]), workspace.parts(result.archive, IngestRuns.table) / f"{run}.parquet")
