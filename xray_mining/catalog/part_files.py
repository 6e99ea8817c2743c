"""Which files the merged tables are made from, and whether any has changed."""

from collections.abc import Hashable
from pathlib import Path

import duckdb

from xray_mining.records.record import Record
from xray_mining.records.tables import ALL
from xray_mining.records.vectors import FeatureSets
from xray_mining.workspace import MARKER, Workspace, digest_of, times_of

VERSION = 5
"""Raised whenever merge would make other tables from the same parts."""

_FOLDERS = {
    "catalog": ("parts/*", "parts/*/*"),
    "results": (
        *("cohorts/*", "cohorts/*/*", "experiments/*/*", "experiments/*/*/predictions", "evaluations/*"),
        *("ledger", "checks", "features/*", "embeddings/*"),
    ),
}
"""Folders whose time of change tells of a new, replaced or removed part, because parts are renamed into them."""


def part_paths(workspace: Workspace, record: type[Record]) -> list[Path]:
    """All parts of one record in the workspace, in a fixed order."""
    root, table = workspace.root, record.table
    places = {
        "cohort_members": "cohorts/*/*/cohort_members.parquet",
        "cohort_targets": "cohorts/*/*/cohort_targets.parquet",
        "all_predictions": "experiments/*/*/predictions/*.parquet",
        "estimates": "evaluations/*/estimates.parquet",
        "ledger": "ledger/*.parquet",
    }
    if record is FeatureSets:
        return sorted(root.glob("*/*/set.json"))
    if table == "check_results":
        return sorted([*root.glob("evaluations/*/check_results.parquet"), *root.glob("checks/*.parquet")])
    return sorted(root.glob(places.get(table, f"parts/*/{table}/*.parquet")))


def state_of_parts(workspace: Workspace, home: str) -> str:
    """Digest of which parts of which records go into a merged file, by their names, sizes and times of change."""
    records = [record for record in ALL if record.home == home]
    orders = {name: archive.order for name, archive in workspace.settings.archives.items()}
    return digest_of(
        [
            VERSION,
            duckdb.__version__,
            [(record.table, record.version, list(record.columns())) for record in records],
            orders,
            # Counts of shards say which kind of digests their rows have; a folder's time is that of its last new file.
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
    """What is equal to an earlier state only where no part has changed since: times of the folders of parts."""
    # The settings hold the order of the archives.
    watched = [workspace.root / MARKER] if home == "catalog" else []
    for pattern in _FOLDERS[home]:
        watched += sorted(path for path in workspace.root.glob(pattern) if path.is_dir())
    return times_of(watched)
