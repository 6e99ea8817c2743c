"""CheXpert: train.csv and valid.csv with paths CheXpert-v1.0-small/train/patient00001/study1/view1_frontal.jpg."""

import os
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path

import polars as pl

from xray_mining.archive import cells
from xray_mining.archive.adapter import Adapter
from xray_mining.archive.csv_file import first_names
from xray_mining.archive.example import write_picture, write_text
from xray_mining.archive.generic import broken_row, snake_case
from xray_mining.archive.listing import walk
from xray_mining.archive.picture_file import SUFFIXES, picture_of
from xray_mining.archive.radiograph import Finding, Header, ListedFile, Radiograph, Unread, Unusable
from xray_mining.archive.rows_by_name import RowsByName
from xray_mining.archive.source import Source
from xray_mining.archive.table import Table, find_table, need_columns
from xray_mining.errors import UserError

_TABLES = ("train.csv", "valid.csv", "test.csv")
_NEEDED = ("Path", "Sex", "Age", "Frontal/Lateral", "AP/PA")
_PATH = re.compile(r"(train|valid|test)/(patient\d+)/(study\d+)/([^/]+)$")


class Chexpert(Adapter):
    """Labels keep their uncertainty: 1 present, 0 absent, -1 uncertain, blank unknown (no finding row)."""

    rank = 20
    public = True
    domain = "chexpert"

    @classmethod
    def example(cls, folder: Path) -> None:
        """One picture with its row."""
        path = "train/patient00001/study1/view1_frontal.jpg"
        write_text(
            folder / "train.csv",
            ",".join((*_NEEDED, "No Finding", "Cardiomegaly")),
            f"CheXpert-v1.0-small/{path},Female,68,Frontal,AP,1.0,-1.0",
        )
        write_picture(folder / path)

    @classmethod
    def recognise(cls, source: Source) -> bool:
        """Whether the source has a table of the set, whose paths name patients and studies."""
        for name in _TABLES:
            path = find_table(source, name)
            if path is not None:
                return {"Path", "Frontal/Lateral"} <= set(first_names(source, path))
        return False

    def check(self) -> None:
        """Raise UserError if a column is missing."""
        _ = self._table

    def files(self) -> Iterator[ListedFile]:
        """Every file."""
        return walk(self.source)

    def ignores(self, file: ListedFile) -> bool:
        """Whether the file is not a picture."""
        return not (file.member or os.fsdecode(file.path)).lower().endswith(SUFFIXES)

    def prepare(self, files: Sequence[ListedFile]) -> None:
        """Look up the rows of a shard's files together."""
        self._named.prepare(map(_name_of, files))

    def read(self, file: ListedFile, data: bytes) -> Iterator[Radiograph]:
        """The picture with its row."""
        row = self._named.get(_name_of(file))
        if row is None:
            raise Unusable("header", "not_in_table", "The tables have no row for this image.")
        if row.broken:
            raise broken_row()
        yield Radiograph(self._header(row.cells), encoded=picture_of(data))

    def rows(self) -> Iterator[Radiograph]:
        """A radiograph per row of the tables."""
        for number, row in enumerate(self._table.frame.iter_rows(named=True)):
            yield Radiograph(self._header(row), trouble=broken_row() if number in self._table.broken else None)

    def tables(self) -> list[str]:
        """The tables of the set's parts."""
        return [path for name in _TABLES if (path := find_table(self.source, name)) is not None]

    def table_files(self) -> int:
        """Number of rows of the tables."""
        return self._table.height

    def repeated_rows(self) -> int:
        """Number of rows whose image an earlier row already names."""
        return self._paths().drop_nulls().len() - len(self._named)

    @cached_property
    def _table(self) -> Table:
        paths = [path for name in _TABLES if (path := find_table(self.source, name)) is not None]
        if not paths:
            raise UserError(f"{self.source}: has no train.csv or valid.csv; name the folder that holds them")
        tables = [self.table(path) for path in paths]
        broken: set[int] = set()
        height = 0
        for path, table in zip(paths, tables, strict=True):
            need_columns(table, _NEEDED, path)
            broken |= {height + number for number in table.broken}
            height += table.height
        columns = tuple(dict.fromkeys(name for table in tables for name in table.columns))
        lazy = pl.concat([table.lazy for table in tables], how="diagonal")
        return Table(lazy, columns, height, frozenset(broken))

    def _paths(self) -> pl.Series:
        stated = self._table.column("Path").str.replace_all("\\", "/", literal=True)
        return stated.str.extract(f"({_PATH.pattern})")

    @cached_property
    def _named(self) -> RowsByName:
        return RowsByName(self._table, self._paths())

    def _header(self, row: dict[str, str | None]) -> Header:
        path = (row["Path"] or "").replace("\\", "/")
        match = _PATH.search(path)
        patient = match[2] if match else None
        # The validation patients have their own numbers; the studies of the test set are numbered from the start again.
        study = f"{match[1]}/{match[2]}/{match[3]}" if match else None
        lateral = (row["Frontal/Lateral"] or "").lower() == "lateral"
        findings, unread = labels_of(row, _NEEDED, "", "v1.0")
        return Header(
            instance_id=match[0] if match else path,
            study_id=study,
            patient_id=patient,
            # The set writes 0 for an unknown age; it has no patient under one year.
            age_text=None if row["Age"] in ("0", "0.0") else cells.age_text(row["Age"]),
            age_stands_in="table",
            sex=None if row["Sex"] == "Unknown" else cells.stated(row["Sex"]),
            view="LATERAL" if lateral else row["AP/PA"],
            licence="Stanford University Dataset Research Use Agreement",
            known_chest=True,
            findings=findings,
            unread=unread,
        )


def _name_of(file: ListedFile) -> str | None:
    found = _PATH.search(file.member or os.fsdecode(file.path))
    return found[0] if found else None


def labels_of(
    row: Mapping[str, str | None], others: Collection[str], source: str, version: str
) -> tuple[tuple[Finding, ...], tuple[Unread, ...]]:
    """Labels of all columns except `others`: 1, 0 or -1; and the cells that have another value."""
    findings, unread = [], []
    for column, cell in row.items():
        if column in others or cells.stated(cell) is None:
            continue
        name = snake_case(column)
        read = cells.read_number(cell)
        if read.value in (1.0, 0.0, -1.0):
            findings.append(Finding(name, read.value, source=source, version=version))
        else:
            unread.append(Unread(name, read.reason or "out_of_range"))
    return tuple(findings), tuple(unread)
