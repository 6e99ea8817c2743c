"""One person as drawn in a radiograph: anatomy, lesions, disease, and random streams."""

from dataclasses import dataclass, field

import numpy as np

from xray_mining.phantom.anatomy import Anatomy


@dataclass(frozen=True, slots=True)
class Lesion:
    """A spherical opacity in the lung; its place is (x, y, z) in mm in the thorax."""

    place_mm: tuple[float, float, float]
    radius_mm: float
    density_relative: float  # above lung, 1 = soft tissue


@dataclass(frozen=True, slots=True)
class Disease:
    """What disease adds to a thorax: fluid in the pleural angle and patchy opacities at the bases."""

    effusion_mm: tuple[float, float] = (0.0, 0.0)  # height of the meniscus above the angle, right and left
    opacity: tuple[float, float] = (0.0, 0.0)  # added density at the base of the right and the left lung


@dataclass(frozen=True, slots=True)
class Subject:
    """A person at one visit, with everything that is drawn."""

    anatomy: Anatomy
    person_seed: tuple[int, ...]  # fixes what is the same at every visit: vessels, ribs' own shape, asymmetry
    lesions: tuple[Lesion, ...] = ()
    disease: Disease = field(default_factory=Disease)

    def chance(self, purpose: int) -> np.random.Generator:
        """The person's random stream for one purpose; the same at every visit, whatever else was drawn."""
        return np.random.default_rng([*self.person_seed, purpose])
