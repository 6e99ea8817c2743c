"""The search for near-duplicates finds what comparing all with all finds, and does nothing twice."""

import cv2
import numpy as np
import pytest

from xray_mining.ingest import near_duplicates, near_hashes
from xray_mining.ingest.duplicates import hash_of_square
from xray_mining.ingest.near_duplicates import candidates, find, nearest, part_path
from xray_mining.ingest.near_hashes import CROPS, WORDS, hashes_of
from xray_mining.ingest.options import GreyOptions, IngestOptions
from xray_mining.records.near_duplicates import NearDuplicates


def hashes(pictures: int, seed: int) -> np.ndarray:
    """Pictures of a few kinds, so that many hashes are near each other, (pictures, 55, 3) uint64."""
    rng = np.random.default_rng(seed)
    kinds = rng.integers(0, 2**63, (4, len(CROPS), WORDS), dtype=np.uint64)
    values = kinds[rng.integers(0, len(kinds), pictures)]
    for bit in range(64):
        values ^= (rng.random(values.shape) < 0.06).astype(np.uint64) << np.uint64(bit)
    return values


@pytest.mark.parametrize(
    ("archive", "words", "shifts", "bits", "limit"),
    [("few", 3, (0, 21, 43), 21, 28), ("more", 2, (0, 21, 43), 21, 28), ("many", 2, (0, 19, 38), 26, 24)],
)
@pytest.mark.parametrize("seed", range(3))
def test_candidates_are_those_of_comparing_all_with_all(monkeypatch, archive, words, shifts, bits, limit, seed):
    monkeypatch.setattr(near_duplicates, "_FEW", 1000 if archive == "few" else 10)
    monkeypatch.setattr(near_duplicates, "_MANY", 10 if archive == "many" else 1000)
    monkeypatch.setattr(near_duplicates, "_ASKED", 17)
    values = hashes(60, seed)
    wanted = {}
    for one in range(len(values)):
        differing = values ^ values[one, 0]
        bands = [differing[:, :, word] >> np.uint64(shift) for word in range(3 - words, 3) for shift in shifts]
        meets = np.any([np.bitwise_count(band & np.uint64((1 << bits) - 1)) <= 1 for band in bands], axis=0)
        distances = np.bitwise_count(differing).sum(axis=2, dtype=int)
        for other, crop in zip(*np.nonzero(meets & (distances <= limit)), strict=True):
            if other != one:
                pair = (min(one, other), max(one, other))
                wanted[pair] = min(wanted.get(pair, (99, 99)), (distances[other, crop], crop))
    found = candidates(values)
    assert {(min(row[:2]), max(row[:2])): (row[3], row[2]) for row in found.tolist()} == wanted
    assert len(found) == len(wanted) > 0
    for other, one, _, _ in found.tolist():
        assert other != one


def test_nothing_is_near_where_there_is_nothing():
    assert candidates(np.empty((0, len(CROPS), WORDS), np.uint64)).shape == (0, 4)
    assert nearest(candidates(hashes(1, 0))).shape == (0, 4)


def test_the_nearest_of_one_of_both_are_taken():
    rows = [(0, each, 0, each) for each in range(1, 8)] + [(6, 7, 0, 5)]
    taken = nearest(np.array(rows))
    # The first three of picture 0; then 4 to 7, each of which has had none; 6 with 7 while both have room.
    assert sorted(map(tuple, taken.tolist())) == sorted(rows)
    many = np.array([(0, 1, crop, crop) for crop in range(6)])
    assert nearest(many).tolist() == many[:3].tolist()


def test_hashes_are_signs_of_cosine_coefficients_of_means_by_area(chest_picture):
    differing = []
    for number in range(4):
        picture = cv2.resize(cv2.convertScaleAbs(chest_picture(number), alpha=1 / 16), (128, 128))
        small = cv2.equalizeHist(picture)
        found = hashes_of(small)
        expected = [hash_of_square(small[top : top + high, left : left + wide]) for top, left, high, wide in CROPS]
        differing += list(np.bitwise_count(found[:, 0] ^ np.array(expected, np.uint64)))
    # OpenCV rounds its means to whole grey values: a coefficient near 0 may change its sign.
    assert np.mean(differing) < 0.5
    assert max(differing) <= 4


def test_what_was_hashed_and_aligned_is_not_done_again(tmp_path, make_dicom, run_ingest, chest_picture, monkeypatch):
    done = {"hashed": 0, "aligned": 0}

    def counted(module, name, what):
        whole = getattr(module, name)

        def count(*arguments):
            done[what] += 1
            return whole(*arguments)

        monkeypatch.setattr(module, name, count)

    counted(near_hashes, "hashes_of", "hashed")
    counted(near_duplicates, "aligned_correlation", "aligned")
    options = IngestOptions(grey=GreyOptions(side_px=128), shard_files=8)
    for number in range(5):
        make_dicom(tmp_path / "a" / f"{number}", number=number)
    workspace, _ = run_ingest(tmp_path / "a", tmp_path / "w", options=options, name="a")
    assert done["hashed"] == 5
    aligned = done["aligned"]
    make_dicom(tmp_path / "b" / "0", chest_picture(2) // 2 + 100, number=10)
    _, summary = run_ingest(tmp_path / "b", tmp_path / "w", options=options, name="b")
    assert summary.near_duplicates == 1
    assert done["hashed"] == 6
    assert done["aligned"] <= aligned + 5
    pairs = NearDuplicates.read(part_path(workspace))
    before = dict(done)
    near_duplicates._searched_path(workspace).unlink()
    part_path(workspace).unlink()
    assert find(workspace, workspace.settings.store) == 1
    assert done == before
    assert NearDuplicates.read(part_path(workspace)).equals(pairs)
    # A part that is damaged is made anew.
    for name in ("near_duplicates_hashes", "near_duplicates_tried"):
        for path in workspace.parts("_all", name).iterdir():
            path.write_bytes(b"damaged")
    near_duplicates._searched_path(workspace).unlink()
    assert find(workspace, workspace.settings.store) == 1
    assert done["hashed"] == 12
    assert NearDuplicates.read(part_path(workspace)).equals(pairs)
