"""The picture: geometry by laws of projection, and grey values and spectra beside real radiographs."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from xray_mining.phantom.acquisition import draw_acquisition
from xray_mining.phantom.anatomy import draw_person
from xray_mining.phantom.dicom_writer import encode
from xray_mining.phantom.projection import project
from xray_mining.phantom.rasters import ellipses, tubes
from xray_mining.phantom.subject import Disease, Lesion, Subject


def picture(seed: int, age: float = 55, size: int = 256, disease: Disease | None = None, lesions=(), **changes):
    rng = np.random.default_rng([5, seed])
    anatomy = replace(draw_person("MF"[seed % 2], rng).anatomy(age), **changes.pop("anatomy", {}))
    acquisition = replace(draw_acquisition(rng), tilt_degrees=0.0, rotation_degrees=0.0, **changes)
    subject = Subject(anatomy, (5, seed), lesions, disease or Disease())
    return project(subject, acquisition, size, np.random.default_rng(1))


def grey(drawn) -> np.ndarray:
    centre, width = drawn.window
    return np.clip((drawn.values - (centre - width / 2)) / width, 0, 1)


def test_a_tube_has_the_path_length_of_a_cylinder():
    target, inner = np.zeros((64, 64), np.float32), np.zeros((64, 64), np.float32)
    points, radius = np.array([[-10.0, 32.0], [80.0, 32.0]]), np.full(2, 10.0)
    tubes(target, inner, points, radius, np.ones(2), np.array([0, 2]), 2.0, False, 1.0)
    assert (target + inner)[:, 32].sum() == pytest.approx(np.pi * 100, rel=0.01)
    assert inner[:, 32].sum() == pytest.approx(np.pi * 64, rel=0.01)


def test_an_ellipsoid_has_its_volume():
    target = np.zeros((64, 64), np.float32)
    ellipses(target, np.array([[32.0, 30.0, 12.0, 7.0, 0.4, 10.0]]))
    assert target.sum() == pytest.approx(4 / 3 * np.pi * 12 * 7 * 5, rel=0.01)


def test_the_heart_is_as_wide_as_it_should_be_and_wider_from_front_to_back():
    widths = {}
    for view, distance in (("PA", 1800.0), ("AP", 1100.0)):
        drawn = picture(
            3, size=512, view_position=view, source_distance_mm=distance, inspiration_fraction=0.95, gap_mm=20.0,
            field_mm=430.0, anatomy={"cardiothoracic_ratio": 0.5, "thorax_width_mm": 280.0},
        )  # fmt: skip
        columns = np.flatnonzero((drawn.masks == 4).any(axis=0))
        widths[view] = (columns[-1] - columns[0] + 1) * drawn.spacing_mm
    assert 140 < widths["PA"] < 162
    assert widths["AP"] > 1.05 * widths["PA"]


def test_lungs_are_dark_and_the_heart_is_bright():
    for seed in range(6):
        drawn = picture(seed)
        shown = grey(drawn)
        assert np.median(shown[drawn.masks == 4]) > np.median(shown[(drawn.masks & 3) > 0]) + 0.1


def test_a_nodule_and_an_effusion_are_seen_where_the_truth_says():
    lesion = Lesion((-70.0, 100.0, 0.0), 12.0, 1.0)
    without, with_it = picture(2), picture(2, lesions=(lesion,))
    column, row, diameter = with_it.lesions_px[0]
    change = cv2.GaussianBlur(grey(with_it) - grey(without), (0, 0), 3)
    peak = np.unravel_index(np.argmax(change), change.shape)
    assert np.hypot(peak[0] - row, peak[1] - column) < diameter / 2
    sick = picture(2, disease=Disease((70.0, 0.0), (0.3, 0.0)))
    base = (without.masks == 1) & (np.arange(256)[:, None] > np.flatnonzero((without.masks == 1).any(axis=1))[-1] - 25)
    assert grey(sick)[base].mean() > grey(without)[base].mean() + 0.05


@pytest.mark.parametrize("precision", [10, 12, 14])
def test_lossless_jpeg_is_read_back_by_others(precision):
    import imagecodecs

    rng = np.random.default_rng(precision)
    values = rng.integers(0, 2**precision, (37, 53)).astype(np.uint16)
    values[5:20] = 3
    coded, in_fragments = encode(values, precision, "1.2.840.10008.1.2.4.70")
    assert in_fragments
    assert np.array_equal(imagecodecs.ljpeg_decode(coded).reshape(values.shape), values)
    assert np.array_equal(imagecodecs.jpegsof3_decode(coded).reshape(values.shape), values)
    # The syntax .70 allows selection value 1 alone: the byte after the components of the scan's header.
    assert coded[coded.index(b"\xff\xda") + 7] == 1


def spectrum(shown: np.ndarray) -> np.ndarray:
    """log10 of the share of power at 1 to 24 cycles a picture, of (64, 64) greys."""
    window = np.outer(np.hanning(64), np.hanning(64))
    power = np.abs(np.fft.fftshift(np.fft.fft2((shown - shown.mean()) * window))) ** 2
    y, x = np.indices(power.shape)
    radius = np.hypot(x - 32, y - 32).astype(int)
    rings = np.bincount(radius.ravel(), power.ravel()) / np.bincount(radius.ravel())
    return np.log10(rings[1:25] / rings[1:25].sum())


def small(shown: np.ndarray) -> np.ndarray:
    side = min(shown.shape)
    top, left = (shown.shape[0] - side) // 2, (shown.shape[1] - side) // 2
    return cv2.resize(shown[top : top + side, left : left + side], (64, 64), interpolation=cv2.INTER_AREA)


def test_greys_and_spectra_lie_within_the_spread_of_real_radiographs(shared):
    paths = sorted((shared / "data/nih-cxr14-64px/images").iterdir())[::4]
    real = [cv2.imread(str(path), cv2.IMREAD_GRAYSCALE).astype(np.float32) / 255 for path in paths]
    ours = [small(grey(picture(seed, age=20 + 2 * seed)).astype(np.float32)) for seed in range(30)]
    for measure in (spectrum, lambda each: np.bincount((each * 7.999).astype(int).ravel(), minlength=8) / each.size):
        low, high = np.percentile([measure(each) for each in real], [2.5, 97.5], axis=0)
        middle = np.median([measure(each) for each in ours], axis=0)
        inside = (middle >= low) & (middle <= high)
        # Seven to ten cycles hold a little more power than in real pictures; the documentation says so.
        assert inside.mean() >= 0.8, (np.flatnonzero(~inside), middle, low, high)
