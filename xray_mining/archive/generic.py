"""Any folder of PNG, JPEG, TIFF or DICOM files and any CSV table, described by a YAML mapping of a few lines."""

import os
from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Literal

import polars as pl
from pydantic import BaseModel, Field, model_validator

from xray_mining.archive.adapter import Adapter
from xray_mining.archive.dicom_file import looks_like_dicom, read_dicom
from xray_mining.archive.example import write_picture, write_text
from xray_mining.archive.listing import PACKED, walk
from xray_mining.archive.picture_file import SUFFIXES, picture_of
from xray_mining.archive.radiograph import (
    Box,
    Finding,
    Header,
    ListedFile,
    MaskFile,
    MaskRule,
    Radiograph,
    Spacing,
    Unusable,
)
from xray_mining.archive.table import need_columns, read_table
from xray_mining.errors import UserError
from xray_mining.records.masks import STRUCTURES
from xray_mining.workspace import read_yaml

_SHIPPED = "mapping.yaml"


class Columns(BaseModel, extra="forbid", frozen=True):
    """Which column of the table says what; one that is left out is not stated."""

    image: str = Field(description="path or file name of the image")
    instance_id: str | None = None
    patient_id: str | None = None
    study_id: str | None = None
    accession: str | None = Field(None, description="accession number, by which `link` may find the study")
    series_id: str | None = None
    study_date: str | None = None
    birth_date: str | None = None
    age: str | None = Field(None, description="years, or with a unit as in DICOM: 061Y, 018M")
    sex: str | None = None
    view: str | None = None
    laterality: str | None = None
    modality: str | None = None
    manufacturer: str | None = None
    model_name: str | None = None
    institution: str | None = None
    licence: str | None = None
    spacing_mm: str | None = None
    image_columns: str | None = Field(None, description="width in pixels of the picture that spacing_mm is about")


class FindingMapping(BaseModel, extra="forbid", frozen=True):
    """One column that becomes findings."""

    column: str
    kind: Literal["number", "text", "words"] = Field(
        "number", description="a number; the text of a group; or several labels in one cell, each 1 where it is named"
    )
    unit: str = ""
    separator: str = Field("|", description="between the labels of one cell")
    values: dict[str, float] = Field(default={}, description="numbers for texts, as {yes: 1, no: 0, maybe: -1}")


class MaskMapping(BaseModel, extra="forbid", frozen=True):
    """One column with paths of mask files."""

    column: str
    structures: dict[str, dict[Literal["equals", "from", "bits"], int]] = Field(
        description="which values of the mask are which structure, as {right_lung: {equals: 1}}"
    )

    @model_validator(mode="after")
    def _known(self) -> "MaskMapping":
        for name, rule in self.structures.items():
            if name not in STRUCTURES:
                raise ValueError(f"'{name}' is no structure; known are {', '.join(STRUCTURES)}")
            if len(rule) != 1:
                raise ValueError(f"'{name}' needs one of equals, from, bits")
        return self


class BoxMapping(BaseModel, extra="forbid", frozen=True):
    """A second table with one rectangle a row, in the pixels of the image file."""

    table: str
    optional: bool = Field(False, description="an archive may come without this table")
    image: str
    name: str
    x: str
    y: str
    width: str
    height: str
    names: dict[str, str] = Field(default={}, description="our names for theirs")


class Mapping(BaseModel, extra="forbid", frozen=True):
    """What the columns of an archive's table mean."""

    table: str = Field(description="path of the CSV below the archive's folder")
    columns: Columns
    images: str = Field("", description="folder of the images below the archive's folder; empty: all of it")
    public: bool = Field(False, description="a public set: published key, true dates")
    domain: str | None = Field(None, description="id space of the patients; left out: the archive's name")
    set: str = Field("", description="name put before image ids, where several sets share a domain")
    licence: str | None = Field(None, description="licence of all images, where no column has it")
    photometric: Literal["MONOCHROME1", "MONOCHROME2"] = Field(
        "MONOCHROME2", description="MONOCHROME1 where bright pixels of the image files are air"
    )
    findings: dict[str, FindingMapping] = {}
    masks: list[MaskMapping] = []
    boxes: list[BoxMapping] = []


class Generic(Adapter):
    """Reads what a mapping describes; a mapping.yaml in the archive's folder is taken by itself."""

    rank = 40

    @classmethod
    def example(cls, folder: Path) -> Path:
        """One picture with its row, and the mapping in the folder."""
        write_text(folder / "patients.csv", "file,pid,age,sex", "one.png,1,57,F")
        write_picture(folder / "one.png")
        write_text(
            folder / _SHIPPED,
            "table: patients.csv",
            "columns: {image: file, patient_id: pid, age: age, sex: sex}",
        )
        return folder / _SHIPPED

    @classmethod
    def recognise(cls, folder: Path) -> bool:
        """The folder brings its mapping along."""
        return (folder / _SHIPPED).is_file()

    def __init__(self, folder: Path, mapping: Path | None = None) -> None:
        super().__init__(folder, mapping)
        path = mapping or folder / _SHIPPED
        if not path.is_file():
            raise UserError(f"{path}: the mapping is not there; adapter 'generic' needs --mapping FILE")
        self.says = read_yaml(Mapping, path)
        self.public = self.says.public
        self.domain = self.says.domain

    def check(self) -> None:
        """UserError where the table lacks a column that the mapping names."""
        says, where = self.says, f"{self.says.table} (as the mapping names it)"
        named = [name for name in says.columns.model_dump().values() if name]
        named += [each.column for each in (*says.findings.values(), *says.masks)]
        need_columns(self._table, named, where)
        for boxes in self._box_tables:
            wanted = [boxes.image, boxes.name, boxes.x, boxes.y, boxes.width, boxes.height]
            need_columns(read_table(self.folder / boxes.table), wanted, f"{boxes.table} (as the mapping names it)")
        if says.images and not (self.folder / says.images).is_dir():
            raise UserError(f"{self.folder}: has no folder '{says.images}', which the mapping names for the images")

    def files(self) -> Iterator[ListedFile]:
        """Every file of the images' folder."""
        return self._walk(packed=True)

    def ignored(self) -> int:
        """Tables, masks and texts of the images' folder."""
        return sum(self.ignores(file) for file in self._walk(packed=False))

    def _walk(self, packed: bool) -> Iterator[ListedFile]:
        below = self.says.images.strip("/")
        for file in walk(self.folder / below, packed=packed):
            yield replace(file, path=os.fsencode(below) + b"/" + file.path) if below else file

    def ignores(self, file: ListedFile) -> bool:
        """Tables, masks and texts."""
        name = file.member or os.fsdecode(file.path)
        if not file.member and os.fsencode(name) in self._mask_paths:
            return True
        suffix = Path(name).suffix.lower()
        # Files without a suffix may be DICOM; a packed file stands for itself where it cannot be opened.
        return not (suffix in (*SUFFIXES, ".dcm", "") or name.lower().encode("utf-8", "replace").endswith(PACKED))

    def read(self, file: ListedFile, data: bytes) -> Iterator[Radiograph]:
        """The picture, or the DICOM file's frames, with its row of the table."""
        row = self._row_of(file)
        if row is None:
            raise Unusable("header", "not_in_table", "The table has no row for this image.")
        header = self._header(row)
        if looks_like_dicom(data):
            for radiograph in read_dicom(data):
                pixels = radiograph.encoded
                placed = header if pixels is None else self._placed(header, row, pixels.columns, pixels.rows)
                yield replace(radiograph, header=_joined(placed, radiograph.header))
        else:
            encoded = picture_of(data, self.says.photometric)
            yield Radiograph(self._placed(header, row, encoded.columns, encoded.rows), encoded=encoded)

    def read_header(self, file: ListedFile, data: bytes) -> Iterator[Radiograph]:
        """The row of the table."""
        row = self._row_of(file)
        if row is None:
            raise Unusable("header", "not_in_table", "The table has no row for this image.")
        yield Radiograph(self._header(row))

    def rows(self) -> Iterator[Radiograph]:
        """Every row of the table."""
        for row in self._table.iter_rows(named=True):
            if row[self.says.columns.image]:
                yield Radiograph(self._header(row))

    def tables(self) -> list[Path]:
        """The mapping and its tables."""
        names = [self.says.table, *(each.table for each in self._box_tables)]
        return [self.mapping or self.folder / _SHIPPED, *(self.folder / name for name in names)]

    def table_files(self) -> int:
        """Rows that name an image."""
        return int(self._table[self.says.columns.image].is_not_null().sum())

    def repeated_rows(self) -> int:
        """Rows of an image that an earlier row has named."""
        return self.table_files() - len(self._rows[0])

    @cached_property
    def _table(self) -> pl.DataFrame:
        return read_table(self.folder / self.says.table)

    @cached_property
    def _rows(self) -> tuple[dict[str, int], dict[str, int]]:
        """Row numbers by the path that the table states, and by base names that only one row bears."""
        paths: dict[str, int] = {}
        names: dict[str, int] = {}
        doubtful = set()
        for number, image in enumerate(self._table[self.says.columns.image].to_list()):
            if image is None:
                continue
            path = image.replace("\\", "/").removeprefix("./").lstrip("/")
            paths.setdefault(path, number)
            name = path.rsplit("/", 1)[-1]
            for short in {name, name.rsplit(".", 1)[0]}:
                if names.setdefault(short, number) != number:
                    doubtful.add(short)
        for short in doubtful:
            del names[short]
        return paths, names

    def _row_of(self, file: ListedFile) -> dict[str, str | None] | None:
        """The row of a file: the one that states its path, else the only one that bears its name."""
        path = file.member or os.fsdecode(file.path)
        below = self.says.images.strip("/")
        name = path.rsplit("/", 1)[-1]
        paths, names = self._rows
        places = [paths.get(path), paths.get(path.removeprefix(f"{below}/"))]
        places += [names.get(name), names.get(name.rsplit(".", 1)[0])]
        number = next((each for each in places if each is not None), None)
        return None if number is None else self._table.row(number, named=True)

    @cached_property
    def _mask_paths(self) -> set[bytes]:
        columns = [each.column for each in self.says.masks if each.column in self._table.columns]
        return {os.fsencode(path) for column in columns for path in self._table[column].drop_nulls()}

    def _header(self, row: dict[str, str | None]) -> Header:
        says = self.says
        columns = says.columns

        def cell(column: str | None) -> str | None:
            return row[column] if column else None

        image = row[columns.image] or ""
        masks = []
        for each in says.masks:
            path = row[each.column]
            if path:
                rules = tuple(
                    MaskRule(structure, how, value)
                    for structure, rule in each.structures.items()
                    for how, value in rule.items()
                )
                masks.append(MaskFile(os.fsencode(path), rules))
        spacings = ()
        spacing = _number(cell(columns.spacing_mm))
        if spacing and 0 < spacing < 10:
            spacings = (Spacing("table", spacing, spacing),)
        return Header(
            instance_id=f"{says.set}\x1f{cell(columns.instance_id) or image}"
            if says.set
            else cell(columns.instance_id) or image,
            study_id=cell(columns.study_id),
            accession=cell(columns.accession),
            series_id=cell(columns.series_id),
            patient_id=cell(columns.patient_id),
            study_date=cell(columns.study_date),
            birth_date=cell(columns.birth_date),
            age_text=cell(columns.age),
            age_stands_in="table",
            sex=cell(columns.sex),
            view=cell(columns.view),
            laterality=cell(columns.laterality),
            modality=cell(columns.modality),
            manufacturer=cell(columns.manufacturer),
            model_name=cell(columns.model_name),
            institution=cell(columns.institution),
            licence=cell(columns.licence) or says.licence,
            spacings=spacings,
            known_chest=True,
            findings=tuple(self._findings(row)),
            masks=tuple(masks),
        )

    def _placed(self, header: Header, row: dict[str, str | None], columns: int, rows: int) -> Header:
        """The header with boxes in the picture's pixels, and the spacing of the picture as it is here."""
        boxes = tuple(
            Box(name, x, y, width, height, columns, rows)
            for name, x, y, width, height in self._boxes.get(row[self.says.columns.image] or "", ())
        )
        original = _number(row[self.says.columns.image_columns]) if self.says.columns.image_columns else None
        spacings = header.spacings
        if original and spacings:
            factor = original / columns
            spacings = tuple(replace(each, row=each.row * factor, column=each.column * factor) for each in spacings)
        return replace(header, boxes=boxes, spacings=spacings)

    def _findings(self, row: dict[str, str | None]) -> Iterator[Finding]:
        for name, each in self.says.findings.items():
            cell = row[each.column]
            if cell is None:
                continue
            if each.kind == "text":
                yield Finding(name, label=cell, unit=each.unit)
            elif each.kind == "words":
                for word in cell.split(each.separator):
                    if word.strip():
                        yield Finding(snake_case(word), 1.0)
            else:
                value = each.values.get(cell, _number(cell))
                if value is not None:
                    yield Finding(name, value, unit=each.unit)

    @cached_property
    def _box_tables(self) -> list[BoxMapping]:
        """Those that the archive comes with."""
        return [each for each in self.says.boxes if not each.optional or (self.folder / each.table).is_file()]

    @cached_property
    def _boxes(self) -> dict[str, list[tuple[str, float, float, float, float]]]:
        found: dict[str, list[tuple[str, float, float, float, float]]] = {}
        for each in self._box_tables:
            for row in read_table(self.folder / each.table).iter_rows(named=True):
                numbers = [_number(row[column]) for column in (each.x, each.y, each.width, each.height)]
                image, name = row[each.image], row[each.name]
                if image and name and all(number is not None for number in numbers):
                    x, y, width, height = (float(number or 0) for number in numbers)
                    if width > 0 and height > 0:
                        found.setdefault(image, []).append(
                            (each.names.get(name, snake_case(name)), x, y, width, height)
                        )
        return found


def _number(text: str | None) -> float | None:
    try:
        value = float(text) if text is not None else None
    except ValueError:
        return None
    return value if value is not None and abs(value) < 1e300 else None


@lru_cache(4096)
def snake_case(text: str) -> str:
    """A label as a name: small letters, digits and underscores."""
    return "_".join("".join(each if each.isalnum() else " " for each in text.lower()).split())


def _joined(table: Header, dicom: Header) -> Header:
    """A DICOM file's header with what the table states in its place."""
    stated = {
        name: value
        for name in Header.__slots__
        if (value := getattr(table, name)) not in (None, (), False) and name != "age_stands_in"
    }
    if table.age_text is not None:
        stated["age_stands_in"] = "table"
        # Dates of a header that was made anonymous must not overrule the age that the table states.
        stated["birth_date"] = table.birth_date
    if table.patient_id is not None:
        # A table knows no issuers: the same person must not become two by a header that names one.
        stated["patient_id_issuer"] = None
    return replace(dicom, **stated)
