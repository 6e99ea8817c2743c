"""Elements of a DICOM header as texts and numbers, and the header that adapters return."""

import struct
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
from pydicom import config
from pydicom.charset import convert_encodings, decode_bytes, python_encoding
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.errors import BytesLengthException, InvalidDicomError
from pydicom.multival import MultiValue
from pydicom.valuerep import TEXT_VR_DELIMS, VR

from xray_mining.archive.radiograph import (
    Header,
    Spacing,
    only,
)

# Exceptions of pydicom for an element whose bytes do not fit its VR. Only calls of pydicom may be in a block that
# catches them: an error of our own code would look like a damaged file.
BAD_VALUE = (
    ValueError,
    TypeError,
    AttributeError,
    KeyError,
    IndexError,
    NotImplementedError,
    OverflowError,
    EOFError,
    # pydicom raises it for a sequence that ends early; these blocks read no file, so it is never a disk error.
    OSError,
    LookupError,
    RecursionError,
    struct.error,
    zlib.error,
    InvalidDicomError,
    BytesLengthException,
)
_TEXTS = (
    "SeriesDescription",
    "StudyDescription",
    "ProtocolName",
    "PerformedProcedureStepDescription",
    "RequestedProcedureDescription",
    "AcquisitionDeviceProcessingDescription",
)
_IDS = ("PatientID", "IssuerOfPatientID", "AccessionNumber")
_NAMES_IN_KEYS = ("InstitutionName", "InstitutionAddress")
_ASCII_SETS = ("", "ISO_IR 6", "ISO 2022 IR 6")
"""Character sets that hold ASCII only; a file that names none counts as one of them."""
_NUMBERS = ("US", "SS", "UL", "SL", "UV", "SV", "FL", "FD", "AT", "SQ")
"""Value representations that are not text."""
_KINDS = frozenset(str(each) for each in VR)
"""All known value representations."""
_SPACINGS = {
    "pixel_spacing": "PixelSpacing",
    "imager_pixel_spacing": "ImagerPixelSpacing",
    "nominal_scanned_pixel_spacing": "NominalScannedPixelSpacing",
}


def keep_ids(dataset: Dataset) -> bool:
    """Decode ids and names without loss, because keys are made from them.

    pydicom replaces every byte that a character set does not have by the same mark, so that two people could become
    one. Such text is decoded as UTF-8 if it is valid UTF-8, else as Latin-1, which has a letter for each byte. The same
    is done for bytes outside ASCII in a file that names no character set or an unknown one. Returns True if that was
    done for an id.
    """
    found = False
    encodings = _encodings_of(dataset)
    for keyword in (*_IDS, *_NAMES_IN_KEYS):
        try:
            raw = dataset.get_item(keyword)
        except BAD_VALUE:
            continue
        if not isinstance(raw, RawDataElement) or not raw.value or raw.VR in _NUMBERS:
            continue
        # For an unknown value representation pydicom returns no value, and the patient id would be lost.
        is_known = raw.VR is None or raw.VR in _KINDS
        if is_known and raw.value.isascii():
            continue
        plain = _byte_for_byte(raw.value)
        try:
            if is_known and encodings and "\ufffd" not in decode_bytes(raw.value, encodings, TEXT_VR_DELIMS):
                continue
            dataset[raw.tag] = DataElement(raw.tag, "LO", plain, validation_mode=config.IGNORE)
        except BAD_VALUE:
            continue
        found |= keyword in _IDS and not raw.value.isascii()
    return found


def _encodings_of(dataset: Dataset) -> list[str]:
    """Python's names of the character sets that a file states; none where it states ASCII, none or an unknown one."""
    stated = reader_of(dataset)("SpecificCharacterSet") or ""
    sets = [str(each).strip() for each in (stated if isinstance(stated, MultiValue | list) else [stated])]
    if not all(each in python_encoding for each in sets) or set(sets) <= set(_ASCII_SETS):
        return []
    try:
        return convert_encodings(sets)
    except BAD_VALUE:
        return []


def _byte_for_byte(value: bytes) -> str:
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return value.decode("latin-1")


def reader_of(dataset: Dataset) -> Callable[..., Any]:
    """Elements by keyword: None if they are absent, empty, or do not fit their VR."""

    def element(keyword: str, of: Dataset | None = dataset) -> Any:
        try:
            value = of.get(keyword) if of is not None else None
        except BAD_VALUE:
            return None
        return None if value is None or value == "" else value

    return element


def text(value: Any) -> str | None:
    """An element's value as one stripped text; of several values the first."""
    if value is None:
        return None
    if type(value) is str:
        return value.strip(" \0\t\r\n") or None
    try:
        if isinstance(value, MultiValue | list | tuple):
            value = value[0] if len(value) else None
        stripped = str(value).strip(" \0\t\r\n") if value is not None else ""
    except BAD_VALUE:
        return None
    return stripped or None


def all_of(value: Any) -> str | None:
    """An identifier as it is written; several values are joined by a backslash, as in DICOM."""
    if not isinstance(value, MultiValue | list | tuple):
        return text(value)
    values = [text(each) or "" for each in value]
    return "\\".join(values) if any(values) else None


def whole_number(value: Any) -> int | None:
    """An element's value as a whole number, of several the first; None if it is not a whole number."""
    try:
        return int(value[0] if isinstance(value, MultiValue | list) else value)
    except (ValueError, TypeError, OverflowError, IndexError):
        return None


def numbers(value: Any) -> list[float]:
    """An element's values as finite floats; other values are left out."""
    if value is None:
        return []
    found = []
    for each in value if isinstance(value, list | tuple | MultiValue) else [value]:
        try:
            number = float(each)
        except (ValueError, TypeError, OverflowError):
            continue
        if np.isfinite(number):
            found.append(number)
    return found


def header_of(element: Callable[[str], Any], undecoded: bool = False) -> Header:
    """The header texts of a dataset; `element` is a function that returns elements by keyword.

    `undecoded`: the text of an id is not valid in its character set, see `keep_ids`.
    """
    # A damaged sequence costs its own codes only, not the file.
    codes = []
    for keyword in ("ViewCodeSequence", "AnatomicRegionSequence"):
        try:
            for item in element(keyword) or []:
                codes += [item.get("CodeValue"), item.get("CodeMeaning")]
        except BAD_VALUE:
            continue
    institution = only([all_of(element("InstitutionName")), all_of(element("InstitutionAddress"))])
    # Several ids in one element are kept whole and flagged, because it is unknown which one is meant.
    patient_id, issuer = all_of(element("PatientID")), all_of(element("IssuerOfPatientID"))
    accession = all_of(element("AccessionNumber"))
    flags = ("undecoded_id",) if undecoded else ()
    if any("\\" in (each or "") for each in (patient_id, issuer, accession)):
        flags += ("several_ids",)
    # All plausible spacings are kept with their source; the first is used.
    spacings = []
    for source, keyword in _SPACINGS.items():
        pair = numbers(element(keyword))
        if len(pair) == 2 and 0 < pair[0] < 10 and 0 < pair[1] < 10:
            spacings.append(Spacing(source, pair[0], pair[1]))
    orientation = element("PatientOrientation")
    return Header(
        instance_id=all_of(element("SOPInstanceUID")),
        study_id=all_of(element("StudyInstanceUID")),
        series_id=all_of(element("SeriesInstanceUID")),
        patient_id=patient_id,
        patient_id_issuer=issuer,
        accession=accession,
        id_flags=flags,
        study_date=text(element("StudyDate")) or text(element("AcquisitionDate")) or text(element("SeriesDate")),
        birth_date=text(element("PatientBirthDate")),
        age_text=text(element("PatientAge")),
        sex=text(element("PatientSex")),
        view=text(element("ViewPosition")),
        view_texts=only([text(each) for each in (*codes, *map(element, _TEXTS))]),
        orientation="\\".join(text(each) or "" for each in orientation)
        if isinstance(orientation, MultiValue | list)
        else text(orientation),
        laterality=text(element("ImageLaterality")) or text(element("Laterality")),
        modality=text(element("Modality")),
        body_part=text(element("BodyPartExamined")),
        manufacturer=text(element("Manufacturer")),
        model_name=text(element("ManufacturerModelName")),
        institution="\x1f".join(institution) or None,
        burned_in=text(element("BurnedInAnnotation")),
        spacings=tuple(spacings),
    )
