"""What is kept must be of the same pictures, rows and members: else it is made again."""

from pathlib import Path
from uuid import UUID

import joblib
import numpy as np
import polars as pl
import pytest

from xray_mining.models.fit import Fit
from xray_mining.models.kinds.ensemble import EnsembleOptions
from xray_mining.models.kinds.frozen import KIND, FrozenOptions
from xray_mining.models.kinds.null import NullOptions
from xray_mining.models.kinds.oracle import OracleOptions
from xray_mining.models.options import EmbeddingOptions, shown_options
from xray_mining.models.task import Members, Task
from xray_mining.records.cohort import FrozenCohort, Target
from xray_mining.sets.measure import Wanted
from xray_mining.workspace import ArchiveSettings, Workspace, digest_of_file, write_frame, write_json

KEYS = [str(UUID(int=number + 1)) for number in range(6)]
COLUMNS = ["image_key", "pixel_digest"]


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """Six radiographs of one archive, of which only key and pixel digest matter here."""
    made = Workspace.create(tmp_path / "workspace")
    made.save(made.settings.model_copy(update={"archives": {"a": ArchiveSettings(domain="a", adapter="a", order=0)}}))
    ingest(made, ["first"] * 6)
    return made


def ingest(workspace: Workspace, digests: list[str]) -> None:
    write_frame(pl.DataFrame([KEYS, digests], schema=COLUMNS), workspace.parts("a", "images") / "00000.parquet")


def cohort(workspace: Workspace) -> FrozenCohort:
    members = pl.DataFrame({"image_key": KEYS})

    class Few(FrozenCohort):
        def members(self) -> pl.DataFrame:
            return members

    target = Target("age_years", "number", "years", made_of=("age_years",), made_of_from="header")
    return Few("few", "0" * 32, "few", "", {}, "", 2, False, (target,), (), "", "store")


def task(workspace: Workspace, options: object, **others: object) -> Task:
    class Study:
        study = "s"

    return Task(workspace, Study(), "one", options, {"one": options, **others}, Members(workspace, cohort(workspace)))  # ty: ignore


def test_other_pixels_are_another_input(workspace):
    options = NullOptions(model="thumbnail", cohort="few", target="age_years")
    before = task(workspace, options).inputs().digests
    assert task(workspace, options).inputs().digests == before
    ingest(workspace, ["first"] * 5 + ["second"])
    after = task(workspace, options).inputs().digests
    assert {key for key in before if before[key] != after[key]} == {"pixels"}


@pytest.mark.parametrize("model", ["metadata", "oracle"])
def test_other_rows_of_the_catalog_are_another_input(workspace, monkeypatch, model):
    rows = {"patient_sex": ["M"] * 6, "name": ["heart_width_mm"] * 6, "value": [1.0] * 6}
    asked: list[str] = []

    def select(place, report, image_keys):
        asked.append(report)
        return pl.DataFrame({"image_key": image_keys, **rows})

    monkeypatch.setattr("xray_mining.catalog.query.select", select)
    kind = {"metadata": NullOptions, "oracle": OracleOptions}[model]
    options = kind(model=model, cohort="few", target="age_years")
    before = task(workspace, options).inputs().digests
    again = task(workspace, options)
    assert again.inputs().digests == before
    asked.clear()
    again.catalog_rows("reports/metadata_of_images")
    assert not asked, "rows are read once a task"
    rows |= {"patient_sex": ["F"] * 6}
    assert task(workspace, options).inputs().digests != before
    rows |= {"patient_sex": ["M"] * 6, "value": [2.0] * 6}
    assert task(workspace, options).inputs().digests != before


def test_a_member_with_more_seeds_is_another_input(workspace):
    member = NullOptions(model="centre", cohort="few", target="age_years")
    options = EnsembleOptions(model="ensemble", members=["a", "b"], cohort="few", target="age_years")
    for name in "ab":
        folder = workspace.experiment("s", name)
        write_json({"digest": name, "cohort_digest": "0" * 32}, folder / "experiment.json")
        write_frame(pl.DataFrame({"value": [1.0]}), folder / "predictions/rotation0-seed0.parquet")
    before = task(workspace, options, a=member, b=member).inputs().digests
    write_frame(pl.DataFrame({"value": [2.0]}), workspace.experiment("s", "b") / "predictions/rotation0-seed1.parquet")
    after = task(workspace, options, a=member, b=member).inputs().digests
    assert after["experiments/a"] == before["experiments/a"]
    assert after["experiments/b"] != before["experiments/b"]


def test_a_kept_model_does_not_say_where_its_weights_lay(workspace, monkeypatch, tmp_path):
    file = tmp_path / "private/net.pth"
    file.parent.mkdir()
    file.write_bytes(b"weights")  # known by their digest, and not read
    options = EmbeddingOptions(weights=str(file))
    assert shown_options(options)["weights"] == "net.pth"
    assert shown_options(EmbeddingOptions())["weights"] == "package"
    frozen = FrozenOptions(model="frozen", embeddings=["e"], head="ridge", cohort="few", target="age_years")
    one = task(workspace, frozen)
    one.study.embeddings = {"e": options}  # ty: ignore
    rng = np.random.default_rng(0)
    matrix = rng.normal(size=(6, 3))
    monkeypatch.setattr(Wanted, "read", lambda *given: matrix)
    images = pl.DataFrame(
        {
            "image_key": KEYS,
            "patient_key": KEYS,
            "study_key": KEYS,
            "weight": [1.0] * 6,
            "role": ["train"] * 4 + ["validation", "test"],
            "truth": matrix[:, 0],
            "label": pl.Series([None] * 6, dtype=pl.String),
        }
    )
    KIND.fit(one, Fit(0, -1, one.cohort.target("age_years"), images))
    [path] = one.folder.rglob("*.joblib")
    kept = joblib.load(path)
    assert (kept["embeddings"]["e"]["weights"], kept["weights"]["e"]) == ("net.pth", digest_of_file(file))
    assert b"private" not in repr(joblib.load(path)).encode()
