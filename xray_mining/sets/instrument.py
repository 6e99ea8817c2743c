"""The interface of an instrument: it turns pictures into numbers, and states what these numbers depend on."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, slots=True)
class Column:
    """One number of a radiograph."""

    name: str
    unit: str = ""


class CannotMeasure(Exception):
    """A picture that an instrument cannot measure; the message becomes the reason in the picture's row of the set."""


class Instrument(Protocol):
    """One way to measure pictures, with its options; `sets.measure` does everything else.

    An instrument is pickled if several processes measure, so it holds options and no open files. A frozen dataclass
    with these constants, properties and methods is an instrument.
    """

    @property
    def kind(self) -> str:
        """Name of its kind of set: the workspace's folder and the study file's section, as `features`."""
        ...

    @property
    def command(self) -> str:
        """The command that measures with it, for messages."""
        ...

    @property
    def options(self) -> Mapping[str, Any]:
        """The options that can change a number, as JSON values without paths."""
        ...

    @property
    def inputs(self) -> Mapping[str, str]:
        """Name and digest of each input other than the pictures: weights, masks."""
        ...

    @property
    def licences(self) -> Mapping[str, str]:
        """Name and licence of each input that has one, as weights."""
        ...

    @property
    def sources(self) -> tuple[str, ...]:
        """Its code: MODULE or MODULE:NAME, in a fixed order. See `sets.code`."""
        ...

    @property
    def packages(self) -> tuple[str, ...]:
        """Installed packages whose versions can change a number."""
        ...

    @property
    def value_type(self) -> str:
        """Type of the stored numbers: float64 or float32."""
        ...

    @property
    def one_vector(self) -> bool:
        """Whether a frame of its set has one column `vector` instead of a column per number."""
        ...

    @property
    def batch_images(self) -> int:
        """Number of pictures that `measure` gets at once."""
        ...

    @property
    def part_images(self) -> int:
        """Number of pictures in one part; a killed run loses at most one part per process."""
        ...

    @property
    def processes(self) -> bool:
        """Whether several processes measure faster than one; False if it uses all cores or a GPU itself."""
        ...

    def columns(self) -> tuple[Column, ...]:
        """Its numbers in order; may load weights."""
        ...

    def measure(self, pictures: Array, boxes: Array) -> Array:
        """Numbers of some pictures.

        Args:
            pictures: (n, side, side) uint8 or uint16, bright = dense.
            boxes: (n, 4) float64: left, top, width, height of the radiograph within its padded square, in pixels.

        Returns:
            (n, columns) float; nan where a number cannot be measured.

        Raises:
            CannotMeasure: If one of the pictures cannot be measured at all. Each picture is then measured alone.
        """
        ...
