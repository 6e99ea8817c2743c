"""Shards that are read again: on request, or because an earlier version read them."""

import errno
import json
import os
from contextlib import suppress

import cv2
import numpy as np
import pytest
from redo_pieces import SMALL, Killed, _in_this_process, archive, contents, killed, rows_of  # noqa: F401  fixtures

from xray_mining.archive.listing import Reader
from xray_mining.archive.radiograph import ListedFile
from xray_mining.archive.sources.folder import FolderSource
from xray_mining.catalog.connection import connect
from xray_mining.catalog.query import select
from xray_mining.cli import ingest as _commands  # noqa: F401  registers them
from xray_mining.ingest.ingest import IngestRequest, ingest
from xray_mining.ingest.summary import rejected_paths, status_of


def test_again_for_some_shards_leaves_nothing_changed_in_them(archive, tmp_path, run_ingest):
    workspace, first = run_ingest(archive.folder, tmp_path / "w", SMALL, name="a")
    archive.put("0.dcm", 1)
    archive.put("9.dcm", 1)
    _, summary = run_ingest(archive.folder, tmp_path / "w", SMALL, name="a", shards=(0, 1), again=True)
    assert summary.seen == first.seen + 1
    for _ in range(2):
        _, summary = run_ingest(archive.folder, tmp_path / "w", SMALL, name="a")
        rejects = {name: rejects["reason"].to_list() for name, (_, rejects) in rows_of(workspace).items()}
        assert (rejects["0.dcm"], rejects["9.dcm"], summary.seen) == ([], ["changed"], first.seen + 1)
    assert [
        line
        for line in rejected_paths(workspace, "a", select(workspace, "reports/rejected_files", archive="a"))
        if "9.dcm" in line and "changed" in line
    ]


def test_a_change_after_again_is_an_event_of_its_own(archive, tmp_path, run_ingest):
    run_ingest(archive.folder, tmp_path / "w", SMALL, name="a")
    archive.put("0.dcm", 1)
    assert [run_ingest(archive.folder, tmp_path / "w", SMALL, name="a")[1].changed for _ in range(2)] == [1, 0]
    run_ingest(archive.folder, tmp_path / "w", SMALL, name="a", again=True)
    archive.put("0.dcm", 0)
    assert [run_ingest(archive.folder, tmp_path / "w", SMALL, name="a")[1].changed for _ in range(2)] == [1, 0]


def test_again_that_is_killed_before_it_reads_is_gone_on_with(archive, tmp_path, run_ingest):
    workspace, first = run_ingest(archive.folder, tmp_path / "w", SMALL, name="a")
    before = rows_of(workspace)["0.dcm"][0]["pixel_digest"].to_list()
    archive.put("0.dcm", 1)
    with pytest.MonkeyPatch.context() as patch, suppress(Killed):
        patch.setattr("xray_mining.ingest.ingest._run", killed)
        ingest(workspace, IngestRequest(FolderSource(archive.folder), name="a", jobs=1, again=True), SMALL)
    assert status_of(workspace).archives[0].done == 0
    _, summary = run_ingest(archive.folder, tmp_path / "w", SMALL, name="a")
    assert (summary.seen, summary.shards_now) == (first.seen, 3)
    assert rows_of(workspace)["0.dcm"][0]["pixel_digest"].to_list() != before


def test_a_file_that_the_disk_does_not_give_is_tried_again_once_it_stands_otherwise(
    archive, tmp_path, run_ingest, monkeypatch
):
    whole = Reader._plain

    def torn(reader: Reader, file: ListedFile) -> bytes:
        if file.path == b"0.dcm":
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return whole(reader, file)

    def again() -> tuple[int, int, list[str]]:
        outdated = status_of(workspace).archives[0].outdated
        _, summary = run_ingest(archive.folder, tmp_path / "w", SMALL, name="a")
        return outdated, summary.shards_now, rows_of(workspace)["0.dcm"][1]["reason"].to_list()

    monkeypatch.setattr(Reader, "_plain", torn)
    workspace, _ = run_ingest(archive.folder, tmp_path / "w", SMALL, name="a")
    assert again() == (0, 0, ["unreadable"])
    (archive.folder / "0.dcm").chmod(0o600)
    assert again() == (1, 1, ["unreadable"])
    # As another store and an earlier version have it: tried once more, and then no more.
    for path in (workspace.root / "parts/a/shards").glob("*.json"):
        raw = json.loads(path.read_text())
        path.write_text(json.dumps(raw | {"unread": [int(each) for each in raw["unread"]]}))
    assert again() == (1, 1, ["unreadable"])
    assert again() == (0, 0, ["unreadable"])
    monkeypatch.setattr(Reader, "_plain", whole)
    (archive.folder / "0.dcm").chmod(0o644)
    assert again() == (1, 1, [])
    assert again() == (0, 0, [])


def test_a_row_that_names_an_image_again_is_told(tmp_path, run_ingest, chest_picture):
    folder = tmp_path / "a"
    folder.mkdir()
    for number in range(2):
        cv2.imwrite(str(folder / f"{number}.png"), (chest_picture(number) >> 4).astype(np.uint8))
    (folder / "t.csv").write_text("image,patient,age\n0.png,a,50\n1.png,b,60\n./0.png,c,70\n9.png,d,1\n")
    (folder / "mapping.yaml").write_text("table: t.csv\ncolumns: {image: image, patient_id: patient, age: age}\n")
    workspace, summary = run_ingest(folder, tmp_path / "w", SMALL, name="a")
    assert (summary.kept, summary.rows_without_file, summary.repeated_rows) == (2, 1, 1)
    assert any("1 table row of an image that an earlier row names" in line for line in summary.lines())
    with connect(workspace) as con:
        assert sorted(age for (age,) in con.execute("select age_years from images").fetchall()) == [50, 60]
