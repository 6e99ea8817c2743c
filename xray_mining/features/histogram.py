"""The grey-level histogram alone: what can be known without positions."""

import numpy as np

from xray_mining.features.intensity import histograms
from xray_mining.features.options import FeatureOptions
from xray_mining.features.picture import Array, Picture
from xray_mining.features.registry import feature
from xray_mining.sets.instrument import Column

_BINS = 64


def _columns(options: FeatureOptions) -> list[Column]:
    return [Column(f"histogram_{level * 256 // _BINS}") for level in range(_BINS)]


@feature(_columns, turns=True)
def histogram(picture: Picture, options: FeatureOptions) -> Array:
    """Shares of 64 grey bins over the radiograph without its padding."""
    counts = histograms(picture.values, picture.zones, picture.zone_count).sum(axis=0)
    shares = counts.reshape(_BINS, -1).sum(axis=1).astype(np.float64)
    return shares / shares.sum() if shares.any() else np.full(_BINS, np.nan)
