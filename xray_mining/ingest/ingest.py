"""Archive → parts and pixels: the whole of one run over one archive."""

import json
import os
import re
import time
import uuid
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import count, islice
from pathlib import Path
from typing import Any

import polars as pl

from xray_mining.archive.adapter import Adapter, adapter_for
from xray_mining.archive.radiograph import Radiograph
from xray_mining.archive.source import Source, source_at
from xray_mining.errors import UserError, unknown_name
from xray_mining.ingest import near_duplicates, shards
from xray_mining.ingest.duplicates import PIXEL_DIGEST
from xray_mining.ingest.earlier import NOT_READ
from xray_mining.ingest.identity import Domain, file_key_of, open_domain
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
    part_path,
    readable_again,
    settle,
    stale,
)
from xray_mining.ingest.patient_ids import zero_of_numbered
from xray_mining.ingest.run import ShardTask, rows_digest, rows_made_from, run_table, store_name
from xray_mining.ingest.why_again import why_again, why_rows
from xray_mining.ingest.workers import run_tasks
from xray_mining.progress import Bar, progress
from xray_mining.records.file_events import FileEvents
from xray_mining.records.ingest_runs import IngestRuns
from xray_mining.records.ledger import record_run
from xray_mining.records.rejects import Rejects
from xray_mining.workspace import ArchiveSettings, Workspace, asset, lock, lock_slices, sweep, versions, write_json

# Table rows in one slice under --metadata-only.
TABLE_ROWS = 50_000
# The part of rejects that holds files whose content changed since they were read.
_CHANGED = "changed.parquet"
# In an archive's private folder: the address of its source, and how it was last asked for.
_ARCHIVE, _ASKED = "archive.json", "asked.json"
_ABOUT_ZERO = {"keep_zero", "zero_is_none"}
"""Rules that may differ within a domain: they say what 0 is in one archive."""
_ASKED_AGAIN = "--again asked for it"
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")


@dataclass(frozen=True, slots=True)
class IngestResult:
    """What a run did, and how the whole archive stands before merge settles duplicates."""

    archive: str
    adapter: str
    store: str
    listed: int
    ignored: int
    shards: int
    shards_done: int
    shards_now: int
    seen: int
    kept: int
    rejected: int
    vanished: int
    changed: int
    returned: int
    rows_without_file: int
    repeated_rows: int
    patient_id_rule: tuple[str, ...]
    """By which it was read: the owner's, and 'keep_zero' where the table shows that 0 is a person's."""
    other_rule: tuple[str, ...]
    """Archives of the same domain that were read by another rule: one person has two keys there and here."""
    near_duplicates: int
    """Pairs over all archives of the workspace."""
    bytes_now: int
    files_now: int
    seconds: float
    decoder_failures: tuple[tuple[str, int], ...] = ()
    """Frames of all shards that a decoder failed to read, by decoder and error."""
    notes: tuple[str, ...] = ()
    """What its owner should know of how the tables were read, and why shards were read once more."""


@dataclass(frozen=True, slots=True)
class IngestRequest:
    """What the command line or a study asks of one run."""

    source: Source
    name: str | None = None
    domain: str | None = None
    adapter: str | None = None
    mapping: Path | None = None
    key_file: Path | None = None
    jobs: int | None = None
    shards: tuple[int, int] | None = None
    metadata_only: bool = False
    again: bool = False


def ingest(workspace: Workspace, request: IngestRequest, options: IngestOptions) -> IngestResult:
    """Read an archive into parts and pixels; goes on where an earlier run was interrupted.

    Raises UserError for a source that is not there or that no adapter reads, CannotFinish where the disk refuses.
    """
    source = request.source
    source.check()
    if source.is_within(workspace.root):
        raise UserError(f"{source}: lies in the workspace; an archive is a folder of its own")
    mapping = _mapping_of(request, options) or _mapping_before(workspace, request, options)
    adapter = adapter_for(source, request.adapter or options.adapter, mapping)
    adapter.check()
    name = _register(workspace, request, adapter, mapping)
    options = options.model_copy(update={"patient_id_rule": _rule(workspace, name, adapter, options)})
    # Two that read the same shards would do all of them twice; jobs with other shards work side by side.
    busy = f"archive {name}: another ingest of it is at work"
    with lock_slices(shards.folder_of(workspace, name) / "ingest.lock", request.shards, busy):
        return _ingest(workspace, request, options, name=name, adapter=adapter, mapping=mapping)


def _ingest(
    workspace: Workspace,
    request: IngestRequest,
    options: IngestOptions,
    *,
    name: str,
    adapter: Adapter,
    mapping: Path | None,
) -> IngestResult:
    """The same for an archive that is registered, by the one process that is at its shards."""
    started, clock = datetime.now(UTC), time.monotonic()
    settings = workspace.settings.archives[name]
    domain = open_domain(workspace, settings.domain, adapter.public, request.key_file)
    store = "" if request.metadata_only else store_name(options.grey)
    private = shards.folder_of(workspace, name)
    adapter.keep_tables(shards.tables_folder(workspace, name))
    command = f"xray-mining ingest {name}" + (" --metadata-only" if request.metadata_only else "")
    with record_run(workspace, "ingest", name, command, options.model_dump(exclude={"mapping"})) as notes:
        for place in (workspace.root / "parts" / name, workspace.root / "pixels", private):
            if place.is_dir():
                sweep(place)
        made_from = rows_made_from(options, adapter)
        rows_differ = why_rows((_asked(workspace, name) or {}).get("made_from"), made_from)
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
        _remember(workspace, task, made_from)
        rows = adapter.rows() if request.metadata_only else None
        if rows is not None:
            earlier = {number: [each] for number, each in counts_of(workspace, name, "").items()}
            finished = _table_rows(workspace, task, adapter, rows, request.again)
            result = _result(workspace, task, store, finished=finished, listing=None, events={}, adapter=adapter)
            # Where the pictures lie nobody looked, but what the adapter does not read is said.
            result = replace(result, ignored=adapter.ignored())
            earlier = {each.shard: earlier[each.shard] for each in finished if each.shard in earlier}
            known = {_ASKED_AGAIN: earlier if request.again else ()}
            said = why_again(workspace, earlier, task.digest, options.grey, rows=rows_differ, known=known)
            result = replace(result, notes=(*result.notes, *filter(None, (said,))))
            result = replace(result, shards=result.shards_done, seconds=round(time.monotonic() - clock, 3))
            run = f"{started:%Y%m%dT%H%M%S}-{uuid.uuid4().hex[:8]}"
            _write_run(workspace, run, result, finished, options, started=started)
            return result
        # Shards that a run was killed over while it put their parts in place.
        before = _chosen(request, shards.known_shards(workspace, name))
        for each in before:
            settle(workspace, name, each)
        any_store = store or None
        if request.again:
            # Before the lists take over what is there today: killed in between, nothing is taken for read.
            outdate(workspace, name, before, any_store)
        listing = _listing(workspace, request, options, name, adapter, chosen=before)
        run = f"{started:%Y%m%dT%H%M%S}-{uuid.uuid4().hex[:8]}"
        events = _events(workspace, name, run, domain, listing) if listing is not None else {}
        known = shards.known_shards(workspace, name)
        if not known:
            raise UserError(_nothing(request, adapter, listing))
        chosen = _chosen(request, known)
        _open_store(workspace, store, options)
        # What pictures were read with is all that headers say, and more.
        done = counts_of(workspace, name, any_store, task.digest)
        name_digests(workspace, name, done.values(), PIXEL_DIGEST)
        mine = [done[each] for each in chosen if each in done]
        because = {
            _ASKED_AGAIN: set(before) if request.again else set(),
            "a mask file came, went or changed": stale(
                workspace, name, [each.shard for each in mine], store, request.source
            ),
            "a file can be read that could not be read then": readable_again(workspace, name, mine, request.source),
            "files and rows of the table claim one another otherwise": shards.contest(workspace, name, adapter)
            & {each.shard for each in mine},
        }
        to_do = set().union(*because.values()) & {each.shard for each in mine}
        earlier = counts_by_shard(workspace, name)
        outdate(workspace, name, to_do, any_store)
        states = shards.states_of(workspace, name)
        tasks = [_with_states(task, each, states) for each in chosen if each not in done or each in to_do]
        earlier = {task.shard: earlier.get(task.shard, []) for task in tasks if has_parts(workspace, name, task.shard)}
        said = why_again(workspace, earlier, task.digest, options.grey, rows=rows_differ, known=because)
        finished = _run(workspace, name, tasks, request.jobs, options)
        _reject_changed(workspace, name, domain)
        if store and workspace.settings.store != store:
            with lock(workspace.private / "settings.lock"):
                workspace.save(workspace.settings.model_copy(update={"store": store}))
        if store and set(known) <= set(counts_of(workspace, name, store, task.digest)):
            # Every file is read: rows that stood for files by their table alone have done their service.
            for each in counts_of(workspace, name, ""):
                if each >= FIRST_TABLE_SHARD:
                    forget(workspace, name, each, "")
        pairs = near_duplicates.known(workspace)
        if store and options.near_duplicates:
            pairs = near_duplicates.find(workspace, store)
        result = _result(workspace, task, store, finished=finished, listing=listing, events=events, adapter=adapter)
        result = replace(result, near_duplicates=pairs, notes=(*result.notes, *filter(None, (said,))))
        result = replace(result, shards=len(known), seconds=round(time.monotonic() - clock, 3))
        notes.outputs["store"] = store
        _write_run(workspace, run, result, finished, options, started=started)
    return result


def _table_rows(
    workspace: Workspace, task: ShardTask, adapter: Adapter, rows: Iterator[Radiograph], again: bool
) -> list[ShardCounts]:
    """Make the catalog from an adapter's tables alone, in slices of rows; those made from the same tables stay."""
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
        # An earlier table was longer.
        if each >= number:
            forget(workspace, task.archive, each, "")
    return finished


def _chosen(request: IngestRequest, known: Sequence[int]) -> list[int]:
    return [each for each in known if request.shards is None or request.shards[0] <= each < request.shards[1]]


def _with_states(task: ShardTask, shard: int, states: Mapping[int, Mapping[int, shards.FileState]]) -> ShardTask:
    """The task of one shard, with what the last walk said of its files."""
    mine = states.get(shard, {})
    vanished, changed = (
        frozenset(position for position, each in mine.items() if each.state == state)
        for state in ("vanished", "changed")
    )
    return replace(task, shard=shard, vanished=vanished, changed=changed)


def _result(
    workspace: Workspace,
    task: ShardTask,
    store: str,
    *,
    finished: Sequence[ShardCounts],
    listing: shards.Listing | None,
    events: dict[str, int],
    adapter: Adapter,
) -> IngestResult:
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
        other_rule=_other_rule(workspace, task.archive),
        near_duplicates=0,
        bytes_now=sum(each.bytes for each in finished),
        files_now=sum(each.files for each in finished),
        seconds=0.0,
        decoder_failures=tuple(sorted(failures.items())),
        notes=tuple(adapter.notes()),
    )


def _mapping_of(request: IngestRequest, options: IngestOptions) -> Path | None:
    if request.mapping is not None:
        return request.mapping.resolve()
    if options.mapping is None:
        return None
    path = Path(options.mapping)
    if path.suffix in (".yaml", ".yml"):
        return path.resolve()
    shipped = {path.stem: path for path in asset("pipelines/mappings").glob("*.yaml")}
    if options.mapping not in shipped:
        raise unknown_name("--mapping", options.mapping, shipped)
    return shipped[options.mapping]


def _mapping_before(workspace: Workspace, request: IngestRequest, options: IngestOptions) -> Path | None:
    """The mapping that the archive was last read by: the same command goes on without naming it again."""
    if (request.adapter or options.adapter or "generic") != "generic":
        return None
    address = request.source.address
    for name, known in workspace.settings.archives.items():
        same = name == request.name if request.name is not None else address_of(workspace, name) == address
        if same and known.adapter == "generic":
            asked = _asked(workspace, name)
            return _mapping_in(asked) if asked is not None else None
    return None


def _asked(workspace: Workspace, name: str) -> dict[str, Any] | None:
    """How the archive was last asked for, as `_remember` wrote it."""
    try:
        return json.loads((shards.folder_of(workspace, name) / _ASKED).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def _mapping_in(asked: dict[str, Any]) -> Path | None:
    return Path(os.fsdecode(bytes.fromhex(asked["mapping"]))) if asked.get("mapping") else None


def _register(workspace: Workspace, request: IngestRequest, adapter: Adapter, mapping: Path | None) -> str:
    """The archive's name in workspace.yaml, entered on its first ingest; its address is kept in the private folder."""
    address = request.source.address
    with lock(workspace.private / "settings.lock"):
        settings = workspace.settings
        addresses = {name: address_of(workspace, name) for name in settings.archives}
        name = request.name
        if name is None:
            # A folder's name may name a person or a place: the default name is the adapter's.
            mine = [each for each, other in addresses.items() if other == address]
            shipped = mapping is not None and mapping.parent == asset("pipelines/mappings")
            base = mapping.stem if mapping is not None and shipped else adapter.name
            names = [base, *(f"{base}_{number}" for number in range(2, len(addresses) + 3))]
            name = mine[0] if mine else next(each for each in names if each not in addresses)
        if not _NAME.fullmatch(name):
            raise UserError(
                f"--name {name}: a name is made of small letters, digits, '_' and '-', starts with a letter or digit, "
                f"and has up to 63 of them"
            )
        known = settings.archives.get(name)
        if known is None:
            domain = request.domain or adapter.domain or name
            if not _NAME.fullmatch(domain):
                raise UserError(f"--domain {domain}: a domain is made of small letters, digits, '_' and '-'")
            known = ArchiveSettings(domain=domain, adapter=adapter.name, order=len(settings.archives))
            archives = {**settings.archives, name: known}
            private = shards.folder_of(workspace, name)
            private.mkdir(parents=True, exist_ok=True, mode=0o700)
            write_json({"address": os.fsencode(address).hex()}, private / _ARCHIVE)
            workspace.save(settings.model_copy(update={"archives": archives}))
        elif (before := addresses[name]) != address:
            if before is not None and source_at(before).is_there():
                raise UserError(
                    f"--name {name}: is another folder's name in this workspace; give this one its own name"
                )
            # The archive was moved: its relative paths, and with them its keys, are the same.
            write_json({"address": os.fsencode(address).hex()}, shards.folder_of(workspace, name) / _ARCHIVE)
        if request.domain is not None and request.domain != known.domain:
            raise UserError(
                f"--domain {request.domain}: archive '{name}' was ingested under domain '{known.domain}'; its keys "
                f"cannot change. Ingest it under another --name or into a new workspace"
            )
        if adapter.name != known.adapter:
            raise UserError(
                f"--adapter {adapter.name}: archive '{name}' was read by '{known.adapter}'; give another --name, or "
                f"leave the option out"
            )
        if mapping is not None:
            copied = mapping.read_bytes() if mapping.is_file() else b""
            (shards.folder_of(workspace, name) / "mapping.yaml").write_bytes(copied)
    return name


def _rule(workspace: Workspace, name: str, adapter: Adapter, options: IngestOptions) -> tuple[str, ...]:
    """The rule for the patient ids of an archive, as asked for now or before; all archives of a domain share it.

    Unless the rule says what 0 is, a table decides: see `zero_of_numbered`.
    """
    with lock(workspace.private / "settings.lock"):
        settings = workspace.settings
        known = settings.archives[name]
        others = {each: one for each, one in settings.archives.items() if one.domain == known.domain}
        asked = options.patient_id_rule
        if asked is not None:
            rule = asked
        elif known.patient_id_rule or len(others) == 1:
            rule = known.patient_id_rule
        else:
            rule = next((one.patient_id_rule for one in others.values() if one.patient_id_rule), ())
        said = {each: rule if asked is not None else one.patient_id_rule for each, one in others.items()}
        if not {"keep_zero", "zero_is_none"} & set(rule) and zero_of_numbered(adapter.patient_ids()):
            rule = (*rule, "keep_zero")
        said[name] = rule
        changed = {each: others[each].model_copy(update={"patient_id_rule": one}) for each, one in said.items()}
        if changed != others:
            workspace.save(settings.model_copy(update={"archives": {**settings.archives, **changed}}))
    return rule


def _other_rule(workspace: Workspace, name: str) -> tuple[str, ...]:
    """Archives of the same domain whose parts were made by another rule than this archive's."""
    settings = workspace.settings.archives

    def rule_of(archive: str) -> set[str] | None:
        asked = _asked(workspace, archive)
        return None if asked is None else set(asked.get("patient_id_rule", [])) - _ABOUT_ZERO

    mine = rule_of(name) or set()
    domain = settings[name].domain
    return tuple(each for each, one in settings.items() if one.domain == domain and rule_of(each) not in (None, mine))


def address_of(workspace: Workspace, name: str) -> str | None:
    """The address of an archive's source, which only the private folder has; None where that is not there."""
    try:
        raw = json.loads((shards.folder_of(workspace, name) / _ARCHIVE).read_text(encoding="utf-8"))
        # Earlier versions knew folders only.
        return os.fsdecode(bytes.fromhex(raw.get("address") or raw["folder"]))
    except (OSError, ValueError, KeyError):
        return None


def source_of(workspace: Workspace, name: str) -> Source | None:
    """The source of an archive; None where the private folder does not have its address."""
    address = address_of(workspace, name)
    return None if address is None else source_at(address)


def _remember(workspace: Workspace, task: ShardTask, made_from: Mapping[str, Any]) -> None:
    """Keep how the archive was last asked for, so that `status` can tell what the next run would do anew."""
    asked = {
        "topcode_age": task.options.topcode_age,
        "patient_id_rule": list(task.options.patient_id_rule or ()),
        "mapping": os.fsencode(task.mapping).hex() if task.mapping is not None else "",
        "digest": task.digest,
        "made_from": dict(made_from),
    }
    path = shards.folder_of(workspace, task.archive) / _ASKED
    if not path.is_file() or json.loads(path.read_text(encoding="utf-8")) != asked:
        write_json(asked, path)


def wanted_digest(workspace: Workspace, name: str) -> str | None:
    """The digest that a shard of today's tables has; that of the last run where they are out of reach."""
    source = source_of(workspace, name)
    asked = _asked(workspace, name)
    if asked is None:
        return None
    try:
        if source is None or not source.is_there():
            return asked["digest"]
        adapter = adapter_for(source, workspace.settings.archives[name].adapter, _mapping_in(asked))
        rule = workspace.settings.archives[name].patient_id_rule
        options = IngestOptions.model_validate({"topcode_age": asked["topcode_age"], "patient_id_rule": rule})
        return rows_digest(rows_made_from(options, adapter))
    except (OSError, ValueError, KeyError):
        return None
    except UserError:
        return asked["digest"]


def _listing(
    workspace: Workspace,
    request: IngestRequest,
    options: IngestOptions,
    name: str,
    adapter: Adapter,
    *,
    chosen: Collection[int],
) -> shards.Listing | None:
    """The walk over the archive; none for a job that was given its shards, once they are listed.

    With --again such a job walks, too: the lists of its shards are to say what it reads.
    """
    if request.shards is not None and shards.known_shards(workspace, name) and not request.again:
        return None

    def renew(shard: int) -> bool:
        # Of a shard that was never read no file can have changed since.
        return (request.again and shard in chosen) or not has_parts(workspace, name, shard)

    return shards.update(workspace, name, adapter, options.shard_files, renew)


def _nothing(request: IngestRequest, adapter: Adapter, listing: shards.Listing | None) -> str:
    ignored = listing.ignored if listing else 0
    beside = f" ({ignored} tables, texts and the like lie there)" if ignored else ""
    return (
        f"{request.source}: holds no files that adapter '{adapter.name}' reads{beside}; name the folder of the images"
    )


def _events(workspace: Workspace, name: str, run: str, domain: Domain, listing: shards.Listing) -> dict[str, int]:
    """Write what vanished, changed and returned since the last run; how often each."""
    folder = workspace.parts(name, FileEvents.table)
    before = FileEvents.read(folder)
    last = {row["file_key"]: row["event"] for row in before.sort("run").iter_rows(named=True)}
    gone = {key for key, event in last.items() if event == "vanished"}
    rows = []

    def keys_of(frame: pl.DataFrame) -> list[str]:
        return [file_key_of(domain, name, path, member) for path, member in frame.select("path", "member").iter_rows()]

    def note(keys: Iterable[str], event: str) -> None:
        rows.extend({"file_key": key, "archive": name, "run": run, "event": event} for key in keys)

    note((key for key in keys_of(listing.vanished) if key not in gone), "vanished")
    if gone:
        note((key for key in keys_of(listing.there) if key in gone), "returned")
    known = {key for key in keys_of(listing.changed_before) if last.get(key) == "changed"}
    note((key for key in keys_of(listing.changed) if key not in known), "changed")
    if rows:
        FileEvents.write(FileEvents.from_rows(rows), folder / f"{run}.parquet")
    return {event: sum(row["event"] == event for row in rows) for event in ("vanished", "changed", "returned")}


def _reject_changed(workspace: Workspace, name: str, domain: Domain) -> None:
    """What was made of a changed file stays; beside it its new content is rejected until it is read with --again.

    Where nothing was made of it that stays, its shard has a row that says so, and one is enough.
    """
    path = workspace.parts(name, Rejects.table) / _CHANGED
    sentence = "The file changed since it was read; what was made of it then stays, --again reads it anew."
    # Jobs end at the same time: the last one to look sees the parts of all.
    with lock(shards.folder_of(workspace, name) / "list.lock"):
        rows = []
        for shard, states in shards.states_of(workspace, name).items():
            changed = {position: each.bytes for position, each in states.items() if each.state == "changed"}
            if not changed or not has_parts(workspace, name, shard):
                continue
            said = Rejects.read(part_path(workspace, name, Rejects, shard)).filter(pl.col("reason").is_in(NOT_READ))
            files = shards.files_of(workspace, name, shard)
            rows += [
                {
                    "file_key": file_key_of(domain, name, files[position].path, files[position].member),
                    "archive": name,
                    "shard": shard,
                    "position": position,
                    "frame": 0,
                    "stage": "list",
                    "reason": "changed",
                    "sentence": sentence,
                    "bytes": max(changed[position], 0),
                }
                for position in sorted(changed.keys() - set(said["position"]))
            ]
        if rows:
            Rejects.write(Rejects.from_rows(rows), path)
        else:
            path.unlink(missing_ok=True)


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
        said = _Said(bar)
        finished += run_tasks(tasks, jobs, options.file_limit_s, log, said.now)
    return finished


@dataclass(slots=True)
class _Said:
    """Turns totals into steps of the bar."""

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
    """Table rows that no file of the lists stands for; none of an archive that is known by its table alone."""
    named = adapter.table_files()
    listed = shards.listed_files(workspace, name)
    if named is None or not listed:
        return 0
    # A file that the table does not name stands for none of its rows.
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
