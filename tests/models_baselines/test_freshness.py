"""Predictions that were made by other options than today's study file says are not scored, and are named."""

import json
import shutil
from types import SimpleNamespace

import pytest

from xray_mining.catalog.cohort import freeze
from xray_mining.catalog.options import CohortOptions
from xray_mining.errors import CheckFailed, UserError
from xray_mining.evaluation.answer import with_failed_checks
from xray_mining.features.instrument import Features
from xray_mining.models.experiment import run, standings
from xray_mining.models.freshness import cohort_differences
from xray_mining.models.task import Task
from xray_mining.records.answers import Answer
from xray_mining.records.check_results import CheckRow
from xray_mining.records.predictions import Predictions
from xray_mining.sets.measure import measure
from xray_mining.study.current import find_study, refuse_old_evaluation, refuse_stale_model
from xray_mining.workspace import digest_of, write_json

EXPERIMENTS = {
    "alpha": {"model": "ridge", "features": ["f"]},
    "beta": {"model": "ridge", "features": ["g"]},
    "both": {"model": "ensemble", "members": ["alpha", "beta"]},
}


@pytest.fixture
def trained(small):
    made = small("number years", "number::double", EXPERIMENTS, design={"changed_images": 0})
    made.train()
    return made


def outcomes(made):
    return {
        each.experiment: each
        for each in standings(made.workspace, made.study)
        if not each.experiment.startswith("null")
    }


def with_options(made, name, **options):
    experiments = made.study.model_dump(mode="json")["experiments"]
    experiments[name] |= options
    return made.changed(experiments=experiments)


def test_what_was_just_trained_is_fresh(trained):
    assert {each.outcome for each in outcomes(trained).values()} == {"fresh"}
    _, checks = trained.evaluate()
    assert not {"EVAL014", "EVAL015"} & set(checks["code"])


def test_another_model_is_named_and_neither_it_nor_its_ensemble_is_scored(trained):
    after = with_options(trained, "alpha", model="support_vectors")
    found = outcomes(after)
    assert {name: each.outcome for name, each in found.items()} == {"alpha": "stale", "beta": "fresh", "both": "stale"}
    assert "model: ridge before, support_vectors now" in found["alpha"].sentence
    assert "its member alpha" in found["both"].sentence
    made, checks = after.evaluate()
    failed = checks.filter(checks["code"] == "EVAL014")
    assert failed.select("about", "severity", "outcome").rows() == [
        ("alpha", "error", "failed"),
        ("both", "error", "failed"),
    ]
    assert made.experiments == 1
    [answer] = made.answers
    assert "(beta)" in answer.text, "the answer rests on what is fresh"
    assert [each.code for each in answer.checks].count("EVAL014") == 2
    notes = json.loads((after.workspace.evaluation(after.study.study) / "study.json").read_text())
    assert {each["experiment"] for each in notes["experiments"] if each["outcome"] == "stale"} == {"alpha", "both"}


def test_an_ensemble_is_not_fitted_on_a_member_of_other_options(trained):
    after = with_options(trained, "alpha", model="support_vectors")
    with pytest.raises(CheckFailed, match=r"its member alpha: .*model: ridge before, support_vectors now"):
        run(after.workspace, after.study, "both")
    after.train("alpha")
    assert outcomes(after)["both"].outcome == "stale", "it still holds the old member"
    after.train("both")
    assert outcomes(after)["both"].outcome == "fresh"


def test_options_of_a_feature_set_are_named(trained):
    features = trained.study.model_dump(mode="json")["features"]
    features["f"]["zone_rows"] = 2
    after = trained.changed(features=features)
    found = outcomes(after)
    assert found["alpha"].outcome == "stale" and "features.f" in found["alpha"].sentence
    assert found["beta"].outcome == "fresh"
    cohort = freeze(after.workspace, after.study.cohorts["c"].query, after.study.cohort_name("c"))
    measure(after.workspace, cohort, "f", Features(after.study.features["f"]))
    assert "features.f.zone_rows: 4 before, 2 now" in outcomes(after)["alpha"].sentence


def test_fits_that_are_missing_or_too_many_are_named(trained):
    every = trained.changed(design={"changed_images": 0, "rotations": "all"})
    assert "design: 4 of 5 fits are missing, such as rotation1-seed-1" in outcomes(every)["alpha"].sentence
    every.train("alpha", "beta", "both")
    assert {each.outcome for each in outcomes(every).values()} == {"fresh"}
    assert "design: 4 fits are not part of the design" in outcomes(trained)["alpha"].sentence


def test_a_cohort_that_is_selected_otherwise_is_named_and_not_trained_on(trained):
    cohorts = trained.study.model_dump(mode="json")["cohorts"]
    other = trained.changed(cohorts={"c": cohorts["c"] | {"folds": 4}})
    assert "cohorts.c.folds: 5 before, 4 now" in outcomes(other)["alpha"].sentence
    with pytest.raises(CheckFailed, match=r"cohorts\.c\.folds: 5 before, 4 now"):
        run(other.workspace, other.study, "alpha")
    freeze(other.workspace, other.study.cohorts["c"].query, other.study.cohort_name("c"), folds=4)
    assert "cohort: it was frozen again with other members, folds or targets" in outcomes(other)["alpha"].sentence
    other.train("alpha", "beta", "both")
    assert {each.outcome for each in outcomes(other).values()} == {"fresh"}


SELECTION = "-- question: q\n-- one row: r\n-- parameter: $youngest integer = 20  years\n-- example: e\nselect 1"


OTHER_SQL = ["cohorts.c.query: the SQL of mine differs from the SQL of mine at that time"]


@pytest.mark.parametrize(
    ("text", "options", "said"),
    [
        (SELECTION, {}, []),
        (SELECTION, {"parameters": {"youngest": 20}}, []),
        (SELECTION.replace("question: q", "question: other words").replace("select 1", "select  1 -- one"), {}, []),
        (SELECTION.replace("20  years", "20  years of age"), {}, []),
        (SELECTION.replace("integer = 20", "integer = 21"), {"parameters": {"youngest": 20}}, OTHER_SQL),
        (SELECTION.replace("-- example: e", "-- example: e\n-- needs: findings"), {}, OTHER_SQL),
        (SELECTION.replace("select 1", "select '1'"), {}, OTHER_SQL),
        (f"{SELECTION} + 1", {}, OTHER_SQL),
        (SELECTION, {"parameters": {"youngest": 30}}, ["cohorts.c.parameters.youngest: 20 before, 30 now"]),
        (SELECTION, {"folds": 4}, ["cohorts.c.folds: 5 before, 4 now"]),
        (SELECTION, {"salt": "other"}, ["cohorts.c.salt: xray-mining before, other now"]),
    ],
)
def test_each_part_of_a_cohorts_selection_is_compared(tmp_path, text, options, said):
    path = tmp_path / "mine.sql"
    path.write_text(text)
    frozen = SimpleNamespace(sql=SELECTION, query="mine", parameters={"youngest": 20}, folds=5, salt="xray-mining")
    assert list(cohort_differences(frozen, CohortOptions(query=str(path), **options), "c")) == said


def test_an_ensemble_without_a_member_and_other_packages_are_stale(trained):
    home = trained.workspace.experiment(trained.study.study, "alpha")
    notes = json.loads((home / "experiment.json").read_text())
    identity = notes["identity"]
    package = next(iter(identity["versions"]))
    told = identity | {"versions": identity["versions"] | {package: "0.0.1"}}
    write_json(notes | {"identity": told, "digest": digest_of(told)}, home / "experiment.json")
    found = outcomes(trained)["alpha"]
    assert found.outcome == "stale" and f"version of {package}: 0.0.1 before, " in found.sentence
    shutil.rmtree(home / "predictions")
    found = outcomes(trained)
    assert found["alpha"].outcome == "absent"
    assert found["both"].outcome == "stale" and "its member alpha has no predictions" in found["both"].sentence


def test_what_cannot_be_compared_is_scored_and_a_check_says_so(trained, monkeypatch):
    identity = Task.identity

    def without_weights(task):
        if task.name == "alpha":
            raise UserError("weights.pth: is not there; name a file")
        return identity(task)

    monkeypatch.setattr(Task, "identity", without_weights)
    assert {name: each.outcome for name, each in outcomes(trained).items()}["alpha"] == "unchecked"
    made, checks = trained.evaluate()
    [row] = checks.filter(checks["code"] == "EVAL015").rows(named=True)
    assert (row["about"], row["severity"], row["outcome"]) == ("alpha", "warning", "skipped")
    assert "its options cannot be checked: weights.pth: is not there" in row["sentence"]
    assert made.experiments == 3, "it is scored all the same"


def test_nothing_is_scored_where_all_is_old(trained):
    with pytest.raises(CheckFailed, match="all predictions are stale"):
        trained.changed(design={"changed_images": 2}).evaluate()


def test_a_page_is_not_laid_out_from_an_evaluation_of_other_predictions(trained, tmp_path):
    workspace, study = trained.workspace, trained.study
    trained.evaluate()
    refuse_old_evaluation(study.study, workspace)
    told = workspace.private / "snakemake" / study.study / "config.json"
    write_json({"study": str(tmp_path / "study.yaml")}, told)

    def say(made):
        (tmp_path / "study.yaml").write_text(json.dumps(made.study.model_dump(mode="json")))

    say(trained)
    refuse_old_evaluation(study.study, workspace)
    after = with_options(trained, "alpha", model="support_vectors")
    say(after)
    with pytest.raises(CheckFailed, match=r"alpha: .*model: ridge before, support_vectors now"):
        refuse_old_evaluation(study.study, workspace)
    with pytest.raises(CheckFailed, match=r"alpha: .*model: ridge before, support_vectors now"):
        refuse_stale_model(study.study, "alpha", workspace)
    refuse_stale_model(study.study, "beta", workspace)
    after.train("alpha")
    with pytest.raises(CheckFailed, match=r"both: .*its member alpha was trained again"):
        refuse_old_evaluation(study.study, workspace)
    told.unlink()
    with pytest.raises(CheckFailed, match="alpha: was trained again after the evaluation"):
        refuse_old_evaluation(study.study, workspace)
    say(after)
    write_json({"study": str(tmp_path / "gone.yaml")}, told)
    with pytest.raises(UserError, match=r"gone\.yaml, from which it was run, is missing"):
        find_study(study.study, workspace)


def test_what_an_earlier_version_made_is_said_and_made_again(trained):
    path = trained.workspace.experiment(trained.study.study, "alpha") / "experiment.json"
    notes = json.loads(path.read_text())
    # As the version before this check left it.
    del notes["identity"]
    write_json(notes | {"digest": "0" * 32}, path)
    assert "made by an earlier version of the program" in outcomes(trained)["alpha"].sentence
    trained.train("alpha")
    assert outcomes(trained)["alpha"].outcome == "fresh"
    path.write_text("{")
    assert outcomes(trained)["alpha"].outcome == "stale"
    assert Predictions.read(path.parent / "predictions").height


def test_a_check_of_an_experiment_touches_its_own_task_only():
    task = SimpleNamespace(models={"a": None}, cohort=SimpleNamespace(name="c1"))
    rows = [CheckRow("EVAL014", "error", "failed", "t", "s", about="old")]
    answers = [Answer(task, "t", (), "") for task in ("c1/t", "c2/t")]
    found = with_failed_checks(answers, {"c1/t": task, "c2/t": task}, rows, {"old": "c2/t"})
    assert not found.checks
    assert [len(each.checks) for each in found.answers] == [0, 1]
