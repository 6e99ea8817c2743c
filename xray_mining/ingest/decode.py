"""One frame's bytes → numbers, by the fastest decoder that is here; knows no DICOM meaning.

Decoders stand in the order of their measured speed for each transfer syntax. One that is not installed, or that
cannot read these bytes, leaves its place to the next. Where a codec can, only as much is decoded as the store needs:
JPEG 2000 and HTJ2K at a lower resolution level, baseline JPEG by scaled cosine transforms.
"""

import functools
import importlib
import struct
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from io import BytesIO
from typing import Any

import cv2
import imagecodecs
import numpy as np

from xray_mining.archive.dicom_file import BIG_ENDIAN, DEFLATED, EXPLICIT, IMPLICIT
from xray_mining.archive.radiograph import Encoded, Unusable
from xray_mining.ingest import jpeg_lossless

RLE = "1.2.840.10008.1.2.5"
JPEG_BASELINE = "1.2.840.10008.1.2.4.50"
JPEG_EXTENDED = "1.2.840.10008.1.2.4.51"
JPEG_LOSSLESS = "1.2.840.10008.1.2.4.57"
JPEG_LOSSLESS_SV1 = "1.2.840.10008.1.2.4.70"
JPEG_LS = "1.2.840.10008.1.2.4.80"
JPEG_LS_NEAR = "1.2.840.10008.1.2.4.81"
JPEG_2000_LOSSLESS = "1.2.840.10008.1.2.4.90"
JPEG_2000 = "1.2.840.10008.1.2.4.91"
HTJ2K_LOSSLESS = "1.2.840.10008.1.2.4.201"
HTJ2K_RPCL = "1.2.840.10008.1.2.4.202"
HTJ2K = "1.2.840.10008.1.2.4.203"

_END = b"\xff\xd9"
_FINISHED = {JPEG_BASELINE, JPEG_EXTENDED, JPEG_LOSSLESS, JPEG_LOSSLESS_SV1, JPEG_LS, JPEG_LS_NEAR, JPEG_2000_LOSSLESS}
_FINISHED |= {JPEG_2000, HTJ2K, HTJ2K_LOSSLESS, HTJ2K_RPCL, "jpeg"}


_HEAD_BYTES = 1 << 16
"""In which a codestream's size is looked for: other segments may stand before it."""


@dataclass(frozen=True, slots=True)
class Stored:
    """Decoded values as bit patterns: what they mean is for grey to say."""

    values: np.ndarray
    """(height, width) uint8 or uint16; signed values in two's complement; colours already as their luma."""
    decoder: str
    """Name and version of the package that gave them, and the reduction, as 'pillow 13.0.0, 1/4'."""
    from_colours: bool = False


Decode = Callable[[Encoded, int], np.ndarray]
_TABLE: dict[str, list[tuple[str, Decode, bool]]] = {}


def _decoder(package: str, *syntaxes: str, reduces: bool = False) -> Callable[[Decode], Decode]:
    """Put a function behind the ones already in the table for these syntaxes; whether it heeds the reduction."""

    def put(function: Decode) -> Decode:
        for syntax in syntaxes:
            _TABLE.setdefault(syntax, []).append((package, function, reduces))
        return function

    return put


def decoders(syntax: str) -> list[str]:
    """Packages that can decode a syntax, fastest first."""
    return [package for package, _, _ in _TABLE.get(syntax, [])]


def codestream_size(data: Any) -> tuple[int, int] | None:
    """Rows and columns that a JPEG, JPEG-LS or JPEG 2000 codestream states at its beginning; None where it has none.

    Read before decoding: a codestream of a few bytes may state a picture of gigabytes, whatever the header says.
    """
    head = bytes(data[:_HEAD_BYTES])
    if head[:4] == b"\xff\x4f\xff\x51" and len(head) >= 24:  # JPEG 2000: its start and its size
        right, bottom, left, top = (int.from_bytes(head[at : at + 4], "big") for at in (8, 12, 16, 20))
        return bottom - top, right - left
    if head[:2] != b"\xff\xd8":
        return None
    at = 2
    while at + 9 <= len(head) and head[at] == 0xFF:
        marker = head[at + 1]
        if marker == 0xFF:  # padding
            at += 1
            continue
        # Frame headers: SOF0 to SOF15 without DHT, JPG and DAC, and SOF55 of JPEG-LS. 0 rows are told later.
        if marker == 0xF7 or (0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC)):
            rows, columns = (int.from_bytes(head[at + place : at + place + 2], "big") for place in (5, 7))
            return (rows, columns) if rows else None
        at += 2 + int.from_bytes(head[at + 2 : at + 4], "big")
    return None


def _other_size(encoded: Encoded, rows: int, columns: int) -> Unusable:
    return Unusable(
        "decode",
        "size_mismatch",
        f"The header states {encoded.rows} by {encoded.columns} pixels, the pixel data hold {rows} by {columns}.",
    )


def decode(encoded: Encoded, side_px: int, whole: bool = False) -> Stored:
    """The frame's values, reduced where the codec can to a size that is still at least that of the store.

    `whole` asks for all pixels, and so does a padding value: mixed with its neighbours it would pass for grey.
    Raises Unusable (stage decode) where no decoder can read the bytes.
    """
    tries = _TABLE.get(encoded.syntax)
    if tries is None:
        raise Unusable(
            "decode", "unknown_syntax", f"No decoder knows the transfer syntax {_printable(encoded.syntax)}."
        )
    if encoded.syntax in _FINISHED and _END not in bytes(encoded.data[-256:]):
        raise Unusable(
            "decode", "truncated_pixels", "The compressed pixel data have no end mark: the file was cut off."
        )
    if encoded.syntax == "png" and b"IEND" not in bytes(encoded.data[-64:]):
        raise Unusable("decode", "truncated_pixels", "The PNG picture has no end mark: the file was cut off.")
    stated = codestream_size(encoded.data) if encoded.syntax in _FINISHED - {"jpeg"} else None
    if stated is not None and stated != (encoded.rows, encoded.columns):
        raise _other_size(encoded, *stated)
    whole = whole or encoded.padding is not None
    reduction = 0
    while not whole and max(encoded.rows, encoded.columns) >> (reduction + 1) >= side_px and reduction < 5:
        reduction += 1
    for package, function, reduces in tries:
        try:
            values = function(encoded, reduction)
        except Unusable:
            raise
        except (ImportError, AttributeError):
            continue
        except Exception as error:
            # Decoders are other people's code on damaged bytes: what they raise has no common class.
            if isinstance(error, MemoryError):
                raise
            continue
        return _stored(values, encoded, package, reduction if reduces else 0)
    names = ", ".join(dict.fromkeys(decoders(encoded.syntax)))
    raise Unusable("decode", "undecodable", f"The pixel data are damaged: none of {names} can decode them.")


def _stored(values: np.ndarray, encoded: Encoded, package: str, reduction: int) -> Stored:
    """The values as they are, or halved up to `reduction` times; a picture of any other size is not the header's."""
    colours = values.ndim == 3 and values.shape[2] in (3, 4)
    if values.ndim == 3 and not colours:
        values = values[..., 0]
    height, width = values.shape[:2]
    sizes = {(-(-encoded.rows >> step), -(-encoded.columns >> step)): 1 << step for step in range(reduction + 1)}
    factor = sizes.get((height, width))
    if factor is None:
        raise _other_size(encoded, height, width)
    if values.dtype.kind == "i":
        values = values.view(f"u{values.dtype.itemsize}")
    if values.dtype == np.bool_:
        values = values.astype(np.uint8) * 255
    if values.dtype not in (np.uint8, np.uint16):
        raise Unusable(
            "decode", "unsupported_bits", f"The pixel data decode to {values.dtype}; 8 and 16 bits are read."
        )
    if colours:
        values = cv2.cvtColor(np.ascontiguousarray(values[..., :3]), cv2.COLOR_RGB2GRAY)
    name = f"{package} {_version(package)}" + (f", 1/{factor}" if factor > 1 else "")
    return Stored(np.ascontiguousarray(values), name, colours or (encoded.samples == 3))


@functools.cache
def _version(package: str) -> str:
    for name in (package, f"{package}-python-headless", f"python-{package}"):
        try:
            return metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return ""


def _printable(syntax: str) -> str:
    return syntax if syntax and set(syntax) <= set("0123456789.") else "of this file"


def _type(encoded: Encoded) -> np.dtype:
    return np.dtype(np.uint8 if encoded.bits_allocated == 8 else np.uint16)


@_decoder("numpy", IMPLICIT, EXPLICIT, DEFLATED, BIG_ENDIAN)
def _raw(encoded: Encoded, reduction: int) -> np.ndarray:
    order = ">" if encoded.syntax == BIG_ENDIAN else "<"
    values = np.frombuffer(encoded.data, _type(encoded).newbyteorder(order))
    if encoded.samples == 1:
        return values.reshape(encoded.rows, encoded.columns).astype(_type(encoded), copy=False)
    if encoded.photometric == "YBR_FULL_422":
        # PS3.3 C.7.6.3.1.2: two lumas, then the pair's blue and red differences.
        luma = values.reshape(encoded.rows, encoded.columns // 2, 4)[..., :2]
        return luma.reshape(encoded.rows, encoded.columns)
    return _lumas_of_ybr(_by_pixel(values, encoded), encoded)


def _by_pixel(values: np.ndarray, encoded: Encoded) -> np.ndarray:
    if encoded.planar:
        return np.moveaxis(values.reshape(3, encoded.rows, encoded.columns), 0, -1)
    return values.reshape(encoded.rows, encoded.columns, 3)


def _lumas_of_ybr(values: np.ndarray, encoded: Encoded) -> np.ndarray:
    return values[..., 0] if encoded.photometric.startswith("YBR_") else values


@_decoder("imagecodecs", RLE)
def _rle(encoded: Encoded, reduction: int) -> np.ndarray:
    # Header of an RLE frame, PS3.5 G.5: number of segments, then 15 offsets; one segment a byte plane.
    kind = _type(encoded)
    segments = struct.unpack_from("<I", encoded.data)[0]
    if segments != encoded.samples * kind.itemsize:
        raise ValueError("segments")
    values = np.frombuffer(imagecodecs.dicomrle_decode(bytes(encoded.data), kind), kind)
    size = encoded.rows * encoded.columns
    if len(values) < size * encoded.samples:
        raise ValueError("too short")
    if encoded.samples == 1:
        return values[:size].reshape(encoded.rows, encoded.columns)
    # RLE always holds planes, whatever the planar configuration says.
    planes = values[: 3 * size].reshape(3, encoded.rows, encoded.columns)
    return _lumas_of_ybr(np.moveaxis(planes, 0, -1), encoded)


@_decoder("opencv", JPEG_BASELINE, "jpeg", reduces=True)
def _jpeg_scaled(encoded: Encoded, reduction: int) -> np.ndarray:
    if encoded.bits_allocated != 8:
        raise ValueError("only 8 bits")
    flags = {
        0: cv2.IMREAD_GRAYSCALE,
        1: cv2.IMREAD_REDUCED_GRAYSCALE_2,
        2: cv2.IMREAD_REDUCED_GRAYSCALE_4,
    }.get(reduction, cv2.IMREAD_REDUCED_GRAYSCALE_8)
    values = cv2.imdecode(np.frombuffer(encoded.data, np.uint8), flags | cv2.IMREAD_IGNORE_ORIENTATION)
    if values is None:
        raise ValueError("undecodable")
    return values


@_decoder("xray-mining", JPEG_LOSSLESS_SV1, JPEG_LOSSLESS)
def _jpeg_lossless_grey(encoded: Encoded, reduction: int) -> np.ndarray:
    return jpeg_lossless.decoded(encoded.data)


@_decoder("imagecodecs", JPEG_BASELINE, JPEG_EXTENDED, JPEG_LOSSLESS_SV1, JPEG_LOSSLESS, "jpeg")
def _jpeg(encoded: Encoded, reduction: int) -> np.ndarray:
    values = imagecodecs.jpeg8_decode(encoded.data)
    return _lumas_of_ybr(values, encoded) if values.ndim == 3 and _is_lossless(encoded) else values


def _is_lossless(encoded: Encoded) -> bool:
    return encoded.syntax in (JPEG_LOSSLESS, JPEG_LOSSLESS_SV1)


@_decoder("imagecodecs", JPEG_LS, JPEG_LS_NEAR)
def _jpeg_ls(encoded: Encoded, reduction: int) -> np.ndarray:
    values = imagecodecs.jpegls_decode(encoded.data)
    if values.ndim == 3 and values.shape[0] == 3:
        values = np.moveaxis(values, 0, -1)
    return _lumas_of_ybr(values, encoded) if values.ndim == 3 else values


@_decoder("dicomsdl", RLE, JPEG_LOSSLESS_SV1, JPEG_LOSSLESS, JPEG_LS, JPEG_LS_NEAR)
def _dicomsdl(encoded: Encoded, reduction: int) -> np.ndarray:
    # By name: an optional package, which the type checker may not find.
    dicomsdl: Any = importlib.import_module("dicomsdl")
    if encoded.whole_file is None or encoded.samples != 1:
        raise ValueError("one-frame monochrome files only")
    dataset = dicomsdl.open_memory(encoded.whole_file)
    values = np.empty((encoded.rows, encoded.columns), _type(encoded))
    dataset.copyFrameData(0, values)
    return values


@_decoder("imagecodecs", JPEG_LOSSLESS_SV1, JPEG_LOSSLESS)
def _jpeg_lossless(encoded: Encoded, reduction: int) -> np.ndarray:
    return imagecodecs.ljpeg_decode(bytes(encoded.data))


@_decoder("pillow", JPEG_2000_LOSSLESS, JPEG_2000, reduces=True)
def _jpeg_2000_reduced(encoded: Encoded, reduction: int) -> np.ndarray:
    from PIL import Image

    head = bytes(encoded.data[:43])
    # Size marker of a bare codestream (ISO 15444-1 A.5.1): its bit depth byte has the sign on top.
    if not head.startswith(b"\xff\x4f\xff\x51") or head[42] & 0x80 or encoded.samples != 1 or not reduction:
        raise ValueError("whole, signed and coloured pictures are for the next decoder")
    for step in range(reduction, 0, -1):
        try:
            image = Image.open(BytesIO(encoded.data))
            image.reduce = step  # ty: ignore[invalid-assignment]
            image.load()
        except OSError:
            # Fewer resolution levels than asked for.
            continue
        values = np.asarray(image)
        # Pillow fills up all bits of its type.
        return values >> max(8 * values.dtype.itemsize - (head[42] & 0x7F) - 1, 0)
    raise ValueError("no lower resolution")


@_decoder("imagecodecs", JPEG_2000_LOSSLESS, JPEG_2000)
def _jpeg_2000(encoded: Encoded, reduction: int) -> np.ndarray:
    return imagecodecs.jpeg2k_decode(encoded.data)


@_decoder("imagecodecs", HTJ2K_LOSSLESS, HTJ2K_RPCL, HTJ2K, reduces=True)
def _htj2k(encoded: Encoded, reduction: int) -> np.ndarray:
    for step in range(reduction, 0, -1):
        try:
            return _last_axis(imagecodecs.htj2k_decode(encoded.data, skipres=step))
        except RuntimeError:
            continue
    return _last_axis(imagecodecs.htj2k_decode(encoded.data))


def _last_axis(values: np.ndarray) -> np.ndarray:
    return np.moveaxis(values, 0, -1) if values.ndim == 3 and values.shape[0] == 3 else values


@_decoder("pylibjpeg-openjpeg", JPEG_2000_LOSSLESS, JPEG_2000, HTJ2K_LOSSLESS, HTJ2K_RPCL, HTJ2K)
def _openjpeg(encoded: Encoded, reduction: int) -> np.ndarray:
    import openjpeg

    return openjpeg.decode(bytes(encoded.data))


@_decoder("pydicom", RLE, JPEG_BASELINE, JPEG_EXTENDED, JPEG_LOSSLESS, JPEG_LOSSLESS_SV1, JPEG_LS, JPEG_LS_NEAR)
@_decoder("pydicom", JPEG_2000_LOSSLESS, JPEG_2000, HTJ2K_LOSSLESS, HTJ2K_RPCL, HTJ2K)
def _pydicom(encoded: Encoded, reduction: int) -> np.ndarray:
    from pydicom.pixels import pixel_array

    if encoded.whole_file is None:
        raise ValueError("one-frame files only")
    # pydicom 3 turns YBR into RGB by default, which costs time and is not asked for.
    values = pixel_array(BytesIO(encoded.whole_file), raw=True)
    return _lumas_of_ybr(values, encoded) if values.ndim == 3 else values


@_decoder("opencv", "png", "tiff", "bmp")
def _picture(encoded: Encoded, reduction: int) -> np.ndarray:
    values = cv2.imdecode(np.frombuffer(encoded.data, np.uint8), cv2.IMREAD_UNCHANGED | cv2.IMREAD_IGNORE_ORIENTATION)
    if values is None:
        raise ValueError("undecodable")
    if values.ndim == 3:
        if values.shape[2] == 4:
            # What is transparent is outside of the radiograph.
            values = np.where(values[..., 3:] == 0, np.zeros(1, values.dtype), values[..., :3])
        values = values[..., ::-1]
    return values


@_decoder("pillow", "png", "tiff", "bmp", "jpeg")
def _picture_by_pillow(encoded: Encoded, reduction: int) -> np.ndarray:
    from PIL import Image

    image = Image.open(BytesIO(encoded.data))
    if image.mode in ("P", "PA", "CMYK", "YCbCr", "LAB", "HSV", "RGBA", "LA", "1"):
        image = image.convert("RGB" if image.mode not in ("1", "LA") else "L")
    values = np.asarray(image)
    return (
        values.astype(np.uint16) if values.dtype == np.int32 and values.min() >= 0 and values.max() < 65536 else values
    )
