"""Paths in a study: looked for beside it first, said where they were looked for, and no part of any digest."""

import json
import os
import shutil
from pathlib import Path

import pytest
import yaml

from xray_mining.errors import UserError
from xray_mining.evaluation.provenance import FILES
from xray_mining.networks.weights import find_weights
from xray_mining.stated_files import placeless, stated_in
from xray_mining.study.current import find_study
from xray_mining.study.options import Study, read_study
from xray_mining.study.plan import plan
from xray_mining.workspace import Workspace, asset, write_json

SQL = (asset("sql/cohorts") / "frontal_aged.sql").read_text()
MAPPING = (asset("pipelines/mappings") / "covid.yaml").read_text()
STUDY = {
    "study": "own",
    "question": "How old?",
    "ingest": {"mapping": "tables/mapping.yaml"},
    "cohorts": {"all": {"query": "mine.sql"}, "shipped": {"query": "frontal_aged"}},
    "embeddings": {"vectors": {"weights": "nets/own.pth"}},
    "experiments": {
        "frozen": {
            "cohort": "all",
            "target": "age_years",
            "model": "frozen",
            "embeddings": ["vectors"],
            "head": "ridge",
        },
        "net": {"cohort": "all", "target": "age_years", "model": "network", "backbone": "resnet18", "weights": "b.pt"},
    },
}
KEYS = ("ingest.mapping", "cohorts.all.query", "embeddings.vectors.weights", "experiments.net.weights")


def write(folder, study=STUDY):
    """A study folder with all its files."""
    for path, text in {
        "study.yaml": yaml.safe_dump(study),
        "tables/mapping.yaml": MAPPING,
        "mine.sql": SQL,
        "nets/own.pth": "first",
        "b.pt": "other",
    }.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    return folder / "study.yaml"


def paths(study):
    return {each.key: Path(each.value) for each in stated_in(study) if each.kind.is_path(each.value)}


def steps(study):
    return {step.name: step.digest for step in plan(study)}


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """Another current folder."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def test_every_option_of_a_study_that_names_a_file_is_declared_as_one():
    declared = {each.key.rpartition(".")[2] for each in stated_in(Study.model_validate(STUDY))}
    assert declared == set(FILES), "what a page prints without its folders"
    assert [each.key for each in stated_in(Study.model_validate(STUDY)) if "/" in each.value or "." in each.value] == [
        *KEYS
    ]


def test_paths_are_looked_for_beside_the_study_file_first(tmp_path, elsewhere):
    home = tmp_path / "a study"
    found = read_study(str(write(home)))
    assert paths(found) == {
        key: home / path
        for key, path in zip(KEYS, ("tables/mapping.yaml", "mine.sql", "nets/own.pth", "b.pt"), strict=True)
    }
    assert found.cohorts["shipped"].query == "frontal_aged"
    assert found.notes == ()
    write(elsewhere)
    assert paths(read_study(str(home / "study.yaml"))) == paths(found)
    assert read_study(os.path.relpath(home / "study.yaml")).digest == found.digest
    (elsewhere / "mine.sql").write_text("select 1")
    noted = read_study(str(home / "study.yaml"))
    assert paths(noted) == paths(found) and noted.digest == found.digest
    [note] = noted.notes
    assert str(home / "mine.sql") in note and str(elsewhere / "mine.sql") in note


def test_then_in_the_current_folder(tmp_path, elsewhere):
    home = tmp_path / "study"
    write(home)
    write(elsewhere)
    for path in ("tables/mapping.yaml", "mine.sql", "nets/own.pth", "b.pt"):
        (home / path).unlink()
    found = read_study(str(home / "study.yaml"))
    found.refuse_missing()
    assert all(elsewhere in path.parents for path in paths(found).values())
    # As a job does, whose current folder is another one.
    os.chdir(tmp_path)
    assert paths(read_study(str(home / "study.yaml"), [elsewhere])) == paths(found)


@pytest.mark.parametrize("name", ["copy", "Ünïcode und Leerzeichen 'x'", "a/b/c"])
def test_a_copy_elsewhere_has_the_same_digests(tmp_path, elsewhere, name):
    first = read_study(str(write(tmp_path / "first")))
    shutil.copytree(tmp_path / "first", tmp_path / name)
    copy = read_study(str(tmp_path / name / "study.yaml"))
    assert copy.digest == first.digest
    assert steps(copy) == steps(first)
    assert placeless(copy) == placeless(first)
    # The same files in one folder, or by their full path, are the same study.
    full = write(tmp_path / "full", STUDY | {"cohorts": STUDY["cohorts"] | {"all": {"query": f"{tmp_path}/mine.sql"}}})
    shutil.copy(tmp_path / "first/mine.sql", tmp_path / "mine.sql")
    assert read_study(str(full)).digest == first.digest
    assert steps(read_study(str(full))) == steps(first)


@pytest.mark.parametrize(
    ("path", "changed"),
    [
        ("tables/mapping.yaml", {"ingest", "evaluate"}),
        ("mine.sql", {"cohort/all", "evaluate"}),
        ("nets/own.pth", {"embed/vectors.all", "evaluate"}),
        ("b.pt", {"train/net", "evaluate"}),
    ],
)
def test_other_content_under_the_same_name_is_another_study(tmp_path, elsewhere, path, changed):
    first = read_study(str(write(tmp_path / "first")))
    other = write(tmp_path / "other")
    (tmp_path / "other" / path).write_text("# other\n" + (tmp_path / "other" / path).read_text())
    second = read_study(str(other))
    assert second.digest != first.digest
    before, after = steps(first), steps(second)
    assert {name for name in before if before[name] != after[name]} == changed


def test_a_study_without_files_of_its_own_keeps_its_digest():
    # As this version's forerunner digested it: by what is said, and nothing else.
    from xray_mining.workspace import digest_of

    study = read_study("demo")
    assert study.digest == digest_of(study.model_dump(mode="json"))


@pytest.mark.parametrize("key", KEYS)
def test_a_file_that_is_nowhere_is_said_with_the_folders_looked_in(tmp_path, elsewhere, key):
    home = tmp_path / "study"
    path = write(home)
    found = paths(read_study(str(path)))[key]
    found.unlink()
    study = read_study(str(path))
    sentence = (
        rf"{key}: there is no file '[^']*{found.name}' in {home} nor in {elsewhere}; put it beside the study file"
    )
    with pytest.raises(UserError, match=sentence):
        study.refuse_missing()
    section = key.rpartition(".")[0]
    with pytest.raises(UserError, match=sentence):
        study.refuse_missing(section)
    others = {each.rpartition(".")[0] for each in KEYS} - {section}
    study.refuse_missing(*others)


def test_an_experiment_needs_its_own_files_only(tmp_path, elsewhere):
    path = write(tmp_path)
    (tmp_path / "nets/own.pth").unlink()
    study = read_study(str(path))
    study.refuse_missing_of("net")
    with pytest.raises(UserError, match=r"embeddings\.vectors\.weights: there is no file 'nets/own\.pth'"):
        study.refuse_missing_of("frozen")


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("/nowhere/mine.sql", "cohorts.all.query: there is no file /nowhere/mine.sql; check the path"),
        ("sub\\mine.sql", "has backslashes, which do not separate folders on Linux; write 'sub/mine.sql'"),
        ("C:\\studies\\mine.sql", "write its name alone, and put it beside the study file"),
        ("mine", "no shipped file is called 'mine'; for the file beside the study write 'mine.sql'"),
        ("folder.sql", "there is no file 'folder.sql' in"),
        ("~nobody_of_this_name/mine.sql", "there is no file '~nobody_of_this_name/mine.sql' in"),
    ],
)
def test_paths_that_cannot_hold_are_refused_in_one_sentence(tmp_path, elsewhere, query, sentence):
    (tmp_path / "folder.sql").mkdir()
    path = write(tmp_path, STUDY | {"cohorts": {"all": {"query": query}}})
    with pytest.raises(UserError) as refused:
        read_study(str(path)).refuse_missing()
    assert sentence in str(refused.value) and "\n" not in str(refused.value)


def test_a_path_in_the_users_folder(tmp_path, elsewhere, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "me"))
    write(tmp_path / "me/nets")
    path = write(tmp_path, STUDY | {"cohorts": {"all": {"query": "~/nets/mine.sql"}}})
    assert read_study(str(path)).cohorts["all"].query == str(tmp_path / "me/nets/mine.sql")


def test_links_to_a_study_file_or_its_folder(tmp_path, elsewhere):
    home = tmp_path / "home"
    path = write(home)
    (tmp_path / "linked").symlink_to(home)
    assert read_study(str(tmp_path / "linked/study.yaml")).digest == read_study(str(path)).digest
    (elsewhere / "study.yaml").symlink_to(path)
    os.chdir(tmp_path)
    # Where the link leads to, and what lies beside the link comes first.
    assert read_study(str(elsewhere / "study.yaml")).cohorts["all"].query == str(home / "mine.sql")
    (elsewhere / "mine.sql").write_text(SQL)
    assert read_study(str(elsewhere / "study.yaml")).cohorts["all"].query == str(elsewhere / "mine.sql")


def test_a_study_by_the_name_it_was_run_under_finds_its_files_from_anywhere(tmp_path, elsewhere):
    workspace = Workspace.create(tmp_path / "workspace")
    home, ran_in = tmp_path / "home", tmp_path / "ran in"
    write(home)
    write(ran_in)
    (home / "mine.sql").unlink()
    told = workspace.private / "snakemake/own/config.json"
    write_json({"study": str(home / "study.yaml"), "cwd": str(ran_in)}, told)
    found = find_study("own", workspace)
    found.refuse_missing()
    assert found.cohorts["all"].query == str(ran_in / "mine.sql")
    assert found.embeddings["vectors"].weights == str(home / "nets/own.pth")
    # A version that did not write the folder down.
    write_json({"study": str(home / "study.yaml")}, told)
    (elsewhere / "mine.sql").write_text(SQL)
    assert find_study("own", workspace).cohorts["all"].query == str(elsewhere / "mine.sql")


def test_a_file_without_the_right_to_read_its_folder_is_looked_for_elsewhere(tmp_path, elsewhere, monkeypatch):
    path = write(tmp_path / "home")
    write(elsewhere)
    real = Path.is_file

    def is_file(self):
        if self == tmp_path / "home/mine.sql":
            raise PermissionError(13, "Permission denied")
        return real(self)

    monkeypatch.setattr(Path, "is_file", is_file)
    assert read_study(str(path)).cohorts["all"].query == str(elsewhere / "mine.sql")


def test_full_paths_stay_out_of_what_is_written_down(tmp_path, elsewhere):
    study = read_study(str(write(tmp_path / "secret place")))
    assert "secret" in study.embeddings["vectors"].weights
    assert find_weights("resnet18", study.embeddings["vectors"].weights).kind == "file"
    assert "secret" not in json.dumps(placeless(study))
