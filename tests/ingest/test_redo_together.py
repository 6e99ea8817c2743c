"""Several processes on one archive."""

import json
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from redo_pieces import SMALL, Killed, _in_this_process, archive, contents, killed_after  # noqa: F401  fixtures
from typer.testing import CliRunner

from xray_mining.archive.sources.folder import FolderSource
from xray_mining.catalog.merge import merge
from xray_mining.catalog.part_files import part_paths
from xray_mining.cli import ingest as _commands  # noqa: F401  registers them
from xray_mining.cli.app import app
from xray_mining.errors import UserError
from xray_mining.ingest import near_duplicates, parts, run
from xray_mining.ingest.identity import public_domain
from xray_mining.ingest.ingest import IngestRequest, IngestResult, ingest
from xray_mining.ingest.options import IngestOptions
from xray_mining.ingest.summary import status_of
from xray_mining.ingest.workers import Phase
from xray_mining.pixels.store import PixelStore
from xray_mining.records.images import Images
from xray_mining.records.pixels import Pixels
from xray_mining.workspace import Workspace


def test_a_process_that_wants_a_shard_that_another_is_at_waits(archive, tmp_path, run_ingest):
    workspace, first = run_ingest(archive.folder, tmp_path / "w", SMALL, name="a")
    counts = parts.counts_of_shard(workspace, "a", 0)[0]
    said = []

    def other() -> None:
        with parts.staged(workspace, "a", 0) as staging:
            said.append("other")
            staging.counts = counts

    waiting = threading.Thread(target=other)
    with parts.staged(workspace, "a", 0) as staging:
        staging.write(Images, Images.read(parts.part_path(workspace, "a", Images, 0)))
        waiting.start()
        waiting.join(0.3)
        said.append("first")
        assert (staging.folder / "images.parquet").is_file()
        staging.counts = counts
    waiting.join()
    assert said == ["first", "other"]
    assert run_ingest(archive.folder, tmp_path / "w", SMALL, name="a")[1].seen == first.seen


def test_a_worker_that_waits_for_another_at_its_shard_says_that_it_is_alive(archive, tmp_path, run_ingest, monkeypatch):
    workspace, _ = run_ingest(archive.folder, tmp_path / "w", SMALL, name="a")
    monkeypatch.setattr("xray_mining.workspace.locks.PATIENCE_S", 0.01)
    counts = parts.counts_of_shard(workspace, "a", 0)[0]
    said: list[Phase] = []
    asked_thrice = threading.Event()

    def report(phase: Phase, *_: int) -> None:
        said.append(phase)
        if len(said) == 3:
            asked_thrice.set()

    domain = public_domain("a")
    task = run.ShardTask(
        workspace.root, "a", "generic", FolderSource(archive.folder), archive.folder / "mapping.yaml", domain, 0, SMALL
    )
    waiting = threading.Thread(target=run.run_shard, args=(task, report))
    with parts.staged(workspace, "a", 0) as staging:
        waiting.start()
        assert asked_thrice.wait(20)
        assert set(said) == {Phase.STARTING}
        staging.counts = counts
    waiting.join()
    assert said[-1] is Phase.WRITING


def test_a_store_that_is_open_while_a_shard_is_read_anew_gives_no_other_picture(tmp_path, make_dicom, run_ingest):
    for number in range(3):
        make_dicom(tmp_path / "a" / f"{number}", number=number)
    workspace, _ = run_ingest(tmp_path / "a", tmp_path / "w", SMALL, name="a")
    opened, late = PixelStore.open(workspace), PixelStore.open(workspace)
    keys = opened.frame.sort("offset")["image_key"]
    pictures = opened.read(keys)
    (tmp_path / "a" / "0").write_text("no picture any more: what follows moves up in the raw file")
    make_dicom(tmp_path / "a" / "3", number=3)
    run_ingest(tmp_path / "a", tmp_path / "w", SMALL, name="a", again=True)
    # Who holds the old file has the old pictures; who opens the new one has not the rows for it.
    assert np.array_equal(opened.read(keys), pictures)
    with pytest.raises(UserError, match="was replaced since it was opened"):
        late.read(keys[1:2])
    assert np.array_equal(PixelStore.open(workspace).read(keys[1:]), pictures[1:])


def test_a_search_for_near_duplicates_is_left_to_the_job_that_reads_pictures_anew(tmp_path, make_dicom, run_ingest):
    folder, options = tmp_path / "a", SMALL.model_copy(update={"near_duplicates": True})
    for number in range(3):
        make_dicom(folder / f"{number}", number=number)
    workspace, _ = run_ingest(folder, tmp_path / "w", SMALL, name="a")
    store = workspace.settings.store
    assert store is not None
    before = PixelStore.open(workspace)
    (folder / "0").write_text("no picture any more")
    run_ingest(folder, tmp_path / "w", SMALL, name="a", again=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(PixelStore, "open", lambda *_: before)
        assert near_duplicates.find(workspace, store) == 0
    assert not near_duplicates.searched(workspace).len()
    run_ingest(folder, tmp_path / "w", options, name="a")
    assert near_duplicates.searched(workspace).len() == 2


def test_a_merge_while_a_shard_is_on_its_way_finds_every_part_that_it_listed(archive, tmp_path, run_ingest):
    workspace, _ = run_ingest(archive.folder, tmp_path / "w", SMALL, name="a")
    listed = part_paths(workspace, Pixels)
    archive.age += 1
    archive.write_table()
    for moves in range(3):
        with killed_after(moves), suppress(Killed):
            ingest(workspace, IngestRequest(FolderSource(archive.folder), name="a", jobs=1), SMALL)
        assert all(path.is_file() for path in listed)
        assert merge(workspace).images > 0


def test_the_books_of_one_job_hold_while_another_ends_a_shard(archive, tmp_path, monkeypatch):
    def both(workspace: Workspace, request: IngestRequest, options: IngestOptions) -> IngestResult:
        result = ingest(workspace, replace(request, shards=(0, 1)), SMALL)
        ingest(workspace, replace(request, shards=(1, 2)), SMALL)
        return result

    monkeypatch.setattr("xray_mining.ingest.ingest.ingest", both)
    said = CliRunner().invoke(app, ["ingest", str(archive.folder), "--workspace", str(tmp_path / "w"), "--json"])
    assert said.exit_code == 0, said.exception
    summary = json.loads(said.stdout)
    assert summary["seen"] == summary["kept"] + summary["duplicate"] + summary["rejected"]
    workspace = Workspace.open(tmp_path / "w")
    name = next(iter(workspace.settings.archives))
    assert summary["seen"] == parts.accounts_of(workspace, name).seen


def test_a_file_that_the_desktop_left_among_the_stores_stops_nothing(archive, tmp_path, run_ingest):
    workspace, first = run_ingest(archive.folder, tmp_path / "w", SMALL, name="a")
    (workspace.root / "pixels" / ".DS_Store").write_text("")
    _, summary = run_ingest(archive.folder, tmp_path / "w", SMALL, name="a", again=True)
    assert (summary.seen, summary.shards_now) == (first.seen, 3)


def test_counts_that_another_process_takes_back_meanwhile_are_no_error(archive, tmp_path, run_ingest):
    workspace, _ = run_ingest(archive.folder, tmp_path / "w", SMALL, name="a")
    # Listed, and gone when it is opened.
    (workspace.root / "parts/a/shards/00000-grey.json").symlink_to("nowhere")
    assert sorted(parts.counts_of(workspace, "a", None)) == [0, 1, 2]
    assert len(parts.counts_of_shard(workspace, "a", 0)) == 1
    assert status_of(workspace).archives[0].done == 3


def test_the_counts_of_all_shards_are_listed_once(archive, tmp_path, run_ingest, monkeypatch):
    options = SMALL.model_copy(update={"shard_files": 1})
    workspace, _ = run_ingest(archive.folder, tmp_path / "w", options, name="a")
    whole, listed = parts._counts, []

    def noted(*args: Any) -> Iterator[Any]:
        listed.append(args[-1])
        return whole(*args)

    monkeypatch.setattr(parts, "_counts", noted)
    assert merge(workspace, force=True).older_digests == ()
    assert len(listed) == 1
    parts.outdate(workspace, "a", range(5), None)
    assert len(listed) == 2
    assert sum(not each.digest for each in parts.counts_of(workspace, "a", None).values()) == 5
