"""Fitted models on new pictures: what a fit gives, and what it needs beside its own files."""

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
    """Pictures that several models are applied to: what two of them measure alike is measured once."""

    values: Array
    """(n, side, side) uint8 or uint16 as in the pixel store, bright = dense."""
    boxes: Array
    """(n, 4) float64: left, top, width, height of each radiograph within the square."""
    _made: dict[str, Array] = field(default_factory=dict, compare=False, repr=False)

    def once(self, name: str, make: Callable[[], Array]) -> Array:
        """What `make` gives, (n, …), made for the first who asks by this name."""
        if name not in self._made:
            self._made[name] = make()
        return self._made[name]


class Applied(Protocol):
    """One fit that can be applied."""

    @property
    def target(self) -> Target:
        """What it predicts."""
        ...

    @property
    def grey(self) -> GreyOptions:
        """How pictures are standardised for it."""
        ...

    @property
    def licences(self) -> tuple[str, ...]:
        """Licences of the pretrained weights that it rests on."""
        ...

    def of(self, pictures: Pictures) -> tuple[Array, Array | None]:
        """(n,) numbers or (n, classes) probabilities, before calibration, and its own spread (n,) if it gives one."""
        ...


@dataclass(frozen=True, slots=True)
class Means:
    """What appliers may need beside a model's own files."""

    root: Path | None = None
    """The workspace whose pixel stores are asked for their options where a model does not say them."""
    weights: Sequence[Path] = ()
    """Weights files of networks that are not trained here: a model knows them by name and digest."""
    loaded: dict[str, Any] = field(default_factory=dict, compare=False, repr=False)
    """Networks that several fits share."""


@dataclass(frozen=True, slots=True)
class Experiment:
    """An experiment by its folder."""

    name: str
    """As sentences call it."""
    folder: Path
    notes: Mapping[str, Any]
    """Its experiment.json."""

    @classmethod
    def at(cls, folder: Path, name: str) -> "Experiment | None":
        """The experiment in a folder; None where there is no experiment.json that can be read."""
        notes = read_notes(folder)
        return cls(name, folder, notes) if notes else None

    @property
    def model(self) -> str:
        """Its kind, as the study file names it."""
        return str((self.notes.get("options") or {}).get("model", ""))

    @property
    def fits(self) -> list[str]:
        """rotation<r>-seed<s> of each fit whose predictions are kept; of all that are noted where none are."""
        kept = sorted(path.stem for path in (self.folder / "predictions").glob("*.parquet"))
        return kept or sorted(self.notes.get("fits") or {})


FromFile = Callable[[Path, Means], Applied]
"""Gives the fit that a file holds. Raises UserError where it cannot be applied."""


def readers_of_files() -> dict[str, FromFile]:
    """What reads a fit's file, by its suffix."""
    return {suffix: reader for kind in KINDS.every().values() for suffix, reader in kind.files.items()}


def fits_of(experiment: Experiment, means: Means) -> dict[str, Applied]:
    """Every fit of an experiment, by its name. UserError where it has none, or its kind cannot be applied."""
    found = kind_named(experiment.model, experiment.name).applied(experiment, means)
    if not found:
        raise UserError(f"{experiment.name}: has no finished fit; `xray-mining train` makes them")
    return found


def kept_file(experiment: Experiment, path: Path) -> Path:
    """A fit's file; UserError where it is not there."""
    if not path.is_file():
        raise UserError(
            f"{experiment.name}: no model of {path.relative_to(experiment.folder)} is kept (an earlier version kept "
            f"none of this kind, or it had too few patients to learn from); remove its folder and train it again"
        )
    return path
