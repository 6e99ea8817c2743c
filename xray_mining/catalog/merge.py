"""Merge parts into catalog.duckdb and results.duckdb, and settle duplicates.

A new file is written beside the old one and renamed over it, so readers never see a half-written file; a lock prevents
two merges at once. A file whose parts have not changed is left as it is.
"""

import json
import re
import shutil
from collections.abc import Generator, Iterable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import duckdb
import polars as pl

from xray_mining.catalog.connection import MEMORY_LIMIT, first_line
from xray_mining.catalog.part_files import part_paths, state_of_parts
from xray_mining.errors import CannotFinish, UserError
from xray_mining.ingest.parts import counts_by_shard
from xray_mining.records.record import Record
from xray_mining.records.tables import ALL
from xray_mining.records.vectors import FeatureSets
from xray_mining.workspace import Workspace, asset, digest_of, lock, write_atomically

UID_REUSED_BITS = 12
"""If the 64-bit perceptual hashes of two images with one UID differ in more bits, the images are different pictures:
copies of one exposure in other encodings differ in a few bits, unrelated chests in about 20 to 32."""

_DISK = (duckdb.IOException, duckdb.OutOfMemoryException, duckdb.FatalException)
"""Errors that DuckDB raises if memory or disk is full."""

_TYPES: dict[object, str] = {
    pl.String: "varchar",
    pl.Float64: "double",
    pl.Int64: "bigint",
    pl.UInt64: "ubigint",
    pl.Boolean: "boolean",
    pl.UInt32: "uinteger",
    pl.Binary: "blob",
}
# Tables with the content of the archives; the other tables describe how and when it was read.
_DIGESTED = ("images", "duplicates", "rejects", "findings", "boxes", "mask_faults", "near_duplicates")


@dataclass(frozen=True, slots=True)
class MergeSummary:
    """Content of the catalog; each file or frame that was read is one row of images, duplicates or rejects."""

    images: int
    duplicates: int
    rejects: int
    uid_reused: int
    patients: int
    findings: int
    catalog: str
    """'rebuilt' or 'unchanged'."""
    results: str
    catalog_digest: str
    seen: dict[str, int] = field(default_factory=dict)
    """Files and frames of each archive in the merged parts; empty in a catalog of an earlier version."""
    older_digests: tuple[str, ...] = ()
    """Archives with pixel digests of an earlier algorithm; their copies in other archives are not found."""

    @property
    def warnings(self) -> list[str]:
        """Sentences about what the owner must do to make the catalog complete."""
        return [
            f"archive {name}: has digests of an earlier version, so its copies in other archives are not found; "
            f"repeat its `xray-mining ingest`, which reads it again"
            for name in self.older_digests
        ]

    def lines(self) -> list[str]:
        """The summary for people."""
        reused = f" ({self.uid_reused:,} of them reuse a UID)" if self.uid_reused else ""
        return [
            f"catalog {self.catalog}: {self.images:,} images of {self.patients:,} patients, {self.duplicates:,} "
            f"duplicates, {self.rejects:,} rejects{reused}, {self.findings:,} findings",
            f"results {self.results}",
            *self.warnings,
        ]


def merge(workspace: Workspace, force: bool = False, results: bool = True) -> MergeSummary:
    """Bring both DuckDB files up to date with the parts.

    Args:
        workspace: The workspace with the parts.
        force: Build the files again even if no part has changed.
        results: Whether to build results.duckdb too.

    Returns:
        Counts of the catalog, and whether each file was rebuilt.

    Raises:
        UserError: If a part cannot be read; it is named.
        CannotFinish: If the disk is full or read-only; the old files are kept.

    Example:
        >>> merge(workspace).images > 0
        True
        >>> merge(workspace).catalog
        'unchanged'
    """
    # Check whether a merge is needed before taking the lock: on a read-only disk the lock fails, but an up-to-date
    # catalog can still be read.
    homes = ("catalog", "results") if results else ("catalog",)
    rebuilt = dict.fromkeys(("catalog", "results"), False)
    if force or not all(up_to_date(workspace, home) for home in homes):
        workspace.refuse_missing()
        with lock(workspace.root / ".merge.lock"):
            rebuilt |= {home: _refresh(workspace, home, force) for home in homes}
    about = read_about(workspace.catalog)
    counts = json.loads(about["counts"])
    return MergeSummary(
        **counts,
        catalog="rebuilt" if rebuilt["catalog"] else "unchanged",
        results="rebuilt" if rebuilt["results"] else "unchanged",
        catalog_digest=about["digest"],
        seen=json.loads(about.get("seen", "{}")),
        older_digests=tuple(json.loads(about.get("older_digests", "[]"))),
    )


def read_about(path: Path) -> dict[str, str]:
    """Description stored in a merged file: `state` of the parts it was made from, `digest`, `counts`."""
    with duckdb.connect(str(path), read_only=True) as con:
        return dict(con.execute("select name, value from about_merge").fetchall())


def up_to_date(workspace: Workspace, home: str = "catalog") -> bool:
    """Whether a merged file (`home`: catalog or results) was made from the current parts."""
    target = workspace.catalog if home == "catalog" else workspace.results
    return target.is_file() and _state(target) == state_of_parts(workspace, home)


def _refresh(workspace: Workspace, home: str, force: bool) -> bool:
    if not force and up_to_date(workspace, home):
        return False
    # Taken before the parts are read: a part that arrives in between then makes the file stale instead of being missed.
    state = state_of_parts(workspace, home)
    records = [record for record in ALL if record.home == home]
    parts = {record.table: part_paths(workspace, record) for record in records}
    target = workspace.catalog if home == "catalog" else workspace.results
    orders = {name: archive.order for name, archive in workspace.settings.archives.items()}
    # A killed merge leaves scratch files. The lock guarantees that no other merge is using them.
    for left in target.parent.glob(f".{target.name}.*"):
        left.unlink(missing_ok=True)
    spill = workspace.root / ".merge.spill"
    shutil.rmtree(spill, ignore_errors=True)
    with (
        write_atomically(target) as scratch,
        _disk_errors(target),
        duckdb.connect(str(scratch), config={"memory_limit": MEMORY_LIMIT, "temp_directory": str(spill)}) as con,
    ):
        con.execute("set enable_progress_bar = false")
        for record in records:
            con.execute(_create_statement(record))
        if home == "catalog":
            counts = _fill_catalog(con, workspace, parts, orders)
            digest = _digest(con)
        else:
            counts, digest = _fill_results(con, records, parts), ""
            # Other programs that open the file then find the same view under this name as `sql` does.
            con.execute(asset("sql/schema/predictions.sql").read_text(encoding="utf-8"))
        con.execute("create table about_merge (name varchar, value varchar)")
        about = {"state": state, "digest": digest, "counts": json.dumps(counts)}
        if home == "catalog":
            about["seen"] = json.dumps(dict(con.execute(_text("accounts")).fetchall()))
            about["older_digests"] = json.dumps(_older_digests(workspace, parts["images"]))
        con.executemany("insert into about_merge values (?, ?)", list(about.items()))
        con.execute("checkpoint")
    shutil.rmtree(spill, ignore_errors=True)
    return True


def _older_digests(workspace: Workspace, images: Sequence[Path]) -> list[str]:
    """Archives with pixel digests of an earlier algorithm while others have the current ones: the two never match."""
    kinds: dict[str, set[str]] = {}
    counted = {archive: counts_by_shard(workspace, archive) for archive in {path.parents[1].name for path in images}}
    for path in images:
        archive = path.parents[1].name
        counts = counted[archive].get(int(path.stem), []) if path.stem.isdigit() else []
        # Rows read from tables and headers alone have no digest. A part without counts was copied in by hand, so the
        # algorithm of its digests is unknown.
        if not counts or any(each.store for each in counts):
            kinds.setdefault(archive, set()).update([each.pixel_digest for each in counts] or [""])
    if len(set().union(*kinds.values())) <= 1:
        return []
    from xray_mining.ingest.duplicates import PIXEL_DIGEST

    return sorted(archive for archive, found in kinds.items() if found != {PIXEL_DIGEST})


@contextmanager
def _disk_errors(target: Path) -> Generator[None]:
    """Turn DuckDB's errors about a full or read-only disk into CannotFinish; the old file stays unchanged."""
    try:
        yield
    except _DISK as error:
        # DuckDB's message has the full path, which is private.
        what = re.sub(r"""["'](?:[^"']*/)?([^"'/]*)["']""", r"\1", first_line(error))[:200]
        raise CannotFinish(
            f"{target.name}: could not be written ({what}); free disk space or allow writing, and repeat the command"
        ) from error


def _state(path: Path) -> str:
    try:
        return read_about(path)["state"]
    except (duckdb.Error, KeyError):
        return ""


def _create_statement(record: type[Record]) -> str:
    columns = ",\n".join(
        f'"{name}" {column_type(record, name)}{"" if column.nullable else " not null"}'
        for name, column in record.columns().items()
    )
    return f'create table "{record.table}" ({columns})'


def column_type(record: type[Record], name: str) -> str:
    """The DuckDB type of a record's column; keys are UUIDs."""
    column = record.columns()[name]
    if (column.metadata or {}).get("key"):
        return "uuid"
    dtype = column.dtype
    if isinstance(dtype, pl.List):
        return f"{_TYPES[dtype.inner.base_type()]}[]"
    if isinstance(dtype, pl.Datetime):
        return "timestamp"
    return _TYPES[dtype.base_type()]


def _load(
    con: duckdb.DuckDBPyConnection, record: type[Record], paths: Sequence[Path], into: str = "", origin: bool = False
) -> None:
    """Load parts into the temporary table `into`, or without `into` into the record's own table.

    Columns and types are those of the record. With `origin` the table also has `part_archive` and `part_shard`, taken
    from the part's path.
    """
    if not paths and not into:
        return
    extra = ", part_archive varchar, part_shard bigint" if origin else ""
    if not paths:
        empty = ", ".join(f'"{name}" {column_type(record, name)}' for name in record.columns())
        con.execute(f"create temp table {into} ({empty}{extra})")
        return
    source = "read_parquet($paths, union_by_name = true, filename = true)"
    values = {"paths": [str(path) for path in paths]}
    try:
        found = {row[0] for row in con.execute(f"describe select * from {source}", values).fetchall()}
        columns = [
            f'"{name}"::{column_type(record, name)} as "{name}"'
            if name in found
            else f'null::{column_type(record, name)} as "{name}"'
            for name in record.columns()
        ]
        if origin:
            columns += [
                "split_part(filename, '/', -3) as part_archive",
                "try_cast(replace(split_part(filename, '/', -1), '.parquet', '') as bigint) as part_shard",
            ]
        target = f"create temp table {into} as" if into else f'insert into "{record.table}" ({_names(record)})'
        con.execute(f"{target} select {', '.join(columns)} from {source}", values)
    except duckdb.Error as error:
        for path in paths:
            record.typed(record.read([path])) if _readable(path) else record.read([path])
        if isinstance(error, _DISK):
            raise
        raise UserError(f"parts of {record.table}: cannot be merged: {first_line(error)}") from error


def _readable(path: Path) -> bool:
    try:
        pl.read_parquet_schema(path)
    except (OSError, pl.exceptions.PolarsError):
        return False
    return True


def _text(name: str) -> str:
    return asset(f"sql/merge/{name}.sql").read_text(encoding="utf-8")


def _names(record: type[Record], prefix: str = "") -> str:
    return ", ".join(f'{prefix}"{name}"' for name in record.columns())


def _fill_catalog(
    con: duckdb.DuckDBPyConnection, workspace: Workspace, parts: dict[str, list[Path]], orders: dict[str, int]
) -> dict[str, int]:
    by_name = {record.table: record for record in ALL}
    # Archives that are not in the settings (parts copied in by hand) come last, by name.
    names = {path.parents[1].name for path in parts["images"]}
    ranks = sorted(names | set(orders), key=lambda name: (orders.get(name, len(orders)), name))
    con.execute("create temp table archive_order (archive varchar, archive_rank bigint)")
    if ranks:
        con.executemany("insert into archive_order values (?, ?)", [[name, rank] for rank, name in enumerate(ranks)])
    _load(con, by_name["images"], parts["images"], "raw_images")
    _load(con, by_name["file_events"], parts["file_events"], "raw_file_events")
    con.execute(_text("settle"), {"bits": UID_REUSED_BITS})
    for table in ("pixels", "findings", "boxes", "mask_faults"):
        record = by_name[table]
        _load(con, record, parts[table], f"raw_{table}", origin=True)
    for table in ("duplicates", "rejects", "near_duplicates", "ingest_runs", "unread_cells"):
        _load(con, by_name[table], parts[table], f"raw_{table}")
    con.execute(_text("sequence"))
    con.execute(_text("images"))
    con.execute(_text("dependents"))
    _group_near_duplicates(con)
    row = con.execute(
        "select (select count(*) from images), (select count(*) from duplicates), (select count(*) from rejects), "
        "(select count(*) from rejects where reason = 'uid_reused'), "
        "(select count(distinct patient_key) from images where patient_source != 'none'), "
        "(select count(*) from findings)"
    ).fetchone()
    assert row is not None
    return dict(zip(("images", "duplicates", "rejects", "uid_reused", "patients", "findings"), row, strict=True))


def _fill_results(
    con: duckdb.DuckDBPyConnection, records: Iterable[type[Record]], parts: dict[str, list[Path]]
) -> dict[str, int]:
    counts = {}
    for record in records:
        if record is FeatureSets:
            sets = [_set_row(path) for path in parts[record.table]]
            frame = record.from_rows(sets)
            con.register("raw_sets", frame.to_arrow())
            con.execute(f'insert into "{record.table}" select {_names(record)} from raw_sets')
            con.unregister("raw_sets")
        else:
            _load(con, record, parts[record.table])
        row = con.execute(f'select count(*) from "{record.table}"').fetchone()
        assert row is not None
        counts[record.table] = int(row[0])
    return counts


def _set_row(path: Path) -> dict[str, object]:
    """The description of a set (its set.json) as a row of the record; missing entries become empty."""
    raw = json.loads(path.read_text(encoding="utf-8"))
    options = raw.get("options", {})
    return {
        "set": path.parent.name,
        "kind": path.parents[1].name,
        "store": str(raw.get("store") or ""),
        "mask_set": str(raw.get("mask_set") or ""),
        "columns": [str(each) for each in raw.get("columns", [])],
        "units": [str(each) for each in raw.get("units", [])],
        "images": int(raw.get("images") or 0),
        "failed": int(raw.get("failed") or 0),
        "options": options if isinstance(options, str) else json.dumps(options, sort_keys=True),
    }


def _group_near_duplicates(con: duckdb.DuckDBPyConnection) -> None:
    """Fill near_duplicate_groups: connected components of the pairs, each named by its lowest key."""
    pairs = con.execute("select image_key_a::varchar, image_key_b::varchar from near_duplicates").fetchall()
    parent: dict[str, str] = {}

    def root(name: str) -> str:
        parent.setdefault(name, name)
        while parent[name] != name:
            parent[name] = parent[parent[name]]
            name = parent[name]
        return name

    for first, second in pairs:
        low, high = sorted((root(first), root(second)))
        parent[high] = low
    rows = [[name, root(name)] for name in parent]
    con.execute("create temp table raw_groups (image_key uuid, group_key uuid)")
    if rows:
        con.register("found_groups", pl.DataFrame(rows, schema=["image_key", "group_key"], orient="row").to_arrow())
        con.execute("insert into raw_groups select image_key::uuid, group_key::uuid from found_groups")
        con.unregister("found_groups")
    con.execute(_text("groups"))


def _digest(con: duckdb.DuckDBPyConnection) -> str:
    """Digest of the archives' content: the sum of the rows' digests, so that order, parts and machine do not matter."""
    totals = []
    for table in _DIGESTED:
        columns = sorted(
            row[0]
            for row in con.execute(
                "select column_name from duckdb_columns() where table_name = ? and database_name = current_database()",
                [table],
            ).fetchall()
        )
        # DuckDB prints a float as the shortest text that reads back as the same float.
        text = " || '|' || ".join(f"""coalesce(replace("{name}"::varchar, '|', '||'), chr(1))""" for name in columns)
        row = con.execute(f'select count(*), sum(md5_number_lower({text})::hugeint) from "{table}"').fetchone()
        totals.append((table, columns, str(row)))
    return digest_of(totals)
