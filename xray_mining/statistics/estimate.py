"""A number with its confidence interval."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from xray_mining.statistics.measured import UNEQUAL

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Booleans = NDArray[np.bool_]

NORMAL_95 = 1.959963984540054
"""Half width of the central 95 % of a normal distribution, in standard deviations."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value with its interval and the number of patients and images it is computed from; nan if not defined."""

    value: float
    low: float
    high: float
    patients: int
    images: int
    method: str
    caution: str = ""
    """Why the interval may be unreliable; empty if no reason is known."""
    p_value: float = float("nan")

    def __str__(self) -> str:
        return f"{self.value:.3f} ({self.low:.3f} to {self.high:.3f}; {self.patients:,} patients)"

    def with_caution(self, caution: str) -> "Estimate":
        """The same estimate with one more reason for caution."""
        return replace(self, caution="; ".join(each for each in (self.caution, caution) if each))


def owners(patients: ArrayLike | None, units: int) -> Integers:
    """Patients (any labels, (n,)) as numbers 0 … P - 1, (n,) int64; without patients each unit is its own patient."""
    if patients is None:
        return np.arange(units)
    labels = np.asarray(patients)
    if labels.shape != (units,):
        raise ValueError(f"patients has shape {labels.shape}, not ({units},)")
    if labels.dtype.kind in "iu" and units and labels.min() == 0 and labels.max() < 4 * units:
        present = np.bincount(labels.astype(np.int64)) > 0
        return (np.cumsum(present) - 1)[labels]
    return np.unique(labels, return_inverse=True)[1].astype(np.int64)


LEAST_EFFECTIVE = 50
"""Effective number of patients below which simulated intervals held the truth too rarely."""


def effective_patients(owner: Integers) -> float:
    """Effective number of patients (Kish 1965): as many with equally many images would give the same variance."""
    images = np.bincount(owner)
    return float(images.sum() ** 2 / (images**2).sum())


def of_unequal(owner: Integers) -> str:
    """The caution for data in which a few patients have most of the images; empty for other data.

    `measured` has the coverage for the sizes of a real archive (210 patients with up to 66 images, as informative as 43
    patients with equally many).
    """
    few = effective_patients(owner) < min(LEAST_EFFECTIVE, 0.8 * len(np.unique(owner)))
    return UNEQUAL if few else ""


def finite(name: str, values: ArrayLike, shape: tuple[int, ...] | None = None) -> Floats:
    """`values` as float64; ValueError if one is not finite or the shape differs from `shape`."""
    array = np.asarray(values, dtype=np.float64)
    if shape is not None and array.shape != shape:
        raise ValueError(f"{name} has shape {array.shape}, not {shape}")
    if not np.isfinite(array).all():
        raise ValueError(f"{name} has values that are not finite")
    return array


def binary(labels: ArrayLike) -> Booleans:
    """Labels 0 and 1 (or bool), (n,), as bool; ValueError for any other value."""
    array = np.asarray(labels)
    if array.ndim != 1 or not np.isin(array, (0, 1)).all():
        raise ValueError("labels are not a row of 0 and 1")
    return array.astype(bool)
