"""Apply fitted models to new pictures: the interface of an applied fit, and the files that it needs."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from xray_mining.errors import UserError
from xray_mining.ingest.options import GreyOptions
from xray_mining.models.kinds import KINDS, kind_named
from xray_mining.models.notes import read_notes
from xray_mining.records.cohort import Target

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, slots=True)
class Pictures:
    """Pictures to which several models are applied; a measurement that several models need is made once."""

    values: Array
    """(n, side, side) uint8 or uint16 as in the pixel store, bright = dense."""
    boxes: Array
    """(n, 4) float64: left, top, width, height of each radiograph within the square."""
    _made: dict[str, Array] = field(default_factory=dict, compare=False, repr=False)

    def once(self, name: str, make: Callable[[], Array]) -> Array:
        """The result of `make`, (n, …), computed at the first call with this name and then kept."""
        if name not in self._made:
            self._made[name] = make()
        return self._made[name]


class Applied(Protocol):
    """One fit that can be applied to pictures."""

    @property
    def target(self) -> Target:
        """The target that it predicts."""
        ...

    @property
    def grey(self) -> GreyOptions:
        """How pictures are standardised for it."""
        ...

    @property
    def licences(self) -> tuple[str, ...]:
        """Licences of the pretrained weights that it uses."""
        ...

    def of(self, pictures: Pictures) -> tuple[Array, Array | None]:
        """(n,) numbers or (n, classes) probabilities before calibration, and the model's own spread (n,) or None."""
        ...


@dataclass(frozen=True, slots=True)
class Means:
    """Further files that a model may need to be applied."""

    root: Path | None = None
    """The workspace whose pixel stores have the grey options of models that do not state them."""
    weights: Sequence[Path] = ()
    """Weights files of frozen networks; a model stores only their name and digest."""
    loaded: dict[str, Any] = field(default_factory=dict, compare=False, repr=False)
    """Loaded networks that several fits share."""


@dataclass(frozen=True, slots=True)
class Experiment:
    """A trained experiment, given by its folder."""

    name: str
    """The name in error messages."""
    folder: Path
    notes: Mapping[str, Any]
    """Its experiment.json."""

    @classmethod
    def at(cls, folder: Path, name: str) -> "Experiment | None":
        """The experiment in a folder; None if it has no readable experiment.json."""
        notes = read_notes(folder)
        return cls(name, folder, notes) if notes else None

    @property
    def model(self) -> str:
        """The word of the study file for its kind of model."""
        return str((self.notes.get("options") or {}).get("model", ""))

    @property
    def fits(self) -> list[str]:
        """rotation<r>-seed<s> of each fit with predictions; if no predictions exist, of all fits in its notes."""
        kept = sorted(path.stem for path in (self.folder / "predictions").glob("*.parquet"))
        return kept or sorted(self.notes.get("fits") or {})


FromFile = Callable[[Path, Means], Applied]
"""Reads the fit in a file. Raises UserError if it cannot be applied."""


def readers_of_files() -> dict[str, FromFile]:
    """Functions that read a fit's file, by the file's suffix."""
    return {suffix: reader for kind in KINDS.every().values() for suffix, reader in kind.files.items()}


def fits_of(experiment: Experiment, means: Means) -> dict[str, Applied]:
    """All fits of an experiment, by name. UserError if it has no fit, or its kind cannot be applied."""
    found = kind_named(experiment.model, experiment.name).applied(experiment, means)
    if not found:
        raise UserError(f"{experiment.name}: has no finished fit; `xray-mining train` makes them")
    return found


def kept_file(experiment: Experiment, path: Path) -> Path:
    """A fit's file; UserError if it is missing."""
    if not path.is_file():
        raise UserError(
            f"{experiment.name}: the model {path.relative_to(experiment.folder)} is missing (an earlier version did "
            f"not save this kind, or it had too few patients to learn from); remove its folder and train it again"
        )
    return path
