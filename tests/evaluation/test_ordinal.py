"""Levels in order: agreement of the nearest level, and confusion by level."""

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import cohen_kappa_score

from xray_mining.evaluation.evaluate import evaluate
from xray_mining.evaluation.options import EvaluationOptions
from xray_mining.records.cohort import Target
from xray_mining.records.estimates import Estimates
from xray_mining.records.evaluation_tables import Confusion, TableOne
from xray_mining.records.predictions import Predictions

LEVELS = ("none", "mild", "severe")


@pytest.fixture
def graded(make):
    """Experiments on a target of three levels, with rows of expected levels and of each level's probability."""
    made = make(patients=500, images_each=2)
    rng = np.random.default_rng(5)
    grade = rng.choice(3, made.frame.height, p=[0.5, 0.3, 0.2]).astype(float)
    grade[rng.random(len(grade)) < 0.1] = np.nan
    rows = made.frame.select(
        "image_key",
        pl.lit("severity").alias("target"),
        pl.Series("value", grade).fill_nan(None),
        pl.Series("label", [None if np.isnan(each) else LEVELS[int(each)] for each in grade]),
        pl.lit("0" * 32).alias("cohort_digest"),
    )
    (made.cohort.folder / "cohort.json").unlink()
    target = Target("severity", "ordinal", classes=LEVELS, made_of=("findings",), made_of_from="header")
    object.__setattr__(made.cohort, "targets", (target,))
    made.cohort = made.cohort.save(made.workspace, made.cohort.members(), rows)
    filled = np.nan_to_num(grade, nan=1.0)
    given = {"network": np.clip(filled + rng.normal(0, 0.5, len(grade)), 0, 2)}
    given["ridge"] = np.clip(filled + rng.normal(0, 1.0, len(grade)), 0, 2)
    for name, kind in (("network", "network"), ("ridge", "baseline")):
        made.predict("made", name, kind, "severity", given[name], rotations=5)
        for path in (made.workspace.experiment("made", name) / "predictions").glob("*.parquet"):
            frame = Predictions.read(path).with_columns(pl.lit("").alias("class"))
            levels = [frame.with_columns(pl.lit(each).alias("class"), pl.lit(0.3).alias("value")) for each in LEVELS]
            Predictions.write(pl.concat([frame, *levels]), path)
    evaluate(made.workspace, "made", EvaluationOptions(bootstraps=200))
    return made, grade, given


def test_kappa_is_that_of_the_nearest_levels_with_an_interval(graded):
    made, grade, given = graded
    rows = Estimates.read(made.workspace.evaluation("made") / "estimates.parquet").filter(subgroup="all", split="test")
    known = np.isfinite(grade)
    called = np.round(given["network"][known])
    [found] = rows.filter(metric="kappa_quadratic", experiment="network", baseline="", level="image").to_dicts()
    assert found["value"] == pytest.approx(cohen_kappa_score(grade[known], called, weights="quadratic"))
    assert found["low"] < found["value"] < found["high"] and found["images"] == known.sum()
    [found] = rows.filter(metric="kappa_quadratic", experiment="network", baseline="ridge").to_dicts()
    other = cohen_kappa_score(grade[known], np.round(given["ridge"][known]), weights="quadratic")
    assert found["value"] == pytest.approx(cohen_kappa_score(grade[known], called, weights="quadratic") - other)
    assert found["low"] > 0 and found["p_adjusted"] < 0.001
    assert {"mae", "spearman"} <= set(rows.filter(experiment="network", baseline="")["metric"])


def test_confusion_by_level_counts_every_scored_unit(graded):
    made, grade, given = graded
    cells = Confusion.read(made.workspace.evaluation("made") / "confusion.parquet").filter(experiment="network")
    assert set(cells["truth"]) == set(LEVELS) and cells["threshold"].null_count() == cells.height
    known = np.isfinite(grade)
    for row in cells.filter(~pl.col("hidden")).to_dicts():
        pair = (LEVELS.index(row["truth"]), LEVELS.index(row["predicted"]))
        assert (
            row["images"] == ((grade[known], np.round(given["network"][known])) == np.array(pair)[:, None]).all(0).sum()
        )


def test_table_one_has_the_share_of_each_level_in_its_order_by_fold(graded):
    made, grade, _ = graded
    rows = TableOne.read(made.workspace.evaluation("made") / "table_one.parquet").filter(variable="severity: level")
    assert {"all", *(f"fold {each}" for each in range(5))} <= set(rows["column"])
    order = rows.filter(column="all").sort("level_order")["level"].to_list()
    assert order == [*LEVELS, "not known"]
    [row] = rows.filter(column="fold 1", level="mild").to_dicts()
    assert row["images"] == int((grade[(made.frame["fold"] == 1).to_numpy()] == 1).sum())
    assert row["share"] == row["patients"] / 100 and 10 <= row["patients"] < row["images"]
