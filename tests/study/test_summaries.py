"""Summaries of finished steps count only for what the study asks now, and only with the results they began from."""

from dataclasses import replace

import pytest

from xray_mining.catalog.merge import merge, read_about
from xray_mining.study.plan import Step
from xray_mining.study.summaries import invalid, only_valid, summarised, summary_path
from xray_mining.workspace import ArchiveSettings, Workspace

STEPS = (
    Step("ingest", "ingest", (), (), "i"),
    Step("cohort/c", "cohort", ("c",), ("ingest",), "c"),
    # A study may name an ensemble before its members.
    Step("train/both", "train", ("both",), ("cohort/c", "train/ridge"), "b"),
    Step("train/ridge", "train", ("ridge",), ("cohort/c",), "r"),
    Step("evaluate", "evaluate", (), ("train/both", "train/ridge"), "e"),
)


@pytest.fixture
def workspace(tmp_path):
    """A workspace in which all steps are done."""
    workspace = Workspace.create(tmp_path / "workspace")
    merge(workspace)
    for name in ("ingest", "cohort/c", "train/ridge", "train/both", "evaluate"):
        _do(workspace, name)
    return workspace


def _do(workspace, name, digest="", steps=STEPS):
    step = next(each for each in steps if each.name == name)
    (workspace.root / "made").mkdir(exist_ok=True)
    made = f"made/{name.replace('/', '-')}"
    (workspace.root / made).touch()
    with summarised(workspace, "s", step) as summary:
        catalog = read_about(workspace.catalog)["digest"]
        summary.update(digest=catalog if name == "ingest" else digest, files=[made])


def _names(workspace, steps=STEPS):
    home = workspace.root / "steps/s"
    return [str(path.relative_to(home)).removesuffix(".json") for path in invalid(workspace, "s", steps)]


def test_all_count_while_nothing_changes(workspace):
    assert _names(workspace) == []


@pytest.mark.parametrize(
    ("changed", "repeated"),
    [
        ("ingest", ["cohort/c", "evaluate", "ingest", "train/both", "train/ridge"]),
        ("train/ridge", ["evaluate", "train/both", "train/ridge"]),
        ("evaluate", ["evaluate"]),
    ],
)
def test_a_step_that_the_study_asks_otherwise_counts_no_more_nor_do_later_ones(workspace, changed, repeated):
    asked = tuple(replace(each, digest="other") if each.name == changed else each for each in STEPS)
    assert _names(workspace, asked) == repeated


def test_a_step_counts_no_more_if_a_step_that_it_needs_has_another_result(workspace):
    _do(workspace, "cohort/c")
    assert _names(workspace) == [], "the same result"
    _do(workspace, "cohort/c", digest="other members")
    assert _names(workspace) == ["evaluate", "train/both", "train/ridge"]


def test_a_step_that_loses_a_file_is_done_again_with_all_later_ones(workspace):
    """Snakemake makes no missing summary again while the summaries of later steps are there."""
    (workspace.root / "made/train-ridge").unlink()
    assert _names(workspace) == ["evaluate", "train/both", "train/ridge"]


@pytest.mark.parametrize("suffix", ["json", "asked"])
@pytest.mark.parametrize("text", [None, "", "[1]", '{"digest": "b"}'])
def test_a_summary_without_its_note_or_damaged_counts_no_more(workspace, suffix, text):
    path = workspace.root / f"steps/s/train/both.{suffix}"
    path.unlink() if text is None else path.write_text(text)
    gone = (suffix, text) == ("json", None)
    assert _names(workspace) == (["evaluate"] if gone else ["evaluate", "train/both"])


def test_a_job_that_is_killed_leaves_no_note_of_an_earlier_one(workspace):
    with pytest.raises(KeyboardInterrupt), summarised(workspace, "s", STEPS[-1]):
        raise KeyboardInterrupt
    assert _names(workspace) == ["evaluate"]


def test_a_dry_run_puts_back_what_a_run_removes(workspace):
    asked = (*STEPS[:-1], replace(STEPS[-1], digest="other"))
    path = summary_path(workspace, "s", "evaluate")
    before = path.stat()
    with pytest.raises(RuntimeError), only_valid(workspace, "s", asked, restore=True):
        assert not path.exists()
        raise RuntimeError
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    with only_valid(workspace, "s", asked, restore=False):
        assert not path.exists()
    assert not path.exists()


def test_ingest_is_done_again_if_the_catalog_is_not_the_one_it_made(workspace):
    archives = {"here": ArchiveSettings(domain="here", adapter="dicom_folder", order=0)}
    workspace.save(workspace.settings.model_copy(update={"archives": archives}))
    assert "ingest" in _names(workspace)
    merge(workspace)
    _do(workspace, "ingest")
    assert "ingest" not in _names(workspace)
