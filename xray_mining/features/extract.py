"""Sets of handcrafted features by their options: names that models still call; `sets` does the work."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from xray_mining.features.instrument import Features, measure
from xray_mining.features.options import FeatureOptions
from xray_mining.records.cohort import FrozenCohort
from xray_mining.sets.measure import SetSummary, Wanted, changed_numbers, store_of
from xray_mining.sets.measure import measure as measure_cohort
from xray_mining.workspace import Workspace

Array = np.ndarray[Any, Any]


def feature_folder(workspace: Workspace, set_key: str, options: FeatureOptions, store: str, variant: str = "") -> Path:
    """Where the set of these options is kept."""
    return workspace.measured("features", Wanted(workspace, set_key, Features(options), store, variant).name)


def extract(
    workspace: Workspace,
    cohort: FrozenCohort,
    set_key: str,
    options: FeatureOptions,
    *,
    jobs: int = 1,
    shards: tuple[int, int] | None = None,
) -> SetSummary:
    """Measure the cohort's radiographs that the set does not hold yet."""
    return measure_cohort(workspace, cohort, set_key, Features(options), jobs=jobs, shards=shards)


def changed_features(
    workspace: Workspace, set_key: str, options: FeatureOptions, image_keys: Sequence[str], *, store: str, variant: str
) -> Array:
    """The numbers of these radiographs after a change of their pictures, (n, columns) float64; kept as a set."""
    return changed_numbers(workspace, set_key, Features(options), image_keys, store=store, variant=variant)


def load(
    workspace: Workspace, set_key: str, options: FeatureOptions, image_keys: Sequence[str], store: str | None = None
) -> tuple[Array, list[str]]:
    """The numbers of the radiographs in the order of the keys, (n, columns) float64, and the columns' names."""
    instrument = Features(options)
    wanted = Wanted(workspace, set_key, instrument, store_of(workspace, store))
    return wanted.read(image_keys), [each.name for each in instrument.columns()]


__all__ = ["changed_features", "extract", "feature_folder", "load", "measure"]
