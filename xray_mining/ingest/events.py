"""Files that vanished, changed or returned since they were read."""

from collections.abc import Iterable

import polars as pl

from xray_mining.ingest import shards
from xray_mining.ingest.earlier import NOT_READ
from xray_mining.ingest.identity import Domain, file_key_of
from xray_mining.ingest.parts import (
    has_parts,
    part_path,
)
from xray_mining.records.file_events import FileEvents
from xray_mining.records.rejects import Rejects
from xray_mining.workspace import Workspace, lock

# The part of rejects that holds files whose content changed since they were read.
_CHANGED = "changed.parquet"


def write_events(workspace: Workspace, name: str, run: str, domain: Domain, listing: shards.Listing) -> dict[str, int]:
    """Write which files vanished, changed or returned since the last run; returns the number of each."""
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
        note((key for key in keys_of(listing.present) if key in gone), "returned")
    known = {key for key in keys_of(listing.changed_before) if last.get(key) == "changed"}
    note((key for key in keys_of(listing.changed) if key not in known), "changed")
    if rows:
        FileEvents.write(FileEvents.from_rows(rows), folder / f"{run}.parquet")
    return {event: sum(row["event"] == event for row in rows) for event in ("vanished", "changed", "returned")}


def reject_changed(workspace: Workspace, name: str, domain: Domain) -> None:
    """Keep the results of a changed file; reject its new content until it is read with --again.

    If no result of it remains, its shard gets one row that says so.
    """
    path = workspace.parts(name, Rejects.table) / _CHANGED
    sentence = "The file changed since it was read; its earlier results stay, --again reads the new content."
    # Jobs may end at the same time: the last one to look sees all parts.
    with lock(shards.folder_of(workspace, name) / "list.lock"):
        rows = []
        for shard, states in shards.states_of(workspace, name).items():
            changed = {position: each.bytes for position, each in states.items() if each.state == "changed"}
            if not changed or not has_parts(workspace, name, shard):
                continue
            rejects = Rejects.read(part_path(workspace, name, Rejects, shard)).filter(pl.col("reason").is_in(NOT_READ))
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
                for position in sorted(changed.keys() - set(rejects["position"]))
            ]
        if rows:
            Rejects.write(Rejects.from_rows(rows), path)
        else:
            path.unlink(missing_ok=True)
