"""Runs of ingest: shards, stores, tables, masks and what the next run reads."""

import os
import shutil

import cv2
import numpy as np
import pytest
from ingest_pieces import SMALL, archive, reasons, state_of  # noqa: F401  fixtures

from xray_mining.archive.sources.folder import FolderSource
from xray_mining.catalog.query import sql
from xray_mining.errors import UserError
from xray_mining.ingest.ingest import IngestRequest, ingest
from xray_mining.ingest.options import GreyOptions, IngestOptions
from xray_mining.ingest.summary import status_of
from xray_mining.pixels.store import PixelStore
from xray_mining.records.masks import Masks, decode_mask
from xray_mining.workspace import Workspace


def test_books_balance_and_a_second_run_finds_nothing_new(archive, tmp_path, run_ingest, state_of):
    workspace, summary = run_ingest(archive, tmp_path / "w")
    assert (summary.seen, summary.kept, summary.shards, summary.shards_done) == (20, 20, 3, 3)
    before = state_of(workspace)
    again, second = run_ingest(archive, tmp_path / "w")
    assert second.shards_now == 0
    assert state_of(again) == before
    assert status_of(workspace).archives[0].done == 3


def test_new_files_open_new_shards_and_leave_finished_ones_alone(archive, tmp_path, run_ingest, make_dicom):
    folder = shutil.copytree(archive, tmp_path / "a")
    workspace, _ = run_ingest(folder, tmp_path / "w")
    parts = {path: path.stat().st_mtime_ns for path in (workspace.root / "parts").rglob("0000?.parquet")}
    make_dicom(folder / "0" / "A_NEW_ONE", number=77)
    _, summary = run_ingest(folder, tmp_path / "w")
    assert (summary.seen, summary.shards_now, summary.shards) == (21, 1, 4)
    assert all(path.stat().st_mtime_ns == stamp for path, stamp in parts.items())


def test_vanished_changed_and_returned_files_are_events(archive, tmp_path, run_ingest, make_dicom):
    folder = shutil.copytree(archive, tmp_path / "a")
    workspace, _ = run_ingest(folder, tmp_path / "w")
    gone = folder / "0" / "IM0000"
    kept_aside = gone.read_bytes()
    stamp = gone.stat().st_mtime_ns
    gone.unlink()
    make_dicom(folder / "1" / "IM0001", number=1, PatientSex="M", SeriesDescription="longer")
    _, summary = run_ingest(folder, tmp_path / "w")
    assert (summary.vanished, summary.changed, reasons(summary)) == (1, 1, {"changed": 1})
    assert (summary.kept, summary.seen, summary.still_there) == (20, 21, 20)
    text = "\n".join(summary.lines())
    assert "20  (1 of them vanished)" in text and "20 of 21 seen still exist" in text
    # what vanished before is gone in a later run's table too, which saw nothing vanish
    _, summary = run_ingest(folder, tmp_path / "w")
    assert (summary.vanished, summary.still_there) == (0, 20)
    gone.write_bytes(kept_aside)
    os.utime(gone, ns=(stamp, stamp))
    _, summary = run_ingest(folder, tmp_path / "w")
    assert (summary.returned, summary.vanished, summary.changed) == (1, 0, 0)
    assert summary.still_there == summary.seen and "still exist" not in "\n".join(summary.lines())
    _, summary = run_ingest(folder, tmp_path / "w", again=True)
    assert (summary.kept, reasons(summary)) == (20, {})
    assert sql(workspace, "select count(*) as n from images where patient_sex = 'M'")["n"][0] == 1


def test_two_jobs_with_their_shards_make_the_whole(archive, tmp_path, run_ingest, state_of):
    whole, _ = run_ingest(archive, tmp_path / "whole", name="a", key_file=None)
    key = whole.private / "keys" / "a.key"
    _, first = run_ingest(archive, tmp_path / "w", name="a", shards=(0, 2), key_file=key)
    assert first.shards_done == 2
    workspace, second = run_ingest(archive, tmp_path / "w", name="a", shards=(2, 3))
    assert second.shards_done == 3
    assert state_of(workspace) == state_of(whole)


def test_another_grey_makes_another_store_beside_the_first(archive, tmp_path, run_ingest):
    workspace, _ = run_ingest(archive, tmp_path / "w")
    first = workspace.settings.store
    options = SMALL.model_copy(update={"grey": GreyOptions(side_px=32, value_type="uint16")})
    run_ingest(archive, tmp_path / "w", options=options)
    assert workspace.settings.store != first
    assert len(PixelStore.open(workspace)) == len(PixelStore.open(workspace, first)) == 20
    assert PixelStore.open(workspace).read(PixelStore.open(workspace).frame["image_key"]).dtype == np.uint16


@pytest.mark.parametrize("metadata_only", [False, True])
def test_a_corrected_table_mapping_or_option_is_read_by_the_next_run(tmp_path, run_ingest, metadata_only):
    folder = tmp_path / "a"
    folder.mkdir()
    rng = np.random.default_rng(1)
    for number in range(3):
        cv2.imwrite(str(folder / f"{number}.png"), rng.integers(0, 255, (64, 64), np.uint8))
    table, mapping = folder / "t.csv", folder / "mapping.yaml"
    table.write_text("image,patient,age,old\n0.png,a,40,95\n1.png,b,50,50\n2.png,c,60,60\n")
    mapping.write_text("table: t.csv\ncolumns: {image: image, patient_id: patient, age: age}\n")

    def ages(options: IngestOptions = SMALL) -> tuple[int, list[float]]:
        workspace, summary = run_ingest(folder, tmp_path / "w", options=options, metadata_only=metadata_only)
        assert summary.kept == 3
        return summary.shards_now, sql(workspace, "select age_years as a from images order by a")["a"].to_list()

    assert ages() == (1, [40, 50, 60])
    table.write_text(table.read_text().replace("c,60,60", "c,61,61"))
    assert ages() == (1, [40, 50, 61])
    assert ages() == (0, [40, 50, 61])
    mapping.write_text(mapping.read_text().replace("age: age", "age: old"))
    assert ages() == (1, [50, 61, 90])
    assert ages(SMALL.model_copy(update={"topcode_age": False})) == (1, [50, 61, 95])
    assert ages() == (1, [50, 61, 90])


def test_an_edited_or_later_mask_is_read_by_the_next_run_and_costs_its_own_shard(tmp_path, run_ingest):
    folder = tmp_path / "a"
    folder.mkdir()
    rng = np.random.default_rng(1)
    for number in range(4):
        cv2.imwrite(str(folder / f"{number}.png"), rng.integers(0, 255, (64, 64), np.uint8))
    outline = np.zeros((64, 64), np.uint8)
    outline[:, :16] = 255
    for number in range(3):
        cv2.imwrite(str(folder / f"{number}_mask.png"), outline)
    (folder / "t.csv").write_text("image,mask\n" + "".join(f"{each}.png,{each}_mask.png\n" for each in range(4)))
    (folder / "mapping.yaml").write_text(
        "table: t.csv\ncolumns: {image: image}\nmasks: [{column: mask, structures: {lungs: {from: 128}}}]\n"
    )
    options = SMALL.model_copy(update={"shard_files": 2})

    def areas() -> tuple[int, list[int]]:
        workspace, summary = run_ingest(folder, tmp_path / "w", options=options, name="a")
        masks = Masks.read(workspace.parts("a", "masks"))
        return summary.shards_now, sorted(int(decode_mask(each, 64).sum()) for each in masks["run_lengths"])

    def status() -> tuple[int, int]:
        found = status_of(Workspace.open(tmp_path / "w")).archives[0]
        return found.done, found.outdated

    assert areas() == (2, [1024] * 3)
    assert areas() == (0, [1024] * 3)
    assert status() == (2, 0)
    outline[:, :32] = 255
    cv2.imwrite(str(folder / "0_mask.png"), outline)
    assert status() == (1, 1)
    assert areas() == (1, [1024, 1024, 2048])
    cv2.imwrite(str(folder / "3_mask.png"), outline)
    assert areas() == (1, [1024, 1024, 2048, 2048])
    assert status() == (2, 0)


def test_status_does_not_count_shards_of_an_older_table_as_done(tmp_path, run_ingest):
    folder = tmp_path / "a"
    folder.mkdir()
    cv2.imwrite(str(folder / "0.png"), np.random.default_rng(1).integers(0, 255, (64, 64), np.uint8))
    (folder / "t.csv").write_text("image,age\n0.png,40\n")
    (folder / "mapping.yaml").write_text("table: t.csv\ncolumns: {image: image, age: age}\n")
    workspace, _ = run_ingest(folder, tmp_path / "w")
    assert (status_of(workspace).archives[0].done, status_of(workspace).archives[0].outdated) == (1, 0)
    (folder / "t.csv").write_text("image,age\n0.png,41\n")
    status = status_of(workspace)
    assert (status.archives[0].done, status.archives[0].outdated, status.archives[0].kept) == (0, 1, 1)
    assert "1 outdated" in status.lines()[0]
    folder.rename(tmp_path / "away")
    assert status_of(workspace).archives[0].done == 1


def test_table_rows_killed_between_slices_are_finished_by_the_next_run(tmp_path, run_ingest, monkeypatch):
    folder = tmp_path / "a"
    folder.mkdir()
    (folder / "t.csv").write_text("image,patient\n" + "".join(f"{n}.png,{n}\n" for n in range(10)))
    (folder / "mapping.yaml").write_text("table: t.csv\ncolumns: {image: image, patient_id: patient}\n")
    monkeypatch.setattr("xray_mining.ingest.ingest.TABLE_ROWS", 4)
    with monkeypatch.context() as patch:
        patch.setattr("xray_mining.ingest.ingest.count", lambda first: iter([first]))
        run_ingest(folder, tmp_path / "w", metadata_only=True)
    _, summary = run_ingest(folder, tmp_path / "w", metadata_only=True)
    assert (summary.shards_now, summary.kept) == (2, 10)
    (folder / "t.csv").write_text("image,patient\n0.png,0\n")
    _, summary = run_ingest(folder, tmp_path / "w", metadata_only=True)
    assert summary.kept == 1


def test_two_stores_of_one_archive_never_share_rows_of_other_tables(archive, tmp_path, run_ingest):
    run_ingest(archive, tmp_path / "w")
    other = SMALL.model_copy(update={"grey": GreyOptions(side_px=32), "topcode_age": False})
    run_ingest(archive, tmp_path / "w", options=other)
    _, summary = run_ingest(archive, tmp_path / "w")
    assert summary.shards_now == 3


def test_a_workspace_in_the_archive_is_no_part_of_it(tmp_path, make_dicom, run_ingest):
    for number in range(3):
        make_dicom(tmp_path / "a" / f"{number}", number=number)
    _, first = run_ingest(tmp_path / "a", tmp_path / "a" / "w", name="a")
    _, second = run_ingest(tmp_path / "a", tmp_path / "a" / "w", name="a")
    assert [(each.seen, each.kept, each.listed, each.ignored) for each in (first, second)] == [(3, 3, 3, 0)] * 2


def test_an_archive_goes_on_with_the_mapping_that_it_was_read_by(tmp_path, run_ingest):
    folder = tmp_path / "a"
    folder.mkdir()
    cv2.imwrite(str(folder / "0.png"), np.full((64, 64), 40, np.uint8))
    (folder / "t.csv").write_text("picture,who\n0.png,a\n1.png,b\n")
    mapping = tmp_path / "own.yaml"
    mapping.write_text("table: t.csv\ncolumns: {image: picture, patient_id: who}\n")
    workspace, first = run_ingest(folder, tmp_path / "w", mapping=mapping)
    cv2.imwrite(str(folder / "1.png"), np.full((64, 64), 90, np.uint8))
    # By its folder, by its name, and where it was moved to.
    _, second = run_ingest(folder, tmp_path / "w")
    assert (first.kept, second.archive, second.kept) == (1, first.archive, 2)
    folder.rename(tmp_path / "b")
    _, third = run_ingest(tmp_path / "b", tmp_path / "w", name=first.archive)
    assert (third.kept, third.shards_now) == (2, 0)
    with pytest.raises(UserError, match="no adapter recognises"):
        run_ingest(tmp_path / "b", tmp_path / "w", name="another")
    with pytest.raises(UserError, match="did you mean 'covid'"):
        ingest(workspace, IngestRequest(FolderSource(tmp_path / "b")), IngestOptions(mapping="covd"))


def test_headers_alone_and_pictures_later_keep_their_keys(archive, tmp_path, run_ingest):
    workspace, first = run_ingest(archive, tmp_path / "w", metadata_only=True)
    keys = sql(workspace, "select image_key::varchar as k, quality_flags[1] as f from images order by k")
    assert first.kept == 20
    assert set(keys["f"]) == {"no_pixels"}
    workspace, second = run_ingest(archive, tmp_path / "w")
    assert second.kept == 20
    assert sql(workspace, "select image_key::varchar as k from images order by k")["k"].equals(keys["k"])
    assert PixelStore.open(workspace).has(keys["k"]).all()
