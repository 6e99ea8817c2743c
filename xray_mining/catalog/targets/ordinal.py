"""Ordered levels: stated in the header, or the whole numbers that occur."""

import math
import re
from collections import Counter
from dataclasses import replace
from itertools import pairwise

import polars as pl

from xray_mining.catalog.targets import Frozen, Unusable
from xray_mining.catalog.targets._columns import column_of, frozen_rows, numbers_of, refuse_positive, wrong_type
from xray_mining.catalog.targets._sources import determines_labels, determines_numbers
from xray_mining.errors import UserError
from xray_mining.records.cohort import Target

_WORDS = re.compile(r"^levels='(?P<levels>[^']*)'\s*(?P<unit>.*)$")


class Ordinal:
    """Text or whole numbers; null where unknown."""

    example = "severity ordinal levels='none, mild, severe'"

    def declared(self, name: str, words: str, where: str) -> Target:
        """The words are optional levels, lowest first, and an optional unit."""
        matched = _WORDS.match(words)
        if not matched:
            return Target(name, "ordinal", refuse_positive(name, words, where))
        levels = tuple(each.strip() for each in matched["levels"].split(","))
        twice = [level for level, times in Counter(levels).items() if times > 1]
        if len(levels) < 2 or not all(levels) or twice:
            raise UserError(
                f"{where}: target '{name}' has levels='{matched['levels']}'; name two levels or more, each once, "
                f"lowest first, separated by commas"
            )
        target = Target(name, "ordinal", matched["unit"].strip(), classes=levels)
        rising = all(low < high for low, high in pairwise(target.numbers))
        if not rising or not all(math.isfinite(each) for each in target.numbers):
            raise UserError(
                f"{where}: target '{name}' has levels='{matched['levels']}'; levels that are all numbers must be "
                f"finite and rise, because errors are counted in them"
            )
        return target

    def words(self, target: Target) -> str:
        """The levels if the line states them."""
        return f"levels='{', '.join(target.classes)}'" if target.classes else ""

    def frozen(self, chosen: pl.DataFrame, target: Target, where: str) -> Frozen:
        """A value is the number of its level: the level itself if all levels are numbers, else its position."""
        labels = self._levels_of(chosen, target, where)
        found = set(labels.drop_nulls())
        if not target.classes:
            target = replace(target, classes=tuple(sorted(found, key=int)))
        for level in sorted(found - set(target.classes)):
            raise UserError(
                f"{where}: target '{target.name}': {labels.eq(level).sum():,} images have '{level}', which is not one "
                f"of its levels {', '.join(target.classes)}; name it in the header, or leave these images out"
            )
        if len(found) < 2:
            raise Unusable(f"target '{target.name}' has one level only, '{next(iter(found))}'")
        number = dict(zip(target.classes, target.numbers, strict=True))
        return frozen_rows(chosen, target, [number.get(label) for label in labels], labels)

    def determined_by(self, column: pl.Series, target: Target, values: pl.Series, labels: pl.Series) -> bool:
        """True if the column determines the levels as labels or as numbers."""
        return determines_labels(column, labels, len(target.classes)) or determines_numbers(column, values)

    def _levels_of(self, chosen: pl.DataFrame, target: Target, where: str) -> pl.Series:
        """The column as text; whole numbers without a decimal point."""
        column = column_of(chosen, target, where)
        if column.dtype == pl.String:
            if not target.classes:
                raise UserError(
                    f"{where}: target '{target.name}' is text without an order of levels; write levels='…' after "
                    f"ordinal, lowest first"
                )
            return column
        values = numbers_of(chosen, target, where)
        if (values.drop_nulls() != values.drop_nulls().round()).any():
            raise wrong_type(column, target, where)
        return values.cast(pl.Int64).cast(pl.String)


KIND = Ordinal()
