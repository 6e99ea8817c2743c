"""All DuckDB connections for queries: read-only, over both files; a trusted one, and a guarded one for users' SQL."""

import difflib
import re
import shutil
import tempfile
import threading
from collections.abc import Collection, Generator, Mapping
from contextlib import contextmanager
from datetime import date, datetime
from functools import cache
from pathlib import Path
from typing import Any

import duckdb
import polars as pl

from xray_mining.catalog.folds import FOLD_OF
from xray_mining.errors import CannotFinish, UserError
from xray_mining.workspace import Workspace, asset, was_closed

MEMORY_LIMIT = "1000MB"
"""Memory of one connection before it spills to disk."""
SPILL_LIMIT = "20GB"
"""Disk space that one connection may use for spilling."""
RESULT_BYTES = 1 << 30
"""A larger result is refused, because Python would hold all of it in memory."""


BATCH_ROWS = 2048
"""Rows of one batch; the size of the result is checked after each batch."""
REPEAT_SECONDS = 0.05
"""Interval between interrupts of a query that takes too long; DuckDB drops an interrupt before the query starts."""


class OpenCatalog:
    """One DuckDB instance over both files, read-only, with the views of sql/schema; each query takes its own cursor.

    The files may be replaced while it is open; it then continues to read the old files that it attached.
    """

    def __init__(self, workspace: Workspace, guarded: bool = False) -> None:
        self._lock = threading.Lock()
        self._closed, self._cursors = False, 0
        # Not a TemporaryDirectory: its finalizer would warn if a thread outlives the catalog. `_end` removes it.
        self._spill = tempfile.mkdtemp(prefix="xray-mining-")
        self._con = duckdb.connect(
            ":memory:",
            config={
                "memory_limit": MEMORY_LIMIT,
                "temp_directory": self._spill,
                "max_temp_directory_size": SPILL_LIMIT,
                "autoinstall_known_extensions": False,
            },
        )
        try:
            for name, path in (("catalog_file", workspace.catalog), ("results_file", workspace.results)):
                _attach(self._con, path, name)
            self._con.execute(FOLD_OF)
            _create_views(self._con)
            if guarded:
                self._con.execute("set enable_external_access = false")
                self._con.execute("set python_enable_replacements = false")
            # Settings are shared by all cursors, so they are set here and never changed later.
            self._con.execute("set enable_progress_bar = false")
            if guarded:
                self._con.execute("set lock_configuration = true")
        except BaseException:
            self.close()
            raise

    @contextmanager
    def cursor(self) -> Generator[duckdb.DuckDBPyConnection]:
        """A separate connection to the same tables, with its own temporary tables and registered frames."""
        with self._lock:
            if self._closed:
                raise was_closed()
            con = self._con.cursor()
            self._cursors += 1
        try:
            with con:
                yield con
        finally:
            with self._lock:
                self._cursors -= 1
                last = self._closed and not self._cursors
            if last:
                self._end()

    def close(self) -> None:
        """Refuse further cursors, and close the instance when its last cursor ends: DuckDB refuses to close before."""
        with self._lock:
            last = not self._closed and not self._cursors
            self._closed = True
        if last:
            self._end()

    def _end(self) -> None:
        self._con.close()
        shutil.rmtree(self._spill, ignore_errors=True)

    def __del__(self) -> None:
        # A replaced catalog must stay open until the last query on it has ended, so the garbage collector closes it.
        if hasattr(self, "_con"):
            self.close()


@contextmanager
def connect(
    workspace: Workspace, refresh: bool = True, results: bool = True, *, guarded: bool = False
) -> Generator[duckdb.DuckDBPyConnection]:
    """A read-only connection to the tables of both files and the views of sql/schema.

    Args:
        workspace: The workspace; if it is kept open, the DuckDB instance is kept open too.
        refresh: Whether to merge new parts first.
        results: Whether to merge the results too; after a cohort of a million members this takes seconds.
        guarded: Whether to deny access to files, network and settings.
    """
    usable = _usable(workspace)
    if refresh or not (workspace.catalog.is_file() and usable):
        _refresh(workspace, results or not usable)
    if workspace.opened is None:
        catalog = OpenCatalog(workspace, guarded)
        try:
            with catalog.cursor() as con:
                yield con
        finally:
            catalog.close()
    else:
        files = tuple(_state_of(path) for path in (workspace.catalog, workspace.results))
        catalog = workspace.opened.get(("catalog", guarded), lambda: OpenCatalog(workspace, guarded), files)
        with catalog.cursor() as con:
            yield con


def _refresh(workspace: Workspace, results: bool) -> None:
    """Merge new parts; a workspace that is kept open first compares the times of the folders, which is much faster."""
    from xray_mining.catalog.merge import merge
    from xray_mining.catalog.part_files import state_of_folders

    if workspace.opened is None:
        merge(workspace, results=results)
        return
    for home in ("catalog", "results") if results else ("catalog",):
        state = state_of_folders(workspace, home)
        workspace.opened.get(("merged", home), lambda home=home: merge(workspace, results=home == "results"), state)


def _state_of(path: Path) -> tuple[int, int]:
    about = path.stat()
    return about.st_ino, about.st_mtime_ns


def _usable(workspace: Workspace) -> bool:
    """Whether results.duckdb can be attached; a workspace that is kept open checks each version of the file once."""
    path = workspace.results
    if workspace.opened is None or not path.is_file():
        return _has_current_tables(path)
    return workspace.opened.get("results are usable", lambda: _has_current_tables(path), _state_of(path))


def _has_current_tables(path: Path) -> bool:
    """Whether results.duckdb exists and has the table that the views need; earlier versions named it otherwise."""
    if not path.is_file():
        return False
    try:
        with duckdb.connect(str(path), read_only=True) as con:
            asked = "select 1 from duckdb_tables() where table_name = 'all_predictions'"
            return con.execute(asked).fetchone() is not None
    except duckdb.Error:
        # The file is broken; attaching it raises the error message.
        return True


def reads_results(text: str) -> bool:
    """Whether a query names a table of results.duckdb; a name in a comment counts too and only costs a merge."""
    from xray_mining.records.tables import ALL

    names = [record.table for record in ALL if record.home == "results"]
    for file, view in _schema_files():  # views that select from these tables
        if any(re.search(rf"\b{name}\b", view) for name in names):
            names.append(Path(file).stem)
    return re.search(rf"\b({'|'.join(names)})\b", text, re.IGNORECASE) is not None


@contextmanager
def guarded(
    workspace: Workspace, seconds: float | None = 300.0, refresh: bool = True, results: bool = True
) -> Generator[duckdb.DuckDBPyConnection]:
    """A connection for users' SQL without access to files, network and settings, and with a time limit.

    `guard.one_select` checks each query before it runs; the connection's own limits are a second protection.
    """
    with connect(workspace, refresh, results, guarded=True) as con:
        done = threading.Event()
        timer = threading.Thread(target=_interrupt_after, args=(con, seconds, done), daemon=True) if seconds else None
        if timer:
            timer.start()
        try:
            yield con
        except duckdb.InterruptException as error:
            raise CannotFinish(
                f"query: was stopped after {seconds:g} s; ask for less, or allow more with --seconds"
            ) from error
        finally:
            done.set()
            if timer:
                timer.join()


def _interrupt_after(con: duckdb.DuckDBPyConnection, seconds: float, done: threading.Event) -> None:
    if done.wait(seconds):
        return
    con.interrupt()
    while not done.wait(REPEAT_SECONDS):
        con.interrupt()


def _attach(con: duckdb.DuckDBPyConnection, path: Path, name: str) -> None:
    quoted = str(path).replace("'", "''")
    try:
        con.execute(f"attach '{quoted}' as {name} (read_only)")
    except duckdb.Error as error:
        raise UserError(
            f"{path.name}: cannot be opened ({first_line(error)}); remove it and repeat the command, which remakes it"
        ) from error
    tables = con.execute(
        "select table_name from duckdb_tables() where database_name = ? and table_name != 'about_merge'", [name]
    ).fetchall()
    for (table,) in tables:
        con.execute(f'create view "{table}" as select * from {name}.main."{table}"')


@cache
def _schema_files() -> tuple[tuple[str, str], ...]:
    return tuple((path.name, path.read_text(encoding="utf-8")) for path in sorted(asset("sql/schema").glob("*.sql")))


def _create_views(con: duckdb.DuckDBPyConnection) -> None:
    """Create the views of sql/schema, one for each file."""
    # A view may select from one whose file comes later, so repeat until all exist or none of the rest can be created.
    waiting = list(_schema_files())
    while waiting:
        failed = []
        for name, text in waiting:
            try:
                con.execute(text)
            except duckdb.CatalogException as error:
                failed.append((name, text, error))
        if len(failed) == len(waiting):
            raise UserError(f"sql/schema/{failed[0][0]}: {first_line(failed[0][2])}")
        waiting = [(name, text) for name, text, _ in failed]


def frame(
    con: duckdb.DuckDBPyConnection, text: str, parameters: Mapping[str, Any] | None = None, where: str = "query"
) -> pl.DataFrame:
    """Rows of a SELECT with bound parameters; keys are returned as text. A DuckDB error becomes one sentence."""
    values = dict(parameters or {})
    used = set(re.findall(r"\$([A-Za-z_]\w*)", text))
    for name in values:
        if name not in used:
            raise UserError(f"{where}: parameter '{name}' is not used; leave it out, or write ${name} where it belongs")
    try:
        relation = con.sql(text, params=values)
        if relation is None:
            raise UserError(f"{where}: returns no rows; write one SELECT")
        relation = _as_text(relation)
        reader = relation.to_arrow_reader(BATCH_ROWS)
        schema, batches, size = reader.schema, [], 0
        for batch in reader:
            size += batch.nbytes
            if size > RESULT_BYTES:
                raise CannotFinish(
                    f"{where}: the result is larger than {RESULT_BYTES >> 20} MiB; select fewer columns or rows"
                )
            batches.append(batch)
        import pyarrow as pa

        found = pl.from_arrow(pa.Table.from_batches(batches, schema))
        assert isinstance(found, pl.DataFrame)
        _refuse_endless_dates(found, where)
    except duckdb.InterruptException:
        raise
    except (duckdb.Error, OSError) as error:
        # An error after the first rows comes from the Arrow reader, as an OSError with DuckDB's text.
        if str(error).startswith("INTERRUPT"):
            raise duckdb.InterruptException(str(error)) from error
        if isinstance(error, duckdb.OutOfMemoryException) or str(error).startswith("Out of Memory"):
            raise CannotFinish(
                f"{where}: needs more than {MEMORY_LIMIT} of memory and {SPILL_LIMIT} of disk; select fewer columns or "
                f"rows"
            ) from error
        raise UserError(f"{where}: {sentence_of(error, _columns_of(con, text))}") from error
    except pl.exceptions.DuplicateError as error:
        raise UserError(f"{where}: two columns have one name; name each with `as`") from error
    return found


def first_line(error: Exception) -> str:
    """The first line of DuckDB's message, without the lines that mark the position."""
    return str(error).strip().splitlines()[0]


def sentence_of(error: Exception, columns: Collection[str] = ()) -> str:
    """A DuckDB error as one sentence; for an unknown column it lists similar names, or else all columns."""
    text = str(error).strip()
    found = re.search(r'Referenced column "([^"]+)" not found|does not have a column named "([^"]+)"', text)
    if found:
        return _unknown_column(found[1] or found[2], text, columns)
    found = re.search(r'Referenced table "([^"]+)" not found', text)
    near = re.search(r'Candidate tables: "([^"]+)"', text)
    if found:
        return f"table '{found[1]}' is not in the query's FROM" + (f"; did you mean '{near[1]}'?" if near else "")
    found = re.search(r"Table with name ([^\s!]+) does not exist", text)
    near = re.search(r'Did you mean "([^"]+)"', text)
    if found:
        known = "; `xray-mining sql --tables` lists them"
        return f"table '{found[1]}' is unknown" + (f"; did you mean '{near[1]}'?" if near else known)
    found = re.search(r"Values were not provided for the following (?:prepared statement )?parameters: (\w+)", text)
    if found:
        return f"parameter '{found[1]}' has no value; give --param {found[1]}=VALUE"
    found = re.search(r"identifiers of the excess parameters: (\w+)", text)
    if found:
        return f"parameter '{found[1]}' is not used by the query; leave it out"
    # The first line says what is wrong; the lines below mark the position or list all functions.
    words = re.sub(r"^[\w ]*Error: ", "", " ".join(first_line(error).split()))
    return words[:300].rstrip(" .!:")


def _unknown_column(name: str, text: str, columns: Collection[str]) -> str:
    """The sentence about an unknown column."""
    listed = re.search(r"Candidate bindings: (.*)", text)
    known = {each.lower(): each for each in (*re.findall(r'"([^"]+)"', listed[1] if listed else ""), *columns)}
    close = difflib.get_close_matches(name.lower(), known, n=2)
    # Suggest columns that share the last word: patient_sex for sex, age_years for patient_age.
    words = [each for each in known if name.lower().split("_")[-1] in each.split("_")]
    near = [known[each] for each in dict.fromkeys((*close, *sorted(words)))][:6]
    if near:
        return f"column '{name}' is unknown; did you mean {' or '.join(repr(each) for each in near)}?"
    if columns:
        return f"column '{name}' is unknown; known columns are {', '.join(sorted(columns))}"
    return f"column '{name}' is unknown; `xray-mining sql --tables NAME` lists a table's columns"


def _columns_of(con: duckdb.DuckDBPyConnection, text: str) -> list[str]:
    """Columns of the tables and views that a query names."""
    words = {each.lower() for each in re.findall(r"\w+", text)}
    try:
        rows = con.execute(
            "select distinct table_name, column_name from duckdb_columns() where database_name in ('memory', 'temp')"
        ).fetchall()
    except duckdb.Error:
        return []
    return sorted({column for table, column in rows if table.lower() in words})


_NO_ARROW = re.compile(r"\b(INTERVAL|BIT|BIGNUM|VARINT|UNION|TIME WITH TIME ZONE)\b")
"""DuckDB types that polars lacks, or whose values it would show as bytes."""


def _as_text(relation: duckdb.DuckDBPyRelation) -> duckdb.DuckDBPyRelation:
    """The relation with columns of types that polars lacks (intervals, bit strings) cast to text."""
    kinds = [str(kind) for kind in relation.types]
    if not any(map(_NO_ARROW.search, kinds)):
        return relation
    columns = []
    for position, (name, kind) in enumerate(zip(relation.columns, kinds, strict=True), start=1):
        # Columns are named by position, because DuckDB ignores capitals in names.
        shown = f"cast(#{position} as varchar)" if _NO_ARROW.search(kind) else f"#{position}"
        columns.append(f"{shown} as " + '"' + name.replace('"', '""') + '"')
    return relation.project(", ".join(columns))


def _refuse_endless_dates(rows: pl.DataFrame, where: str) -> None:
    """UserError for dates that Python cannot represent, such as 'infinity': printing them would fail."""
    for name, kind in rows.schema.items():
        if not rows.height or not kind.is_temporal() or kind in (pl.Time, pl.Duration):
            continue
        ends = (date.min, date.max) if kind == pl.Date else (datetime.min, datetime.max)
        first, last = (pl.Series([end], dtype=pl.Date if kind == pl.Date else pl.Datetime("us")) for end in ends)
        found = rows[name].drop_nulls()
        found = found if kind == pl.Date else found.dt.cast_time_unit("us")
        if not found.to_physical().is_between(first.to_physical()[0], last.to_physical()[0]).all():
            raise UserError(
                f"{where}: column '{name}' holds dates outside the years 1 to 9999 ('infinity' is one); cast it to "
                f"varchar"
            )
