"""Sixty patients with small pictures and a study on them, run once: what an open workspace is asked about."""

import csv
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml

import xray_mining
from xray_mining.archive.sources.folder import FolderSource
from xray_mining.catalog.merge import merge
from xray_mining.features.instrument import Features
from xray_mining.ingest.ingest import IngestRequest, ingest
from xray_mining.ingest.options import GreyOptions, IngestOptions
from xray_mining.sets.measure import measure
from xray_mining.study.options import read_study
from xray_mining.workspace import Workspace

PATIENTS = 60
SQL = """-- question: everybody, for a test
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
    (folder / "in/png").mkdir(parents=True)
    rng = np.random.default_rng(7)
    with (folder / "in/table.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["file", "pid", "age", "sex", "view"])
        for i in range(PATIENTS):
            picture = rng.normal(60 + 2 * i, 25, (48, 48)).clip(0, 255).astype(np.uint8)
            (folder / f"in/png/{i:03d}.png").write_bytes(cv2.imencode(".png", picture)[1].tobytes())
            writer.writerow([f"{i:03d}.png", f"p{i}", 20 + i, "FM"[i % 2], "PA"])
    (folder / "mapping.yaml").write_text(
        "table: table.csv\nimages: png\npublic: true\n"
        "columns: {image: file, patient_id: pid, age: age, sex: sex, view: view}\n"
    )
    (folder / "everybody.sql").write_text(SQL)
    study_file = folder / "s.yaml"
    study_file.write_text(yaml.safe_dump(STUDY))
    workspace = Workspace.create(folder / "workspace")
    options = IngestOptions(mapping=str(folder / "mapping.yaml"), grey=GreyOptions(side_px=64))
    ingest(workspace, IngestRequest(FolderSource(folder / "in"), jobs=1), options)
    merge(workspace)
    with xray_mining.open(workspace.root) as work:
        study = read_study(str(study_file))
        cohort = work.freeze(study.cohorts["c"].query, "s-c", folds=3)
        measure(work.workspace, cohort, "f", Features(study.features["f"]))
        work.train(study)
        work.evaluate(study)
    return Place(workspace.root, study_file, folder / "in/png")
