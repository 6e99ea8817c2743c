"""Every family of models predicts changed test pictures: unchanged 'changes' give the very predictions again."""

import numpy as np
import polars as pl
import pytest

from xray_mining.archive.sources.folder import FolderSource
from xray_mining.catalog.cohort import freeze
from xray_mining.catalog.merge import merge
from xray_mining.features.instrument import Features
from xray_mining.ingest.ingest import IngestRequest, ingest
from xray_mining.ingest.options import GreyOptions, IngestOptions
from xray_mining.models.embedding import Embeddings
from xray_mining.models.experiment import run
from xray_mining.phantom.population import Parameters, write_archive
from xray_mining.pixels import variants
from xray_mining.records.predictions import Predictions
from xray_mining.sets.measure import measure
from xray_mining.study.options import Study
from xray_mining.workspace import Workspace

BOTH = {"cohort": "age", "target": "age_years"}
NETWORK = {"model": "network", "backbone": "test_efficientnet", "side_px": 32, "epochs": 1, "batch_size": 8}
STUDY = {
    "study": "changed",
    "question": "What do other windows cost?",
    "cohorts": {"age": {"query": "frontal_adults"}},
    "features": {"greys": {"families": ["intensity"], "side_px": 64}},
    "embeddings": {"small": {"backbone": "test_efficientnet", "weights": "none", "side_px": 32}},
    "experiments": {
        "ridge": {**BOTH, "model": "ridge", "features": ["greys"]},
        "frozen": {**BOTH, "model": "frozen", "embeddings": ["small"], "head": "ridge"},
        "network": {**BOTH, **NETWORK},
        "stacked": {**BOTH, "model": "ensemble", "members": ["ridge", "frozen", "network"], "rule": "stack"},
    },
    "design": {"changed_images": 5},
}


@pytest.fixture(scope="module")
def workspace(tmp_path_factory) -> Workspace:
    folder = tmp_path_factory.mktemp("changed")
    write_archive(folder / "archive", Parameters(40, 1, 64), jobs=1)
    workspace = Workspace.create(folder / "workspace")
    ingest(
        workspace, IngestRequest(FolderSource(folder / "archive"), jobs=1), IngestOptions(grey=GreyOptions(side_px=64))
    )
    merge(workspace)
    study = Study.model_validate(STUDY)
    cohort = freeze(workspace, "frontal_adults", study.cohort_name("age"))
    measure(workspace, cohort, "greys", Features(study.features["greys"]))
    measure(workspace, cohort, "small", Embeddings(study.embeddings["small"]))
    return workspace


def test_every_family_predicts_changed_pictures(workspace, monkeypatch):
    monkeypatch.setitem(variants.VARIANTS, "window", lambda picture: picture)
    study = Study.model_validate(STUDY)
    for name in study.experiments:
        run(workspace, study, name)
        frame = Predictions.read(workspace.experiment("changed", name) / "predictions")
        assert set(frame["variant"]) == {"", *variants.VARIANTS}
        assert frame.filter(pl.col("variant") != "")["split"].unique().to_list() == ["test"]
        same, sharp = (
            frame.filter((pl.col("variant") == "") & (pl.col("split") == "test")).join(
                frame.filter(pl.col("variant") == variant), on="unit_key", suffix="_changed"
            )
            for variant in ("window", "sharpened")
        )
        assert same.height == sharp.height == 5
        assert same["value_changed"].to_numpy() == pytest.approx(same["value"].to_numpy(), rel=1e-4)
        assert not np.allclose(sharp["value_changed"].to_numpy(), sharp["value"].to_numpy(), rtol=1e-6), name


def test_none_are_predicted_where_none_are_asked_for(workspace):
    study = Study.model_validate({**STUDY, "study": "unchanged", "design": {"changed_images": 0}})
    cohort = freeze(workspace, "frontal_adults", study.cohort_name("age"))
    measure(workspace, cohort, "greys", Features(study.features["greys"]))
    run(workspace, study, "ridge")
    frame = Predictions.read(workspace.experiment("unchanged", "ridge") / "predictions")
    assert set(frame["variant"]) == {""}
