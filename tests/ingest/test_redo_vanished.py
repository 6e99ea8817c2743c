"""Files that vanish, move, return or cannot be read for a while."""

import json
import shutil
import zipfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import polars as pl
import pytest
from redo_pieces import (  # noqa: F401  fixtures
    SMALL,
    Killed,
    _as_an_earlier_version_left_it,
    _in_this_process,
    archive,
    contents,
    key,
    killed,
    killed_after,
    pictures_of,
    rows_of,
)

from xray_mining.archive import dicom_elements
from xray_mining.archive.sources.folder import FolderSource
from xray_mining.catalog.connection import connect
from xray_mining.catalog.merge import merge
from xray_mining.cli import ingest as _commands  # noqa: F401  registers them
from xray_mining.errors import CannotFinish
from xray_mining.ingest import shard_rows, shards
from xray_mining.ingest.ingest import IngestRequest, ingest
from xray_mining.ingest.summary import locate, status_of
from xray_mining.records.images import Images
from xray_mining.records.masks import Masks, decode_mask
from xray_mining.workspace import Workspace


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


def test_a_file_without_a_frame_has_an_account(tmp_path, make_dicom, run_ingest):
    make_dicom(tmp_path / "a" / "none", number=1, NumberOfFrames=0)
    make_dicom(tmp_path / "a" / "one", number=2)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("xray_mining.archive.dicom_folder.read_dicom", lambda _: iter(()))
        _, summary = run_ingest(tmp_path / "a", tmp_path / "w", SMALL, name="a")
    assert {each.reason: each.accounts for each in summary.outcomes if each.outcome == "rejected"} == {"no_pixels": 2}
    _, summary = run_ingest(tmp_path / "a", tmp_path / "w", SMALL, name="a", again=True)
    assert summary.seen == 2


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
