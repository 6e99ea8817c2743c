"""A small workspace of two archives with counts known by construction: 240 kept images of 120 patients, and oddities.

python tests/reporting/example_archive.py FOLDER
"""

import sys
import uuid
from pathlib import Path
from typing import Any

import numpy as np

from xray_mining.pixels.store import write_shard
from xray_mining.records.duplicates import Duplicates
from xray_mining.records.images import Images
from xray_mining.records.pixels import Pixels
from xray_mining.records.rejects import Rejects
from xray_mining.workspace import ArchiveSettings, Workspace

STORE = "grey32-example"
SIDE = 32
SCRIPT = "Acme <script>alert(1)</script> & Sons"
SECRET = "PATIENT^NAME"


def key(*words: object) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_OID, ":".join(map(str, words))))


def image(number: int, **changes: Any) -> dict[str, Any]:
    patient = changes.pop("patient", number // 2)
    row = {
        "image_key": key("image", number),
        "study_key": key("study", number),
        "patient_key": key("patient", patient),
        "patient_source": "declared",
        "archive": "first",
        "domain": "first",
        "institution_key": key("institution", patient % 3),
        "file_key": key("file", number),
        "frame": 0,
        "shard": 0,
        "position": number,
        "pixel_digest": key("pixels", number),
        "perceptual_hash": number * 0x9E3779B97F4A7C15 % 2**64,
        "age_years": 40.0 + 20 * (patient % 2),
        "age_source": "dates",
        "age_topcoded": False,
        "patient_sex": "MF"[patient // 2 % 2],
        "view_position": "PA",
        "view_source": "declared",
        "modality": "DX",
        "manufacturer": (SCRIPT, "Philips")[patient % 2],
        "manufacturer_model_name": "Model",
        "study_year": 2010 + number % 2,
        "study_day": 40_000 + 400 * (number % 2),
        "rows": 2000,
        "columns": 1800 + patient % 40,
        "bits_stored": 12,
        "photometric_interpretation": "MONOCHROME2",
        "transfer_syntax_uid": "1.2.840.10008.1.2.1",
        "pixel_spacing_mm": 0.14,
        "burned_in_text": "no",
        "quality_flags": [],
    }
    return row | changes


def write_archive(folder: Path, pictures: bool = True) -> Workspace:
    """120 patients, two images each: 30 of each sex at 40 and at 60 years, but for what is changed below."""
    workspace = Workspace.create(folder)
    archives = {
        name: ArchiveSettings(domain="first", adapter="dicom_folder", order=order)
        for order, name in enumerate(("first", "second"))
    }
    store = STORE if pictures else None
    workspace.save(workspace.settings.model_copy(update={"archives": archives, "store": store}))
    rows = [image(number) for number in range(240)]
    for number in (0, 1):  # one patient of 85: too few to be told of
        rows[number] |= {"age_years": 85.0}
    rows[4] |= {"age_years": None, "age_source": "none", "age_raw": "411Y", "quality_flags": ["impossible_age"]}
    rows[5] |= {"age_years": None, "age_source": "none", "age_raw": SECRET, "quality_flags": ["impossible_age"]}
    rows[6] |= {"view_position": "AP", "view_source": "inferred", "quality_flags": ["border", "blank"]}
    for number in range(8, 48):
        rows[number] |= {"view_position": "AP", "view_source": "inferred"}
    rows[50] |= {"burned_in_text": "detected", "quality_flags": ["burned_in"]}
    for number in range(200, 240):
        rows[number] |= {"patient_sex": None}
    Images.write(Images.from_rows(rows), workspace.parts("first", "images") / "00000.parquet")
    copy = image(900, archive="second", pixel_digest=key("pixels", 20), patient=10)
    Images.write(Images.from_rows([copy]), workspace.parts("second", "images") / "00000.parquet")
    reject = {"archive": "second", "shard": 0, "frame": 0, "stage": "open", "sentence": "It is empty.", "bytes": 0}
    rejects = [
        reject | {"file_key": key("reject", place), "position": place, "reason": "empty_file" if place else "not_chest"}
        for place in range(4)
    ]
    Rejects.write(Rejects.from_rows(rejects), workspace.parts("second", "rejects") / "00000.parquet")
    Duplicates.write(Duplicates.create_empty(), workspace.parts("second", "duplicates") / "00000.parquet")
    if pictures:
        _write_pictures(workspace, rows)
    return workspace


def _write_pictures(workspace: Workspace, rows: list[dict[str, Any]]) -> None:
    random, found = np.random.default_rng(0), []
    with write_shard(workspace, STORE, "first", 0) as writer:
        for row in rows:
            at = writer.append(random.integers(0, 256, (SIDE, SIDE), dtype=np.uint8))
            found.append(
                {
                    "image_key": row["image_key"],
                    "store": STORE,
                    "archive": "first",
                    "shard": 0,
                    "offset": at,
                    "side_px": SIDE,
                    "value_type": "uint8",
                    "content_left": 0.0,
                    "content_top": 0.0,
                    "content_width": float(SIDE),
                    "content_height": float(SIDE),
                    "window_source": "window",
                    "inverted": False,
                    "clipped_fraction": 0.0,
                    "decoder": "example",
                }
            )
    Pixels.write(Pixels.from_rows(found), workspace.parts("first", "pixels") / "00000.parquet")


if __name__ == "__main__":
    write_archive(Path(sys.argv[1]))
