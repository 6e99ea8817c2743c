"""Shards that are done again: what was kept of vanished and changed files stays, and every file has its accounts."""

import errno
import json
import os
import random
import shutil
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import polars as pl
import pytest
from typer.testing import CliRunner

from xray_mining.archive import dicom_elements
from xray_mining.archive.listing import Reader
from xray_mining.archive.radiograph import ListedFile, Unusable
from xray_mining.archive.sources.folder import FolderSource
from xray_mining.catalog.connection import connect
from xray_mining.catalog.merge import merge
from xray_mining.catalog.part_files import part_paths
from xray_mining.catalog.query import select
from xray_mining.cli import ingest as _commands  # noqa: F401  registers them
from xray_mining.cli.app import app
from xray_mining.errors import CannotFinish, UserError
from xray_mining.ingest import near_duplicates, parts, run, shard_rows, shards
from xray_mining.ingest.identity import public_domain
from xray_mining.ingest.ingest import IngestRequest, IngestResult, ingest
from xray_mining.ingest.options import GreyOptions, IngestOptions
from xray_mining.ingest.summary import locate, rejected_paths, status_of
from xray_mining.ingest.workers import Phase
from xray_mining.pixels.store import PixelStore
from xray_mining.records.images import Images
from xray_mining.records.masks import Masks, decode_mask
from xray_mining.records.pixels import Pixels
from xray_mining.records.rejects import Rejects
from xray_mining.workspace import Workspace

SMALL = IngestOptions(grey=GreyOptions(side_px=64), shard_files=4, near_duplicates=False)
OTHER = GreyOptions(side_px=32, value_type="uint16")
FRAMES = {"2.dcm": 2, "5.dcm": 3}
UNTOLD = "7.dcm"
"""The table has no row of it."""


class Killed(BaseException):
    """Stands for kill -9: nothing that catches errors sees it."""


@pytest.fixture(autouse=True, scope="module")
def _in_this_process():
    """Workers cost seconds each to start; what they do is `run_shard`."""

    def run_tasks(tasks, *_: object):
        return [run.run_shard(task, lambda *_: None) for task in tasks]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("xray_mining.ingest.ingest.run_tasks", run_tasks)
        yield


@contextmanager
def killed_after(moves: int) -> Iterator[None]:
    """A run is killed when so many parts have been put in place."""
    whole, left = parts._move, moves

    def move(source: Path, target: Path) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise Killed
        whole(source, target)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parts, "_move", move)
        yield


@dataclass
class Archive:
    """A folder of ten DICOM files with a table, of which each has two contents, and what was done to them."""

    folder: Path
    contents: dict[str, tuple[bytes, bytes]]
    state: dict[str, str] = field(default_factory=dict)
    age: int = 40
    """What the table says of all; 90 and more for the first."""

    def put(self, name: str, version: int) -> None:
        path = self.folder / name
        path.write_bytes(self.contents[name][version])
        os.utime(path, ns=(10**18 + version, 10**18 + version))

    def write_table(self) -> None:
        rows = [
            f"{name},p{name},{95 if name == '0.dcm' else self.age}\n"
            for name in sorted(self.contents)
            if name != UNTOLD
        ]
        (self.folder / "t.csv").write_text("image,patient,age\n" + "".join(rows))


@pytest.fixture(scope="module")
def contents(tmp_path_factory, make_dicom, chest_picture) -> dict[str, tuple[bytes, bytes]]:
    """Two contents a file; the first of the last is another file's picture."""
    path = tmp_path_factory.mktemp("made") / "made.dcm"

    def content(number: int, version: int) -> bytes:
        frames = FRAMES.get(f"{number}.dcm", 1)
        first = 8 if (number, version) == (9, 0) else number + 20 * version
        picture = np.vstack([chest_picture(first + 50 * each) for each in range(frames)])
        about = {"NumberOfFrames": frames, "Rows": 96, "ImageComments": "longer" * version}
        return make_dicom(path, picture, number, **about).read_bytes()

    return {f"{number}.dcm": (content(number, 0), content(number, 1)) for number in range(10)}


def archive_in(folder: Path, contents: dict[str, tuple[bytes, bytes]], version: int = 0) -> Archive:
    folder.mkdir()
    made = Archive(folder, contents)
    for name in contents:
        made.put(name, version)
    made.write_table()
    (folder / "mapping.yaml").write_text("table: t.csv\ncolumns: {image: image, patient_id: patient, age: age}\n")
    return made


@pytest.fixture
def archive(tmp_path, contents) -> Archive:
    return archive_in(tmp_path / "a", contents)


@pytest.fixture(scope="module")
def key(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("key") / "key"
    path.write_text("ab" * 32)
    return path


def rows_of(workspace: Workspace, name: str = "a") -> dict[str, tuple[pl.DataFrame, pl.DataFrame]]:
    """Rows of images and rejects of each file, from the parts."""
    images = Images.read(workspace.parts(name, "images"))
    rejects = Rejects.read(workspace.parts(name, "rejects"))
    found = {}
    for shard in shards.known_shards(workspace, name):
        for position, file in enumerate(shards.files_of(workspace, name, shard)):
            at = (pl.col("shard") == shard) & (pl.col("position") == position)
            found[file.path.decode()] = (images.filter(at), rejects.filter(at))
    return found


def pictures_of(workspace: Workspace, keys: list[str]) -> list[bytes | None]:
    store = PixelStore.open(workspace)
    return [store.read([key]).tobytes() if store.has([key])[0] else None for key in keys]


@pytest.fixture(scope="module")
def truth(contents, key, tmp_path_factory) -> dict[tuple[object, ...], list[object]]:
    """What undisturbed runs give: digests by name and version, pictures by name, version and side."""
    found: dict[tuple[object, ...], list[object]] = {}
    for version in (0, 1):
        folder = tmp_path_factory.mktemp("truth")
        archive_in(folder / "a", contents, version)
        for grey in (SMALL.grey, OTHER):
            fresh = Workspace.create(folder / f"w{grey.side_px}")
            request = IngestRequest(FolderSource(folder / "a"), name="a", domain="d", key_file=key)
            ingest(fresh, request, SMALL.model_copy(update={"grey": grey}))
            for name, (images, _) in rows_of(fresh).items():
                found[name, version, grey.side_px] = pictures_of(fresh, images["image_key"].to_list())
                found[name, version] = images["pixel_digest"].to_list()
    return found


@pytest.mark.parametrize("seed", [0, 1, 2, *(pytest.param(each, marks=pytest.mark.soak) for each in range(3, 30))])
def test_accounts_hold_and_what_was_kept_stays_in_any_order_of_what_may_happen(
    archive, truth, key, tmp_path, run_ingest, seed
):
    rng = random.Random(seed)
    options = SMALL
    state = dict.fromkeys(archive.contents, "there")
    content = dict.fromkeys(archive.contents, 0)
    """The version whose rows are to be found, where they are."""
    lost: set[str] = set()
    """Files that changed before another store was asked for: nothing of them may stand there."""
    run_ingest(archive.folder, tmp_path / "w", options, name="a", domain="d", key_file=key)
    doings = ["vanish", "change", "return", "restore", "table", "topcode", "grey", "again", "jobs", "kill", "none"]
    for _ in range(12):
        doing, name = rng.choice(doings), rng.choice(sorted(archive.contents))
        request: dict[str, object] = {}
        if doing == "vanish" and state[name] != "vanished":
            (archive.folder / name).unlink()
            state[name] = "vanished"
        elif doing == "change" and state[name] != "vanished":
            archive.put(name, 1 - content[name])
            state[name] = "changed"
        elif doing in ("return", "restore") and state[name] == ("vanished" if doing == "return" else "changed"):
            archive.put(name, content[name])
            state[name] = "there"
        elif doing == "table":
            archive.age += 1
            archive.write_table()
        elif doing == "topcode":
            options = options.model_copy(update={"topcode_age": not options.topcode_age})
        elif doing == "grey":
            options = options.model_copy(update={"grey": OTHER if options.grey == SMALL.grey else SMALL.grey})
            lost |= {each for each in state if state[each] == "changed"}
        elif doing == "again":
            request["again"] = True
        if doing == "kill":
            # In the middle of a redo: at any step of putting parts in place, or before.
            archive.age += 1
            archive.write_table()
            request_to_kill = IngestRequest(FolderSource(archive.folder), name="a", jobs=1)
            with killed_after(rng.randrange(20)), suppress(Killed):
                ingest(Workspace.open(tmp_path / "w"), request_to_kill, options)
        if doing == "jobs":
            archive.age += 1
            archive.write_table()
            for job in range(2):
                run_ingest(archive.folder, tmp_path / "w", options, name="a", shards=(job, job + 1))
        workspace, summary = run_ingest(archive.folder, tmp_path / "w", options, name="a", **request)
        if request:
            # Read anew: what is there now is what is to be kept.
            for each in state:
                if state[each] == "changed":
                    content[each], state[each] = 1 - content[each], "there"
            lost &= {each for each in state if state[each] != "there"}
        where = (seed, doing, name, state, lost)

        raw = [Images.read(workspace.parts("a", "images")), Rejects.read(workspace.parts("a", "rejects"))]
        assert summary.seen == sum(frame.height for frame in raw), where
        assert summary.seen == summary.kept + summary.duplicate + summary.rejected
        assert (summary.shards_done, status_of(workspace).archives[0].outdated) == (3, 0), where
        for each, (images, rejects) in rows_of(workspace).items():
            frames = FRAMES.get(each, 1)
            about = (*where, each, rejects.to_dicts())
            if each == UNTOLD:
                expected = {
                    "there": ["not_in_table"],
                    "vanished": ["not_in_table"],
                    "changed": ["changed", "not_in_table"],
                }
                assert images.height == 0, about
                assert sorted(rejects["reason"]) == expected[state[each]], about
                continue
            kept = images.height > 0
            if state[each] == "there" or each not in lost:
                assert kept, about
            if kept:
                assert images["frame"].to_list() == list(range(frames)), about
                assert images["pixel_digest"].to_list() == truth[each, content[each]], about
                assert rejects["reason"].to_list() == (["changed"] if state[each] == "changed" else []), about
                pictures = pictures_of(workspace, images["image_key"].to_list())
                expected = truth[each, content[each], options.grey.side_px]
                if state[each] == "vanished":
                    assert all(one in (None, other) for one, other in zip(pictures, expected, strict=True)), about
                else:
                    assert pictures == expected, about
            else:
                # One row for the file: nothing of it stands in this store.
                assert rejects.height == 1 and rejects["reason"][0] in ("changed", "gone"), about
            if state[each] == "there":
                age = (90 if options.topcode_age else 95) if each == "0.dcm" else archive.age
                assert images["age_years"].to_list() == [age] * frames, about
        if options.topcode_age:
            assert raw[0]["age_years"].max() <= 90, where


def test_a_run_killed_at_any_step_of_a_redo_leaves_no_key_with_a_wrong_picture(tmp_path, make_dicom):
    folder = tmp_path / "a"
    for number in range(3):
        make_dicom(folder / f"{number}", number=number)
    whole, request = Workspace.create(tmp_path / "whole"), IngestRequest(FolderSource(folder), name="a", jobs=1)
    options = SMALL.model_copy(update={"shard_files": 2})
    ingest(whole, request, options)
    before = PixelStore.open(whole)
    keys = before.frame.sort("shard", "offset")["image_key"]
    pictures = before.read(keys)
    (folder / "0").write_text("no picture any more: what follows moves up in the raw file")
    steps = 0
    for steps in range(30):
        root = shutil.copytree(whole.root, tmp_path / f"{steps}" / "w")
        shutil.copytree(whole.private, root.with_name("w.private"))
        workspace = Workspace.open(root)
        ended = False
        with killed_after(steps), suppress(Killed):
            ingest(workspace, replace(request, again=True), options)
            ended = True
        if ended:
            break
        store = PixelStore.open(workspace)
        there = store.has(keys)
        # One shard at most is on its way.
        assert there[2] or there[1]
        assert np.array_equal(store.read(keys.filter(there)), pictures[there]), steps
        # Not --again: the next run goes on with what the killed one was to do.
        ingest(workspace, request, options)
        assert PixelStore.open(workspace).has(keys).tolist() == [False, True, True]
        assert np.array_equal(PixelStore.open(workspace).read(keys[1:]), pictures[1:])
        assert not [path for path in root.rglob("staged/**/*") if path.is_file()]
        assert Rejects.read(workspace.parts("a", "rejects"))["reason"].to_list() == ["not_dicom"]
    assert 14 <= steps < 29


def _as_an_earlier_version_left_it(workspace: Workspace, name: str) -> None:
    """Digests of another kind, which the shards' own digest and counts do not name."""
    for path in workspace.parts(name, "images").glob("*.parquet"):
        other = pl.col("pixel_digest").str.reverse().str.replace(r"^(.{12})-(.{4})-(.{4})-(.{4})-", "$1$2$3$4")
        text = other.str.replace(r"^(.{8})(.{4})(.{4})(.{4})", "$1-$2-$3-$4-")
        Images.write(Images.read(path).with_columns(text.alias("pixel_digest")), path)
    for path in (workspace.root / "parts" / name / "shards").glob("*.json"):
        raw = json.loads(path.read_text())
        del raw["pixel_digest"], raw["unread"]
        path.write_text(json.dumps(raw | {"digest": "of an earlier version"}))


def test_two_kinds_of_pixel_digests_are_told_apart_and_named(archive, tmp_path, run_ingest):
    workspace, _ = run_ingest(archive.folder, tmp_path / "w", SMALL, name="a", domain="d")
    assert merge(workspace).warnings == []
    _as_an_earlier_version_left_it(workspace, "a")
    # One kind finds its own copies.
    assert merge(workspace).warnings == []
    copy = shutil.copytree(archive.folder, tmp_path / "b")
    mapping = copy / "mapping.yaml"
    mapping.write_text(mapping.read_text() + "set: other\n")
    _, missed = run_ingest(copy, tmp_path / "w", SMALL, name="b")
    assert missed.kept > 9
    summary = merge(workspace)
    assert summary.older_digests == ("a",)
    assert "archive a: has digests of an earlier version" in summary.lines()[-1]
    assert "ingest" in summary.warnings[0] and len(summary.warnings) == 1
    status = {each.archive: each.outdated for each in status_of(workspace).archives}
    assert status == {"a": 3, "b": 0}
    run_ingest(archive.folder, tmp_path / "w", SMALL, name="a")
    _, found = run_ingest(copy, tmp_path / "w", SMALL, name="b")
    assert merge(workspace).warnings == []
    assert (found.kept, found.duplicate) == (0, missed.kept + missed.duplicate)


def test_a_vanished_file_of_an_earlier_version_keeps_its_row_and_no_digest_of_the_other_kind(
    archive, tmp_path, run_ingest
):
    workspace, first = run_ingest(archive.folder, tmp_path / "w", SMALL, name="a")
    _as_an_earlier_version_left_it(workspace, "a")
    (archive.folder / "0.dcm").unlink()
    archive.put("1.dcm", 1)
    _, summary = run_ingest(archive.folder, tmp_path / "w", SMALL, name="a")
    rows = rows_of(workspace)
    assert rows["0.dcm"][0]["pixel_digest"].to_list() == [None]
    assert pictures_of(workspace, rows["0.dcm"][0]["image_key"].to_list()) != [None]
    # What changed may still be in a cohort, where no copy of it would be found.
    assert (rows["1.dcm"][0].height, rows["1.dcm"][1]["reason"].to_list()) == (0, ["changed"])
    assert summary.seen == first.seen
    _, summary = run_ingest(archive.folder, tmp_path / "w", SMALL, name="a", again=True)
    assert rows_of(workspace)["1.dcm"][0].height == 1
    assert (summary.seen, merge(workspace).warnings) == (first.seen, [])


def test_counts_from_before_they_named_the_digests_are_named_and_nothing_is_read(archive, tmp_path, run_ingest):
    workspace, _ = run_ingest(archive.folder, tmp_path / "w", SMALL, name="a")
    for path in (workspace.root / "parts/a/shards").glob("*.json"):
        raw = json.loads(path.read_text())
        del raw["pixel_digest"]
        path.write_text(json.dumps(raw))
    run_ingest(shutil.copytree(archive.folder, tmp_path / "b"), tmp_path / "w", SMALL, name="b")
    assert merge(workspace).older_digests == ("a",)
    _, summary = run_ingest(archive.folder, tmp_path / "w", SMALL, name="a")
    assert (summary.shards_now, merge(workspace).older_digests) == (0, ())


@pytest.mark.parametrize("images", ["", "pictures"])
def test_tables_that_nobody_reads_are_said_with_and_without_pictures(tmp_path, run_ingest, chest_picture, images):
    folder = tmp_path / "a"
    (folder / images).mkdir(parents=True)
    for number in range(2):
        cv2.imwrite(str(folder / images / f"{number}.png"), (chest_picture(number) >> 4).astype(np.uint8))
    (folder / "t.csv").write_text("image,patient\n0.png,a\n1.png,b\n")
    (folder / "mapping.yaml").write_text(
        f"table: t.csv\nimages: '{images}'\ncolumns: {{image: image, patient_id: patient}}\n"
    )
    (folder / images / "reports.csv").write_text("patient,report\na,of another kind\n")
    _, headers = run_ingest(folder, tmp_path / "w", SMALL, name="a", metadata_only=True)
    _, whole = run_ingest(folder, tmp_path / "w", SMALL, name="a")
    assert headers.ignored == whole.ignored == (1 if images else 3)
    said = f"{headers.ignored} {'file' if images else 'files'} beside the images (tables, texts)"
    assert any(said in line for line in headers.lines()) and any(said in line for line in whole.lines())


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


def killed(*_: object) -> None:
    raise Killed


def test_a_file_that_was_gone_when_it_was_first_read_is_read_once_it_is_back(archive, tmp_path, run_ingest):
    workspace = Workspace.create(tmp_path / "w")
    with pytest.MonkeyPatch.context() as patch, suppress(Killed):
        patch.setattr("xray_mining.ingest.ingest._run", killed)
        ingest(workspace, IngestRequest(FolderSource(archive.folder), name="a", jobs=1), SMALL)
    (archive.folder / "0.dcm").unlink()
    run_ingest(archive.folder, tmp_path / "w", SMALL, name="a")
    assert rows_of(workspace)["0.dcm"][1]["reason"].to_list() == ["gone"]
    assert run_ingest(archive.folder, tmp_path / "w", SMALL, name="a")[1].shards_now == 0
    # Another content than was listed, of which nothing was read: one account, until --again.
    archive.put("0.dcm", 1)
    run_ingest(archive.folder, tmp_path / "w", SMALL, name="a")
    images, rejects = rows_of(workspace)["0.dcm"]
    assert images.height + rejects.height == 1
    archive.put("0.dcm", 0)
    run_ingest(archive.folder, tmp_path / "w", SMALL, name="a")
    images, rejects = rows_of(workspace)["0.dcm"]
    assert (images.height, rejects.height) == (1, 0)


def test_an_archive_that_was_moved_keeps_what_vanished_on_the_way(archive, tmp_path, run_ingest):
    workspace, first = run_ingest(archive.folder, tmp_path / "w", SMALL, name="a")
    moved = archive.folder.rename(tmp_path / "elsewhere")
    (moved / "2.dcm").unlink()
    (moved / "t.csv").write_text((moved / "t.csv").read_text().replace(",40", ",41"))
    _, summary = run_ingest(moved, tmp_path / "w", SMALL, name="a")
    assert (summary.seen, summary.kept, summary.vanished) == (first.seen, first.kept, 1)
    images = rows_of(workspace)
    assert images["2.dcm"][0]["age_years"].to_list() == [40, 40]
    assert images["3.dcm"][0]["age_years"].to_list() == [41]


def test_masks_that_changed_while_a_file_vanished(tmp_path, run_ingest):
    folder = tmp_path / "a"
    folder.mkdir()
    rng = np.random.default_rng(1)
    outline = np.zeros((64, 64), np.uint8)
    outline[:, :16] = 255
    for number in range(4):
        cv2.imwrite(str(folder / f"{number}.png"), rng.integers(0, 255, (64, 64), np.uint8))
        cv2.imwrite(str(folder / f"{number}_mask.png"), outline)
    (folder / "t.csv").write_text("image,mask\n" + "".join(f"{each}.png,{each}_mask.png\n" for each in range(4)))
    (folder / "mapping.yaml").write_text(
        "table: t.csv\ncolumns: {image: image}\nmasks: [{column: mask, structures: {lungs: {from: 128}}}]\n"
    )
    run_ingest(folder, tmp_path / "w", SMALL, name="a")
    (folder / "0.png").unlink()
    outline[:, :32] = 255
    for number in range(2):
        cv2.imwrite(str(folder / f"{number}_mask.png"), outline)
    for now in (1, 0):
        workspace, summary = run_ingest(folder, tmp_path / "w", SMALL, name="a")
        masks = Masks.read(workspace.parts("a", "masks"))
        areas = {
            key: int(decode_mask(lengths, 64).sum())
            for key, lengths in masks.select("image_key", "run_lengths").iter_rows()
        }
        keys = [rows_of(workspace)[f"{number}.png"][0]["image_key"][0] for number in range(4)]
        assert [areas[key] for key in keys] == [1024, 2048, 1024, 1024]
        assert (summary.seen, summary.kept, summary.shards_now) == (4, 4, now)


def test_headers_alone_after_pictures_take_nothing_away(archive, tmp_path, run_ingest, make_dicom):
    folder = tmp_path / "dicom"
    for number in range(4):
        make_dicom(folder / f"{number}", number=number)
    run_ingest(folder, tmp_path / "w", SMALL, name="a")
    workspace, summary = run_ingest(folder, tmp_path / "w", SMALL, name="a", metadata_only=True)
    assert (summary.seen, summary.shards_now, summary.shards_done) == (4, 0, 1)
    digests = Images.read(workspace.parts("a", "images"))["pixel_digest"]
    assert digests.null_count() == 0
    _, summary = run_ingest(folder, tmp_path / "w", SMALL, name="a", metadata_only=True, again=True)
    assert summary.shards_now == 1
    _, summary = run_ingest(folder, tmp_path / "w", SMALL, name="a")
    assert summary.shards_now == 1
    assert Images.read(workspace.parts("a", "images"))["pixel_digest"].equals(digests)


def test_rows_of_a_table_have_no_file_to_name(tmp_path, run_ingest):
    folder = tmp_path / "a"
    folder.mkdir()
    (folder / "t.csv").write_text("image,patient\n0.png,a\n1.png,b\n")
    (folder / "mapping.yaml").write_text("table: t.csv\ncolumns: {image: image, patient_id: patient}\n")
    whole = shard_rows.ShardRows.frame

    def second_is_unusable(self: shard_rows.ShardRows, position: int, *rest: Any) -> None:
        if position == 1:
            raise Unusable("header", "not_chest", "A reason.")
        whole(self, position, *rest)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shard_rows.ShardRows, "frame", second_is_unusable)
        workspace, summary = run_ingest(folder, tmp_path / "w", SMALL, name="a", metadata_only=True)
    assert (summary.seen, summary.kept, summary.rejected) == (2, 1, 1)
    assert (
        rejected_paths(workspace, "a", select(workspace, "reports/rejected_files", archive="a"))[0]
        == "  not_chest: row 1 of the table: A reason."
    )
    with pytest.raises(UserError, match="from a table alone"):
        locate(workspace, Images.read(workspace.parts("a", "images"))["image_key"][0])


def test_a_file_without_a_frame_has_an_account(tmp_path, make_dicom, run_ingest):
    make_dicom(tmp_path / "a" / "none", number=1, NumberOfFrames=0)
    make_dicom(tmp_path / "a" / "one", number=2)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("xray_mining.archive.dicom_folder.read_dicom", lambda _: iter(()))
        _, summary = run_ingest(tmp_path / "a", tmp_path / "w", SMALL, name="a")
    assert {each.reason: each.accounts for each in summary.outcomes if each.outcome == "rejected"} == {"no_pixels": 2}
    _, summary = run_ingest(tmp_path / "a", tmp_path / "w", SMALL, name="a", again=True)
    assert summary.seen == 2


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


def test_what_the_private_folder_notes_of_a_shard_changes_with_its_parts_or_not_at_all(tmp_path, run_ingest):
    folder = tmp_path / "a"
    folder.mkdir()
    rng = np.random.default_rng(1)
    for number in range(2):
        cv2.imwrite(str(folder / f"{number}.png"), rng.integers(0, 255, (64, 64), np.uint8))
    cv2.imwrite(str(folder / "mask.png"), np.full((64, 64), 255, np.uint8))
    table = folder / "t.csv"
    table.write_text("image,order,mask\n0.png,A1,mask.png\n1.png,A2,\n")
    (folder / "mapping.yaml").write_text(
        "table: t.csv\ncolumns: {image: image, study_id: image, accession: order}\n"
        "masks: [{column: mask, structures: {lungs: {from: 128}}}]\n"
    )
    whole, _ = run_ingest(folder, tmp_path / "w", SMALL, name="a")

    def notes(workspace: Workspace) -> tuple[set[tuple[str, str]], list[str]]:
        home = shards.folder_of(workspace, "a")
        return shards.accessions_of(workspace, "a", 0), [path.name[:5] for path in (home / "masks").iterdir()]

    pairs, masks = notes(whole)
    assert (len(pairs), masks) == (2, ["00000"])
    # The table tells less of both than it did.
    table.write_text("image,order,mask\n0.png,A1,\n1.png,,\n")
    request = IngestRequest(FolderSource(folder), name="a", jobs=1)

    def full(*_: object) -> None:
        raise CannotFinish("w: the disk is full")

    with pytest.MonkeyPatch.context() as patch, pytest.raises(CannotFinish):
        patch.setattr(shard_rows.ShardRows, "counts", full)
        ingest(whole, request, SMALL)
    assert notes(whole) == (pairs, masks)
    ended = False
    steps = 0
    while not ended:
        root = shutil.copytree(whole.root, tmp_path / f"{steps}" / "w")
        shutil.copytree(whole.private, root.with_name("w.private"))
        workspace = Workspace.open(root)
        with killed_after(steps), suppress(Killed):
            ingest(workspace, request, SMALL)
            ended = True
        steps += 1
        ingest(workspace, request, SMALL)
        assert len(notes(workspace)[0]) == 1 and notes(workspace)[0] < pairs and notes(workspace)[1] == []
        assert not [path for path in tmp_path.rglob(f"{steps - 1}/**/staged/**/*") if path.is_file()]
        assert Images.read(workspace.parts("a", "images")).height == 2
    assert steps > 8


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


def test_a_member_that_an_intact_package_never_had_is_asked_for_once(tmp_path, run_ingest, make_dicom):
    (tmp_path / "a").mkdir()
    with zipfile.ZipFile(tmp_path / "a" / "p.zip", "w") as packed:
        for number in range(2):
            packed.writestr(f"m{number}", make_dicom(tmp_path / "made", number=number).read_bytes())
    workspace = Workspace.create(tmp_path / "w")
    with pytest.MonkeyPatch.context() as patch, suppress(Killed):
        patch.setattr("xray_mining.ingest.ingest._run", killed)
        ingest(workspace, IngestRequest(FolderSource(tmp_path / "a"), name="a", jobs=1), SMALL)
    listed = shards.folder_of(workspace, "a") / "shards/00000.parquet"
    # As an earlier version named the second of two members of one name.
    pl.read_parquet(listed).with_columns(pl.col("member").replace("m1", "m0 (2)")).write_parquet(listed)
    for now in (1, 0, 0):
        _, summary = run_ingest(tmp_path / "a", tmp_path / "w", SMALL, name="a", shards=(0, 1))
        assert (summary.kept, summary.rejected, summary.shards_now) == (1, 1, now)
    assert status_of(workspace).archives[0].outdated == 0


@pytest.mark.parametrize("metadata_only", [False, True])
def test_kernels_are_compiled_before_the_first_file(tmp_path, make_dicom, run_ingest, metadata_only):
    make_dicom(tmp_path / "a" / "0")
    done = []

    def noted(part: Any, name: str) -> None:
        whole = getattr(part, name)
        patch.setattr(part, name, lambda *args, **more: (done.append(name), whole(*args, **more))[1])

    with pytest.MonkeyPatch.context() as patch:
        noted(dicom_elements, "prepare")
        noted(shard_rows.ShardRows, "all")
        run_ingest(tmp_path / "a", tmp_path / "w", SMALL, name="a", metadata_only=metadata_only)
    assert done == ["prepare", "all"]


def test_a_folder_that_was_tidied_up_loses_no_image(tmp_path, run_ingest, make_dicom):
    folder = tmp_path / "a"
    for number in range(3):
        make_dicom(folder / f"{number}.dcm", number=number)
    run_ingest(folder, tmp_path / "w", SMALL, name="a")
    (folder / "2026").mkdir()
    for number in range(2):
        (folder / f"{number}.dcm").rename(folder / "2026" / f"{number}.dcm")
    workspace, summary = run_ingest(folder, tmp_path / "w", SMALL, name="a")
    assert (summary.seen, summary.kept, summary.duplicate, summary.vanished) == (5, 3, 2, 2)
    with connect(workspace) as con:
        keys = [str(key) for (key,) in con.execute("select image_key from eligible").fetchall()]
    there = sorted(Path(locate(workspace, key).path).is_file() for key in keys)
    assert there == [True] * 3


def test_a_table_row_without_a_file_is_told_though_other_files_have_no_row(tmp_path, run_ingest, chest_picture):
    folder = tmp_path / "a"
    folder.mkdir()
    for number in range(4):
        cv2.imwrite(str(folder / f"{number}.png"), (chest_picture(number) >> 4).astype(np.uint8))
    (folder / "t.csv").write_text("image,patient\n0.png,a\n1.png,b\n8.png,c\n")
    (folder / "mapping.yaml").write_text("table: t.csv\ncolumns: {image: image, patient_id: patient}\n")
    _, summary = run_ingest(folder, tmp_path / "w", SMALL, name="a")
    assert (summary.kept, summary.rejected, summary.rows_without_file) == (2, 2, 1)
    assert any("1 table row without a file" in line for line in summary.lines())


def test_rejected_files_are_listed_once_with_a_command_that_works(tmp_path, run_ingest, make_dicom):
    folder, root = tmp_path / "a", tmp_path / "my work"
    make_dicom(folder / "0.dcm", number=0)
    make_dicom(folder / "1.dcm", number=1, SOPInstanceUID="1.2.3.0")
    make_dicom(folder / "many.dcm", number=2, Modality="MR", NumberOfFrames=3)
    (folder / "two\nlines.dcm").write_text("no DICOM")
    workspace, _ = run_ingest(folder, root, SMALL, name="a")
    said = rejected_paths(workspace, "a", select(workspace, "reports/rejected_files", archive="a"))
    assert sum("many.dcm" in line for line in said) == 1
    assert any("uid_reused" in line and "1.dcm" in line for line in said)
    assert any(r"two\nlines.dcm" in line for line in said)
    assert f"--workspace '{root}'" in said[-1]


def test_a_row_that_names_an_image_again_is_told(tmp_path, run_ingest, chest_picture):
    folder = tmp_path / "a"
    folder.mkdir()
    for number in range(2):
        cv2.imwrite(str(folder / f"{number}.png"), (chest_picture(number) >> 4).astype(np.uint8))
    (folder / "t.csv").write_text("image,patient,age\n0.png,a,50\n1.png,b,60\n./0.png,c,70\n9.png,d,1\n")
    (folder / "mapping.yaml").write_text("table: t.csv\ncolumns: {image: image, patient_id: patient, age: age}\n")
    workspace, summary = run_ingest(folder, tmp_path / "w", SMALL, name="a")
    assert (summary.kept, summary.rows_without_file, summary.repeated_rows) == (2, 1, 1)
    assert any("1 table row of an image that an earlier row has named" in line for line in summary.lines())
    with connect(workspace) as con:
        assert sorted(age for (age,) in con.execute("select age_years from images").fetchall()) == [50, 60]
