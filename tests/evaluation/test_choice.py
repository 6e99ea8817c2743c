"""How the best model is chosen, what is told of it, and which verdict the numbers get."""

import json
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from xray_mining.evaluation.answer import answer
from xray_mining.evaluation.choice import choose
from xray_mining.evaluation.comparisons import OTHER_NULLS, adjusted, compare, smallest
from xray_mining.evaluation.evaluate import evaluate
from xray_mining.evaluation.gather import gather
from xray_mining.evaluation.options import EvaluationOptions
from xray_mining.evaluation.pictures import fit_to_show
from xray_mining.evaluation.provenance import without_paths
from xray_mining.models.kinds import KINDS
from xray_mining.records.check_results import CheckResults
from xray_mining.records.estimates import EstimateRow, Estimates
from xray_mining.statistics.comparison import holm
from xray_mining.workspace import write_json

QUICK = EvaluationOptions(bootstraps=100)


def test_under_one_rotation_nobody_who_decides_is_tested(study):
    made = study(pictures=False)
    assert {choose(task).how for task in gather(made.workspace, "made").tasks} == {"apart"}


def test_under_all_rotations_pooled_scores_are_told_and_a_choice_inside_them_is_preferred(study):
    made = study(rotations=5, pictures=False)
    assert {choose(task).how for task in gather(made.workspace, "made").tasks} == {"pooled"}
    age = made.frame["age_years"].to_numpy()
    noise = np.random.default_rng(1).normal(0, 5, len(age))
    made.predict("made", "chooser", "ensemble", "age_years", age + noise, rotations=5)
    notes = made.workspace.experiment("made", "chooser") / "experiment.json"
    told = json.loads(notes.read_text())
    for rule, how, best in (("mean", "pooled", "network"), ("best", "within", "chooser")):
        write_json(told | {"options": {"model": "ensemble", "rule": rule}}, notes)
        choice = choose(gather(made.workspace, "made").tasks[0])
        assert choice.how == how
        assert (choice.best == best) if rule == "best" else choice.best in ("network", "chooser")


def row(experiment: str, baseline: str, p: float | None, **more) -> EstimateRow:
    plain = EstimateRow(
        experiment=experiment, experiment_digest="", model_kind="network", cohort_digest="", target="age_years",
        metric="auc", unit="", level="image", patients=40, images=40, value=4.0, low=3.0, high=5.0, method="",
        baseline=baseline, p_value=p,
    )  # fmt: skip
    return replace(plain, **more)


def test_a_pair_of_baselines_counts_once_in_the_family():
    rows = [row("frozen", "ridge", 0.01), row("network", "ridge", 0.02), row("ridge", "frozen", 0.0101)]
    found = adjusted(rows, "here")
    assert [each.p_adjusted for each in found] == pytest.approx([*holm([0.01, 0.02]), holm([0.01, 0.02])[0]])
    assert found[2].p_value == 0.01


def test_more_nulls_do_not_weaken_the_other_comparisons():
    rows = [row("network", "ridge", 0.01), row("network", "thumbnail", 0.02)]
    alone = [each.p_adjusted for each in adjusted(rows, "here", "thumbnail")]
    nulls = [row(name, "ridge", 0.9, model_kind="null") for name in ("border", "centre", "metadata")]
    found = adjusted([*rows, *nulls], "here", "thumbnail")
    assert [each.p_adjusted for each in found[:2]] == alone
    assert {each.family for each in found} == {"here: auc, all comparisons", "here: auc, other nulls"}


def test_the_best_null_without_anatomy_is_compared_with_the_others():
    rows = [
        row("network", "metadata", 0.01),
        row("metadata", "ridge", 0.04, model_kind="null"),
        row("border", "ridge", 0.3, model_kind="null"),
    ]
    found = adjusted(rows, "here", "thumbnail", "metadata")
    assert [each.family.endswith(OTHER_NULLS) for each in found] == [False, False, True]


def test_the_adjusted_p_decides_what_is_said(study):
    made = study(pictures=False)
    task = gather(made.workspace, "made").tasks[0]
    choice = choose(task)
    rows = [row(name, "", None, metric="mae") for name in ("network", "boosting")]
    pair = row("network", "boosting", 0.01, metric="mae", value=-1.0, low=-1.9, high=-0.1, family="all")
    for p, words in (
        (0.2, "may be due to chance: −1.00 years (−1.90 to −0.10; p 0.010, not adjusted because it is the only"),
        (0.03, "difference is −1"),
    ):
        text = answer(task, [*rows, replace(pair, p_adjusted=p)], choice, 0.95).text
        assert words in text and "-" not in text


@pytest.mark.parametrize(("value", "named"), [(2.5, True), (3.5, False), (9.0, False)])
def test_a_model_that_tested_better_than_the_chosen_one_is_named(study, value, named):
    made = study(pictures=False)
    task = gather(made.workspace, "made").tasks[0]
    choice = choose(task)
    values = {"boosting": value, choice.best: 4.0}
    rows = [row(name, "", None, metric="mae", unit="years", value=each) for name, each in values.items()]
    text = answer(task, rows, choice, 0.95).text
    assert ("boosting, which was not chosen, reached 2.50 years (" in text) == named


@pytest.mark.parametrize("kind", sorted(name for name, kind in KINDS.every().items() if not kind.may_be_best))
def test_who_may_not_be_chosen_is_not_said_to_have_been_passed_over(study, kind):
    made = study(pictures=False)
    task = gather(made.workspace, "made").tasks[0]
    models = {**task.models, "boosting": replace(task.models["boosting"], kind=kind)}
    task = replace(task, models=models)
    choice = choose(task)
    values = {"boosting": 2.5, choice.best: 4.0}
    rows = [row(name, "", None, metric="mae", unit="years", value=each) for name, each in values.items()]
    assert "not chosen" not in answer(task, rows, choice, 0.95).text


def test_the_rival_of_the_smallest_difference_has_its_name(study):
    made = study(pictures=False)
    evaluate(made.workspace, "made", QUICK)
    folder = made.workspace.evaluation("made")
    age, sex = json.loads((folder / "study.json").read_text())["tasks"]
    assert (age["smallest_rival"], age["smallest_rival_role"]) == ("boosting", "best_baseline")
    assert (sex["smallest_rival"], age["chosen"], age["unanswered"]) == ("sex_logistic", "apart", {})
    frame = CheckResults.read([folder / "check_results.parquet"]).filter(pl.col("code") == "SIZE002")
    assert any("from boosting of less than" in sentence for sentence in frame["sentence"])
    # Without the network the handcrafted model is the best itself, so the frozen embedding is the rival.
    task = gather(made.workspace, "made", ["boosting", "embedding", "centre"]).tasks[0]
    choice = choose(task)
    found = smallest(task, choice)
    assert choice.best == "embedding" and found is not None and found.rival == "boosting"


def test_experiments_on_an_earlier_freeze_stand_aside(study):
    made = study(pictures=False)
    old = made.cohort.digest
    members = made.cohort.members()
    newer = made.cohort.folder.parent / ("f" * 32)
    newer.mkdir()
    for path in made.cohort.folder.iterdir():
        (newer / path.name).write_bytes(path.read_bytes())
    raw = json.loads((newer / "cohort.json").read_text())
    write_json(raw | {"digest": newer.name}, newer / "cohort.json")
    write_json({"digest": newer.name}, newer.parent / "latest.json")
    for name in ("boosting", "network"):
        for path in (made.workspace.experiment("made", name) / "predictions").glob("*.parquet"):
            pl.read_parquet(path).with_columns(pl.lit(newer.name).alias("cohort_digest")).write_parquet(path)
    evaluate(made.workspace, "made", QUICK)
    folder = made.workspace.evaluation("made")
    tasks = json.loads((folder / "study.json").read_text())["tasks"]
    assert [each["experiments"] for each in tasks] == [["boosting", "network"]]
    estimates = Estimates.read([folder / "estimates.parquet"])
    assert set(estimates["cohort_digest"]) == {newer.name} and old != newer.name and members.height
    failed = CheckResults.read([folder / "check_results.parquet"]).filter(pl.col("code") == "EVAL012")
    assert "sex_network" in failed["sentence"][0] and failed["outcome"].to_list() == ["failed"]


def test_several_classes_are_compared_by_their_macro_area(make):
    made = make(patients=300, pictures=False)
    rng = np.random.default_rng(3)
    male = (made.frame["patient_sex"] == "M").to_numpy().astype(float)
    sharp, dull = (1 / (1 + np.exp(-(shift * (male - 0.5) + rng.normal(0, 1, len(male))))) for shift in (3.0, 0.5))
    raw = json.loads((made.cohort.folder / "cohort.json").read_text())
    raw["targets"][1] |= {"kind": "group", "positive": ""}
    write_json(raw, made.cohort.folder / "cohort.json")

    def both_classes(frame: pl.DataFrame) -> pl.DataFrame:
        men = frame.with_columns(pl.lit("M").alias("class"))
        women = frame.with_columns(
            pl.lit("F").alias("class"), (1 - pl.col("value")).alias("value"), (1 - pl.col("truth")).alias("truth")
        )
        return pl.concat([women, men])

    made.predict("made", "sharp", "network", "patient_sex", sharp, keep=both_classes)
    made.predict("made", "dull", "baseline", "patient_sex", dull, keep=both_classes)
    task = gather(made.workspace, "made").tasks[0]
    rows = [each for each in compare(task, QUICK, choose(task)) if each.metric == "auc_macro"]
    assert [each.experiment for each in rows] == ["sharp"] and rows[0].value > 0.2
    assert rows[0].low > 0 and rows[0].p_adjusted < 0.001


def test_no_path_stands_in_what_is_written(study):
    made = study(pictures=False)
    file = {
        "question": "How old?",
        "ingest": {"mapping": "/secret/place/mapping.csv"},
        "experiments": {"network": {"model": "network", "weights": "/secret/place/w.pt"}},
        "cohorts": {"age": {"query": "../secret/age.sql", "parameters": {"list": "/secret/ids.csv"}}},
        "embeddings": {"e": {"weights": "C:\\secret\\w.pt"}},
        "grey": "mean and/or median",
    }
    notes = made.workspace.experiment("made", "network") / "experiment.json"
    write_json(json.loads(notes.read_text()) | {"licences": {"/secret/place/w.pt": "own"}}, notes)
    evaluate(made.workspace, "made", QUICK, study_file=file)
    for path in made.workspace.evaluation("made").glob("*.json"):
        assert "secret" not in path.read_text(), path.name
    told = json.loads((made.workspace.evaluation("made") / "provenance.json").read_text())
    assert told["study"]["ingest"] == {"mapping": "mapping.csv"} and told["study"]["grey"] == "mean and/or median"
    assert without_paths({"command": "xray-mining run demo", "weights": "timm/resnet"})["weights"] == "resnet"
    assert without_paths({"table": "/data/St Mary/x.yaml"})["table"] == "x.yaml"


def test_a_small_radiograph_may_be_shown_and_a_bordered_one_not():
    flags = pl.Series(
        [[], ["low_resolution"], ["border"], ["border", "low_resolution"], None], dtype=pl.List(pl.String)
    )
    frame = pl.DataFrame({"quality_flags": flags, "burned_in_text": [None] * 5, "number": range(5)})
    assert fit_to_show(frame)["number"].to_list() == [0, 1, 4]
    assert fit_to_show(frame.with_columns(pl.lit("detected").alias("burned_in_text"))).is_empty()


def test_an_experiment_without_validation_is_not_said_to_be_clean(make):
    made = make(pictures=False)
    age = made.frame["age_years"].to_numpy()
    made.predict("made", "boosting", "baseline", "age_years", age + 1, splits=("test",))
    evaluate(made.workspace, "made", QUICK)
    frame = CheckResults.read([made.workspace.evaluation("made") / "check_results.parquet"])
    gate = frame.filter(pl.col("code") == "GATE002").row(0, named=True)
    assert gate["outcome"] == "not_applicable" and "they have no validation predictions: boosting" in gate["sentence"]
