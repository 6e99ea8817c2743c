"""The pixel store: what was written is what is read, in any order and in any process."""

import multiprocessing
import os
import pickle
import uuid

import numpy as np
import polars as pl
import pytest

from xray_mining.errors import UserError
from xray_mining.pixels.store import PixelStore, raw_shard, write_shard
from xray_mining.records.pixels import Pixels
from xray_mining.workspace import ArchiveSettings, Workspace, scratch_of, sweep

SIDE = 16


def pictures_of(shard: int, value_type: str) -> np.ndarray:
    rng = np.random.default_rng(shard)
    return rng.integers(0, np.iinfo(value_type).max, (5, SIDE, SIDE), dtype=value_type)


def key_of(shard: int, number: int) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_OID, f"{shard}/{number}"))


@pytest.fixture(params=["uint8", "uint16"])
def workspace(tmp_path, request) -> Workspace:
    workspace = Workspace.create(tmp_path / "workspace")
    archive = ArchiveSettings(domain="a", adapter="dicom_folder", order=0)
    workspace.save(workspace.settings.model_copy(update={"store": "grey-x", "archives": {"a": archive}}))
    for shard in (0, 1, 3):
        rows = []
        with write_shard(workspace, "grey-x", "a", shard) as writer:
            for number, picture in enumerate(pictures_of(shard, request.param)):
                rows.append(
                    {
                        "image_key": key_of(shard, number),
                        "store": "grey-x",
                        "archive": "a",
                        "shard": shard,
                        "offset": writer.append(picture),
                        "side_px": SIDE,
                        "value_type": request.param,
                        "content_left": 0.0,
                        "content_top": 1.0,
                        "content_width": 16.0,
                        "content_height": 14.0,
                        "window_source": "full_range",
                        "inverted": False,
                        "clipped_fraction": 0.0,
                        "decoder": "none",
                    }
                )
        Pixels.write(Pixels.from_rows(rows), workspace.parts("a", "pixels") / f"{shard:05d}.parquet")
    return workspace


def test_read_gives_what_was_written_in_the_order_asked(workspace):
    store = PixelStore.open(workspace)
    wanted = [(3, 4), (0, 0), (1, 2), (3, 4), (0, 3)]
    read = store.read([key_of(*each) for each in wanted])
    expected = np.stack([pictures_of(shard, store.value_type)[number] for shard, number in wanted])
    assert np.array_equal(read, expected)
    assert read.dtype == np.dtype(store.value_type)
    assert store.content_boxes([key_of(0, 0)]).tolist() == [[0, 1, 16, 14]]


def test_no_keys_give_no_pictures(workspace):
    store = PixelStore.open(workspace)
    assert store.read([]).shape == (0, SIDE, SIDE)
    assert store.has([]).shape == (0,)


def test_missing_keys_are_counted(workspace):
    store = PixelStore.open(workspace)
    strange = [str(uuid.UUID(int=0)), key_of(0, 0), str(uuid.UUID(int=2**128 - 1)), "no key"]
    assert store.has(strange).tolist() == [False, True, False, False]
    with pytest.raises(UserError, match="3 of 4 radiographs have no picture"):
        store.read(strange)


def _sum_of(store: PixelStore, keys: list[str]) -> int:
    return int(store.read(keys).sum())


def test_another_process_reads_the_same(workspace):
    store = PixelStore.open(workspace)
    keys = store.frame["image_key"].to_list()
    here = _sum_of(store, keys)
    assert _sum_of(pickle.loads(pickle.dumps(store)), keys) == here
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.apply(_sum_of, (store, keys)) == here


def test_a_raw_file_cut_short_is_named(workspace):
    path = raw_shard(workspace, "grey-x", "a", 1)
    os.truncate(path, path.stat().st_size - 1)
    store = PixelStore.open(workspace)
    with pytest.raises(UserError, match=r"a-00001\.raw is shorter"):
        store.read([key_of(1, 4)])
    path.unlink()
    with pytest.raises(UserError, match=r"a-00001\.raw cannot be opened"):
        PixelStore.open(workspace).read([key_of(1, 4)])


def test_unknown_store_offers_the_known_one(workspace):
    with pytest.raises(UserError, match="did you mean 'grey-x'"):
        PixelStore.open(workspace, "grey-y")


def test_no_store_says_what_makes_one(tmp_path):
    with pytest.raises(UserError, match="xray-mining ingest"):
        PixelStore.open(Workspace.create(tmp_path / "empty"))


def test_a_broken_write_leaves_nothing(workspace):
    with pytest.raises(RuntimeError), write_shard(workspace, "grey-x", "a", 7) as writer:
        writer.append(np.zeros((SIDE, SIDE), np.uint8))
        raise RuntimeError
    assert [path.name for path in workspace.store("grey-x").iterdir() if "00007" in path.name] == []


def test_the_earlier_shard_keeps_a_key_that_stands_twice(workspace):
    twice = Pixels.read(workspace.parts("a", "pixels") / "00000.parquet").with_columns(shard=pl.lit(9, pl.Int64))
    Pixels.write(twice, workspace.parts("a", "pixels") / "00009.parquet")
    store = PixelStore.open(workspace)
    assert len(store) == 15
    assert 9 not in store.frame["shard"].to_list()


def test_a_sweep_takes_what_a_killed_run_of_this_machine_left_and_nothing_else(tmp_path):
    mine = scratch_of(tmp_path / "a.raw")
    parts = mine.name.split(".")
    dead = tmp_path / ".".join([*parts[:-2], "4194305", "partial"])
    elsewhere = tmp_path / ".".join([*parts[:-3], "00000000", "4194305", "partial"])
    for path in (mine, dead, elsewhere):
        path.write_bytes(b"half")
    sweep(tmp_path)
    assert (mine.exists(), dead.exists(), elsewhere.exists()) == (True, False, True)
