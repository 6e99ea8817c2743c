"""MIMIC-CXR-JPG: files/p10/p10000032/s50414267/DICOM_ID.jpg and its gzip tables."""

import os
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from xray_mining.archive import cells
from xray_mining.archive.adapter import Adapter
from xray_mining.archive.chexpert import labels_of
from xray_mining.archive.example import write_picture, write_text
from xray_mining.archive.generic import broken_row
from xray_mining.archive.listing import walk
from xray_mining.archive.picture_file import SUFFIXES, picture_of
from xray_mining.archive.radiograph import Finding, Header, ListedFile, Radiograph, Unread, Unusable, only
from xray_mining.archive.rows_by_name import RowsByName
from xray_mining.archive.source import Source
from xray_mining.archive.table import GROUP_ROWS, Table, find_table, need_columns
from xray_mining.errors import UserError

_METADATA = "mimic-cxr-2.0.0-metadata.csv"
_LABELS = ("mimic-cxr-2.0.0-chexpert.csv", "mimic-cxr-2.0.0-negbio.csv")
_SPLIT = "mimic-cxr-2.0.0-split.csv"
# MIMIC-IV states sex and age at the anchor year; if its table is beside these, ages are computed from it.
_PATIENTS = "patients.csv"
_NEEDED = ("dicom_id", "subject_id", "study_id", "ViewPosition", "StudyDate")


class MimicCxrJpg(Adapter):
    """The dates are already shifted; sex and age are known only if MIMIC-IV's patients.csv is beside the tables."""

    rank = 20
    public = True
    domain = "mimic"

    @classmethod
    def example(cls, folder: Path) -> None:
        """One picture with its row."""
        name = "02aa804e-bde0afdd-112c0b34-7bc16630-4e384014"
        write_text(folder / _METADATA, ",".join(_NEEDED), f"{name},10000032,50414267,PA,21800506")
        write_picture(folder / f"files/p10/p10000032/s50414267/{name}.jpg")

    @classmethod
    def recognise(cls, source: Source) -> bool:
        """Whether the folder has its metadata table."""
        return find_table(source, _METADATA) is not None

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
        """Look up the rows of a shard's files in all tables, each table once."""
        names = [_name_of(file) for file in files]
        self._named.prepare(names)
        self._prepare_others([row.cells for name in names if (row := self._named.get(name)) is not None])

    def read(self, file: ListedFile, data: bytes) -> Iterator[Radiograph]:
        """The picture with its rows."""
        row = self._named.get(_name_of(file))
        if row is None:
            raise Unusable("header", "not_in_table", "The metadata table has no row for this image.")
        if row.broken:
            raise broken_row()
        yield Radiograph(self._header(row.cells), encoded=picture_of(data))

    def rows(self) -> Iterator[Radiograph]:
        """A radiograph per row of the metadata table."""
        number = 0
        for some in self._table.frame.iter_slices(GROUP_ROWS):
            rows = some.rows(named=True)
            self._prepare_others(rows)
            for row in rows:
                yield Radiograph(self._header(row), trouble=broken_row() if number in self._table.broken else None)
                number += 1

    def tables(self) -> list[str]:
        """Metadata, labels, splits and patients."""
        names = (_METADATA, *_LABELS, _SPLIT, _PATIENTS)
        return [path for name in names if (path := find_table(self.source, name)) is not None]

    def table_files(self) -> int:
        """Number of rows of the metadata table."""
        return self._table.height

    def repeated_rows(self) -> int:
        """Number of rows whose image an earlier row already names."""
        return self._table.column("dicom_id").drop_nulls().len() - len(self._named)

    def keep_tables(self, folder: Path) -> None:
        """Keep the tables beside the metadata too, so that they are read once and not by every worker."""
        self.kept = folder
        for name in (*_LABELS, _SPLIT, _PATIENTS):
            self._read(name)
        super().keep_tables(folder)

    def _read(self, name: str) -> Table | None:
        path = find_table(self.source, name)
        return self.table(path) if path is not None else None

    @cached_property
    def _table(self) -> Table:
        table = self._read(_METADATA)
        if table is None:
            raise UserError(f"{self.source}: has no {_METADATA}.gz; name the folder that holds it")
        need_columns(table, _NEEDED, _METADATA)
        return table

    @cached_property
    def _named(self) -> RowsByName:
        return RowsByName(self._table, self._table.column("dicom_id"))

    @cached_property
    def _day_style(self) -> cells.DayStyle:
        return cells.day_style(self._table.column("StudyDate"))

    @cached_property
    def _labels(self) -> list[tuple[str, RowsByName]]:
        """Rows by study of each labeller's table, with the labeller's name."""
        found = []
        for name in _LABELS:
            table = self._read(name)
            if table is not None:
                need_columns(table, ("study_id",), name)
                labeller = name.removesuffix(".csv").rsplit("-", 1)[-1]
                found.append((labeller, RowsByName(table, table.column("study_id"))))
        return found

    def _by_name(self, name: str, *columns: str) -> RowsByName | None:
        """The rows of a table by the first of these columns; None if the table or one of the columns is missing."""
        table = self._read(name)
        if table is None or not set(columns) <= set(table.columns):
            return None
        return RowsByName(table, table.column(columns[0]))

    def _prepare_others(self, rows: Sequence[Mapping[str, str | None]]) -> None:
        """Look up the values of other tables for rows of the metadata, before the rows are read."""
        others = [("study_id", each) for _, each in self._labels]
        for column, each in (*others, ("dicom_id", self._splits), ("subject_id", self._patients)):
            if each is not None:
                each.prepare({row[column] for row in rows})

    @cached_property
    def _splits(self) -> RowsByName | None:
        return self._by_name(_SPLIT, "dicom_id", "split")

    @cached_property
    def _patients(self) -> RowsByName | None:
        """Sex, anchor age and anchor year of each patient, as stated."""
        return self._by_name(_PATIENTS, "subject_id", "gender", "anchor_age", "anchor_year")

    def _header(self, row: dict[str, Any]) -> Header:
        subject = cells.stated(row["subject_id"])
        day = cells.read_day(row["StudyDate"], self._day_style)
        unread = [Unread("study_date", day.reason)] if day.reason else []
        patient = _cells(self._patients, subject)
        anchor_age, anchor_year = (cells.read_number(patient.get(name)) for name in ("anchor_age", "anchor_year"))
        for name, cell in (("anchor_age", anchor_age), ("anchor_year", anchor_year)):
            if cell.reason:
                unread.append(Unread(name, cell.reason))
        age = None
        if day.value is not None and anchor_age.value is not None and anchor_year.value is not None:
            age = f"{max(anchor_age.value + day.value.year - anchor_year.value, 0):.0f}"
        findings: tuple[Finding, ...] = ()
        for labeller, rows in self._labels:
            stated = _cells(rows, row["study_id"])
            labels, none = labels_of(stated, ("subject_id", "study_id"), f"mimic_cxr_jpg {labeller}", "2.0.0")
            findings += labels
            unread += none
        split = _cells(self._splits, row["dicom_id"]).get("split")
        if split:
            findings = (*findings, Finding("official_split", label=split, version="2.0.0"))
        return Header(
            instance_id=row["dicom_id"],
            study_id=cells.stated(row["study_id"]),
            patient_id=subject,
            study_date=day.text,
            age_text=age,
            age_stands_in="table",
            sex=cells.stated(patient.get("gender")),
            view=cells.stated(row["ViewPosition"]),
            view_texts=only([row.get("ViewCodeSequence_CodeMeaning"), row.get("PerformedProcedureStepDescription")]),
            licence="PhysioNet Credentialed Health Data License 1.5.0",
            known_chest=True,
            findings=findings,
            unread=tuple(unread),
        )


def _name_of(file: ListedFile) -> str:
    return (file.member or os.fsdecode(file.path)).rsplit("/", 1)[-1].rsplit(".", 1)[0]


def _cells(rows: RowsByName | None, name: str | None) -> Mapping[str, str | None]:
    """The cells of a row that was looked up; empty if there is no such row."""
    row = rows.get(name) if rows is not None else None
    return row.cells if row is not None else {}
