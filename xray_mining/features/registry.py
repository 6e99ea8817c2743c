"""Families of handcrafted features: one function each, found by file name, so that no list must be edited."""

import pkgutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np

from xray_mining.errors import unknown_name
from xray_mining.features.options import FeatureOptions
from xray_mining.features.picture import Picture
from xray_mining.sets.instrument import Column

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, slots=True)
class Feature:
    """A registered family; if its numbers share work, it returns all of them at once."""

    family: str
    columns: Callable[[FeatureOptions], list[Column]]
    compute: Callable[[Picture, FeatureOptions], Array]
    """(columns,) float64; nan where something cannot be measured, never 0."""
    needs: str
    """'picture', or the structure whose mask it needs."""
    turns: bool
    """Whether the columns stay the same after a rotation by 90 degrees (declared, and tested as a law)."""

    def __str__(self) -> str:
        return self.family


_KNOWN: dict[str, Feature] = {}
_NO_FAMILIES = ("registry", "options", "picture", "instrument")


def feature(
    columns: Callable[[FeatureOptions], list[Column]], needs: str = "picture", turns: bool = False
) -> Callable[[Callable[[Picture, FeatureOptions], Array]], Feature]:
    """Register the decorated function as the family of its own name."""

    def register(compute: Callable[[Picture, FeatureOptions], Array]) -> Feature:
        name = str(getattr(compute, "__name__", ""))
        if name in _KNOWN:
            raise ValueError(f"two families are called {name}")
        _KNOWN[name] = Feature(name, columns, compute, needs, turns)
        return _KNOWN[name]

    return register


def features() -> list[Feature]:
    """All families, by name."""
    from xray_mining import features as room

    for module in pkgutil.iter_modules(room.__path__):
        if module.name not in _NO_FAMILIES:
            import_module(f"{room.__name__}.{module.name}")
    return [_KNOWN[name] for name in sorted(_KNOWN)]


def find(families: Iterable[str]) -> list[Feature]:
    """The named families in the given order; UserError for an unknown name."""
    known = {each.family: each for each in features()}
    for name in families:
        if name not in known:
            raise unknown_name("features, family", name, known)
    return [known[name] for name in dict.fromkeys(families)]


def columns_of(options: FeatureOptions) -> list[Column]:
    """All columns of a feature set, in order."""
    return [column for each in find(options.families) for column in each.columns(options)]
