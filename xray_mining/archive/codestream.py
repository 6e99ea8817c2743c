"""Facts that a compressed picture states in its marker segments, read without decoding pixels.

JPEG (ISO 10918-1), JPEG-LS (ISO 14495-1), JPEG 2000 and HTJ2K (ISO 15444-1 and -15) and DICOM's RLE (PS3.5 annex G).
`claims` compares the header with these facts.
"""

from dataclasses import dataclass
from typing import Any

_JPEG, _JPEG_2000, _JP2 = b"\xff\xd8", b"\xff\x4f\xff\x51", b"\x00\x00\x00\x0cjP  "
END = b"\xff\xd9"
_MOST_SEGMENTS = 1000
"""Limit of marker segments before the first scan; a damaged stream may have far more."""
_SOF_NOT = (0xC4, 0xC8, 0xCC)
"""DHT, JPG and DAC: their numbers are in the range of frame headers, but they are not frame headers."""
_SOF_LOSSLESS = (0xC3, 0xC7, 0xCB, 0xCF)
_SOF_JPEG_LS = 0xF7
_DHT, _SOS, _DNL, _APP0, _APP8, _APP14 = 0xC4, 0xDA, 0xDC, 0xE0, 0xE8, 0xEE
_SIZE, _CAPABILITIES, _CODING, _TILE = 0x51, 0x50, 0x52, 0x90
_HIGH_THROUGHPUT = 0x40
"""Bit of the code-block style that says HTJ2K."""
_SUPERBOX, _COLOUR, _CODESTREAM = b"jp2h", b"colr", b"jp2c"
_COLOURS_OF_JP2 = {16: "RGB", 17: "", 18: "YBR"}
RLE_HEADER_BYTES = 64
_MOST_RLE_SEGMENTS = 15


@dataclass(frozen=True, slots=True)
class Codestream:
    """The facts that a compressed picture states of itself."""

    kind: str
    """jpeg, jpeg_lossless, jpeg_ls, jpeg_2000, htj2k or rle."""
    rows: int = 0
    """0 if the stream does not state it; RLE never does."""
    columns: int = 0
    components: int = 0
    """Values per pixel; for RLE the number of byte planes."""
    precision: int = 0
    """Bits of a value; 0 if the stream does not state it."""
    signed: bool | None = None
    """Whether values are signed; only JPEG 2000 states it."""
    colours: str = ""
    """Meaning of three components: RGB or YBR; empty if the stream does not state it."""
    transformed: bool = False
    """JPEG 2000: the decoder turns the components into RGB."""
    reversible: bool = True
    """JPEG 2000: coded by the lossless 5-3 wavelet."""
    start: int = 0
    """Offset at which the stream begins, after the boxes of a JP2 file."""
    body: int = 0
    """Offset at which the coded pixels begin."""

    @property
    def is_jpeg_2000(self) -> bool:
        """JPEG 2000 or HTJ2K, which share their markers."""
        return self.kind in ("jpeg_2000", "htj2k")


def stream_of(data: Any) -> Codestream | None:
    """The facts stated by the compressed picture in `data` (bytes or memoryview); None if it is not one."""
    head = bytes(data[:12])
    try:
        if head.startswith(_JPEG):
            return _jpeg(data)
        if head.startswith(_JPEG_2000):
            return _jpeg_2000(data, 0, "")
        if head.startswith(_JP2):
            return _jp2(data)
    except IndexError:
        return None
    return _rle(data)


def end_of(data: Any, stream: Codestream) -> int | None:
    """Offset after the stream's end mark; None if it is missing (the stream was cut off). RLE has no marks."""
    if stream.kind == "rle":
        return len(data)
    if bytes(data[-2:]) == END:
        return len(data)
    if bytes(data[-3:]) == END + b"\0":
        return len(data) - 1
    whole = bytes(data)
    at = _behind_tiles(whole, stream.body) if stream.is_jpeg_2000 else stream.body
    if stream.is_jpeg_2000 and at >= 0 and whole[at:] in (b"", b"\0"):
        # Every tile part states its length and is complete: only the end mark is missing.
        return at
    # Within coded pixels the byte 0xFF is never followed by 0xD9.
    found = whole.find(END, at) if at >= 0 else -1
    return None if found < 0 else found + 2


def png_end(data: Any) -> int | None:
    """Offset after a PNG's IEND chunk; None if the file is cut off."""
    at = 8
    while at + 12 <= len(data):
        length, kind = int.from_bytes(data[at : at + 4], "big"), bytes(data[at + 4 : at + 8])
        at += 12 + length
        if kind == b"IEND":
            return at if at <= len(data) else None
    return None


def _number(data: Any, at: int, size: int) -> int:
    piece = bytes(data[at : at + size])
    if len(piece) < size:
        raise IndexError
    return int.from_bytes(piece, "big")


def _jpeg(data: Any) -> Codestream | None:
    at, frame = 2, None
    identifiers, sampling, adobe, is_jfif = b"", b"", None, False
    for _ in range(_MOST_SEGMENTS):
        if _number(data, at, 1) != 0xFF:
            return None
        marker = _number(data, at + 1, 1)
        if marker == 0xFF:  # padding
            at += 1
            continue
        length = _number(data, at + 2, 2)
        if marker == _SOF_JPEG_LS or (0xC0 <= marker <= 0xCF and marker not in _SOF_NOT):
            if frame is not None:
                return None
            frame = marker, *(_number(data, at + place, size) for place, size in ((4, 1), (5, 2), (7, 2), (9, 1)))
            about = bytes(data[at + 10 : at + 10 + 3 * frame[4]])
            identifiers, sampling = about[::3], about[1::3]
        elif marker == _APP14 and bytes(data[at + 4 : at + 9]) == b"Adobe":
            adobe = _number(data, at + 15, 1)
        elif marker == _APP0 and bytes(data[at + 4 : at + 8]) == b"JFIF":
            is_jfif = True
        elif marker == _SOS:
            if frame is None:
                return None
            break
        at += 2 + length
    else:
        return None
    marker, precision, rows, columns, components = frame
    kind = "jpeg_ls" if marker == _SOF_JPEG_LS else "jpeg_lossless" if marker in _SOF_LOSSLESS else "jpeg"
    colours = ""
    if components == 3 and kind == "jpeg":
        # Only colour differences are stored at fewer pixels than the brightness.
        if is_jfif or adobe == 1 or len(set(sampling)) > 1:
            colours = "YBR"
        elif adobe == 0 or identifiers == b"RGB":
            colours = "RGB"
    return Codestream(kind, rows, columns, components, precision, colours=colours, body=at + 2 + length)


def _jpeg_2000(data: Any, start: int, colours: str) -> Codestream | None:
    at, size, style, transform, cap = start + 2, None, 0, (False, True), False
    for _ in range(_MOST_SEGMENTS):
        marker = _number(data, at, 2) & 0xFF if _number(data, at, 1) == 0xFF else -1
        if marker == _TILE:
            break
        length = _number(data, at + 2, 2)
        if marker == -1 or length < 2:
            return None
        if marker == _SIZE:
            right, bottom, left, top = (_number(data, at + place, 4) for place in (6, 10, 14, 18))
            depth = _number(data, at + 40, 1)
            size = bottom - top, right - left, _number(data, at + 38, 2), (depth & 0x7F) + 1, bool(depth & 0x80)
        elif marker == _CAPABILITIES:
            cap = True
        elif marker == _CODING:
            style = _number(data, at + 12, 1)
            transform = bool(_number(data, at + 8, 1)), _number(data, at + 13, 1) == 1
        at += 2 + length
    else:
        return None
    if size is None:
        return None
    kind = "htj2k" if cap or style & _HIGH_THROUGHPUT else "jpeg_2000"
    return Codestream(
        kind, *size, colours=colours, transformed=transform[0], reversible=transform[1], start=start, body=at
    )


def _jp2(data: Any) -> Codestream | None:
    at, colours = 0, ""
    for _ in range(_MOST_SEGMENTS):
        length, kind = _number(data, at, 4), bytes(data[at + 4 : at + 8])
        behind_name = at + 8
        if length == 1:  # the length follows in 8 bytes
            length, behind_name = _number(data, at + 8, 8), at + 16
        if kind == _CODESTREAM:
            return _jpeg_2000(data, behind_name, colours)
        if kind == _COLOUR and _number(data, behind_name, 1) == 1:
            colours = _COLOURS_OF_JP2.get(_number(data, behind_name + 3, 4), "")
        if kind == _SUPERBOX:
            length = behind_name - at
        if length < 8:
            return None
        at += length
    return None


def _behind_tiles(data: bytes, at: int) -> int:
    """Offset at which the tile parts of a JPEG 2000 stream end; -1 if that is past the end of the data."""
    while data[at : at + 2] == b"\xff\x90":
        length = int.from_bytes(data[at + 6 : at + 10], "big")
        if length < 14:
            # 0: the last part extends to the end mark.
            return at + 12
        at += length
    return at if at <= len(data) else -1


def _rle(data: Any) -> Codestream | None:
    """The header of an RLE frame: the number of segments, and 15 offsets; unused offsets are 0."""
    head = bytes(data[:RLE_HEADER_BYTES])
    if len(head) < RLE_HEADER_BYTES:
        return None
    segments, *offsets = (int.from_bytes(head[at : at + 4], "little") for at in range(0, RLE_HEADER_BYTES, 4))
    used = offsets[:segments]
    fits = 1 <= segments <= _MOST_RLE_SEGMENTS and used[0] == RLE_HEADER_BYTES and used == sorted(set(used))
    if not fits or any(offsets[segments:]) or used[-1] >= len(data):
        return None
    return Codestream("rle", components=segments)
