"""The file list of an archive, in fixed slices: the unit of work, of resuming and of spreading over machines.

Lists contain paths, so they are kept in the private folder. A slice never changes: new files go into new slices.
"""

import os
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from xray_mining.archive.adapter import Adapter
from xray_mining.archive.radiograph import ListedFile
from xray_mining.archive.row_names import CLAIMS_SCHEMA, contested
from xray_mining.archive.source import Source
from xray_mining.errors import UserError
from xray_mining.workspace import Workspace, lock, write_frame

_SHARDS_AT_ONCE = 50
_SCHEMA = {"path": pl.Binary, "member": pl.String, "bytes": pl.Int64, "modified_ns": pl.Int64}
_PLACE = {"shard": pl.Int64, "position": pl.Int64}
_STATES = {**_PLACE, "bytes": pl.Int64, "state": pl.String}


@dataclass(frozen=True, slots=True)
class FileState:
    """A file whose state differs from the list."""

    state: str
    """vanished or changed."""
    bytes: int
    """Its size: today's, or the last known one."""


@dataclass(frozen=True, slots=True)
class Listing:
    """What a walk over the archive found, compared with earlier walks."""

    shards: tuple[int, ...]
    listed: int
    ignored: int
    added: int
    vanished: pl.DataFrame
    """Rows path, member of files that an earlier walk saw and this one did not."""
    changed: pl.DataFrame
    """Rows path, member of files with another size or time than in their slice's list."""
    changed_before: pl.DataFrame
    """Rows path, member of files that the walk before reported in the same way."""
    present: pl.DataFrame
    """Rows path, member of all existing files."""


def folder_of(workspace: Workspace, archive: str) -> Path:
    """The archive's private folder for paths, lists and logs."""
    return workspace.private / "archives" / archive


def _lists(workspace: Workspace, archive: str) -> Path:
    return folder_of(workspace, archive) / "shards"


def known_shards(workspace: Workspace, archive: str) -> tuple[int, ...]:
    """Numbers of the listed slices."""
    return tuple(sorted(int(path.stem) for path in _lists(workspace, archive).glob("*.parquet")))


def listed_files(workspace: Workspace, archive: str) -> int:
    """Number of files in all slices."""
    paths = _lists(workspace, archive).glob("*.parquet")
    return sum(pl.scan_parquet(path).select(pl.len()).collect().item() for path in paths)


def files_of(workspace: Workspace, archive: str, shard: int) -> list[ListedFile]:
    """The files of one slice, in their order."""
    path = _lists(workspace, archive) / f"{shard:05d}.parquet"
    try:
        frame = pl.read_parquet(path)
    except OSError as error:
        raise UserError(
            f"archive {archive}: shard {shard} is not listed; run `xray-mining ingest` without --shards first"
        ) from error
    return [ListedFile(*row) for row in frame.select(list(_SCHEMA)).iter_rows()]


def update(
    workspace: Workspace, archive: str, adapter: Adapter, shard_files: int, renew: Callable[[int], bool]
) -> Listing:
    """Walk the archive and list new files in new slices; slices to `renew` get today's sizes and times."""
    home = _lists(workspace, archive)
    with lock(folder_of(workspace, archive) / "list.lock"):
        walked, ignored = [], 0
        # The workspace may be inside the archive; its own files are no radiographs.
        own = _workspace_in(adapter.source, workspace)
        for file in adapter.files():
            if file.path.startswith(own):
                continue
            if file.bytes >= -1 and adapter.ignores(file):
                ignored += 1
            else:
                walked.append((file.path, file.member, file.bytes, file.modified_ns))
        present = pl.DataFrame(walked, schema=_SCHEMA, orient="row").with_row_index("place")
        # Compare with all earlier lists: new files, vanished files, and files with another size or time.
        known = {shard: pl.read_parquet(home / f"{shard:05d}.parquet") for shard in known_shards(workspace, archive)}
        before = _in_one(known)
        keys = ["path", "member"]
        # Members in their order, so that a compressed package is read once, from start to end.
        new = present.join(before, on=keys, how="anti").sort("path", "place").drop("place")
        vanished = before.join(present, on=keys, how="anti")
        both = before.join(present, on=keys, suffix="_today")
        changed = both.filter(
            (pl.col("bytes") != pl.col("bytes_today")) | (pl.col("modified_ns") != pl.col("modified_ns_today"))
        )
        # Only slices that are read again take over new sizes and times; else a changed file would count as read.
        renewed = [shard for shard in changed["shard"].unique().sort() if renew(shard)]
        for shard in renewed:
            write_frame(known[shard].update(present.drop("place"), on=keys), home / f"{shard:05d}.parquet")
        # New files go into new slices, because existing slices never change.
        first = max(known, default=-1) + 1
        for number, start in enumerate(range(0, new.height, shard_files)):
            write_frame(new[start : start + shard_files], home / f"{first + number:05d}.parquet")
        # Changes that the walk before reported already, so that they are not counted as new.
        earlier = _states(workspace, archive).filter(pl.col("state") == "changed")
        states = pl.concat(
            [
                vanished.select(*_PLACE, "bytes", pl.lit("vanished").alias("state")),
                changed.filter(~pl.col("shard").is_in(renewed)).select(
                    *_PLACE, pl.col("bytes_today").alias("bytes"), pl.lit("changed").alias("state")
                ),
            ]
        )
        if not states.equals(_states(workspace, archive)):
            write_frame(states, _states_path(workspace, archive))
    return Listing(
        shards=known_shards(workspace, archive),
        listed=present.height + ignored,
        ignored=ignored,
        added=new.height,
        vanished=vanished.select(keys),
        changed=changed.select(keys),
        changed_before=before.join(earlier, on=list(_PLACE), how="semi").select(keys),
        present=present.select(keys),
    )


def _in_one(known: Mapping[int, pl.DataFrame]) -> pl.DataFrame:
    """The lists of all slices as one frame, with each file's shard and position."""
    numbered = [
        frame.select(
            pl.lit(shard, pl.Int64).alias("shard"),
            pl.int_range(pl.len(), dtype=pl.Int64).alias("position"),
            pl.all(),
        )
        for shard, frame in known.items()
    ]
    return pl.concat(numbered) if numbered else pl.DataFrame(schema=_PLACE | _SCHEMA)


def _workspace_in(source: Source, workspace: Workspace) -> tuple[bytes, ...]:
    """Prefixes of paths of the workspace's own files, if it is inside the archive, so that they are not listed."""
    found = (source.paths_in(each) for each in (workspace.root, workspace.private))
    return tuple(each for each in found if each is not None)


def _states_path(workspace: Workspace, archive: str) -> Path:
    return folder_of(workspace, archive) / "states.parquet"


def _states(workspace: Workspace, archive: str) -> pl.DataFrame:
    path = _states_path(workspace, archive)
    return pl.read_parquet(path) if path.is_file() else pl.DataFrame(schema=_STATES)


def states_of(workspace: Workspace, archive: str) -> dict[int, dict[int, FileState]]:
    """Files whose state differs from the list, as the last walk found them: by shard and position."""
    found: dict[int, dict[int, FileState]] = {}
    for shard, position, size, state in _states(workspace, archive).iter_rows():
        found.setdefault(shard, {})[position] = FileState(state, size)
    return found


def standing_of(source: Source, path: bytes) -> tuple[int, ...]:
    """The state of a file in a form that JSON can hold; (-1,) if it cannot be found.

    Making an unreadable file readable changes its state, except for a disk that works again after errors.
    """
    status = source.status(path)
    return (-1,) if status is None else status.numbers()


_MASKS = {"path": pl.Binary, "bytes": pl.Int64, "modified_ns": pl.Int64}


def state_of(source: Source, path: bytes) -> tuple[int, int]:
    """Size and time of a file; -1 and 0 if it cannot be found."""
    status = source.status(path)
    return (-1, 0) if status is None else (status.bytes, status.modified_ns)


def masks_path(workspace: Workspace, archive: str, shard: int, store: str) -> Path:
    """Path of the list of mask files from which a shard's rows of a store were made; missing if there were none."""
    return folder_of(workspace, archive) / "masks" / f"{shard:05d}-{store}.parquet"


def masks_frame(masks: Mapping[bytes, tuple[int, int]]) -> pl.DataFrame:
    """Mask files with their sizes and times, as `masks_changed` needs them."""
    return pl.DataFrame([(each, *state) for each, state in sorted(masks.items())], schema=_MASKS, orient="row")


def masks_changed(workspace: Workspace, archive: str, shard: int, store: str, source: Source) -> bool:
    """Whether a mask file of the shard was added, removed or changed since."""
    path = masks_path(workspace, archive, shard, store)
    if not path.is_file():
        return False
    read = pl.read_parquet(path).iter_rows()
    return any(state_of(source, each) != (size, modified) for each, size, modified in read)


def tables_folder(workspace: Workspace, archive: str) -> Path:
    """Folder of tables that one process read and keeps for the others."""
    return folder_of(workspace, archive) / "tables"


def _contested_path(workspace: Workspace, archive: str) -> Path:
    return folder_of(workspace, archive) / "contested.parquet"


def contested_rows(workspace: Workspace, archive: str) -> pl.DataFrame | None:
    """Table rows that several files claim, as `contest` found them; None before its first run."""
    path = _contested_path(workspace, archive)
    return pl.read_parquet(path) if path.is_file() else None


def contest(workspace: Workspace, archive: str, adapter: Adapter) -> set[int]:
    """Find the table rows that several of all listed files claim; returns the shards that this changes.

    A new file may take a row from a file that matched it by name only, or make the match ambiguous.
    """
    found: list[pl.DataFrame] = []
    places: list[int] = []
    states = states_of(workspace, archive)
    shards = known_shards(workspace, archive)
    for start in range(0, len(shards), _SHARDS_AT_ONCE):
        files: list[ListedFile] = []
        for shard in shards[start : start + _SHARDS_AT_ONCE]:
            amiss = states.get(shard, {})
            own = [
                file
                for position, file in enumerate(files_of(workspace, archive, shard))
                # A moved file claims its row by its present path.
                if position not in amiss or amiss[position].state != "vanished"
            ]
            files += own
            places += [shard] * len(own)
        claims = adapter.claims(files)
        if claims is None:
            return set()
        found.append(claims.with_columns(pl.col("file") + (len(places) - len(files))))
    claims = pl.concat(found) if found else pl.DataFrame(schema=CLAIMS_SCHEMA)
    today, before = contested(claims), contested_rows(workspace, archive)
    if before is not None and today.equals(before):
        return set()
    write_frame(today, _contested_path(workspace, archive))
    if before is None:
        return set()
    keys = ["row", "level"]
    other = pl.concat([today.join(before, on=keys, how="anti"), before.join(today, on=keys, how="anti")])
    return {places[file] for file in claims.join(other, on="row", how="semi")["file"]}


_ACCESSIONS = {"accession_key": pl.String, "study_key": pl.String}


def accessions_path(workspace: Workspace, archive: str, shard: int) -> Path:
    """Path of the list of accessions (as keyed digests) with their studies; missing if a shard has none.

    The list is kept only in the private folder.
    """
    return folder_of(workspace, archive) / "accessions" / f"{shard:05d}.parquet"


def accessions_frame(pairs: Collection[tuple[str, str]]) -> pl.DataFrame:
    """Pairs accession_key, study_key as a frame."""
    return pl.DataFrame(sorted(pairs), schema=_ACCESSIONS, orient="row")


def accessions_of(workspace: Workspace, archive: str, shard: int) -> set[tuple[str, str]]:
    """Pairs accession_key, study_key of one shard."""
    path = accessions_path(workspace, archive, shard)
    return set(pl.read_parquet(path).select(list(_ACCESSIONS)).iter_rows()) if path.is_file() else set()


_ISSUERS = {"issuer": pl.String}


def issuers_path(workspace: Workspace, archive: str, shard: int) -> Path:
    """Path of the list of issuers of a shard's patient ids, which is kept only in the private folder."""
    return folder_of(workspace, archive) / "issuers" / f"{shard:05d}.parquet"


def issuers_frame(found: Collection[str]) -> pl.DataFrame:
    """Issuers as a frame; the empty text marks ids without an issuer."""
    return pl.DataFrame({"issuer": sorted(found)}, schema=_ISSUERS)


def issuers_of(workspace: Workspace, archive: str, shard: int) -> set[str]:
    """The issuers of one shard."""
    path = issuers_path(workspace, archive, shard)
    return set(pl.read_parquet(path)["issuer"]) if path.is_file() else set()


def issuers(workspace: Workspace, archive: str) -> set[str]:
    """The issuers of all shards of an archive."""
    paths = sorted((folder_of(workspace, archive) / "issuers").glob("*.parquet"))
    return {issuer for path in paths for issuer in pl.read_parquet(path)["issuer"]}


def accessions(workspace: Workspace, archive: str) -> pl.DataFrame:
    """Rows accession_key, study_key of all shards of an archive."""
    paths = sorted((folder_of(workspace, archive) / "accessions").glob("*.parquet"))
    frames = [pl.read_parquet(path) for path in paths]
    return pl.concat(frames).unique(maintain_order=True) if frames else pl.DataFrame(schema=_ACCESSIONS)


def paths_of(workspace: Workspace, archive: str) -> Iterator[tuple[int, int, Path, str]]:
    """Shard, position, path below the archive's folder, and member of every listed file."""
    for shard in known_shards(workspace, archive):
        for position, file in enumerate(files_of(workspace, archive, shard)):
            yield shard, position, Path(os.fsdecode(file.path)), file.member
