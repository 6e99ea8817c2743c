"""MIMIC-CXR-JPG: files/p10/p10000032/s50414267/DICOM_ID.jpg and its gzip tables."""

import os
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import polars as pl

from xray_mining.archive import cells
from xray_mining.archive.adapter import Adapter
from xray_mining.archive.chexpert import labels_of
from xray_mining.archive.example import write_picture, write_text
from xray_mining.archive.generic import broken_row
from xray_mining.archive.listing import walk
from xray_mining.archive.picture_file import SUFFIXES, picture_of
from xray_mining.archive.radiograph import Finding, Header, ListedFile, Radiograph, Unread, Unusable, only
from xray_mining.archive.table import Places, Table, find_table, need_columns
from xray_mining.errors import UserError

_METADATA = "mimic-cxr-2.0.0-metadata.csv"
_LABELS = ("mimic-cxr-2.0.0-chexpert.csv", "mimic-cxr-2.0.0-negbio.csv")
_SPLIT = "mimic-cxr-2.0.0-split.csv"
# Patients' sex and age at their anchor year come with MIMIC-IV; where the table is laid beside, ages follow.
_PATIENTS = "patients.csv"
_NEEDED = ("dicom_id", "subject_id", "study_id", "ViewPosition", "StudyDate")


class MimicCxrJpg(Adapter):
    """Dates are shifted by the set itself; sexes and ages are known where MIMIC-IV's patients.csv lies beside."""

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
    def recognise(cls, folder: Path) -> bool:
        """Its metadata table lies in the folder."""
        return find_table(folder, _METADATA) is not None

    def check(self) -> None:
        """UserError where a column is missing."""
        _ = self._table

    def files(self) -> Iterator[ListedFile]:
        """Every file."""
        return walk(self.folder)

    def ignores(self, file: ListedFile) -> bool:
        """What is no picture."""
        return not (file.member or os.fsdecode(file.path)).lower().endswith(SUFFIXES)

    def read(self, file: ListedFile, data: bytes) -> Iterator[Radiograph]:
        """The picture with its rows."""
        name = (file.member or os.fsdecode(file.path)).rsplit("/", 1)[-1].rsplit(".", 1)[0]
        place = self._places.get(name)
        if place is None:
            raise Unusable("header", "not_in_table", "The metadata table has no row for this image.")
        if place in self._table.broken:
            raise broken_row()
        yield Radiograph(self._header(self._frame.row(place, named=True)), encoded=picture_of(data))

    def rows(self) -> Iterator[Radiograph]:
        """Every row of the metadata table."""
        for number, row in enumerate(self._frame.iter_rows(named=True)):
            yield Radiograph(self._header(row), trouble=broken_row() if number in self._table.broken else None)

    def tables(self) -> list[Path]:
        """Metadata, labels, splits and patients."""
        names = (_METADATA, *_LABELS, _SPLIT, _PATIENTS)
        return [path for name in names if (path := find_table(self.folder, name)) is not None]

    def table_files(self) -> int:
        """Rows of the metadata table."""
        return self._table.height

    def repeated_rows(self) -> int:
        """Rows of an image that an earlier row has named."""
        return self._frame["dicom_id"].drop_nulls().len() - len(self._places)

    def _read(self, name: str) -> Table | None:
        path = find_table(self.folder, name)
        return self.table(path) if path is not None else None

    @cached_property
    def _table(self) -> Table:
        table = self._read(_METADATA)
        if table is None:
            raise UserError(f"{self.folder}: has no {_METADATA}.gz; name the folder that holds it")
        need_columns(table, _NEEDED, _METADATA)
        return table

    @cached_property
    def _frame(self) -> pl.DataFrame:
        return self._table.frame

    @cached_property
    def _places(self) -> Places:
        return Places(self._frame["dicom_id"], self._table.broken)

    @cached_property
    def _day_style(self) -> cells.DayStyle:
        return cells.day_style(self._frame["StudyDate"])

    @cached_property
    def _labels(self) -> list[tuple[str, pl.DataFrame, Places]]:
        """Of each labeller its name, its rows, and where the studies are in them."""
        found = []
        for name in _LABELS:
            table = self._read(name)
            if table is not None:
                need_columns(table, ("study_id",), name)
                labeller = name.removesuffix(".csv").rsplit("-", 1)[-1]
                frame = table.frame
                found.append((labeller, frame, Places(frame["study_id"], table.broken)))
        return found

    @cached_property
    def _splits(self) -> dict[str, str]:
        table = self._read(_SPLIT)
        if table is None or not {"dicom_id", "split"} <= set(table.columns):
            return {}
        return dict(table.frame.select("dicom_id", "split").drop_nulls().iter_rows())

    @cached_property
    def _patients(self) -> dict[str, tuple[str | None, str | None, str | None]]:
        """Sex, age and year of the anchor as they are stated, of each patient."""
        table = self._read(_PATIENTS)
        if table is None or not {"subject_id", "gender", "anchor_age", "anchor_year"} <= set(table.columns):
            return {}
        rows = table.frame.select("subject_id", "gender", "anchor_age", "anchor_year").iter_rows()
        return {subject: (sex, age, year) for subject, sex, age, year in rows if subject is not None}

    def _header(self, row: dict[str, Any]) -> Header:
        subject = cells.stated(row["subject_id"])
        day = cells.read_day(row["StudyDate"], self._day_style)
        unread = [Unread("study_date", day.reason)] if day.reason else []
        sex, stated_age, stated_year = self._patients.get(subject or "", (None, None, None))
        anchor_age, anchor_year = cells.read_number(stated_age), cells.read_number(stated_year)
        for name, cell in (("anchor_age", anchor_age), ("anchor_year", anchor_year)):
            if cell.reason:
                unread.append(Unread(name, cell.reason))
        age = None
        if day.value is not None and anchor_age.value is not None and anchor_year.value is not None:
            age = f"{max(anchor_age.value + day.value.year - anchor_year.value, 0):.0f}"
        findings: tuple[Finding, ...] = ()
        for labeller, frame, places in self._labels:
            place = places.get(row["study_id"])
            if place is not None:
                labels, none = labels_of(
                    frame.row(place, named=True),
                    ("subject_id", "study_id"),
                    f"mimic_cxr_jpg {labeller}",
                    "2.0.0",
                )
                findings += labels
                unread += none
        split = self._splits.get(row["dicom_id"])
        if split:
            findings = (*findings, Finding("official_split", label=split, version="2.0.0"))
        return Header(
            instance_id=row["dicom_id"],
            study_id=cells.stated(row["study_id"]),
            patient_id=subject,
            study_date=day.text,
            age_text=age,
            age_stands_in="table",
            sex=cells.stated(sex),
            view=cells.stated(row["ViewPosition"]),
            view_texts=only([row.get("ViewCodeSequence_CodeMeaning"), row.get("PerformedProcedureStepDescription")]),
            licence="PhysioNet Credentialed Health Data License 1.5.0",
            known_chest=True,
            findings=findings,
            unread=tuple(unread),
        )
