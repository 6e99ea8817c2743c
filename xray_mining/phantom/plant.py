"""What can be planted in a phantom population, each with its truth: one registered function per word of `--plant`."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from xray_mining.errors import unknown_name
from xray_mining.phantom.acquisition import Acquisition, draw_acquisition
from xray_mining.phantom.anatomy import Person
from xray_mining.phantom.subject import Disease, Lesion

DuplicateKind = Literal["copy", "reencoded", "header"]
Truth = float | str | None


@dataclass(slots=True)
class Visit:
    """One study of a patient before it is drawn; plants may change it."""

    days: int  # since the first visit
    acquisition: Acquisition
    lesions: tuple[Lesion, ...] = ()
    disease: Disease = field(default_factory=Disease)
    marks: tuple[str, ...] = ()
    duplicates: tuple[DuplicateKind, ...] = ()
    truth: dict[str, Truth] = field(default_factory=dict)


@dataclass(slots=True)
class Patient:
    """One patient before drawing; plants may change it."""

    number: int
    person: Person
    age_years: float  # at the first visit
    visits: list[Visit]
    alias: int | None = None  # the number of another patient id under which the first visit is filed again


@dataclass(frozen=True, slots=True)
class Plant:
    """One word of `--plant`: its change of a patient, and its truth columns."""

    name: str
    columns: Mapping[str, tuple[str, str]]  # name → unit, description
    apply: Callable[[Patient, np.random.Generator], None]
    place: int  # its position in the registry: the order of application, and the number of its random stream
    needs: tuple[str, ...] = ()


_REGISTRY: dict[str, Plant] = {}


def plant(
    columns: Mapping[str, tuple[str, str]], needs: tuple[str, ...] = ()
) -> Callable[[Callable[[Patient, np.random.Generator], None]], Callable[[Patient, np.random.Generator], None]]:
    """Register a function as a word of `--plant`; plants are applied in their order in this file."""

    def register(
        function: Callable[[Patient, np.random.Generator], None],
    ) -> Callable[[Patient, np.random.Generator], None]:
        name = str(getattr(function, "__name__", ""))
        _REGISTRY[name] = Plant(name, dict(columns), function, len(_REGISTRY) + 1, needs)
        return function

    return register


def plants() -> Mapping[str, Plant]:
    """All plants by name."""
    return dict(_REGISTRY)


def chosen(names: tuple[str, ...]) -> list[Plant]:
    """The named plants and those they need, in order of application; UserError for an unknown name."""
    wanted: set[str] = set()
    for name in names:
        if name not in _REGISTRY:
            raise unknown_name("--plant", name, _REGISTRY)
        wanted |= {name, *_REGISTRY[name].needs}
    return sorted((_REGISTRY[name] for name in wanted), key=lambda each: each.place)


@plant({"visit_number": ("1", "which study of the patient this is, from 1")})
def repeats(patient: Patient, rng: np.random.Generator) -> None:
    """Three in ten patients come back once or twice, one to three years apart, and are older then."""
    more = int(rng.choice([0, 1, 2], p=[0.7, 0.2, 0.1]))
    for _ in range(more):
        days = patient.visits[-1].days + int(rng.integers(365, 3 * 365))
        patient.visits.append(Visit(days, draw_acquisition(rng), truth=dict(patient.visits[0].truth)))
    for number, visit in enumerate(patient.visits, 1):
        visit.truth["visit_number"] = float(number)


_NODULE_COLUMNS = {
    f"nodule_{number}_{what}": (unit, f"{words} of nodule {number}")
    for number in (1, 2, 3)
    for what, unit, words in (
        ("x_px", "pixel", "column of the middle"),
        ("y_px", "pixel", "row of the middle"),
        ("diameter_px", "pixel", "drawn diameter"),
        ("diameter_mm", "mm", "true diameter"),
    )
}


@plant({"nodule_count": ("1", "lung nodules"), **_NODULE_COLUMNS})
def nodules(patient: Patient, rng: np.random.Generator) -> None:
    """One patient in six has one to three lung nodules of 7 to 28 mm, at the same places at every visit."""
    count = int(rng.integers(1, 4)) if rng.random() < 1 / 6 else 0
    chance = rng.random((3, 6))
    for visit in patient.visits:
        anatomy = patient.person.anatomy(patient.age_years + visit.days / 365.25)
        high = anatomy.lung_height_mm * visit.acquisition.inspiration_fraction
        lesions = []
        for far in chance[:count]:
            side = -1 if far[0] < 0.5 else 1
            along = 0.22 + 0.50 * far[1]
            near, wide = 0.24 + 0.02 * (side > 0), 0.40 - 0.10 * (1 - along)
            place = (
                side * anatomy.thorax_width_mm * (near + (wide - near) * far[2]),
                high * along,
                0.5 * anatomy.thorax_depth_mm * (far[3] - 0.5),
            )
            lesions.append(Lesion(place, 3.5 + 10.5 * far[4] ** 1.6, 0.75 + 0.25 * far[5]))
        visit.lesions = tuple(lesions)
        visit.truth["nodule_count"] = float(count)


@plant({
    "disease_group": ("", "healthy or diseased: pleural fluid and basal opacities"),
    "disease_strength": ("1", "how much of it is drawn, 0 to 1"),
})  # fmt: skip
def group(patient: Patient, rng: np.random.Generator) -> None:
    """Four in ten patients have pleural fluid or basal opacities, independent of age, sex and how they are imaged."""
    diseased = rng.random() < 0.4
    strength = float(rng.beta(2.0, 1.6))
    side, both = int(rng.integers(2)), rng.random() < 0.35
    fluid = rng.random() < 0.6
    for visit in patient.visits:
        visit.truth["disease_group"] = "diseased" if diseased else "healthy"
        visit.truth["disease_strength"] = strength if diseased else 0.0
        if diseased:
            weights = [1.0 if both or side == index else 0.0 for index in (0, 1)]
            height, share = 25 + 60 * strength if fluid else 0.0, 0.12 + 0.38 * strength
            visit.disease = Disease(
                (height * weights[0], height * weights[1]), (share * weights[0], share * weights[1])
            )


@plant({"gap_group": ("", "plain, or faint where disease is drawn at a third of its strength")}, needs=("group",))
def gap(patient: Patient, rng: np.random.Generator) -> None:
    """In women the disease is drawn at a third of its strength: a model must do worse in them."""
    faint = patient.person.sex == "F"
    for visit in patient.visits:
        visit.truth["gap_group"] = "faint" if faint else "plain"
        if faint:
            fluid, opacity = visit.disease.effusion_mm, visit.disease.opacity
            visit.disease = Disease((fluid[0] / 3, fluid[1] / 3), (opacity[0] / 3, opacity[1] / 3))
            visit.truth["disease_strength"] = float(visit.truth["disease_strength"] or 0.0) / 3


@plant({"shortcut_mark": ("1", "1 where a mark is burned into the upper corner")}, needs=("group",))
def shortcut(patient: Patient, rng: np.random.Generator) -> None:
    """A burned-in mark that follows the disease: 95 % of the diseased have it, 5 % of the healthy."""
    for visit in patient.visits:
        marked = rng.random() < (0.95 if visit.truth["disease_group"] == "diseased" else 0.05)
        visit.truth["shortcut_mark"] = float(marked)
        if marked:
            visit.marks = (*visit.marks, "PORTABLE 2")


@plant({"disease_group_true": ("", "the group before labels were falsified"),
        "label_flipped": ("1", "1 where disease_group is false")}, needs=("group",))  # fmt: skip
def noise(patient: Patient, rng: np.random.Generator) -> None:
    """The label of one patient in ten is false at all visits; disease_group holds the false label."""
    flipped = rng.random() < 0.1
    for visit in patient.visits:
        true = visit.truth["disease_group"]
        visit.truth["disease_group_true"] = true
        visit.truth["label_flipped"] = float(flipped)
        if flipped:
            visit.truth["disease_group"] = "healthy" if true == "diseased" else "diseased"


@plant({"duplicate_copies": ("1", "further files that hold the same instance (files.parquet lists them)")})
def duplicates(patient: Patient, rng: np.random.Generator) -> None:
    """One study in twenty is stored twice: a byte copy, re-encoded in another syntax, or with another header."""
    kinds: tuple[DuplicateKind, ...] = ("copy", "reencoded", "header")
    for visit in patient.visits:
        again = rng.random() < 0.05
        visit.duplicates = (kinds[int(rng.integers(3))],) if again else ()
        visit.truth["duplicate_copies"] = float(len(visit.duplicates))


@plant({"leak_of": ("", "the patient id whose radiograph this one shows again under another patient id")})
def leak(patient: Patient, rng: np.random.Generator) -> None:
    """One patient in twenty has a re-windowed copy under a second patient id, so that folds can share a picture."""
    if rng.random() < 0.05:
        patient.alias = 1_000_000 + patient.number


def shifted(acquisition: Acquisition, rng: np.random.Generator) -> Acquisition:
    """The same exposure in another window, as a second export might show it."""
    return replace(
        acquisition,
        window_shift=acquisition.window_shift + float(rng.choice([-0.05, 0.05])),
        window_stretch=acquisition.window_stretch * float(rng.choice([0.92, 1.09])),
    )
