"""Any folder of PNG, JPEG, TIFF or DICOM files with any CSV table, described by a short YAML mapping."""

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cached_property, lru_cache, partial
from pathlib import Path

import polars as pl

from xray_mining.archive import cells
from xray_mining.archive.adapter import Adapter
from xray_mining.archive.dicom_file import looks_like_dicom, read_dicom
from xray_mining.archive.example import write_picture, write_text
from xray_mining.archive.listing import walk
from xray_mining.archive.mapping import BoxMapping, Mapping
from xray_mining.archive.packages import is_packed
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
    Unread,
    Unusable,
)
from xray_mining.archive.row_names import FileName, RowNames, RowOf, contested, path_texts, settled
from xray_mining.archive.rows_by_name import Places
from xray_mining.archive.source import Source
from xray_mining.archive.table import GROUP_ROWS, Table, need_columns
from xray_mining.errors import UserError
from xray_mining.workspace import digest_of_file, read_yaml, write_frame

_SHIPPED = "mapping.yaml"
_DICOM_SUFFIXES = (".dcm", ".dicom", ".dic", ".dc3", ".ima")
# Larger numbers may be dates, which would leave the archive unchanged.
_LARGEST_OFFSET_DAYS = 45_000
_LARGEST_SPACING_MM = 10
_NUMBER = re.compile(r"\.[0-9]+")


class Generic(Adapter):
    """Reads what a mapping describes; a mapping.yaml in the archive's folder is used without --mapping."""

    rank = 40

    @classmethod
    def example(cls, folder: Path) -> Path:
        """One picture with its row, and a mapping in the folder."""
        write_text(folder / "patients.csv", "file,pid,age,sex", "one.png,1,57,F")
        write_picture(folder / "one.png")
        write_text(
            folder / _SHIPPED,
            "table: patients.csv",
            "columns: {image: file, patient_id: pid, age: age, sex: sex}",
        )
        return folder / _SHIPPED

    @classmethod
    def recognise(cls, source: Source) -> bool:
        """Whether the archive has a mapping.yaml."""
        return source.has_file(_SHIPPED.encode())

    def __init__(self, source: Source, mapping: Path | None = None) -> None:
        super().__init__(source, mapping)
        where = str(mapping or source.where(_SHIPPED.encode()))
        if not (mapping.is_file() if mapping is not None else self.recognise(source)):
            raise UserError(f"{where}: the mapping is missing; adapter 'generic' needs --mapping FILE")
        read = None if mapping is not None else partial(source.read, _SHIPPED.encode())
        self.spec = read_yaml(Mapping, where, read)
        self.public = self.spec.public
        self.domain = self.spec.domain
        self._rows_found: dict[tuple[bytes, str], RowOf] = {}
        """Rows of the files that were looked up last."""
        self._rows: dict[int, dict[str, str | None]] = {}
        self._styles: dict[str, cells.NumberStyle] = {}
        self._day_styles: dict[str, cells.DayStyle] = {}

    def check(self) -> None:
        """Raise UserError if the table lacks a column that the mapping names."""
        spec, where = self.spec, f"{self.spec.table} (as the mapping names it)"
        named = [name for name in spec.columns.model_dump().values() if name]
        named += [each.column for each in (*spec.findings.values(), *spec.masks)]
        need_columns(self._table, named, where)
        for boxes in self._box_tables:
            wanted = [boxes.image, boxes.name, boxes.x, boxes.y, boxes.width, boxes.height]
            need_columns(self._box_table(boxes), wanted, f"{boxes.table} (as the mapping names it)")
        if spec.images and not self.source.has_folder(os.fsencode(spec.images)):
            raise UserError(f"{self.source}: has no folder '{spec.images}', which the mapping names for the images")

    def files(self) -> Iterator[ListedFile]:
        """Every file of the images' folder."""
        return walk(self.source, self._below)

    def ignored(self) -> int:
        """Whether it is a table, mask or text of the images' folder."""
        return sum(self.ignores(file) for file in walk(self.source, self._below, packed=False))

    @property
    def _below(self) -> bytes:
        """The images' folder."""
        return os.fsencode(self.spec.images.strip("/"))

    def ignores(self, file: ListedFile) -> bool:
        """Tables, masks and texts."""
        name = file.member or os.fsdecode(file.path)
        if not file.member and os.fsencode(name) in self._mask_paths:
            return True
        suffix = Path(name).suffix.lower()
        # A file without a suffix may be DICOM, and the part after the last point of a UID is not a suffix. A packed
        # file that cannot be opened is listed as one file.
        if suffix in (*SUFFIXES, *_DICOM_SUFFIXES, "") or _NUMBER.fullmatch(suffix):
            return False
        if is_packed(name.encode("utf-8", "replace")):
            return False
        # A file named by the table is an image, whatever its suffix.
        return all(self._stated_paths.get(path) is None for path in self._name_of(file).paths)

    def read(self, file: ListedFile, data: bytes) -> Iterator[Radiograph]:
        """The picture, or the DICOM file's frames, with the values of its row."""
        row = self._row_of(file)
        header = self._header(row)
        if looks_like_dicom(data):
            for radiograph in read_dicom(data):
                pixels = radiograph.encoded
                placed = header if pixels is None else self._placed(header, row, pixels.columns, pixels.rows)
                yield replace(radiograph, header=_joined(placed, radiograph.header))
        else:
            encoded = picture_of(data, self.spec.photometric)
            yield Radiograph(self._placed(header, row, encoded.columns, encoded.rows), encoded=encoded)

    def read_header(self, file: ListedFile, data: bytes) -> Iterator[Radiograph]:
        """The row of the table, without picture."""
        yield Radiograph(self._header(self._row_of(file)))

    def rows(self) -> Iterator[Radiograph]:
        """Every row of the table."""
        table = self._table
        for number, row in enumerate(table.frame.iter_rows(named=True)):
            if row[self.spec.columns.image]:
                trouble = broken_row() if number in table.broken else None
                yield Radiograph(self._header(row), trouble=trouble)

    def tables(self) -> list[str]:
        """The tables that the mapping names."""
        return [self.spec.table, *(each.table for each in self._box_tables)]

    def table_digests(self) -> list[str]:
        """Digests of the table and of the mapping."""
        mapping = self.source.digest(_SHIPPED.encode()) if self.mapping is None else digest_of_file(self.mapping)
        return [mapping, *super().table_digests()]

    def table_files(self) -> int:
        """Number of rows that name an image."""
        return int(self._table.column(self.spec.columns.image).is_not_null().sum())

    def patient_ids(self) -> Iterable[str | None]:
        """The column of the table."""
        column = self.spec.columns.patient_id
        return self._table.column(column).to_list() if column else ()

    def repeated_rows(self) -> int:
        """Number of rows whose image an earlier row already names."""
        return self.table_files() - len(self._names)

    @property
    def _table(self) -> Table:
        return self.table(self.spec.table, encoding=self.spec.encoding)

    def _box_table(self, boxes: BoxMapping) -> Table:
        return self.table(boxes.table, encoding=self.spec.encoding)

    def keep_tables(self, folder: Path) -> None:
        """Also keep the names that the rows state."""
        names = self._names
        super().keep_tables(folder)
        # Only large tables are kept.
        if (folder / f"{self._table.read_from}.parquet").is_file():
            write_frame(names.lazy.collect(), self._kept_names(folder), group_rows=GROUP_ROWS)

    def _kept_names(self, folder: Path) -> Path:
        return folder / f"{self._table.read_from}.names"

    @cached_property
    def _names(self) -> RowNames:
        if self.kept is not None and self._kept_names(self.kept).is_file():
            return RowNames(pl.scan_parquet(self._kept_names(self.kept)))
        return RowNames.of(self._table.column(self.spec.columns.image), self._table.broken)

    @cached_property
    def _stated_paths(self) -> Places:
        return Places(self._names.lazy.select("path").collect()["path"])

    def _name_of(self, file: ListedFile) -> FileName:
        below = self.spec.images.strip("/")
        paths = path_texts(file.path)
        if file.member:
            paths = [file.member, *(f"{path}/{file.member}" for path in paths)]
        if below:
            paths += [path.removeprefix(f"{below}/") for path in paths if path.startswith(f"{below}/")]
        return FileName(tuple(paths))

    def claims(self, files: Sequence[ListedFile]) -> pl.DataFrame:
        """Names of images: the paths and names in the table."""
        return self._names.claims([self._name_of(file) for file in files])

    def prepare(self, files: Sequence[ListedFile]) -> None:
        """Look up the rows of all files together."""
        claims = self.claims(files)
        found = settled(claims, contested(claims) if self.contested is None else self.contested)
        no_row = RowOf(None)
        self._rows_found = {(file.path, file.member): found.get(number, no_row) for number, file in enumerate(files)}
        self._rows = self._table.rows(each.row for each in found.values() if each.row is not None)

    def _row_of(self, file: ListedFile) -> dict[str, str | None]:
        """The row of a file; raises Unusable if it has none, or if it is ambiguous."""
        if (file.path, file.member) not in self._rows_found:
            self.prepare([file])
        found = self._rows_found[file.path, file.member]
        if found.row is None and found.rivals:
            raise Unusable(
                "header",
                "ambiguous_row",
                "Several files or rows have this image's name, so that none is its own for certain; write paths into "
                "the table.",
            )
        if found.row is None:
            raise Unusable("header", "not_in_table", "The table has no row for this image.")
        if found.row in self._table.broken:
            raise broken_row()
        return self._rows[found.row]

    @cached_property
    def _mask_paths(self) -> set[bytes]:
        columns = [each.column for each in self.spec.masks if each.column in self._table.columns]
        return {os.fsencode(path) for column in columns for path in self._table.column(column).drop_nulls()}

    def number_style(self, column: str) -> cells.NumberStyle:
        """How a column writes numbers."""
        if column not in self._styles:
            self._styles[column] = cells.number_style(self._table.column(column))
        return self._styles[column]

    def day_style(self, column: str) -> cells.DayStyle:
        """How a column writes days."""
        if column not in self._day_styles:
            self._day_styles[column] = cells.day_style(self._table.column(column), self.spec.date_format)
        return self._day_styles[column]

    def _header(self, row: dict[str, str | None]) -> Header:
        """The values that a row of the table states."""
        spec, columns = self.spec, self.spec.columns
        read = _Row(self, row)
        image = row[columns.image] or ""
        instance = read.cell(columns.instance_id) or image
        spacings = read.spacings(columns.spacing_mm)
        offset = read.number("day_offset", columns.day_offset, "days")
        if offset is not None and abs(offset) > _LARGEST_OFFSET_DAYS:
            read.unread.append(Unread("day_offset", "out_of_range"))
            offset = None
        findings = tuple(self._findings(row, read.unread))
        return Header(
            instance_id=f"{spec.set}\x1f{instance}" if spec.set else instance,
            study_id=read.cell(columns.study_id),
            accession=read.cell(columns.accession),
            series_id=read.cell(columns.series_id),
            patient_id=read.cell(columns.patient_id),
            study_date=read.day("study_date", columns.study_date),
            birth_date=read.day("birth_date", columns.birth_date),
            day_offset=offset,
            age_text=cells.age_text(row[columns.age]) if columns.age else None,
            age_stands_in="table",
            sex=read.cell(columns.sex),
            view=read.cell(columns.view),
            laterality=read.cell(columns.laterality),
            modality=read.cell(columns.modality),
            manufacturer=read.cell(columns.manufacturer),
            model_name=read.cell(columns.model_name),
            institution=read.cell(columns.institution),
            licence=read.cell(columns.licence) or spec.licence,
            spacings=spacings,
            known_chest=True,
            findings=findings,
            masks=tuple(self._masks(row)),
            # Last, because the fields above add to it.
            unread=tuple(read.unread),
        )

    def _masks(self, row: dict[str, str | None]) -> Iterator[MaskFile]:
        for each in self.spec.masks:
            path = cells.stated(row[each.column])
            if path:
                rules = tuple(
                    MaskRule(structure, how, value)
                    for structure, rule in each.structures.items()
                    for how, value in rule.items()
                )
                yield MaskFile(os.fsencode(path), rules, scaled=each.scaled)

    def _placed(self, header: Header, row: dict[str, str | None], columns: int, rows: int) -> Header:
        """The header with boxes in the picture's pixels, and the pixel spacing of the picture as stored."""
        drawn, unread = self._boxes.get(row[self.spec.columns.image] or "", ((), ()))
        boxes = tuple(Box(name, x, y, width, height, columns, rows) for name, x, y, width, height in drawn)
        unread = [*header.unread, *unread]
        spacings = header.spacings
        column = self.spec.columns.image_columns
        if column is not None and spacings:
            original = cells.read_number(row[column], self.number_style(column), "px")
            factor = (original.value or 0.0) / columns
            if 0 < max(each.row for each in spacings) * factor < _LARGEST_SPACING_MM:
                spacings = tuple(replace(each, row=each.row * factor, column=each.column * factor) for each in spacings)
            elif cells.stated(row[column]) is not None:
                # The original width is unreadable, so the stated spacing cannot be scaled to this picture.
                unread.append(Unread("image_columns", original.reason or "out_of_range"))
                spacings = ()
        return replace(header, boxes=boxes, spacings=spacings, unread=tuple(unread))

    def _findings(self, row: dict[str, str | None], unread: list[Unread]) -> Iterator[Finding]:
        for name, each in self.spec.findings.items():
            text = row[each.column]
            if text is None:
                continue
            # Before the words for missing: the mapping may give one of them a number.
            value = each.values.get(text.casefold()) if each.kind == "number" else None
            if value is not None:
                yield Finding(name, value, unit=each.unit)
            elif cells.stated(text) is None:
                continue
            elif each.kind == "text":
                yield Finding(name, label=text, unit=each.unit)
            elif each.kind == "words":
                for word in text.split(each.separator):
                    if cells.stated(word) is not None:
                        yield Finding(snake_case(word), 1.0)
            else:
                style = self.number_style(each.column)
                # If a mapping names the words of its column, no other words are known.
                found = cells.read_number(text, replace(style, truths=style.truths and not each.values), each.unit)
                if found.value is not None:
                    yield Finding(name, found.value, unit=each.unit)
                else:
                    unread.append(Unread(name, found.reason))

    @cached_property
    def _box_tables(self) -> list[BoxMapping]:
        """Masks that the mapping names for an image."""
        return [each for each in self.spec.boxes if not each.optional or self.source.has_file(os.fsencode(each.table))]

    @cached_property
    def _boxes(self) -> dict[str, tuple[list[tuple[str, float, float, float, float]], list[Unread]]]:
        """Boxes by image, and the cells of boxes that could not be read."""
        found: dict[str, tuple[list[tuple[str, float, float, float, float]], list[Unread]]] = {}
        for each in self._box_tables:
            table = self._box_table(each)
            sides = (each.x, each.y, each.width, each.height)
            styles = [cells.number_style(table.frame[column]) for column in sides]
            for number, row in enumerate(table.frame.iter_rows(named=True)):
                image, name = row[each.image], cells.stated(row[each.name])
                if not image or number in table.broken:
                    continue
                drawn, unread = found.setdefault(image, ([], []))
                read = [cells.read_number(row[column], style) for column, style in zip(sides, styles, strict=True)]
                reasons = [side.reason for side in read if side.reason]
                x, y, width, height = (side.value for side in read)
                if name is None or x is None or y is None or width is None or height is None:
                    unread += [Unread("boxes", reason) for reason in reasons]
                elif width > 0 and height > 0:
                    drawn.append((each.names.get(name, snake_case(name)), x, y, width, height))
                else:
                    unread.append(Unread("boxes", "out_of_range"))
        return found


class _Row:
    """Reads the cells of one row; stated cells that cannot be read are collected in `unread`."""

    def __init__(self, adapter: Generic, row: dict[str, str | None]) -> None:
        self._adapter, self._row = adapter, row
        self.unread: list[Unread] = []

    def cell(self, column: str | None) -> str | None:
        return cells.stated(self._row[column]) if column else None

    def day(self, name: str, column: str | None) -> str | None:
        if column is None:
            return None
        found = cells.read_day(self._row[column], self._adapter.day_style(column))
        if found.reason:
            self.unread.append(Unread(name, found.reason))
        return found.text

    def number(self, name: str, column: str | None, unit: str) -> float | None:
        if column is None:
            return None
        found = cells.read_number(self._row[column], self._adapter.number_style(column), unit)
        if found.reason:
            self.unread.append(Unread(name, found.reason))
        return found.value

    def spacings(self, column: str | None) -> tuple[Spacing, ...]:
        spacing = self.number("spacing_mm", column, "mm")
        if spacing is None:
            return ()
        if 0 < spacing < _LARGEST_SPACING_MM:
            return (Spacing("table", spacing, spacing),)
        self.unread.append(Unread("spacing_mm", "out_of_range"))
        return ()


def broken_row() -> Unusable:
    """The reject for a row whose cells cannot be assigned to columns."""
    return Unusable(
        "header",
        "broken_row",
        "The table's row for this image has more cells than columns, or quotes that do not match.",
    )


@lru_cache(4096)
def snake_case(text: str) -> str:
    """A label as a name: small letters, digits and underscores."""
    return "_".join("".join(each if each.isalnum() else " " for each in text.lower()).split())


def _joined(table: Header, dicom: Header) -> Header:
    """A DICOM file's header, with the table's values where the table states them."""
    stated = {
        name: value
        for name in Header.__slots__
        if (value := getattr(table, name)) not in (None, (), False) and name != "age_stands_in"
    }
    if table.age_text is not None:
        stated["age_stands_in"] = "table"
        # Dates of a header that was made anonymous must not replace the age that the table states.
        stated["birth_date"] = table.birth_date
    if table.patient_id is not None:
        # A table has no issuers: an issuer in the header must not split one person into two.
        stated["patient_id_issuer"], stated["id_flags"] = None, ()
    return replace(dicom, **stated)
