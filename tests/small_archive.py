"""A small archive for tests of what comes after ingest: pictures that get brighter by patient, and a table of them."""

import csv
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from xray_mining.archive.sources.folder import FolderSource
from xray_mining.catalog.merge import merge
from xray_mining.ingest.ingest import IngestRequest, ingest
from xray_mining.ingest.options import GreyOptions, IngestOptions
from xray_mining.workspace import Workspace

EVERYBODY = """-- question: everybody, for a test
-- one row: one image
-- target: years number years
-- made of: age_years
-- example: xray-mining cohort everybody
with
-- step: files that are there
everybody as (
    select image_key, age_years as years from eligible
)

select image_key, years from everybody
"""


def brighter(seed: int = 7, step: float = 2.0) -> Callable[[int], np.ndarray]:
    """Noise around a grey that rises by `step` from patient to patient, (48, 48) uint8."""
    rng = np.random.default_rng(seed)
    return lambda i: rng.normal(60 + step * i, 25, (48, 48)).clip(0, 255).astype(np.uint8)


def lay_out(
    folder: Path,
    patients: int,
    *,
    view: bool = True,
    findings: str = "",
    draw: Callable[[int], np.ndarray] | None = None,
) -> None:
    """Write `in/png`, `in/table.csv` and `mapping.yaml`: patient i is 20 + i years old, of either sex by turns.

    Args:
        folder: Where they are written.
        patients: How many, each with one picture.
        view: Whether the mapping reads the view, PA.
        findings: What the mapping reads as findings of the column `number`, which is i.
        draw: The picture of patient i; `brighter()` where there is none.
    """
    draw = draw or brighter()
    (folder / "in/png").mkdir(parents=True)
    with (folder / "in/table.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["file", "pid", "age", "sex", "view", "number"])
        for i in range(patients):
            (folder / f"in/png/{i:03d}.png").write_bytes(cv2.imencode(".png", draw(i))[1].tobytes())
            writer.writerow([f"{i:03d}.png", f"p{i}", 20 + i, "FM"[i % 2], "PA", i])
    columns = "image: file, patient_id: pid, age: age, sex: sex" + (", view: view" if view else "")
    more = f"findings: {findings}\n" if findings else ""
    (folder / "mapping.yaml").write_text(f"table: table.csv\nimages: png\npublic: true\ncolumns: {{{columns}}}\n{more}")


def read(folder: Path) -> Workspace:
    """The archive in the folder, ingested into a workspace beside it, with pictures of 64 pixels a side."""
    workspace = Workspace.create(folder / "workspace")
    options = IngestOptions(mapping=str(folder / "mapping.yaml"), grey=GreyOptions(side_px=64))
    ingest(workspace, IngestRequest(FolderSource(folder / "in"), jobs=1), options)
    merge(workspace)
    return workspace
