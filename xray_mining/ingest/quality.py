"""Visible problems of a picture, found before anything is measured."""

import numpy as np

from xray_mining.ingest.grey import Grey

# A row or column belongs to a border if this share of its content has one value.
_FLAT = 0.995
_BORDER = 0.04
# Grey values that count as equal.
_NEAR = 0.02


def flags_of(grey: Grey, rows: int, columns: int) -> list[str]:
    """Quality flags of one standardised picture: blank, saturated, border, low_resolution."""
    place = grey.placement
    content = grey.picture[place.top : place.top + place.height, place.left : place.left + place.width]
    top = np.iinfo(content.dtype).max
    levels = content[:: max(place.height // 128, 1), :: max(place.width // 128, 1)]
    sample = levels.astype(np.float32) / top
    flags = []
    low, high = (percentile(np.bincount(levels.ravel()), share) / top for share in (0.02, 0.98))
    if high - low < 0.05:
        flags.append("blank")
    elif grey.clipped_fraction > 0.35 or max((sample <= 0).mean(), (sample >= 1).mean()) > 0.5:
        flags.append("saturated")
    if "blank" not in flags and border_fraction(sample) > _BORDER:
        flags.append("border")
    if max(rows, columns) < 256:
        flags.append("low_resolution")
    return flags


def percentile(counts: np.ndarray, share: float) -> float:
    """The value below which a share of the values is, interpolated as in `np.percentile`.

    `counts`: how often each value from 0 on occurs.
    """
    cumulated = np.cumsum(counts)
    rank = share * (cumulated[-1] - 1)
    low, high = np.searchsorted(cumulated, (np.floor(rank), np.ceil(rank)), side="right")
    return float(low + (high - low) * (rank % 1))


def border_fraction(sample: np.ndarray) -> float:
    """Width of the widest flat frame side of a (height, width) picture in [0, 1], as a share of that direction."""
    widest = 0.0
    for lines in (sample, sample[::-1], sample.T, sample.T[::-1]):
        flat = next((place for place, line in enumerate(lines) if not _is_flat(line)), None)
        # If all lines are flat there is no border.
        widest = max(widest, (flat or 0) / len(lines))
    return widest


def _is_flat(line: np.ndarray) -> bool:
    """Whether a line of pixels is nearly constant; black letters or white labels on it are allowed."""
    middle = len(line) // 2
    ordered = np.sort(line)
    median = ordered[middle] if len(line) % 2 else (ordered[middle - 1] + ordered[middle]) / 2
    return bool(np.count_nonzero(np.abs(line - median) < _NEAR) >= _FLAT * len(line))
