"""CheXpert: train.csv and valid.csv with paths CheXpert-v1.0-small/train/patient00001/study1/view1_frontal.jpg."""

import os
import re
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

import polars as pl

from xray_mining.archive.adapter import Adapter
from xray_mining.archive.example import write_picture, write_text
from xray_mining.archive.generic import snake_case
from xray_mining.archive.listing import walk
from xray_mining.archive.picture_file import SUFFIXES, picture_of
from xray_mining.archive.radiograph import Finding, Header, ListedFile, Radiograph, Unusable
from xray_mining.archive.table import find_table, need_columns, read_table
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
    def recognise(cls, folder: Path) -> bool:
        """A table of the set, whose paths name patients and studies."""
        for name in _TABLES:
            path = find_table(folder, name)
            if path is not None:
                with path.open("rb") as handle:
                    return handle.read(5) == b"Path," and b"Frontal/Lateral" in handle.read(200)
        return False

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
        """The picture with its row."""
        found = _PATH.search(file.member or os.fsdecode(file.path))
        place = self._places.get(found[0]) if found else None
        if place is None:
            raise Unusable("header", "not_in_table", "The tables have no row for this image.")
        yield Radiograph(self._header(self._table.row(place, named=True)), encoded=picture_of(data))

    def rows(self) -> Iterator[Radiograph]:
        """Every row of the tables."""
        for row in self._table.iter_rows(named=True):
            yield Radiograph(self._header(row))

    def tables(self) -> list[Path]:
        """The tables of the set's parts."""
        return [path for name in _TABLES if (path := find_table(self.folder, name)) is not None]

    def table_files(self) -> int:
        """Rows of the tables."""
        return self._table.height

    def repeated_rows(self) -> int:
        """Rows of an image that an earlier row has named."""
        named = sum(_PATH.search(path or "") is not None for path in self._table["Path"].to_list())
        return named - len(self._places)

    @cached_property
    def _table(self) -> pl.DataFrame:
        paths = [path for name in _TABLES if (path := find_table(self.folder, name)) is not None]
        if not paths:
            raise UserError(f"{self.folder}: has no train.csv or valid.csv; name the folder that holds them")
        frames = []
        for path in paths:
            frame = read_table(path)
            need_columns(frame, _NEEDED, path.name)
            frames.append(frame)
        return pl.concat(frames, how="diagonal")

    @cached_property
    def _places(self) -> dict[str, int]:
        found = {}
        for place, path in enumerate(self._table["Path"].to_list()):
            match = _PATH.search(path or "")
            if match:
                found.setdefault(match[0], place)
        return found

    def _header(self, row: dict[str, str | None]) -> Header:
        path = row["Path"] or ""
        match = _PATH.search(path)
        patient = match[2] if match else None
        # The validation patients have numbers of their own; the test set's studies are counted anew.
        study = f"{match[1]}/{match[2]}/{match[3]}" if match else None
        lateral = (row["Frontal/Lateral"] or "").lower() == "lateral"
        findings = tuple(
            Finding(snake_case(name), value, version="v1.0")
            for name, cell in row.items()
            if name not in _NEEDED and cell is not None and (value := label_of(cell)) is not None
        )
        return Header(
            instance_id=match[0] if match else path,
            study_id=study,
            patient_id=patient,
            # The set writes 0 for "not known": nobody under one year is in it.
            age_text=None if row["Age"] in ("0", "0.0") else row["Age"],
            age_stands_in="table",
            sex=None if row["Sex"] == "Unknown" else row["Sex"],
            view="LATERAL" if lateral else row["AP/PA"],
            licence="Stanford University Dataset Research Use Agreement",
            known_chest=True,
            findings=findings,
        )


def label_of(cell: str) -> float | None:
    """1, 0 or -1 of a label cell; None for anything else."""
    try:
        value = float(cell)
    except ValueError:
        return None
    return value if value in (1.0, 0.0, -1.0) else None
