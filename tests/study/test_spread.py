"""Steps that are cut into slices: the same results as whole steps, also after a kill and with two at the same slice."""

import itertools
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict
from graphlib import TopologicalSorter
from pathlib import Path

import polars as pl
import pytest
import yaml
from small_archive import EVERYBODY, lay_out

import xray_mining
from xray_mining.archive.source import source_at
from xray_mining.cli.main import main
from xray_mining.errors import UserError
from xray_mining.models.experiment import run
from xray_mining.models.notes import read_notes
from xray_mining.records.estimates import Estimates
from xray_mining.records.predictions import Predictions
from xray_mining.study.conduct import PlanSummary, conduct
from xray_mining.study.options import Study, read_study
from xray_mining.study.perform import ArchiveState, archive_state, own_process, perform
from xray_mining.study.plan import plan
from xray_mining.study.spread import OPEN_END, Slice, Spread
from xray_mining.workspace import Workspace, digest_of, lock, write_json

PATIENTS = 48
SPREAD = Spread(pieces=3, shards=5)
STUDY = {
    "study": "s",
    "question": "Which age?",
    "ingest": {"mapping": "mapping.yaml", "shard_files": 10, "grey": {"side_px": 64}},
    "cohorts": {"c": {"query": "everybody.sql", "folds": 3}},
    "features": {"f": {"families": ["intensity"], "side_px": 64}},
    "design": {"rotations": "all", "changed_images": 4},
    "experiments": {
        "ridge": {"model": "ridge", "features": ["f"], "cohort": "c", "target": "years"},
        "thumb": {"model": "thumbnail", "cohort": "c", "target": "years"},
        "both": {"model": "ensemble", "members": ["ridge", "thumb"], "cohort": "c", "target": "years"},
    },
    "evaluation": {"bootstraps": 100},
}


@pytest.fixture(scope="session")
def study_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study file, with its archive of five shards in the folder `in` beside it."""
    folder = tmp_path_factory.mktemp("spread")
    lay_out(folder, PATIENTS)
    (folder / "everybody.sql").write_text(EVERYBODY)
    path = folder / "s.yaml"
    path.write_text(yaml.safe_dump(STUDY))
    return path


def _told(study_file: Path, root: Path, spread: Spread | None) -> Path:
    workspace = Workspace.create(root)
    told = {
        "study": str(study_file),
        "cwd": str(study_file.parent),
        "workspace": str(workspace.root),
        "archive": str(study_file.parent / "in"),
        "archive_state": "",
        "name": "a",
        "events": str(root.with_name("events.jsonl")),
        "run": own_process(),
        "spread": asdict(spread) if spread else None,
    }
    path = root.with_name("told.json")
    write_json(told, path)
    return path


@pytest.fixture(scope="session")
def performed(study_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[Spread | None], Path]:
    """performed(spread): a workspace in which every step of the plan was done, one after the other."""
    made: dict[Spread | None, Path] = {}

    def make(spread: Spread | None) -> Path:
        if spread not in made:
            root = tmp_path_factory.mktemp("run") / "w"
            told = _told(study_file, root, spread)
            needs = {step.name: step.after for step in plan(read_study(str(study_file)), spread=spread)}
            for name in TopologicalSorter(needs).static_order():
                perform(told, name, 1)
            made[spread] = root
        return made[spread]

    return make


def _results(root: Path) -> dict[str, pl.DataFrame]:
    """Predictions by experiment, and the estimates; sorted, without what tells of the run alone."""
    found = {}
    for folder in sorted((root / "experiments/s").iterdir()):
        frame = Predictions.read(folder / "predictions")
        found[folder.name] = frame.sort(frame.columns)
    return found | {"estimates": Estimates.read(root / "evaluations/s/estimates.parquet")}


def test_a_spread_run_gives_the_same_bits(performed):
    whole, spread = performed(None), performed(SPREAD)
    mine, others = _results(spread), _results(whole)
    assert mine.keys() == others.keys() and len(mine) > 7
    for name, frame in others.items():
        assert frame.equals(mine[name]), name
    for name in others.keys() - {"estimates"}:
        notes = [read_notes(root / "experiments/s" / name) for root in (whole, spread)]
        assert notes[0] | {"seconds": 0} == notes[1] | {"seconds": 0}
    left = sorted(path.name for path in (spread / "steps/s/train/ridge").glob("*.json"))
    assert left == [f"rotation{number}-seed-1.json" for number in range(3)]
    for name in ("ingest.json", "features/f.c.json", "train/ridge.json"):
        digests = [json.loads((root / "steps/s" / name).read_text())["digest"] for root in (whole, spread)]
        assert digests[0] == digests[1], "a plan that is no longer spread finds its steps done"


def test_the_slices_of_a_plan_come_before_what_gathers_them(study_file):
    study = read_study(str(study_file))
    steps = {step.name: step for step in plan(study, "x", SPREAD)}
    assert [name for name in steps if name.startswith("ingest")] == [
        "ingest/shards0-1",
        "ingest/shards2-3",
        "ingest/shards4-end",
        "ingest",
    ]
    assert steps["ingest/shards4-end"].slice == Slice((4, OPEN_END))
    fits = tuple(f"train/ridge/rotation{number}-seed-1" for number in range(3))
    assert steps["train/ridge"].after == ("cohort/c", "features/f.c", *fits)
    assert all(steps[each].after == ("cohort/c", "features/f.c") for each in fits)
    assert steps["train/both/rotation0-seed-1"].after[-1] == "train/thumb"
    assert sum(each.share for each in steps.values() if each.name.startswith("train/ridge")) == pytest.approx(1)
    whole = {step.name: step for step in plan(study, "x")}
    assert {name: each.digest for name, each in steps.items() if name in whole} == {
        name: each.digest for name, each in whole.items()
    }
    assert steps["cohort/c"] == whole["cohort/c"]


@pytest.mark.parametrize("shards", [0, 1, 2, 7, 100])
def test_slices_of_shards_hold_each_shard_once(shards):
    slices = [each.shards for each in Spread(4, shards).by_shards()]
    assert len(slices) <= 4 and slices[0][0] == 0 and slices[-1][1] == OPEN_END
    assert all(one[1] == other[0] for one, other in itertools.pairwise(slices))


def test_snakemake_knows_the_slices(study_file, tmp_path, capsys, monkeypatch):
    words = ["run", str(study_file), "--archive", str(study_file.parent / "in"), "--workspace", str(tmp_path / "w")]
    monkeypatch.setattr(sys, "argv", ["xray-mining", *words, "--spread", "2", "--dry-run"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert not ended.value.code
    said = capsys.readouterr().out
    for name in ("ingest/shards0-2", "ingest/shards3-end", "features/f.c/shards0-2", "train/both/rotation2-seed-1"):
        assert f"  {name}\n" in said
    assert archive_state(source_at(str(study_file.parent / "in"))).files == PATIENTS + 1


KILLED = """
import os, signal, sys
import xray_mining
from xray_mining.models import experiment
experiment.write_fit = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
xray_mining.open(sys.argv[1]).train(xray_mining.open(sys.argv[1]).study(sys.argv[2]), "ridge", rotation=1, seed=-1)
"""
FITTED = """
import sys
import xray_mining
with xray_mining.open(sys.argv[1]) as work:
    work.train(work.study(sys.argv[2]), "ridge", rotation=0, seed=-1)
"""


def _without_ridge(performed: Callable, study_file: Path) -> tuple[Workspace, Study, str]:
    """A workspace whose ridge is to be fitted anew, and the digest of its predictions before."""
    workspace = Workspace.open(performed(SPREAD))
    folder = workspace.experiment("s", "ridge")
    before = _digest(folder)
    for path in (*folder.glob("predictions/*"), *folder.glob("fits/*"), folder / "experiment.json"):
        path.unlink()
    return workspace, read_study(str(study_file)), before


def _digest(folder: Path) -> str:
    frame = Predictions.read(folder / "predictions")
    return digest_of(frame.sort(frame.columns).rows())


def test_a_slice_that_was_killed_is_done_again_and_the_others_are_kept(performed, study_file):
    workspace, study, before = _without_ridge(performed, study_file)
    assert run(workspace, study, "ridge", 0).fitted == 1
    words = [sys.executable, "-c", KILLED, str(workspace.root), str(study_file)]
    assert subprocess.run(words, check=False).returncode == -9
    folder = workspace.experiment("s", "ridge")
    assert (folder / "predictions/rotation1-seed-1.parquet").is_file()
    assert set(read_notes(folder)["fits"]) == {"rotation0-seed-1"}
    summary = run(workspace, study, "ridge")
    assert (summary.fitted, summary.kept) == (2, 1)
    assert set(read_notes(folder)["fits"]) == {f"rotation{number}-seed-1" for number in range(3)}
    assert _digest(folder) == before


def test_two_at_the_same_slice_wait_for_one_another(performed, study_file):
    workspace, study, before = _without_ridge(performed, study_file)
    folder = workspace.experiment("s", "ridge")
    words = [sys.executable, "-c", FITTED, str(workspace.root), str(study_file)]
    with lock(folder / "locks/rotation0-seed-1.lock"):
        waiting = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert waiting.stderr is not None
        said = waiting.stderr.readline()
        assert said == "s/ridge: another command fits rotation0-seed-1; waiting for it\n"
        assert waiting.poll() is None
    waiting.communicate(timeout=120)
    assert waiting.returncode == 0
    assert set(read_notes(folder)["fits"]) == {"rotation0-seed-1"}
    # The first of two that fit the same writes it, the second keeps it.
    assert run(workspace, study, "ridge", 0).kept == 1
    run(workspace, study, "ridge")
    assert _digest(folder) == before


def test_a_rotation_that_the_design_has_not_is_refused(performed, study_file):
    workspace = Workspace.open(performed(SPREAD))
    study = read_study(str(study_file))
    with pytest.raises(UserError, match=r"s/ridge: has no fit of rotation 7 and seed any; .* are 0/-1, 1/-1, 2/-1"):
        run(workspace, study, "ridge", 7)
    with pytest.raises(UserError, match="a rotation or a seed belongs to one experiment; name the"):
        xray_mining.open(workspace.root).train(study, rotation=1)


def _would_do(study_file: Path, workspace: Workspace) -> list[str]:
    planned = conduct(
        read_study(str(study_file)),
        study_file=str(study_file),
        workspace=workspace,
        archive=None,
        name="a",
        archive_state=ArchiveState(""),
        profile="local",
        dry_run=True,
    )
    assert isinstance(planned, PlanSummary)
    return [each.step for each in planned.steps]


def test_a_copied_workspace_knows_which_steps_a_changed_study_repeats(study_file, performed, tmp_path):
    """Snakemake's notes are in the private folder, under the old path: the copy must not depend on them."""
    workspace = Workspace(shutil.copytree(performed(None), tmp_path / "copied"))
    for each in study_file.parent.glob("*.*"):
        shutil.copy(each, tmp_path)
    copied = tmp_path / study_file.name
    assert _would_do(copied, workspace) == []
    fewer = STUDY | {"cohorts": {"c": {"query": "everybody.sql", "folds": 4}}}
    copied.write_text(yaml.safe_dump(fewer))
    names = {step.name for step in plan(read_study(str(copied)))}
    assert set(_would_do(copied, workspace)) == names - {"ingest"}
    copied.write_text(yaml.safe_dump(STUDY))
    assert _would_do(copied, workspace) == [], "a dry run leaves the summaries as they were"
