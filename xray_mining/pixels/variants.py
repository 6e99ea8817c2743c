"""Pictures as another machine might have shown them: the same anatomy in another window, or sharpened."""

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np

Array = np.ndarray[Any, Any]

WINDOW_WIDTH = 0.8
"""Share of the grey range that the window keeps, about its middle; values outside become black or white."""
SHARPENING_SHARE = 0.01
"""Standard deviation of the blur used for sharpening, as a share of the picture's longer side."""


def _window(picture: Array) -> Array:
    """(height, width) float32 in [0, 1] in a narrower window about the middle of the range."""
    return (picture - 0.5) / WINDOW_WIDTH + 0.5


def _sharpened(picture: Array) -> Array:
    """(height, width) float32 plus its difference from a blurred copy (an unsharp mask of strength one)."""
    return 2 * picture - cv2.GaussianBlur(picture, (0, 0), max(1.0, SHARPENING_SHARE * max(picture.shape)))


VARIANTS: dict[str, Callable[[Array], Array]] = {"window": _window, "sharpened": _sharpened}
"""Changes made to test images before they are predicted again, by the name in `predictions.variant`."""


def changed(pictures: Array, boxes: Array, variant: str) -> Array:
    """Pictures of a pixel store, changed within their content boxes; the padding around them stays unchanged.

    Args:
        pictures: (n, side, side) uint8 or uint16.
        boxes: (n, 4) float: left, top, width, height in the store's pixels.
        variant: A name in VARIANTS; '' returns `pictures` unchanged.

    Returns:
        (n, side, side) of the same type as `pictures`.

    Raises:
        KeyError: If there is no such variant.

    Example:
        >>> picture = np.array([[[0, 100, 200, 255]]], np.uint8)
        >>> changed(picture, np.array([[0.0, 0.0, 3.0, 1.0]]), "window")
        array([[[  0,  93, 218, 255]]], dtype=uint8)
    """
    if not variant:
        return pictures
    change, full = VARIANTS[variant], np.iinfo(pictures.dtype).max
    found = pictures.copy()
    for picture, box in zip(found, boxes, strict=True):
        left, top, right, bottom = np.round([box[0], box[1], box[0] + box[2], box[1] + box[3]]).astype(int)
        content = picture[top:bottom, left:right]
        if content.size:
            values = change(content.astype(np.float32) / full)
            picture[top:bottom, left:right] = np.round(np.clip(values, 0, 1) * full).astype(pictures.dtype)
    return found
