"""One DICOM file's bytes → its frames: header texts, encoded pictures and what is needed to show them."""

import struct
import warnings
import zlib
from collections.abc import Callable, Container, Iterator
from dataclasses import dataclass, replace
from functools import partial
from io import BytesIO
from typing import Any

import numpy as np
import pydicom
from pydicom import config
from pydicom.charset import convert_encodings, decode_bytes, python_encoding
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.encaps import generate_frames
from pydicom.errors import BytesLengthException, InvalidDicomError
from pydicom.filereader import read_dataset
from pydicom.multival import MultiValue
from pydicom.uid import UID
from pydicom.valuerep import TEXT_VR_DELIMS, VR

from xray_mining.archive.claims import (
    BIG_ENDIAN,
    DEFLATED,
    ENCODING,
    EXPLICIT,
    FRAMES,
    IMPLICIT,
    RAW,
    framed,
    native,
    native_bytes,
    overrule,
)
from xray_mining.archive.codestream import stream_of
from xray_mining.archive.dicom_header import QuickHeader, quick_header
from xray_mining.archive.radiograph import (
    Encoded,
    Header,
    LookUp,
    Radiograph,
    Spacing,
    Unusable,
    Window,
    only,
)
from xray_mining.process_settings import Shared, attribute, warning_filters

# Our own rules handle invalid values; pydicom's remarks on them would flood the log and cost time.
_LENIENT = Shared(lambda: attribute(config.settings, "reading_validation_mode", config.IGNORE))

# What pydicom raises where an element's bytes are not what its VR promises.
BAD_VALUE = (
    ValueError,
    TypeError,
    AttributeError,
    KeyError,
    IndexError,
    NotImplementedError,
    OverflowError,
    EOFError,
    # Of bytes in memory: pydicom's word for a sequence that ends early. On a disk nothing is read with these.
    OSError,
    LookupError,
    RecursionError,
    struct.error,
    zlib.error,
    InvalidDicomError,
    BytesLengthException,
)

_PIXEL_DATA = 0x7FE00010
# Its tables are long: pydicom reads them.
_PALETTE = "PALETTE COLOR"
_LARGEST_INFLATED = 512 * 2**20
_MOST_FRAMES = 10_000
_MOST_PIXELS = 150_000_000
"""A film of 43 × 35 cm at 0.04 mm has 94 million pixels; more is a trap or a mistake."""

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
"""Character sets of ASCII alone; so has a file that names none."""
_NUMBERS = ("US", "SS", "UL", "SL", "UV", "SV", "FL", "FD", "AT", "SQ")
"""Value representations that are no text."""
_KINDS = frozenset(str(each) for each in VR)
"""All that there are."""
_SPACINGS = {
    "pixel_spacing": "PixelSpacing",
    "imager_pixel_spacing": "ImagerPixelSpacing",
    "nominal_scanned_pixel_spacing": "NominalScannedPixelSpacing",
}


def read_dicom(data: bytes, with_pixels: bool = True) -> Iterator[Radiograph]:
    """The frames of one DICOM file. Raises Unusable (stages open, header and decode)."""
    data = unpacked(data)
    with _LENIENT:
        quick = quick_header(data, with_pixels)
        if quick is not None and not (with_pixels and quick.element("PhotometricInterpretation") == _PALETTE):
            yield from _quick_frames(data, quick, with_pixels)
            return
        with warning_filters(partial(warnings.simplefilter, "ignore")):
            yield from _frames(data, with_pixels)


def header_at_head(head: bytes) -> Radiograph | None:
    """The header from a file's first bytes; None where they do not hold all of it, or it is odd: read it whole."""
    with _LENIENT:
        quick = quick_header(head, with_pixels=False)
        return None if quick is None else Radiograph(header_of(quick.element))


def unpacked(data: bytes) -> bytes:
    """The bytes, unpacked where the whole file is gzip; Unusable where that fails or grows without bound."""
    if data[:2] != b"\x1f\x8b":
        return data
    try:
        inflate = zlib.decompressobj(31)
        plain = inflate.decompress(data, _LARGEST_INFLATED)
    except zlib.error as error:
        raise Unusable("open", "broken_package", "The file is gzip and damaged.") from error
    if inflate.unconsumed_tail:
        raise Unusable("open", "too_large", "The gzip file grows beyond all bounds when unpacked.")
    return plain


def looks_like_dicom(data: bytes) -> bool:
    """A preamble with its mark, or an element of group 2 or 8 at the start."""
    if data[128:132] == b"DICM":
        return True
    return len(data) > 8 and data[:2] in (b"\x02\x00", b"\x08\x00", b"\x00\x08") and data[3:4] == b"\x00"


def kind_of(data: bytes) -> str:
    """What a file that is no DICOM is, in a word for the sentence."""
    for magic, kind in (
        (b"\x89PNG", "a PNG picture"),
        (b"\xff\xd8\xff", "a JPEG picture"),
        (b"II*\x00", "a TIFF picture"),
        (b"MM\x00*", "a TIFF picture"),
        (b"%PDF", "a PDF document"),
        (b"PK\x03\x04", "a zip package"),
    ):
        if data.startswith(magic):
            return kind
    sample = data[:512]
    if sample and all(32 <= byte < 127 or byte in (9, 10, 13) for byte in sample):
        return "a text file"
    return "of an unknown kind"


def _frames(data: bytes, with_pixels: bool) -> Iterator[Radiograph]:
    if not looks_like_dicom(data):
        raise Unusable("open", "not_dicom", f"The file is not DICOM; it is {kind_of(data)}.")
    written = _Written.of(data)
    try:
        if written is None or written.as_said:
            buffer = BytesIO(data)
            dataset = pydicom.dcmread(buffer, stop_before_pixels=True, force=True)
            implicit, little = (each is not False for each in dataset.original_encoding)
        else:
            implicit, little = written.implicit, written.little
            dataset, buffer = written.read(data)
    except BAD_VALUE as error:
        raise Unusable(
            "header", "broken_header", "The DICOM header is damaged: its elements cannot be read."
        ) from error
    undecoded = _keep_ids(dataset)
    element = _reader(dataset)
    as_said = written is None or written.as_said
    meta = getattr(dataset, "file_meta", None)
    media, syntax = (str(element(each, meta) or "") for each in ("MediaStorageSOPClassUID", "TransferSyntaxUID"))
    if written is not None and not as_said:
        media, syntax = written.media, written.syntax
    media = media or str(element("SOPClassUID") or "")
    if media == "1.2.840.10008.1.3.10" or "DirectoryRecordSequence" in dataset:
        raise Unusable("header", "dicomdir", "The file is a DICOMDIR index, not a picture.")
    if syntax == DEFLATED and as_said:
        dataset, buffer = _inflated(data)
        undecoded = _keep_ids(dataset)
        element = _reader(dataset)
    header = header_of(element, undecoded)
    if not with_pixels:
        yield Radiograph(header)
        return
    flags: tuple[str, ...] = ()
    if not as_said:
        flags = (ENCODING,)
        if syntax in RAW:
            syntax = IMPLICIT if implicit else EXPLICIT if little else BIG_ENDIAN
    start = buffer.tell()
    view = memoryview(data) if buffer.getbuffer().nbytes == len(data) else buffer.getbuffer()
    place = _Place(data, view, start, media, syntax, implicit, little, flags)
    yield from _pictures(place, element, dataset, header)


@dataclass(frozen=True, slots=True)
class _Written:
    """How a file's elements are written, as its first element behind the file meta shows; and how the file meta says.

    The file meta itself is always explicit little endian (PS3.10 7.1).
    """

    start: int
    """Where the elements begin."""
    syntax: str
    """The transfer syntax that the file meta states."""
    media: str
    implicit: bool
    little: bool
    deflated: bool

    @classmethod
    def of(cls, data: bytes) -> "_Written | None":
        """None where there is no file meta, or nothing shows it."""
        if data[128:132] != b"DICM":
            return None
        at, found = 132, {}
        while data[at : at + 2] == b"\x02\x00" and at + 12 <= len(data):
            tag, vr = data[at : at + 4], data[at + 4 : at + 6]
            if not (vr.isalpha() and vr.isupper()):
                return None
            if vr in (b"OB", b"OW", b"UN", b"SQ", b"UT"):
                length, start = struct.unpack_from("<I", data, at + 8)[0], at + 12
            else:
                length, start = struct.unpack_from("<H", data, at + 6)[0], at + 8
            found[tag] = data[start : start + length]
            at = start + length
        syntax, media = (found.get(tag, b"").decode("latin-1").strip("\0 ") for tag in (b"\2\0\x10\0", b"\2\0\2\0"))
        if not syntax or at + 8 > len(data):
            return None
        first = data[at : at + 8]
        if not _plausible(first):
            inflate = zlib.decompressobj(-15)
            try:
                plain = inflate.decompress(data[at : at + 4096], 64)
            except zlib.error:
                return None
            return cls(at, syntax, media, False, True, True) if _plausible(plain) else None
        little = int.from_bytes(first[:2], "little") <= int.from_bytes(first[:2], "big")
        return cls(at, syntax, media, not (first[4:6].isalpha() and first[4:6].isupper()), little, False)

    @property
    def as_said(self) -> bool:
        """Whether the file meta says the same."""
        said = self.syntax == IMPLICIT, self.syntax != BIG_ENDIAN, self.syntax == DEFLATED
        return said == (self.implicit, self.little, self.deflated)

    def read(self, data: bytes) -> tuple[Dataset, BytesIO]:
        """The dataset and its bytes, read up to the pixel data."""
        if self.deflated:
            return _inflated(data, self.start)
        buffer = BytesIO(data)
        buffer.seek(self.start)
        return _elements_of(buffer, self.implicit, self.little), buffer


def _plausible(first: bytes) -> bool:
    """Whether the bytes may begin a dataset: its first group is a low one, in one order of bytes or the other."""
    if len(first) < 8:
        return False
    groups = (int.from_bytes(first[:2], order) for order in ("little", "big"))
    return 4 <= min(groups) <= 0x28


def _elements_of(buffer: BytesIO, implicit: bool, little: bool) -> Dataset:
    return read_dataset(
        buffer,
        is_implicit_VR=implicit,
        is_little_endian=little,
        stop_when=lambda tag, vr, length: tag == _PIXEL_DATA,
    )


def _quick_frames(data: bytes, quick: QuickHeader, with_pixels: bool) -> Iterator[Radiograph]:
    header = header_of(quick.element)
    if with_pixels:
        place = _Place(data, memoryview(data), quick.pixels_at, quick.media, quick.syntax, quick.implicit, True)
        yield from _pictures(place, quick.element, (), header)
    else:
        yield Radiograph(header)


@dataclass(frozen=True, slots=True)
class _Place:
    """Where the Pixel Data element stands, and how its file is written."""

    data: bytes
    """The whole file."""
    view: memoryview
    """What `start` counts in: the file, or what a deflated file unpacks to."""
    start: int
    media: str
    syntax: str
    implicit: bool
    little: bool
    flags: tuple[str, ...] = ()
    """Of claims of the file meta that the way it is written overrules."""


def _pictures(
    place: _Place, element: Callable[..., Any], elements: Container[str], header: Header
) -> Iterator[Radiograph]:
    syntax = place.syntax
    rows, columns = _whole(element("Rows")), _whole(element("Columns"))
    if rows is None or columns is None:
        kind = "" if not place.media else f" (its class is {_class_name(place.media)})"
        raise Unusable(
            "header", "not_an_image", f"The DICOM object is not a picture{kind}: it states no rows and columns."
        )
    if rows * columns > _MOST_PIXELS:
        raise Unusable("header", "too_large", f"The header states {rows} by {columns} pixels, beyond all films.")
    if rows < 8 or columns < 8:
        raise Unusable(
            "header", "too_small", f"The header states {rows} by {columns} pixels, too few for a radiograph."
        )
    pixels = _PixelElement.at(place.view, place.start, place.implicit, place.little)
    if pixels is None:
        has_floats = "FloatPixelData" in elements or "DoubleFloatPixelData" in elements
        reason = "unsupported_bits" if has_floats else "no_pixels"
        raise Unusable("header", reason, "The DICOM object has a header but no pixel data that can be read.")
    if not syntax:
        syntax = pixels.guessed_syntax(place.implicit, place.little)
    count = max(_whole(element("NumberOfFrames")) or 1, 1)
    if count > _MOST_FRAMES:
        raise Unusable("header", "too_large", f"The header states {count} frames, beyond all recordings.")
    try:
        picture = _picture(element, rows, columns, syntax, place.little)
    except BAD_VALUE as error:
        raise Unusable("header", "broken_header", "The header's description of its pixels is damaged.") from error
    picture = overrule(picture, *place.flags) if place.flags else picture
    raw = IMPLICIT if place.implicit else EXPLICIT if place.little else BIG_ENDIAN
    frames = pixels.frames(picture, count, raw)
    whole_file = place.data if count == 1 and frames.picture.syntax not in RAW and not place.flags else None
    number = 0
    while number < frames.count:
        try:
            piece = next(frames.pieces, None)
        except BAD_VALUE:
            piece = None
        if piece is None:
            trouble = Unusable(
                "decode", "truncated_pixels", "The pixel data are shorter than the header says: the file was cut off."
            )
            if number == 0 and frames.count > 1:
                # Frames after a break are not accounts of their own: there is nothing that could be one.
                raise trouble
            yield Radiograph(header, number, trouble=trouble)
            return
        yield Radiograph(header, number, replace(frames.picture, data=piece, whole_file=whole_file))
        number += 1


def _inflated(data: bytes, start: int | None = None) -> tuple[Dataset, BytesIO]:
    """A deflated file as if it were explicit little endian: dataset and its bytes up to the pixel data."""
    try:
        if start is None:
            # The file meta is not deflated (PS3.10 7.1): its own length tells where the rest begins.
            start = 132 + 12 + struct.unpack_from("<I", data, 132 + 8)[0]
        inflate = zlib.decompressobj(-15)
        plain = inflate.decompress(data[start:], _LARGEST_INFLATED)
        if inflate.unconsumed_tail:
            raise Unusable("open", "too_large", "The deflated file grows beyond all bounds when unpacked.")
        buffer = BytesIO(plain)
        dataset = _elements_of(buffer, False, True)
    except BAD_VALUE as error:
        raise Unusable("header", "broken_header", "The deflated DICOM file is damaged.") from error
    return dataset, buffer


def _keep_ids(dataset: Dataset) -> bool:
    """Give ids and names that keys are made of a text that loses nothing, where their character set would lose some.

    pydicom puts one mark for every byte that a character set does not have: two people would become one. Such text is
    read as UTF-8 where it is that, else as Latin-1, which has a letter for each byte. So is what stands beyond ASCII in
    a file that names no character set, or one that there is not. True where that was done for an id.
    """
    found = False
    try:
        stated = dataset.get("SpecificCharacterSet") or ""
        sets = [str(each).strip() for each in (stated if isinstance(stated, MultiValue | list) else [stated])]
        known = all(each in python_encoding for each in sets) and not set(sets) <= set(_ASCII_SETS)
        encodings = convert_encodings(sets) if known else []
    except BAD_VALUE:
        encodings = []
    for keyword in (*_IDS, *_NAMES_IN_KEYS):
        try:
            raw = dataset.get_item(keyword)
            if not isinstance(raw, RawDataElement) or not raw.value or raw.VR in _NUMBERS:
                continue
            if raw.VR is not None and raw.VR not in _KINDS:
                # Of a kind that there is not: pydicom gives no value, and the patient would be nobody.
                dataset[raw.tag] = DataElement(raw.tag, "LO", _byte_for_byte(raw.value), validation_mode=config.IGNORE)
                found |= keyword in _IDS and not raw.value.isascii()
                continue
            if raw.value.isascii():
                continue
            if encodings and "\ufffd" not in decode_bytes(raw.value, encodings, TEXT_VR_DELIMS):
                continue
            element = DataElement(raw.tag, "LO", _byte_for_byte(raw.value), validation_mode=config.IGNORE)
        except BAD_VALUE:
            continue
        dataset[element.tag] = element
        found |= keyword in _IDS
    return found


def _byte_for_byte(value: bytes) -> str:
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return value.decode("latin-1")


def _reader(dataset: Dataset) -> Callable[..., Any]:
    """Elements by keyword: None where they are absent, empty, or not what their VR promises."""

    def element(keyword: str, of: Dataset | None = dataset) -> Any:
        try:
            value = of.get(keyword) if of is not None else None
        except BAD_VALUE:
            return None
        return None if value is None or value == "" else value

    return element


def text(value: Any) -> str | None:
    """An element's value as one stripped text; the first of several."""
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
    """An identifier as it is written: of several values all, with the backslash between that DICOM has there."""
    if not isinstance(value, MultiValue | list | tuple):
        return text(value)
    values = [text(each) or "" for each in value]
    return "\\".join(values) if any(values) else None


def _whole(value: Any) -> int | None:
    try:
        return int(value[0] if isinstance(value, MultiValue | list) else value)
    except (ValueError, TypeError, OverflowError, IndexError):
        return None


def numbers(value: Any) -> list[float]:
    """An element's values as finite floats; those that are none are left out."""
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


def _class_name(uid: str) -> str:
    known = UID(uid)
    return known.name if known.name != uid else "unknown"


def header_of(element: Callable[[str], Any], undecoded: bool = False) -> Header:
    """The header texts of a dataset, through a function that gives elements by keyword.

    `undecoded`: the text of an id is not what its character set allows, see `_keep_ids`.
    """
    codes = []
    for keyword in ("ViewCodeSequence", "AnatomicRegionSequence"):
        try:
            for item in element(keyword) or []:
                codes += [text(item.get("CodeValue")), text(item.get("CodeMeaning"))]
        except BAD_VALUE:
            continue
    institution = only([all_of(element("InstitutionName")), all_of(element("InstitutionAddress"))])
    patient_id, issuer = all_of(element("PatientID")), all_of(element("IssuerOfPatientID"))
    accession = all_of(element("AccessionNumber"))
    flags = ("undecoded_id",) if undecoded else ()
    if any("\\" in (each or "") for each in (patient_id, issuer, accession)):
        flags += ("several_ids",)
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
        view_texts=only([*codes, *(text(element(keyword)) for keyword in _TEXTS)]),
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


def _picture(element: Callable[..., Any], rows: int, columns: int, syntax: str, little: bool) -> Encoded:
    """The picture as the header states it, still without its bytes; `claims` holds it against them."""
    allocated = _whole(element("BitsAllocated")) or 16
    if allocated not in (8, 16):
        raise Unusable("header", "unsupported_bits", f"The picture has {allocated} bits a value; 8 and 16 are read.")
    stored = _whole(element("BitsStored"))
    stored = allocated if stored is None else stored
    high_bit = _whole(element("HighBit"))
    samples = _whole(element("SamplesPerPixel")) or 1
    photometric = (text(element("PhotometricInterpretation")) or "MONOCHROME2").upper()
    if samples not in (1, 3):
        raise Unusable("header", "unsupported_samples", f"The picture has {samples} values a pixel; 1 and 3 are read.")
    spacing = numbers(element("PixelSpacing")) or numbers(element("ImagerPixelSpacing"))
    ratio = numbers(element("PixelAspectRatio"))
    pair = spacing if len(spacing) == 2 else ratio
    aspect = pair[0] / pair[1] if len(pair) == 2 and min(pair) > 0 else 1.0
    stated_slope, stated_intercept = element("RescaleSlope"), element("RescaleIntercept")
    slope, intercept = numbers(stated_slope), numbers(stated_intercept)
    centres, widths = numbers(element("WindowCenter")), numbers(element("WindowWidth"))
    function = (text(element("VOILUTFunction")) or "LINEAR").upper()
    windows = tuple(
        Window(centre, width, function)
        for centre, width in zip(centres, widths, strict=False)
        if width >= 1 or (function != "LINEAR" and width > 0)
    )
    padding = _whole(element("PixelPaddingValue"))
    limit = _whole(element("PixelPaddingRangeLimit"))
    limit = padding if limit is None else limit
    palette = None
    if photometric == _PALETTE:
        red, green, blue = (_palette_of(element, colour, little) for colour in ("Red", "Green", "Blue"))
        if red is None or green is None or blue is None:
            raise Unusable("header", "broken_header", "The palette picture lacks one of its colour tables.")
        palette = red, green, blue
    return Encoded(
        data=b"",
        syntax=syntax,
        rows=rows,
        columns=columns,
        bits_allocated=allocated,
        bits_stored=stored,
        high_bit=stored - 1 if high_bit is None else high_bit,
        signed=_whole(element("PixelRepresentation")) == 1,
        samples=samples,
        planar=_whole(element("PlanarConfiguration")) == 1,
        photometric=photometric,
        slope=slope[0] if slope and slope[0] != 0 else 1.0,
        intercept=intercept[0] if intercept else 0.0,
        modality_lut=_look_up_of(element("ModalityLUTSequence"), little),
        voi_lut=_look_up_of(element("VOILUTSequence"), little),
        windows=windows,
        padding=None if padding is None or limit is None else (min(padding, limit), max(padding, limit)),
        palette=palette,
        aspect=aspect if 0.1 < aspect < 10 else 1.0,
        presentation=(text(element("PresentationLUTShape")) or "").upper(),
        trouble_with_rescale=(stated_slope is not None and not (slope and slope[0]))
        or (stated_intercept is not None and not intercept),
        trouble_with_window=len(windows) < max(len(centres), len(widths)),
    )


def _look_up_of(sequence: Any, little: bool) -> LookUp | None:
    if not sequence:
        return None
    item = sequence[0]
    return _look_up(item.get("LUTDescriptor"), item.get("LUTData"), little)


def _palette_of(element: Callable[..., Any], colour: str, little: bool) -> LookUp | None:
    return _look_up(
        element(f"{colour}PaletteColorLookupTableDescriptor"),
        element(f"{colour}PaletteColorLookupTableData"),
        little,
    )


def _look_up(descriptor: Any, data: Any, little: bool) -> LookUp | None:
    if descriptor is None or data is None or len(descriptor) != 3:
        return None
    # PS3.3 C.11.1.1: 0 entries stand for 65,536. The number of entries and of bits is never signed, though some
    # readers give it the sign of the first value.
    entries, first, bits = (int(descriptor[0]) & 0xFFFF) or 65536, int(descriptor[1]), int(descriptor[2]) & 0xFFFF
    if isinstance(data, bytes):
        wide = len(data) >= 2 * entries or bits > 8
        kind = ("<u2" if little else ">u2") if wide else "u1"
        values = np.frombuffer(data, kind, count=min(entries, len(data) // (2 if wide else 1)))
    else:
        values = (np.asarray(data, dtype=np.int64)[:entries] & 0xFFFF).astype(np.uint16)
    if not len(values):
        return None
    return LookUp(first, values.astype(np.uint16), min(max(bits, 1), 16), lacking=len(values) < entries)


_OF_NATIVE = (b"OB", b"OW", b"UN", b"OF")
"""Value representations of Pixel Data: read as a length, none of them is even, so none is the length of one."""


@dataclass(frozen=True, slots=True)
class _Frames:
    """The frames of a pixel data element, and the picture that each of them is."""

    picture: Encoded
    count: int
    pieces: Iterator[Any]
    """The encoded bytes of each frame; fewer than `count` where the file was cut off."""


class _PixelElement:
    """The Pixel Data element (7FE0,0010): its bytes, found without copying them."""

    def __init__(self, value: memoryview, encapsulated: bool, cut: bool) -> None:
        self.value = value
        self.encapsulated = encapsulated
        self.cut = cut
        """The file ends before the element does."""

    @classmethod
    def at(cls, view: memoryview, start: int, implicit: bool, little: bool) -> "_PixelElement | None":
        """The element at `start`, where reading the header stopped."""
        order = "<" if little else ">"
        if len(view) < start + 12 or struct.unpack_from(f"{order}HH", view, start) != (0x7FE0, 0x0010):
            return None
        if bytes(view[start + 4 : start + 6]) in _OF_NATIVE:
            length, start = struct.unpack_from(f"{order}I", view, start + 8)[0], start + 12
        elif implicit:
            length, start = struct.unpack_from(f"{order}I", view, start + 4)[0], start + 8
        else:
            length, start = struct.unpack_from(f"{order}H", view, start + 6)[0], start + 8
        if length == 0xFFFFFFFF:
            return cls(view[start:], True, False)
        begins = bytes(view[start : start + 8])
        items = begins[:4] == b"\xfe\xff\x00\xe0" and int.from_bytes(begins[4:], "little") < length
        return cls(view[start : start + length], items, start + length > len(view))

    def guessed_syntax(self, implicit: bool, little: bool) -> str:
        """The transfer syntax of a file without file meta, from how its elements and pixels are written."""
        if not self.encapsulated:
            return IMPLICIT if implicit else EXPLICIT if little else BIG_ENDIAN
        first = bytes(next(iter(self._fragments()[0]), b"")[:4])
        if first.startswith(b"\xff\x4f\xff\x51"):
            return "1.2.840.10008.1.2.4.90"
        return "1.2.840.10008.1.2.4.50" if first.startswith(b"\xff\xd8") else ""

    def frames(self, picture: Encoded, count: int, raw: str) -> _Frames:
        """The frames as they are there, whatever the header says of their number, length and encoding.

        `raw` is the syntax of uncompressed pixels in a file that is written as this one.
        """
        if not self.encapsulated:
            return self._native_frames(picture, count, raw)
        fragments, cut = self._fragments()
        frames = framed(fragments, count)
        if picture.syntax in RAW:
            # The codestream says which syntax it is of; `compared` goes by it.
            picture = overrule(picture, ENCODING, syntax="")
            whole = b"".join(fragments)
            if frames is None and len(whole) in (size := native_bytes(picture) * count, size + 1):
                return self._native_frames(replace(picture, syntax=raw), count, raw, memoryview(whole))
        if frames is not None and len(frames) != count and not (cut and len(frames) < count):
            picture, count = overrule(picture, FRAMES), len(frames)
        if frames is not None:
            pieces = (each[0] if len(each) == 1 else b"".join(each) for each in frames)
            return _Frames(picture, count, pieces)
        if count == 1:
            return _Frames(picture, 1, iter([b"".join(fragments)] if fragments else []))
        return _Frames(picture, count, generate_frames(bytes(self.value), number_of_frames=count))

    def _native_frames(self, picture: Encoded, count: int, raw: str, value: memoryview | None = None) -> _Frames:
        value = self.value if value is None else value
        if picture.syntax not in RAW:
            if stream_of(value) is not None:
                return _Frames(overrule(picture, ENCODING), 1, iter([value]))
            size = native_bytes(picture) * count
            if len(value) not in (size, size + 1):
                raise Unusable(
                    "decode",
                    "unencapsulated",
                    f"The transfer syntax is compressed, but the pixel data are not, and {len(value):,} bytes are not "
                    f"those of an uncompressed picture ({size:,}).",
                )
            picture = overrule(picture, ENCODING, syntax=raw)
        elif stream_of(value) is not None and len(value) < native_bytes(picture):
            return _Frames(overrule(picture, ENCODING, syntax=""), 1, iter([value]))
        picture, count = native(picture, len(value), count, self.cut)
        size = native_bytes(picture)
        pieces = (value[at : at + size] for at in range(0, size * count, size) if at + size <= len(value))
        return _Frames(picture, count, pieces)

    def _fragments(self) -> tuple[list[memoryview], bool]:
        """The fragments after the offset table (PS3.5 A.4), and whether the last one is cut off; it is not given."""
        at, found = 0, []
        while at + 8 <= len(self.value):
            group, tag, length = struct.unpack_from("<HHI", self.value, at)
            if (group, tag) != (0xFFFE, 0xE000):
                break
            at += 8
            if at + length > len(self.value):
                return found[1:], True
            found.append(self.value[at : at + length])
            at += length
        return found[1:], False


def relative_id(path: bytes, member: str) -> str:
    """What stands for an instance that states no id of its own."""
    return path.decode("utf-8", "surrogateescape") + "\x1f" + member
