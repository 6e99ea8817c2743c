"""One frame's bytes → numbers, by the fastest available decoder; the meaning of the numbers is for `grey`.

For each transfer syntax the decoders are tried in the order of their measured speed. A decoder that is not installed,
or does not read this kind of picture, is skipped; one that fails on these bytes is counted, and the next one is tried.
If a codec can, only the resolution that the store needs is decoded: JPEG 2000 and HTJ2K at a lower resolution level,
baseline JPEG by scaled cosine transforms.
"""

import functools
import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import metadata
from io import BytesIO
from types import ModuleType
from typing import Any

import cv2
import imagecodecs
import numpy as np

from xray_mining.archive.claims import compared, other_size
from xray_mining.archive.codestream import stream_of
from xray_mining.archive.opened import opened
from xray_mining.archive.radiograph import Encoded, Unusable
from xray_mining.archive.syntaxes import (
    BIG_ENDIAN,
    DEFLATED,
    EXPLICIT,
    HTJ2K,
    HTJ2K_LOSSLESS,
    HTJ2K_RPCL,
    IMPLICIT,
    JPEG_2000,
    JPEG_2000_LOSSLESS,
    JPEG_BASELINE,
    JPEG_EXTENDED,
    JPEG_LOSSLESS,
    JPEG_LOSSLESS_SV1,
    JPEG_LS,
    JPEG_LS_NEAR,
    RLE,
)
from xray_mining.ingest import jpeg_lossless

_END = b"\xff\xd9"
_FINISHED = {JPEG_BASELINE, JPEG_EXTENDED, JPEG_LOSSLESS, JPEG_LOSSLESS_SV1, JPEG_LS, JPEG_LS_NEAR, JPEG_2000_LOSSLESS}
_FINISHED |= {JPEG_2000, HTJ2K, HTJ2K_LOSSLESS, HTJ2K_RPCL, "jpeg"}


@dataclass(frozen=True, slots=True, order=True)
class DecoderFailure:
    """A decoder that raised an error on a frame."""

    decoder: str
    error: str
    """The error's class; its text is not kept, because it may contain text of the file."""

    def __str__(self) -> str:
        return f"{self.decoder} ({self.error})"


class NotRead(Exception):
    """Raised by a decoder for a kind of picture that it does not read, so that the next one is tried; no failure."""


@dataclass(frozen=True, slots=True)
class Stored:
    """Decoded values as bit patterns; `grey` interprets them."""

    values: np.ndarray
    """(height, width) uint8 or uint16; signed values in two's complement; colours as their luma."""
    decoder: str
    """Name and version of the decoder's package, and the reduction, as 'pillow 13.0.0, 1/4'."""
    from_colours: bool = False


Decode = Callable[[Encoded, int], np.ndarray]
_TABLE: dict[str, list[tuple[str, Decode, bool]]] = {}


def _decoder(package: str, *syntaxes: str, reduces: bool = False) -> Callable[[Decode], Decode]:
    """Add a function after those already in the table for these syntaxes; `reduces`: it applies the reduction."""

    def put(function: Decode) -> Decode:
        for syntax in syntaxes:
            _TABLE.setdefault(syntax, []).append((package, function, reduces))
        return function

    return put


def decoders(syntax: str) -> list[str]:
    """Packages that can decode a syntax, fastest first."""
    return [package for package, _, _ in _TABLE.get(syntax, [])]


def decode(encoded: Encoded, side_px: int, whole: bool = False, failures: set[DecoderFailure] | None = None) -> Stored:
    """The frame's values, reduced if the codec can, to a size that is still at least the store's.

    `whole` decodes all pixels; so does a padding value, because reduced padding mixes with its neighbours and would
    look like grey. The codestream is compared with the header first (see `claims`). Decoders that fail are added to
    `failures`, also if another one reads the frame.
    Raises Unusable (stage decode) if no decoder can read the bytes.
    """
    if encoded.syntax not in _TABLE and stream_of(encoded.data) is None:
        raise Unusable(
            "decode", "unknown_syntax", f"No decoder knows the transfer syntax {_printable(encoded.syntax)}."
        )
    encoded = compared(encoded)
    tries = _TABLE[encoded.syntax]
    if encoded.stream is None and encoded.syntax in _FINISHED and _END not in bytes(encoded.data[-256:]):
        raise Unusable(
            "decode", "truncated_pixels", "The compressed pixel data have no end mark: the file was cut off."
        )
    whole = whole or encoded.keep_whole
    whole = whole or encoded.padding is not None
    reduction = 0
    while not whole and max(encoded.rows, encoded.columns) >> (reduction + 1) >= side_px and reduction < 5:
        reduction += 1
    failures = set() if failures is None else failures
    stored = _decoded(encoded, tries, reduction, failures)
    beyond = encoded.stream is not None and encoded.stream.precision > encoded.high_bit + 1
    if beyond and len(stored.values) < encoded.rows and stored.values.max() >= 2 << encoded.high_bit:
        # The bits above the stated ones are set: they may be part of the values, which must then not be averaged.
        stored = _decoded(encoded, tries, 0, failures)
    return stored


def _decoded(
    encoded: Encoded, tries: Sequence[tuple[str, Decode, bool]], reduction: int, failures: set[DecoderFailure]
) -> Stored:
    """The values, by the first decoder that can read the bytes."""
    missing: dict[str, str] = {}
    for package, function, reduces in tries:
        try:
            values = function(encoded, reduction)
        except (Unusable, MemoryError):
            raise
        except Exception as error:
            # Decoders run other projects' code on damaged bytes: their errors have no common class.
            if isinstance(error, ImportError):
                missing[package] = error.name or package
            elif not _is_skipped(error):
                failures.add(DecoderFailure(package, type(error).__name__))
            continue
        return _stored(values, encoded, package, reduction if reduces else 0)
    names = ", ".join(dict.fromkeys(package for package, *_ in tries if package not in missing))
    lacking = f", or need a decoder that is not installed ({', '.join(missing.values())})" if missing else ""
    raise Unusable("decode", "undecodable", f"The pixel data are damaged{lacking}: none of {names} can decode them.")


def _is_skipped(error: Exception) -> bool:
    """Whether a decoder does not read this kind of picture, or lacks the function in its version."""
    lacks_function = isinstance(error, AttributeError) and isinstance(error.obj, ModuleType)
    return isinstance(error, NotRead) or lacks_function


def _stored(values: np.ndarray, encoded: Encoded, package: str, reduction: int) -> Stored:
    """The values as they are, or halved up to `reduction` times; a picture of any other size is not the header's."""
    colours = values.ndim == 3 and values.shape[2] in (3, 4)
    if values.ndim == 3 and not colours:
        values = values[..., 0]
    height, width = values.shape[:2]
    sizes = {(-(-encoded.rows >> step), -(-encoded.columns >> step)): 1 << step for step in range(reduction + 1)}
    factor = sizes.get((height, width))
    if factor is None:
        raise other_size(encoded, height, width)
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
    # PS3.5 G.2: one segment per byte plane; `claims` has corrected the header's number of planes.
    kind = _type(encoded)
    if encoded.stream is None or encoded.stream.components != encoded.samples * kind.itemsize:
        raise ValueError("segments")
    values = np.frombuffer(imagecodecs.dicomrle_decode(bytes(encoded.data), kind), kind)
    size = encoded.rows * encoded.columns
    if len(values) < size * encoded.samples:
        raise ValueError("too short")
    if encoded.samples == 1:
        return values[:size].reshape(encoded.rows, encoded.columns)
    # RLE always stores planes, whatever the planar configuration states.
    planes = values[: 3 * size].reshape(3, encoded.rows, encoded.columns)
    return _lumas_of_ybr(np.moveaxis(planes, 0, -1), encoded)


@_decoder("opencv", JPEG_BASELINE, "jpeg", reduces=True)
def _jpeg_scaled(encoded: Encoded, reduction: int) -> np.ndarray:
    if encoded.bits_allocated != 8 or _unmarked_rgb(encoded):
        raise NotRead("only 8 bits, and colours whose kind the stream marks")
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
    try:
        return jpeg_lossless.decoded(encoded.data)
    except jpeg_lossless.OtherKind as error:
        raise NotRead(str(error)) from error


@_decoder("imagecodecs", JPEG_BASELINE, JPEG_EXTENDED, JPEG_LOSSLESS_SV1, JPEG_LOSSLESS, "jpeg")
def _jpeg(encoded: Encoded, reduction: int) -> np.ndarray:
    if _unmarked_rgb(encoded):
        return imagecodecs.jpeg8_decode(encoded.data, colorspace="RGB", outcolorspace="RGB")
    values = imagecodecs.jpeg8_decode(encoded.data)
    return _lumas_of_ybr(values, encoded) if values.ndim == 3 and _is_lossless(encoded) else values


def _unmarked_rgb(encoded: Encoded) -> bool:
    """Whether only the header says that a JPEG holds RGB: without it a decoder assumes YBR."""
    stream = encoded.stream
    is_rgb = encoded.samples == 3 and encoded.photometric == "RGB"
    return is_rgb and stream is not None and stream.kind == "jpeg" and not stream.colours and encoded.syntax != "jpeg"


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
    if encoded.whole_file is None or encoded.samples != 1:
        raise NotRead("one-frame monochrome files only")
    # Imported by name, because the type checker may not find an optional package.
    dicomsdl: Any = importlib.import_module("dicomsdl")
    dataset = dicomsdl.open_memory(encoded.whole_file)
    values = np.empty((encoded.rows, encoded.columns), _type(encoded))
    dataset.copyFrameData(0, values)
    return values


@_decoder("pillow", JPEG_2000_LOSSLESS, JPEG_2000, reduces=True)
def _jpeg_2000_reduced(encoded: Encoded, reduction: int) -> np.ndarray:
    stream = encoded.stream
    if stream is None or stream.signed or encoded.samples != 1 or not reduction:
        raise NotRead("the next decoder reads whole, signed and coloured pictures")
    for step in range(reduction, 0, -1):
        try:
            with opened(encoded.data) as image:
                image.reduce = step  # ty: ignore[invalid-assignment]
                image.load()
                values = np.asarray(image)
        except OSError:
            # The stream has fewer resolution levels than needed.
            continue
        # Pillow scales values to all bits of its type.
        return values >> max(8 * values.dtype.itemsize - stream.precision, 0)
    raise NotRead("no lower resolution")


@_decoder("imagecodecs", JPEG_2000_LOSSLESS, JPEG_2000)
def _jpeg_2000(encoded: Encoded, reduction: int) -> np.ndarray:
    return _lumas_of_ybr_2000(imagecodecs.jpeg2k_decode(encoded.data), encoded)


@_decoder("imagecodecs", HTJ2K_LOSSLESS, HTJ2K_RPCL, HTJ2K, reduces=True)
def _htj2k(encoded: Encoded, reduction: int) -> np.ndarray:
    for step in range(reduction, 0, -1):
        try:
            return _lumas_of_ybr_2000(_last_axis(imagecodecs.htj2k_decode(encoded.data, skipres=step)), encoded)
        except RuntimeError:
            continue
    return _lumas_of_ybr_2000(_last_axis(imagecodecs.htj2k_decode(encoded.data)), encoded)


def _lumas_of_ybr_2000(values: np.ndarray, encoded: Encoded) -> np.ndarray:
    """The brightness, if the stream holds YBR without a transform of its own: a decoder leaves it as YBR."""
    transformed = encoded.stream is None or encoded.stream.transformed
    return values if values.ndim < 3 or transformed else _lumas_of_ybr(values, encoded)


def _last_axis(values: np.ndarray) -> np.ndarray:
    return np.moveaxis(values, 0, -1) if values.ndim == 3 and values.shape[0] == 3 else values


# Not for HTJ2K: on a damaged stream OpenJPEG never returns.
@_decoder("pylibjpeg-openjpeg", JPEG_2000_LOSSLESS, JPEG_2000)
def _openjpeg(encoded: Encoded, reduction: int) -> np.ndarray:
    import openjpeg

    return _lumas_of_ybr_2000(openjpeg.decode(bytes(encoded.data)), encoded)


@_decoder("pydicom", RLE, JPEG_BASELINE, JPEG_EXTENDED, JPEG_LOSSLESS, JPEG_LOSSLESS_SV1, JPEG_LS, JPEG_LS_NEAR)
@_decoder("pydicom", JPEG_2000_LOSSLESS, JPEG_2000)
def _pydicom(encoded: Encoded, reduction: int) -> np.ndarray:
    from pydicom.pixels import get_decoder, pixel_array

    if encoded.whole_file is None:
        raise NotRead("one-frame files only")
    if not get_decoder(encoded.syntax).is_available:
        # pydicom itself reads RLE alone; python-gdcm is the package that reads all syntaxes of this decoder.
        raise ModuleNotFoundError("pydicom finds no package that reads this syntax", name="python-gdcm")
    # pydicom 3 turns YBR into RGB by default, which costs time and is not needed.
    values = pixel_array(BytesIO(encoded.whole_file), raw=True)
    return _lumas_of_ybr(values, encoded) if values.ndim == 3 else values


@_decoder("opencv", "png", "tiff", "bmp")
def _picture(encoded: Encoded, reduction: int) -> np.ndarray:
    values = cv2.imdecode(np.frombuffer(encoded.data, np.uint8), cv2.IMREAD_UNCHANGED | cv2.IMREAD_IGNORE_ORIENTATION)
    if values is None:
        raise ValueError("undecodable")
    if values.ndim == 3:
        if values.shape[2] == 4:
            # Transparent pixels are outside the radiograph.
            values = np.where(values[..., 3:] == 0, np.zeros(1, values.dtype), values[..., :3])
        values = values[..., ::-1]
    return values


@_decoder("pillow", "png", "tiff", "bmp", "jpeg")
def _picture_by_pillow(encoded: Encoded, reduction: int) -> np.ndarray:
    with opened(encoded.data) as image:
        if image.mode in ("P", "PA", "CMYK", "YCbCr", "LAB", "HSV", "RGBA", "LA", "1"):
            values = np.asarray(image.convert("RGB" if image.mode not in ("1", "LA") else "L"))
        else:
            values = np.asarray(image)
    return (
        values.astype(np.uint16) if values.dtype == np.int32 and values.min() >= 0 and values.max() < 65536 else values
    )
