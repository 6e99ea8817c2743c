"""Compares what a header claims with what the content is; the only place that does.

Three steps, each with the information of the one before: `native` and `framed` compare lengths, `compared` the facts in
a compressed picture (before decoding), `by_values` the decoded values. If the content is unambiguous, it wins: the
fields of `Encoded` are set from it, and a quality flag in `overruled` names the claim that was overruled. If it is
ambiguous, the frame is rejected with a sentence that names both values.
"""

from dataclasses import replace
from typing import Any

import numpy as np

from xray_mining.archive.codestream import END, Codestream, end_of, png_end, stream_of
from xray_mining.archive.radiograph import Encoded, Unusable
from xray_mining.archive.syntaxes import (
    HTJ2K,
    HTJ2K_LOSSLESS,
    HTJ2K_RPCL,
    JPEG_2000,
    JPEG_2000_LOSSLESS,
    JPEG_BASELINE,
    JPEG_EXTENDED,
    JPEG_LOSSLESS,
    JPEG_LOSSLESS_SV1,
    JPEG_LS,
    JPEG_LS_NEAR,
    PICTURES,
    RAW,
    RLE,
)

BITS = "overruled_bits"
SIGN = "overruled_sign"
SAMPLES = "overruled_samples"
COLOUR = "overruled_colour"
ENCODING = "overruled_encoding"
FRAMES = "overruled_frames"
RESCALE = "overruled_rescale"
LUT = "overruled_lut"
WINDOW = "overruled_window"
PADDING = "overruled_padding"
AFTER_END = "bytes_after_end"
_OF_KIND = {
    "jpeg": (JPEG_BASELINE, JPEG_EXTENDED),
    "jpeg_lossless": (JPEG_LOSSLESS_SV1, JPEG_LOSSLESS),
    "jpeg_ls": (JPEG_LS, JPEG_LS_NEAR),
    "jpeg_2000": (JPEG_2000, JPEG_2000_LOSSLESS),
    "htj2k": (HTJ2K, HTJ2K_LOSSLESS, HTJ2K_RPCL),
    "rle": (RLE,),
}
"""The transfer syntaxes of each kind of codestream; the first is used if the header names none of them."""
_BEGINNINGS = (b"\xff\xd8\xff", b"\xff\x4f\xff\x51", b"\x00\x00\x00\x0cjP  ")
_MOST_PRECISION = 16
_MUCH_MORE_ALIKE = 0.1
"""The header's order of colours is wrong if another order gives differences of the colours smaller by this factor."""


def overrule(encoded: Encoded, *flags: str, **fields: Any) -> Encoded:
    """The picture with `fields` set from the content, and the flags of the claims that they contradict."""
    return replace(encoded, **fields, overruled=tuple(dict.fromkeys((*encoded.overruled, *flags))))


def native_bytes(encoded: Encoded) -> int:
    """Bytes of one uncompressed frame."""
    values = encoded.rows * encoded.columns * encoded.samples
    if encoded.samples == 3 and encoded.photometric == "YBR_FULL_422":
        values = values // 3 * 2
    return values * encoded.bits_allocated // 8


def native(encoded: Encoded, length: int, count: int, cut: bool) -> tuple[Encoded, int]:
    """The picture and its number of frames, as the length of uncompressed pixel data shows.

    Args:
        encoded: The picture as the header states it.
        length: Bytes of the pixel data: as their element states, or what remains of the file if it is `cut`.
        count: NumberOfFrames, at least 1.
        cut: The file ends before the element does.

    Raises:
        Unusable: If the length fits neither the stated size nor exactly one other.
    """
    size = native_bytes(encoded)
    if cut or length in (size * count, size * count + 1):
        return encoded, count
    for other in _explanations(encoded):
        if length in (native_bytes(other) * count, native_bytes(other) * count + 1):
            return other, count
    frames, rest = divmod(length, size)
    if count > 1 and frames and rest <= 1:
        return overrule(encoded, FRAMES), frames
    if length > size * count and length < size * (count + 1):
        return overrule(encoded, AFTER_END), count
    if count > 1 and frames:
        # The complete frames are used; the incomplete one gets its own reject.
        return encoded, count
    raise Unusable(
        "decode",
        "length_mismatch",
        f"The header states {_in_words(encoded, count)}, {size * count:,} bytes; the pixel data are {length:,} bytes "
        f"long.",
    )


def _explanations(encoded: Encoded) -> list[Encoded]:
    """Another meaning of the header, if a second element of it agrees with the length."""
    monochrome = encoded.photometric.startswith("MONOCHROME") or encoded.palette is not None
    found = []
    if encoded.bits_allocated == 16 and encoded.bits_stored <= 8:
        found.append(overrule(encoded, BITS, bits_allocated=8, high_bit=encoded.bits_stored - 1))
    if encoded.bits_allocated == 8 and encoded.bits_stored > 8:
        high_bit = max(encoded.high_bit, encoded.bits_stored - 1)
        found.append(overrule(encoded, BITS, bits_allocated=16, high_bit=high_bit))
    if encoded.samples == 1 and not monochrome:
        found.append(overrule(encoded, SAMPLES, samples=3))
    if encoded.samples == 3 and monochrome:
        found.append(overrule(encoded, SAMPLES, samples=1))
    if encoded.samples == 3 and encoded.photometric == "YBR_FULL_422":
        found.append(overrule(encoded, COLOUR, photometric="YBR_FULL"))
    if encoded.samples == 3 and encoded.photometric == "YBR_FULL":
        found.append(overrule(encoded, COLOUR, photometric="YBR_FULL_422"))
    return found


def _in_words(encoded: Encoded, count: int) -> str:
    frames = f"{count} frames of " if count > 1 else ""
    samples = f" with {encoded.samples} values a pixel" if encoded.samples > 1 else ""
    return f"{frames}{encoded.rows} by {encoded.columns} pixels of {encoded.bits_allocated} bits{samples}"


def begins_picture(fragment: Any) -> bool:
    """Whether a fragment of encapsulated pixel data begins a compressed picture; false if it continues one."""
    return bytes(fragment[:8]).startswith(_BEGINNINGS) or stream_of(fragment) is not None


def framed(fragments: list[Any], count: int) -> list[list[Any]] | None:
    """The fragments of each frame, divided where codestreams begin; None if that does not give `count` frames."""
    if not fragments or not begins_picture(fragments[0]):
        return [[each] for each in fragments] if len(fragments) == count > 1 else None
    frames: list[list[Any]] = []
    for each in fragments:
        if begins_picture(each):
            frames.append([])
        frames[-1].append(each)
    return frames


def of_header(encoded: Encoded) -> Encoded:
    """Contradictions between elements of one header."""
    flags = []
    if encoded.trouble_with_rescale:
        flags.append(RESCALE)
    if encoded.trouble_with_window:
        flags.append(WINDOW)
    tables = (encoded.modality_lut, encoded.voi_lut, *(encoded.palette or ()))
    if any(each is not None and each.lacking for each in tables):
        flags.append(LUT)
    # PS3.3 C.8.11.3.1.2: INVERSE belongs to MONOCHROME1, IDENTITY to MONOCHROME2. Like viewers, the photometric
    # interpretation decides here.
    shape = {"INVERSE": "MONOCHROME1", "IDENTITY": "MONOCHROME2"}.get(encoded.presentation)
    if shape is not None and encoded.photometric.startswith("MONOCHROME") and encoded.photometric != shape:
        flags.append(COLOUR)
    fields: dict[str, Any] = {}
    if not 1 <= encoded.bits_stored <= encoded.bits_allocated:
        flags.append(BITS)
        fields["bits_stored"] = encoded.bits_allocated
    stored = fields.get("bits_stored", encoded.bits_stored)
    if not stored - 1 <= encoded.high_bit < encoded.bits_allocated:
        flags.append(BITS)
        fields["high_bit"] = stored - 1
    return overrule(encoded, *flags, **fields) if flags else encoded


def compared(encoded: Encoded) -> Encoded:
    """The picture as its codestream states it, without bytes after its end. Raises Unusable if the two contradict."""
    if encoded.syntax in PICTURES:
        return of_header(_ended_picture(encoded))
    if encoded.syntax in RAW:
        return of_header(_planar(_grey_or_colours(encoded, encoded.samples)))
    stream = stream_of(encoded.data)
    if stream is None:
        return of_header(encoded)
    encoded = _ended(replace(encoded, stream=stream), stream)
    encoded = _syntax(encoded, stream)
    encoded = _planes(encoded, stream.components) if stream.kind == "rle" else _components(encoded, stream)
    _same_size(encoded, stream)
    encoded = of_header(_precision(encoded, stream))
    return replace(encoded, whole_file=None) if encoded.overruled else encoded


def _ended_picture(encoded: Encoded) -> Encoded:
    data = encoded.data
    if encoded.syntax == "png":
        end = png_end(data)
    elif encoded.syntax == "jpeg":
        stream = stream_of(data)
        encoded = replace(encoded, stream=stream)
        end = len(data) if stream is None else end_of(data, stream)
    else:
        return encoded
    if end is None:
        name = encoded.syntax.upper()
        raise Unusable("decode", "truncated_pixels", f"The {name} picture has no end mark: the file was cut off.")
    # One byte may pad a stream of odd length.
    return overrule(encoded, AFTER_END, data=data[:end]) if end + 1 < len(data) else encoded


def _ended(encoded: Encoded, stream: Codestream) -> Encoded:
    data = encoded.data
    end = end_of(data, stream)
    if end is None:
        raise Unusable(
            "decode", "truncated_pixels", "The compressed pixel data have no end mark: the file was cut off."
        )
    if end + 1 < len(data):
        encoded = overrule(encoded, AFTER_END)
    if stream.is_jpeg_2000 and bytes(data[end - 2 : end]) != END:
        # Decoders need the end mark, even if all data are present.
        return replace(encoded, data=bytes(data[stream.start : end]) + END, whole_file=None)
    return replace(encoded, data=data[stream.start : end]) if stream.start or end < len(data) else encoded


def _syntax(encoded: Encoded, stream: Codestream) -> Encoded:
    if stream.kind == "jpeg" and encoded.syntax == JPEG_BASELINE and stream.precision > 8:
        return overrule(encoded, ENCODING, syntax=JPEG_EXTENDED)
    syntaxes = _OF_KIND[stream.kind]
    if encoded.syntax in syntaxes:
        return encoded
    syntax = syntaxes[1] if stream.is_jpeg_2000 and stream.reversible else syntaxes[0]
    if stream.kind == "jpeg" and stream.precision > 8:
        syntax = JPEG_EXTENDED
    return overrule(encoded, ENCODING, syntax=syntax)


def _same_size(encoded: Encoded, stream: Codestream) -> None:
    # A stream that states another size may be a decompression bomb, and the pixel spacing would not belong to it.
    stated = encoded.rows, encoded.columns
    if stream.rows and stream.columns and stated != (stream.rows, stream.columns):
        raise other_size(encoded, stream.rows, stream.columns)


def other_size(encoded: Encoded, rows: int, columns: int) -> Unusable:
    """The reject for pixel data whose size differs from the header's."""
    return Unusable(
        "decode",
        "size_mismatch",
        f"The header states {encoded.rows} by {encoded.columns} pixels, the pixel data hold {rows} by {columns}.",
    )


def _components(encoded: Encoded, stream: Codestream) -> Encoded:
    if stream.components not in (1, 3):
        raise Unusable(
            "decode", "unsupported_samples", f"The picture has {stream.components} values a pixel; 1 and 3 are read."
        )
    encoded = _grey_or_colours(encoded, stream.components)
    stated = "YBR" if encoded.photometric.startswith("YBR_FULL") else encoded.photometric
    if stream.is_jpeg_2000 and stated in ("YBR_RCT", "YBR_ICT"):
        # The stream's own colour transform, which the decoder undoes.
        stated = "RGB"
    if stream.components == 3 and stream.colours and stated != stream.colours:
        # The decoder follows the stream's marks too.
        encoded = overrule(encoded, COLOUR, photometric="RGB" if stream.colours == "RGB" else "YBR_FULL")
    return encoded


def _planar(encoded: Encoded) -> Encoded:
    """PlanarConfiguration of uncompressed colours: if it is wrong, the three values of a pixel differ."""
    size = 3 * encoded.rows * encoded.columns
    if encoded.samples != 3 or native_bytes(encoded) != size * encoded.bits_allocated // 8:
        return encoded
    values = np.frombuffer(encoded.data, np.uint8 if encoded.bits_allocated == 8 else np.uint16)[:size]
    if len(values) < size or encoded.photometric.startswith("YBR"):
        return encoded
    planes, pixels = values.reshape(3, -1), values.reshape(-1, 3).T
    unlike = [float(np.abs(np.diff(each[:, ::7].astype(np.int32), axis=0)).mean()) for each in (pixels, planes)]
    stated, other = unlike[encoded.planar], unlike[not encoded.planar]
    return overrule(encoded, SAMPLES, planar=not encoded.planar) if other < _MUCH_MORE_ALIKE * stated else encoded


def _grey_or_colours(encoded: Encoded, components: int) -> Encoded:
    """The picture with its real number of values per pixel, and a photometric interpretation that fits it."""
    if components != encoded.samples:
        encoded = overrule(encoded, SAMPLES, samples=components)
    is_grey = encoded.photometric.startswith("MONOCHROME") or encoded.palette is not None
    if components == 3 and is_grey:
        if encoded.photometric == "MONOCHROME1":
            raise Unusable(
                "decode",
                "samples_mismatch",
                "The header states MONOCHROME1, the pixel data hold three colours: which end is black is unknown.",
            )
        return overrule(encoded, COLOUR, photometric="RGB", palette=None)
    if components == 1 and not is_grey:
        return overrule(encoded, COLOUR, photometric="MONOCHROME2")
    return encoded


def _planes(encoded: Encoded, planes: int) -> Encoded:
    """RLE: the number of byte planes must be the number of samples times the bytes of each."""
    stated = encoded.samples * encoded.bits_allocated // 8
    if planes == stated:
        return _grey_or_colours(encoded, encoded.samples)
    wanted = 1 if encoded.photometric.startswith("MONOCHROME") or encoded.palette is not None else 3
    fits = [(samples, planes // samples) for samples in (wanted, 4 - wanted) if planes % samples == 0]
    fits = [(samples, size) for samples, size in fits if size in (1, 2)]
    if not fits:
        raise Unusable(
            "decode",
            "samples_mismatch",
            f"The header states {encoded.samples} values a pixel of {encoded.bits_allocated} bits, {stated} planes of "
            f"bytes; the pixel data hold {planes}.",
        )
    samples, size = fits[0]
    if 8 * size != encoded.bits_allocated:
        stored = min(encoded.bits_stored, 8 * size)
        high_bit = max(min(encoded.high_bit, 8 * size - 1), stored - 1)
        encoded = overrule(encoded, BITS, bits_allocated=8 * size, bits_stored=stored, high_bit=high_bit)
    return _grey_or_colours(encoded, samples)


def _precision(encoded: Encoded, stream: Codestream) -> Encoded:
    precision = stream.precision
    if not precision:
        return encoded
    if precision > _MOST_PRECISION:
        raise Unusable(
            "decode", "unsupported_bits", f"The pixel data hold {precision} bits a value; 8 and 16 are read."
        )
    allocated = 8 if precision <= 8 else 16
    if allocated != encoded.bits_allocated:
        # An 8-bit stream in a 16-bit picture, as some writers make it, lacks only zero bits.
        flag = BITS if allocated > encoded.bits_allocated or encoded.bits_stored > 8 else ""
        encoded = overrule(encoded, *filter(None, (flag,)), bits_allocated=allocated)
    if precision <= encoded.high_bit:
        stored = min(encoded.bits_stored, precision)
        encoded = overrule(encoded, BITS, bits_stored=stored, high_bit=precision - 1)
    # Averaging before the sign is known would move values of two's complement to the middle of the range.
    signs_differ = encoded.signed != bool(stream.signed)
    return replace(encoded, keep_whole=signs_differ and stream.kind in ("jpeg", "jpeg_2000", "htj2k"))
