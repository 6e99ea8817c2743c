"""The base class of adapters, and the adapters that exist: each is one module of this folder with one class."""

import os
import pkgutil
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import ClassVar

import polars as pl

from xray_mining import archive
from xray_mining.archive.listing import walk
from xray_mining.archive.radiograph import ListedFile, Radiograph
from xray_mining.archive.source import Source
from xray_mining.archive.table import Table, keep_table, read_table
from xray_mining.errors import UserError, unknown_name
from xray_mining.workspace import asset


class Adapter(ABC):
    """Reads one kind of archive. Each shard's job makes an adapter and calls `read` for the files of its list only."""

    name: ClassVar[str] = ""
    """Name of its module."""
    rank: ClassVar[int] = 50
    """If several adapters recognise a source, the one of the lowest rank reads it."""
    public: bool = False
    """Whether the set is public: its key is published, so that everybody gets the same keys, and its dates are true."""
    domain: str | None = None
    """The id space of a public set; None: the archive's name."""

    def __init__(self, source: Source, mapping: Path | None = None) -> None:
        self.source = source
        self.mapping = mapping
        self.kept: Path | None = None
        """A private folder of tables that another process read (`keep_tables`)."""
        self.contested: pl.DataFrame | None = None
        """Number of table rows that several files claim; see `row_names.contested`."""
        self._tables: dict[str, Table] = {}

    @classmethod
    @abstractmethod
    def recognise(cls, source: Source) -> bool:
        """Whether the source has this adapter's layout; looks at a few names only."""

    @classmethod
    def example(cls, folder: Path) -> Path | None:
        """Write a tiny made-up archive of this kind into an empty folder; returns its mapping, if it needs one.

        The tests of all adapters read it (tests/archive/test_adapters.py); archive/example.py writes pictures.
        """
        raise NotImplementedError(f"adapter {cls.name}: has no example, so it cannot be tested")

    def check(self) -> None:  # noqa: B027
        """Raise UserError if a table lacks a column that the adapter needs. Called once, before files are listed."""

    @abstractmethod
    def files(self) -> Iterator[ListedFile]:
        """Every file and archive member; of packed files only the directories are read."""

    @abstractmethod
    def ignores(self, file: ListedFile) -> bool:
        """Whether such a file is never a radiograph (a table, a DICOMDIR, a licence); these are counted apart."""

    def ignored(self) -> int:
        """Number of ignored files, for --metadata-only with tables; quick, because no packed file is opened."""
        return sum(self.ignores(file) for file in walk(self.source, packed=False))

    @abstractmethod
    def read(self, file: ListedFile, data: bytes) -> Iterator[Radiograph]:
        """The radiographs of one file, from its bytes. Raises Unusable; yields each row once."""

    def read_header(self, file: ListedFile, data: bytes) -> Iterator[Radiograph]:
        """The radiographs of one file without pictures, for --metadata-only over files that carry their headers."""
        raise NotImplementedError

    def read_head(self, file: ListedFile, head: bytes) -> Iterator[Radiograph] | None:
        """The same from the file's first bytes, without pixels; None if these bytes do not suffice."""
        return None

    def rows(self) -> Iterator[Radiograph] | None:
        """The radiographs named by the adapter's tables, without pictures; None if it has no tables."""
        return None

    def tables(self) -> list[str]:
        """Paths of files, beside the radiographs, from which rows are made; if one changes, shards are read again.

        Paths are within the source, as text (`os.fsdecode`).
        """
        return []

    def table_digests(self) -> list[str]:
        """The digest of each of these files, empty for a missing file."""
        return [self.source.digest(os.fsencode(path)) for path in self.tables()]

    def table_files(self) -> int | None:
        """Number of table rows that name a file; None without tables."""
        return None

    def table(self, path: str, header: list[str] | None = None, encoding: str | None = None) -> Table:
        """A table of the archive: read once, or loaded as another process kept it."""
        if path not in self._tables:
            self._tables[path] = read_table(self.source, path, header, encoding, self.kept)
        return self._tables[path]

    def keep_tables(self, folder: Path) -> None:
        """Keep large tables in a private folder after they are read; workers read single rows from there."""
        self.kept = folder
        # Names that start with a point are files that another job is writing.
        left = {each for each in folder.glob("*") if not each.name.startswith(".")}
        for path, table in self._tables.items():
            self._tables[path], files = keep_table(table, folder)
            left -= files
        # Files that an adapter keeps beside a table share the table's name; another job may be reading them.
        tables = {
            each.stem for table in self._tables.values() if (each := folder / f"{table.read_from}.parquet").is_file()
        }
        for each in left:
            if each.stem not in tables:
                each.unlink(missing_ok=True)

    def notes(self) -> list[str]:
        """Remarks for the owner on how the tables were read, one sentence each."""
        return [note for table in self._tables.values() for note in table.notes]

    def claims(self, files: Sequence[ListedFile]) -> pl.DataFrame | None:
        """The rows that files may claim (see `row_names`); None if a file's name determines its row."""
        return None

    def prepare(self, files: Sequence[ListedFile]) -> None:  # noqa: B027
        """Look up the rows of all files of a shard together, before the files are read."""

    def patient_ids(self) -> Iterable[str | None]:
        """The patient id of each row of the tables, as written; empty if only the files state ids."""
        return ()

    def repeated_rows(self) -> int:
        """Number of rows that name a file already named by an earlier row; the first row is used."""
        return 0


def adapters() -> dict[str, type[Adapter]]:
    """All adapters by name: every module of this folder that defines one."""
    found = {}
    for module in pkgutil.iter_modules(archive.__path__):
        for each in vars(import_module(f"{archive.__name__}.{module.name}")).values():
            own = isinstance(each, type) and issubclass(each, Adapter) and each.__module__.endswith(f".{module.name}")
            if own and each is not Adapter:
                each.name = module.name
                found[module.name] = each
    return found


def adapter_for(source: Source, name: str | None = None, mapping: Path | None = None) -> Adapter:
    """The named adapter; `generic` if a mapping is given; else the one that recognises the source."""
    known = adapters()
    if name is None and mapping is not None:
        name = "generic"
    if name is not None:
        if name not in known:
            raise unknown_name("--adapter", name, known)
        return known[name](source, mapping)
    for each in sorted(known.values(), key=lambda kind: (kind.rank, kind.name)):
        if each.recognise(source):
            return each(source)
    if next(source.files(), None) is None:
        raise UserError(f"{source}: holds no files; name the folder that holds the radiographs")
    shipped = ", ".join(sorted(path.stem for path in asset("pipelines/mappings").glob("*.yaml")))
    raise UserError(
        f"{source}: no adapter recognises this folder; name one with --adapter ({', '.join(sorted(known))}), or "
        f"describe its table with --mapping FILE, or NAME of a shipped one ({shipped})"
    )
