"""Subgroups whose figures may be printed, where a figure is about some units only, as sensitivity is about the ill."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl

from xray_mining.evaluation.small_cells import Line, with_complements
from xray_mining.evaluation.task import Array
from xray_mining.records.small_counts import is_small

PAIR = ("patient_sex", "age_band")
"""Columns whose combinations are subgroups too."""
UNKNOWN = "not known"
Triple = tuple[str, str, str]
"""Levels of two columns and a side; '' means all patients."""


@dataclass(frozen=True, slots=True)
class Cells:
    """Which figures of subgroups may be printed, of the units that a model predicts."""

    table: pl.DataFrame
    """The subgroup columns of the units."""
    owner: Array
    printed: Collection[str]
    """Subgroups whose size is printed, as 'patient_sex=F'."""
    least: int

    def shown(self, known: Array, about: Array) -> set[str]:
        """Those of `printed` whose units (n,) bool `about` are not few, and tell of no few by subtraction.

        The other side counts too: beside the size of the subgroup and of this side, it gives this side away.
        """
        inside = about[known]
        # The side of the first unit is always 'a': sensitivity and specificity look at one table, so they hide the
        # same cells.
        side = np.where(inside == inside[:1], "a", "b") if len(inside) else np.empty(0, dtype=str)
        mine = "a" if len(inside) and inside[0] else "b"
        frame = self.table.filter(pl.Series(known)).with_columns(
            pl.Series("_side", side, dtype=pl.String), pl.Series("_owner", self.owner[known])
        )
        # Sex and age are one table if their combinations are printed; else two, which hide less.
        pairs = [PAIR] if any(" & " in name for name in self.printed) else []
        pairs += [(name, "") for name in self.table.columns if not pairs or name not in PAIR]
        return set[str]().union(*(self._shown(frame, pair, mine) for pair in pairs))

    def _shown(self, frame: pl.DataFrame, columns: tuple[str, str], side: str) -> set[str]:
        frame = frame.select(
            pl.col("_owner"),
            pl.col("_side").alias("side"),
            *(
                (pl.col(name).fill_null(UNKNOWN) if name else pl.lit("")).alias(alias)
                for alias, name in zip(("first", "second"), columns, strict=True)
            ),
        )
        counts = _counts(frame)
        named = {cell: _subgroup(columns, cell) for cell in counts}
        # A column without a printed level gives no count away, so nothing must be hidden beside it.
        families = {_family(name) for name in self.printed}
        given = {cell for cell, name in named.items() if name not in self.printed and _family(name) in families}
        hidden = _hidden(counts, self.least, given)
        return {
            name
            for cell, name in named.items()
            if cell[2] == side and name in self.printed and cell not in hidden and (*cell[:2], "") not in hidden
        }


def _subgroup(columns: tuple[str, str], cell: Triple) -> str:
    """The subgroup's name in estimates; empty where a level is not known, and for all patients."""
    named = [f"{column}={level}" for column, level in zip(columns, cell[:2], strict=True) if level]
    return "" if UNKNOWN in cell else " & ".join(named)


def _family(subgroup: str) -> tuple[str, ...]:
    """The columns of a subgroup."""
    return tuple(part.partition("=")[0] for part in subgroup.split(" & "))


def _counts(frame: pl.DataFrame) -> dict[Triple, int]:
    """Patients of every cell of first, second and side, and of all margins."""
    axes = ("first", "second", "side")
    counts: dict[Triple, int] = {}
    for kept in range(1, 8):
        by = [axis for place, axis in enumerate(axes) if kept >> place & 1]
        for *levels, patients in frame.group_by(by).agg(pl.col("_owner").n_unique()).sort(by).iter_rows():
            level = dict(zip(by, levels, strict=True))
            counts[level.get("first", ""), level.get("second", ""), level.get("side", "")] = patients
    return {cell: count for cell, count in counts.items() if any(cell)}


def _hidden(counts: Mapping[Triple, int], least: int, given: Collection[Triple]) -> set[Triple]:
    """Small cells, those of `given`, and cells by which one of them could be computed; margins may be hidden too."""
    few = {cell for cell, count in counts.items() if is_small(count, least)} | set(given)
    return with_complements(list(_lines(counts)), counts, few)


def _lines(counts: Mapping[Triple, int]) -> Iterator[Line[Triple]]:
    """For each attribute the cells that add up to a margin, or to all patients, whose number is always printed."""
    for axis in range(3):
        parts: dict[Triple, list[Triple]] = {}
        for cell in sorted(counts):
            if cell[axis]:
                first, second, side = ("" if axis == place else level for place, level in enumerate(cell))
                parts.setdefault((first, second, side), []).append(cell)
        for total, cells in parts.items():
            yield Line(tuple(cells), total if any(total) else None)
