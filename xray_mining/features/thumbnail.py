"""The radiograph made very small, pixel by pixel: the oldest descriptor, and a null model in itself."""

import numpy as np

from xray_mining.features.options import FeatureOptions
from xray_mining.features.picture import Array, Picture
from xray_mining.features.registry import feature
from xray_mining.sets.instrument import Column


def _columns(options: FeatureOptions) -> list[Column]:
    side = options.thumbnail_px
    return [Column(f"thumbnail_{row}_{column}") for row in range(side) for column in range(side)]


@feature(_columns)
def thumbnail(picture: Picture, options: FeatureOptions) -> Array:
    """Grey levels after area resizing of the radiograph without padding, mean 0 and deviation 1; a flat one is nan."""
    import cv2

    side = options.thumbnail_px
    content = np.ascontiguousarray(picture.content, dtype=np.float32)
    area = min(content.shape) >= side
    small = cv2.resize(content, (side, side), interpolation=cv2.INTER_AREA if area else cv2.INTER_LINEAR)
    deviation = small.std()
    if deviation < 1e-6:
        return np.full(side * side, np.nan)
    return ((small - small.mean()) / deviation).astype(np.float64).ravel()
