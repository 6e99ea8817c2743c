"""One pass gives what OpenCV gives in two, and what is said of a picture is what longer ways say."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xray_mining.archive.radiograph import Encoded, Window
from xray_mining.ingest.decode import Stored
from xray_mining.ingest.grey import grey, grey_table
from xray_mining.ingest.options import GreyOptions
from xray_mining.ingest.quality import border_fraction, percentile
from xray_mining.ingest.shrink import counted, shrunk


@settings(deadline=None)
@given(
    st.integers(1, 90), st.integers(1, 90), st.integers(1, 90), st.integers(1, 90), st.booleans(), st.integers(0, 99)
)
def test_a_shrunk_picture_is_that_of_opencv(rows, columns, height, width, wide, seed):
    height, width = min(rows, height), min(columns, width)
    rng = np.random.default_rng(seed)
    kind, top = (np.uint16, 65536) if wide else (np.uint8, 256)
    values = rng.integers(0, top, (rows, columns)).astype(kind)
    table = rng.integers(0, 65536, top).astype(np.uint16)
    expected = cv2.resize(np.take(table, values), (width, height), interpolation=cv2.INTER_AREA)
    found = shrunk(values, table, height, width)
    # Where both directions shrink by whole numbers OpenCV adds in another order: the last of 16 bits may differ.
    whole = rows % height == 0 and columns % width == 0
    assert np.abs(found.astype(int) - expected).max() <= whole


@pytest.mark.parametrize("size", [(2048, 2500), (2500, 2048), (3000, 2992), (1024, 1024), (2049, 513)])
def test_at_the_sizes_of_films_the_two_are_the_same(size):
    values = np.random.default_rng(1).integers(0, 4096, size).astype(np.uint16)
    table = np.minimum(np.arange(65536) * 17, 65535).astype(np.uint16)
    side = 512
    width, height = (side, round(side * size[0] / size[1])) if size[1] >= size[0] else (size[1] * side // size[0], side)
    expected = cv2.resize(np.take(table, values), (width, height), interpolation=cv2.INTER_AREA)
    assert np.array_equal(shrunk(values, table, height, width), expected)


def test_bits_above_the_high_bit_are_as_if_they_were_not_there():
    rng = np.random.default_rng(2)
    plain = rng.integers(0, 4096, (100, 120)).astype(np.uint16)
    overlaid = plain | (rng.integers(0, 16, plain.shape) << 12).astype(np.uint16)
    options = GreyOptions(side_px=64)
    for signed in (False, True):
        about = {"bits_allocated": 16, "bits_stored": 12, "high_bit": 11, "signed": signed, "slope": 2.0}
        encoded = Encoded(b"", "", 100, 120, **about, windows=(Window(1500, 2500),), padding=(0, 9))
        found = [grey(Stored(values, "test"), encoded, options) for values in (plain, overlaid)]
        assert np.array_equal(found[0].picture, found[1].picture)
        assert found[0].clipped_fraction == found[1].clipped_fraction
        table, _, _ = grey_table(counted(overlaid, 1, 65536), Stored(overlaid, "test"), encoded, options)
        assert table.shape == (65536,)
        assert np.array_equal(table[:4096], table[-4096:])


def test_every_pixel_of_the_sample_is_counted():
    values = np.random.default_rng(3).integers(0, 256, (37, 41)).astype(np.uint8)
    assert np.array_equal(counted(values, 3, 256), np.bincount(values[::3, ::3].ravel(), minlength=256))


@given(st.lists(st.integers(0, 255), min_size=1, max_size=300), st.sampled_from([0.02, 0.5, 0.98]))
def test_percentiles_from_counts_are_those_of_numpy(values, share):
    assert percentile(np.bincount(values), share) == pytest.approx(np.percentile(values, 100 * share))


def test_a_border_is_as_wide_as_its_widest_flat_side():
    rng = np.random.default_rng(4)
    picture = rng.random((100, 80)).astype(np.float32)
    assert border_fraction(picture) == 0
    picture[:7], picture[:, -8:] = 1, 0
    picture[3, 40:42] = 0.5
    assert border_fraction(picture) == pytest.approx(0.1)
    assert border_fraction(np.full((50, 50), 0.3, np.float32)) == 0
