"""What was planted is found, and clean predictions raise no alarm beyond the nominal rate."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from xray_mining.evaluation.audits import AUDITS, AuditedCohort, AuditedTask, audit
from xray_mining.evaluation.audits.drift_over_years import slope
from xray_mining.evaluation.choice import choose
from xray_mining.evaluation.comparisons import Smallest
from xray_mining.evaluation.evaluate import evaluate
from xray_mining.evaluation.gather import gather
from xray_mining.evaluation.options import EvaluationOptions
from xray_mining.evaluation.subgroups import by_subgroup
from xray_mining.evaluation.variants import scores
from xray_mining.records.check_results import CheckRow
from xray_mining.statistics.comparison import difference_of_means

QUICK = EvaluationOptions(bootstraps=100)


def predicted(made, shortcut: float = 0.0, gap: float = 0.0, trend: float = 0.0, seed: int = 1) -> None:
    """Age by a centre, a metadata null and a network; `shortcut` years from metadata, `gap` more error for women."""
    rng = np.random.default_rng(seed)
    age = made.frame["age_years"].to_numpy()
    female = (made.frame["patient_sex"] == "F").to_numpy()
    year = made.frame["study_year"].to_numpy() - 2014
    made.predict("made", "centre", "null", "age_years", np.full(len(age), age.mean()))
    guess = age.mean() + shortcut * np.sign(age - age.mean()) + rng.normal(0, 0.5, len(age))
    made.predict("made", "metadata", "null", "age_years", guess)
    noise = rng.normal(0, 5, len(age)) * (1 + gap * female) * (1 + trend * year)
    made.predict("made", "network", "network", "age_years", age + noise)


def outcomes(made) -> dict[str, tuple[str, str]]:
    found = gather(made.workspace, "made")
    task = found.tasks[0]
    choice = choose(task)
    cells = by_subgroup(task, QUICK, choice)
    _, judged = audit(AuditedTask(task, QUICK, choice, subgroups=cells))
    return {each.code: (each.outcome, each.sentence) for each in judged}


def judged_by(name: str, task, choice) -> CheckRow:
    """The one row of check_results that an audit leaves of a task."""
    _, (row,) = AUDITS.find(name).run(AuditedTask(task, QUICK, choice))
    return row


def test_a_shortcut_is_found_and_its_share_told(make):
    made = make(patients=500, pictures=False)
    predicted(made, shortcut=6)
    outcome, sentence = outcomes(made)["SHORT001"]
    assert outcome == "failed" and "maker, site, view" in sentence and "% of the best model's" in sentence


@pytest.mark.parametrize("word", ["histogram", "metadata"])
def test_no_share_is_told_of_a_best_model_that_knows_nothing(make, word):
    made = make(patients=300, pictures=False)
    rng = np.random.default_rng(11)
    male = (made.frame["patient_sex"] == "M").to_numpy().astype(float)
    told = 0.5 + 0.4 * (male - 0.5) + rng.normal(0, 0.2, len(male))
    made.predict("made", word, "null", "patient_sex", np.clip(told, 0.01, 0.99))
    made.predict("made", "network", "network", "patient_sex", rng.uniform(0.01, 0.99, len(male)))
    task = gather(made.workspace, "made").tasks[0]
    choice = replace(choose(task), best="network")
    judged = judged_by("shortcuts", task, choice)
    assert judged.outcome == ("failed" if word == "metadata" else "not_applicable")
    assert "% of the best model's" not in judged.sentence
    assert word == "metadata" or "null models cannot be compared with it" in judged.sentence


def test_a_shortcut_that_is_always_right_is_found(make):
    made = make(patients=300, pictures=False)
    sex = made.frame["patient_sex"]
    male = (sex == "M").to_numpy().astype(float)
    noise = np.random.default_rng(0).normal(0, 0.3, len(male))
    made.predict("made", "metadata", "null", "patient_sex", male)
    made.predict("made", "network", "network", "patient_sex", np.clip(0.5 + (male - 0.5) * 0.4 + noise, 0.01, 0.99))
    task = gather(made.workspace, "made").tasks[0]
    judged = judged_by("shortcuts", task, choose(task))
    assert judged.outcome == "failed" and "AUC above 0.5 by 0.500" in judged.sentence
    # A maker for each class: nothing varies within a maker.
    maker = pl.Series(["Tidewater" if each == 1 else "Halden" for each in task.truth])
    task = replace(task, units=task.units.with_columns(maker.alias("manufacturer")))
    judged = judged_by("attributes", task, choose(task))
    assert judged.outcome == "failed" and "manufacturer explains 100.0 %" in judged.sentence


@pytest.mark.parametrize("name", ["patient_sex", "view_position", "manufacturer", "archive", "study_year", "age_years"])
def test_a_split_that_differs_is_told_whatever_differs(make, name):
    made = make(patients=300, pictures=False)
    members = made.cohort.members()
    columns = ["patient_sex", "view_position", "manufacturer", "archive", "study_year", "age_years"]
    same = {each: pl.lit("A" if each not in ("study_year", "age_years") else 50.0) for each in columns}
    frame = members.select("image_key", "patient_key", pl.lit("s").alias("study_key"), "split").with_columns(**same)

    def judged(attributes: pl.DataFrame) -> CheckRow:
        _, (row,) = AUDITS.find("drift_between_splits").run(AuditedCohort(made.cohort, attributes, made.workspace))
        return row

    assert judged(frame.drop("split")).outcome == "not_applicable"
    tested = pl.col("split") == "test"
    by_row = pl.int_range(pl.len()) % 4
    if name == "age_years":
        other = pl.when(tested).then(60.0).otherwise(50.0) + by_row
    else:
        other = pl.when(tested == (by_row > 0)).then(pl.lit("B")).otherwise(pl.lit("A"))
    found = judged(frame.with_columns(other.alias(name)).drop("split"))
    assert found.outcome == "failed" and found.sentence.endswith(f"differ in {name}.")


def test_a_gap_between_the_sexes_is_found_at_equal_age_too(make):
    made = make(patients=600, pictures=False)
    predicted(made, gap=1.0)
    found = outcomes(made)
    assert found["FAIR001"][0] == "failed" and "patient_sex=F" in found["FAIR001"][1]
    assert found["FAIR002"][0] == "failed"


def test_a_trend_over_years_is_found(make):
    made = make(patients=800, pictures=False)
    predicted(made, trend=0.6)
    assert outcomes(made)["DRIFT002"][0] == "failed"


def test_a_slope_over_years_that_is_none_is_called_one_five_times_in_a_hundred():
    rng = np.random.default_rng(0)
    found = [
        slope(rng.integers(2012, 2023, 150).astype(float), np.abs(rng.normal(0, 8, 150)), np.arange(150), 0.95)
        for _ in range(2000)
    ]
    # 100 of 2,000, with a standard error of 10.
    assert 65 <= sum(each.p_value <= 0.05 for each in found) <= 135
    assert all((each.p_value <= 0.05) == (each.low > 0 or each.high < 0) for each in found)


def test_turned_labels_are_among_the_suspects(make):
    made = make(patients=800, pictures=False)
    rng = np.random.default_rng(0)
    male = (made.frame["patient_sex"] == "M").to_numpy()
    chance = 1 / (1 + np.exp(-rng.normal(np.where(male, 4, -4), 1.5)))
    turned = set(rng.permutation(made.frame["image_key"].to_numpy())[:80].tolist())

    def spoil(frame: pl.DataFrame) -> pl.DataFrame:
        wrong = pl.col("unit_key").is_in(sorted(turned))
        return frame.with_columns(pl.when(wrong).then(1 - pl.col("truth")).otherwise(pl.col("truth")).alias("truth"))

    made.predict("made", "network", "network", "patient_sex", chance, keep=spoil)
    task = gather(made.workspace, "made").tasks[0]
    judged = judged_by("label_noise", task, choose(task))
    tested = set(task.units["unit_key"].to_list()) & turned
    assert judged.offenders == pytest.approx(len(tested), abs=4)


def test_clean_predictions_alarm_at_the_nominal_rate(make: Callable):
    made = make(patients=300, pictures=False)
    alarms = {"SHORT001": 0, "SHORT003": 0, "FAIR001": 0, "FAIR002": 0, "DRIFT002": 0}
    draws = 20
    for seed in range(draws):
        predicted(made, seed=100 + seed)
        for code, (outcome, _) in outcomes(made).items():
            if code in alarms:
                alarms[code] += outcome == "failed"
    # 5 in 100 each: 20 draws give more than 5 alarms once in 3,000 times.
    assert max(alarms.values()) <= 5, alarms


def test_audits_stand_in_the_tables(study):
    from xray_mining.records.check_results import CheckResults
    from xray_mining.records.evaluation_tables import AuditRows

    made = study(patients=300)
    evaluate(made.workspace, "made", QUICK)
    folder = made.workspace.evaluation("made")
    codes = set(CheckResults.read([folder / "check_results.parquet"])["code"])
    assert {
        "SHORT001",
        "SHORT002",
        "SHORT003",
        "FAIR001",
        "FAIR002",
        "NOISE001",
        "DRIFT001",
        "DRIFT002",
        "SIZE001",
        "SIZE002",
    } <= codes
    rows = AuditRows.read([folder / "audits.parquet"])
    assert {"shortcut", "fairness", "label_noise", "drift", "sample_size"} <= set(rows["audit"])


@pytest.mark.parametrize(("shift", "outcome"), [(9.0, "failed"), (0.5, "passed")])
def test_what_hangs_on_the_window_is_told(make, shift, outcome):
    made = make(patients=300, pictures=False)
    age = made.frame["age_years"].to_numpy()
    made.predict("made", "centre", "null", "age_years", np.full(len(age), age.mean()))
    noise = np.random.default_rng(0).normal(0, 4, len(age))

    def with_variant(frame: pl.DataFrame) -> pl.DataFrame:
        tested = frame.filter(pl.col("split") == "test").head(50)
        other = tested.with_columns(pl.lit("window").alias("variant"), (pl.col("value") + shift).alias("value"))
        return pl.concat([frame, other])

    made.predict("made", "network", "network", "age_years", age + noise, keep=with_variant)
    found = outcomes(made)["SHORT002"]
    assert found[0] == outcome and "with another window, the MAE is" in found[1] and "50 unchanged images" in found[1]
    task = gather(made.workspace, "made").tasks[0]
    rows = scores(task, QUICK)
    assert {(each.variant, each.metric) for each in rows} == {("window", m) for m in ("mae", "rmse", "bias")}
    bias = next(each for each in rows if each.metric == "bias")
    assert bias.value == pytest.approx(shift, abs=2.5) and bias.low < bias.value


def test_a_model_without_changed_predictions_is_said_to_have_none(make):
    made = make(patients=200, pictures=False)
    predicted(made)
    assert outcomes(made)["SHORT002"][0] == "not_applicable"


def test_small_cells_that_are_all_right_are_no_discovery():
    """Ten of ten right has no variance of its own, which is no proof that it differs from nine of ten elsewhere."""
    right = np.repeat([1.0, 1.0, 0.0], [10, 180, 20])
    inside = np.arange(210) < 10
    assert difference_of_means(right, inside).p_value > 0.2


@pytest.mark.parametrize("word", ["metadata", "histogram", "border"])
@pytest.mark.parametrize(("years", "outcome"), [(6.0, "passed"), (16.0, "failed")])
def test_grey_levels_and_borders_alarm_from_half_the_score_on(make, word, years, outcome):
    """The network gains about 11 years over guessing; a null that gains 3 of them is a shortcut if it saw metadata."""
    made = make(patients=500, pictures=False)
    rng = np.random.default_rng(2)
    age = made.frame["age_years"].to_numpy()
    made.predict("made", "centre", "null", "age_years", np.full(len(age), age.mean()))
    guess = age.mean() + years * np.sign(age - age.mean())
    made.predict("made", word, "null", "age_years", guess + rng.normal(0, 0.5, len(age)))
    made.predict("made", "network", "network", "age_years", age + rng.normal(0, 4, len(age)))
    assert outcomes(made)["SHORT001"][0] == ("failed" if word == "metadata" else outcome)


def test_the_attribute_that_the_target_leans_on_is_named(make):
    made = make(patients=600, pictures=False)
    predicted(made)
    assert outcomes(made)["SHORT003"][0] == "passed"
    images = made.workspace.parts("made", "images") / "00000.parquet"
    frame = pl.read_parquet(images)
    maker = pl.when(pl.col("age_years") > 55).then(pl.lit("maker B")).otherwise(pl.col("manufacturer"))
    frame.with_columns(maker.alias("manufacturer")).write_parquet(images)
    outcome, sentence = outcomes(made)["SHORT003"]
    assert outcome == "failed" and sentence.startswith("made-all/age_years: manufacturer explains 7")


def test_drift_over_years_says_that_years_are_shifted(make):
    made = make(patients=300, pictures=False)
    predicted(made, trend=0.5)
    assert "shifted by up to a year" in outcomes(made)["DRIFT002"][1]


def test_the_size_of_the_test_set_names_a_null_by_its_kind(make):
    made = make(patients=100, pictures=False)
    long = "null_thumbnail_made_age_years"
    made.predict("made", long, "null", "age_years", np.full(len(made.frame), 50.0), model="thumbnail")
    task = gather(made.workspace, "made").tasks[0]
    audited = AuditedTask(task, QUICK, choose(task), smallest=Smallest(1.0, long, "best_null"))
    (row,), (judged,) = AUDITS.find("smallest_difference").run(audited)
    assert "from thumbnail of less than 1.000" in row.words and "from thumbnail of less than" in judged.sentence
    assert row.attribute == long, "the table keeps the experiment's own name"
