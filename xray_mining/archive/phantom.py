"""A phantom archive: DICOM files, with their truth and masks in files beside them."""

import json
import math
from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property
from io import BytesIO
from pathlib import Path
from typing import Any

import polars as pl

from xray_mining.archive.adapter import Adapter
from xray_mining.archive.dicom_file import header_at_head, read_dicom
from xray_mining.archive.example import write_dicom, write_text
from xray_mining.archive.listing import walk
from xray_mining.archive.radiograph import Finding, ListedFile, MaskFile, MaskRule, Radiograph
from xray_mining.archive.source import Source
from xray_mining.errors import UserError

_RULES = (
    MaskRule("right_lung", "bits", 1),
    MaskRule("left_lung", "bits", 2),
    MaskRule("lungs", "bits", 3),
    MaskRule("heart", "bits", 4),
)
_NO_TRUTHS = ("sop_instance_uid", "patient_id")


class Phantom(Adapter):
    """phantom.json, dicom/**, truth.parquet, truth_columns.json, masks/UID.png."""

    rank = 10
    public = True
    domain = "phantom"

    @classmethod
    def example(cls, folder: Path) -> None:
        """One file with one truth, and no mask."""
        write_text(folder / "phantom.json", json.dumps({"format": 1}))
        write_dicom(folder / "dicom/0001.dcm", "2.25.1")
        truth = pl.DataFrame({"sop_instance_uid": ["2.25.1"], "patient_id": ["1"], "lung_area": [310.0]})
        truth.write_parquet(folder / "truth.parquet")
        write_text(folder / "truth_columns.json", json.dumps({"lung_area": {"kind": "anatomy", "unit": "cm2"}}))

    @classmethod
    def recognise(cls, source: Source) -> bool:
        """Whether its phantom.json says so."""
        return source.has_file(b"phantom.json")

    def check(self) -> None:
        """Raise UserError if it has another format version or is incomplete."""
        try:
            about = json.loads(self.source.read(b"phantom.json"))
            _ = self._truths
        except (OSError, ValueError, pl.exceptions.PolarsError) as error:
            raise UserError(
                f"{self.source}: the phantom archive is incomplete ({type(error).__name__}); write it again with "
                f"`xray-mining phantom`"
            ) from error
        if about.get("format") != 1:
            raise UserError(f"{self.source}: the phantom has format {about.get('format')}; 1 is needed: write it again")

    def files(self) -> Iterator[ListedFile]:
        """The DICOM files."""
        return walk(self.source, b"dicom")

    def ignores(self, file: ListedFile) -> bool:
        """No file in dicom/ is ignored."""
        return False

    def read(self, file: ListedFile, data: bytes) -> Iterator[Radiograph]:
        """The frame with its truth and masks."""
        return map(self._with_truth, read_dicom(data))

    def read_header(self, file: ListedFile, data: bytes) -> Iterator[Radiograph]:
        """The header with its truth."""
        return map(self._with_truth, read_dicom(data, with_pixels=False))

    def read_head(self, file: ListedFile, head: bytes) -> Iterator[Radiograph] | None:
        """The header with its truth, if the file's first bytes contain all of the header."""
        found = header_at_head(head)
        return None if found is None else iter((self._with_truth(found),))

    def tables(self) -> list[str]:
        """The truth, and the table that explains its columns."""
        return ["truth.parquet", "truth_columns.json"]

    def _with_truth(self, radiograph: Radiograph) -> Radiograph:
        uid = radiograph.header.instance_id or ""
        findings = []
        for name, value in self._truths.get(uid, {}).items():
            kind, unit = self._columns.get(name, ("planted", ""))
            if isinstance(value, str):
                findings.append(Finding(name, label=value, unit=unit, source="phantom_truth", version=kind))
            elif value is not None and math.isfinite(value):
                findings.append(Finding(name, float(value), unit=unit, source="phantom_truth", version=kind))
        path = b"masks/" + uid.encode("utf-8", "backslashreplace") + b".png"
        masks = (MaskFile(path, _RULES, optional=True),) if uid and "/" not in uid else ()
        return replace(radiograph, header=replace(radiograph.header, findings=tuple(findings), masks=masks))

    @cached_property
    def _truths(self) -> dict[str, dict[str, Any]]:
        frame = pl.read_parquet(BytesIO(self.source.read(b"truth.parquet")))
        names = [name for name in frame.columns if name not in _NO_TRUTHS]
        frame = frame.with_columns(
            pl.col(name).cast(pl.Float64)
            for name in names
            if frame.schema[name].is_numeric() or frame.schema[name] == pl.Boolean
        )
        rows = frame.select("sop_instance_uid", *names).iter_rows()
        return {uid: dict(zip(names, values, strict=True)) for uid, *values in rows}

    @cached_property
    def _columns(self) -> dict[str, tuple[str, str]]:
        raw = json.loads(self.source.read(b"truth_columns.json"))
        return {name: (each.get("kind", "planted"), each.get("unit") or "") for name, each in raw.items()}
