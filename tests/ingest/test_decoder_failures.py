"""A decoder that fails is counted by its name and error, and the next one is tried: a bug of ours is not hidden."""

import dataclasses
import sys
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import imagecodecs
import numpy as np
import pydicom
import pytest
from pydicom.encaps import encapsulate

from xray_mining.archive.radiograph import Encoded, Unusable
from xray_mining.archive.syntaxes import JPEG_LOSSLESS_SV1
from xray_mining.ingest import decode as decoding
from xray_mining.ingest import picture
from xray_mining.ingest.decode import DecoderFailure, NotRead, decode
from xray_mining.ingest.options import GreyOptions
from xray_mining.ingest.shard_rows import ShardRows

VALUES = np.arange(64 * 48, dtype=np.uint16).reshape(64, 48) % 4096


def lossless(values: np.ndarray = VALUES) -> bytes:
    return bytes(imagecodecs.jpeg8_encode(values, lossless=True, bitspersample=12))


def damaged(data: bytes) -> bytes:
    """With an impossible code table: no decoder can read it."""
    at = data.index(b"\xff\xc4") + 5
    return data[:at] + b"\xff" * 16 + data[at + 16 :]


def encoded(data: bytes) -> Encoded:
    return Encoded(
        data=data, syntax=JPEG_LOSSLESS_SV1, rows=64, columns=48, bits_allocated=16, bits_stored=12, high_bit=11
    )


def bug(encoded: Encoded, reduction: int) -> np.ndarray:
    return {}["a bug"]


def own_attribute(encoded: Encoded, reduction: int) -> np.ndarray:
    return encoded.no_such_field  # ty: ignore[unresolved-attribute]


def no_such_function(encoded: Encoded, reduction: int) -> np.ndarray:
    return imagecodecs.no_such_function(encoded.data)  # ty: ignore[unresolved-attribute]


def not_installed(encoded: Encoded, reduction: int) -> np.ndarray:
    raise ModuleNotFoundError("no such package")


def of_another_kind(encoded: Encoded, reduction: int) -> np.ndarray:
    raise NotRead("colours only")


@pytest.mark.parametrize(
    ("decoder", "error"),
    [(bug, "KeyError"), (own_attribute, "AttributeError"), (no_such_function, ""), (not_installed, ""),
     (of_another_kind, "")],
)  # fmt: skip
def test_an_error_of_a_decoder_is_kept_with_what_the_next_one_reads(monkeypatch, decoder, error):
    tries = [("xray-mining", decoder, False), *decoding._TABLE[JPEG_LOSSLESS_SV1][1:]]
    monkeypatch.setitem(decoding._TABLE, JPEG_LOSSLESS_SV1, tries)
    failures: set[DecoderFailure] = set()
    found = decode(encoded(lossless()), 64, failures=failures)
    assert np.array_equal(found.values, VALUES) and found.decoder.startswith("imagecodecs")
    assert failures == ({DecoderFailure("xray-mining", error)} if error else set())


def test_a_frame_that_no_decoder_reads_says_which_failed():
    failures: set[DecoderFailure] = set()
    with pytest.raises(Unusable, match="none of xray-mining, imagecodecs"):
        decode(encoded(damaged(lossless())), 64, failures=failures)
    assert {each.decoder for each in failures} >= {"xray-mining", "imagecodecs"}


def test_decoders_that_are_not_installed_are_named_and_are_no_failures(monkeypatch):
    monkeypatch.setitem(sys.modules, "dicomsdl", None)
    monkeypatch.setattr("pydicom.pixels.get_decoder", lambda syntax: SimpleNamespace(is_available=False))
    file = dataclasses.replace(encoded(damaged(lossless())), whole_file=b"a file")
    sentence = r"not installed \(dicomsdl, python-gdcm\): none of xray-mining, imagecodecs can decode them\."
    failures: set[DecoderFailure] = set()
    with pytest.raises(Unusable, match=sentence):
        decode(file, 64, failures=failures)
    assert {each.decoder for each in failures} == {"xray-mining", "imagecodecs"}


def test_ingest_counts_the_failures_of_all_shards_and_tells_them(tmp_path: Path, make_dicom, run_ingest):
    for number, content in enumerate((lossless(), damaged(lossless()), damaged(lossless()))):
        path = make_dicom(tmp_path / "a" / f"{number}.dcm", number=number)
        dataset = pydicom.dcmread(path)
        dataset.Rows, dataset.Columns = VALUES.shape
        dataset.file_meta.TransferSyntaxUID = JPEG_LOSSLESS_SV1
        dataset.PixelData = encapsulate([content])
        dataset["PixelData"].VR = "OB"
        dataset.save_as(path)
    _, summary = run_ingest(tmp_path / "a", tmp_path / "w", name="a")
    assert (summary.kept, summary.rejected) == (1, 2)
    assert {name.split(" (")[0]: frames for name, frames in summary.decoder_failures.items()}["xray-mining"] == 2
    assert any(line.startswith("decoders that failed on frames: ") for line in summary.lines())
    _, again = run_ingest(tmp_path / "a", tmp_path / "w", name="a")
    assert again.shards_now == 0 and again.decoder_failures == summary.decoder_failures


def test_failures_are_counted_where_another_decoder_reads_a_frame_that_grey_refuses(monkeypatch):
    def refuse(stored, encoded, options):
        raise Unusable("decode", "length_mismatch", "The picture is empty.")

    tries = [("xray-mining", bug, False), *decoding._TABLE[JPEG_LOSSLESS_SV1][1:]]
    monkeypatch.setitem(decoding._TABLE, JPEG_LOSSLESS_SV1, tries)
    monkeypatch.setattr(picture, "grey", refuse)
    task = SimpleNamespace(options=SimpleNamespace(grey=GreyOptions(side_px=32)))
    rows = SimpleNamespace(task=task, decoder_failures=Counter())
    for _ in range(2):
        with pytest.raises(Unusable, match="length_mismatch"):
            ShardRows._standardised(rows, encoded(lossless()))  # ty: ignore[invalid-argument-type]
    assert rows.decoder_failures == {DecoderFailure("xray-mining", "KeyError"): 2}
