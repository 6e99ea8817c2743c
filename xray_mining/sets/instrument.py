"""What an instrument is: it turns pictures into numbers, and says what these numbers depend on."""

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
    """A picture that an instrument cannot measure; the message is the reason that its row in the set states."""


class Instrument(Protocol):
    """One way to measure pictures, with its options; `sets.measure` does all the rest.

    An instrument is pickled where several processes measure, so it holds options and no open files. A frozen dataclass
    with these constants, properties and methods is one.
    """

    @property
    def kind(self) -> str:
        """What its sets are called: the folder of the workspace and the section of a study file, as `features`."""
        ...

    @property
    def command(self) -> str:
        """The command that measures with it, as messages name it."""
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
        """Where its code is: MODULE or MODULE:NAME, in a fixed order. See `sets.code`."""
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
        """Whether a frame of its set has one column `vector` in place of a column a number."""
        ...

    @property
    def batch_images(self) -> int:
        """Pictures that `measure` gets at once."""
        ...

    @property
    def part_images(self) -> int:
        """Pictures of one part: what a killed run loses at most, for each process."""
        ...

    @property
    def processes(self) -> bool:
        """Whether several processes measure faster than one; False for what uses all cores or a GPU by itself."""
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
            CannotMeasure: If one of the pictures cannot be measured at all. It is then asked for each alone.
        """
        ...
