"""A run that reads once more what was read before says why, in one sentence and in `--json`."""

import json
import shutil

import pytest

from xray_mining.ingest import run, shards
from xray_mining.ingest.options import GreyOptions, IngestOptions

SMALL = IngestOptions(grey=GreyOptions(side_px=64), shard_files=2, near_duplicates=False)


@pytest.fixture(autouse=True)
def _in_this_process(monkeypatch):
    """Workers cost seconds each to start; what they do is `run_shard`."""

    def run_tasks(tasks, *_: object):
        return [run.run_shard(task, lambda *_: None) for task in tasks]

    monkeypatch.setattr("xray_mining.ingest.ingest.run_tasks", run_tasks)


@pytest.fixture
def said(tmp_path, make_dicom, run_ingest):
    """said(options, **request) → what the run says of shards that it read once more; the archive has three of them."""
    for number in range(5):
        make_dicom(tmp_path / f"a/{number}.dcm", number=number)

    def again(options: IngestOptions = SMALL, **request: object) -> list[str]:
        _, summary = run_ingest(tmp_path / "a", tmp_path / "w", options=options, **request)
        told = [note for note in summary.notes if note.startswith("shards that were read before")]
        assert all(note in summary.lines() for note in told)
        return told

    return again


def test_a_first_run_and_one_without_a_change_say_nothing(said):
    assert said() == []
    assert said() == []


def test_other_grey_options_are_named(said):
    said()
    other = SMALL.model_copy(update={"grey": GreyOptions(side_px=32)})
    assert said(other) == [
        "shards that were read before and were read anew: 3 because pictures were made with other grey options "
        "(side_px 64 then, 32 now)"
    ]
    assert said(other) == []


def test_pictures_after_headers_alone(said):
    said(metadata_only=True)
    assert said() == ["shards that were read before and were read anew: 3 because only their headers were read"]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("_GREY_VERSION", "this version of xray-mining standardises pictures differently"),
        ("_AGE_VERSION", "this version of xray-mining makes ages differently"),
        ("_IDS_VERSION", "this version of xray-mining makes patient ids differently"),
    ],
)
def test_another_version_is_named(said, monkeypatch, name, words):
    said()
    monkeypatch.setattr(run, name, 99)
    assert said() == [f"shards that were read before and were read anew: 3 because {words}"]
    assert said() == []


def test_options_and_again_are_named(said):
    said()
    changed = SMALL.model_copy(update={"topcode_age": False})
    assert said(changed) == ["shards that were read before and were read anew: 3 because ages above 89 are now kept"]
    ruled = changed.model_copy(update={"patient_id_rule": ("fold_case",)})
    assert "the rule for patient ids was none and is fold_case" in said(ruled)[0]
    assert said(ruled, again=True)[0].endswith("3 because --again asked for it")


def test_what_an_earlier_version_did_not_note_is_said_to_be_unknown(said, tmp_path):
    said()
    (asked,) = (tmp_path / "w.private").rglob("asked.json")
    known = json.loads(asked.read_text())
    assert known.pop("made_from")
    asked.write_text(json.dumps(known))
    assert said() == [], "the digest is the same: nothing is read anew"
    asked.write_text(json.dumps(known))
    assert said(SMALL.model_copy(update={"topcode_age": False}))[0].endswith(
        "options, tables or the version of xray-mining were different"
    )


def test_a_table_that_changed_is_named(tmp_path, run_ingest):
    import cv2
    import numpy as np

    folder = tmp_path / "a"
    folder.mkdir()
    cv2.imwrite(str(folder / "1.png"), np.arange(64 * 64, dtype=np.uint8).reshape(64, 64))
    (folder / "table.csv").write_text("file,pid,age\n1.png,p,30\n")
    mapping = tmp_path / "m.yaml"
    mapping.write_text("table: table.csv\npublic: true\ncolumns: {image: file, patient_id: pid, age: age}\n")
    options = SMALL.model_copy(update={"mapping": str(mapping)})
    run_ingest(folder, tmp_path / "w", options=options)
    (folder / "table.csv").write_text("file,pid,age\n1.png,p,31\n")
    _, summary = run_ingest(folder, tmp_path / "w", options=options)
    assert [note for note in summary.notes if "read anew" in note] == [
        "shards that were read before and were read anew: 1 because a table or the mapping has changed"
    ]
    # Without pictures from slices of the table alone.
    shutil.rmtree(tmp_path / "w")
    run_ingest(folder, tmp_path / "v", options=options, metadata_only=True)
    (folder / "table.csv").write_text("file,pid,age\n1.png,p,32\n")
    workspace, summary = run_ingest(folder, tmp_path / "v", options=options, metadata_only=True)
    assert any("a table or the mapping has changed" in note for note in summary.notes)
    assert shards.folder_of(workspace, summary.archive).is_dir()
