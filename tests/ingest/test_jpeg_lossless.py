"""Our own decoder of lossless JPEG gives what a library's encoder was given, or nothing."""

import resource

import imagecodecs
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xray_mining.archive.dicom_file import read_dicom
from xray_mining.archive.radiograph import Encoded, Unusable
from xray_mining.archive.syntaxes import JPEG_LOSSLESS, JPEG_LOSSLESS_SV1
from xray_mining.ingest.decode import decode
from xray_mining.ingest.jpeg_lossless import decoded


def picture(rows: int, columns: int, bits: int, roughness: float, seed: int) -> np.ndarray:
    """A walk from pixel to pixel: `roughness` 0 is one value, 1 is noise over the whole range."""
    rng = np.random.default_rng(seed)
    steps = rng.normal(0, roughness * (1 << bits), (rows, columns)).cumsum(axis=1)
    values = (steps + (1 << (bits - 1))).astype(np.int64) % (1 << bits)
    return values.astype(np.uint8 if bits <= 8 else np.uint16)


def encoded(values: np.ndarray, bits: int, predictor: int = 1) -> bytes:
    return bytes(imagecodecs.jpeg8_encode(values, lossless=True, bitspersample=bits, predictor=predictor))


@settings(deadline=None, max_examples=300)
@given(
    st.integers(1, 40),
    st.integers(1, 60),
    st.integers(2, 16),
    st.integers(1, 7),
    st.sampled_from([0.0, 0.001, 0.02, 1.0]),
    st.integers(0, 99),
)
def test_what_was_encoded_is_decoded(rows, columns, bits, predictor, roughness, seed):
    values = picture(rows, columns, bits, roughness, seed)
    found = decoded(encoded(values, bits, predictor))
    assert found.dtype == values.dtype
    assert np.array_equal(found, values)


def test_real_files_are_decoded_as_the_library_decodes_them(shared):
    seen = 0
    for path in sorted((shared / "data/dicom").rglob("*.dcm")):
        try:
            frames = list(read_dicom(path.read_bytes()))
        except Unusable:
            continue
        for frame in frames:
            if frame.encoded is None or frame.encoded.syntax not in (JPEG_LOSSLESS, JPEG_LOSSLESS_SV1):
                continue
            library = imagecodecs.jpeg8_decode(frame.encoded.data)
            if library.ndim == 3:
                with pytest.raises(ValueError, match="another kind"):
                    decoded(frame.encoded.data)
                continue
            assert np.array_equal(decoded(frame.encoded.data), library)
            seen += 1
    assert seen >= 6


@settings(deadline=None, max_examples=400)
@given(st.data(), st.sampled_from([1, 5]))
def test_damaged_bytes_are_refused_or_give_what_the_library_gives(data, predictor):
    whole = encoded(picture(30, 40, 12, 0.01, 1), 12, predictor)
    damaged = bytearray(whole[: data.draw(st.integers(0, len(whole)) | st.just(len(whole)))])
    for _ in range(data.draw(st.integers(0, 3))):
        if damaged:
            damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    try:
        found = decoded(bytes(damaged))
    except (ValueError, IndexError):
        return
    try:
        library = imagecodecs.jpeg8_decode(bytes(damaged))
    except imagecodecs.Jpeg8Error:
        # It looks at segments that say nothing of the pixels.
        return
    assert np.array_equal(found, library)


def test_one_bit_too_few_or_a_byte_too_many_is_refused():
    whole = encoded(picture(30, 40, 12, 0.01, 1), 12)
    for cut in (3, 4, 10, len(whole) // 2):
        with pytest.raises(ValueError, match="damaged"):
            decoded(whole[:-cut] + b"\xff\xd9")
    with pytest.raises(ValueError, match="damaged"):
        decoded(whole[:-2] + b"\x00\x00\xff\xd9")


def of_two_frames(whole: bytes, rows: int, columns: int) -> bytes:
    """The JPEG with a second frame header behind its own, of another size."""
    at = whole.index(b"\xff\xc3")
    stop = at + 2 + int.from_bytes(whole[at + 2 : at + 4], "big")
    second = whole[at : at + 5] + rows.to_bytes(2, "big") + columns.to_bytes(2, "big") + whole[at + 9 : stop]
    return whole[:stop] + second + whole[stop:]


def test_a_second_frame_that_states_another_size_is_for_the_library():
    whole = encoded(picture(30, 40, 12, 0.0, 1), 12)
    with pytest.raises(ValueError, match="another kind"):
        decoded(of_two_frames(whole, 65535, 65535))


def test_a_picture_that_is_not_there_is_not_made_up():
    whole = bytearray(encoded(np.full((30, 40), 1 << 11, np.uint16), 12))
    assert decoded(bytes(whole)).shape == (30, 40)
    at = whole.index(b"\xff\xc3")
    whole[at + 5 : at + 9] = b"\xff\xff\x10\x00"
    before = peak_bytes()
    with pytest.raises(ValueError, match="damaged"):
        decoded(bytes(whole))
    # All of it would be 0.5 GB, which the system gives page by page as they are written.
    assert peak_bytes() - before < 2**28


def peak_bytes() -> int:
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def test_it_is_asked_first_and_the_library_where_it_refuses():
    values = picture(64, 64, 12, 0.01, 2)
    about = {"rows": 64, "columns": 64, "bits_allocated": 16, "bits_stored": 12, "high_bit": 11}
    found = decode(Encoded(data=encoded(values, 12), syntax=JPEG_LOSSLESS_SV1, **about), 64)
    assert found.decoder.startswith("xray-mining")
    assert np.array_equal(found.values, values)
    # An application's segment of over 64 kB before the picture.
    long = b"\xff\xd8" + (b"\xff\xe1\xff\xff" + bytes(65533)) * 2 + encoded(values, 12)[2:]
    found = decode(Encoded(data=long, syntax=JPEG_LOSSLESS_SV1, **about), 64)
    assert found.decoder.startswith("imagecodecs")
    assert np.array_equal(found.values, values)
