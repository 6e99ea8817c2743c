"""PadChest: PADCHEST_chest_x_ray_images_labels_160K*.csv and 16-bit PNG files in folders 0 to 54 or zip packages."""

import ast
import os
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from xray_mining.archive import cells
from xray_mining.archive.adapter import Adapter
from xray_mining.archive.example import write_picture, write_text
from xray_mining.archive.generic import broken_row, snake_case
from xray_mining.archive.listing import walk
from xray_mining.archive.picture_file import SUFFIXES, picture_of
from xray_mining.archive.radiograph import Finding, Header, ListedFile, Radiograph, Unread, Unusable
from xray_mining.archive.rows_by_name import RowsByName
from xray_mining.archive.source import Source
from xray_mining.archive.table import Table, first_like, need_columns
from xray_mining.errors import UserError

_NEEDED = ("ImageID", "StudyID", "PatientID", "PatientBirth", "PatientSex_DICOM", "StudyDate_DICOM", "Projection")
# The set's words for projections: horizontal films are made in lying position; costal films show ribs.
_VIEWS = {"PA": "PA", "AP": "AP", "AP_horizontal": "AP", "L": "LATERAL", "COSTAL": "OTHER", "EXCLUDE": "OTHER"}


class Padchest(Adapter):
    """Labels are a Python list written as text; only the year of birth is known, so ages are exact to half a year."""

    rank = 20
    public = True
    domain = "padchest"

    @classmethod
    def example(cls, folder: Path) -> None:
        """One picture with its row."""
        write_text(
            folder / "PADCHEST_chest_x_ray_images_labels_160K_01.02.19.csv",
            ",".join((*_NEEDED, "ImageDir", "MethodLabel", "Labels")),
            "1_k6ga29.png,1,839860488694292331637988235681460987,1930.0,F,20140915,PA,0,Physician,\"['pneumonia']\"",
        )
        write_picture(folder / "0/1_k6ga29.png")

    @classmethod
    def recognise(cls, source: Source) -> bool:
        """Whether the folder has its table."""
        return _table_of(source) is not None

    def check(self) -> None:
        """Raise UserError if a column is missing."""
        _ = self._table

    def files(self) -> Iterator[ListedFile]:
        """Every file and member of packages."""
        return walk(self.source)

    def ignores(self, file: ListedFile) -> bool:
        """Whether the file is not a picture."""
        return not (file.member or os.fsdecode(file.path)).lower().endswith((*SUFFIXES, ".zip", ".tar"))

    def prepare(self, files: Sequence[ListedFile]) -> None:
        """Look up the rows of a shard's files together."""
        self._named.prepare(map(_name_of, files))

    def read(self, file: ListedFile, data: bytes) -> Iterator[Radiograph]:
        """The picture with its row."""
        row = self._named.get(_name_of(file))
        if row is None:
            raise Unusable("header", "not_in_table", "The table has no row for this image.")
        if row.broken:
            raise broken_row()
        inverted = row.cells.get("PhotometricInterpretation_DICOM") == "MONOCHROME1"
        encoded = picture_of(data, "MONOCHROME1" if inverted else "MONOCHROME2")
        yield Radiograph(self._header(row.cells), encoded=encoded)

    def rows(self) -> Iterator[Radiograph]:
        """A radiograph per row of the table."""
        for number, row in enumerate(self._table.frame.iter_rows(named=True)):
            yield Radiograph(self._header(row), trouble=broken_row() if number in self._table.broken else None)

    def tables(self) -> list[str]:
        """The table."""
        path = _table_of(self.source)
        return [path] if path is not None else []

    def table_files(self) -> int:
        """Number of rows of the table."""
        return self._table.height

    def repeated_rows(self) -> int:
        """Number of rows whose image an earlier row already names."""
        return self._table.column("ImageID").drop_nulls().len() - len(self._named)

    @cached_property
    def _table(self) -> Table:
        path = _table_of(self.source)
        if path is None:
            raise UserError(f"{self.source}: has no PADCHEST table; name the folder that holds it")
        table = self.table(path)
        need_columns(table, _NEEDED, path)
        return table

    @cached_property
    def _named(self) -> RowsByName:
        return RowsByName(self._table, self._table.column("ImageID"))

    @cached_property
    def _day_style(self) -> cells.DayStyle:
        return cells.day_style(self._table.column("StudyDate_DICOM"))

    def _header(self, row: dict[str, Any]) -> Header:
        unread = []
        day, birth = cells.read_day(row["StudyDate_DICOM"], self._day_style), cells.read_number(row["PatientBirth"])
        # A bare year is a date without month and day.
        year = int(row["StudyDate_DICOM"][:4]) if day.reason == "partial_date" else None
        year, month = (day.value.year, day.value.month) if day.value is not None else (year, 7)
        unread += [Unread("study_date", day.reason)] if day.reason else []
        unread += [Unread("birth_year", birth.reason)] if birth.reason else []
        age = None
        if year is not None and birth.value is not None:
            # The best guess for a birth in a known year is its middle.
            age = f"{year + (month - 0.5) / 12 - (birth.value + 0.5):.4f}"
        method = cells.stated(row.get("MethodLabel"))
        source = f"padchest {snake_case(method)}" if method else ""
        words = _labels(row.get("Labels"))
        if words is None:
            unread.append(Unread("labels", "not_a_list"))
        labels = tuple(Finding(snake_case(label), 1.0, source=source, version="160K") for label in words or [])
        return Header(
            instance_id=row["ImageID"],
            study_id=cells.stated(row["StudyID"]),
            patient_id=cells.stated(row["PatientID"]),
            study_date=day.text,
            age_text=age,
            age_stands_in="table",
            sex=cells.stated(row["PatientSex_DICOM"]),
            view=_VIEWS.get(row["Projection"] or "", row["Projection"]),
            modality=row.get("Modality_DICOM"),
            manufacturer=row.get("Manufacturer_DICOM"),
            licence="PadChest Dataset Research Use Agreement",
            known_chest=True,
            findings=labels,
            unread=tuple(unread),
        )


def _labels(text: str | None) -> list[str] | None:
    """The labels of one cell, as "['cardiomegaly', 'pleural effusion']", repeated ones once; None if it is no list."""
    if cells.stated(text) is None:
        return []
    try:
        found = ast.literal_eval(text or "")
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return None
    if not isinstance(found, list):
        return None
    words = [str(each).strip() for each in found if str(each).strip()]
    return list(dict.fromkeys(words))


def _name_of(file: ListedFile) -> str:
    return (file.member or os.fsdecode(file.path)).rsplit("/", 1)[-1]


def _table_of(source: Source) -> str | None:
    patterns = ("PADCHEST_chest_x_ray_images_labels*.csv", "PADCHEST_chest_x_ray_images_labels*.csv.gz")
    return first_like(source, patterns)
