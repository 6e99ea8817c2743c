"""Wrong input ends with one clear sentence, the right exit status, and nothing lost."""

import subprocess
import time
from pathlib import Path

import pytest
import yaml


def refused(said, status, *words):
    assert said.returncode == status, (said.returncode, said.stderr)
    assert "Traceback" not in said.stderr
    sentence = said.stderr.strip().splitlines()[-1]
    for word in words:
        assert word in sentence, sentence


@pytest.fixture
def small_study(tmp_path, study_file) -> Path:
    study = yaml.safe_load(study_file.read_text())
    study["cohorts"] = {"age": study["cohorts"]["age"]}
    study["experiments"] = {"age_ridge": study["experiments"]["age_ridge"]}
    path = tmp_path / "small.yaml"
    path.write_text(yaml.safe_dump(study))
    return path


def test_an_empty_folder(call, tmp_path, small_study):
    (tmp_path / "empty").mkdir()
    refused(call("run", small_study, "--archive", tmp_path / "empty", "--workspace", tmp_path / "w"), 2, "holds no")


def test_a_folder_that_is_not_there(call, tmp_path, small_study):
    refused(call("run", small_study, "--archive", tmp_path / "gone", "--workspace", tmp_path / "w"), 2, "is missing")
    refused(call("ingest", tmp_path / "gone", "--workspace", tmp_path / "w"), 2, "is missing")
    assert not (tmp_path / "w").exists()


def test_a_folder_of_texts(call, tmp_path, small_study):
    folder = tmp_path / "texts"
    folder.mkdir()
    for number in range(3):
        (folder / f"letter{number}.doc").write_text("Dear colleague")
    said = call("run", small_study, "--archive", folder, "--workspace", tmp_path / "w")
    refused(said, 2)


def test_one_patient_only(call, tmp_path, small_study):
    assert call("phantom", tmp_path / "one", "--patients", 1, "--seed", 1, "--size", 64).returncode == 0
    said = call("run", small_study, "--archive", tmp_path / "one", "--workspace", tmp_path / "w")
    refused(said, 2, "patient")


def test_a_cohort_that_nobody_fills(call, tmp_path, archive):
    workspace = tmp_path / "w"
    assert call("ingest", archive, "--workspace", workspace, "--side-px", 64).returncode == 0
    words = ("cohort", "age_balanced", "--param", "youngest=120", "--param", "oldest=130", "--workspace", workspace)
    refused(call(*words), 2, "age_balanced")


def test_a_workspace_of_another_format(call, tmp_path, small_study, archive):
    workspace = tmp_path / "w"
    workspace.mkdir()
    (workspace / "workspace.yaml").write_text("format_version: 7\n")
    refused(call("run", small_study, "--archive", archive, "--workspace", workspace), 2, "format version 7")


def test_two_runs_at_once(call, start, tmp_path, small_study, archive):
    words = ("run", small_study, "--archive", archive, "--workspace", tmp_path / "w")
    first = start(*words)
    try:
        lock = tmp_path / "w.private/snakemake/mini/config.json"
        while not lock.is_file() and first.poll() is None:
            time.sleep(0.05)
        refused(call(*words), 3, "holds this lock")
    finally:
        first.communicate(timeout=300)
    assert first.returncode == 0


def test_no_space_left(call, tmp_path, archive):
    place = tmp_path / "small_disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(place)], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip("mounting a small disk needs root and the right to mount")
    try:
        said = call("ingest", archive, "--workspace", place / "w")
        refused(said, 3, "space")
        assert not list((place / "w").rglob("*.partial"))
    finally:
        subprocess.run(["umount", "-l", str(place)], check=False)
