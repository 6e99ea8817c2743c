"""Agreement with the consensus values of IBSI's digital phantom (made by others; see the README in tests/golden/ibsi).

A value agrees when it rounds to the digits that IBSI prints.
"""

import csv
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

from xray_mining.features.cooccurrence import Picture, cooccurrence
from xray_mining.features.intensity import intensity
from xray_mining.features.options import FeatureOptions

GOLDEN = Path(__file__).parents[1] / "golden/ibsi"
LEVELS = 6
# Our statistics in their order, each with IBSI's identifier.
COOCCURRENCE = {
    "contrast": "ACUI",
    "dissimilarity": "8S9J",
    "inverse_difference_moment": "WF0Z",
    "second_moment": "8ZQL",
    "entropy": "TU9B",
    "correlation": "NI2N",
    "cluster_shade": "7NFM",
    "cluster_prominence": "AE86",
}
INTENSITY = {
    "mean": (0, "Q4LE"),
    "skewness": (2, "KE2A"),
    "kurtosis": (3, "IPH6"),
    "p10": (4, "QG58"),
    "median": (6, "Y12H"),
    "p90": (8, "8DWT"),
    "entropy": (9, "TLU2"),
    "uniformity": (10, "BJ5W"),
}


def consensus(ibsi_id: str, aggregation: str) -> str:
    with (GOLDEN / "digital_phantom.csv").open() as file:
        (row,) = (r for r in csv.DictReader(file) if (r["ibsi_id"], r["aggregation"]) == (ibsi_id, aggregation))
    return row["value"]


def rounds_to(found: float, printed: str) -> bool:
    return abs(Decimal(float(found)) - Decimal(printed)) <= Decimal((0, (5,), Decimal(printed).as_tuple().exponent - 1))


@pytest.fixture(scope="module")
def phantom() -> tuple[np.ndarray, np.ndarray]:
    """Intensities 1 to 6 and the region of interest, both (z, y, x)."""
    x, y, z, value, inside = np.loadtxt(GOLDEN / "digital_phantom_voxels.csv", delimiter=",", skiprows=1, dtype=int).T
    shape = (z.max() + 1, y.max() + 1, x.max() + 1)
    values, roi = np.zeros(shape, np.uint8), np.zeros(shape, bool)
    values[z, y, x], roi[z, y, x] = value, inside == 1
    return values, roi


def picture(values: np.ndarray, roi: np.ndarray) -> Picture:
    return Picture(values, np.where(roi, 0, -1).astype(np.int16), 1, (0, 0, *values.shape))


@pytest.fixture(scope="module")
def by_slice(phantom) -> np.ndarray:
    """Our co-occurrence statistics, (slices, 8): the directions of a slice merged, as IBSI's "2D, slice-merged"."""
    options = FeatureOptions(regions=["whole"], grey_levels=LEVELS, distances_px=[1])
    # The smallest of 256 grey values of each of six levels; values outside the region do not matter.
    values, roi = phantom
    greys = np.ceil((np.where(roi, values, 1).astype(int) - 1) * 256 / LEVELS).astype(np.uint8)
    return np.stack([cooccurrence.compute(picture(*pair), options) for pair in zip(greys, roi, strict=True)])


@pytest.mark.parametrize(("number", "name"), list(enumerate(COOCCURRENCE)))
def test_cooccurrence_is_what_ibsi_agrees_on(by_slice, number, name):
    assert rounds_to(by_slice[:, number].mean(), consensus(COOCCURRENCE[name], "2D, slice-merged"))


@pytest.mark.parametrize("name", list(INTENSITY))
def test_intensity_is_what_ibsi_agrees_on(phantom, name):
    values, roi = (each.reshape(len(each), -1) for each in phantom)
    place, ibsi_id = INTENSITY[name]
    found = intensity.compute(picture(values, roi), FeatureOptions(regions=["whole"]))
    assert rounds_to(found[place], consensus(ibsi_id, "volume"))
