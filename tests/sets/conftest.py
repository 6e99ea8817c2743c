"""Twenty-four radiographs of a table, one of them flat, in a frozen cohort; and a toy instrument in a module."""

import csv
import importlib
import sys
from pathlib import Path
from types import ModuleType

import cv2
import numpy as np
import pytest

from xray_mining.archive.sources.folder import FolderSource
from xray_mining.catalog.cohort import freeze
from xray_mining.catalog.merge import merge
from xray_mining.ingest.ingest import IngestRequest, ingest
from xray_mining.ingest.options import GreyOptions, IngestOptions
from xray_mining.records.cohort import FrozenCohort
from xray_mining.workspace import Workspace

PICTURES = 24
FLAT = 7
SQL = """-- question: everybody, for a test
-- one row: one image
-- target: age number
-- made of: age_years
-- example: xray-mining cohort everybody
with
-- step: files that are there
everybody as (
    select image_key, age_years as age from eligible
)

select image_key, age from everybody
"""
TOY = '''"""A toy: the mean grey, and the pixels above a limit."""

import os
import signal
import time
from dataclasses import dataclass, field

import numpy as np

from xray_mining.sets.instrument import CannotMeasure, Column


@dataclass(frozen=True)
class Toy:
    limit: int = 200
    die_at: int = -1
    wait_s: float = 0.0
    kind = command = "greys"
    packages = ("numpy",)
    value_type = "float64"
    one_vector = False
    batch_images, part_images, processes = 3, 5, True
    sources = ("toy_greys:measured",)
    inputs = licences = {}
    seen: list = field(default_factory=list, compare=False)

    @property
    def options(self):
        return {"limit": self.limit}

    def columns(self):
        return Column("mean"), Column("bright", "px")

    def measure(self, pictures, boxes):
        time.sleep(self.wait_s)
        self.seen.extend(pictures)
        if 0 <= self.die_at < len(self.seen):
            os.kill(os.getpid(), signal.SIGKILL)
        return np.stack([measured(each, self.limit) for each in pictures])


def measured(picture, limit):
    if picture.min() == picture.max():
        raise CannotMeasure("the picture is flat")
    return np.array([picture.mean(), (picture > limit).sum()])
'''


@pytest.fixture(scope="session")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with the cohort `everybody`, for copies."""
    folder = tmp_path_factory.mktemp("sets")
    (folder / "in/png").mkdir(parents=True)
    rng = np.random.default_rng(5)
    with (folder / "in/table.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["file", "pid", "age", "sex"])
        for i in range(PICTURES):
            picture = (
                rng.normal(60 + 4 * i, 25, (48, 48)).clip(1, 255).astype(np.uint8)
                if i != FLAT
                else np.full((48, 48), 90, np.uint8)
            )
            (folder / f"in/png/{i:03d}.png").write_bytes(cv2.imencode(".png", picture)[1].tobytes())
            writer.writerow([f"{i:03d}.png", f"p{i}", 20 + i, "FM"[i % 2]])
    (folder / "mapping.yaml").write_text(
        "table: table.csv\nimages: png\npublic: true\ncolumns: {image: file, patient_id: pid, age: age, sex: sex}\n"
    )
    (folder / "everybody.sql").write_text(SQL)
    workspace = Workspace.create(folder / "workspace")
    options = IngestOptions(mapping=str(folder / "mapping.yaml"), grey=GreyOptions(side_px=64))
    ingest(workspace, IngestRequest(FolderSource(folder / "in"), jobs=1), options)
    merge(workspace)
    freeze(workspace, str(folder / "everybody.sql"), "everybody", {}, 2)
    return folder / "workspace"


@pytest.fixture
def workspace(archive: Path, tmp_path: Path) -> Workspace:
    """A copy of its own for each test."""
    import shutil

    shutil.copytree(archive, tmp_path / "workspace")
    return Workspace.open(tmp_path / "workspace")


@pytest.fixture
def cohort(workspace: Workspace) -> FrozenCohort:
    """All radiographs."""
    return FrozenCohort.load(workspace, "everybody")


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The module of the toy instrument, as a stranger would write it."""
    (tmp_path / "toy").mkdir()
    (tmp_path / "toy/toy_greys.py").write_text(TOY)
    monkeypatch.syspath_prepend(str(tmp_path / "toy"))
    sys.modules.pop("toy_greys", None)
    importlib.invalidate_caches()
    yield importlib.import_module("toy_greys")
    sys.modules.pop("toy_greys", None)
