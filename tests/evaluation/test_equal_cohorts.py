"""Cohorts go by name: two of the same members have one digest and stay two."""

import json
import shutil

import polars as pl

from xray_mining.evaluation.evaluate import evaluate
from xray_mining.evaluation.options import EvaluationOptions
from xray_mining.records import evaluation_tables as tables


def test_two_cohorts_of_the_same_members_are_described_and_scored_apart(make):
    made = make(patients=120, pictures=False)
    home = made.workspace.root / "cohorts"
    shutil.copytree(home / "made-all", home / "made-twin")
    (about,) = (home / "made-twin").glob("*/cohort.json")
    about.write_text(json.dumps(json.loads(about.read_text()) | {"name": "made-twin"}))
    for name, cohort in (("first", "made-all"), ("second", "made-twin")):
        made.predict("made", name, "baseline", "age_years", made.frame["age_years"].to_numpy() + 1.0)
        path = made.workspace.experiment("made", name) / "experiment.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | {"cohort": cohort}))
    evaluate(made.workspace, "made", EvaluationOptions(bootstraps=100))
    folder = made.workspace.evaluation("made")
    study = json.loads((folder / "study.json").read_text())
    assert {task["task"]: task["experiments"] for task in study["tasks"]} == {
        "made-all/age_years": ["first"],
        "made-twin/age_years": ["second"],
    }
    flows = json.loads((folder / "flow.json").read_text())["cohorts"]
    assert {flow["cohort"]: flow["experiments"] for flow in flows} == {"made-all": ["first"], "made-twin": ["second"]}
    one = tables.TableOne.read([folder / "table_one.parquet"])
    counts = one.filter(pl.col("variable") == "age_years").group_by("cohort", "column").len()
    assert set(counts["cohort"]) == {"made-all", "made-twin"}
    assert counts["len"].to_list() == [1] * counts.height
