"""The border alone, including padding: it shows scanners, sites and markers, and hardly the body."""

import numpy as np

from xray_mining.features.options import FeatureOptions
from xray_mining.features.picture import Array, Picture
from xray_mining.features.registry import feature
from xray_mining.sets.instrument import Column

_SHARE = 0.05
_SEGMENTS = 8
_BINS = 16


def _columns(options: FeatureOptions) -> list[Column]:
    segments = [
        Column(f"border_{side}_{segment}_{statistic}", "grey levels")
        for side in ("top", "bottom", "left", "right")
        for segment in range(_SEGMENTS)
        for statistic in ("mean", "deviation")
    ]
    padding = [Column(f"border_padding_{side}", "share of the side") for side in ("top", "bottom", "left", "right")]
    return [*segments, *(Column(f"border_histogram_{level * 256 // _BINS}") for level in range(_BINS)), *padding]


@feature(_columns)
def border(picture: Picture, options: FeatureOptions) -> Array:
    """Means and deviations along a frame of 5 % of the stored square, its histogram, and the share of padding."""
    values = picture.values
    side = values.shape[0]
    width = max(1, round(side * _SHARE))
    strips = (values[:width], values[-width:], values[:, :width].T, values[:, -width:].T)
    found = []
    for strip in strips:
        for segment in np.array_split(strip, _SEGMENTS, axis=1):
            found += [segment.mean(), segment.std()]
    frame = np.concatenate([strip.ravel() for strip in strips])
    shares = np.bincount(frame // (256 // _BINS), minlength=_BINS) / frame.size
    top, left, bottom, right = picture.box
    padding = [top / side, (side - bottom) / side, left / side, (side - right) / side]
    return np.array([*found, *shares, *padding], dtype=np.float64)
