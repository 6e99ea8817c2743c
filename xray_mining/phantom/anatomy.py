"""One person's thorax as a function of age and sex: every parameter with its unit, trend, spread and source.

A value is centre + slope × (age − 50) + an effect of body height and mass + the person's own deviation, which is the
same at every visit. Centre and slope are interpolated between women and men by the person's build: women have −1, men
+1, each with the spread BUILD_SPREAD. All parameters share the build, because robust women and slight men are so in
many bones at once; therefore sex cannot be read without error. Calcifications and osteophytes follow a latent ageing
clock that starts at zero.

Figures are rounded from the named literature. "remembered" marks figures from general knowledge of the field that were
not checked against the source: trust their order of magnitude, not their decimals.
"""

from dataclasses import dataclass, fields
from typing import Literal

import numpy as np

Sex = Literal["F", "M"]
Shape = Literal["line", "log", "clock"]
BUILD_SPREAD = 0.62  # of half the difference between women and men


@dataclass(frozen=True, slots=True)
class Trend:
    """How one parameter depends on sex and age, and how far people differ."""

    name: str
    unit: str
    description: str
    women: float  # value of women at 50 years (shape log: the median; clock: years until onset)
    men: float
    women_slope: float  # change per year (shape log: of the logarithm; clock: change per year after the onset)
    men_slope: float
    spread: float  # standard deviation between people of one age and sex (shape log: of the logarithm; clock: years)
    least: float
    most: float
    source: str
    shape: Shape = "line"
    per_height: float = 0.0  # change per standard deviation of body height
    per_mass: float = 0.0  # change per standard deviation of body mass index

    def value(self, build: float, age_years: float, deviation: float, height: float, mass: float) -> float:
        """The parameter of a person with a build (−1 women, +1 men); `own` deviations are in standard deviations."""
        share = (build + 1) / 2
        slope = self.women_slope + share * (self.men_slope - self.women_slope)
        if self.shape == "log":
            centre = float(np.exp(np.log(self.women) + share * np.log(self.men / self.women)))
        else:
            centre = self.women + share * (self.men - self.women)
        coupled = self.per_height * height + self.per_mass * mass
        if self.shape == "clock":
            value = slope * (age_years - centre - self.spread * deviation) + coupled
        elif self.shape == "log":
            value = float(np.exp(np.log(centre) + slope * (age_years - 50) + self.spread * deviation + coupled))
        else:
            value = centre + slope * (age_years - 50) + self.spread * deviation + coupled
        return float(min(max(value, self.least), self.most))


_REMEMBERED = "remembered order of magnitude"

TRENDS: tuple[Trend, ...] = (
    Trend("body_height_cm", "cm", "standing height", 163, 176, -0.08, -0.07, 6.5, 140, 205,
          "secular trend and loss of height with age; Sorkin et al., Am J Epidemiol 1999 (remembered)"),
    Trend("body_mass_index_kg_m2", "kg/m2", "body mass index", 26.3, 27.0, 0.05, 0.04, 4.0, 16.5, 45,
          "national health surveys (remembered)"),
    Trend("thorax_width_mm", "mm", "greatest inner width of the rib cage", 255, 286, 0.06, 0.08, 9, 200, 340,
          "normal chest radiograph measures (remembered)", per_height=7, per_mass=3),
    Trend("thorax_depth_mm", "mm", "greatest inner depth of the rib cage", 152, 170, 0.34, 0.34, 9, 105, 240,
          "barrel shape with age and kyphosis; Janssens et al., Eur Respir J 1999 (remembered)", per_mass=6),
    Trend("cardiothoracic_ratio", "1", "heart width over inner thorax width, free of magnification", 0.462, 0.445,
          0.00115, 0.00095, 0.030, 0.32, 0.66,
          "Edge et al., Br J Radiol 1964; Brakohiapa et al., Radiol Res Pract 2017 (remembered)", per_mass=0.009),
    Trend("heart_height_ratio", "1", "height of the heart shadow over its width", 0.84, 0.86, -0.0006, -0.0006, 0.045,
          0.65, 1.05, _REMEMBERED),
    Trend("aortic_arch_width_mm", "mm", "diameter of the aorta at its arch (knob)", 29.5, 32.5, 0.17, 0.18, 2.6, 18, 52,
          "Hannuksela et al., Acta Radiol 2006; Redheuil et al., JACC 2011 (remembered)", per_height=0.6),
    Trend("aortic_calcification_fraction", "1", "share of the arch's outline that is calcified", 60, 57, 0.016, 0.016,
          10, 0, 1, "Iribarren et al., JAMA 2000: rare before 50, common after 70 (remembered)", shape="clock"),
    Trend("aorta_unfolding_mm", "mm", "how far the descending aorta has moved to the left", 6, 6.5, 0.15, 0.15, 3.2,
          0, 30, "elongation of the aorta with age; Sugawara et al., JACC Imaging 2008 (remembered)"),
    Trend("kyphosis_degrees", "degree", "thoracic kyphosis (Cobb angle)", 33, 31, 0.42, 0.30, 7.5, 10, 85,
          "Fon et al., AJR 1980 (remembered): about 26 degrees at 20 years, 40 and more after 70"),
    Trend("bone_density_relative", "1", "mineral density of ribs, spine and clavicles; 1 = a young adult", 0.93, 0.96,
          -0.0066, -0.0036, 0.095, 0.45, 1.35, "Looker et al., Osteoporos Int 1998 (remembered)", per_mass=0.02),
    Trend("rib_cortex_mm", "mm", "thickness of the ribs' cortex", 0.92, 1.05, -0.0050, -0.0042, 0.11, 0.4, 1.6,
          "Holcombe et al., J Anat 2019 (remembered)"),
    Trend("rib_height_mm", "mm", "height of the ribs' cross-section", 12.0, 13.6, 0.008, 0.008, 0.8, 9, 17,
          "Holcombe et al., J Anat 2019 (remembered)"),
    Trend("rib_slope_relative", "1", "descent of the ribs from back to front; 1 = average", 1.0, 1.0, 0.0018, 0.0018,
          0.09, 0.7, 1.4, "Gayzik et al., J Biomech 2008 (remembered)"),
    Trend("lung_height_mm", "mm", "apex to dome of the right lung in full inspiration", 236, 258, -0.30, -0.26, 11, 165,
          320, "vertebral shrinking and kyphosis; " + _REMEMBERED, per_height=8, per_mass=-3),
    Trend("diaphragm_dome_mm", "mm", "height of the right dome above the costophrenic angle", 44, 47, -0.12, -0.12, 6,
          20, 70, "Suwatanapongched et al., AJR 2004 (remembered)"),
    Trend("diaphragm_step_mm", "mm", "how much higher the right dome stands than the left", 13, 13, 0, 0, 6, -8, 32,
          "usual half to one interspace; " + _REMEMBERED),
    Trend("lung_density_relative", "1", "density of lung against soft tissue in full inspiration", 0.27, 0.255,
          -0.0006, -0.0006, 0.022, 0.16, 0.38, "Gevenois et al., AJR 1996 (remembered)"),
    Trend("pulmonary_artery_width_mm", "mm", "width of the right descending pulmonary artery", 12.8, 14.2, 0.025, 0.025,
          1.1, 9, 20, "Chang, Am J Roentgenol 1962 (remembered)"),
    Trend("trachea_width_mm", "mm", "width of the trachea", 16.0, 19.5, 0.03, 0.04, 1.6, 10, 27,
          "Breatnach et al., AJR 1984 (remembered)"),
    Trend("clavicle_length_mm", "mm", "length of the clavicles", 139, 156, 0, 0, 6, 115, 185,
          "forensic osteometry (remembered)", per_height=4),
    Trend("clavicle_width_mm", "mm", "width of the clavicles at mid-shaft", 10.8, 12.9, 0.006, 0.006, 0.9, 8, 17,
          "forensic osteometry (remembered)"),
    Trend("cartilage_calcification_fraction", "1", "share of the costal cartilages that is calcified", 36, 34, 0.012,
          0.012, 13, 0, 1, "McCormick, J Forensic Sci 1980; Rejtarova et al., Biomed Pap 2004 (remembered)",
          shape="clock"),
    Trend("osteophyte_mm", "mm", "size of the vertebral bodies' osteophytes", 46, 42, 0.075, 0.085, 11, 0, 6,
          "Nathan, J Bone Joint Surg 1962 (remembered)", shape="clock"),
    Trend("apical_cap_mm", "mm", "pleural thickening over the apices", 52, 50, 0.09, 0.09, 14, 0, 8,
          "Im et al., Radiology 1989 (remembered)", shape="clock"),
    Trend("muscle_relative", "1", "bulk of the shoulder and chest muscles; 1 = a man of 50", 0.76, 1.0, -0.0032,
          -0.0042, 0.085, 0.4, 1.5, "Janssen et al., J Appl Physiol 2000 (remembered)", per_mass=0.03),
    Trend("subcutaneous_fat_mm", "mm", "fat under the skin of the chest wall", 17, 11, 0.03, 0.03, 2.6, 3, 55,
          _REMEMBERED, per_mass=6),
    Trend("breast_volume_cm3", "cm3", "volume of one breast, in men with the tissue over the pectoral muscle", 420, 80,
          0.006, 0.004, 0.30, 15, 2200, "plastic surgery series (remembered)", shape="log", per_mass=0.22),
    Trend("breast_density_fraction", "1", "share of glandular tissue in the breast", 0.33, 0.20, -0.0048, -0.001, 0.10,
          0.02, 0.9, "Boyd et al., N Engl J Med 1998 (remembered)", per_mass=-0.03),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Anatomy:
    """The true thorax of one person at one visit; names end with the unit; TRENDS explains them."""

    body_height_cm: float
    body_mass_index_kg_m2: float
    thorax_width_mm: float
    thorax_depth_mm: float
    cardiothoracic_ratio: float
    heart_height_ratio: float
    aortic_arch_width_mm: float
    aortic_calcification_fraction: float
    aorta_unfolding_mm: float
    kyphosis_degrees: float
    bone_density_relative: float
    rib_cortex_mm: float
    rib_height_mm: float
    rib_slope_relative: float
    lung_height_mm: float
    diaphragm_dome_mm: float
    diaphragm_step_mm: float
    lung_density_relative: float
    pulmonary_artery_width_mm: float
    trachea_width_mm: float
    clavicle_length_mm: float
    clavicle_width_mm: float
    cartilage_calcification_fraction: float
    osteophyte_mm: float
    apical_cap_mm: float
    muscle_relative: float
    subcutaneous_fat_mm: float
    breast_volume_cm3: float
    breast_density_fraction: float

    @property
    def heart_width_mm(self) -> float:
        """Greatest width of the heart shadow, free of magnification."""
        return self.cardiothoracic_ratio * self.thorax_width_mm

    def truth(self) -> dict[str, float]:
        """Every true measure by its column name, including derived ones."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {**values, "heart_width_mm": self.heart_width_mm}


ANATOMY_COLUMNS: dict[str, tuple[str, str]] = {
    **{trend.name: (trend.unit, trend.description) for trend in TRENDS},
    "heart_width_mm": ("mm", "greatest width of the heart shadow, free of magnification"),
}


@dataclass(frozen=True, slots=True)
class Person:
    """What stays the same at every visit: sex, build and one deviation per trend, in standard deviations."""

    sex: Sex
    build: float
    deviations: tuple[float, ...]

    def anatomy(self, age_years: float) -> Anatomy:
        """This person's thorax at an age in years."""
        height, mass = self.deviations[0], self.deviations[1]
        return Anatomy(**{
            trend.name: trend.value(self.build, age_years, own, height, mass)
            for trend, own in zip(TRENDS, self.deviations, strict=True)
        })  # fmt: skip


def draw_person(sex: Sex, rng: np.random.Generator) -> Person:
    """A random person of a sex; deviations beyond 3 standard deviations are set to 3."""
    deviations = np.clip(rng.standard_normal(len(TRENDS) + 1), -3, 3)
    build = (1.0 if sex == "M" else -1.0) + BUILD_SPREAD * float(deviations[-1])
    return Person(sex, build, tuple(float(each) for each in deviations[:-1]))
