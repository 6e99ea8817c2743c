"""The quick header reader says what pydicom says, or nothing: on every real file, and on headers made at random."""

import dataclasses
import io
import warnings

import pydicom
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate

from xray_mining.archive import dicom_file
from xray_mining.archive.dicom_file import header_at_head, read_dicom
from xray_mining.archive.dicom_header import _KEYWORDS, _value_before, quick_header
from xray_mining.archive.radiograph import Unusable

EXPLICIT, IMPLICIT, JPEG = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2", "1.2.840.10008.1.2.4.70"


def told(radiographs):
    """All that a reader says of a file, in comparable values."""
    try:
        found = []
        for each in radiographs:
            encoded = None
            if each.encoded is not None:
                fields = {field.name: getattr(each.encoded, field.name) for field in dataclasses.fields(each.encoded)}
                encoded = {
                    **{name: value for name, value in fields.items() if name not in ("data", "whole_file")},
                    "data": bytes(fields["data"]),
                }
                encoded |= {name: repr(encoded[name]) for name in ("modality_lut", "voi_lut", "palette")}
            trouble = (each.trouble.stage, each.trouble.reason) if each.trouble else None
            found.append((each.header, each.frame, encoded, trouble))
    except Unusable as error:
        return error.stage, error.reason, error.sentence
    return found


def by_pydicom(data: bytes, with_pixels: bool):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return told(dicom_file._frames(dicom_file.unpacked(data), with_pixels))


def agree(data: bytes) -> None:
    for with_pixels in (False, True):
        assert told(read_dicom(data, with_pixels)) == by_pydicom(data, with_pixels)
    head = header_at_head(data[:32768])
    if head is not None:
        assert told([head]) == by_pydicom(data, False)


def test_all_real_files_are_read_as_pydicom_reads_them(shared):
    paths = [path for path in sorted((shared / "data/dicom").rglob("*")) if path.is_file()]
    quick = 0
    for path in paths:
        data = path.read_bytes()
        agree(data)
        quick += quick_header(data) is not None
    assert quick >= len(paths) // 2


WORDS = st.text(st.characters(codec="ascii", exclude_characters="\x7f"), max_size=20) | st.sampled_from(
    ["CHEST", "PA", "061Y", "19600101", "L\\F", "A\\F ", " a ", "é", "DX", "", "\\", "YES", "ISO_IR 100"]
)
NUMBERS = st.sampled_from(["1", "-1.5", "0.143\\0.143", " 2 ", "1e3", "x", "", "1\\x", "1.", ".5", "nan", "1_0"])
DIGITS = st.sampled_from(["1", "2\\3", " 4 ", "", "1.0", "x", "+7", "9999999999"])
UIDS = st.sampled_from(["1.2.3", "1.2.3\\1.2", "", "1.2.x", "1.2.840.10008.5.1.4.1.1.1.1"])


@st.composite
def datasets(draw):
    """A file with any of the wanted elements, some of them odd, in one of three syntaxes."""
    dataset = Dataset()
    for keyword in draw(st.lists(st.sampled_from(_KEYWORDS), max_size=25, unique=True)):
        vr = pydicom.datadict.dictionary_VR(keyword)
        if vr == "SQ":
            item = Dataset()
            item.add_new("CodeValue", "SH", draw(WORDS))
            item.add_new("CodeMeaning", "LO", draw(WORDS))
            value = [item] * draw(st.integers(0, 2))
        elif vr.startswith("US"):
            vr = draw(st.sampled_from(["US", "SS"])) if vr != "US" else "US"
            value = draw(st.integers(0, 300) | st.lists(st.integers(0, 9), min_size=2, max_size=3))
        else:
            value = draw({"DS": NUMBERS, "IS": DIGITS, "UI": UIDS}.get(vr, WORDS))
        element = pydicom.DataElement(pydicom.datadict.tag_for_keyword(keyword), vr, value, already_converted=True)
        dataset[element.tag] = element
    dataset.file_meta = FileMetaDataset()
    syntax = draw(st.sampled_from([EXPLICIT, IMPLICIT, JPEG]))
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.1.1"
    dataset.file_meta.MediaStorageSOPInstanceUID = "1.2.3"
    if draw(st.booleans()):
        dataset.Rows, dataset.Columns, dataset.BitsAllocated, dataset.SamplesPerPixel = 8, 9, 8, 1
    if draw(st.booleans()):
        dataset.add_new(0x00080005, "CS", draw(st.sampled_from(["ISO_IR 100", "ISO_IR 192", "ISO_IR 13", ""])))
    if draw(st.booleans()):
        inner = Dataset()
        inner.PatientID = "inner"
        outer = Dataset()
        outer.ReferencedImageSequence = [inner]
        dataset.ReferencedStudySequence = [outer]
        dataset["ReferencedStudySequence"].is_undefined_length = draw(st.booleans())
        dataset.private_block(0x0011, "x", create=True).add_new(1, "UN", b"bytes!")
    if draw(st.booleans()):
        pixels = encapsulate([bytes(72)]) if syntax == JPEG else bytes(72)
        dataset.add_new(0x7FE00010, "OB" if syntax == JPEG else "OW", pixels)
        dataset["PixelData"].is_undefined_length = syntax == JPEG
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dataset.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


@given(datasets())
@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
def test_headers_made_at_random_are_read_as_pydicom_reads_them(data):
    agree(data)


@given(datasets(), st.data())
@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
def test_damaged_headers_are_read_as_pydicom_reads_them(data, draws):
    damaged = bytearray(data)
    for at in draws.draw(st.lists(st.integers(128, len(data) - 1), min_size=1, max_size=3)):
        damaged[at] = draws.draw(st.integers(0, 255))
    agree(bytes(damaged[: draws.draw(st.integers(132, len(data)))]))


def test_long_values_are_not_kept_in_memory():
    about = Dataset()
    about.file_meta = FileMetaDataset()
    about.file_meta.TransferSyntaxUID = EXPLICIT
    about.file_meta.MediaStorageSOPClassUID = about.SOPClassUID = "1.2.840.10008.5.1.4.1.1.1"
    about.file_meta.MediaStorageSOPInstanceUID = about.SOPInstanceUID = "1.2"
    about.PixelData = bytes(2)
    about["PixelData"].VR = "OW"
    _value_before.cache_clear()
    kept = {}
    for length in (10, 60_000):
        buffer = io.BytesIO()
        about.InstitutionAddress = "A" * length
        about.save_as(buffer, enforce_file_format=True)
        before = _value_before.cache_info().currsize
        header = quick_header(buffer.getvalue())
        assert header is not None and header.element("InstitutionAddress") == "A" * length
        kept[length] = _value_before.cache_info().currsize - before
    # The short address and the class, which come again.
    assert kept[60_000] == 0 < kept[10]


@pytest.mark.parametrize("orientation", ["A\\F", "P\\F"])
def test_a_lateral_view_is_known_by_the_patients_orientation(orientation, shared):
    data = (shared / "data/dicom/radiograph/cr_chest_rg1_j2k_lossy_mono1_16bit.dcm").read_bytes()
    dataset = pydicom.dcmread(io.BytesIO(data))
    dataset.PatientOrientation = orientation
    buffer = io.BytesIO()
    dataset.save_as(buffer)
    assert next(read_dicom(buffer.getvalue(), with_pixels=False)).header.orientation == orientation
    assert next(dicom_file._frames(buffer.getvalue(), False)).header.orientation == orientation
