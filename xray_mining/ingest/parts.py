"""The parts of one shard on disk, its counts, and how new parts replace old ones.

A shard's new parts are first written beside the old ones. When all are complete they are moved into place, the counts
last. A run that is killed before the move has changed nothing; a move that was interrupted is finished by the next run.
"""

import json
import shutil
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import polars as pl

from xray_mining.archive.source import Source
from xray_mining.ingest import shards
from xray_mining.pixels.store import ShardWriter, raw_shard, write_shard
from xray_mining.records.boxes import Boxes
from xray_mining.records.findings import Findings
from xray_mining.records.images import Images
from xray_mining.records.mask_faults import MaskFaults
from xray_mining.records.masks import Masks
from xray_mining.records.pixels import Pixels
from xray_mining.records.record import Record
from xray_mining.records.rejects import Rejects
from xray_mining.records.unread_cells import UnreadCells
from xray_mining.workspace import Workspace, lock, move_durably, write_frame, write_json

# Images last, so that rows that refer to an image are written before it.
_RECORDS: tuple[type[Record], ...] = (Findings, Boxes, UnreadCells, Rejects, Masks, MaskFaults, Pixels, Images)
_COUNTS = "counts.json"
FIRST_TABLE_SHARD = 50_000
"""First number of shards of table rows without pictures; shards of files have smaller numbers, so they sort first."""


@dataclass(frozen=True, slots=True)
class ShardCounts:
    """The counts of one finished shard."""

    shard: int
    store: str
    files: int
    bytes: int
    seen: int
    kept: int
    rejected: int
    seconds: float
    digest: str = ""
    """Digest of the inputs of its rows other than files: if it differs from today's, the shard is read again."""
    pixel_digest: str = ""
    """The kind of its rows' pixel digests; empty in shards of an earlier version."""
    unread: Mapping[int, tuple[int, ...]] = field(default_factory=dict)
    """Positions of files that could not be read, each with the file's state at that time (`shards.standing_of`).

    Empty if no file was tried: the last walk found it vanished or changed, or an earlier version did not note it.
    """
    decoder_failures: Mapping[str, int] = field(default_factory=dict)
    """Frames that each decoder failed to read, by `DecoderFailure` as text; another decoder may have read them."""

    def __post_init__(self) -> None:
        if self.seen != self.kept + self.rejected:
            raise ArithmeticError(f"shard lost files: {self}")


def counts_in(path: Path) -> ShardCounts:
    """The counts in a file of `counts_path`."""
    raw: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    unread = raw.get("unread", {})
    standings = unread if isinstance(unread, dict) else dict.fromkeys(unread, ())
    return replace(ShardCounts(**raw), unread={int(each): tuple(standings[each]) for each in standings})


def counts_path(workspace: Workspace, archive: str, shard: int, store: str) -> Path:
    """The file that is written last: a shard is finished if it exists."""
    return _counts_folder(workspace, archive) / f"{shard:05d}-{store}.json"


def _counts_folder(workspace: Workspace, archive: str) -> Path:
    return workspace.root / "parts" / archive / "shards"


def part_path(workspace: Workspace, archive: str, record: type[Record], shard: int) -> Path:
    """One shard's part of a record."""
    return workspace.parts(archive, record.table) / f"{shard:05d}.parquet"


def counts_of(
    workspace: Workspace, archive: str, store: str | None, digest: str | None = None
) -> dict[int, ShardCounts]:
    """The counts of all shards that are finished for a store, by number; with `digest` only shards with this digest.

    None means any store, with pictures or without.
    """
    found = {}
    for _, counts in _counts(workspace, archive, f"*-{'*' if store is None else store}"):
        if digest is not None and counts.digest != digest:
            continue
        if part_path(workspace, archive, Images, counts.shard).is_file():
            found[counts.shard] = counts
    return found


def counts_of_shard(workspace: Workspace, archive: str, shard: int) -> list[ShardCounts]:
    """The counts that a shard has for any store; empty if it was never finished."""
    return [counts for _, counts in _counts(workspace, archive, f"{shard:05d}-*")]


def counts_by_shard(workspace: Workspace, archive: str) -> dict[int, list[ShardCounts]]:
    """The counts that each shard has for any store, by number; unfinished shards are left out."""
    found: dict[int, list[ShardCounts]] = {}
    for _, counts in _counts(workspace, archive, "*"):
        found.setdefault(counts.shard, []).append(counts)
    return found


def _counts(workspace: Workspace, archive: str, names: str) -> Iterator[tuple[Path, ShardCounts]]:
    """Counts with their files, by a pattern of names; files that another process removes meanwhile are left out."""
    for path in sorted(_counts_folder(workspace, archive).glob(f"{names}.json")):
        try:
            counts = counts_in(path)
        except FileNotFoundError:
            continue
        yield path, counts


def outdate(workspace: Workspace, archive: str, shards_to_do: Iterable[int], store: str | None) -> None:
    """Mark shards to be read again, by this run or, if it is killed, by the next; their parts stay until then."""
    wanted = set(shards_to_do)
    if not wanted:
        return
    # List the folder once: listing it for each shard would take quadratic time.
    for path, counts in _counts(workspace, archive, f"*-{'*' if store is None else store}"):
        if counts.shard in wanted:
            write_json(asdict(replace(counts, digest="")), path)


def name_digests(workspace: Workspace, archive: str, done: Iterable[ShardCounts], pixel_digest: str) -> None:
    """Write the kind of digests into counts of `done` in which an earlier version left it empty."""
    for counts in done:
        if not counts.pixel_digest:
            path = counts_path(workspace, archive, counts.shard, counts.store)
            write_json(asdict(replace(counts, pixel_digest=pixel_digest)), path)


def has_parts(workspace: Workspace, archive: str, shard: int) -> bool:
    """Whether the shard was read before."""
    return part_path(workspace, archive, Images, shard).is_file()


@dataclass(frozen=True, slots=True)
class Accounts:
    """Totals of all parts of an archive, before merge finds duplicates."""

    kept: int
    rejected: int

    @property
    def seen(self) -> int:
        """Every item is a row of images or of rejects."""
        return self.kept + self.rejected


def accounts_of(workspace: Workspace, archive: str) -> Accounts:
    """Number of rows in the parts that merge reads, including shards of other tables or stores."""

    def rows(record: type[Record]) -> int:
        paths = workspace.parts(archive, record.table).glob("*.parquet")
        return sum(pl.scan_parquet(path).select(pl.len()).collect().item() for path in paths)

    return Accounts(rows(Images), rows(Rejects))


@contextmanager
def staged(
    workspace: Workspace, archive: str, shard: int, alive: Callable[[], None] | None = None
) -> Generator["Staging"]:
    """A folder for a shard's new parts, which replace the old ones when the block succeeds.

    Parts that a killed run left there are moved into place if they are complete, else deleted; if the block fails, the
    folder is deleted. Another process that needs the same shard waits and calls `alive` meanwhile, because the two
    would mix their parts.
    """
    with _alone(workspace, archive, shard, alive):
        _put_in_place(workspace, archive, shard)
        discard(workspace, archive, shard)
        staging = Staging(workspace, archive, shard)
        try:
            yield staging
            assert staging.counts is not None
            write_json(asdict(staging.counts), staging.folder / _COUNTS)
        except BaseException:
            discard(workspace, archive, shard)
            raise
        _put_in_place(workspace, archive, shard)


def _alone(
    workspace: Workspace, archive: str, shard: int, alive: Callable[[], None] | None = None
) -> AbstractContextManager[int]:
    return lock(shards.folder_of(workspace, archive) / "locks" / f"{shard:05d}.lock", alive=alive)


@dataclass(slots=True)
class Staging:
    """The folder in which a shard's new parts wait until all are complete."""

    workspace: Workspace
    archive: str
    shard: int
    counts: ShardCounts | None = None
    """Must be set before the block ends."""

    @property
    def folder(self) -> Path:
        """The folder of the new parts: on the same disk as the parts that they replace."""
        return _staging(self.workspace, self.archive, self.shard)

    def write(self, record: type[Record], frame: pl.DataFrame) -> None:
        """Write one part with the record's columns and types."""
        write_frame(frame, self.folder / f"{record.table}.parquet")

    def note(self, path: Path, frame: pl.DataFrame) -> None:
        """Write a file of the private folder about the shard, to be moved to `path`; without rows `path` is removed."""
        waiting = _private(self.workspace, self.archive, self.shard) / path.relative_to(
            shards.folder_of(self.workspace, self.archive)
        )
        if frame.height:
            write_frame(frame, waiting)
        else:
            waiting.parent.mkdir(parents=True, exist_ok=True)
            waiting.touch()

    @contextmanager
    def pictures(self, store: str) -> Generator[ShardWriter]:
        """A writer of the raw pictures."""
        with write_shard(_beside(self.workspace, store), store, self.archive, self.shard) as writer:
            yield writer


def _staging(workspace: Workspace, archive: str, shard: int) -> Path:
    return workspace.root / "parts" / archive / "staged" / f"{shard:05d}"


def _private(workspace: Workspace, archive: str, shard: int) -> Path:
    """Folder of notes that may only be kept in the private folder."""
    return shards.folder_of(workspace, archive) / "staged" / f"{shard:05d}"


def _beside(workspace: Workspace, store: str) -> Workspace:
    """A workspace's layout within a store, so that pictures wait on the same disk as those that they replace."""
    return Workspace(workspace.store(store) / "staged")


def discard(workspace: Workspace, archive: str, shard: int) -> None:
    """Remove parts of a shard that were written and never moved into place."""
    shutil.rmtree(_staging(workspace, archive, shard), ignore_errors=True)
    shutil.rmtree(_private(workspace, archive, shard), ignore_errors=True)
    for waiting in (workspace.root / "pixels").glob("*/staged"):
        store = waiting.parent.name
        raw_shard(_beside(workspace, store), store, archive, shard).unlink(missing_ok=True)


def settle(workspace: Workspace, archive: str, shard: int) -> None:
    """Finish moving a shard's new parts into place after a run was killed; waits for a running move."""
    if (_staging(workspace, archive, shard) / _COUNTS).is_file():
        with _alone(workspace, archive, shard):
            _put_in_place(workspace, archive, shard)


def _put_in_place(workspace: Workspace, archive: str, shard: int) -> None:
    folder = _staging(workspace, archive, shard)
    if not (folder / _COUNTS).is_file():
        return
    counts = counts_in(folder / _COUNTS)
    _retract(workspace, archive, counts)
    store = counts.store
    if store:
        _move(raw_shard(_beside(workspace, store), store, archive, shard), raw_shard(workspace, store, archive, shard))
    for record in _RECORDS:
        _move(folder / f"{record.table}.parquet", part_path(workspace, archive, record, shard))
    private = _private(workspace, archive, shard)
    for note in sorted(private.glob("*/*.parquet")):
        target = shards.folder_of(workspace, archive) / note.relative_to(private)
        if note.stat().st_size:
            _move(note, target)
        else:
            # The mark is removed after everything it announces, so that a run killed in between is continued.
            target.unlink(missing_ok=True)
            note.unlink()
    _move(folder / _COUNTS, counts_path(workspace, archive, shard, store))
    shutil.rmtree(private, ignore_errors=True)
    shutil.rmtree(folder, ignore_errors=True)


def _move(source: Path, target: Path) -> None:
    if not source.is_file():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    move_durably(source, target)


def _retract(workspace: Workspace, archive: str, new: ShardCounts) -> None:
    """Remove the notes of an earlier run that the shard is finished, and its rows of pixels of this store.

    This happens before the new pictures replace the old ones, so that no key ever points to another image's picture.
    """
    counts_path(workspace, archive, new.shard, new.store).unlink(missing_ok=True)
    for path, other in _counts(workspace, archive, f"{new.shard:05d}-*"):
        # Stores share the rows of images: if these are now made from other tables, or from headers alone, they no
        # longer fit the other stores; and files that could not be read for this store must be retried for all.
        if other.digest != new.digest or (other.store and not new.store):
            path.unlink()
        elif (unread := {**other.unread, **new.unread}) != other.unread:
            write_json(asdict(replace(other, unread=unread)), path)
    pixels = part_path(workspace, archive, Pixels, new.shard)
    moved = not (_staging(workspace, archive, new.shard) / f"{Pixels.table}.parquet").is_file()
    if new.store and pixels.is_file() and not moved:
        # Never deleted, even if it is empty: a merge that has listed it reads it by name.
        write_frame(Pixels.read(pixels).filter(pl.col("store") != new.store), pixels)


def forget(workspace: Workspace, archive: str, shard: int, store: str) -> None:
    """Remove all parts of one shard; first its file of counts."""
    counts_path(workspace, archive, shard, store).unlink(missing_ok=True)
    for record in _RECORDS:
        part_path(workspace, archive, record, shard).unlink(missing_ok=True)


def stale(workspace: Workspace, archive: str, done: Iterable[int], store: str, source: Source) -> set[int]:
    """Finished shards with a mask file that was added, removed or changed since."""
    return {each for each in done if shards.masks_changed(workspace, archive, each, store, source)}


def readable_again(workspace: Workspace, archive: str, done: Iterable[ShardCounts], source: Source) -> set[int]:
    """Finished shards with a file that could not be read and whose state has changed since.

    A file that can be opened but is unchanged is not tried again: its disk or package error would repeat for ever.
    """
    states = shards.states_of(workspace, archive)
    found = set()
    for counts in done:
        if not counts.unread:
            continue
        files = shards.files_of(workspace, archive, counts.shard)
        amiss = states.get(counts.shard, {})
        for position, then in counts.unread.items():
            if position not in amiss and _is_other(source, files[position].path, then):
                found.add(counts.shard)
                break
    return found


def _is_other(source: Source, path: bytes, then: tuple[int, ...]) -> bool:
    """Whether a file's state differs from `then`; if `then` is unknown, whether the file may be read."""
    status = source.status(path)
    if not then:
        return status is not None and status.readable
    return shards.standing_of(source, path) != then


def _column(name: str, values: list[Any], kind: pl.DataType) -> pl.Series:
    if kind != pl.List(pl.String):
        return pl.Series(name, values, dtype=kind)
    # Few different lists of words occur, so polars builds each of them once.
    places: dict[tuple[str, ...] | None, int] = {}
    at = [places.setdefault(None if words is None else tuple(words), len(places)) for words in values]
    made = [None if words is None else list(words) for words in places]
    return pl.Series(name, made, dtype=kind).gather(at)


def part_of(record: type[Record], rows: Iterable[dict[str, Any]]) -> pl.DataFrame:
    """Rows as a typed frame in which a key may occur twice: merge resolves that, a worker sees only its own shard."""
    rows = list(rows)
    if not rows:
        return record.create_empty()
    # Built column by column, which is several times faster than from rows.
    frame = pl.DataFrame(
        [_column(name, [row.get(name) for row in rows], column.dtype) for name, column in record.columns().items()]
    )
    first = frame.unique(record.primary_key(), keep="first", maintain_order=True)
    record.typed(first)
    return frame.select(record.column_names())
