"""No file of an evaluation and no word of its page has a number of 1 to 9 patients, or gives one away by a sum."""

import json
import re
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from labels_pieces import predict_labels, with_labels, with_target

from xray_mining.evaluation.evaluate import evaluate
from xray_mining.evaluation.options import EvaluationOptions
from xray_mining.records.cohort import Target
from xray_mining.reporting.command import report

QUICK = EvaluationOptions(bootstraps=100, sensitivity_targets=[])
TABLES = ("estimates", "calibration", "confusion", "error_by_age", "table_one", "audits")
WHO = "(?:patients?|images?|units?|answers?|members?|women|men)"
COUNTED = re.compile(
    rf"(?<!fewer than )\b[1-9] (?:other |more |test |validation |training )*{WHO}\b"
    rf"|(?<!ean over )\b[1-9] of \d+ (?:test |labels|{WHO})"
    r"|(?<= )\([1-9]\)"
)
"""A number of 1 to 9 patients, images or units, as a sentence says it; or alone after a name, as 'nodule (4)'."""


@pytest.fixture
def planted(make):
    """A study of two labels: one not known of 3 test patients, one true of 4 of them, and 6 with neither known."""
    made = make(patients=600, pictures=False)
    rng = np.random.default_rng(1)
    truth = {name: (rng.random(600) < 0.4).astype(float) for name in ("effusion", "nodule")}
    test = np.flatnonzero(made.frame["fold"].to_numpy() == 0)
    train = np.flatnonzero(made.frame["fold"].to_numpy() == 3)
    truth["effusion"][test[:3]] = np.nan
    truth["nodule"][test] = 0
    truth["nodule"][test[10:14]] = 1
    for values in truth.values():
        values[train[:6]] = np.nan
    made = with_labels(made, truth)
    predict_labels(made, "net", "network", truth, 2.5)
    predict_labels(made, "base", "baseline", truth, 0.7)
    predict_labels(made, "metadata", "null", truth, 0.0)
    return made


@pytest.fixture
def ill_women(make):
    """A study of a disease that 4 tested women and 20 tested men have."""
    made = make(patients=600, pictures=False)
    test, women = (made.frame["fold"] == 0).to_numpy(), (made.frame["patient_sex"] == "F").to_numpy()
    rng = np.random.default_rng(0)
    ill = np.zeros(600)
    ill[np.flatnonzero(test & women)[:4]] = 1
    ill[np.flatnonzero(test & ~women)[:20]] = 1
    ill[rng.choice(np.flatnonzero(~test), 150, replace=False)] = 1
    rows = made.frame.select(
        "image_key",
        pl.lit("disease").alias("target"),
        pl.Series("value", ill),
        pl.Series("label", np.where(ill == 1, "ill", "well")),
        pl.lit("0" * 32).alias("cohort_digest"),
    )
    target = Target("disease", "binary", positive="ill", classes=("well", "ill"), made_of=("findings",))
    made = with_target(made, rows, target)
    for name, kind, strength in (("net", "network", 2), ("base", "baseline", 1)):
        score = strength * ill - 1 + rng.normal(0, 1, 600)
        made.predict("made", name, kind, "disease", 1 / (1 + np.exp(-score)))
    return made


def tables_of(made):
    folder = made.workspace.evaluation("made")
    return {name: pl.read_parquet(folder / f"{name}.parquet") for name in (*TABLES, "check_results")}


def words_of(made):
    """Every sentence and note of the evaluation's files, and all text of its page."""
    folder = made.workspace.evaluation("made")
    tables = tables_of(made)
    yield from tables["check_results"]["sentence"]
    yield from tables["audits"]["words"]
    yield from tables["estimates"]["method"]
    yield from tables["estimates"]["caution"].drop_nulls()
    for name in ("answer", "study", "flow"):
        yield from _texts(json.loads((folder / f"{name}.json").read_text(encoding="utf-8")))
    page = Path(report("made", None, made.workspace.root).page).read_text(encoding="utf-8")
    page = re.sub(r"<(style|script|pre)\b.*?</\1>", " ", page, flags=re.DOTALL)
    yield from re.sub(r"<[^>]*>", "\n", page).splitlines()


def _texts(value):
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for each in value.values():
            yield from _texts(each)
    elif isinstance(value, list):
        for each in value:
            yield from _texts(each)


def small(count):
    return 0 < count < QUICK.least_patients


def test_the_words_that_are_looked_for_are_found():
    for text in ("nodule (4), rare (12)", "effusion 3 of 60 test units", "true in 1 patient", "7 other images"):
        assert COUNTED.search(text), text
    for text in (
        "14 patients",
        "nodule (fewer than 10)",
        "in 2 of 10 repetitions",
        "tells 3 labels",
        "of fewer than 5 patients",
        "mean over 1 of 2 labels",
    ):
        assert not COUNTED.search(text), text


@pytest.mark.parametrize("study", ["planted", "ill_women"])
def test_no_column_and_no_sentence_has_a_small_number(request, study):
    made = request.getfixturevalue(study)
    evaluate(made.workspace, "made", QUICK)
    for name, table in tables_of(made).items():
        for column in {"patients", "images"} & set(table.columns):
            assert not table.filter(pl.col(column).is_between(1, 9)).height, (name, column)
    found = [text for text in words_of(made) if COUNTED.search(text)]
    assert not found, found
    notes = json.loads((made.workspace.evaluation("made") / "study.json").read_text(encoding="utf-8"))
    for task in notes["tasks"]:
        assert not any(small(count) for count in task["unanswered"].values() if count is not None)


def test_labels_that_few_are_unknown_or_true_of_are_not_given_away_by_sums(planted):
    evaluate(planted.workspace, "made", QUICK)
    tables = tables_of(planted)
    [task] = json.loads((planted.workspace.evaluation("made") / "study.json").read_text(encoding="utf-8"))["tasks"]
    assert task["patients"] == 120 and task["unanswered"] == {"train": None}
    rows = tables["estimates"].filter(pl.col("class") != "", pl.col("split") == "test")
    effusion, nodule = (rows.filter(pl.col("class") == name) for name in ("effusion", "nodule"))
    assert effusion.height and effusion["patients"].sum() == effusion["images"].sum() == 0
    of_nodule = dict(nodule.filter(pl.col("experiment") == "net", baseline="").select("metric", "patients").iter_rows())
    assert of_nodule["auc"] == 120 and of_nodule["sensitivity"] == of_nodule["specificity"] == 0
    assert not any(small(task["patients"] - count) for count in rows["patients"])
    bins = tables["calibration"].filter(pl.col("class") == "effusion")
    assert bins.height and bins["patients"].sum() == 0
    for _, matrix in tables["confusion"].group_by("experiment", "operating_point", "threshold"):
        assert matrix["hidden"].all(), "effusion is not known of 3, nodule is true of 4: the others' sum would tell"
    said = dict(tables["check_results"].select("code", "sentence").iter_rows())
    assert "nodule (fewer than 10)" in said["SIZE001"]
    assert said["EVAL016"].endswith("effusion fewer than 10 patients of 120 test units.")
    page = Path(report("made", None, planted.workspace.root).page).read_text(encoding="utf-8")
    assert "test of fewer than 10" not in page and "train of fewer than 10 patients" in page


def test_a_side_of_few_patients_is_not_given_away_by_the_other_sex_or_the_other_side(ill_women):
    evaluate(ill_women.workspace, "made", QUICK)
    rows = tables_of(ill_women)["estimates"].filter(
        pl.col("baseline") == "", pl.col("split") == "test", pl.col("level") == "image"
    )
    by_sex = rows.filter(pl.col("subgroup").is_in(["patient_sex=F", "patient_sex=M"]))
    assert set(by_sex["metric"]) == {"auc"}, "both sides of both sexes are hidden: 4 ill women follow from any three"
    # What is left when the printed counts of each column are subtracted must not be a small count either.
    for _, group in rows.filter(pl.col("metric").is_in(["auc", "sensitivity", "specificity"])).group_by(
        "experiment", "metric", "operating_point"
    ):
        whole = group.filter(pl.col("subgroup") == "all")["patients"][0]
        levels = group.filter(~pl.col("subgroup").str.contains(" & "), pl.col("subgroup") != "all")
        levels = levels.with_columns(pl.col("subgroup").str.split("=").list.first().alias("column"))
        for _, column in levels.group_by("column"):
            assert not small(whole - column["patients"].sum())
    sizes = {(row["experiment"], row["metric"], row["subgroup"]): row["patients"] for row in rows.to_dicts()}
    for (experiment, metric, subgroup), count in sizes.items():
        if metric in ("sensitivity", "specificity"):
            assert not small(sizes[experiment, "auc", subgroup] - count)
