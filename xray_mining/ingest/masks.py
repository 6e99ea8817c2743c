"""Mask files beside a radiograph → structures in its pixels, or the reason why a mask cannot be taken."""

from io import BytesIO

import cv2
import numpy as np
from PIL import Image

from xray_mining.archive.radiograph import MaskFile, MaskRule
from xray_mining.archive.source import Source


class MaskFault(Exception):
    """A mask that cannot be taken: it becomes a row of mask_faults. The sentence holds no name and no path."""

    def __init__(self, reason: str, sentence: str) -> None:
        super().__init__(reason, sentence)
        self.reason = reason
        self.sentence = sentence


def structures_of(source: Source, mask: MaskFile, rows: int, columns: int) -> dict[str, np.ndarray]:
    """The structures that a mask file outlines on a picture of `rows` × `columns`, each (height, width) bool.

    Raises MaskFault where the file is not there or no picture, of another size than the picture (where `scaled` says
    that it may be, of another shape), in several colours, or outlines nothing.
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
    """Whether the sides have one ratio, to a pixel of the smaller of two sizes."""
    small, large = sorted((one, other))
    return abs(small[0] * large[1] - small[1] * large[0]) <= max(large)


def _values_of(source: Source, path: bytes) -> np.ndarray:
    """The mask's values, (height, width)."""
    try:
        data = source.read(path)
    except OSError as error:
        raise MaskFault("missing", "The mask file is not there, or may not be read.") from error
    try:
        # OpenCV fills up what was cut off; Pillow says so.
        with Image.open(BytesIO(data)) as image:
            image.load()
        values = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    except (OSError, ValueError, SyntaxError, EOFError, TypeError, OverflowError, cv2.error):
        values = None
    if values is None:
        raise MaskFault("unreadable", "The mask file is no picture that can be read, or was cut off.")
    if values.ndim == 2:
        return values
    colours = values[..., :3]
    if (colours != colours[..., :1]).any():
        raise MaskFault("coloured", "The mask has several colours; masks are read that have one value a pixel.")
    return values[..., 0]


def _outlined(values: np.ndarray, rule: MaskRule) -> np.ndarray:
    if rule.how == "bits":
        return (values & rule.value) > 0
    return values == rule.value if rule.how == "equals" else values >= rule.value
