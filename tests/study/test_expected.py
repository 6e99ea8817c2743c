"""Cheap steps come first, whatever their names; guesses learn from what steps took, and say no more than they know."""

import json
import sys
from types import SimpleNamespace

import pytest
import yaml

from xray_mining.archive.sources.folder import FolderSource
from xray_mining.ingest.parts import ShardCounts, counts_path
from xray_mining.models.options import DesignOptions, shown_options
from xray_mining.study import conduct, perform, remaining, work
from xray_mining.study.expected import expect, remember, rough, soonest_first, together
from xray_mining.study.options import Study
from xray_mining.study.perform import ArchiveState, archive_state
from xray_mining.study.plan import plan
from xray_mining.study.remaining import Remaining
from xray_mining.study.work import PROCESS_SECONDS, Extent, Work, extent_of
from xray_mining.workspace import ArchiveSettings, Workspace, asset, load_yaml, write_json

SHARED = {"cohort": "all", "target": "age_years"}
RIDGE = {**SHARED, "model": "ridge", "features": ["greys"]}
FROZEN = {**SHARED, "model": "frozen", "embeddings": ["vectors"], "head": "ridge"}
NETWORK = {**SHARED, "model": "network", "backbone": "test_efficientnet", "side_px": 32, "epochs": 1}
LARGE = Extent(files=0, megabytes=0.0, images=200_000)


def study_of(**experiments):
    return Study.model_validate(
        {
            "study": "small",
            "question": "How old?",
            "cohorts": {"all": {"query": "frontal_aged"}},
            "features": {"greys": {"families": ["intensity"]}},
            "embeddings": {"vectors": {"weights": "none"}},
            "experiments": experiments,
        }
    )


def order_of(study, extent, tmp_path):
    return expect(study, plan(study), extent, tmp_path / "times.jsonl").order


@pytest.mark.parametrize("names", [("a", "b", "c", "d"), ("d", "c", "b", "a")])
@pytest.mark.parametrize("images", [50, 200_000])
def test_a_network_comes_after_every_other_model_whatever_the_names(names, images, tmp_path):
    ridge, frozen, network, mean = (f"train/{name}" for name in names)
    study = study_of(
        **{
            names[2]: NETWORK,
            names[3]: {**SHARED, "model": "ensemble", "members": [names[0], names[2]]},
            names[0]: RIDGE,
            names[1]: FROZEN,
        }
    )
    order = order_of(study, Extent(0, 0.0, images), tmp_path)
    wanted = ["ingest", "cohort/all", ridge, frozen, network, mean, "evaluate", "report"]
    assert [step for step in order if step in wanted] == wanted
    steps = {step.name: step for step in plan(study)}
    assert all(order.index(need) < order.index(name) for name in order for need in steps[name].after)


def test_what_is_needed_is_as_urgent_as_the_first_that_needs_it(tmp_path):
    study = study_of(other=RIDGE | {"features": ["greys"]}, frozen=FROZEN)
    some = {step.name: Work(step.stage, 1.0) for step in plan(study)}
    dear = {step.name: 1.0 for step in plan(study)} | {"features/greys.all": 50.0, "train/frozen": 20.0}
    order = soonest_first(plan(study), some, dear)
    assert order.index("embed/vectors.all") < order.index("train/frozen") < order.index("features/greys.all")
    there = soonest_first(plan(study), some, dear, frozenset({"features/greys.all"}))
    assert there.index("train/other") < there.index("train/frozen"), "what is done costs nothing more"


def test_no_digest_of_a_step_knows_of_times(tmp_path):
    study = study_of(ridge=RIDGE, network=NETWORK)
    before = plan(study)
    remember(tmp_path / "times.jsonl", Work("ridge", 1.0), 1000.0)
    expect(study, before, LARGE, tmp_path / "times.jsonl")
    assert plan(study) == before
    assert not {"seconds", "expected", "priority"} & set(before[0].__slots__)


def test_more_work_takes_longer(tmp_path):
    def seconds(extent, **changes):
        study = study_of(net=NETWORK | changes, ridge=RIDGE, frozen=FROZEN)
        return expect(study, plan(study), extent, tmp_path / "times.jsonl").seconds

    some = seconds(Extent(1000, 100.0, 1000))
    more = seconds(Extent(10_000, 1000.0, 10_000))
    assert all(more[name] >= some[name] for name in some)
    names = ("ingest", "features/greys.all", "embed/vectors.all", "train/net", "train/ridge")
    assert all(more[name] > 1.5 * some[name] for name in names)
    for changes in ({"epochs": 20}, {"side_px": 512, "epochs": 20}, {"backbone": "resnet152"}, {"backbone": "no_such"}):
        assert seconds(Extent(0, 0.0, 1000), **changes)["train/net"] > 1.1 * some["train/net"]
    few = seconds(Extent(0, 0.0, 10_000, members={"all": 100}))
    assert few["features/greys.all"] < some["features/greys.all"], "a cohort that is frozen tells its size"
    assert seconds(Extent(0, 0.0, 10_000, gpu=True))["embed/vectors.all"] < more["embed/vectors.all"] / 5


def test_earlier_steps_of_this_workspace_correct_the_guess(tmp_path):
    study, times = study_of(ridge=RIDGE, net=NETWORK), tmp_path / "times.jsonl"
    guess = expect(study, plan(study), LARGE, times)
    for seconds in (30.0, 1.0, 30.0):
        remember(times, Work("ridge", 10.0), seconds)
    remember(times, Work("network resnet18", 10.0), 50.0)
    with times.open("a") as file:
        file.write('{"kind": "ridge", "exp')
    learned = expect(study, plan(study), LARGE, times)
    assert learned.seconds["train/ridge"] == pytest.approx(3 * guess.seconds["train/ridge"]), "the median of its kind"
    assert learned.seconds["train/net"] == pytest.approx(5 * guess.seconds["train/net"]), "networks, of any backbone"
    assert learned.seconds["report"] == pytest.approx(3 * guess.seconds["report"]), "this machine is slower"
    for _ in range(5):
        remember(times, Work("ridge", 10.0), 10.0)
    assert expect(study, plan(study), LARGE, times).seconds["train/ridge"] == guess.seconds["train/ridge"]


def test_fits_that_are_kept_are_not_expected_again(tmp_path):
    workspace = Workspace.create(tmp_path / "workspace")
    study = study_of(net=NETWORK).model_copy(update={"design": DesignOptions(rotations="all", seeds=[0, 1])})
    notes = workspace.experiment("small", "net") / "experiment.json"

    def seconds(fits, **changes):
        options = shown_options(study.experiments["net"]) | changes
        write_json({"options": options, "fits": dict.fromkeys(map(str, range(fits)), "raw")}, notes)
        extent = extent_of(workspace, study, plan(study), ArchiveState("", 1000, 0), "")
        return expect(study, plan(study), extent, tmp_path / "times.jsonl").seconds["train/net"]

    none = seconds(0)
    assert seconds(8) == pytest.approx(PROCESS_SECONDS + 0.2 * (none - PROCESS_SECONDS))
    assert seconds(8, epochs=7) == none, "of other options: they are made again"
    assert seconds(10) == none, "it would not wait if these could stay"


def test_every_kind_of_step_has_its_guess():
    assert set(work._WORK) == set(perform._STAGES)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "a few seconds"),
        (9.9, "a few seconds"),
        (34, "about 30 s"),
        (54.9, "about 50 s"),
        (55, "about 1 min"),
        (200, "about 3 min"),
        (22 * 60, "about 20 min"),
        (56 * 60, "about 1 h"),
        (3600 * 4.4, "about 4 h"),
        (3600 * 23.5, "about 1 day"),
        (86400 * 13, "about 15 days"),
    ],
)
def test_a_guess_is_told_roughly(seconds, words):
    assert rough(seconds) == words


def test_steps_side_by_side_take_the_longest_chain_or_all_work_shared():
    study = study_of(ridge=RIDGE)
    seconds = {"features/greys.all": 10.0, "train/ridge": 10.0, "train/nulls.all.age_years": 30.0}
    assert together(seconds, plan(study), 1) == 50.0
    assert together(seconds, plan(study), 2) == 30.0
    assert together(seconds, plan(study), 64) == 30.0


def test_what_there_is_to_do_is_told_by_small_files(tmp_path):
    workspace = Workspace.create(tmp_path / "workspace")
    archives = {name: ArchiveSettings(domain=name, adapter="nih", order=0) for name in ("here", "there")}
    workspace.save(workspace.settings.model_copy(update={"archives": archives}))
    for shard, (archive, kept) in enumerate((("here", 80), ("there", 40))):
        counts = ShardCounts(shard, "store", 100, 2**20, 100, kept, 100 - kept, 1.0)
        raw = {name: getattr(counts, name) for name in ShardCounts.__slots__}
        write_json(raw, counts_path(workspace, archive, shard, "store"))
    study = study_of(ridge=RIDGE)
    write_json({}, workspace.root / "steps/small/cohort/all.json")
    found = extent_of(workspace, study, plan(study), ArchiveState("", 150, 3 * 2**20), "here")
    assert (found.files, found.megabytes, found.images) == (50, 2.0, 170)
    assert found.members == {} and found.of_cohort("all") == 170
    assert found.done == {"cohort/all"}
    counts_path(workspace, "there", 1, "store").write_text("{")
    assert extent_of(workspace, study, plan(study), ArchiveState(""), "").images == 80, "a damaged file is no end"
    counts_path(workspace, "there", 1, "store").write_text(json.dumps(raw))
    nothing = extent_of(workspace, study, plan(study), ArchiveState(""), "")
    assert (nothing.files, nothing.images) == (0, 120)


def test_a_walk_counts_files_and_bytes(tmp_path):
    for name, size in (("a.dcm", 10), ("b.dcm", 20)):
        (tmp_path / name).write_bytes(bytes(size))
    found = archive_state(FolderSource(tmp_path))
    assert (found.files, found.bytes) == (2, 30)
    assert archive_state(None) == ArchiveState("", 0, 0)


def test_what_is_left_shrinks_as_steps_end_and_never_ends_early(tmp_path, monkeypatch):
    monkeypatch.setattr(remaining, "cores", lambda: 1)
    study, clock = study_of(ridge=RIDGE), [0.0]
    left = Remaining.of(study, plan(study), lambda: Extent(0, 0.0, 100), tmp_path / "times.jsonl")
    left.now = lambda: clock[0]
    assert left.plan([]) == ""
    total = sum(left.expected.seconds.values())
    assert left.plan([step.name for step in plan(study)]) == (
        f"7 steps to do, {rough(total)} in all; times are rough guesses"
    )
    guess = left.expected.seconds["train/ridge"]
    assert left.start("train/ridge") == f"{rough(guess)}; {rough(total)} left in all"
    clock[0] = guess + 400.0
    assert left.left() == rough(total - guess + 0.25 * clock[0]), "it takes longer than was thought"
    left.end("train/ridge", guess, whole=False)
    assert left.left() == rough(total - guess)
    assert not (tmp_path / "times.jsonl").exists(), "a step that kept what was there tells nothing of its time"
    left.end("report", 60.0, whole=True)
    assert json.loads((tmp_path / "times.jsonl").read_text())["seconds"] == 62.0


JOB = """#!{python}
import json, os, sys, time
from pathlib import Path
if sys.argv[2] == "snakemake":
    os.execv("{python}", ["{python}", *sys.argv[1:]])
step, told = sys.argv[5], json.loads(Path(sys.argv[4]).read_text())
def say(event):
    with open(told["events"], "a") as file:
        fields = {{"event": event, "step": step, "status": 0, "sentence": "", "seconds": 0.1, "whole": True}}
        file.write(json.dumps(fields) + "\\n")
say("started")
time.sleep(0.1)
home = Path(told["workspace"])
(home / "evaluations/small").mkdir(parents=True, exist_ok=True)
(home / "evaluations/small/answer.json").write_text('{{"answers": []}}')
summary = home / f"steps/small/{{step}}.json"
summary.parent.mkdir(parents=True, exist_ok=True)
summary.write_text('{{"digest": "", "files": []}}')
say("done")
"""


def test_a_dry_run_with_nothing_to_do_says_so_in_one_sentence():
    (said,) = conduct.PlanSummary("small", (), 10, 0.0, "work/reports/small.html").lines()
    assert said == "small: nothing to do, all 10 steps are done; the page is work/reports/small.html"


def test_snakemake_ends_the_ridge_before_it_starts_a_network(tmp_path, monkeypatch, capsys):
    """A real run of the pipeline, whose jobs do nothing but say that they begin and end."""
    job = tmp_path / "job"
    job.write_text(JOB.format(python=sys.executable))
    job.chmod(0o755)
    profile = tmp_path / "profile"
    profile.mkdir()
    (profile / "config.yaml").write_text(
        yaml.safe_dump(load_yaml(asset("pipelines/profiles/local/config.yaml")) | {"cores": 2})
    )
    workspace = Workspace.create(tmp_path / "workspace")
    networks = ["aa", "bb", "yy", "zz"]
    study = study_of(**dict.fromkeys(networks, NETWORK), mm_frozen=FROZEN, nn_ridge=RIDGE)
    count = len(plan(study))
    file = tmp_path / "small.yaml"
    file.write_text(yaml.safe_dump(study.model_dump(mode="json")))
    monkeypatch.setattr(conduct, "sys", SimpleNamespace(executable=str(job), stderr=sys.stderr))

    def go(dry_run):
        return conduct.conduct(
            study,
            study_file=str(file),
            workspace=workspace,
            archive=None,
            name="",
            archive_state=ArchiveState(""),
            profile=str(profile),
            dry_run=dry_run,
        )

    planned = go(dry_run=True)
    names = [each.step for each in planned.steps]
    assert set(names) == {step.name for step in plan(study)} and planned.steps_kept == 0
    assert names[-6:-2] == [f"train/{name}" for name in networks], "the last but evaluate and report"
    *lines, total = planned.lines()
    assert [line.split()[-1] for line in lines] == names and f"{count} steps to do" in total and "rough" in total

    assert go(dry_run=False).steps_done == count
    told = [json.loads(line) for line in (workspace.private / "snakemake/small/events.jsonl").read_text().splitlines()]
    said = [(each["event"], each.get("step")) for each in told]
    # Of four networks one would come early by chance, were there no priorities.
    network = min(said.index(("started", f"train/{name}")) for name in networks)
    for earlier in ("train/nn_ridge", "train/mm_frozen", "train/nulls.all.age_years"):
        assert said.index(("done", earlier)) < network
    assert told[0]["event"] == "planned" and set(told[0]["steps"]) == set(names)
    err = capsys.readouterr().err
    assert f"{count} steps to do, " in err and "times are rough guesses" in err and "left in all" in err
    assert len((workspace.private / "step_times.jsonl").read_text().splitlines()) == count
