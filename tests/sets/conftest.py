"""Twenty-four radiographs of a table, one of them flat, in a frozen cohort; and a toy instrument in a module."""

import importlib
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from small_archive import EVERYBODY, brighter, lay_out, read

from xray_mining.catalog.cohort import freeze
from xray_mining.records.cohort import FrozenCohort
from xray_mining.workspace import Workspace

PICTURES = 24
FLAT = 7
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
    greys = brighter(seed=5, step=4.0)
    lay_out(folder, PICTURES, view=False, draw=lambda i: np.full((48, 48), 90, np.uint8) if i == FLAT else greys(i))
    (folder / "everybody.sql").write_text(EVERYBODY)
    workspace = read(folder)
    freeze(workspace, str(folder / "everybody.sql"), "everybody", {}, 3)
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
