"""What can be seen wrong with a picture before anybody measures on it."""

import numpy as np

from xray_mining.ingest.grey import Grey

# Share of the content that must be one value in a row or column for it to be a border.
_FLAT = 0.995
_BORDER = 0.04


def flags_of(grey: Grey, rows: int, columns: int) -> list[str]:
    """Quality flags of one standardised picture: blank, saturated, border, low_resolution."""
    place = grey.placement
    content = grey.picture[place.top : place.top + place.height, place.left : place.left + place.width]
    top = np.iinfo(content.dtype).max
    sample = content[:: max(place.height // 128, 1), :: max(place.width // 128, 1)].astype(np.float32) / top
    flags = []
    low, high = np.percentile(sample, (2, 98))
    if high - low < 0.05:
        flags.append("blank")
    elif grey.clipped_fraction > 0.35 or max((sample <= 0).mean(), (sample >= 1).mean()) > 0.5:
        flags.append("saturated")
    if "blank" not in flags and border_fraction(sample) > _BORDER:
        flags.append("border")
    if max(rows, columns) < 256:
        flags.append("low_resolution")
    return flags


def border_fraction(sample: np.ndarray) -> float:
    """The widest flat frame side of a (height, width) picture in [0, 1], as a share of that direction."""
    widest = 0.0
    for lines in (sample, sample.T):
        # A line of the frame hardly changes along itself: black letters or white labels on it are allowed for.
        flat = np.abs(lines - np.median(lines, axis=1, keepdims=True)) < 0.02
        is_flat = flat.mean(axis=1) >= _FLAT
        inside = np.flatnonzero(~is_flat)
        if len(inside):
            widest = max(widest, inside[0] / len(lines), (len(lines) - 1 - inside[-1]) / len(lines))
    return float(widest)
