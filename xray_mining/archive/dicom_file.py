"""One DICOM file's bytes → its frames: header texts, encoded pictures and what is needed to show them."""

import warnings
import zlib
from collections.abc import Callable, Container, Iterator
from dataclasses import dataclass, replace
from functools import partial
from io import BytesIO
from typing import Any

import pydicom
from pydicom import config
from pydicom.uid import UID

from xray_mining.archive.claims import ENCODING, overrule
from xray_mining.archive.dicom_encoding import DAMAGED_HEADER, LARGEST_INFLATED, Written, inflated
from xray_mining.archive.dicom_header import QuickHeader, quick_header
from xray_mining.archive.dicom_pixels import PALETTE, PixelElement, picture_as_stated
from xray_mining.archive.dicom_texts import BAD_VALUE, header_of, keep_ids, reader_of, whole_number
from xray_mining.archive.radiograph import (
    Header,
    Radiograph,
    Unusable,
)
from xray_mining.archive.syntaxes import BIG_ENDIAN, DEFLATED, EXPLICIT, IMPLICIT, RAW
from xray_mining.process_settings import Shared, attribute, warning_filters

# Our own rules handle invalid values; pydicom's warnings about them would fill the log and cost time.
_LENIENT = Shared(lambda: attribute(config.settings, "reading_validation_mode", config.IGNORE))
_FEWER_WARNINGS = partial(warnings.filterwarnings, "ignore", module=r"pydicom(\.|$)")
_MOST_FRAMES = 10_000
_MOST_PIXELS = 150_000_000
"""A film of 43 × 35 cm at 0.04 mm has 94 million pixels; a larger size is an attack or an error."""


def read_dicom(data: bytes, with_pixels: bool = True) -> Iterator[Radiograph]:
    """The frames of one DICOM file.

    Args:
        data: The bytes of the file; it may be gzip.
        with_pixels: Whether the encoded pictures are needed.

    Returns:
        One radiograph per frame: header texts as found, the encoded picture, and what is needed to show it.

    Raises:
        Unusable: If the file cannot be used (stages open, header and decode).

    Example:
        >>> frame = next(read_dicom(dicom))
        >>> frame.header.patient_id, frame.encoded.rows, frame.encoded.columns
        ('1', 64, 48)
    """
    data = unpacked(data)
    with _LENIENT:
        quick = quick_header(data, with_pixels)
        if quick is not None and not (with_pixels and quick.element("PhotometricInterpretation") == PALETTE):
            yield from _quick_frames(data, quick, with_pixels)
            return
        with warning_filters(_FEWER_WARNINGS):
            yield from _frames(data, with_pixels)


def header_at_head(head: bytes) -> Radiograph | None:
    """The header from a file's first bytes; None if they are incomplete or invalid, so that the whole file is read."""
    with _LENIENT:
        quick = quick_header(head, with_pixels=False)
        return None if quick is None else Radiograph(header_of(quick.element))


def unpacked(data: bytes) -> bytes:
    """The bytes, unpacked if the whole file is gzip; raises Unusable if that fails or the result is too large."""
    if data[:2] != b"\x1f\x8b":
        return data
    try:
        inflate = zlib.decompressobj(31)
        plain = inflate.decompress(data, LARGEST_INFLATED)
    except zlib.error as error:
        raise Unusable("open", "broken_package", "The file is gzip and damaged.") from error
    if inflate.unconsumed_tail:
        raise Unusable("open", "too_large", "The gzip file is too large when unpacked.")
    return plain


def looks_like_dicom(data: bytes) -> bool:
    """Whether the data have a preamble with its mark, or begin with an element of group 2 or 8."""
    if data[128:132] == b"DICM":
        return True
    return len(data) > 8 and data[:2] in (b"\x02\x00", b"\x08\x00", b"\x00\x08") and data[3:4] == b"\x00"


def kind_of(data: bytes) -> str:
    """The kind of a file that is not DICOM, in a few words for a sentence."""
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
    # The elements decide how the file is read: file meta that contradicts them is overruled and flagged.
    written = Written.of(data)
    if written is None or written.as_stated:
        buffer = BytesIO(data)
        try:
            dataset = pydicom.dcmread(buffer, stop_before_pixels=True, force=True)
        except BAD_VALUE as error:
            raise Unusable("header", "broken_header", DAMAGED_HEADER) from error
        implicit, little = (each is not False for each in dataset.original_encoding)
    else:
        implicit, little = written.implicit, written.little
        dataset, buffer = written.read(data)
    undecoded = keep_ids(dataset)
    element = reader_of(dataset)
    as_stated = written is None or written.as_stated
    meta = getattr(dataset, "file_meta", None)
    media, syntax = (str(element(each, meta) or "") for each in ("MediaStorageSOPClassUID", "TransferSyntaxUID"))
    if written is not None and not as_stated:
        media, syntax = written.media, written.syntax
    media = media or str(element("SOPClassUID") or "")
    # A DICOMDIR lists other files and holds no picture.
    if media == "1.2.840.10008.1.3.10" or "DirectoryRecordSequence" in dataset:
        raise Unusable("header", "dicomdir", "The file is a DICOMDIR index, not a picture.")
    # The elements of a deflated file can only be read after unpacking.
    if syntax == DEFLATED and as_stated:
        dataset, buffer = inflated(data)
        undecoded = keep_ids(dataset)
        element = reader_of(dataset)
    header = header_of(element, undecoded)
    if not with_pixels:
        yield Radiograph(header)
        return
    # If the file meta is wrong, uncompressed frames get the syntax in which the elements are written.
    flags: tuple[str, ...] = ()
    if not as_stated:
        flags = (ENCODING,)
        if syntax in RAW:
            syntax = IMPLICIT if implicit else EXPLICIT if little else BIG_ENDIAN
    start = buffer.tell()
    view = memoryview(data) if buffer.getbuffer().nbytes == len(data) else buffer.getbuffer()
    place = _Place(data, view, start, media, syntax, implicit, little, flags)
    yield from _pictures(place, element, dataset, header)


def _quick_frames(data: bytes, quick: QuickHeader, with_pixels: bool) -> Iterator[Radiograph]:
    header = header_of(quick.element)
    if with_pixels:
        place = _Place(data, memoryview(data), quick.pixels_at, quick.media, quick.syntax, quick.implicit, True)
        yield from _pictures(place, quick.element, (), header)
    else:
        yield Radiograph(header)


@dataclass(frozen=True, slots=True)
class _Place:
    """Offset of the Pixel Data element, and how its file is written."""

    data: bytes
    """The whole file."""
    view: memoryview
    """The bytes to which `start` refers: the file, or the unpacked content of a deflated file."""
    start: int
    media: str
    syntax: str
    implicit: bool
    little: bool
    flags: tuple[str, ...] = ()
    """Flags of claims of the file meta that the real way of writing overrules."""


def _pictures(
    place: _Place, element: Callable[..., Any], elements: Container[str], header: Header
) -> Iterator[Radiograph]:
    syntax = place.syntax
    rows, columns = whole_number(element("Rows")), whole_number(element("Columns"))
    if rows is None or columns is None:
        kind = "" if not place.media else f" (its class is {_class_name(place.media)})"
        raise Unusable(
            "header", "not_an_image", f"The DICOM object is not a picture{kind}: it states no rows and columns."
        )
    if rows * columns > _MOST_PIXELS:
        raise Unusable("header", "too_large", f"The header states {rows} by {columns} pixels, more than any film has.")
    if rows < 8 or columns < 8:
        raise Unusable(
            "header", "too_small", f"The header states {rows} by {columns} pixels, too few for a radiograph."
        )
    pixels = PixelElement.at(place.view, place.start, place.implicit, place.little)
    if pixels is None:
        has_floats = "FloatPixelData" in elements or "DoubleFloatPixelData" in elements
        reason = "unsupported_bits" if has_floats else "no_pixels"
        raise Unusable("header", reason, "The DICOM object has a header but no pixel data that can be read.")
    if not syntax:
        syntax = pixels.guessed_syntax(place.implicit, place.little)
    count = max(whole_number(element("NumberOfFrames")) or 1, 1)
    if count > _MOST_FRAMES:
        raise Unusable("header", "too_large", f"The header states {count} frames, more than any recording has.")
    picture = picture_as_stated(element, rows, columns, syntax, place.little)
    picture = overrule(picture, *place.flags) if place.flags else picture
    raw = IMPLICIT if place.implicit else EXPLICIT if place.little else BIG_ENDIAN
    frames = pixels.frames(picture, count, raw)
    whole_file = place.data if count == 1 and frames.picture.syntax not in RAW and not place.flags else None
    number = 0
    while number < frames.count:
        piece = next(frames.pieces, None)
        if piece is None:
            trouble = Unusable(
                "decode", "truncated_pixels", "The pixel data are shorter than the header says: the file was cut off."
            )
            if number == 0 and frames.count > 1:
                # If the first frame cannot be read, report one reject for the file; the other frames were never
                # decoded.
                raise trouble
            yield Radiograph(header, number, trouble=trouble)
            return
        yield Radiograph(header, number, replace(frames.picture, data=piece, whole_file=whole_file))
        number += 1


def _class_name(uid: str) -> str:
    known = UID(uid)
    return known.name if known.name != uid else "unknown"
