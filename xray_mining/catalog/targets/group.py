"""One of two or more labels without an order."""

from dataclasses import replace

import polars as pl

from xray_mining.catalog.targets import Frozen
from xray_mining.catalog.targets._columns import frozen_rows, labels_of, places_of, refuse_one_label, refuse_positive
from xray_mining.catalog.targets._sources import determines_labels
from xray_mining.records.cohort import Target


class Group:
    """Labels as text, without an order; null where unknown."""

    example = "disease group"

    def declared(self, name: str, words: str, where: str) -> Target:
        """The words are a unit."""
        return Target(name, "group", refuse_positive(name, words, where))

    def words(self, target: Target) -> str:
        """Nothing."""
        return ""

    def frozen(self, chosen: pl.DataFrame, target: Target, where: str) -> Frozen:
        """The labels that occur, sorted, are the classes; a value is the position of its label."""
        labels, found = labels_of(chosen, target, where)
        refuse_one_label(target, found)
        return frozen_rows(chosen, replace(target, classes=tuple(found)), places_of(labels, found), labels)

    def determined_by(self, column: pl.Series, target: Target, values: pl.Series, labels: pl.Series) -> bool:
        """True if each level of the column has one label, or each label its own range of numbers."""
        return determines_labels(column, labels, len(target.classes))


KIND = Group()
