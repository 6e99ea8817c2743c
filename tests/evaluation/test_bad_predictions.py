"""Predictions that cannot be scored become sentences, and the rest stands."""

import json

import numpy as np
import polars as pl
import pytest

from xray_mining.catalog.checks import patients_on_two_sides
from xray_mining.evaluation.evaluate import evaluate
from xray_mining.evaluation.options import EvaluationOptions
from xray_mining.records.check_results import CheckResults
from xray_mining.records.estimates import Estimates

QUICK = EvaluationOptions(bootstraps=100)


def codes(made) -> dict[str, str]:
    frame = CheckResults.read([made.workspace.evaluation("made") / "check_results.parquet"])
    return dict(frame.filter(pl.col("outcome") == "failed").select("code", "sentence").iter_rows())


def ages(made) -> np.ndarray:
    return made.frame["age_years"].to_numpy()


def test_predictions_of_other_images_are_left_out_and_told(make):
    made = make()

    def strangers(frame: pl.DataFrame) -> pl.DataFrame:
        other = frame.head(3).with_columns(
            pl.col("unit_key").str.replace("^.{8}", "00000000"), pl.lit("test").alias("split")
        )
        return pl.concat([frame, other])

    made.predict("made", "boosting", "baseline", "age_years", ages(made) + 1, keep=strangers)
    evaluate(made.workspace, "made", QUICK)
    assert "3 predicted units are not in the cohort" in codes(made)["EVAL002"]
    estimates = Estimates.read([made.workspace.evaluation("made") / "estimates.parquet"])
    assert estimates.filter((pl.col("metric") == "mae") & (pl.col("split") == "test"))["images"][0] == 40


def test_nan_scores_are_left_out_and_told(make):
    made = make()
    made.predict("made", "boosting", "baseline", "age_years", ages(made) + 1)
    # Our own records refuse nan; a part from elsewhere may hold some.
    path = made.workspace.experiment("made", "boosting") / "predictions/rotation0-seed-1.parquet"
    half = made.frame["image_key"][:100].to_list()
    spoilt = pl.when(pl.col("unit_key").is_in(half)).then(float("nan")).otherwise(pl.col("value"))
    pl.read_parquet(path).with_columns(spoilt.alias("value")).write_parquet(path)
    made.predict("made", "network", "network", "age_years", ages(made) + 2)
    evaluate(made.workspace, "made", QUICK)
    assert "are not finite numbers" in codes(made)["EVAL003"] and "have no prediction" in codes(made)["EVAL009"]
    estimates = Estimates.read([made.workspace.evaluation("made") / "estimates.parquet"])
    pair = estimates.filter(
        (pl.col("baseline") == "boosting") & (pl.col("metric") == "mae") & (pl.col("experiment") == "network")
    )
    assert pair["value"][0] == pytest.approx(1.0) and pair["images"][0] < 40


def test_constant_predictions_have_no_correlation_but_errors(make):
    made = make()
    made.predict("made", "boosting", "baseline", "age_years", np.full(len(ages(made)), 50.0))
    evaluate(made.workspace, "made", QUICK)
    assert "predicts the same value for every test unit" in codes(made)["EVAL006"]
    frame = Estimates.read([made.workspace.evaluation("made") / "estimates.parquet"])
    rows = {
        each["metric"]: each
        for each in frame.filter((pl.col("subgroup") == "all") & (pl.col("split") == "test")).to_dicts()
    }
    assert rows["pearson"]["value"] is None and rows["pearson"]["caution"] and rows["mae"]["low"] is not None


def test_without_validation_predictions_nothing_is_chosen(make):
    made = make()
    chance = np.random.default_rng(0).uniform(size=len(ages(made)))
    made.predict("made", "logistic", "baseline", "patient_sex", chance, splits=("test",))
    summary = evaluate(made.workspace, "made", QUICK)
    assert "has no predictions for validation patients" in codes(made)["EVAL008"]
    assert "There is no answer" in summary.answers[0].text
    frame = Estimates.read([made.workspace.evaluation("made") / "estimates.parquet"])
    assert not frame.filter(pl.col("metric") == "sensitivity").height and frame.filter(pl.col("metric") == "auc").height


def test_a_missing_class_is_told(make):
    made = make()
    chance = np.random.default_rng(0).uniform(size=len(ages(made)))
    made.predict(
        "made", "logistic", "baseline", "patient_sex", chance,
        keep=lambda frame: frame.filter((pl.col("split") != "test") | (pl.col("truth") == 1)),
    )  # fmt: skip
    evaluate(made.workspace, "made", QUICK)
    assert "needs both classes" in codes(made)["EVAL005"] and "no test patient is F" in codes(made)["SIZE001"]


@pytest.mark.parametrize("patients", [3, 6, 10])
def test_a_handful_of_patients_is_no_traceback(make, patients):
    made = make(patients=patients)
    values = ages(made)
    made.predict("made", "centre", "null", "age_years", np.full(len(values), 50.0))
    made.predict("made", "boosting", "baseline", "age_years", values + np.arange(len(values)) % 3)
    made.predict("made", "logistic", "baseline", "patient_sex", np.linspace(0, 1, len(values)))
    summary = evaluate(made.workspace, "made", QUICK)
    assert summary.checks_failed and "SIZE001" in codes(made)


def test_an_experiment_without_predictions_is_told(make):
    made = make()
    made.predict("made", "boosting", "baseline", "age_years", ages(made) + 1)
    summary = evaluate(made.workspace, "made", QUICK, experiments=["boosting", "network"])
    assert summary.absent == ["network"] and "network: has no predictions" in codes(made)["EVAL011"]


def test_a_patient_in_two_folds_is_an_error(make):
    made = make()
    members = made.cohort.members()
    torn = members.with_columns(
        pl.when(pl.col("split") == "validation")
        .then(pl.lit(members.filter(pl.col("split") == "test")["patient_key"][0]))
        .otherwise(pl.col("patient_key"))
        .alias("patient_key")
    )
    torn.write_parquet(made.cohort.folder / "cohort_members.parquet")
    made.predict("made", "boosting", "baseline", "age_years", ages(made) + 1)
    evaluate(made.workspace, "made", QUICK)
    assert "are in two folds" in codes(made)["GATE001"] and "of the same rotation" in codes(made)["GATE002"]
    # One rule: the check of the frozen cohort, the audit, and the audit's evidence.
    rows = patients_on_two_sides(made.cohort.members())
    frame = CheckResults.read([made.workspace.evaluation("made") / "check_results.parquet"])
    row = frame.row(by_predicate=pl.col("code") == "GATE001", named=True)
    assert row["offenders"] == str(rows.height) == "1" and json.loads(row["evidence"]) == rows.to_dicts()


def test_a_maker_called_script_is_a_name_like_others(study):
    made = study(patients=300)
    evaluate(made.workspace, "made", QUICK)
    frame = Estimates.read([made.workspace.evaluation("made") / "estimates.parquet"])
    assert "manufacturer=<script>alert(1)</script>" in set(frame["subgroup"])


def test_without_pictures_the_tables_stand(study):
    made = study(pictures=False)
    summary = evaluate(made.workspace, "made", QUICK)
    frame = CheckResults.read([made.workspace.evaluation("made") / "check_results.parquet"])
    assert summary.pictures == 0 and "EVAL010" in set(frame["code"])
