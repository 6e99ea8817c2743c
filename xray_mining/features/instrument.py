"""Handcrafted features as an instrument."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from xray_mining.features.options import FeatureOptions
from xray_mining.features.picture import picture_of
from xray_mining.features.registry import columns_of, find
from xray_mining.sets.code import imported
from xray_mining.sets.instrument import Column

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, slots=True)
class Features:
    """Families of handcrafted features, side by side.

    Args:
        chosen: What the study says of the set.
    """

    chosen: FeatureOptions
    kind: ClassVar[str] = "features"
    command: ClassVar[str] = "features"
    packages: ClassVar[tuple[str, ...]] = ("numpy", "numba", "opencv-python-headless")
    value_type: ClassVar[str] = "float64"
    one_vector: ClassVar[bool] = False
    batch_images: ClassVar[int] = 64
    part_images: ClassVar[int] = 1024
    processes: ClassVar[bool] = True
    inputs: ClassVar[Mapping[str, str]] = {}
    licences: ClassVar[Mapping[str, str]] = {}

    @property
    def options(self) -> Mapping[str, Any]:
        """The study's options for the set."""
        return self.chosen.model_dump(mode="json")

    @property
    def sources(self) -> tuple[str, ...]:
        """The files of the chosen families, files from which they import, and code that all share."""
        families = [each.compute.__module__ for each in find(self.chosen.families)]
        shared = ("xray_mining.features.picture", "xray_mining.features.instrument:measure")
        apart = ("xray_mining.features.registry", "xray_mining.features.options", *shared)
        return (*shared, *imported(families, ("xray_mining.features", "xray_mining.kernels"), apart))

    def columns(self) -> tuple[Column, ...]:
        """The columns of the families in their order."""
        return tuple(columns_of(self.chosen))

    def measure(self, pictures: Array, boxes: Array) -> Array:
        """(n, columns) float64; nan if a family cannot measure."""
        return np.stack([measure(image, box, self.chosen) for image, box in zip(pictures, boxes, strict=True)])


def measure(image: Array, box: Sequence[float] | Array | None, options: FeatureOptions) -> Array:
    """The numbers of one radiograph, (columns,) float64, in the order of `columns_of(options)`.

    `image` (side, side) uint8 or uint16, bright = dense; `box` left, top, width, height of the radiograph within the
    square, in its pixels; None without padding.
    """
    picture = picture_of(image, box, options)
    return np.concatenate([each.compute(picture, options) for each in find(options.families)])
