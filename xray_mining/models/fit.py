"""One fit of one experiment: the data for a model, and its predictions."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from xray_mining.models.targets import TARGETS, ModelTarget
from xray_mining.records.cohort import FrozenCohort, Target


@dataclass(frozen=True, slots=True)
class Fit:
    """One rotation with one seed."""

    number: int
    """The rotation: the fold that is tested."""
    seed: int
    """-1 for models without random numbers."""
    target: Target
    images: pl.DataFrame
    """image_key, patient_key, study_key, weight, role, and the columns of `ModelTarget.answers`; a row for each member,
    sorted by image_key."""

    @classmethod
    def of(cls, cohort: FrozenCohort, target: str, number: int, seed: int = -1) -> "Fit":
        """The fit of a frozen cohort's rotation."""
        stated = cohort.target(target)
        answers = TARGETS.find(stated.kind).answers(cohort.answers(target), stated)
        images = cohort.roles(number).join(answers, on="image_key", how="left").sort("image_key")
        return cls(number, seed, stated, images)

    @property
    def kind(self) -> ModelTarget:
        """How models learn this kind of target."""
        return TARGETS.find(self.target.kind)

    def rows(self, *roles: str, labelled: bool = False) -> np.ndarray[Any, Any]:
        """Row numbers of `images` with one of these roles, (n,) int64; only those with a known truth if `labelled`."""
        wanted = self.images["role"].is_in(roles).to_numpy()
        if labelled:
            wanted = wanted & self.kind.known(self.truths())
        return np.flatnonzero(wanted)

    @property
    def keys(self) -> list[str]:
        """image_key of every row."""
        return self.images["image_key"].to_list()

    def truths(self) -> np.ndarray[Any, Any]:
        """The truth of every row in the form of its kind of target, float64, one row for each image; nan if unknown."""
        return self.kind.truths(self.images, self.target)


@dataclass(frozen=True, slots=True)
class Fitted:
    """Predictions of one fit for its validation and test images."""

    image_keys: list[str]
    values: np.ndarray[Any, Any]
    """(n,) in the target's unit, or (n, classes) probabilities in the order of target.classes."""
    spread: np.ndarray[Any, Any] | None = None
    """(n,) standard deviation stated by the model, in the target's unit; None if it states none."""

    def __post_init__(self) -> None:
        if len(self.image_keys) != len(self.values):
            raise ValueError(f"{len(self.image_keys)} images but {len(self.values)} predictions")
        if not np.isfinite(self.values).all():
            raise ValueError("predictions must be finite")
