"""A damaged header is a reject, and an error of our own code is not taken for one."""

from pathlib import Path

import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from xray_mining.archive import dicom_encoding, dicom_file, dicom_pixels, dicom_texts
from xray_mining.archive.dicom_file import read_dicom
from xray_mining.archive.radiograph import Unusable

DEFLATED = pydicom.uid.DeflatedExplicitVRLittleEndian


@pytest.fixture
def data(tmp_path, make_dicom) -> bytes:
    """A file with a table of grey values."""
    path = make_dicom(tmp_path / "one.dcm", PatientID="P1234")
    dataset = pydicom.dcmread(path)
    dataset.VOILUTSequence = Sequence([Dataset()])
    dataset.VOILUTSequence[0].LUTDescriptor = [4, 0, 16]
    dataset.VOILUTSequence[0].add_new("LUTData", "US", [1, 2, 3, 4])
    dataset.save_as(path)
    return path.read_bytes()


def deflated(path: Path, data: bytes) -> bytes:
    path.write_bytes(data)
    dataset = pydicom.dcmread(path)
    dataset.file_meta.TransferSyntaxUID = DEFLATED
    dataset.save_as(path)
    return path.read_bytes()


@pytest.mark.parametrize("error", [TypeError, AttributeError, KeyError, IndexError, ValueError, OSError])
@pytest.mark.parametrize(
    ("module", "name"),
    [(dicom_texts, "text"), (dicom_texts, "_encodings_of"), (dicom_texts, "_byte_for_byte"), (dicom_file, "keep_ids"),
     (dicom_file, "picture_as_stated"), (dicom_pixels, "numbers"), (dicom_pixels, "whole_number"),
     (dicom_pixels, "LookUp"), (dicom_pixels, "_look_up"), (dicom_file, "header_of")],
)  # fmt: skip
def test_an_error_of_our_own_code_is_not_a_damaged_file(data, monkeypatch, module, name, error):
    def bug(*given, **named):
        raise error("a bug")

    assert next(read_dicom(data.replace(b"1234", b"\xe4234"))).encoded is not None
    monkeypatch.setattr(dicom_file, "quick_header", lambda *given: None)
    monkeypatch.setattr(module, name, bug)
    with pytest.raises(error, match="a bug"):
        list(read_dicom(data.replace(b"1234", b"\xe4234")))


@pytest.mark.parametrize("cut", [8, 40, 200])
def test_a_deflated_file_that_is_cut_off_is_damaged(tmp_path, data, cut):
    whole = deflated(tmp_path / "deflated.dcm", data)
    start = 144 + int.from_bytes(whole[140:144], "little")
    broken = whole[: start + cut] + b"\xff" * 64
    with pytest.raises(Unusable) as met:
        list(read_dicom(broken))
    assert met.value.args[:2] == ("header", "broken_header"), met.value.sentence


def test_a_bug_in_reading_a_deflated_file_is_not_damage(tmp_path, data, monkeypatch):
    whole = deflated(tmp_path / "deflated.dcm", data)
    assert next(read_dicom(whole)).encoded is not None
    monkeypatch.setattr(dicom_encoding, "BytesIO", lambda given: given.no_such_method)
    with pytest.raises(AttributeError):
        list(read_dicom(whole))


@pytest.mark.parametrize(
    ("descriptor", "values", "vr"),
    [([4, 0, 16], b"", "OW"), ([4, 0, 16], "words", "LO"), (["a", "b", "c"], [1, 2], "LO")],
)
def test_a_damaged_table_of_grey_values_is_a_reject_or_is_left_out(tmp_path, data, descriptor, values, vr):
    path = tmp_path / "one.dcm"
    path.write_bytes(data)
    dataset = pydicom.dcmread(path)
    item = dataset.VOILUTSequence[0]
    item.add_new("LUTDescriptor", "LO" if isinstance(descriptor[0], str) else "US", descriptor)
    item.add_new("LUTData", vr if vr == "OW" or isinstance(values, str) else "US", values)
    dataset.save_as(path)
    try:
        [frame] = read_dicom(path.read_bytes())
    except Unusable as trouble:
        assert trouble.args[:2] == ("header", "broken_header")
    else:
        assert frame.encoded.voi_lut is None
