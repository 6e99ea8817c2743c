"""Which cells of a table of patients are not told: small ones, and those by whose sums a small one would be known.

Complementary suppression: Hundepool et al., Statistical Disclosure Control, Wiley 2012, chapter 4.
"""

from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
from typing import TypeVar

Name = TypeVar("Name", bound=Hashable)
Cell = tuple[str, str]
"""A level of one attribute and a level of another; '' is everybody."""


def with_complements(lines: Sequence[Sequence[Name]], counts: Mapping[Name, int], hidden: Iterable[Name]) -> set[Name]:
    """`hidden` and, wherever a line whose sum is known has exactly one of these, the smallest other cell of that line.

    `lines` are names of cells that add up to a number that is told, `counts` how many patients each cell has. Cells of
    nobody stay: they give nothing away.
    """
    found = set(hidden)
    changed = True
    while changed:
        changed = False
        for line in lines:
            printed = [name for name in line if name not in found and counts[name]]
            if sum(name in found for name in line) == 1 and printed:
                found.add(min(printed, key=counts.__getitem__))
                changed = True
    return found


def hidden_cells(counts: Mapping[Cell, int], least: int, hidden: Collection[Cell] = ()) -> set[Cell]:
    """The cells of a table of two attributes that are not told, with its margins (level, '') and ('', level).

    `hidden` are cells that another table of the same patients does not tell.
    """
    few = {cell for cell, count in counts.items() if 0 < count < least} | {cell for cell in hidden if cell in counts}
    rows: dict[str, list[Cell]] = {}
    columns: dict[str, list[Cell]] = {}
    for row, column in counts:
        if column:
            rows.setdefault(row, []).append((row, column))
        if row:
            columns.setdefault(column, []).append((row, column))
    return with_complements([*rows.values(), *columns.values()], counts, few)
