"""Kinds of target in the catalog: parse the header line, check and freeze the values, detect their source columns.

A kind is a file in this folder with an object `KIND`; files of the same name in `models/targets`, `evaluation/targets`
and `reporting/targets` define how it is learned, scored and shown.
"""

from dataclasses import dataclass
from typing import Protocol

import polars as pl

from xray_mining.records.cohort import Target
from xray_mining.registry import Kinds


class Unusable(Exception):
    """A target that cannot be learned from these members; only experiments on this target are refused."""


@dataclass(frozen=True, slots=True)
class Frozen:
    """One target of a cohort, with its values."""

    target: Target
    """The header's target, with its classes as the members have them."""
    rows: pl.DataFrame
    """image_key, target, value, label: rows of CohortTargets without the digest."""
    sentences: tuple[str, ...] = ()
    """Notes for the reader, for example about labels that were left out."""
    strata: pl.DataFrame | None = None
    """Rows patient_key, label, answer to spread evenly over the folds; with None the salt alone decides the folds."""


class CatalogTarget(Protocol):
    """One kind of target in the catalog."""

    example: str
    """Content of a header line, such as 'age_years number years'; error messages quote it."""

    def declared(self, name: str, words: str, where: str) -> Target:
        """The target that a `-- target: NAME KIND WORDS` line declares; UserError for wrong words."""
        ...

    def words(self, target: Target) -> str:
        """What the header line says between kind and unit, as "positive='G3'"; empty if it says nothing."""
        ...

    def frozen(self, chosen: pl.DataFrame, target: Target, where: str) -> Frozen:
        """Values of a cohort's members, read from the columns of its last SELECT.

        Args:
            chosen: The rows of the last SELECT, with `image_key` and `patient_key`.
            target: The target as its header line declares it.
            where: The name of the cohort in error messages.

        Raises:
            UserError: If a column is missing or has another type than the header says.
            Unusable: If the target cannot be learned from these members.
        """
        ...

    def determined_by(self, column: pl.Series, target: Target, values: pl.Series, labels: pl.Series) -> bool:
        """Whether a column of images determines the target; (n,) series, one entry for each row of CohortTargets."""
        ...


TARGETS: Kinds[CatalogTarget] = Kinds(__name__, "target kind")
