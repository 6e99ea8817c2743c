"""A number in a unit."""

import polars as pl

from xray_mining.catalog.targets import Frozen
from xray_mining.catalog.targets._columns import frozen_rows, numbers_of, refuse_positive
from xray_mining.catalog.targets._sources import determines_numbers
from xray_mining.records.cohort import Target


class Number:
    """Finite numbers; null where unknown."""

    example = "age_years number years"

    def declared(self, name: str, words: str, where: str) -> Target:
        """The words are the unit."""
        return Target(name, "number", refuse_positive(name, words, where))

    def words(self, target: Target) -> str:
        """Nothing."""
        return ""

    def frozen(self, chosen: pl.DataFrame, target: Target, where: str) -> Frozen:
        """Values as they are, without labels."""
        return frozen_rows(chosen, target, numbers_of(chosen, target, where))

    def determined_by(self, column: pl.Series, target: Target, values: pl.Series, labels: pl.Series) -> bool:
        """True for a numeric column that is almost perfectly correlated with the values."""
        return determines_numbers(column, values)


KIND = Number()
