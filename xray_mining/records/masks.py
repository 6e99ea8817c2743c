"""masks: outlined structures of radiographs, as run lengths."""

from typing import Any

import dataframely as dy
import numpy as np

from xray_mining.records.record import Record, choice, key, number, text

STRUCTURES = ("lungs", "right_lung", "left_lung", "heart")


class Masks(Record):
    """In the geometry of the store: (side_px, side_px)."""

    table = "masks"
    home = "files"
    question = "one structure outlined on one radiograph"

    image_key = key("the radiograph", primary_key=True)
    structure = choice("the outlined structure; right and left are the patient's", STRUCTURES, primary_key=True)
    source = text("'reference' for masks that came with the archive, else the model")
    set = text("the mask set: 'reference', or the digest of the model and its options", primary_key=True)
    store = text("the pixel store whose geometry it has", primary_key=True)
    run_lengths = dy.List(
        dy.UInt32(), description="lengths of alternating runs in row-major order; the first run is outside"
    )
    quality = number("estimated Dice with the true mask; 1 for reference masks", min=0, max=1)


def encode_mask(mask: np.ndarray[Any, Any]) -> list[int]:
    """Run lengths of a (height, width) bool mask in row-major order; the first run is outside (0 if it is empty).

    Example:
        >>> encode_mask(np.array([[False, True], [True, False]]))
        [1, 2, 1]
    """
    flat = np.concatenate(([False], mask.ravel().astype(bool), [not mask.ravel()[-1]]))
    edges = np.flatnonzero(flat[1:] != flat[:-1])
    return np.diff(np.concatenate(([0], edges))).tolist()


def decode_mask(run_lengths: Any, side_px: int) -> np.ndarray[Any, Any]:
    """The (side_px, side_px) bool mask of run lengths made by `encode_mask`.

    Example:
        >>> decode_mask([1, 2, 1], 2)
        array([[False,  True],
               [ True, False]])
    """
    lengths = np.asarray(run_lengths, dtype=np.int64)
    inside = np.arange(len(lengths)) % 2 == 1
    return np.repeat(inside, lengths).reshape(side_px, side_px)
