"""A set on disk: what was written is what is read, in any order, and only where it is."""

from uuid import UUID

import numpy as np
import polars as pl
import pytest

from xray_mining.errors import CannotFinish, UserError
from xray_mining.sets import measured, pictures
from xray_mining.sets.arrays import open_arrays, place_in, texts, write_arrays
from xray_mining.sets.instrument import Column
from xray_mining.sets.measured import About, MeasuredSet
from xray_mining.sets.pictures import Pictures
from xray_mining.workspace import ArchiveSettings, Workspace, write_frame

KEYS = [str(UUID(int=number + 1)) for number in range(60)]
ABOUT = About("toy", "store", (Column("a"), Column("b", "mm"), Column("c")), "float64", False, {}, "code", {}, {})
MATRIX = np.arange(180.0).reshape(60, 3)


def ingest(workspace, digests, keys=KEYS, shard=0):
    frame = pl.DataFrame([keys, digests], schema=["image_key", "pixel_digest"])
    write_frame(frame, workspace.parts("a", "images") / f"{shard:05d}.parquet")


@pytest.fixture
def workspace(tmp_path):
    made = Workspace.create(tmp_path / "workspace")
    made.save(made.settings.model_copy(update={"archives": {"a": ArchiveSettings(domain="a", adapter="a", order=0)}}))
    ingest(made, ["first"] * 60)
    return made


@pytest.fixture
def filled(workspace):
    made = MeasuredSet(workspace.measured("toys", "t-1"), Pictures.open(workspace))
    made.describe(ABOUT)
    shuffled = np.random.default_rng(3).permutation(60)
    for first in range(0, 60, 10):
        some = shuffled[first : first + 10]
        made.write([KEYS[each] for each in some], MATRIX[some])
    return made


def test_any_order_is_read_and_a_key_twice(filled):
    wanted = np.random.default_rng(4).integers(0, 60, 90)
    assert np.array_equal(filled.read([KEYS[each] for each in wanted]), MATRIX[wanted])
    assert filled.read([]).shape == (0, 3)
    assert filled.missing([*KEYS, "another"]) == ["another"]
    with pytest.raises(UserError, match=r"toys t-1: 2 of 3 radiographs are not in the set; run `xray-mining toy`"):
        filled.read([KEYS[0], "x" * 99, "é"])


def test_only_parts_that_hold_the_keys_are_opened(filled, monkeypatch):
    filled.index()
    opened = []
    monkeypatch.setattr(measured, "open_arrays", lambda path, **more: opened.append(path.name) or open_arrays(path))
    filled.read(KEYS[:2])
    assert 2 <= len(opened) <= 5, "the index, and each part once or twice"


def test_the_index_follows_the_parts(filled):
    assert np.array_equal(filled.read(KEYS), MATRIX)
    (filled.folder / "index").write_bytes(b"damaged")
    assert np.array_equal(filled.read(KEYS), MATRIX)
    parts = sorted((filled.folder / "parts").iterdir())
    gone = [each.decode() for each in open_arrays(parts[0])[1]]
    parts[0].unlink()
    assert filled.missing(KEYS) == sorted(gone)
    filled.write(gone, np.full((10, 3), 7.0))
    assert (filled.read(gone) == 7).all() and filled.missing(KEYS) == []


def test_a_damaged_part_is_one_sentence(filled):
    filled.index()
    part = sorted((filled.folder / "parts").iterdir())[0]
    part.write_bytes(part.read_bytes()[:150])
    with pytest.raises(UserError, match=rf"{part.name}: is not a readable part of t-1 \(ValueError\); remove it and"):
        filled.read(KEYS)
    part.write_bytes(b"")
    with pytest.raises(UserError, match="is not a readable part"):
        filled.read(KEYS)
    part.unlink()
    assert len(filled.missing(KEYS)) == 10


def flipped(path, at, bit=0x01):
    """Write a file with one other bit; returns its bytes before."""
    whole = path.read_bytes()
    path.write_bytes(whole[:at] + bytes([whole[at] ^ bit]) + whole[at + 1 :])
    return whole


def place_of(path, number):
    """Where the numbers of one array of a file begin."""
    return path.read_bytes().index(open_arrays(path)[number].tobytes())


@pytest.mark.parametrize("number", range(6))
def test_one_bit_of_the_index_changes_no_number(filled, number):
    filled.write([KEYS[0]], np.full((1, 3), np.nan), ["flat"])
    index = filled.folder / "index"
    good, failed = filled.read(KEYS), filled.failures().rows()
    flipped(index, place_of(index, number) + 2)
    again = MeasuredSet(filled.folder, filled.pictures)
    assert np.array_equal(again.read(KEYS), good, equal_nan=True)
    assert again.failures().rows() == failed and again.missing(KEYS) == []


def test_parts_that_were_restored_under_other_names_give_their_own_pictures_numbers(filled):
    filled.read(KEYS)
    parts = sorted((filled.folder / "parts").iterdir())
    first, second = (each.read_bytes() for each in parts[:2])
    parts[0].write_bytes(second)
    parts[1].write_bytes(first)
    assert np.array_equal(filled.read(KEYS), MATRIX)
    assert np.array_equal(filled.frame().select("a", "b", "c").to_numpy(), MATRIX)
    # A part of fewer rows: the index has rows that it lacks.
    short = MeasuredSet(filled.folder.parent / "short-1", filled.pictures)
    short.describe(ABOUT)
    short.write(KEYS[:2], -MATRIX[:2])
    parts[0].write_bytes(next((short.folder / "parts").iterdir()).read_bytes())
    with pytest.raises(UserError, match="radiographs are not in the set"):
        filled.read(KEYS)


@pytest.mark.parametrize(
    ("number", "why"), [(0, "its numbers differ"), (1, "its keys differ"), (4, "its (keys|numbers)")]
)
def test_one_bit_of_a_part_is_one_sentence(filled, number, why):
    part = sorted((filled.folder / "parts").iterdir())[0]
    flipped(part, place_of(part, number) + 6)
    with pytest.raises(UserError, match=rf"{part.name}: is not a readable part of t-1 \({why} .*their checksum\)"):
        filled.read(KEYS)


def test_one_bit_of_a_reason_is_one_sentence(filled):
    filled.write([KEYS[0]], np.full((1, 3), np.nan), ["flat"])
    [part] = [each for each in (filled.folder / "parts").iterdir() if b"flat" in each.read_bytes()]
    flipped(part, part.read_bytes().index(b"flat"))
    with pytest.raises(UserError, match="its keys differ from their checksum"):
        filled.failures()


def test_parts_without_checksums_can_be_read(filled):
    for path in (filled.folder / "parts").iterdir():
        write_arrays(path, open_arrays(path)[:4])
    assert np.array_equal(filled.read(KEYS), MATRIX)
    assert filled.frame().height == 60 and filled.failures().height == 0


def test_one_bit_of_any_header_of_a_part_is_one_sentence_or_changes_nothing(filled):
    part = sorted((filled.folder / "parts").iterdir())[0]
    keys = [each.decode() for each in open_arrays(part)[1]]
    good = filled.read(keys)
    whole = part.read_bytes()
    starts = [at for at in range(len(whole)) if whole.startswith(b"\x93NUMPY", at)]
    assert len(starts) == 5
    for at in [start + step for start in starts for step in range(80)]:
        for bit in (1 << each for each in range(8)):
            flipped(part, at, bit)
            try:
                assert np.array_equal(filled.read(keys), good), f"byte {at}, bit {bit}"
            except UserError as error:
                assert f"{part.name}: is not a readable part of t-1" in str(error)
            part.write_bytes(whole)


def test_pixels_that_were_ingested_again_do_not_count(filled, workspace):
    ingest(workspace, ["first"] * 50 + ["second"] * 10)
    again = MeasuredSet(filled.folder, Pictures.open(workspace))
    assert again.missing(KEYS) == KEYS[50:]
    assert again.frame()["image_key"].to_list() == KEYS[:50]
    again.write(KEYS[50:], -MATRIX[50:])
    assert np.array_equal(again.read(KEYS), np.concatenate([MATRIX[:50], -MATRIX[50:]]))
    assert np.array_equal(again.frame().select("a", "b", "c").to_numpy(), again.read(KEYS))


def test_the_digests_of_pixels_are_read_once(workspace, monkeypatch):
    assert set(Pictures.open(workspace).of(KEYS)) == {b"first"}
    monkeypatch.setattr(pl, "read_parquet", lambda *_, **__: pytest.fail("parts are read again"))
    assert len(Pictures.open(workspace).keys) == 60
    monkeypatch.undo()
    other = str(UUID(int=99))
    ingest(workspace, ["later", None], [KEYS[0], other], shard=1)
    found = Pictures.open(workspace)
    assert found.of([KEYS[0], other, "no such"]).tolist() == [b"first", b"", b""], "the first part keeps its row"
    assert found.frame([other, "no such"])["pixel_digest"].to_list() == ["", None]
    (workspace.root / "parts/pixel_digests.index").write_bytes(b"")
    assert len(Pictures.open(workspace).keys) == 61
    assert len(Pictures.open(Workspace.create(workspace.root / "empty")).keys) == 0


def test_a_disk_that_takes_no_index_can_be_read(filled, workspace, monkeypatch):
    indexes = [filled.folder / "index", workspace.root / "parts/pixel_digests.index"]
    refused = []

    def full(path, arrays):
        refused.append(path)
        raise CannotFinish(f"{path.name}: the disk is full")

    for each in indexes:
        each.unlink(missing_ok=True)
    for module in (measured, pictures):
        monkeypatch.setattr(module, "write_checked", full)
    again = MeasuredSet(filled.folder, Pictures.open(workspace))
    assert np.array_equal(again.read(KEYS), MATRIX)
    assert set(refused) == set(indexes) and not any(each.exists() for each in indexes)


def test_one_bit_of_the_digests_of_pixels_is_read_again(workspace):
    Pictures.open(workspace)
    index = workspace.root / "parts/pixel_digests.index"
    flipped(index, place_of(index, 2) + 3)
    assert set(Pictures.open(workspace).of(KEYS)) == {b"first"}


def test_arrays_in_one_file(tmp_path):
    arrays = [np.arange(6.0).reshape(2, 3), texts(["a", "bcd"]), np.empty((0, 4), np.int32), np.array([True])]
    write_arrays(tmp_path / "x.npy", arrays)
    for found, array in zip(open_arrays(tmp_path / "x.npy", at_random=True), arrays, strict=True):
        assert found.dtype == array.dtype and np.array_equal(found, array)
    assert np.array_equal(np.load(tmp_path / "x.npy"), arrays[0])
    whole = (tmp_path / "x.npy").read_bytes()
    for end in (0, 5, 140, len(whole) - 1):
        (tmp_path / "x.npy").write_bytes(whole[:end])
        with pytest.raises(ValueError):
            open_arrays(tmp_path / "x.npy")


def test_places_of_texts_of_another_width():
    ordered = texts(["b", "bc", "d"])
    assert place_in(ordered, texts(["d", "bcd", "bc", "a", "z"])).tolist() == [2, -1, 1, -1, -1]
    assert place_in(texts([]), ordered).tolist() == [-1, -1, -1]
