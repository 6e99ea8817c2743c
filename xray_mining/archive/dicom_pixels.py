"""The Pixel Data element of a DICOM file, and the picture that its header describes."""

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from pydicom.encaps import generate_frames

from xray_mining.archive.claims import ENCODING, FRAMES, framed, native, native_bytes, overrule
from xray_mining.archive.codestream import stream_of
from xray_mining.archive.dicom_texts import BAD_VALUE, numbers, text, whole_number
from xray_mining.archive.radiograph import (
    Encoded,
    LookUp,
    Unusable,
    Window,
)
from xray_mining.archive.syntaxes import BIG_ENDIAN, EXPLICIT, IMPLICIT, RAW

# pydicom reads palette pictures, because their tables are long.
PALETTE = "PALETTE COLOR"
_DAMAGED = "The header's description of its pixels is damaged."


def picture_as_stated(element: Callable[..., Any], rows: int, columns: int, syntax: str, little: bool) -> Encoded:
    """The picture as the header states it, without its bytes; `claims` then compares it with them."""
    # Reject early what no decoder reads: other bit depths and numbers of samples.
    allocated = whole_number(element("BitsAllocated")) or 16
    if allocated not in (8, 16):
        raise Unusable("header", "unsupported_bits", f"The picture has {allocated} bits a value; 8 and 16 are read.")
    stored = whole_number(element("BitsStored"))
    stored = allocated if stored is None else stored
    high_bit = whole_number(element("HighBit"))
    samples = whole_number(element("SamplesPerPixel")) or 1
    photometric = (text(element("PhotometricInterpretation")) or "MONOCHROME2").upper()
    if samples not in (1, 3):
        raise Unusable("header", "unsupported_samples", f"The picture has {samples} values a pixel; 1 and 3 are read.")
    # The ratio of spacings gives the pixel aspect; PixelAspectRatio is used only without spacing.
    spacing = numbers(element("PixelSpacing")) or numbers(element("ImagerPixelSpacing"))
    ratio = numbers(element("PixelAspectRatio"))
    pair = spacing if len(spacing) == 2 else ratio
    aspect = pair[0] / pair[1] if len(pair) == 2 and min(pair) > 0 else 1.0
    stated_slope, stated_intercept = element("RescaleSlope"), element("RescaleIntercept")
    slope, intercept = numbers(stated_slope), numbers(stated_intercept)
    windows, stated_windows = _windows_of(element)
    padding = whole_number(element("PixelPaddingValue"))
    limit = whole_number(element("PixelPaddingRangeLimit"))
    # A single padding value is a range of one value.
    limit = padding if limit is None else limit
    return Encoded(
        data=b"",
        syntax=syntax,
        rows=rows,
        columns=columns,
        bits_allocated=allocated,
        bits_stored=stored,
        high_bit=stored - 1 if high_bit is None else high_bit,
        signed=whole_number(element("PixelRepresentation")) == 1,
        samples=samples,
        planar=whole_number(element("PlanarConfiguration")) == 1,
        photometric=photometric,
        slope=slope[0] if slope and slope[0] != 0 else 1.0,
        intercept=intercept[0] if intercept else 0.0,
        modality_lut=_look_up_of(element("ModalityLUTSequence"), little),
        voi_lut=_look_up_of(element("VOILUTSequence"), little),
        windows=windows,
        padding=None if padding is None or limit is None else (min(padding, limit), max(padding, limit)),
        palette=_palettes_of(element, little) if photometric == PALETTE else None,
        aspect=aspect if 0.1 < aspect < 10 else 1.0,
        presentation=(text(element("PresentationLUTShape")) or "").upper(),
        trouble_with_rescale=(stated_slope is not None and not (slope and slope[0]))
        or (stated_intercept is not None and not intercept),
        trouble_with_window=len(windows) < stated_windows,
    )


def _windows_of(element: Callable[..., Any]) -> tuple[tuple[Window, ...], int]:
    """The valid display windows, and how many the header states."""
    centres, widths = numbers(element("WindowCenter")), numbers(element("WindowWidth"))
    function = (text(element("VOILUTFunction")) or "LINEAR").upper()
    # PS3.3 C.11.2.1.2: a LINEAR window needs a width of at least 1, the other functions a positive one.
    windows = tuple(
        Window(centre, width, function)
        for centre, width in zip(centres, widths, strict=False)
        if width >= 1 or (function != "LINEAR" and width > 0)
    )
    return windows, max(len(centres), len(widths))


def _palettes_of(element: Callable[..., Any], little: bool) -> tuple[LookUp, LookUp, LookUp]:
    """The red, green and blue tables of a palette picture."""
    red, green, blue = (_palette_of(element, colour, little) for colour in ("Red", "Green", "Blue"))
    if red is None or green is None or blue is None:
        raise Unusable("header", "broken_header", "The palette picture lacks one of its colour tables.")
    return red, green, blue


def _look_up_of(sequence: Any, little: bool) -> LookUp | None:
    if not sequence:
        return None
    try:
        descriptor, data = (sequence[0].get(keyword) for keyword in ("LUTDescriptor", "LUTData"))
    except BAD_VALUE as error:
        raise Unusable("header", "broken_header", _DAMAGED) from error
    return _look_up(descriptor, data, little)


def _palette_of(element: Callable[..., Any], colour: str, little: bool) -> LookUp | None:
    return _look_up(
        element(f"{colour}PaletteColorLookupTableDescriptor"),
        element(f"{colour}PaletteColorLookupTableData"),
        little,
    )


def _look_up(descriptor: Any, data: Any, little: bool) -> LookUp | None:
    if descriptor is None or data is None:
        return None
    try:
        if len(descriptor) != 3:
            return None
        # PS3.3 C.11.1.1: 0 entries means 65,536. The number of entries and of bits is never signed, though some
        # readers give it the sign of the first value.
        entries, first, bits = (int(descriptor[0]) & 0xFFFF) or 65536, int(descriptor[1]), int(descriptor[2]) & 0xFFFF
        if isinstance(data, bytes):
            wide = len(data) >= 2 * entries or bits > 8
            kind = ("<u2" if little else ">u2") if wide else "u1"
            values = np.frombuffer(data, kind, count=min(entries, len(data) // (2 if wide else 1)))
        else:
            values = (np.asarray(data, dtype=np.int64)[:entries] & 0xFFFF).astype(np.uint16)
    except (ValueError, TypeError, OverflowError, IndexError) as error:
        # One number in place of several, words in place of numbers, or no bytes at all.
        raise Unusable("header", "broken_header", _DAMAGED) from error
    if not len(values):
        return None
    return LookUp(first, values.astype(np.uint16), min(max(bits, 1), 16), lacking=len(values) < entries)


_OF_NATIVE = (b"OB", b"OW", b"UN", b"OF")
"""Value representations of Pixel Data: none of them, read as a length, is even, so a length cannot look like one."""


@dataclass(frozen=True, slots=True)
class _Frames:
    """The frames of a pixel data element, and the description of each frame's picture."""

    picture: Encoded
    count: int
    pieces: Iterator[Any]
    """The encoded bytes of each frame; fewer than `count` if the file was cut off."""


class PixelElement:
    """The Pixel Data element (7FE0,0010); its bytes are not copied."""

    def __init__(self, value: memoryview, encapsulated: bool, cut: bool) -> None:
        self.value = value
        self.encapsulated = encapsulated
        self.cut = cut
        """Whether the file ends before the element does."""

    @classmethod
    def at(cls, view: memoryview, start: int, implicit: bool, little: bool) -> "PixelElement | None":
        """The element at `start`, where the header reader stopped."""
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
        """The real frames, whatever the header states about their number, length and encoding.

        `raw` is the syntax of uncompressed pixels in a file that is written as this one is.
        """
        if not self.encapsulated:
            return self._native_frames(picture, count, raw)
        fragments, cut = self._fragments()
        frames = framed(fragments, count)
        if picture.syntax in RAW:
            # The codestream states its syntax, which `compared` uses.
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
        return _Frames(picture, count, self._frames_by_offsets(count))

    def _frames_by_offsets(self, count: int) -> Iterator[bytes]:
        """Frames of several fragments each, as pydicom cuts them; those up to the first that it cannot give."""
        try:
            yield from generate_frames(bytes(self.value), number_of_frames=count)
        except BAD_VALUE:
            return

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
        """The complete fragments after the offset table (PS3.5 A.4), and whether an incomplete one follows."""
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
