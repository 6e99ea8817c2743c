"""Sixty patients with small pictures and a study on them, run once: what an open workspace is asked about."""

from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from small_archive import EVERYBODY, lay_out, read

import xray_mining
from xray_mining.features.instrument import Features
from xray_mining.sets.measure import measure
from xray_mining.study.options import read_study

PATIENTS = 60
STUDY = {
    "study": "s",
    "question": "Which age?",
    "cohorts": {"c": {"query": "everybody.sql", "folds": 3}},
    "features": {"f": {"families": ["intensity"], "side_px": 64}},
    "experiments": {"ridge": {"model": "ridge", "features": ["f"], "cohort": "c", "target": "years"}},
    "evaluation": {"bootstraps": 100},
}


@dataclass(frozen=True)
class Place:
    """A workspace with an evaluated study."""

    root: Path
    study_file: Path
    pictures: Path


@pytest.fixture(scope="session")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    folder = tmp_path_factory.mktemp("open")
    lay_out(folder, PATIENTS)
    (folder / "everybody.sql").write_text(EVERYBODY)
    study_file = folder / "s.yaml"
    study_file.write_text(yaml.safe_dump(STUDY))
    workspace = read(folder)
    with xray_mining.open(workspace.root) as work:
        study = read_study(str(study_file))
        cohort = work.freeze(study.cohorts["c"].query, "s-c", folds=3)
        measure(work.workspace, cohort, "f", Features(study.features["f"]))
        work.train(study)
        work.evaluate(study)
    return Place(workspace.root, study_file, folder / "in/png")
