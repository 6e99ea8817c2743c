"""A PNG, JPEG, TIFF or BMP file's bytes → what is needed to decode it."""

import struct
from collections.abc import Mapping

from PIL import UnidentifiedImageError

from xray_mining.archive.claims import FRAMES
from xray_mining.archive.opened import opened
from xray_mining.archive.radiograph import Encoded, Unusable

# Checked before anything is decoded.
_MOST_PIXELS = 150_000_000
_SYNTAXES = {"PNG": "png", "JPEG": "jpeg", "MPO": "jpeg", "TIFF": "tiff", "BMP": "bmp"}
_COLUMNS, _ROWS, _BITS, _PHOTOMETRIC, _SAMPLES, _SAMPLE_FORMAT = 256, 257, 258, 262, 277, 339
_TIFF_NUMBERS = {1: "B", 3: "H", 4: "I", 16: "Q"}
_MOST_TAGS = 65535
_MOST_NUMBERS = 1_000_000
_WHITE_IS_ZERO, _SIGNED = 0, 2
_PIECES = ((273, 279), (324, 325))
"""Tags of the offsets and lengths of strips and tiles."""
SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp")


def picture_of(data: bytes, photometric: str = "MONOCHROME2") -> Encoded:
    """The picture; only its header is read. Raises Unusable if it is no picture, too large or too small."""
    try:
        with opened(data) as image:
            kind, (columns, rows), mode = image.format or "", image.size, image.mode
            tags = tiff_tags(data) if kind == "TIFF" else {}
            frames = getattr(image, "n_frames", 1) if kind == "TIFF" else 1
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, TypeError, EOFError, OverflowError) as error:
        tags = tiff_tags(data)
        if not tags:
            raise Unusable("open", "not_an_image", "The file is not a PNG, JPEG, TIFF or BMP picture.") from error
        # Pillow does not know all combinations of bits, byte order and photometric interpretation.
        bits, samples = tags.get(_BITS, (1,))[0], tags.get(_SAMPLES, (1,))[0]
        if (bits, samples) != (16, 1):
            raise Unusable(
                "header",
                "unsupported_bits",
                f"The TIFF picture has {samples} values a pixel of {bits} bits, with photometric interpretation "
                f"{tags.get(_PHOTOMETRIC, (1,))[0]}, which is not read; 8 and 16 bits are.",
            ) from error
        kind, mode, frames = "TIFF", "I;16", 1
        columns, rows = (tags.get(each, (0,))[0] for each in (_COLUMNS, _ROWS))
    if kind not in _SYNTAXES:
        raise Unusable("open", "not_an_image", "The picture is of a format that is not read; PNG, JPEG, TIFF, BMP are.")
    if rows * columns > _MOST_PIXELS:
        raise Unusable("header", "too_large", f"The picture states {rows} by {columns} pixels, more than any film has.")
    if rows < 8 or columns < 8:
        raise Unusable("header", "too_small", f"The picture has {rows} by {columns} pixels, too few for a radiograph.")
    if mode.startswith("F"):
        raise Unusable("header", "unsupported_bits", "The picture has fractional values; 8 and 16 bits are read.")
    bits = 16 if mode.startswith("I") else 8
    if kind == "TIFF":
        _is_whole(tags, len(data))
        if tags.get(_PHOTOMETRIC, (1,))[0] == _WHITE_IS_ZERO:
            # Decoders invert 8 bits themselves and leave 16 unchanged. MONOCHROME1 is applied once, from the file
            # itself: a mapping that states MONOCHROME1 describes the same property.
            photometric = "MONOCHROME1" if bits == 16 else "MONOCHROME2"
    if kind == "BMP" and _bmp_bytes(data, rows, columns) > len(data):
        raise Unusable("decode", "truncated_pixels", "The BMP picture's data end early: the file was cut off.")
    return Encoded(
        data=data,
        syntax=_SYNTAXES[kind],
        rows=rows,
        columns=columns,
        bits_allocated=bits,
        bits_stored=bits,
        high_bit=bits - 1,
        samples=1 if mode in ("L", "1", "I", "I;16", "I;16B") else 3,
        photometric=photometric,
        signed=bits == 16 and tags.get(_SAMPLE_FORMAT, (1,))[0] == _SIGNED,
        # Only the first page is read, and a flag is set.
        overruled=(FRAMES,) if frames > 1 else (),
    )


def tiff_tags(data: bytes) -> dict[int, tuple[int, ...]]:
    """Whole numbers of the first page's tags; empty if the file is not a TIFF or its tags are past its end."""
    order = {b"II": "<", b"MM": ">"}.get(bytes(data[:2]))
    big = {b"*\0": False, b"\0*": False, b"+\0": True, b"\0+": True}.get(bytes(data[2:4]))
    if order is None or big is None:
        return {}
    # BigTIFF has the same tags with longer counts and offsets.
    word, entries, size_of_entry, size_of_value = ("Q", "Q", 20, 8) if big else ("I", "H", 12, 4)
    found = {}
    try:
        start = struct.unpack_from(f"{order}{word}", data, 8 if big else 4)[0]
        first = start + struct.calcsize(f"{order}{entries}")
        for number in range(min(struct.unpack_from(f"{order}{entries}", data, start)[0], _MOST_TAGS)):
            at = first + size_of_entry * number
            tag, kind, count = struct.unpack_from(f"{order}HH{word}", data, at)
            code = _TIFF_NUMBERS.get(kind)
            if code is not None and count <= _MOST_NUMBERS:
                size = struct.calcsize(f"{order}{count}{code}")
                place = value = at + size_of_entry - size_of_value
                if size > size_of_value:
                    place = struct.unpack_from(f"{order}{word}", data, value)[0]
                found[tag] = struct.unpack_from(f"{order}{count}{code}", data, place)
    except (struct.error, OverflowError):
        return {}
    return found


def _bmp_bytes(data: bytes, rows: int, columns: int) -> int:
    """Length of an uncompressed BMP of this size; 0 if it is compressed or has an older header."""
    if len(data) < 34 or int.from_bytes(data[14:18], "little") < 40 or any(data[30:34]):
        return 0
    start, bits = int.from_bytes(data[10:14], "little"), int.from_bytes(data[28:30], "little")
    return start + rows * ((bits * columns + 31) // 32) * 4


def _is_whole(tags: Mapping[int, tuple[int, ...]], size: int) -> None:
    """Raise Unusable if strips or tiles of a TIFF are past the end of the file."""
    for places, lengths in _PIECES:
        for start, length in zip(tags.get(places, ()), tags.get(lengths, ()), strict=False):
            if start + length > size:
                raise Unusable("decode", "truncated_pixels", "The TIFF picture's data end early: the file was cut off.")
