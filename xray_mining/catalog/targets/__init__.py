"""Kinds of target as a cohort freezes them: the words of a header line, the values and their checks, its sources.

A kind is a file here with an object `KIND`; files of the same name in `models/targets`, `evaluation/targets` and
`reporting/targets` say how it is learned, scored and shown.
"""

from dataclasses import dataclass
from typing import Protocol

import polars as pl

from xray_mining.records.cohort import Target
from xray_mining.registry import Kinds


class Unusable(Exception):
    """These members leave nothing to learn of a target; only experiments on this target are refused for it."""


@dataclass(frozen=True, slots=True)
class Frozen:
    """What a cohort keeps of one target."""

    target: Target
    """The header's target, with its classes as the members have them."""
    rows: pl.DataFrame
    """image_key, target, value, label: rows of CohortTargets without the digest."""
    sentences: tuple[str, ...] = ()
    """What a reader must know, as labels that were left out."""
    strata: pl.DataFrame | None = None
    """Rows patient_key, label that every fold should have its share of; None leaves the folds to the salt alone."""


class CatalogTarget(Protocol):
    """One kind of target in the catalog."""

    example: str
    """A header line's content, as 'age_years number years'; errors quote it."""

    def declared(self, name: str, words: str, where: str) -> Target:
        """The target that a `-- target: NAME KIND WORDS` line declares; UserError for wrong words."""
        ...

    def frozen(self, chosen: pl.DataFrame, target: Target, where: str) -> Frozen:
        """Values of a cohort's members, read from the columns of its last SELECT.

        Args:
            chosen: The rows of the last SELECT, with `image_key` and `patient_key`.
            target: The target as its header line declares it.
            where: How errors name the cohort.

        Raises:
            UserError: If a column is missing or has another type than the header says.
            Unusable: If the members leave nothing to learn.
        """
        ...

    def told_by(self, column: pl.Series, target: Target, values: pl.Series, labels: pl.Series) -> bool:
        """Whether a column of images determines the target: a row of CohortTargets each, (n,) series."""
        ...


TARGETS: Kinds[CatalogTarget] = Kinds(__name__, "target kind")
