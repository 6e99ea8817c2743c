"""What an adapter is, and which there are: each is one module of this folder with one class in it."""

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
    """Reads one kind of archive. A shard's job makes one, and calls `read` for the files of its list only."""

    name: ClassVar[str] = ""
    """Name of its module."""
    rank: ClassVar[int] = 50
    """Of the adapters that recognise a source, the one of the lowest rank reads it."""
    public: bool = False
    """A published key and true dates: everybody gets the same keys."""
    domain: str | None = None
    """The id space of a public set; None: the archive's name."""

    def __init__(self, source: Source, mapping: Path | None = None) -> None:
        self.source = source
        self.mapping = mapping
        self.kept: Path | None = None
        """A private folder with tables that another process read (`keep_tables`)."""
        self.contested: pl.DataFrame | None = None
        """Rows of the table that several files claim; see `row_names.contested`."""
        self._tables: dict[str, Table] = {}

    @classmethod
    @abstractmethod
    def recognise(cls, source: Source) -> bool:
        """Whether the source is laid out like this adapter's kind; a glance, not a walk."""

    @classmethod
    def example(cls, folder: Path) -> Path | None:
        """Write a tiny made-up archive of this kind into an empty folder; gives its mapping, if it needs one.

        The tests of all adapters read it (tests/archive/test_adapters.py); archive/example.py writes pictures.
        """
        raise NotImplementedError(f"adapter {cls.name}: brings no example of its kind, so that nothing can test it")

    def check(self) -> None:  # noqa: B027
        """UserError where a table lacks a column that the adapter needs. Called once, before anything is listed."""

    @abstractmethod
    def files(self) -> Iterator[ListedFile]:
        """Every file and archive member, opening none but packed files' directories."""

    @abstractmethod
    def ignores(self, file: ListedFile) -> bool:
        """Whether the file is no radiograph by its kind (a table, a DICOMDIR, a licence): it is counted apart."""

    def ignored(self) -> int:
        """How many files it ignores, for --metadata-only over tables: quick, so that no packed file is opened."""
        return sum(self.ignores(file) for file in walk(self.source, packed=False))

    @abstractmethod
    def read(self, file: ListedFile, data: bytes) -> Iterator[Radiograph]:
        """The radiographs of one file, from its bytes. Raises Unusable; makes no row twice."""

    def read_header(self, file: ListedFile, data: bytes) -> Iterator[Radiograph]:
        """The radiographs of one file without pictures, for --metadata-only over files that carry their headers."""
        raise NotImplementedError

    def read_head(self, file: ListedFile, head: bytes) -> Iterator[Radiograph] | None:
        """The same from the file's first bytes alone, sparing the pixels; None where they do not suffice."""
        return None

    def rows(self) -> Iterator[Radiograph] | None:
        """The radiographs that the adapter's tables name, without pictures; None where it has no tables."""
        return None

    def tables(self) -> list[str]:
        """Paths of the files beside the radiographs that rows are made from; where one has changed, shards are redone.

        They are within the source, as text (`os.fsdecode`).
        """
        return []

    def table_digests(self) -> list[str]:
        """The digest of each of these files, empty for one that is not there."""
        return [self.source.digest(os.fsencode(path)) for path in self.tables()]

    def table_files(self) -> int | None:
        """How many rows of the tables name a file; None where there are no tables."""
        return None

    def table(self, path: str, header: list[str] | None = None, encoding: str | None = None) -> Table:
        """A table of the archive: read once, or as another process kept it."""
        if path not in self._tables:
            self._tables[path] = read_table(self.source, path, header, encoding, self.kept)
        return self._tables[path]

    def keep_tables(self, folder: Path) -> None:
        """Keep what was read of large tables in a private folder, from where workers read single rows."""
        self.kept = folder
        # Names with a point first are files that another job is writing.
        left = {each for each in folder.glob("*") if not each.name.startswith(".")}
        for path, table in self._tables.items():
            self._tables[path], files = keep_table(table, folder)
            left -= files
        # What an adapter kept beside a table has the table's name; another job may be reading it.
        tables = {
            each.stem for table in self._tables.values() if (each := folder / f"{table.read_from}.parquet").is_file()
        }
        for each in left:
            if each.stem not in tables:
                each.unlink(missing_ok=True)

    def notes(self) -> list[str]:
        """What the owner should know of how the tables were read: a sentence each."""
        return [note for table in self._tables.values() for note in table.notes]

    def claims(self, files: Sequence[ListedFile]) -> pl.DataFrame | None:
        """The rows that files may claim, as `row_names` has it; None where each file can have but one by its name."""
        return None

    def prepare(self, files: Sequence[ListedFile]) -> None:  # noqa: B027
        """Look up the rows of a shard's files together, before they are read."""

    def patient_ids(self) -> Iterable[str | None]:
        """The patient id of each row of the tables, as written; nothing where only the files know."""
        return ()

    def repeated_rows(self) -> int:
        """How many of these name a file that an earlier row has named: the first is taken."""
        return 0


def adapters() -> dict[str, type[Adapter]]:
    """All adapters by name: every module of this folder that holds one."""
    found = {}
    for module in pkgutil.iter_modules(archive.__path__):
        for each in vars(import_module(f"{archive.__name__}.{module.name}")).values():
            own = isinstance(each, type) and issubclass(each, Adapter) and each.__module__.endswith(f".{module.name}")
            if own and each is not Adapter:
                each.name = module.name
                found[module.name] = each
    return found


def adapter_for(source: Source, name: str | None = None, mapping: Path | None = None) -> Adapter:
    """The named adapter, `generic` where a mapping is given, else the one that recognises the source."""
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
