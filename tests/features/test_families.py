"""Laws of every registered family, and answers of some that can be counted by hand."""

import numpy as np
import pytest

from xray_mining.errors import UserError
from xray_mining.features.cooccurrence import pair_counts
from xray_mining.features.instrument import measure
from xray_mining.features.options import FeatureOptions
from xray_mining.features.picture import picture_of
from xray_mining.features.registry import columns_of, features, find

FAMILIES = features()


def options_for(family, **more):
    return FeatureOptions(families=[family.family], side_px=64, zone_rows=2, zone_columns=2, **more)


@pytest.fixture(scope="module")
def image():
    rows, columns = np.mgrid[:64, :64]
    waves = 90 + 60 * np.sin(rows / 5) + 40 * np.cos(columns / 7) + np.random.default_rng(3).normal(0, 8, (64, 64))
    return np.clip(waves, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("family", FAMILIES, ids=str)
def test_every_column_has_a_name_of_its_own_and_a_number(family, image):
    options = options_for(family)
    names = [column.name for column in columns_of(options)]
    found = measure(image, None, options)
    assert len(set(names)) == len(names) == len(found)
    assert found.dtype == np.float64
    assert np.isfinite(found).all()
    assert np.array_equal(found, measure(image.copy(), None, options))


@pytest.mark.parametrize("family", FAMILIES, ids=str)
def test_a_flat_picture_gives_no_infinity_and_no_warning(family):
    found = measure(np.full((64, 64), 7, np.uint8), None, options_for(family))
    assert not np.isinf(found).any()


@pytest.mark.parametrize("family", [each for each in FAMILIES if each.turns], ids=str)
def test_turning_by_90_degrees_changes_nothing_where_the_family_says_so(family, image):
    options = options_for(family, regions=["whole"])
    turned = measure(np.ascontiguousarray(np.rot90(image)), None, options)
    assert np.allclose(measure(image, None, options), turned, rtol=1e-9, equal_nan=True)


@pytest.mark.parametrize("family", [each for each in FAMILIES if each.family != "border"], ids=str)
def test_padding_is_not_measured(family, image):
    options = options_for(family)
    box = (8.0, 0.0, 48.0, 64.0)
    dark, bright = image.copy(), image.copy()
    for picture, grey in ((dark, 0), (bright, 255)):
        picture[:, :8] = grey
        picture[:, 56:] = grey
    assert np.allclose(measure(dark, box, options), measure(bright, box, options), equal_nan=True)


def test_sixteen_bits_are_read_by_their_upper_half(image):
    options = FeatureOptions(families=["intensity"], side_px=64)
    assert np.array_equal(measure(image.astype(np.uint16) * 257, None, options), measure(image, None, options))


def test_pairs_are_those_counted_by_hand(image):
    levels = (image // 32).astype(np.uint8)
    zones = np.zeros((64, 64), np.int16)
    zones[:, 32:] = 1
    for distance in (1, 3):
        counts = pair_counts(levels, zones, 2, distance, 8)
        wanted = np.zeros((3, 8, 8), int)
        for row in range(64):
            for column in range(64):
                for down, right in ((0, distance), (distance, distance), (distance, 0), (distance, -distance)):
                    if row + down < 64 and 0 <= column + right < 64:
                        pair = levels[row, column], levels[row + down, column + right]
                        wanted[2][pair] += 1
                        if zones[row, column] == zones[row + down, column + right]:
                            wanted[zones[row, column]][pair] += 1
        assert np.array_equal(counts, wanted)


def test_statistics_of_a_chessboard():
    board = np.indices((64, 64)).sum(axis=0) % 2 * 255
    options = FeatureOptions(
        families=["cooccurrence"], regions=["whole"], side_px=64, grey_levels=2, distances_px=[1], zone_rows=1
    )
    found = dict(
        zip([each.name for each in columns_of(options)], measure(board.astype(np.uint8), None, options), strict=True)
    )
    straight, slanted = 2 * 64 * 63, 2 * 63 * 63
    assert found["whole_cooccurrence_contrast_d1"] == pytest.approx(straight / (straight + slanted))
    assert found["whole_cooccurrence_correlation_d1"] == pytest.approx(1 - 2 * straight / (straight + slanted))


def test_zones_divide_the_radiograph_and_nothing_else():
    picture = picture_of(np.zeros((128, 128), np.uint8), (16.0, 0.0, 96.0, 128.0), FeatureOptions(side_px=64))
    assert picture.box == (0, 8, 64, 56)
    assert np.array_equal(np.unique(picture.zones), np.arange(-1, 16))
    assert (picture.zones[:, :8] == -1).all()
    assert (picture.zones[:, 8:56] >= 0).all()


def test_an_unknown_family_is_refused_with_the_nearest():
    with pytest.raises(UserError, match="did you mean 'intensity'"):
        find(["intensty"])
