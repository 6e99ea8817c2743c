"""Whole numbers in an order."""

import polars as pl

from xray_mining.catalog.targets import Frozen
from xray_mining.catalog.targets._columns import frozen_rows, numbers_of, refuse_positive, wrong_type
from xray_mining.catalog.targets._sources import determines_numbers
from xray_mining.records.cohort import Target


class Ordinal:
    """Whole numbers; null where unknown."""

    example = "severity ordinal"

    def declared(self, name: str, words: str, where: str) -> Target:
        """The words are the unit."""
        return Target(name, "ordinal", refuse_positive(name, words, where))

    def frozen(self, chosen: pl.DataFrame, target: Target, where: str) -> Frozen:
        """Values as they are, without labels; UserError where one is not whole."""
        values = numbers_of(chosen, target, where)
        if (values.drop_nulls() != values.drop_nulls().round()).any():
            raise wrong_type(chosen[target.name], target, where)
        return frozen_rows(chosen, target, values)

    def told_by(self, column: pl.Series, target: Target, values: pl.Series, labels: pl.Series) -> bool:
        """A numeric column that is correlated almost perfectly."""
        return determines_numbers(column, values)


KIND = Ordinal()
