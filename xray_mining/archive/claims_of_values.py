"""A header's claims compared with the decoded values: bits, byte order, sign, padding, tables and windows."""

from dataclasses import dataclass, replace

import numpy as np

from xray_mining.archive.claims import BITS, ENCODING, LUT, PADDING, SIGN, WINDOW, overrule
from xray_mining.archive.radiograph import Encoded, LookUp, Window
from xray_mining.archive.syntaxes import RAW, RLE
from xray_mining.archive.values import looked_up, modality_values, stored_values, windowed

_CLEARLY_SMOOTHER = 0.5
"""If another reading of the values is so much smoother, the header's reading is wrong."""
_SMALL_STEP = 0.15
"""As a share of the range: wrongly read values jump by a third of it or more, neighbours in a picture by far less."""
_SAMPLED_ROWS = 64
_LEAST_PART, _HARDLY_ANY = 0.01, 0.001
_FEW_VALUES = 32
_NEARLY_ALL = 0.99
_MOST = 0.5


@dataclass(frozen=True, slots=True)
class Believed:
    """A picture as its decoded values show it."""

    encoded: Encoded
    values: np.ndarray
    """(height, width) uint8 or uint16; its bytes are swapped if they were in the wrong order."""
    counts: np.ndarray
    """How often each value occurs, (256 or 65536,) int."""


def by_values(encoded: Encoded, values: np.ndarray, counts: np.ndarray, from_colours: bool) -> Believed:
    """The picture as its decoded values show it: bits, byte order, sign, padding, tables and windows.

    Args:
        encoded: The picture as `compared` left it.
        values: (height, width) uint8 or uint16, bit patterns.
        counts: How often each value occurs in a sample of them, (256 or 65536,) int.
        from_colours: The values are the luma of colours, for which bits, tables and windows are not checked.
    """
    if from_colours:
        return Believed(encoded, values, counts)
    stated_bits = encoded.bits_stored
    encoded, values, counts = _bits(encoded, values, counts)
    more_bits = encoded.bits_stored > stated_bits
    # Bits above the high bit carry no value, so the values repeat with that period: look at one period.
    number = min(2 << encoded.high_bit, len(counts))
    of_meaning = counts.reshape(-1, number).sum(axis=0)
    encoded = _sign(encoded, values, of_meaning)
    meaning = stored_values(number, encoded.bits_stored, encoded.high_bit, encoded.signed)
    encoded = _padding(encoded, meaning, of_meaning)
    encoded = _tables(encoded, meaning, of_meaning, more_bits)
    return Believed(encoded, values, counts)


def _bits(encoded: Encoded, values: np.ndarray, counts: np.ndarray) -> tuple[Encoded, np.ndarray, np.ndarray]:
    """Bits above the stated ones: other data, or part of the values; and values at the upper end of the word."""
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
        # A sign extended to the whole word adds no bits.
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
    """Whether bits above the stated ones are a drawing, as overlays are, and no part of the values.

    At the edges of a drawing the values continue as elsewhere. If the upper bits belong to the values, the values jump
    where these bits change: from one end of their range to the other or, in noise, anywhere.
    """
    steps = []
    for lines in (_sample(values), _sample(values.T)):
        changes = np.diff(lines >> (encoded.high_bit + 1), axis=1) != 0
        steps.append(np.abs(np.diff(meaning[lines], axis=1))[changes])
    jumps = np.concatenate(steps)
    return not len(jumps) or float(jumps.mean()) < _SMALL_STEP * (1 << encoded.bits_stored)


def _low_bits_vary(counts: np.ndarray, shift: int) -> bool:
    """Whether the bits below the values' lowest bit differ from pixel to pixel; then they are part of the values."""
    there = np.flatnonzero(counts)
    return len(np.unique(there & ((1 << shift) - 1))) > 1 << (shift - 1)


def _sign(encoded: Encoded, values: np.ndarray, counts: np.ndarray) -> Encoded:
    """PixelRepresentation against the codestream's sign and the values: a wrong sign makes neighbours jump."""
    number = len(counts)
    bits, high_bit = min(encoded.bits_stored, number.bit_length() - 1), encoded.high_bit
    patterns = stored_values(number, bits, high_bit, False)
    per_quarter = np.bincount(patterns >> max(bits - 2, 0), weights=counts, minlength=4)[:4] / max(counts.sum(), 1)
    lowest, low, high, highest = per_quarter
    by_stream = encoded.stream.signed if encoded.stream is not None else None
    least = _CLEARLY_SMOOTHER
    if not encoded.signed and by_stream and low + lowest < 1:
        # The stream states the sign of these values, so the header's sign counts less.
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
    """Some complete rows of a picture, whose neighbours are neighbours in the picture."""
    return values[:: max(len(values) // _SAMPLED_ROWS, 1)]


def _roughness(rows: np.ndarray, scaled: bool = True) -> float:
    """Mean difference of neighbours; if `scaled`, in standard deviations of the values."""
    rows = rows.astype(np.float64)
    step = float(np.abs(np.diff(rows, axis=1)).mean()) if rows.shape[1] > 1 else 0.0
    return step / max(float(rows.std()), 1e-9) if scaled else step


def _padding(encoded: Encoded, meaning: np.ndarray, counts: np.ndarray) -> Encoded:
    """PixelPaddingValue with the sign of the values; ignored if it would cover nearly the whole picture."""
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
    """Modality and VOI tables and windows: kept if they belong to these values and show something of them."""
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
            # Entries of 12 bits in a table that states 16 would show a black picture.
            table = replace(table, bits=max(bits, 1))
        if _within(table, values, there) < _LEAST_PART or shows_nothing(looked_up(values, table), there):
            encoded = overrule(encoded, LUT, voi_lut=None)
        else:
            return encoded if table is encoded.voi_lut else overrule(encoded, LUT, voi_lut=table)
    return _windows(encoded, values, there, more_bits)


def _within(table: LookUp, values: np.ndarray, counts: np.ndarray) -> float:
    """Share of the pixels whose value has its own entry."""
    inside = (values >= table.first) & (values < table.first + len(table.values))
    return float(counts[inside].sum() / counts.sum())


def _placed(table: LookUp, values: np.ndarray, counts: np.ndarray) -> LookUp:
    """The table, with its first value written with the sign of the values."""
    if _within(table, values, counts) >= _LEAST_PART:
        return table
    for first in (table.first - 65536, table.first + 65536):
        other = replace(table, first=first)
        if _within(other, values, counts) > _MOST:
            return other
    return table


def shows_nothing(fraction: np.ndarray, counts: np.ndarray) -> bool:
    """Whether 99 % of the picture is black or white; then the window or table belongs to other values."""
    within = counts[(fraction > 0.001) & (fraction < 0.999)].sum()
    return bool(counts.any()) and within < _LEAST_PART * counts.sum()


def _windows(encoded: Encoded, values: np.ndarray, counts: np.ndarray, more_bits: bool) -> Encoded:
    """The first window that shows something of these values; none if no window does."""
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
        # The window is for more bits: nearly all of it is outside the possible values.
        seen = fraction[counts > 0]
        return bool(seen.max() - seen.min() < _MOST)
    if more_bits:
        # The window may be for the fewer bits that the header states: then much of the picture is clipped.
        at_ends = counts[(fraction <= 0) | (fraction >= 1)].sum()
        return bool(at_ends > _MOST * counts.sum())
    return False
