"""Mask files of a radiograph → structures in its pixels, or the reason why a mask cannot be used."""

import cv2
import numpy as np

from xray_mining.archive.opened import opened
from xray_mining.archive.radiograph import MaskFile, MaskRule
from xray_mining.archive.source import Source


class MaskFault(Exception):
    """A mask that cannot be used; it becomes a row of mask_faults. The sentence must contain no name and no path."""

    def __init__(self, reason: str, sentence: str) -> None:
        super().__init__(reason, sentence)
        self.reason = reason
        self.sentence = sentence


def structures_of(source: Source, mask: MaskFile, rows: int, columns: int) -> dict[str, np.ndarray]:
    """The structures that a mask file outlines on a picture of `rows` × `columns`, each (height, width) bool.

    Raises MaskFault if the file is missing or is not a picture, has another size than the picture (with `scaled`:
    another shape), several colours, or outlines nothing.
    """
    values = _values_of(source, mask.path)
    height, width = values.shape[:2]
    if (height, width) != (rows, columns) and not (mask.scaled and _same_shape((height, width), (rows, columns))):
        raise MaskFault(
            "other_shape" if mask.scaled else "other_size",
            f"The mask has {height} by {width} pixels, its picture {rows} by {columns}.",
        )
    found = {rule.structure: _outlined(values, rule) for rule in mask.rules}
    if not any(each.any() for each in found.values()):
        raise MaskFault("empty", "No pixel of the mask has a value that the mapping names for a structure.")
    return found


def _same_shape(one: tuple[int, int], other: tuple[int, int]) -> bool:
    """Whether the sides have the same ratio, to within a pixel of the smaller size."""
    small, large = sorted((one, other))
    return abs(small[0] * large[1] - small[1] * large[0]) <= max(large)


def _values_of(source: Source, path: bytes) -> np.ndarray:
    """The mask's values, (height, width)."""
    try:
        data = source.read(path)
    except OSError as error:
        raise MaskFault("missing", "The mask file is missing, or may not be read.") from error
    try:
        # OpenCV silently fills missing pixels; Pillow raises an error.
        with opened(data) as image:
            image.load()
        values = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    except (OSError, ValueError, SyntaxError, EOFError, TypeError, OverflowError, cv2.error):
        values = None
    if values is None:
        raise MaskFault("unreadable", "The mask file cannot be read as a picture, or was cut off.")
    if values.ndim == 2:
        return values
    colours = values[..., :3]
    if (colours != colours[..., :1]).any():
        raise MaskFault("coloured", "The mask has several colours; a mask must have one value per pixel.")
    return values[..., 0]


def _outlined(values: np.ndarray, rule: MaskRule) -> np.ndarray:
    if rule.how == "bits":
        return (values & rule.value) > 0
    return values == rule.value if rule.how == "equals" else values >= rule.value
