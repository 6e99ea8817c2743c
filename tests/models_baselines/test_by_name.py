"""A study that was run is taken by its name: `train` and `features` find its file, wherever it is."""

import json
import sys

import pytest
import yaml

from xray_mining.cli.main import main
from xray_mining.models.experiment import standings
from xray_mining.workspace import asset, write_json

EXPERIMENTS = {"alpha": {"model": "ridge", "features": ["f"]}, "beta": {"model": "ridge", "features": ["g"]}}


@pytest.fixture
def was_run(small, tmp_path):
    """The study's file in a folder of its own, and the note by which `run` remembers it."""
    made = small("number years", "number::double", EXPERIMENTS, design={"changed_images": 0})
    file = tmp_path / "elsewhere/any_name.yaml"
    file.parent.mkdir()
    file.write_text(yaml.safe_dump(made.study.model_dump(mode="json")))
    write_json({"study": str(file)}, made.workspace.private / "snakemake" / made.study.study / "config.json")
    return made


@pytest.fixture
def say(monkeypatch, capsys):
    """Call the command line in this process: its status, and what --json printed."""

    def call(*words):
        monkeypatch.setattr(sys, "argv", ["xray-mining", *map(str, words), "--json"])
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr()
        return ended.value.code, json.loads(said.out) if said.out else said.err

    return call


def test_train_takes_a_study_that_was_run_by_its_name(was_run, say):
    name, workspace = was_run.study.study, was_run.workspace.root
    status, said = say("train", f"{name}/beta", "--workspace", workspace)
    assert (status, said["experiment"], said["fitted"]) == (0, f"{name}/beta", 1)
    status, said = say("train", name, "--workspace", workspace)
    assert status == 0
    done = {each["experiment"].partition("/")[2]: (each["fitted"], each["kept"]) for each in said["experiments"]}
    assert (done["alpha"], done["beta"]) == ((1, 0), (0, 1))
    assert len(done) == 7, "all of the study, the five nulls too"
    assert {each.outcome for each in standings(was_run.workspace, was_run.study)} == {"fresh"}


def test_features_takes_a_study_that_was_run_by_its_name(was_run, say):
    name, workspace = was_run.study.study, was_run.workspace.root
    status, said = say("features", f"{name}/c", "--study", name, "--workspace", workspace)
    assert status == 0
    # As the study's own run measured them, so that nothing is left to measure.
    assert [(each["set"].partition("-")[0], each["measured"], each["kept"]) for each in said["sets"]] == [
        ("f", 0, 60),
        ("g", 0, 60),
    ]
    status, said = say("features", f"{name}/c", "--study", name, "--set", "g", "--workspace", workspace)
    assert status == 0 and [each["set"].partition("-")[0] for each in said["sets"]] == ["g"]


def test_a_name_that_was_not_run_here_is_unknown(was_run, say):
    status, said = say("train", f"{was_run.study.study}x/beta", "--workspace", was_run.workspace.root)
    assert status == 2 and f"'{was_run.study.study}x' is unknown" in said


def test_run_takes_a_study_that_was_run_by_its_name(was_run, say):
    name, workspace = was_run.study.study, was_run.workspace.root
    status, said = say("run", name, "--workspace", workspace, "--dry-run")
    assert status == 0 and said["study"] == name
    status, said = say("run", f"{name}x", "--workspace", workspace, "--dry-run")
    assert status == 2 and f"'{name}x' is unknown" in said


def test_a_dry_run_leaves_no_workspace_and_refuses_a_misspelt_word_at_once(say, tmp_path):
    status, said = say("run", "template", "--workspace", tmp_path / "new", "--dry-run")
    assert status == 0 and said["study"] == "template" and list(tmp_path.iterdir()) == []
    file = tmp_path / "mine.yaml"
    text = asset("pipelines/studies/template.yaml").read_text()
    file.write_text(text.replace("weights: package", "weights: bundle"))
    status, said = say("run", file, "--workspace", tmp_path / "new", "--dry-run")
    assert status == 2 and "'bundle' is neither one of none, timm, package nor a file that ends in .pth" in said
