"""MIMIC-CXR-JPG: files/p10/p10000032/s50414267/DICOM_ID.jpg and its gzip tables."""

import os
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import polars as pl

from xray_mining.archive.adapter import Adapter
from xray_mining.archive.chexpert import label_of
from xray_mining.archive.example import write_picture, write_text
from xray_mining.archive.generic import snake_case
from xray_mining.archive.listing import walk
from xray_mining.archive.picture_file import SUFFIXES, picture_of
from xray_mining.archive.radiograph import Finding, Header, ListedFile, Radiograph, Unusable, only
from xray_mining.archive.table import find_table, first_places, need_columns, read_table
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
        yield Radiograph(self._header(self._table.row(place, named=True)), encoded=picture_of(data))

    def rows(self) -> Iterator[Radiograph]:
        """Every row of the metadata table."""
        for row in self._table.iter_rows(named=True):
            yield Radiograph(self._header(row))

    def tables(self) -> list[Path]:
        """Metadata, labels, splits and patients."""
        names = (_METADATA, *_LABELS, _SPLIT, _PATIENTS)
        return [path for name in names if (path := find_table(self.folder, name)) is not None]

    def table_files(self) -> int:
        """Rows of the metadata table."""
        return self._table.height

    def repeated_rows(self) -> int:
        """Rows of an image that an earlier row has named."""
        return self._table["dicom_id"].drop_nulls().len() - len(self._places)

    def _read(self, name: str) -> pl.DataFrame | None:
        path = find_table(self.folder, name)
        return read_table(path) if path is not None else None

    @cached_property
    def _table(self) -> pl.DataFrame:
        frame = self._read(_METADATA)
        if frame is None:
            raise UserError(f"{self.folder}: has no {_METADATA}.gz; name the folder that holds it")
        need_columns(frame, _NEEDED, _METADATA)
        return frame

    @cached_property
    def _places(self) -> dict[str, int]:
        return first_places(self._table["dicom_id"])

    @cached_property
    def _findings(self) -> dict[str, tuple[Finding, ...]]:
        found: dict[str, list[Finding]] = {}
        for name in _LABELS:
            frame = self._read(name)
            if frame is None:
                continue
            labeller = name.removesuffix(".csv").rsplit("-", 1)[-1]
            for row in frame.iter_rows(named=True):
                findings = [
                    Finding(snake_case(label), value, source=f"mimic_cxr_jpg {labeller}", version="2.0.0")
                    for label, cell in row.items()
                    if label not in ("subject_id", "study_id") and cell is not None
                    if (value := label_of(cell)) is not None
                ]
                found.setdefault(row["study_id"] or "", []).extend(findings)
        return {study: tuple(findings) for study, findings in found.items()}

    @cached_property
    def _splits(self) -> dict[str, str]:
        frame = self._read(_SPLIT)
        return dict(frame.select("dicom_id", "split").drop_nulls().iter_rows()) if frame is not None else {}

    @cached_property
    def _patients(self) -> dict[str, tuple[str | None, float, float]]:
        frame = self._read(_PATIENTS)
        if frame is None or not {"subject_id", "gender", "anchor_age", "anchor_year"} <= set(frame.columns):
            return {}
        rows = frame.select("subject_id", "gender", "anchor_age", "anchor_year").drop_nulls().iter_rows()
        return {subject: (sex, float(age), float(year)) for subject, sex, age, year in rows}

    def _header(self, row: dict[str, Any]) -> Header:
        subject, date = row["subject_id"], row["StudyDate"]
        sex, age = None, None
        if subject in self._patients and date:
            sex, anchor_age, anchor_year = self._patients[subject]
            age = f"{max(anchor_age + float(date[:4]) - anchor_year, 0):.0f}"
        split = self._splits.get(row["dicom_id"])
        findings = self._findings.get(row["study_id"] or "", ())
        if split:
            findings = (*findings, Finding("official_split", label=split, version="2.0.0"))
        return Header(
            instance_id=row["dicom_id"],
            study_id=row["study_id"],
            patient_id=subject,
            study_date=date,
            age_text=age,
            age_stands_in="table",
            sex=sex,
            view=row["ViewPosition"],
            view_texts=only([row.get("ViewCodeSequence_CodeMeaning"), row.get("PerformedProcedureStepDescription")]),
            licence="PhysioNet Credentialed Health Data License 1.5.0",
            known_chest=True,
            findings=findings,
        )
