"""evaluate on a workspace whose truth is known."""

import json

import numpy as np
import polars as pl
import pytest

from xray_mining.errors import UserError
from xray_mining.evaluation.evaluate import evaluate
from xray_mining.evaluation.options import EvaluationOptions
from xray_mining.records import evaluation_tables as tables
from xray_mining.records.check_results import CheckResults
from xray_mining.records.estimates import Estimates, Pictures
from xray_mining.records.ledger import Ledger

QUICK = EvaluationOptions(bootstraps=200)


def main_rows(estimates: pl.DataFrame, experiment: str) -> dict[str, dict]:
    rows = estimates.filter(
        (pl.col("experiment") == experiment)
        & (pl.col("baseline") == "")
        & (pl.col("subgroup") == "all")
        & (pl.col("split") == "test")
        & (pl.col("level") == "image")
        & pl.col("operating_point").is_null()
    )
    return {each["metric"]: each for each in rows.to_dicts()}


def test_every_file_is_there_and_has_its_columns(study):
    made = study()
    summary = evaluate(made.workspace, "made", QUICK, question="How old?", statements={"ethics": "none needed"})
    folder = made.workspace.evaluation("made")
    for record in (Estimates, CheckResults, Pictures, Ledger, *tables.ALL):
        frame = record.read([folder / f"{record.table}.parquet"])
        assert frame.columns == record.column_names()
    notes = json.loads((folder / "study.json").read_text())
    assert [each["task"] for each in notes["tasks"]] == ["made-all/age_years", "made-all/patient_sex"]
    age = notes["tasks"][0]
    assert (age["best"], age["best_baseline"], age["frozen"]) == ("network", "boosting", "embedding")
    assert age["centre"] == "centre" and age["oracle"] == "oracle" and age["smallest_difference"] > 0
    assert json.loads((folder / "flow.json").read_text())["cohorts"][0]["steps"][0]["words"] == "all frontal images"
    answers = json.loads((folder / "answer.json").read_text())["answers"]
    assert all(len(each["sentences"]) == 2 for each in answers)
    assert "40 patients" in answers[0]["text"] and answers[0]["text"] in summary.lines()
    assert not [path for path in folder.iterdir() if path.name.startswith(".")]


def test_figures_are_those_of_the_test_units(study):
    made = study()
    evaluate(made.workspace, "made", QUICK)
    estimates = Estimates.read([made.workspace.evaluation("made") / "estimates.parquet"])
    rows = main_rows(estimates, "embedding")
    rotation = made.cohort.rotation(0, "age_years").filter(pl.col("role") == "test")
    frame = pl.read_parquet(made.workspace.experiment("made", "embedding") / "predictions/rotation0-seed-1.parquet")
    tested = frame.filter(pl.col("split") == "test").sort("unit_key")
    error = tested["value"].to_numpy() - rotation["truth"].to_numpy()
    assert rows["mae"]["value"] == pytest.approx(np.abs(error).mean(), rel=1e-12)
    assert rows["rmse"]["value"] == pytest.approx(np.sqrt((error**2).mean()), rel=1e-12)
    assert rows["mae"]["patients"] == rotation.height
    assert rows["mae"]["low"] < rows["mae"]["value"] < rows["mae"]["high"]
    assert rows["rmae"]["value"] < 1 and rows["mae"]["unit"] == "years"
    pairs = estimates.filter((pl.col("baseline") == "boosting") & (pl.col("metric") == "mae"))
    assert set(pairs["experiment"]) == {"centre", "metadata", "embedding", "network", "oracle"}
    assert pairs["p_adjusted"].null_count() == 0 and (pairs["p_adjusted"] >= pairs["p_value"]).all()
    operating = estimates.filter((pl.col("metric") == "sensitivity") & (pl.col("experiment") == "sex_network"))
    assert set(operating["operating_point"].drop_nulls()) == {"youden", "sensitivity 0.9"}


def test_an_area_under_rotations_is_the_mean_over_folds(study):
    from sklearn.metrics import roc_auc_score

    made = study(rotations=5)
    evaluate(made.workspace, "made", QUICK)
    estimates = Estimates.read([made.workspace.evaluation("made") / "estimates.parquet"])
    found = main_rows(estimates, "sex_logistic")["auc"]
    frame = pl.concat(
        pl.read_parquet(path)
        for path in (made.workspace.experiment("made", "sex_logistic") / "predictions").glob("*.parquet")
    ).filter(pl.col("split") == "test")
    areas = [roc_auc_score(each["truth"], each["value"]) for _, each in frame.group_by("fold")]
    assert found["value"] == pytest.approx(np.mean(areas), rel=1e-12)
    assert found["patients"] == 200 and "5 folds" in found["method"]
    assert main_rows(estimates, "network")["mae"]["images"] == 200


def test_patients_with_several_images_are_also_scored_as_patients(study):
    made = study(patients=60, images_each=3)
    evaluate(made.workspace, "made", QUICK)
    estimates = Estimates.read([made.workspace.evaluation("made") / "estimates.parquet"])
    by_patient = estimates.filter((pl.col("level") == "patient") & (pl.col("metric") == "mae"))
    assert set(by_patient["experiment"]) >= {"network", "boosting"}
    assert (by_patient["patients"] == 12).all() and (by_patient["images"] == 36).all()
    assert by_patient["method"].str.starts_with("mean of a patient's images").all()
    image = main_rows(estimates, "boosting")["mae"]
    assert image["patients"] == 12 and image["images"] == 36


def test_cells_with_few_patients_are_nowhere(study):
    made = study(patients=300)
    evaluate(made.workspace, "made", QUICK)
    folder = made.workspace.evaluation("made")
    estimates = Estimates.read([folder / "estimates.parquet"]).filter(pl.col("subgroup") != "all")
    assert estimates.height and estimates["patients"].min() >= 10
    assert {"patient_sex=F", "view_position=PA"} <= set(estimates["subgroup"])
    bands = tables.ErrorByAge.read([folder / "error_by_age.parquet"])
    assert bands.filter(~pl.col("hidden"))["patients"].min() >= 10
    one = tables.TableOne.read([folder / "table_one.parquet"])
    shown = one.filter(~pl.col("hidden") & (pl.col("patients") > 0))
    assert shown["patients"].min() >= 10
    averages = Pictures.read([folder / "pictures.parquet"]).filter(pl.col("kind") == "average")
    assert averages.height >= 6 and averages["images"].min() >= 10
    assert averages["label"].str.contains(r"^(Males|Females), \d+$").all()


def test_an_average_is_the_mean_of_its_age(study):
    import cv2

    made = study(patients=400)
    evaluate(made.workspace, "made", QUICK)
    averages = Pictures.read([made.workspace.evaluation("made") / "pictures.parquet"]).filter(
        pl.col("kind") == "average"
    )
    for row in averages.to_dicts():
        picture = cv2.imdecode(np.frombuffer(row["png"], np.uint8), cv2.IMREAD_UNCHANGED)
        # The made radiographs are flat: their grey is twice the age.
        assert picture.mean() / 2 == pytest.approx(float(row["label"].split(", ")[1]), abs=1.5)


def test_flagged_radiographs_and_ones_with_letters_are_no_cases(study):
    from xray_mining.records.images import Images
    from xray_mining.workspace import ArchiveSettings

    made = study(patients=1500)
    path = made.workspace.parts("made", "images") / "00000.parquet"
    images = Images.read([path])
    flagged = images.with_columns(
        pl.when(pl.col("patient_sex") == "M")
        .then(["burned_in"])
        .otherwise(pl.col("quality_flags"))
        .alias("quality_flags"),
        pl.when(pl.col("view_position") == "AP")
        .then(pl.lit("detected"))
        .otherwise(pl.lit("no"))
        .alias("burned_in_text"),
    )
    Images.write(flagged, path)
    evaluate(made.workspace, "made", QUICK)
    cases = Pictures.read([made.workspace.evaluation("made") / "pictures.parquet"]).filter(pl.col("kind") == "case")
    seen = flagged.filter(pl.col("image_key").is_in(cases["image_key"].to_list()))
    assert cases.height and set(seen["patient_sex"]) == {"F"} and set(seen["view_position"]) == {"PA"}

    # A private archive: no picture was examined, so its owner is asked first.
    known = ArchiveSettings(domain="made", adapter="generic", order=0)
    made.workspace.save(made.workspace.settings.model_copy(update={"archives": {"made": known}}))
    (made.workspace.private / "keys").mkdir(exist_ok=True)
    (made.workspace.private / "keys" / "made.key").write_text("ab" * 32)
    for asked, shown in ((False, 0), (True, cases.height)):
        evaluate(made.workspace, "made", QUICK.model_copy(update={"show_unexamined": asked}))
        frame = Pictures.read([made.workspace.evaluation("made") / "pictures.parquet"])
        assert frame.filter(pl.col("kind") == "case").height == shown


def test_nothing_to_score_is_one_sentence(make):
    made = make(patients=20)
    with pytest.raises(UserError, match="has no predictions yet"):
        evaluate(made.workspace, "made", QUICK)


def test_the_same_predictions_give_the_same_estimates(study):
    made = study()
    first = evaluate(made.workspace, "made", QUICK)
    assert evaluate(made.workspace, "made", QUICK).digest == first.digest


def test_the_share_between_the_limits_is_that_of_the_errors(study):
    made = study()
    evaluate(made.workspace, "made", QUICK)
    estimates = Estimates.read([made.workspace.evaluation("made") / "estimates.parquet"])
    rows = main_rows(estimates, "boosting")
    points = tables.ScatterPoints.read([made.workspace.evaluation("made") / "scatter.parquet"])
    points = points.filter(pl.col("experiment") == "boosting")
    assert points.height <= rows["within_limits"]["images"] == 40
    frame = pl.read_parquet(made.workspace.experiment("made", "boosting") / "predictions/rotation0-seed-1.parquet")
    error = frame.filter(pl.col("split") == "test").select(pl.col("value") - pl.col("truth")).to_series().to_numpy()
    inside = (error >= rows["limit_low"]["value"]) & (error <= rows["limit_high"]["value"])
    assert rows["within_limits"]["value"] == pytest.approx(inside.mean())
    assert rows["within_limits"]["low"] < rows["within_limits"]["value"] <= rows["within_limits"]["high"]


def test_a_check_says_what_it_is_about(study):
    made = study()
    made.predict("made", "unvalidated", "baseline", "patient_sex", np.full(made.frame.height, 0.4), splits=("test",))
    evaluate(made.workspace, "made", QUICK, experiments=("network", "nothing", "unvalidated", "centre"))
    path = made.workspace.evaluation("made") / "check_results.parquet"
    about = {(code, subject) for code, subject in CheckResults.read(path).select("code", "about").iter_rows()}
    assert ("EVAL008", "unvalidated") in about  # an experiment, where a task's code names one
    assert ("EVAL011", "nothing") in about
    assert ("SIZE001", "made-all/age_years") in about and ("SHORT001", "made-all/patient_sex") in about
    assert ("GATE001", "made-all") in about
    # A part of before the column was there speaks of the whole study.
    pl.read_parquet(path).drop("about").write_parquet(path)
    assert set(CheckResults.read(path)["about"]) == {""}


def test_failed_checks_stand_before_the_answers_that_they_touch(study):
    made = study()
    made.predict("made", "unvalidated", "baseline", "patient_sex", np.full(made.frame.height, 0.4), splits=("test",))
    summary = evaluate(made.workspace, "made", QUICK, experiments=("network", "nothing", "unvalidated", "centre"))
    said = json.loads((made.workspace.evaluation("made") / "answer.json").read_text())
    codes = [{each["code"] for each in answer["checks"]} for answer in said["answers"]]
    assert "EVAL011" in {each["code"] for each in said["checks"]}  # about an experiment that no answer rests on
    assert "EVAL008" not in codes[0] and "EVAL008" in codes[1]
    lines = summary.lines()
    (absent,) = (place for place, line in enumerate(lines) if "EVAL011" in line)
    (unvalidated,) = (place for place, line in enumerate(lines) if "EVAL008" in line)
    age, sex = (lines.index(answer["text"]) for answer in said["answers"])
    assert absent < age < unvalidated < sex
    assert "Has no predictions for validation patients" in lines[unvalidated], "its experiment is named by the words"
    assert len(lines) == len(set(lines))


def test_a_model_that_is_worse_than_guessing_is_called_that(study):
    made = study(pictures=False)
    age = made.frame["age_years"].to_numpy()
    rng = np.random.default_rng(1)
    made.predict("elsewhere", "guess", "null", "age_years", np.full(len(age), 50.0), model="centre")
    made.predict("elsewhere", "biased", "frozen", "age_years", age + 30 + rng.normal(0, 3, len(age)))
    evaluate(made.workspace, "elsewhere", QUICK)
    folder = made.workspace.evaluation("elsewhere")
    check = CheckResults.read(folder / "check_results.parquet").filter(code="SKILL001").row(0, named=True)
    assert check["outcome"] == "failed" and "biased has " in check["sentence"]
    (answer,) = json.loads((folder / "answer.json").read_text())["answers"]
    assert "; it is worse than guessing the centre" in answer["text"]
    assert "SKILL001" in {each["code"] for each in answer["checks"]}


def test_a_model_that_is_as_good_as_guessing_is_not_called_worse(study):
    made = study(pictures=False)
    sex = (made.frame["patient_sex"] == "M").cast(float).to_numpy()
    noise = np.random.default_rng(4).uniform(size=len(sex))
    made.predict("coin", "noise", "frozen", "patient_sex", noise)
    made.predict("coin", "turned", "baseline", "patient_sex", 0.8 * (1 - sex) + 0.2 * noise)
    evaluate(made.workspace, "coin", QUICK)
    check = CheckResults.read(made.workspace.evaluation("coin") / "check_results.parquet").filter(code="SKILL001")
    sentence = check["sentence"][0]
    assert check["outcome"].to_list() == ["failed"] and check["offenders"].to_list() == ["1"]
    assert "turned has an area under the ROC curve of 0.000" in sentence
    assert "Not shown to be better than guessing: noise." in sentence
    (answer,) = json.loads((made.workspace.evaluation("coin") / "answer.json").read_text())["answers"]
    assert "; it is not shown to be better than guessing, which has 0.5" in answer["text"]


def test_no_answer_is_given_on_few_patients(study):
    made = study(pictures=False)
    evaluate(made.workspace, "made", EvaluationOptions(bootstraps=100, least_patients=41))
    answers = json.loads((made.workspace.evaluation("made") / "answer.json").read_text())["answers"]
    assert [len(each["sentences"]) for each in answers] == [1, 1]
    assert all("only 40 patients were tested, and an answer needs at least 41" in each["text"] for each in answers)
    evaluate(made.workspace, "made", EvaluationOptions(bootstraps=100, least_patients=40))
    answers = json.loads((made.workspace.evaluation("made") / "answer.json").read_text())["answers"]
    assert [len(each["sentences"]) for each in answers] == [2, 2]


def test_the_thumbnail_is_no_model_without_anatomy_and_nulls_have_short_names(study):
    made = study(pictures=False)
    age = made.frame["age_years"].to_numpy()
    rng = np.random.default_rng(2)
    for model, spread in (("thumbnail", 8.0), ("histogram", 12.0)):
        name = f"null_{model}_all_age_years"
        made.predict("made", name, "null", "age_years", age + rng.normal(0, spread, len(age)), model=model)
    evaluate(made.workspace, "made", QUICK)
    folder = made.workspace.evaluation("made")
    notes = json.loads((folder / "study.json").read_text())["tasks"][0]
    assert (notes["best_null"], notes["blind"]) == ("null_thumbnail_all_age_years", "null_histogram_all_age_years")
    text = json.loads((folder / "answer.json").read_text())["answers"][0]["text"]
    assert "sees no anatomy and was best on validation patients (histogram) is −" in text and "thumbnail" not in text
