"""Two labels, one of them the positive one."""

import re
from dataclasses import replace

import polars as pl

from xray_mining.catalog.targets import Frozen, Unusable
from xray_mining.catalog.targets._columns import frozen_rows, labels_of, places_of
from xray_mining.catalog.targets._sources import determines_labels
from xray_mining.errors import UserError
from xray_mining.records.cohort import Target

_WORDS = re.compile(r"^positive='(?P<positive>[^']+)'\s*(?P<unit>.*)$")


class Binary:
    """Two labels as text; null where unknown."""

    example = "group binary positive='G3'"

    def declared(self, name: str, words: str, where: str) -> Target:
        """The words are the positive label and an optional unit."""
        matched = _WORDS.match(words)
        if not matched:
            raise UserError(f"{where}: target '{name}' must say positive='…' if, and only if, it is binary")
        return Target(name, "binary", matched["unit"].strip(), matched["positive"])

    def words(self, target: Target) -> str:
        """The positive label."""
        return f"positive='{target.positive}'"

    def frozen(self, chosen: pl.DataFrame, target: Target, where: str) -> Frozen:
        """Classes (other, positive); a value is 1 for the positive label, 0 for the other."""
        labels, found = labels_of(chosen, target, where)
        others = [label for label in found if label != target.positive]
        if target.positive not in found or len(others) != 1:
            raise Unusable(
                f"target '{target.name}' must have two labels, '{target.positive}' and another, and has "
                f"{', '.join(map(repr, found[:5]))}{', …' if len(found) > 5 else ''}"
            )
        classes = (others[0], target.positive)
        return frozen_rows(chosen, replace(target, classes=classes), places_of(labels, classes), labels)

    def determined_by(self, column: pl.Series, target: Target, values: pl.Series, labels: pl.Series) -> bool:
        """True if each level of the column has one label, or each label its own range of numbers."""
        return determines_labels(column, labels, len(target.classes))


KIND = Binary()
