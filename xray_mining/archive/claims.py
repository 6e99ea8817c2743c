"""A header is a claim, the content is what there is: the one place that compares the two.

Three looks, each at what the one before leaves: `native` and `framed` at lengths, `compared` at what a compressed
picture says of itself (before it is decoded), `by_values` at the decoded values. Where the content is unambiguous it
wins: the fields of `Encoded` are set to what it says, and a quality flag in `overruled` says which claim was overruled.
Where it is not, the frame is rejected with a sentence that names the two.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from xray_mining.archive.codestream import END, Codestream, end_of, png_end, stream_of
from xray_mining.archive.radiograph import Encoded, LookUp, Unusable, Window
from xray_mining.archive.values import looked_up, modality_values, stored_values, windowed

IMPLICIT = "1.2.840.10008.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"
DEFLATED = "1.2.840.10008.1.2.1.99"
BIG_ENDIAN = "1.2.840.10008.1.2.2"
RAW = (IMPLICIT, EXPLICIT, DEFLATED, BIG_ENDIAN)
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
PICTURES = ("png", "jpeg", "tiff", "bmp")

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
"""The transfer syntaxes of each kind of codestream; the first is taken where the header names none of them."""
_BEGINNINGS = (b"\xff\xd8\xff", b"\xff\x4f\xff\x51", b"\x00\x00\x00\x0cjP  ")
_MOST_PRECISION = 16
_CLEARLY_SMOOTHER = 0.5
"""A reading of the values is believed against the header where it is so much smoother."""
_SMALL_STEP = 0.15
"""Of their range: torn values jump by a third of it and more, neighbours in a picture differ by far less."""
_MUCH_LIKER = 0.1
"""The order of colours is believed against the header where they are so much more alike: the picture is grey."""
_SAMPLED_ROWS = 64
_LEAST_PART, _HARDLY_ANY = 0.01, 0.001
_FEW_VALUES = 32
_NEARLY_ALL = 0.99
_MOST = 0.5


def overrule(encoded: Encoded, *flags: str, **fields: Any) -> Encoded:
    """The picture with `fields` as the content has them, and the flags of the claims that this contradicts."""
    return replace(encoded, **fields, overruled=tuple(dict.fromkeys((*encoded.overruled, *flags))))


# ---- lengths ---------------------------------------------------------------------------------------------------------


def native_bytes(encoded: Encoded) -> int:
    """Bytes of one uncompressed frame."""
    values = encoded.rows * encoded.columns * encoded.samples
    if encoded.samples == 3 and encoded.photometric == "YBR_FULL_422":
        values = values // 3 * 2
    return values * encoded.bits_allocated // 8


def native(encoded: Encoded, length: int, count: int, cut: bool) -> tuple[Encoded, int]:
    """The picture and its number of frames as the length of uncompressed pixel data has them.

    Args:
        encoded: The picture as the header states it.
        length: Bytes of the pixel data: as their element states it, or what is left of the file where it is `cut`.
        count: NumberOfFrames, at least 1.
        cut: The file ends before the element does.

    Raises:
        Unusable: The length is not that of what the header states, nor of anything else for certain.
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
        # The whole frames are used; the one that is not whole is accounted for by its own reject.
        return encoded, count
    raise Unusable(
        "decode",
        "length_mismatch",
        f"The header states {_in_words(encoded, count)}, {size * count:,} bytes; the pixel data are {length:,} bytes "
        f"long.",
    )


def _explanations(encoded: Encoded) -> list[Encoded]:
    """What else the header may mean, where a second element of it says the same as the length would."""
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
    """Whether a fragment of encapsulated pixel data begins a compressed picture, and does not go on with one."""
    return bytes(fragment[:8]).startswith(_BEGINNINGS) or stream_of(fragment) is not None


def framed(fragments: list[Any], count: int) -> list[list[Any]] | None:
    """The fragments of each frame as the beginnings of codestreams divide them; None where they do not tell."""
    if not fragments or not begins_picture(fragments[0]):
        return [[each] for each in fragments] if len(fragments) == count > 1 else None
    frames: list[list[Any]] = []
    for each in fragments:
        if begins_picture(each):
            frames.append([])
        frames[-1].append(each)
    return frames


# ---- what a header says alone ----------------------------------------------------------------------------------------


def of_header(encoded: Encoded) -> Encoded:
    """What elements of one header say against one another."""
    flags = []
    if encoded.trouble_with_rescale:
        flags.append(RESCALE)
    if encoded.trouble_with_window:
        flags.append(WINDOW)
    tables = (encoded.modality_lut, encoded.voi_lut, *(encoded.palette or ()))
    if any(each is not None and each.lacking for each in tables):
        flags.append(LUT)
    # PS3.3 C.8.11.3.1.2: INVERSE goes with MONOCHROME1, IDENTITY with MONOCHROME2. Viewers go by the photometric
    # interpretation, and so do we.
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


# ---- header against codestream ---------------------------------------------------------------------------------------


def compared(encoded: Encoded) -> Encoded:
    """The picture as its codestream has it, without bytes after its end. Raises Unusable where the two contradict."""
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
    # One byte may fill up an odd length.
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
        # Decoders want the mark, though nothing else is missing.
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
    # A stream that states another size may be a bomb, and what spacing such a picture has nobody knows.
    stated = encoded.rows, encoded.columns
    if stream.rows and stream.columns and stated != (stream.rows, stream.columns):
        raise other_size(encoded, stream.rows, stream.columns)


def other_size(encoded: Encoded, rows: int, columns: int) -> Unusable:
    """The reject of pixel data of another size than the header states."""
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
        # The stream's own transform, which the decoder undoes.
        stated = "RGB"
    if stream.components == 3 and stream.colours and stated != stream.colours:
        # The decoder goes by the stream's marks, too.
        encoded = overrule(encoded, COLOUR, photometric="RGB" if stream.colours == "RGB" else "YBR_FULL")
    return encoded


def _planar(encoded: Encoded) -> Encoded:
    """PlanarConfiguration of native colours: read the wrong way, the three values of a pixel are not alike."""
    size = 3 * encoded.rows * encoded.columns
    if encoded.samples != 3 or native_bytes(encoded) != size * encoded.bits_allocated // 8:
        return encoded
    values = np.frombuffer(encoded.data, np.uint8 if encoded.bits_allocated == 8 else np.uint16)[:size]
    if len(values) < size or encoded.photometric.startswith("YBR"):
        return encoded
    planes, pixels = values.reshape(3, -1), values.reshape(-1, 3).T
    unlike = [float(np.abs(np.diff(each[:, ::7].astype(np.int32), axis=0)).mean()) for each in (pixels, planes)]
    stated, other = unlike[encoded.planar], unlike[not encoded.planar]
    return overrule(encoded, SAMPLES, planar=not encoded.planar) if other < _MUCH_LIKER * stated else encoded


def _grey_or_colours(encoded: Encoded, components: int) -> Encoded:
    """The picture with as many values a pixel as there are, and a photometric interpretation that goes with them."""
    if components != encoded.samples:
        encoded = overrule(encoded, SAMPLES, samples=components)
    is_grey = encoded.photometric.startswith("MONOCHROME") or encoded.palette is not None
    if components == 3 and is_grey:
        if encoded.photometric == "MONOCHROME1":
            raise Unusable(
                "decode",
                "samples_mismatch",
                "The header states MONOCHROME1, the pixel data hold three colours: which end is black nobody can say.",
            )
        return overrule(encoded, COLOUR, photometric="RGB", palette=None)
    if components == 1 and not is_grey:
        return overrule(encoded, COLOUR, photometric="MONOCHROME2")
    return encoded


def _planes(encoded: Encoded, planes: int) -> Encoded:
    """RLE: the number of byte planes is that of the samples times the bytes of each."""
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
        # A stream of 8 bits in a picture of 16, as writers have it, takes nothing from it but the zeros.
        said = BITS if allocated > encoded.bits_allocated or encoded.bits_stored > 8 else ""
        encoded = overrule(encoded, *filter(None, (said,)), bits_allocated=allocated)
    if precision <= encoded.high_bit:
        stored = min(encoded.bits_stored, precision)
        encoded = overrule(encoded, BITS, bits_stored=stored, high_bit=precision - 1)
    # Averaged before their sign is known, values of two's complement would be torn to the middle of the range.
    signs_differ = encoded.signed != bool(stream.signed)
    return replace(encoded, keep_whole=signs_differ and stream.kind in ("jpeg", "jpeg_2000", "htj2k"))


# ---- header against values -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Believed:
    """A picture as its values have it."""

    encoded: Encoded
    values: np.ndarray
    """(height, width) uint8 or uint16: with its bytes changed over where they were the wrong way round."""
    counts: np.ndarray
    """How often each value occurs, (256 or 65536,) int."""


def by_values(encoded: Encoded, values: np.ndarray, counts: np.ndarray, from_colours: bool) -> Believed:
    """The picture as its decoded values have it: bits, byte order, sign, padding, tables and windows.

    Args:
        encoded: The picture as `compared` left it.
        values: (height, width) uint8 or uint16, bit patterns.
        counts: How often each value occurs in a sample of them, (256 or 65536,) int.
        from_colours: The values are the luma of colours: bits, tables and windows do not concern them.
    """
    if from_colours:
        return Believed(encoded, values, counts)
    stated_bits = encoded.bits_stored
    encoded, values, counts = _bits(encoded, values, counts)
    more_bits = encoded.bits_stored > stated_bits
    # Bits above the high bit say nothing: what follows repeats itself, and is looked at for one repetition.
    number = min(2 << encoded.high_bit, len(counts))
    of_meaning = counts.reshape(-1, number).sum(axis=0)
    encoded = _sign(encoded, values, of_meaning)
    meaning = stored_values(number, encoded.bits_stored, encoded.high_bit, encoded.signed)
    encoded = _padding(encoded, meaning, of_meaning)
    encoded = _tables(encoded, meaning, of_meaning, more_bits)
    return Believed(encoded, values, counts)


def _bits(encoded: Encoded, values: np.ndarray, counts: np.ndarray) -> tuple[Encoded, np.ndarray, np.ndarray]:
    """Bits above the stated ones: other values' bits, or part of these; and bits at the other end of the word."""
    number, above = len(counts), 2 << encoded.high_bit
    shift = encoded.high_bit - encoded.bits_stored + 1
    if shift > 0 and not counts[1 << encoded.bits_stored :].any() and _low_bits_vary(counts, shift):
        return overrule(encoded, BITS, high_bit=encoded.bits_stored - 1), values, counts
    if above >= number:
        return encoded, values, counts
    stream = encoded.stream
    lacking = stream is not None and stream.precision > encoded.high_bit + 1
    if not counts[above:].any() and not (lacking and values.max() >= above):
        return encoded, values, counts
    may_be_signed = encoded.signed or (stream is not None and stream.signed)
    if may_be_signed and not counts[above // 2 : number - above // 2].any():
        # Signs that are written out to the whole word are no bits of their own.
        return encoded, values, counts
    rows = _sample(values)
    if encoded.syntax in (*RAW, RLE) and encoded.high_bit < 12:
        turned = rows.byteswap()
        if not (turned >= above).any() and _roughness(turned) < _CLEARLY_SMOOTHER * _roughness(rows):
            order = np.arange(number, dtype=np.uint16).byteswap()
            return overrule(encoded, ENCODING), values.byteswap(), counts[order]
    meaning = stored_values(number, encoded.bits_stored, encoded.high_bit, encoded.signed)
    if _laid_over(values, encoded, meaning):
        return encoded, values, counts
    bits = number.bit_length() - 1 if stream is None or not stream.precision else stream.precision
    whole = stored_values(number, bits, bits - 1, encoded.signed)[rows]
    if _roughness(whole) < _roughness(meaning[rows]):
        return overrule(encoded, BITS, bits_stored=bits, high_bit=bits - 1), values, counts
    return encoded, values, counts


def _laid_over(values: np.ndarray, encoded: Encoded, meaning: np.ndarray) -> bool:
    """Whether bits above the stated ones are a drawing of their own, as overlays are, and no part of the values.

    Where a drawing begins or ends, the values go on as elsewhere. Values whose upper bits were cut off are torn where
    these bits change: there they jump from one end of their range to the other or, in noise, anywhere.
    """
    steps = []
    for lines in (_sample(values), _sample(values.T)):
        changes = np.diff(lines >> (encoded.high_bit + 1), axis=1) != 0
        steps.append(np.abs(np.diff(meaning[lines], axis=1))[changes])
    jumps = np.concatenate(steps)
    return not len(jumps) or float(jumps.mean()) < _SMALL_STEP * (1 << encoded.bits_stored)


def _low_bits_vary(counts: np.ndarray, shift: int) -> bool:
    """Whether the bits below a value's lowest differ from pixel to pixel: they are part of it."""
    there = np.flatnonzero(counts)
    return len(np.unique(there & ((1 << shift) - 1))) > 1 << (shift - 1)


def _sign(encoded: Encoded, values: np.ndarray, counts: np.ndarray) -> Encoded:
    """PixelRepresentation against the codestream's sign and against the values: a wrong sign tears a picture apart."""
    number = len(counts)
    bits, high_bit = min(encoded.bits_stored, number.bit_length() - 1), encoded.high_bit
    patterns = stored_values(number, bits, high_bit, False)
    per_quarter = np.bincount(patterns >> max(bits - 2, 0), weights=counts, minlength=4)[:4] / max(counts.sum(), 1)
    lowest, low, high, highest = per_quarter
    by_stream = encoded.stream.signed if encoded.stream is not None else None
    least = _CLEARLY_SMOOTHER
    if not encoded.signed and by_stream and low + lowest < 1:
        # The stream itself states the sign of these values: the header's word against it counts less.
        torn, least = True, 1.0
    elif encoded.signed:
        torn = min(low, high) >= _HARDLY_ANY
    else:
        highest_values = np.bincount(patterns, weights=counts, minlength=1 << bits)[3 << max(bits - 2, 0) :]
        many = bits >= 8 and np.count_nonzero(highest_values) >= _FEW_VALUES
        torn = many and min(lowest, highest) >= _LEAST_PART and low + high < _HARDLY_ANY
    if not torn:
        return encoded
    rows = _sample(values) & (number - 1)
    stated, other = (
        _roughness(stored_values(number, bits, high_bit, each)[rows], scaled=False)
        for each in (encoded.signed, not encoded.signed)
    )
    return overrule(encoded, SIGN, signed=not encoded.signed) if other < least * stated else encoded


def _sample(values: np.ndarray) -> np.ndarray:
    """Some whole rows of a picture: neighbours in them are neighbours in the picture."""
    return values[:: max(len(values) // _SAMPLED_ROWS, 1)]


def _roughness(rows: np.ndarray, scaled: bool = True) -> float:
    """Mean difference of neighbours, in standard deviations of the values where it is `scaled`."""
    rows = rows.astype(np.float64)
    step = float(np.abs(np.diff(rows, axis=1)).mean()) if rows.shape[1] > 1 else 0.0
    return step / max(float(rows.std()), 1e-9) if scaled else step


def _padding(encoded: Encoded, meaning: np.ndarray, counts: np.ndarray) -> Encoded:
    """PixelPaddingValue: of the sign that the values have; never nearly the whole picture."""
    if encoded.padding is None:
        return encoded
    low, high = encoded.padding
    least, most = int(meaning.min()), int(meaning.max())
    if not least <= low <= most:
        moved = -(1 << 16) if low > most else 1 << 16
        if least <= low + moved <= most:
            low, high = low + moved, min(high + moved, most)
            encoded = overrule(encoded, PADDING, padding=(low, high))
    total = counts.sum()
    if total and counts[(meaning >= low) & (meaning <= high)].sum() >= _NEARLY_ALL * total:
        return overrule(encoded, PADDING, padding=None)
    return encoded


def _tables(encoded: Encoded, meaning: np.ndarray, counts: np.ndarray, more_bits: bool) -> Encoded:
    """Modality and VOI tables and windows: of these values, and showing something of them."""
    there = counts.astype(np.float64)
    if encoded.padding is not None:
        there = there * ~((meaning >= encoded.padding[0]) & (meaning <= encoded.padding[1]))
    total = there.sum()
    if not total:
        return encoded
    if encoded.palette is not None:
        tables = [_placed(each, meaning, there) for each in encoded.palette]
        if any(table is not before for table, before in zip(tables, encoded.palette, strict=True)):
            encoded = overrule(encoded, LUT, palette=(tables[0], tables[1], tables[2]))
        return encoded
    if encoded.modality_lut is not None:
        table = _placed(encoded.modality_lut, meaning, there)
        if _within(table, meaning, there) < _LEAST_PART:
            encoded = overrule(encoded, LUT, modality_lut=None)
        elif table is not encoded.modality_lut:
            encoded = overrule(encoded, LUT, modality_lut=table)
    values = modality_values(meaning, encoded)
    if encoded.voi_lut is not None:
        table = _placed(encoded.voi_lut, values, there)
        bits = int(table.values.max()).bit_length()
        if bits < table.bits - 1:
            # Entries of 12 bits in a table that says 16 would show a black picture.
            table = replace(table, bits=max(bits, 1))
        if _within(table, values, there) < _LEAST_PART or shows_nothing(looked_up(values, table), there):
            encoded = overrule(encoded, LUT, voi_lut=None)
        else:
            return encoded if table is encoded.voi_lut else overrule(encoded, LUT, voi_lut=table)
    return _windows(encoded, values, there, more_bits)


def _within(table: LookUp, values: np.ndarray, counts: np.ndarray) -> float:
    """Share of the pixels whose value has an entry of its own."""
    inside = (values >= table.first) & (values < table.first + len(table.values))
    return float(counts[inside].sum() / counts.sum())


def _placed(table: LookUp, values: np.ndarray, counts: np.ndarray) -> LookUp:
    """The table where its first value is written with the sign that the values have."""
    if _within(table, values, counts) >= _LEAST_PART:
        return table
    for first in (table.first - 65536, table.first + 65536):
        other = replace(table, first=first)
        if _within(other, values, counts) > _MOST:
            return other
    return table


def shows_nothing(fraction: np.ndarray, counts: np.ndarray) -> bool:
    """Whether all but a hundredth of the picture is black or white: the window or table belongs to other values."""
    within = counts[(fraction > 0.001) & (fraction < 0.999)].sum()
    return bool(counts.any()) and within < _LEAST_PART * counts.sum()


def _windows(encoded: Encoded, values: np.ndarray, counts: np.ndarray, more_bits: bool) -> Encoded:
    """The first window that shows something of these values; none where none does."""
    if not encoded.windows:
        return encoded
    fit = [each for each in encoded.windows if not _of_other_values(each, values, counts, more_bits)]
    if fit and fit[0] is encoded.windows[0]:
        return encoded
    return overrule(encoded, WINDOW, windows=tuple(fit))


def _of_other_values(window: Window, values: np.ndarray, counts: np.ndarray, more_bits: bool) -> bool:
    fraction = windowed(values, window)
    if shows_nothing(fraction, counts):
        return True
    if not values.min() <= window.centre <= values.max():
        # A window for more bits: nearly all of it lies where no value can be.
        seen = fraction[counts > 0]
        return bool(seen.max() - seen.min() < _MOST)
    if more_bits:
        # The window may be for the fewer bits that the header states: then much of the picture is at its ends.
        at_ends = counts[(fraction <= 0) | (fraction >= 1)].sum()
        return bool(at_ends > _MOST * counts.sum())
    return False
