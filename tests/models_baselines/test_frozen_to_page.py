"""Frozen embeddings on targets of levels and of labels, from the cohort's header to the page."""

import polars as pl
import pytest

from xray_mining.models.embedding import Embeddings
from xray_mining.records.cohort import FrozenCohort
from xray_mining.records.estimates import Estimates
from xray_mining.records.predictions import Predictions
from xray_mining.reporting.page import write
from xray_mining.sets.measure import measure

LEVELS = "case when number < 15 then 'none' when number < 35 then 'mild' else 'severe' end"
ANSWERS = "map {'high': if(number >= 30, 1, 0), 'tens': if(number % 20 < 10, 1, if(number % 3 = 0, -1, 0))}"


@pytest.mark.parametrize(
    ("kind", "expression", "classes", "metric"),
    [
        ("ordinal levels='none, mild, severe'", LEVELS, {"", "none", "mild", "severe"}, "kappa_quadratic"),
        ("labels least=5", ANSWERS, {"high", "tens"}, "auc_macro"),
    ],
)
def test_frozen_embeddings_learn_levels_and_labels(small, kind, expression, classes, metric):
    experiments = {"frozen": {"model": "frozen", "embeddings": ["e"], "head": "logistic"}}
    embeddings = {
        "e": {"backbone": "test_resnet", "weights": "none", "side_px": 64, "statistics": ["mean", "deviation"]}
    }
    made = small(kind, expression, experiments, embeddings=embeddings, design={"changed_images": 3})
    cohort = FrozenCohort.load(made.workspace, made.study.cohort_name("c"))
    measure(made.workspace, cohort, "e", Embeddings(made.study.embeddings["e"]))
    made.train("frozen")
    frame = Predictions.read(made.workspace.experiment(made.study.study, "frozen") / "predictions")
    assert set(frame["class"]) == classes and frame["model_kind"].unique().to_list() == ["frozen"]
    assert set(frame["variant"]) > {""} and frame["value"].is_finite().all()
    made.evaluate()
    rows = Estimates.read([made.workspace.evaluation(made.study.study) / "estimates.parquet"])
    whole = rows.filter((pl.col("metric") == metric) & (pl.col("subgroup") == "all") & (pl.col("baseline") == ""))
    assert set(whole["experiment"]) == {"frozen"} and whole["value"].is_not_nan().all()
    # A network of random weights knows little, but the head reads its vectors: values differ by image.
    spread = frame.filter((pl.col("class") == "high") | (pl.col("class") == "severe"))["value"].std()
    assert spread > 1e-4
    page = made.workspace.report(made.study.study)
    write(made.workspace.evaluation(made.study.study), page)
    assert "frozen" in page.read_text()
