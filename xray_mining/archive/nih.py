"""NIH ChestX-ray14: images_*/images/*.png, Data_Entry_2017*.csv, BBox_List_2017.csv."""

import os
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path

from xray_mining.archive import cells
from xray_mining.archive.adapter import Adapter
from xray_mining.archive.csv_file import first_names
from xray_mining.archive.example import write_picture, write_text
from xray_mining.archive.generic import broken_row, snake_case
from xray_mining.archive.listing import walk
from xray_mining.archive.picture_file import SUFFIXES, picture_of
from xray_mining.archive.radiograph import Box, Finding, Header, ListedFile, Radiograph, Spacing, Unread, Unusable
from xray_mining.archive.rows_by_name import RowsByName
from xray_mining.archive.source import Source
from xray_mining.archive.table import Table, first_like, need_columns
from xray_mining.errors import UserError

_LICENCE = "NIH Clinical Center: no restrictions on use; attribution required"
# The first line of the 2017 table cannot be split: two of its column names contain a comma without quotes.
_HEADER = [
    "Image Index",
    "Finding Labels",
    "Follow-up #",
    "Patient ID",
    "Patient Age",
    "Patient Gender",
    "View Position",
    "OriginalImageWidth",
    "OriginalImageHeight",
    "OriginalImagePixelSpacing_x",
    "OriginalImagePixelSpacing_y",
]
_BOX_HEADER = ["Image Index", "Finding Label", "x", "y", "w", "h"]
# The boxes are in pixels of the 1,024 × 1,024 release.
_BOX_SIDE = 1024
LABELS = (
    "Atelectasis",
    "Cardiomegaly",
    "Consolidation",
    "Edema",
    "Effusion",
    "Emphysema",
    "Fibrosis",
    "Hernia",
    "Infiltration",
    "Mass",
    "Nodule",
    "Pleural_Thickening",
    "Pneumonia",
    "Pneumothorax",
)

_BOX_TABLES = ("BBox_List_2017.csv", "BBox_List_2017.csv.gz", "BBox_List_2017_Official_NIH.csv")


class Nih(Adapter):
    """The set's folder, or its 5 % sample (sample_labels.csv)."""

    rank = 20
    public = True
    domain = "nih_cxr14"

    @classmethod
    def example(cls, folder: Path) -> None:
        """One picture with its row."""
        write_text(
            folder / "Data_Entry_2017_v2020.csv",
            ",".join(_HEADER),
            "00000001_000.png,Cardiomegaly|Effusion,0,1,57,M,PA,2682,2749,0.143,0.143",
        )
        write_picture(folder / "images_001/images/00000001_000.png")

    @classmethod
    def recognise(cls, source: Source) -> bool:
        """Whether the folder has the set's table."""
        return bool(_table_of(source))

    def check(self) -> None:
        """Raise UserError if the table has other columns."""
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
            raise Unusable("header", "not_in_table", "The table has no row for this image.")
        if row.broken:
            raise broken_row()
        encoded = picture_of(data)
        yield Radiograph(self._header(row.cells, max(encoded.columns, encoded.rows)), encoded=encoded)

    def rows(self) -> Iterator[Radiograph]:
        """A radiograph per row of the table."""
        for number, row in enumerate(self._table.frame.iter_rows(named=True)):
            yield Radiograph(self._header(row, 0), trouble=broken_row() if number in self._table.broken else None)

    def tables(self) -> list[str]:
        """The table and the boxes."""
        path = _table_of(self.source)
        found = [path] if path is not None else []
        return [*found, *self._box_tables()]

    def _box_tables(self) -> list[str]:
        return [name for name in _BOX_TABLES if self.source.has_file(name.encode())]

    def table_files(self) -> int:
        """Number of rows of the table."""
        return self._table.height

    def repeated_rows(self) -> int:
        """Number of rows whose image an earlier row already names."""
        return self._table.column("Image Index").drop_nulls().len() - len(self._named)

    @cached_property
    def _table(self) -> Table:
        path = _table_of(self.source)
        if path is None:
            raise UserError(f"{self.source}: has no Data_Entry_2017 table; download it from the set's site")
        split = "OriginalImage[Width" in first_names(self.source, path)
        table = self.table(path, _HEADER if split else None)
        need_columns(table, _HEADER[:7], path)
        return table

    @cached_property
    def _named(self) -> RowsByName:
        return RowsByName(self._table, self._table.column("Image Index"))

    @cached_property
    def _styles(self) -> dict[str, cells.NumberStyle]:
        names = [name for name in _HEADER[2:3] + _HEADER[7:] if name in self._table.columns]
        return {name: cells.number_style(self._table.column(name)) for name in names}

    @cached_property
    def _boxes(self) -> dict[str, tuple[list[Box], list[Unread]]]:
        """Boxes by image, and the cells of boxes that could not be read."""
        found: dict[str, tuple[list[Box], list[Unread]]] = {}
        # The set's own table and copies of it: the first is read.
        for name in self._box_tables()[:1]:
            for row in self.table(name, _BOX_HEADER).frame.iter_rows(named=True):
                boxes, unread = found.setdefault(row["Image Index"] or "", ([], []))
                read = [cells.read_number(row[each]) for each in "xywh"]
                unread += [Unread("boxes", each.reason) for each in read if each.reason]
                x, y, w, h = (each.value for each in read)
                if x is None or y is None or w is None or h is None:
                    continue
                label = "Infiltration" if row["Finding Label"] == "Infiltrate" else row["Finding Label"] or "box"
                boxes.append(Box(snake_case(label), x, y, w, h, _BOX_SIDE, _BOX_SIDE))
        return found

    def _header(self, row: dict[str, str | None], side: int) -> Header:
        boxes, unread_boxes = self._boxes.get(row["Image Index"] or "", ([], []))
        unread = list(unread_boxes)

        def number(name: str, column: str) -> float | None:
            read = cells.read_number(row.get(column), self._styles.get(column, cells.NumberStyle()))
            if read.reason:
                unread.append(Unread(name, read.reason))
            return read.value

        findings = []
        labels = cells.stated(row["Finding Labels"])
        if labels is not None:
            # A missing list means unknown findings, not no finding.
            named = {label.strip() for label in labels.split("|")}
            findings += [Finding(snake_case(label), float(label in named), version="2017") for label in LABELS]
            findings.append(Finding("no_finding", float("No Finding" in named), version="2017"))
            if not named & {*LABELS, "No Finding"}:
                unread.append(Unread("finding_labels", "unknown_word"))
        follow_up = number("follow_up_number", "Follow-up #")
        if follow_up is not None:
            findings.append(Finding("follow_up_number", follow_up, version="2017"))
        spacings = ()
        x, y = number("spacing_mm", "OriginalImagePixelSpacing_x"), number("spacing_mm", "OriginalImagePixelSpacing_y")
        width, height = number("spacing_mm", "OriginalImageWidth"), number("spacing_mm", "OriginalImageHeight")
        if x and y and width and height and side:
            # The released pictures are the originals stretched to a square.
            spacings = (Spacing("table", y * height / side, x * width / side),)
        return Header(
            instance_id=row["Image Index"],
            patient_id=cells.stated(row["Patient ID"]),
            age_text=cells.age_text(row["Patient Age"]),
            age_stands_in="table",
            sex=cells.stated(row["Patient Gender"]),
            view=cells.stated(row["View Position"]),
            licence=_LICENCE,
            known_chest=True,
            spacings=spacings,
            findings=tuple(findings),
            boxes=tuple(boxes),
            unread=tuple(unread),
        )


def _name_of(file: ListedFile) -> str:
    return (file.member or os.fsdecode(file.path)).rsplit("/", 1)[-1]


def _table_of(source: Source) -> str | None:
    patterns = ("Data_Entry_2017*.csv", "Data_Entry_2017*.csv.gz", "sample_labels.csv", "sample_labels.csv.gz")
    return first_like(source, patterns)
