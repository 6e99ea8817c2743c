"""A workspace made of parts by hand, so that every case of merge and cohorts can be laid out."""

import uuid
from collections.abc import Callable
from typing import Any

import polars as pl
import pytest

from xray_mining.records.images import Images
from xray_mining.workspace import ArchiveSettings, Workspace


def key_of(*words: object) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_OID, ":".join(map(str, words))))


def image_row(number: int, **changes: Any) -> dict[str, Any]:
    """One image of one patient, a study each, unless told otherwise."""
    patient = changes.pop("patient", number)
    row = {
        "image_key": key_of("image", number),
        "study_key": key_of("study", number),
        "patient_key": key_of("patient", patient),
        "patient_source": "declared",
        "archive": "here",
        "domain": "here",
        "institution_key": key_of("institution", patient % 3),
        "file_key": key_of("file", number),
        "frame": 0,
        "shard": 0,
        "position": number,
        "pixel_digest": key_of("pixels", number),
        "perceptual_hash": number * 0x9E3779B97F4A7C15 % 2**64,
        "age_years": 20.0 + number % 60,
        "age_source": "dates",
        "age_topcoded": False,
        "patient_sex": "MF"[patient % 2],
        "view_position": "PA",
        "view_source": "declared",
        "modality": "DX",
        "manufacturer": ("Siemens", "Philips")[patient % 2],
        "study_year": 2010 + number % 5,
        "study_day": 40_000 + number,
        "rows": 2000,
        "columns": 2000,
        "bits_stored": 12,
        "quality_flags": [],
    }
    return row | changes


@pytest.fixture(scope="session")
def make() -> type:
    """`make.key(…)`, `make.image(number, **changes)`: rows for parts."""

    class Make:
        key = staticmethod(key_of)
        image = staticmethod(image_row)

    return Make


@pytest.fixture
def workspace(tmp_path) -> Workspace:
    made = Workspace.create(tmp_path / "workspace")
    archives = {"here": ArchiveSettings(domain="here", adapter="dicom_folder", order=0)}
    made.save(made.settings.model_copy(update={"archives": archives}))
    return made


@pytest.fixture
def put(workspace) -> Callable[..., None]:
    """`put(Record, rows, archive="here", shard=0)` writes one part."""

    def write(record: Any, rows: list[dict[str, Any]], archive: str = "here", shard: int = 0) -> None:
        record.write(record.from_rows(rows), workspace.parts(archive, record.table) / f"{shard:05d}.parquet")

    return write


@pytest.fixture
def population(workspace, put) -> pl.DataFrame:
    """240 frontal images of 120 patients, two each, two sexes, ages 20 to 79."""
    rows = [image_row(number, patient=number // 2, age_years=20.0 + (number // 4) % 60) for number in range(240)]
    put(Images, rows)
    return pl.DataFrame(rows)
