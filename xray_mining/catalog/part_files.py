"""The part files that the merged tables are made from, and whether any has changed."""

from collections.abc import Hashable
from pathlib import Path

import duckdb

from xray_mining.records.record import Record
from xray_mining.records.tables import ALL
from xray_mining.records.vectors import FeatureSets
from xray_mining.workspace import MARKER, Workspace, digest_of, times_of

VERSION = 5
"""Increase it when merge makes different tables from the same parts, so that merged files are rebuilt."""

_FOLDERS = {
    "catalog": ("parts/*", "parts/*/*"),
    "results": (
        *("cohorts/*", "cohorts/*/*", "experiments/*/*", "experiments/*/*/predictions", "evaluations/*"),
        *("ledger", "checks"),
    ),
}
"""Folders whose modification time changes with every new, replaced or removed part, because parts are renamed in; and
those of the sets of all kinds, for results."""


def part_paths(workspace: Workspace, record: type[Record]) -> list[Path]:
    """Paths of all parts of one record in the workspace, sorted."""
    root, table = workspace.root, record.table
    places = {
        "cohort_members": "cohorts/*/*/cohort_members.parquet",
        "cohort_targets": "cohorts/*/*/cohort_targets.parquet",
        "all_predictions": "experiments/*/*/predictions/*.parquet",
        "estimates": "evaluations/*/estimates.parquet",
        "ledger": "ledger/*.parquet",
    }
    if record is FeatureSets:
        return _sets(workspace)
    if table == "check_results":
        return sorted([*root.glob("evaluations/*/check_results.parquet"), *root.glob("checks/*.parquet")])
    return sorted(root.glob(places.get(table, f"parts/*/{table}/*.parquet")))


def state_of_parts(workspace: Workspace, home: str) -> str:
    """Digest of the parts of a merged file (`home`: catalog or results), by names, sizes and modification times."""
    records = [record for record in ALL if record.home == home]
    orders = {name: archive.order for name, archive in workspace.settings.archives.items()}
    return digest_of(
        [
            VERSION,
            duckdb.__version__,
            [(record.table, record.version, list(record.columns())) for record in records],
            orders,
            # Counts of shards state the algorithm of their rows' digests; a folder's time changes with every new file.
            [
                (str(path.relative_to(workspace.root)), path.stat().st_mtime_ns)
                for path in sorted(workspace.root.glob("parts/*/shards"))
                if home == "catalog"
            ],
            [
                (str(path.relative_to(workspace.root)), (about := path.stat()).st_size, about.st_mtime_ns)
                for record in records
                for path in part_paths(workspace, record)
            ],
        ]
    )


def state_of_folders(workspace: Workspace, home: str) -> Hashable:
    """Modification times of the folders of parts; equal to an earlier state only if no part has changed since."""
    # The workspace's settings file has the order of the archives, which decides which duplicate is kept.
    watched = [workspace.root / MARKER] if home == "catalog" else []
    for pattern in _FOLDERS[home]:
        watched += sorted(path for path in workspace.root.glob(pattern) if path.is_dir())
    if home == "results":
        watched += [path.parent for path in _sets(workspace)]
    return times_of(watched)


def _sets(workspace: Workspace) -> list[Path]:
    """The set.json of every measured set, of any kind of instrument, sorted."""
    return sorted(workspace.root.glob("*/*/set.json"))
