"""Frozen embeddings and trained networks on levels and on labels, from the cohort's header to the page."""

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from xray_mining.models.embedding import Embeddings
from xray_mining.records.cohort import FrozenCohort
from xray_mining.records.estimates import Estimates
from xray_mining.records.predictions import Predictions
from xray_mining.reporting.metrics import number
from xray_mining.reporting.page import write
from xray_mining.sets.measure import measure

LEVELS = "case when number < 15 then 'none' when number < 35 then 'mild' else 'severe' end"
ANSWERS = "map {'high': if(number >= 30, 1, 0), 'tens': if(number % 20 < 10, 1, if(number % 3 = 0, -1, 0))}"
CASES = pytest.mark.parametrize(
    ("kind", "expression", "classes", "metric"),
    [
        ("ordinal levels='none, mild, severe'", LEVELS, ["", "mild", "none", "severe"], "kappa_quadratic"),
        ("labels least=5", ANSWERS, ["high", "tens"], "auc_macro"),
    ],
)
NETWORK = {
    "model": "network", "backbone": "test_resnet", "side_px": 32, "epochs": 4, "batch_size": 8, "learning_rate": 3e-3,
    "accelerator": "cpu",
}  # fmt: skip


@CASES
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
    assert sorted(set(frame["class"])) == classes and frame["model_kind"].unique().to_list() == ["frozen"]
    assert set(frame["variant"]) > {""} and frame["value"].is_finite().all()
    # A network of random weights knows little, but the head reads its vectors: values differ by image.
    spread = frame.filter((pl.col("class") == "high") | (pl.col("class") == "severe"))["value"].std()
    assert spread > 1e-4
    shown_on_the_page(made, "frozen", metric)


@CASES
def test_a_trained_network_goes_with_levels_and_labels_to_the_page(small, kind, expression, classes, metric):
    made = small(kind, expression, {"network": NETWORK}, design={"changed_images": 3})
    made.train("network", "null_centre_c_t")
    frame = Predictions.read(made.workspace.experiment(made.study.study, "network") / "predictions")
    by_variant = frame.group_by("variant").agg(pl.col("class").unique().sort(), pl.col("value").is_finite().all())
    assert by_variant.height > 1 and by_variant["class"].to_list() == [classes] * by_variant.height
    assert by_variant["value"].all()
    rows = shown_on_the_page(made, "network", metric)
    [pair] = rows.filter(baseline="null_centre_c_t", metric=metric, split="test", variant="", subgroup="all").to_dicts()
    assert pair["experiment"] == "network" and pair["value"] is not None
    changed = rows.filter(pl.col("variant") != "")
    assert set(changed["variant"]) == set(frame["variant"]) - {""}


def shown_on_the_page(made: Any, name: str, metric: str) -> pl.DataFrame:
    """The estimates of a study, whose page has the figures of experiment `name`: of its levels, or of each label."""
    made.evaluate()
    folder: Path = made.workspace.evaluation(made.study.study)
    rows = Estimates.read([folder / "estimates.parquet"])
    own = rows.filter(
        pl.col("experiment") == name, pl.col("baseline") == "", pl.col("subgroup") == "all", pl.col("variant") == "",
        pl.col("level") == "image", pl.col("split") == "test",
    )  # fmt: skip
    [whole] = own.filter(metric=metric).to_dicts()
    assert whole["value"] is not None and whole["low"] <= whole["value"] <= whole["high"]
    path = made.workspace.report(made.study.study)
    write(folder, path)
    page = path.read_text()
    anchor = {"kappa_quadratic": "levels", "auc_macro": "labels"}[metric]
    section = page.partition(f'<section id="{anchor}"')[2].partition("</section>")[0]
    by_label = own.filter(pl.col("metric") == "auc", pl.col("class") != "")
    parts = {"levels": own.filter(metric=metric), "labels": by_label}[anchor].to_dicts()
    assert len(parts) == {"levels": 1, "labels": 2}[anchor]
    for row in parts:
        assert f">{number(row['value'])}" in section, row
        assert number(row["low"]) in section and number(row["high"]) in section and row["class"] in section
    named = {"levels": ("none", "mild", "severe"), "labels": ("high", "tens")}[anchor]
    assert name in section and all(each in section for each in named)
    return rows
