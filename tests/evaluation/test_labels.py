"""Several labels of an image: scores of a workspace whose truth is known, some of it not."""

import json

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from xray_mining.evaluation.cohorts import FOLD, table_one
from xray_mining.evaluation.evaluate import evaluate
from xray_mining.evaluation.gather import attributes, gather
from xray_mining.evaluation.options import EvaluationOptions
from xray_mining.evaluation.targets.binary import KIND as BINARY
from xray_mining.records.check_results import CheckResults
from xray_mining.records.cohort import Target
from xray_mining.records.estimates import Estimates
from xray_mining.records.evaluation_tables import CalibrationBins, RocPoints, TableOne
from xray_mining.records.predictions import Predictions
from xray_mining.reporting.results import Results
from xray_mining.reporting.sections import labels as labels_section
from xray_mining.reporting.sections import table_one as table_one_section
from xray_mining.statistics.comparison import holm
from xray_mining.workspace import write_json

QUICK = EvaluationOptions(bootstraps=100, sensitivity_targets=[])
NAMES = ("effusion", "nodule", "rare")


def truths_of(made, seed=3):
    """(n, 3): effusion and nodule, the latter unknown for some, and a label that no test patient has."""
    rng = np.random.default_rng(seed)
    count = made.frame.height
    truth = np.stack([rng.random(count) < 0.4, rng.random(count) < 0.2, rng.random(count) < 0.1], axis=1).astype(float)
    truth[rng.random(count) < 0.3, 1] = np.nan
    truth[made.frame["fold"].to_numpy() == 0, 2] = 0
    return truth


truths_of_all = truths_of
"""Kept under another name for a test that puts other truths in place of `truths_of`."""


def predict(made, name, kind, truth, strength, *, calibrated=(), rotations=1, seed=0):
    """Predictions of all labels; those of the first are calibrated in the rotations `calibrated`."""
    rng = np.random.default_rng([seed, len(name)])
    score = np.nan_to_num(truth, nan=0.3) * strength + rng.normal(0, 1, truth.shape)
    chance = 1 / (1 + np.exp(1 - score))
    folder = made.workspace.experiment("made", name)
    for rotation in range(rotations):
        roles = (
            made.cohort.rotation(rotation, "findings").select("image_key", "patient_key", "role").unique("image_key")
        )
        frame = made.frame.select("image_key").with_row_index("place").join(roles, on="image_key")
        frame = frame.filter(pl.col("role") != "train").sort("place")
        place = frame["place"].to_numpy()
        parts = [
            frame.select(
                pl.lit("made").alias("study"),
                pl.lit(name).alias("experiment"),
                pl.lit(f"digest-{name}").alias("experiment_digest"),
                pl.lit(kind).alias("model_kind"),
                pl.lit(made.cohort.digest).alias("cohort_digest"),
                pl.lit("findings").alias("target"),
                pl.lit(label).alias("class"),
                pl.lit(-1).alias("seed"),
                pl.lit(rotation).alias("fold"),
                pl.col("role").alias("split"),
                pl.lit("").alias("variant"),
                pl.lit("image").alias("level"),
                pl.col("image_key").alias("unit_key"),
                "patient_key",
                pl.Series("truth", truth[place, i]).fill_nan(None),
                pl.Series("value", chance[place, i]),
                pl.Series(
                    "value_calibrated",
                    # A fit whose map helps for one label writes the other labels' own values as calibrated ones.
                    chance[place, i] ** (1 + (i == 0)) if rotation in calibrated else [None] * len(place),
                    dtype=pl.Float64,
                ),
            )
            for i, label in enumerate(NAMES)
        ]
        Predictions.write(pl.concat(parts, how="vertical_relaxed"), folder / f"predictions/rotation{rotation}.parquet")
    write_json({"options": {"model": name}, "digest": f"digest-{name}", "kind": kind}, folder / "experiment.json")
    return chance


@pytest.fixture
def labelled(make):
    """A cohort with three labels, and their truths (n, 3)."""

    def build(**how):
        made = make(**how)
        truth = truths_of(made)
        rows = pl.concat(
            made.frame.select(
                "image_key",
                pl.lit("findings").alias("target"),
                pl.Series("value", truth[:, i]).fill_nan(None),
                pl.lit(label).alias("label"),
                pl.lit("0" * 32).alias("cohort_digest"),
            )
            for i, label in enumerate(NAMES)
        )
        target = Target("findings", "labels", classes=NAMES, made_of=("findings",), made_of_from="header")
        cohort = made.cohort
        (cohort.folder / "cohort.json").unlink()
        object.__setattr__(cohort, "targets", (target,))
        made.cohort = cohort.save(made.workspace, cohort.members(), rows.clear())
        rows.write_parquet(made.cohort.folder / "cohort_targets.parquet")
        return made, truth

    return build


def estimates_of(made):
    return Estimates.read(made.workspace.evaluation("made") / "estimates.parquet")


def one(rows, experiment, metric, label="", **more):
    wanted = {"experiment": experiment, "metric": metric, "class": label, "baseline": "", "subgroup": "all"}
    wanted |= {"split": "test"} | more
    found = rows.filter(*[pl.col(name) == value for name, value in wanted.items()])
    assert found.height == 1, wanted
    return found.row(0, named=True)


def test_each_label_is_scored_by_units_whose_truth_is_known(labelled):
    made, truth = labelled(patients=800)
    chance = predict(made, "strong", "network", truth, 2.5, calibrated=(0,))
    predict(made, "weak", "baseline", truth, 0.7)
    evaluate(made.workspace, "made", QUICK)
    rows = estimates_of(made)
    tested = made.frame["fold"].to_numpy() == 0
    areas = []
    for i, label in enumerate(NAMES[:2]):
        units = tested & np.isfinite(truth[:, i])
        row = one(rows, "strong", "auc", label)
        areas.append(roc_auc_score(truth[units, i], chance[units, i]))
        assert row["value"] == pytest.approx(areas[-1]) and row["images"] == units.sum()
        assert row["low"] < row["value"] < row["high"]
        precision = one(rows, "strong", "average_precision", label)["value"]
        assert precision == pytest.approx(average_precision_score(truth[units, i], chance[units, i]))
        assert one(rows, "strong", "sensitivity", label)["operating_point"] == "youden"
        assert one(rows, "strong", "brier", label)["low"] is not None
    assert one(rows, "strong", "auc_macro")["value"] == pytest.approx(np.mean(areas))
    assert not rows.filter(pl.col("class") == "rare").height  # no test patient has it

    notes = json.loads((made.workspace.evaluation("made") / "study.json").read_text())
    [task] = notes["tasks"]
    assert task["best"] == "strong" and task["metric"] == "auc_macro" and task["classes"] == list(NAMES)
    answers = json.loads((made.workspace.evaluation("made") / "answer.json").read_text())["answers"]
    assert "distinguishes present from absent for 3 labels of findings" in answers[0]["text"]
    assert "sees no anatomy" not in answers[0]["text"]  # no null was trained

    checks = CheckResults.read(made.workspace.evaluation("made") / "check_results.parquet")
    sentences = dict(checks.select("code", "sentence").iter_rows())
    assert "all test patients have rare, or no test patient has it; areas of rare" in sentences["SIZE001"]
    assert "targets of kind labels are not searched for wrong labels" in sentences["NOISE001"]
    assert "a true difference in mean AUC from weak of less than" in sentences["SIZE002"]

    drawn = RocPoints.read(made.workspace.evaluation("made") / "roc.parquet")
    assert set(drawn["class"]) == {"effusion", "nodule"}
    bins = CalibrationBins.read(made.workspace.evaluation("made") / "calibration.parquet")
    of_strong = bins.filter(pl.col("experiment") == "strong")
    assert dict(of_strong.group_by("class").agg(pl.col("calibrated").all()).iter_rows()) == {
        "effusion": True,
        "nodule": False,
    }


def test_models_are_compared_label_by_label_with_holm_and_by_the_mean(labelled):
    made, truth = labelled(patients=500)
    predict(made, "strong", "network", truth, 2.5, rotations=5)
    predict(made, "middle", "network", truth, 1.1, rotations=5)
    predict(made, "weak", "baseline", truth, 0.7, rotations=5)
    evaluate(made.workspace, "made", QUICK)
    against = estimates_of(made).filter(pl.col("baseline") == "weak")
    areas = against.filter(pl.col("metric") == "auc")
    assert set(areas["experiment"]) == {"strong", "middle"} and areas["family"].n_unique() == 2
    for name in ("strong", "middle"):
        own = areas.filter(pl.col("experiment") == name)
        assert set(own["class"]) == set(NAMES) and own["family"].n_unique() == 1
        # The third model weakens no label of these two: only their three labels are counted.
        assert own["p_adjusted"].to_list() == pytest.approx(holm(own["p_value"].to_list()))
    assert areas["p_value"].gt(1e-12).any(), "zero stays zero, whatever the family"
    means = against.filter(pl.col("metric") == "auc_macro")
    assert means["family"].n_unique() == 1
    assert means["p_adjusted"].to_list() == pytest.approx(holm(means["p_value"].to_list()))
    pairs = areas.filter(pl.col("experiment") == "strong")
    [macro] = means.filter(pl.col("experiment") == "strong").to_dicts()
    assert macro["value"] == pytest.approx(pairs["value"].mean()) and macro["low"] > 0
    assert "predicted again" not in (macro["caution"] or "")  # every unit is, though some truths are not known
    [task] = json.loads((made.workspace.evaluation("made") / "study.json").read_text())["tasks"]
    shown = (macro["high"] - macro["value"]) / 1.96 * (1.96 + 0.84)
    assert task["smallest_rival"] == "weak" and task["smallest_difference"] == pytest.approx(shown, rel=0.02)


def test_subgroups_have_the_mean_area_and_a_test_against_the_rest(labelled):
    made, truth = labelled(patients=600)
    worse = np.where((made.frame["patient_sex"] == "F").to_numpy()[:, None], truth, np.nan)
    predict(made, "uneven", "network", worse, 3.0, rotations=5)
    folder = made.workspace.experiment("made", "uneven") / "predictions"
    written = sorted(folder.glob("*.parquet"))
    assert len(written) == 5, "a file for each rotation"
    for path in written:
        frame = Predictions.read(path)
        known = pl.concat(
            made.frame.select(pl.col("image_key").alias("unit_key"), pl.lit(label).alias("class")).with_columns(
                pl.Series("truth", truth[:, j]).fill_nan(None)
            )
            for j, label in enumerate(NAMES)
        )
        Predictions.write(frame.drop("truth").join(known, on=["unit_key", "class"]), path)
    evaluate(made.workspace, "made", QUICK)
    rows = estimates_of(made).filter(
        pl.col("subgroup").str.starts_with("patient_sex="), pl.col("metric") == "auc_macro"
    )
    found = {row["subgroup"]: row for row in rows.to_dicts()}
    assert found["patient_sex=F"]["value"] > 0.8 > found["patient_sex=M"]["value"]
    assert found["patient_sex=F"]["p_adjusted"] < 0.001


def test_a_group_has_the_mean_over_the_labels_that_it_is_tested_by(labelled, monkeypatch):
    """Without the hard label, which no woman has, a group's mean would look better than everybody's."""
    monkeypatch.setattr(f"{__name__}.truths_of", _hard_in_men)
    made, truth = labelled(patients=900)
    chance = predict(made, "strong", "network", truth * (2, 0.3, 1), 1.5)
    folder = made.workspace.experiment("made", "strong") / "predictions"
    for path in folder.glob("*.parquet"):  # `predict` writes what it is given as truths, too
        frame = Predictions.read(path)
        Predictions.write(frame.with_columns((pl.col("truth") > 0).cast(pl.Float64)), path)
    evaluate(made.workspace, "made", QUICK)
    rows = estimates_of(made)
    tested, men = (made.frame["fold"] == 0).to_numpy(), (made.frame["patient_sex"] == "M").to_numpy()
    for sex, inside in (("M", tested & men), ("F", tested & ~men)):
        row = one(rows, "strong", "auc_macro", subgroup=f"patient_sex={sex}")
        assert row["value"] == pytest.approx(roc_auc_score(truth[inside, 0], chance[inside, 0]))
        assert "mean over 1 of 2 labels" in row["caution"] and row["p_value"] > 0.001
    assert one(rows, "strong", "auc_macro")["value"] < row["value"] - 0.05


def _hard_in_men(made):
    truth = np.nan_to_num(truths_of_all(made))
    truth[(made.frame["patient_sex"] == "F").to_numpy(), 1] = 0
    return truth


def test_what_is_not_known_is_counted(labelled):
    made, truth = labelled(patients=300)
    predict(made, "strong", "network", truth, 2.5)
    evaluate(made.workspace, "made", QUICK)
    checks = pl.read_parquet(made.workspace.evaluation("made") / "check_results.parquet")
    [row] = checks.filter(pl.col("code") == "EVAL016").to_dicts()
    unknown = int(np.isnan(truth[made.frame["fold"].to_numpy() == 0, 1]).sum())
    assert row["outcome"] == "passed" and f"nodule {unknown} of 60 test units" in row["sentence"]


def test_table_one_has_the_prevalence_of_each_label_by_role(labelled):
    made, truth = labelled(patients=500)
    predict(made, "strong", "network", truth, 2.5)
    evaluate(made.workspace, "made", QUICK)
    rows = TableOne.read(made.workspace.evaluation("made") / "table_one.parquet")
    rows = rows.filter(variable="findings: nodule", level="present")
    assert {"all", "train", "validation", "test"} <= set(rows["column"])
    counted = {row["column"]: row for row in rows.to_dicts()}
    tested = made.frame["fold"].to_numpy() == 0
    assert counted["all"]["patients"] == int((truth[:, 1] == 1).sum())
    assert counted["test"]["share"] == pytest.approx((truth[tested, 1] == 1).mean())


def test_each_label_says_in_how_many_fits_its_own_map_helped(labelled):
    made, truth = labelled(patients=300, pictures=False)
    predict(made, "strong", "network", truth, 2.5, calibrated=(0, 1), rotations=5)
    (task,) = gather(made.workspace, "made").tasks
    model = task.models["strong"]
    assert model.calibrated_by_class == {"effusion": 2} and model.calibrated_fits == 2
    scored = {name: list(BINARY.scores(part, part.models["strong"], QUICK)) for name, part in task.parts.items()}
    said = {name: next(each for each in rows if each.metric == "brier").found.method for name, rows in scored.items()}
    assert said["effusion"].endswith("probabilities of 2 of 5 fits after calibration on validation patients")
    assert said["nodule"].endswith("probabilities as the model gave them")


def test_table_one_has_the_prevalence_of_each_label_by_fold_where_there_are_no_roles(labelled):
    made, truth = labelled(patients=500, pictures=False)
    rows = table_one(made.cohort, attributes(made.workspace, [made.cohort]), 10, 10, rotations=5)
    folds = made.frame["fold"].to_numpy()
    by_fold = [row for row in rows if row["column"].startswith(FOLD)]
    assert {row["variable"] for row in by_fold} == {f"findings: {name}" for name in NAMES}
    known = {"present": 1.0, "absent": 0.0}
    for row in rows:
        _, _, name = row["variable"].partition("findings: ")
        if row["column"] not in {"all", *(f"{FOLD}{each}" for each in range(5))} or not name:
            continue
        inside = np.ones(500, dtype=bool) if row["column"] == "all" else folds == int(row["column"].removeprefix(FOLD))
        answers = truth[inside, NAMES.index(name)]
        count = int((answers == known[row["level"]]).sum()) if row["level"] in known else int(np.isnan(answers).sum())
        assert row["hidden"] or (row["patients"], row["share"]) == (count, count / inside.sum())
        assert row["hidden"] or not 0 < row["patients"] < 10
        assert row["column"] != "all" or not row["hidden"], "folds must not hide what is known of all patients"
    # A hidden cell does not follow from its row or its column, and empty cells are printed.
    rare = {(row["column"], row["level"]): row for row in by_fold if row["variable"] == "findings: rare"}
    assert rare[f"{FOLD}0", "present"]["patients"] == 0
    hidden = [key for key, row in rare.items() if row["hidden"]]
    assert hidden
    for column, level in hidden:
        assert sum(each[1] == level for each in hidden) > 1 < sum(each[0] == column for each in hidden)


def test_table_one_by_fold_is_a_table_of_the_page(labelled, tmp_path):
    made, truth = labelled(patients=200, pictures=False)
    predict(made, "strong", "network", truth, 2.5, rotations=5)
    evaluate(made.workspace, "made", QUICK)
    section = table_one_section.build(Results.load(made.workspace.evaluation("made")))
    main, folds = section.tables
    assert not [column.title for column in main.columns if column.title.startswith("Fold")]
    assert [column.title for column in folds.columns] == ["", "All", *(f"Fold {each}" for each in range(5))]
    labels = [row.cells[0].text for row in folds.rows]
    assert "Findings: effusion: present" in labels and not [each for each in labels if "Age" in each]
    assert "as on the latest image" in section.sentence
    # Label by label the page says how many test patients have the label, as Table 1 does.
    best = labels_section.build(Results.load(made.workspace.evaluation("made"))).tables[0]
    assert [column.title for column in best.columns[:3]] == ["Label", "Patients", "With"]
    said = {row.cells[0].text: row.cells[2].text for row in best.rows}
    assert said["effusion"] == str(int((truth[:, 0] == 1).sum())) and set(said) == set(NAMES)
