"""How a radiograph is taken: makers, exposure, geometry, positioning; all drawn independently of age, sex and group."""

from dataclasses import dataclass
from typing import Literal

import numpy as np


@dataclass(frozen=True, slots=True)
class Maker:
    """A make of detector and the look of its pictures; names are invented, so that no real product is judged."""

    manufacturer: str
    model: str
    modality: Literal["DX", "CR"]
    photons: float  # quanta per square millimetre of detector without an object
    blur_mm: float  # standard deviation of the detector's point spread
    sharpening: float  # weight of the detail added back
    compression: float  # share of the slow variation that is removed (dynamic range compression)
    gamma: float  # of the tone curve
    bits_stored: int
    photometric: Literal["MONOCHROME1", "MONOCHROME2"]
    aspect: float  # columns over rows


MAKERS: tuple[Maker, ...] = (
    Maker("Nordlicht Imaging", "Aurora DR 43", "DX", 520_000, 0.22, 0.45, 0.12, 1.00, 12, "MONOCHROME2", 1.0),
    Maker("Meridian Medical", "Clarus X2", "DX", 380_000, 0.27, 0.70, 0.22, 0.92, 12, "MONOCHROME1", 1.0),
    Maker("Tidewater Systems", "Plate Reader 5", "CR", 190_000, 0.38, 0.28, 0.05, 1.08, 10, "MONOCHROME1", 0.82),
    Maker("Halden Roentgen", "Mobil 7", "DX", 270_000, 0.30, 0.50, 0.10, 0.96, 14, "MONOCHROME2", 0.86),
)

INSTITUTIONS = ("Fjordside Hospital", "Kettle Bay Clinic", "Saint Orla Infirmary")

TRANSFER_SYNTAXES: tuple[tuple[str, float], ...] = (
    ("1.2.840.10008.1.2.1", 0.34),  # explicit little endian
    ("1.2.840.10008.1.2", 0.16),  # implicit little endian
    ("1.2.840.10008.1.2.5", 0.16),  # RLE
    ("1.2.840.10008.1.2.4.70", 0.14),  # JPEG lossless, first-order prediction
    ("1.2.840.10008.1.2.4.80", 0.12),  # JPEG-LS lossless
    ("1.2.840.10008.1.2.4.90", 0.08),  # JPEG 2000 lossless
)


@dataclass(frozen=True, slots=True)
class Acquisition:
    """One exposure of one person."""

    maker: Maker
    institution: str
    transfer_syntax_uid: str
    view_position: Literal["PA", "AP"]
    source_distance_mm: float
    gap_mm: float  # skin to detector
    field_mm: float  # longer side of the picture, on the detector
    rotation_degrees: float
    inspiration_fraction: float  # of the full lung height
    exposure_relative: float
    offset_x_mm: float
    offset_y_mm: float
    shutter_mm: tuple[float, float, float, float]  # left, right, top, bottom; 0 = open
    tilt_degrees: float  # roll of the person in the picture
    scapula_spread_mm: float
    window_shift: float  # of the grey range
    window_stretch: float
    side_marker: bool
    scatter_fraction: float


def draw_acquisition(rng: np.random.Generator) -> Acquisition:
    """A random exposure, independent of the person."""
    frontal = rng.random() < 0.72
    maker = MAKERS[int(rng.choice(3))] if frontal else MAKERS[int(rng.choice([0, 2, 3]))]
    codes = [code for code, _ in TRANSFER_SYNTAXES]
    shutter = tuple(float(each) for each in np.where(rng.random(4) < 0.09, rng.uniform(3, 16, 4), 0.0))
    return Acquisition(
        maker=maker,
        institution=str(rng.choice(INSTITUTIONS)),
        transfer_syntax_uid=str(rng.choice(codes, p=[share for _, share in TRANSFER_SYNTAXES])),
        view_position="PA" if frontal else "AP",
        source_distance_mm=float(rng.normal(1800, 25) if frontal else rng.normal(1120, 50)),
        gap_mm=float(rng.uniform(12, 25) if frontal else rng.uniform(35, 60)),
        field_mm=float(np.clip(rng.normal(392, 17), 350, 435)),
        rotation_degrees=float(rng.normal(0, 1.8 if frontal else 3.4)),
        inspiration_fraction=float(np.clip(rng.normal(0.95 if frontal else 0.86, 0.035), 0.72, 1.0)),
        exposure_relative=float(np.exp(rng.normal(0, 0.28))),
        offset_x_mm=float(rng.normal(0, 6)),
        offset_y_mm=float(rng.normal(0, 8)),
        shutter_mm=shutter,  # ty: ignore[invalid-argument-type]
        tilt_degrees=float(rng.normal(0, 1.0)),
        scapula_spread_mm=float(rng.normal(14, 7) if frontal else rng.normal(-6, 7)),
        window_shift=float(rng.normal(0, 0.03)),
        window_stretch=float(np.exp(rng.normal(0, 0.07))),
        side_marker=bool(rng.random() < 0.55),
        scatter_fraction=float(rng.uniform(0.10, 0.17) if frontal else rng.uniform(0.15, 0.24)),
    )
