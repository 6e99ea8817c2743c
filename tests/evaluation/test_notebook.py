"""A notebook's doors to what was predicted and measured: unchanged test rows unless more is asked for."""

import numpy as np
import polars as pl
import pytest

import xray_mining
from xray_mining.errors import UserError
from xray_mining.evaluation.evaluate import evaluate
from xray_mining.evaluation.options import EvaluationOptions
from xray_mining.records.predictions import Predictions
from xray_mining.sets.instrument import Column
from xray_mining.sets.measured import About, MeasuredSet
from xray_mining.sets.pictures import Pictures

QUICK = EvaluationOptions(bootstraps=200)


@pytest.fixture
def with_changed(study):
    """The study, with predictions of changed pictures beside those of the ridge that is called embedding."""
    made = study()
    (path,) = (made.workspace.experiment("made", "embedding") / "predictions").glob("*.parquet")
    frame = Predictions.read([path])
    tested = frame.filter(pl.col("split") == "test")
    windowed = tested.with_columns(variant=pl.lit("windowed"), value=pl.col("value") + 9)
    Predictions.write(pl.concat([frame, windowed]), path)
    return made


def mean_error(frame):
    return (frame["value"] - frame["truth"]).abs().mean()


def test_the_view_and_the_notebook_have_the_rows_that_the_page_scores(with_changed):
    made = with_changed
    evaluate(made.workspace, "made", QUICK)
    work = xray_mining.open(made.workspace.root)
    told = work.estimates("made").filter(experiment="embedding", metric="mae")
    scored = told["value"].drop_nulls().to_list()
    mine = mean_error(work.predictions("made", "embedding"))
    asked = work.sql("select avg(abs(value - truth)) as mae from predictions where experiment = 'embedding'")["mae"][0]
    everything = work.sql("select avg(abs(value - truth)) as mae from all_predictions where experiment = 'embedding'")
    assert mine == pytest.approx(asked, rel=1e-12)
    assert any(value == pytest.approx(mine, rel=1e-12) for value in scored)
    assert everything["mae"][0] > mine + 0.5
    whole = work.predictions("made", "embedding", split=None, variant=None)
    assert mean_error(whole) == pytest.approx(everything["mae"][0], rel=1e-12)
    assert set(whole["split"]) == {"test", "validation"}
    assert set(work.predictions("made", "embedding", variant="windowed")["variant"]) == {"windowed"}


def test_what_is_not_there_is_one_sentence(with_changed):
    work = xray_mining.open(with_changed.workspace.root)
    with pytest.raises(UserError, match=r"made/embedding, split: 'train' is unknown; known are test, validation"):
        work.predictions("made", "embedding", split="train")
    with pytest.raises(UserError, match=r"evaluated study: 'made' is unknown; known are none"):
        work.estimates("made")
    with pytest.raises(UserError, match=r"features: 'texture' is unknown; known are none"):
        work.features("texture")


def test_features_and_embeddings_are_frames_of_the_pictures_that_are_there(make):
    made = make(patients=12)
    pictures = Pictures.open(made.workspace)
    keys = [each.decode() for each in pictures.keys]
    columns = (Column("wide", "px"), Column("high", "px"))
    said = About("features", "store", columns, "float64", False, {}, "", {}, {})
    features = MeasuredSet(made.workspace.measured("features", "shape-0123456789ab"), pictures)
    matrix = np.arange(2.0 * len(keys)).reshape(-1, 2)
    features.write(keys, matrix)
    features.describe(said)
    vectors = MeasuredSet(made.workspace.measured("embeddings", "net-0123456789ab"), pictures)
    vectors.write(keys[:5], matrix[:5].astype(np.float32))
    vectors.describe(About("embed", "store", columns, "float32", True, {}, "", {}, {}))
    work = xray_mining.open(made.workspace.root)
    found = work.features("shape")
    assert found.columns == ["image_key", "wide", "high"] and found["image_key"].to_list() == keys
    assert np.array_equal(found.select("wide", "high").to_numpy(), matrix)
    assert np.array_equal(work.embeddings("net-0123456789ab")["vector"].to_numpy(), matrix[:5].astype(np.float32))
    (part,) = (vectors.folder / "parts").glob("*.npy")
    part.write_bytes(b"cut off")
    with pytest.raises(UserError, match="is not a readable part of net-0123456789ab"):
        work.embeddings("net")
    MeasuredSet(made.workspace.measured("features", "shape-123456789012"), pictures).describe(said)
    with pytest.raises(
        UserError, match="features shape: there are 2 sets of this name; give one of shape-0123456789ab, "
    ):
        work.features("shape")
    with pytest.raises(UserError, match="features shape-123456789012: holds no radiograph yet"):
        work.features("shape-123456789012")


def test_reprs_are_short(make):
    made = make(patients=12)
    work = xray_mining.open(made.workspace.root)
    assert repr(work).endswith("archives: made)") and "\n" not in repr(work)
    assert repr(made.cohort) == (
        f"FrozenCohort('made-all', 12 images, targets: age_years, patient_sex, digest {made.cohort.digest[:12]})"
    )


def test_the_file_of_results_has_both_names_and_one_of_an_earlier_version_is_made_anew(with_changed):
    import duckdb

    names = ("predictions", "all_predictions")
    # DuckDB opens no file for writing that the same process has open.
    with xray_mining.open(with_changed.workspace.root) as work:
        counted = {name: work.sql(f"select count(*) as n from {name}").item() for name in names}
    assert counted["predictions"] < counted["all_predictions"]
    with duckdb.connect(str(with_changed.workspace.results)) as con:
        assert counted == {name: con.execute(f"select count(*) from {name}").fetchone()[0] for name in names}
        con.execute("drop view predictions; alter table all_predictions rename to predictions")
        con.execute("update about_merge set value = 'earlier' where name = 'state'")
    work = xray_mining.open(with_changed.workspace.root)
    assert work.sql("select count(*) as n from images").item() > 0, "a query that reads no results"
    assert work.sql("select count(*) as n from predictions").item() == counted["predictions"]
    meanings = dict(work.sql("describe predictions").select("column", "meaning").iter_rows())
    assert meanings["split"].startswith("role of the unit in this rotation")
