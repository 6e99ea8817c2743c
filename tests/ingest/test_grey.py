"""The grey pipeline: the standard's formulas, the fixed order, real files that must look alike."""

import subprocess
from pathlib import Path

import cv2
import imagecodecs
import numpy as np
import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.pixels import apply_modality_lut, apply_voi_lut, pixel_array
from pydicom.uid import JPEGLosslessSV1, JPEGLSLossless

from xray_mining.archive.dicom_file import read_dicom
from xray_mining.archive.radiograph import Encoded, LookUp, Unusable, Window
from xray_mining.ingest.decode import Stored, decode, decoders
from xray_mining.ingest.grey import (
    box_into_square,
    grey,
    mask_into_square,
    modality_values,
    place,
    stored_values,
    windowed,
)
from xray_mining.ingest.options import GreyOptions


def encoded_of(values: np.ndarray, **more: object) -> Encoded:
    bits = 8 * values.dtype.itemsize
    about = {"bits_allocated": bits, "bits_stored": bits, "high_bit": bits - 1, **more}
    return Encoded(
        data=values.tobytes(), syntax="1.2.840.10008.1.2.1", rows=values.shape[0], columns=values.shape[1], **about
    )


def grey_of(values: np.ndarray, side: int = 64, **more: object):
    encoded = encoded_of(values, **more)
    return grey(Stored(values, "test"), encoded, GreyOptions(side_px=side))


RAMP = np.tile(np.arange(64, dtype=np.uint16) * 64, (64, 1))


@pytest.mark.filterwarnings("ignore:overflow")
@given(st.floats(-2000, 2000), st.floats(1, 4000), st.sampled_from(["LINEAR", "LINEAR_EXACT", "SIGMOID"]))
def test_windows_are_those_of_pydicom(centre, width, function):
    values = np.arange(-1000, 3000, dtype=np.int16).reshape(40, 100)
    dataset = pydicom.Dataset()
    dataset.WindowCenter, dataset.WindowWidth = round(centre, 3), max(round(width, 3), 1)
    dataset.VOILUTFunction = function
    dataset.PhotometricInterpretation, dataset.PixelRepresentation, dataset.BitsStored = "MONOCHROME2", 1, 16
    expected = apply_voi_lut(values, dataset)
    ours = windowed(values, Window(float(dataset.WindowCenter), float(dataset.WindowWidth), function))
    low, high = (expected.min(), expected.max()) if np.ptp(expected) else (0, 1)
    assert np.abs(ours * (65535) - (expected + 32768)).max() < 70 or high == low


def test_padding_is_left_out_of_the_percentiles_and_stays_dark():
    values = RAMP + 1000
    values[:, :20] = 0
    picture = grey_of(values, padding=(0, 0)).picture
    assert picture[:, :19].max() == 0
    assert grey_of(values[:, 20:], side=64).picture.max() == picture.max() == 255
    turned = grey_of(values, padding=(0, 0), photometric="MONOCHROME1").picture
    assert turned[:, :19].max() == 0
    assert turned[0, 22] > turned[0, 60]


def test_the_first_of_several_windows_is_taken_and_a_lut_goes_before_windows():
    windows = (Window(1000, 500), Window(3000, 500))
    found = grey_of(RAMP, windows=windows)
    assert found.window_source == "window"
    assert found.picture[0, 40] == 255
    lut = LookUp(0, np.linspace(65535, 0, 4096).astype(np.uint16), 16)
    found = grey_of(RAMP, windows=windows, voi_lut=lut)
    assert found.window_source == "voi_lut"
    assert found.picture[0, 0] > found.picture[0, -1]


def test_a_window_that_belongs_to_other_values_gives_way_to_percentiles():
    assert grey_of(RAMP, windows=(Window(-5000, 100),)).window_source == "percentiles"


def test_inversion_comes_after_the_window():
    plain = grey_of(RAMP, windows=(Window(1000, 500),)).picture.astype(int)
    turned = grey_of(RAMP, windows=(Window(1000, 500),), photometric="MONOCHROME1").picture.astype(int)
    assert np.abs(plain + turned - 255).max() <= 1


@given(st.integers(1, 16), st.integers(0, 15), st.booleans())
def test_stored_values_keep_to_their_bits(bits, more, signed):
    high = min(bits - 1 + more, 15)
    values = stored_values(65536, bits, high, signed)
    assert values.max() == (1 << (bits - 1)) - 1 if signed else (1 << bits) - 1
    assert values.min() == (-(1 << (bits - 1)) if signed else 0)


@given(st.integers(1, 4000), st.integers(1, 4000), st.floats(0.5, 2), st.integers(32, 512))
def test_the_image_lies_in_the_middle_of_its_square(rows, columns, aspect, side):
    where = place(rows, columns, aspect, side)
    assert max(where.width, where.height) == side
    assert 0 <= where.left <= side - where.width <= 2 * where.left + 1
    assert 0 <= where.top <= side - where.height <= 2 * where.top + 1


def test_masks_and_boxes_go_through_the_geometry_of_the_picture():
    image = np.zeros((200, 100), np.uint8)
    image[50:150, 20:60] = 255
    found = grey_of(image, side=80, windows=(Window(128, 256),))
    mask = mask_into_square(image > 0, found.placement, 80)
    assert np.array_equal(mask, found.picture > 127)
    x, y, width, height = box_into_square((20, 50, 40, 100), 100, 200, found.placement)
    ys, xs = np.nonzero(mask)
    assert [x, y, x + width, y + height] == pytest.approx([xs.min(), ys.min(), xs.max() + 1, ys.max() + 1], abs=0.51)


def frames(path):
    return [each for each in read_dicom(path.read_bytes()) if each.encoded is not None]


GOLDEN = ("syntax/modality_lut.dcm", "radiograph/cr_modality_lut_sequence.dcm")


def decoded_by_others(path, dcmtk, folder):
    """Stored values by pydicom, which reads JPEG-LS and lossless JPEG by optional packages alone: by DCMTK there."""
    syntax = pydicom.dcmread(path, stop_before_pixels=True).file_meta.TransferSyntaxUID
    plain, program = folder / "plain.dcm", {JPEGLSLossless: "dcmdjpls", JPEGLosslessSV1: "dcmdjpeg"}.get(syntax)
    if program:
        subprocess.run([Path(dcmtk).with_name(program), path, plain], capture_output=True, check=True)
    values = pixel_array(plain if program else path, raw=True)
    return values.astype(values.dtype.newbyteorder("="))


@pytest.mark.parametrize("name", GOLDEN)
@pytest.mark.filterwarnings("ignore")
def test_modality_values_are_those_of_pydicom(shared, dcmtk, tmp_path, name):
    path = shared / "data/dicom" / name
    encoded = frames(path)[0].encoded
    values = decode(encoded, 32, whole=True).values
    number = 256 if values.dtype == np.uint8 else 65536
    table = modality_values(stored_values(number, encoded.bits_stored, encoded.high_bit, encoded.signed), encoded)
    theirs = decoded_by_others(path, dcmtk, tmp_path)
    assert np.array_equal(table[values], apply_modality_lut(theirs, pydicom.dcmread(path)))


DECODED = [
    "radiograph/rsna_cr_jpeg_baseline.dcm",
    "radiograph/cr_chest_rg1_j2k_lossy_mono1_16bit.dcm",
    "radiograph/nih_dx_implicit_81M.dcm",
    "syntax/cr_chest_10bit_mono1_rle.dcm",
    "syntax/cr_chest_10bit_mono1_j2k_lossless.dcm",
    "syntax/cr_chest_10bit_mono1_jpegls_lossless.dcm",
    "syntax/cr_chest_10bit_mono1_jpeg_lossless_sv1.dcm",
    "syntax/mr_big_endian.dcm",
    "syntax/mr_rle_16bit.dcm",
    "syntax/rle_fragmented.dcm",
    "syntax/jpeg_lossless_16bit.dcm",
    "syntax/ct_j2k_lossless.dcm",
    "syntax/us_rle_palette.dcm",
]


@pytest.mark.parametrize("name", DECODED)
@pytest.mark.filterwarnings("ignore")
def test_decoded_values_are_those_of_others(shared, dcmtk, tmp_path, name):
    path = shared / "data/dicom" / name
    ours = decode(frames(path)[0].encoded, 32, whole=True).values
    theirs = decoded_by_others(path, dcmtk, tmp_path)
    assert np.array_equal(ours, theirs.view(f"u{theirs.dtype.itemsize}"))


@pytest.mark.parametrize("stem", ["nih_chest_8bit", "cr_chest_10bit_mono1"])
def test_one_source_in_all_syntaxes_gives_equal_pictures(shared, stem):
    options = GreyOptions(side_px=512)
    pictures = [
        grey(decode(each.encoded, 512), each.encoded, options).picture
        for path in sorted((shared / "data/dicom/syntax").glob(f"{stem}_*.dcm"))
        for each in frames(path)
    ]
    assert len(pictures) >= 4
    assert all(np.array_equal(pictures[0], each) for each in pictures)


def test_an_inverted_copy_looks_like_its_source(shared):
    folder = shared / "data/dicom/syntax"
    options = GreyOptions(side_px=64)
    one, two = (
        grey(decode(each.encoded, 64), each.encoded, options).picture.astype(int)
        for name in ("nih_chest_12bit_mono1_inverted.dcm", "nih_chest_8bit_explicit_le.dcm")
        for each in frames(folder / name)
    )
    assert np.abs(one - two).mean() < 0.01 * 255


@pytest.mark.parametrize(
    "name",
    ["radiograph/rsna_cr_jpeg_baseline.dcm", "radiograph/cr_chest_rg1_j2k_lossy_mono1_16bit.dcm"],
)
@pytest.mark.parametrize("side", [64, 128, 256])
def test_reduced_decoding_differs_by_less_than_a_hundredth_of_full_scale(shared, name, side):
    encoded = frames(shared / "data/dicom" / name)[0].encoded
    options = GreyOptions(side_px=side)
    reduced = decode(encoded, side)
    assert min(reduced.values.shape) < min(encoded.rows, encoded.columns)
    assert max(reduced.values.shape) >= side
    fast = grey(reduced, encoded, options).picture.astype(int)
    whole = grey(decode(encoded, side, whole=True), encoded, options).picture.astype(int)
    assert np.abs(fast - whole).mean() < 0.01 * 255


def test_htj2k_is_reduced_too():
    y, x = np.mgrid[0:800, 0:640]
    values = (2000 + 1000 * np.sin(x / 40) + 500 * np.cos(y / 60)).astype(np.uint16)
    encoded = encoded_of(values, bits_stored=12, high_bit=11)
    data = imagecodecs.htj2k_encode(values)
    encoded = Encoded(
        **{name: getattr(encoded, name) for name in Encoded.__slots__}
        | {"data": data, "syntax": "1.2.840.10008.1.2.4.201"}
    )
    reduced = decode(encoded, 200)
    assert reduced.values.shape == (200, 160)
    expected = cv2.resize(values, (160, 200), interpolation=cv2.INTER_AREA)
    assert np.abs(reduced.values.astype(int) - expected).mean() < 0.01 * 4095


def htj2k_of(rows: int, columns: int, **more: object) -> Encoded:
    values = np.tile(np.arange(400, dtype=np.uint16), (400, 1))
    about = {"bits_allocated": 16, "bits_stored": 12, "high_bit": 11, **more}
    return Encoded(
        data=imagecodecs.htj2k_encode(values), syntax="1.2.840.10008.1.2.4.201", rows=rows, columns=columns, **about
    )


def test_padding_is_never_mixed_with_its_neighbours():
    assert decode(htj2k_of(400, 400), 100).values.shape == (100, 100)
    assert decode(htj2k_of(400, 400, padding=(0, 0)), 100).values.shape == (400, 400)


def test_a_picture_smaller_than_its_header_says_is_no_reduction_that_nobody_asked_for():
    values = np.zeros((100, 100), np.uint8)
    _, data = cv2.imencode(".png", values)
    about = {"bits_allocated": 8, "bits_stored": 8, "high_bit": 7}
    stated = Encoded(data=data.tobytes(), syntax="png", rows=400, columns=400, **about)
    with pytest.raises(Unusable, match="hold 100 by 100"):
        decode(stated, 50)
    with pytest.raises(Unusable, match="hold 400 by 400"):
        decode(htj2k_of(1600, 1600), 800)


@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2.4.70", "1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.5"])
def test_every_compressed_syntax_has_a_second_decoder(syntax):
    assert len(set(decoders(syntax))) >= 2


@pytest.mark.parametrize(("limit", "padding"), [(0, (-200, 0)), (None, (-200, -200)), (-300, (-300, -200))])
def test_the_padding_range_ends_at_its_limit_whatever_that_is(tmp_path, make_dicom, limit, padding):
    path = make_dicom(
        tmp_path / "a", PixelRepresentation=1, PixelPaddingValue=-200, PixelPaddingRangeLimit=limit, number=3
    )
    assert frames(path)[0].encoded.padding == padding
