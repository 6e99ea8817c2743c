"""The power spectrum by spatial frequency: sharpness, noise and the fine structure of lung and bone."""

from functools import cache

import numpy as np

from xray_mining.features.options import FeatureOptions
from xray_mining.features.picture import Array, Picture
from xray_mining.features.registry import feature
from xray_mining.sets.instrument import Column

_BANDS = 8


def _columns(options: FeatureOptions) -> list[Column]:
    bands = [Column(f"frequency_power_{band}", "log10 of the share of power") for band in range(_BANDS)]
    return [*bands, Column("frequency_slope", "decades of power a decade of frequency")]


@cache
def _band_of(height: int, width: int) -> Array:
    """Band of each frequency of a real transform, (height, width // 2 + 1): logarithmic up to Nyquist, else -1."""
    rows = np.fft.fftfreq(height)[:, None]
    columns = np.fft.rfftfreq(width)[None, :]
    radius = np.hypot(rows, columns)
    low = 1 / min(height, width)
    with np.errstate(divide="ignore"):
        band = np.floor(np.log(radius / low) / np.log(0.5 / low) * _BANDS + 1e-9)
    return np.where((radius >= low * (1 - 1e-9)) & (radius <= 0.5), np.minimum(band, _BANDS - 1), -1).astype(np.int64)


@feature(_columns)
def frequency(picture: Picture, options: FeatureOptions) -> Array:
    """Shares of power in eight logarithmic bands of the windowed radiograph without padding; a flat one is nan."""
    content = picture.content.astype(np.float64)
    height, width = content.shape
    if min(height, width) < 16 or content.std() < 1e-6:
        return np.full(_BANDS + 1, np.nan)
    window = np.hanning(height)[:, None] * np.hanning(width)[None, :]
    power = np.abs(np.fft.rfft2((content - content.mean()) * window)) ** 2
    band = _band_of(height, width)
    inside = band >= 0
    sums = np.bincount(band[inside], power[inside], minlength=_BANDS)
    counts = np.bincount(band[inside], minlength=_BANDS)
    total = sums.sum()
    shares = np.where((sums > 0) & (counts > 0), np.log10(np.maximum(sums, 1e-300) / max(total, 1e-300)), np.nan)
    density = np.where(counts > 0, np.log10(np.maximum(sums, 1e-300) / np.maximum(counts, 1)), np.nan)
    known = np.isfinite(density) & (sums > 0)
    slope = np.nan
    if known.sum() >= 3:
        decades = (np.arange(_BANDS) + 0.5) * np.log10(0.5 * min(height, width)) / _BANDS
        slope = np.polyfit(decades[known], density[known], 1)[0]
    return np.append(shares, slope)
