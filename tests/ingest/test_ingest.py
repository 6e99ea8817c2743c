"""Whole runs: books that balance, bad input, breaks, changes, duplicates, damaged and dangerous files, no identity."""

import gzip
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tarfile
import time
import zipfile
from pathlib import Path

import cv2
import numpy as np
import polars as pl
import pytest

from xray_mining.archive.sources.folder import FolderSource
from xray_mining.catalog.merge import merge
from xray_mining.catalog.query import select, sql
from xray_mining.errors import UserError
from xray_mining.ingest import near_duplicates
from xray_mining.ingest.ingest import IngestRequest, ingest
from xray_mining.ingest.options import GreyOptions, IngestOptions
from xray_mining.ingest.summary import locate, rejected_paths, status_of
from xray_mining.pixels.store import PixelStore
from xray_mining.records.masks import Masks, decode_mask
from xray_mining.workspace import Workspace

SMALL = IngestOptions(grey=GreyOptions(side_px=64), shard_files=8, near_duplicates=False)


def reasons(summary) -> dict[str, int]:
    return {each.reason: each.accounts for each in summary.outcomes if each.outcome == "rejected"}


@pytest.fixture(scope="module")
def archive(tmp_path_factory, make_dicom) -> Path:
    """Twenty whole files in nested folders."""
    folder = tmp_path_factory.mktemp("archive")
    for number in range(20):
        make_dicom(folder / f"{number % 3}" / f"IM{number:04d}", number=number)
    return folder


@pytest.fixture(scope="module")
def state_of(run_ingest):
    def state(workspace: Workspace) -> tuple[str, bytes]:
        digest = merge(workspace).catalog_digest
        store = PixelStore.open(workspace)
        return digest, store.read(store.frame["image_key"]).tobytes()

    return state


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
    assert "20  (1 of them vanished)" in text and "20 of 21 seen are still there" in text
    # what vanished before is gone in a later run's table too, which saw nothing vanish
    _, summary = run_ingest(folder, tmp_path / "w")
    assert (summary.vanished, summary.still_there) == (0, 20)
    gone.write_bytes(kept_aside)
    os.utime(gone, ns=(stamp, stamp))
    _, summary = run_ingest(folder, tmp_path / "w")
    assert (summary.returned, summary.vanished, summary.changed) == (1, 0, 0)
    assert summary.still_there == summary.seen and "still there" not in "\n".join(summary.lines())
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


def test_duplicates_of_every_kind(tmp_path, make_dicom, run_ingest, chest_picture):
    folder = tmp_path / "a"
    picture = chest_picture(1)
    make_dicom(folder / "1", picture, number=1)
    make_dicom(folder / "2_header_only_change", picture, number=1, PatientSex="M")
    make_dicom(folder / "3_same_pixels_other_uid", picture, number=3)
    make_dicom(folder / "4_uid_reused", chest_picture(99)[::-1], number=1)
    make_dicom(folder / "5_other", number=5)
    _, summary = run_ingest(folder, tmp_path / "w")
    outcomes = {(each.outcome, each.reason): each.accounts for each in summary.outcomes}
    assert outcomes["duplicate", "same_pixels"] == 1
    assert outcomes["kept", ""] == 2
    assert outcomes["rejected", "uid_reused"] == 1
    assert outcomes["duplicate", "same_instance"] == 1


def test_the_same_picture_under_two_patients_in_two_archives(archive, tmp_path, run_ingest):
    _, one = run_ingest(archive, tmp_path / "w", name="a", domain="hospital")
    _, two = run_ingest(shutil.copytree(archive, tmp_path / "b"), tmp_path / "w", name="b", domain="hospital")
    assert (one.kept, two.kept, two.duplicate) == (20, 0, 20)


def test_near_duplicates_of_real_radiographs_are_found(shared, tmp_path, run_ingest):
    """A part of the known pairs: one image of Hannover in two scalings and crops."""
    rows = pl.read_csv(shared / "data/near_duplicates.csv").filter(
        pl.col("image_a").str.starts_with("covid-cxr/") & pl.col("image_b").str.starts_with("hannover-cxr/")
    )
    wanted = list(rows.select("image_a", "image_b").head(25).iter_rows())
    folder = tmp_path / "a"
    (folder / "images").mkdir(parents=True)
    others = sorted((shared / "data/covid-cxr/images").iterdir())[:40]
    names = {}
    for path in [shared / "data" / name for pair in wanted for name in pair] + others:
        name = f"{path.parts[-3]}_{path.name}"
        shutil.copy(path, folder / "images" / name)
        names[f"{path.parts[-3]}/images/{path.name}"] = name
    (folder / "t.csv").write_text("image,patient\n" + "".join(f"{n},{n}\n" for n in sorted(set(names.values()))))
    (folder / "mapping.yaml").write_text("table: t.csv\nimages: images\ncolumns: {image: image, patient_id: patient}\n")
    options = IngestOptions(grey=GreyOptions(side_px=256))
    workspace, summary = run_ingest(folder, tmp_path / "w", options=options)
    pairs = sql(workspace, "select image_key_a::varchar as a, image_key_b::varchar as b from near_duplicates")
    found = {frozenset(row) for row in pairs.iter_rows()}
    images = sql(workspace, "select image_key::varchar as k from images")["k"]
    by_name = {Path(locate(workspace, key).path).name: key for key in images}
    true = {
        frozenset(by_name[names[each]] for each in pair) for pair in wanted if all(names[e] in by_name for e in pair)
    }
    assert len(found & true) >= 0.8 * len(true)
    assert summary.near_duplicates == len(found)


def test_a_search_for_near_duplicates_that_was_killed_is_made_by_the_next_run(
    tmp_path, make_dicom, run_ingest, chest_picture, monkeypatch
):
    options = SMALL.model_copy(update={"near_duplicates": True})
    for number in range(4):
        make_dicom(tmp_path / "a" / f"{number}", number=number)
    run_ingest(tmp_path / "a", tmp_path / "w", options=options, name="a")
    make_dicom(tmp_path / "b" / "0", chest_picture(2) // 2 + 100, number=10)
    with monkeypatch.context() as patch:
        patch.setattr("xray_mining.ingest.near_duplicates._pairs", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            run_ingest(tmp_path / "b", tmp_path / "w", options=options, name="b")
    # Nothing is left to read, but what was read has not been searched.
    workspace, unsearched = run_ingest(tmp_path / "b", tmp_path / "w", name="b")
    assert (unsearched.shards_now, unsearched.near_duplicates) == (0, 0)
    assert len(near_duplicates.searched(workspace)) == 4
    _, summary = run_ingest(tmp_path / "b", tmp_path / "w", options=options, name="b")
    assert (summary.shards_now, summary.near_duplicates) == (0, 1)
    assert len(near_duplicates.searched(workspace)) == 5
    monkeypatch.setattr("xray_mining.ingest.near_duplicates._pairs", lambda *_: 1 / 0)
    _, again = run_ingest(tmp_path / "a", tmp_path / "w", options=options, name="a")
    assert again.near_duplicates == 1


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


def test_broken_files_are_rows_and_the_run_goes_on(tmp_path, make_dicom, run_ingest, shared):
    folder = tmp_path / "a"
    whole = make_dicom(folder / "whole.dcm", number=1).read_bytes()
    (folder / "empty").write_bytes(b"")
    (folder / "cut.dcm").write_bytes(whole[:-1000])
    (folder / "words.dcm").write_text("no radiograph")
    (folder / "noise.dcm").write_bytes(os.urandom(1000))
    make_dicom(folder / "hand.dcm", number=2, BodyPartExamined="HAND")
    make_dicom(folder / "ct.dcm", number=3, Modality="CT")
    make_dicom(folder / "bomb.dcm", number=4, Rows=60000, Columns=60000)
    make_dicom(folder / "bits.dcm", number=5, BitsAllocated=32)
    os.mkfifo(folder / "pipe")
    with socket.socket(socket.AF_UNIX) as each:
        each.bind(os.path.relpath(folder / "socket"))
    (folder / "loop").symlink_to(folder)
    (folder / "dangling").symlink_to(folder / "nowhere")
    with zipfile.ZipFile(folder / "good.zip", "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("inner/one.dcm", make_dicom(tmp_path / "one", number=6).read_bytes())
        packed.writestr("bomb.dcm", bytes(300 * 2**20))
    with tarfile.open(folder / "good.tar.gz", "w:gz") as packed:
        packed.add(make_dicom(tmp_path / "two", number=7), "two.dcm")
        packed.add(make_dicom(tmp_path / "three", number=8), "three.dcm")
    (folder / "broken.zip").write_bytes(b"PK\x03\x04" + bytes(100))
    (folder / "gzip.dcm.gz").write_bytes(gzip.compress(make_dicom(tmp_path / "four", number=9).read_bytes()))
    workspace, summary = run_ingest(folder, tmp_path / "w")
    assert summary.kept == 5
    assert reasons(summary) == {
        "empty_file": 1,
        "truncated_pixels": 1,
        "not_dicom": 2,
        "not_chest": 1,
        "not_radiograph": 1,
        "too_large": 2,
        "unsupported_bits": 1,
        "not_a_file": 3,
        "linked_folder": 1,
        "broken_package": 1,
    }
    rejected = select(workspace, "reports/rejected_files", archive=summary.archive)
    assert any("words.dcm" in line for line in rejected_paths(workspace, summary.archive, rejected))
    assert "words" not in json.dumps(sql(workspace, "select * from rejects").to_dicts(), default=str)


@pytest.mark.parametrize("kind", ["crash", "hang"])
def test_a_decoder_that_crashes_or_hangs_costs_one_file(archive, tmp_path, make_dicom, run_ingest, kind, monkeypatch):
    folder = shutil.copytree(archive, tmp_path / "a")
    plugin = tmp_path / "sitecustomize.py"
    does = "os.kill(os.getpid(), 9)" if kind == "crash" else "time.sleep(1000)"
    plugin.write_text(
        "import os, time, sys\n"
        "if 'spawn_main' in ' '.join(sys.orig_argv):\n"
        "    import xray_mining.ingest.run as run\n"
        "    whole = run.standardised\n"
        "    def standardised(encoded, options):\n"
        f"        if encoded.rows == 80: {does}\n"
        "        return whole(encoded, options)\n"
        "    run.standardised = standardised\n"
    )
    make_dicom(folder / "2" / "TRAP", np.full((80, 96), 7, np.uint16) * np.arange(96, dtype=np.uint16), number=50)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    options = SMALL.model_copy(update={"file_limit_s": 8.0})
    _, summary = run_ingest(folder, tmp_path / "w", options=options)
    assert (summary.seen, summary.kept) == (21, 20)
    assert reasons(summary) == {"crash" if kind == "crash" else "hangs": 1}


def damaged(data: bytes, rng: random.Random) -> bytes:
    """One damaged variant: bits turned, a piece cut out, doubled or blanked, or the end cut off."""
    at, length = rng.randrange(len(data)), rng.randrange(1, 1 + len(data) // 4)
    kind = rng.randrange(6)
    if kind == 0:
        copy = bytearray(data)
        for _ in range(rng.randrange(1, 50)):
            copy[rng.randrange(len(copy))] = rng.randrange(256)
        return bytes(copy)
    if kind == 1:
        copy = bytearray(data)
        for _ in range(rng.randrange(1, 12)):
            copy[rng.randrange(min(len(copy), 1500))] = rng.randrange(256)
        return bytes(copy)
    if kind == 2:
        return data[:at]
    if kind == 3:
        return data[:at] + data[at + length :]
    if kind == 4:
        return data[:at] + bytes(length) + data[at + length :]
    return data[:at] + data[at : at + length] * 2 + data[at + length :]


@pytest.mark.parametrize("count", [200, pytest.param(2000, marks=pytest.mark.soak)])
def test_damaged_variants_of_real_files_never_stop_a_run(shared, tmp_path, run_ingest, count):
    rng = random.Random(5)
    originals = [
        path.read_bytes()
        for folder in ("radiograph", "syntax")
        for path in sorted((shared / "data/dicom" / folder).iterdir())
        if (path.is_file() and "chest" in path.name) or path.name.startswith("rsna")
    ]
    folder = tmp_path / "a"
    folder.mkdir()
    for number in range(count):
        (folder / f"{number:04d}.dcm").write_bytes(damaged(rng.choice(originals), rng) or b"x")
    options = SMALL.model_copy(update={"shard_files": 100, "file_limit_s": 30.0})
    workspace, summary = run_ingest(folder, tmp_path / "w", options=options)
    assert summary.seen >= count
    assert summary.seen == summary.kept + summary.duplicate + summary.rejected
    logs = [path.read_text() for path in (workspace.private / "archives").rglob("worker-*.log")]
    assert "unexpected" not in reasons(summary), "\n".join(logs)[-3000:]


@pytest.mark.parametrize("kills", [5, pytest.param(50, marks=pytest.mark.soak)])
def test_a_run_killed_again_and_again_ends_as_an_undisturbed_one(tmp_path, make_dicom, state_of, kills):
    folder = tmp_path / "a"
    for number in range(40):
        make_dicom(folder / f"{number:03d}", number=number)
    options = IngestOptions(grey=GreyOptions(side_px=64), shard_files=4)
    whole = Workspace.create(tmp_path / "whole")
    ingest(whole, IngestRequest(FolderSource(folder), name="a", jobs=1), options)
    killed = Workspace.create(tmp_path / "killed")
    keys = killed.private / "keys"
    shutil.copytree(whole.private / "keys", keys)
    script = (
        "import sys; from pathlib import Path\n"
        "from xray_mining.catalog.merge import merge; from xray_mining.ingest.ingest import IngestRequest, ingest\n"
        "from xray_mining.archive.sources.folder import FolderSource\n"
        "from xray_mining.ingest.options import GreyOptions, IngestOptions\n"
        "from xray_mining.workspace import Workspace\n"
        "if __name__ == '__main__':\n"
        "    w = Workspace.create(Path(sys.argv[2]))\n"
        "    o = IngestOptions(grey=GreyOptions(side_px=64), shard_files=4)\n"
        "    ingest(w, IngestRequest(FolderSource(sys.argv[1]), name='a', jobs=2), o)\n"
        "    merge(w)\n"
    )
    (tmp_path / "run.py").write_text(script)
    rng = random.Random(3)
    for _ in range(kills):
        process = subprocess.Popen(
            [sys.executable, str(tmp_path / "run.py"), str(folder), str(killed.root)], start_new_session=True
        )
        time.sleep(rng.uniform(0.5, 6))
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    subprocess.run([sys.executable, str(tmp_path / "run.py"), str(folder), str(killed.root)], check=True)
    assert state_of(killed) == state_of(whole)
    assert [path.name for path in killed.root.rglob(".*.partial")] == []


def test_ages_that_cannot_be_read_are_counted_out_loud(tmp_path, run_ingest):
    folder = tmp_path / "a"
    folder.mkdir()
    for number in range(6):
        cv2.imwrite(str(folder / f"{number}.png"), np.full((64, 64), 40 * number, np.uint8))
    (folder / "mapping.yaml").write_text(
        "table: t.csv\ncolumns: {image: image, patient_id: patient, age: age, sex: sex}\n"
    )
    (folder / "t.csv").write_text(
        "image,patient,age,sex\n0.png,a,sixty,M\n1.png,b,411,kvinna\n2.png,c,60,unknown\n3.png,d,,\n"
        "4.png,e,<5,M\n5.png,f,>89,M\n"
    )
    _, summary = run_ingest(folder, tmp_path / "w")
    assert (summary.without_age, summary.unread_ages, summary.bounded_ages, summary.unread_sexes) == (4, 2, 1, 1)
    assert any("ages: 1 of 6 are stated as a bound only" in line for line in summary.lines())
    assert any("ages: 2 of 6 cannot be read or are impossible" in line for line in summary.lines())
    assert any("sexes: 1 of 6 are stated in no word that is known" in line for line in summary.lines())


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


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda folder: None, "holds no files"),
        (lambda folder: (folder / "notes.txt").write_text("hello"), r"recognises.*a shipped one \(.*covid"),
        (
            lambda folder: (folder / "mapping.yaml").write_text("table: t.csv\ncolumns: {image: i}\nimagess: x\n"),
            "did you mean 'images'",
        ),
        (
            lambda folder: [
                (folder / "mapping.yaml").write_text("table: t.csv\ncolumns: {image: file, age: age}\n"),
                (folder / "t.csv").write_text("file,ages\nx.png,5\n"),
            ],
            "has no column 'age'; did you mean 'ages'",
        ),
        (lambda folder: (folder / "mapping.yaml").write_text("table: t.csv\ncolumns: {image: i}\n"), "is not there"),
    ],
)
def test_wrong_use_is_one_sentence(tmp_path, run_ingest, make, sentence):
    folder = tmp_path / "a"
    folder.mkdir()
    make(folder)
    with pytest.raises(UserError, match=sentence):
        run_ingest(folder, tmp_path / "w")


def test_wrong_names_are_one_sentence(archive, tmp_path, run_ingest):
    with pytest.raises(UserError, match="is not there"):
        run_ingest(tmp_path / "nowhere", tmp_path / "w")
    with pytest.raises(UserError, match="did you mean 'dicom_folder'"):
        run_ingest(archive, tmp_path / "w", adapter="dicom_foldr")
    with pytest.raises(UserError, match="small letters"):
        run_ingest(archive, tmp_path / "w", name="No Name")
    run_ingest(archive, tmp_path / "w", name="a")
    with pytest.raises(UserError, match="another folder's name"):
        run_ingest(shutil.copytree(archive, tmp_path / "b"), tmp_path / "w", name="a")
    with pytest.raises(UserError, match="keys cannot change"):
        run_ingest(archive, tmp_path / "w", name="a", domain="other")
    with pytest.raises(UserError, match="is not a key"):
        locate(Workspace.open(tmp_path / "w"), "xyz")


def test_headers_alone_and_pictures_later_keep_their_keys(archive, tmp_path, run_ingest):
    workspace, first = run_ingest(archive, tmp_path / "w", metadata_only=True)
    keys = sql(workspace, "select image_key::varchar as k, quality_flags[1] as f from images order by k")
    assert first.kept == 20
    assert set(keys["f"]) == {"no_pixels"}
    workspace, second = run_ingest(archive, tmp_path / "w")
    assert second.kept == 20
    assert sql(workspace, "select image_key::varchar as k from images order by k")["k"].equals(keys["k"])
    assert PixelStore.open(workspace).has(keys["k"]).all()


SECRET = "Zq7Xw"


def test_nothing_that_names_anybody_is_left_in_the_workspace(tmp_path, make_dicom, run_ingest):
    """Distinctive words in every element that may hold one, in names of files, folders and members."""
    folder = tmp_path / f"{SECRET}root"
    identifying = {
        "PatientName": f"{SECRET}^name",
        "PatientID": f"{SECRET}id",
        "IssuerOfPatientID": f"{SECRET}issuer",
        "OtherPatientNames": f"{SECRET}other",
        "PatientAddress": f"{SECRET}street",
        "PatientComments": f"{SECRET}comment",
        "ReferringPhysicianName": f"{SECRET}doctor",
        "InstitutionName": f"{SECRET}hospital",
        "InstitutionAddress": f"{SECRET}town",
        "StationName": f"{SECRET}station",
        "StudyDescription": f"{SECRET} chest",
        "SeriesDescription": f"Chest PA {SECRET}",
        "ProtocolName": f"{SECRET}protocol",
        "AccessionNumber": f"{SECRET}acc",
        "StudyID": f"{SECRET}st",
        "DeviceSerialNumber": f"{SECRET}serial",
        "Manufacturer": f"{SECRET}maker",
        "ManufacturerModelName": f"{SECRET}model",
        "BodyPartExamined": f"CHEST {SECRET}",
        "ViewPosition": f"PA {SECRET}",
        "Laterality": f"L{SECRET}",
        "PatientSex": f"F{SECRET}",
        "PatientAge": SECRET,
        "Modality": "DX",
        "SOPInstanceUID": "1.2.840.987654321.1",
        "StudyInstanceUID": "1.2.840.987654321.2",
        "SeriesInstanceUID": "1.2.840.987654321.3",
        "PatientBirthDate": "19430807",
        "StudyDate": "20110913",
        "ImageComments": f"{SECRET}image",
        "BurnedInAnnotation": "YES",
    }
    make_dicom(folder / f"{SECRET}sub" / f"{SECRET}.dcm", number=1, **identifying)
    make_dicom(
        folder / f"{SECRET}hand.dcm",
        number=2,
        **{**identifying, "BodyPartExamined": f"HAND {SECRET}", "StudyDescription": "", "SeriesDescription": ""},
    )
    with zipfile.ZipFile(folder / f"{SECRET}.zip", "w") as packed:
        member = make_dicom(tmp_path / "member", number=3, PatientID=f"{SECRET}3")
        packed.write(member, f"{SECRET}member.dcm")
    (folder / f"{SECRET}bad.dcm").write_bytes(SECRET.encode() * 100)
    workspace, summary = run_ingest(folder, tmp_path / "w")
    assert summary.seen == 4
    words = [SECRET, "987654321", "19430807", "1943-08-07", "20110913", "2011-09-13", str(folder)]
    for path in workspace.root.rglob("*"):
        assert not any(word in str(path.relative_to(workspace.root)) for word in words)
        if path.suffix == ".parquet":
            text = json.dumps(pl.read_parquet(path).to_dicts(), default=str)
        elif path.suffix in (".json", ".yaml"):
            text = path.read_text()
        else:
            continue
        assert not [word for word in words if word in text], path.name
    for table in ("images", "rejects", "findings", "duplicates", "ledger"):
        text = json.dumps(sql(workspace, f"select * from {table}").to_dicts(), default=str)
        assert not [word for word in words if word in text], table
    found = sql(workspace, "select * from images where burned_in_text = 'declared'").row(0, named=True)
    assert "burned_in" in found["quality_flags"]
    assert found["study_year"] in (2011, 2012)


def test_real_sets_by_their_mappings(shared, tmp_path, run_ingest):
    from xray_mining.workspace import asset

    mapping = asset("pipelines/mappings/covid.yaml")
    workspace, summary = run_ingest(shared / "data/covid-cxr", tmp_path / "w", mapping=mapping)
    assert (summary.seen, summary.kept, summary.duplicate) == (266, 265, 1)
    counts = sql(
        workspace, "select count(age_years) as a, count(distinct patient_key) as p, count(licence) as l from images"
    )
    assert counts["p"][0] in (158, 159)
    assert counts["l"][0] == 265
    masks = pl.read_parquet(workspace.parts(summary.archive, "masks") / "*.parquet")
    table = pl.read_csv(shared / "data/covid-cxr/metadata.csv", infer_schema=False)
    outlined = table.filter(pl.col("lung_mask_file").is_not_null() | pl.col("lung_mask_lr_file").is_not_null()).height
    assert masks.filter(pl.col("structure") == "lungs").height == outlined
    assert not masks.select("image_key", "structure").is_duplicated().any()
    assert masks.filter(pl.col("structure") == "left_lung").height == 34
    boxes = sql(workspace, "select name, count(*) as n from boxes group by name order by name")
    assert set(boxes["name"]) == {"left_lung", "right_lung"}
    # The lungs' boxes are around the lungs' masks, in the same geometry.
    assert (sql(workspace, "select max(x + width) as m from boxes")["m"][0]) <= 65


def test_a_set_without_the_boxes_that_its_mapping_knows(shared, tmp_path, run_ingest):
    from xray_mining.workspace import asset

    mapping = asset("pipelines/mappings/covid.yaml")
    workspace, summary = run_ingest(shared / "data/covid-cxr-originals", tmp_path / "w", mapping=mapping)
    assert (summary.seen, summary.kept, summary.duplicate) == (28, 28, 0)
    assert sql(workspace, "select count(*) as n from boxes")["n"][0] == 0
    told = mapping.read_text().replace("    optional: true  # covid-cxr-originals has none\n", "")
    (tmp_path / "strict.yaml").write_text(told)
    with pytest.raises(UserError, match=r"lung_boxes\.csv: the table is not there"):
        run_ingest(shared / "data/covid-cxr-originals", tmp_path / "v", mapping=tmp_path / "strict.yaml")


def test_pictures_of_every_kind(tmp_path, run_ingest, chest_picture):
    folder = tmp_path / "a"
    folder.mkdir()
    picture = chest_picture(1)
    eight = (picture >> 4).astype(np.uint8)
    cv2.imwrite(str(folder / "p16.png"), picture * 16)
    cv2.imwrite(str(folder / "p8.png"), eight)
    cv2.imwrite(str(folder / "rgb.png"), cv2.merge([eight] * 3))
    cv2.imwrite(str(folder / "rgba.png"), cv2.merge([eight, eight, eight, np.full_like(eight, 255)]))
    cv2.imwrite(str(folder / "p.jpg"), eight, [cv2.IMWRITE_JPEG_QUALITY, 95])
    cv2.imwrite(str(folder / "p.tif"), picture * 16)
    (folder / "cut.png").write_bytes((folder / "p16.png").read_bytes()[:2000])
    (folder / "none.png").write_text("words")
    names = [path.name for path in folder.iterdir()]
    (folder / "t.csv").write_text("f;a\n" + "".join(f"{name};61\n" for name in names))
    (folder / "mapping.yaml").write_text("table: t.csv\ncolumns: {image: f, age: a}\n")
    cv2.imwrite(str(folder / "unknown.png"), eight)
    workspace, summary = run_ingest(folder, tmp_path / "w")
    assert summary.kept == 6
    assert reasons(summary) == {"truncated_pixels": 1, "not_an_image": 1, "not_in_table": 1}
    store = PixelStore.open(workspace)
    pictures = store.read(store.frame["image_key"]).astype(int)
    assert np.abs(pictures - pictures[0]).mean(axis=(1, 2)).max() < 4
