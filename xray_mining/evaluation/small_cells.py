"""Choose the hidden cells of a table of patients: small cells, and cells from which a small one could be computed.

Complementary suppression: Hundepool et al., Statistical Disclosure Control, Wiley 2012, chapter 4.
"""

from collections.abc import Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
from scipy.optimize import linprog

Name = TypeVar("Name", bound=Hashable)
Cell = tuple[str, str]
"""A level of one attribute and a level of another; '' means all patients."""


@dataclass(frozen=True, slots=True)
class Line(Generic[Name]):
    """Cells that add up to another cell, or to a number that is printed."""

    parts: tuple[Name, ...]
    total: Name | None = None
    """None if the sum is always printed."""

    def terms(self) -> Iterator[tuple[Name, int]]:
        """Cells and their signs: the sum over them is a number that is printed, or 0."""
        yield from ((part, 1) for part in self.parts)
        if self.total is not None:
            yield self.total, -1


def with_complements(
    lines: Sequence[Line[Name]], counts: Mapping[Name, int], hidden: Iterable[Name], *, line_by_line: bool = False
) -> set[Name]:
    """Add cells to `hidden` until no hidden cell can be computed from the printed ones.

    First, a line with only one hidden part gets a second hidden part. Then cells are hidden until the count of no cell
    follows from all lines together, for a reader who knows that hidden cells are not empty. The smallest printed cell
    is hidden first. Empty cells are hidden only if no other cell is left.

    Args:
        lines: Sums of the table.
        counts: Patients of each cell.
        hidden: Cells that are hidden already.
        line_by_line: Skip the second step, which needs the counts of hidden cells too.
    """
    asked = {name for name in hidden if counts[name] and not line_by_line}
    found = set(hidden)
    more: Name | None
    while True:
        while (more := _beside_a_single_one(lines, counts, found)) is not None:
            found.add(more)
        exposed = _exposed(lines, counts, found, asked)
        more = next((more for name in exposed if (more := _cover(lines, counts, found, name)) is not None), None)
        if more is None:
            return found
        found.add(more)


def _beside_a_single_one(lines: Sequence[Line[Name]], counts: Mapping[Name, int], found: set[Name]) -> Name | None:
    """The cell to hide in the first line with only one hidden part; None if there is no such line."""
    for line in lines:
        if sum(name in found for name in line.parts) == 1:
            more = _smallest(set(line.parts) - found, counts, anybody=True)
            if more is not None:
                return more
    return None


def _smallest(names: Iterable[Name], counts: Mapping[Name, int], *, anybody: bool) -> Name | None:
    """The smallest cell of `names`; with `anybody` empty cells are skipped. Ties are decided by name."""
    left = [name for name in names if counts[name] or not anybody]
    return min(left, key=lambda name: (counts[name], str(name)), default=None)


def _cover(lines: Sequence[Line[Name]], counts: Mapping[Name, int], found: set[Name], name: Name) -> Name | None:
    """The next cell to hide, to protect the exposed cell `name`; None if all cells around it are hidden.

    It is searched in the lines of the exposed cell first, then in lines that share a cell with these, and so on.
    """
    near, seen = {name}, set[Name]()
    while near - seen:
        seen |= near
        reached = [{each for each, _ in line.terms()} for line in lines]
        reached = [line for line in reached if line & seen]
        printed = set[Name]().union(*reached) - found
        for anybody in (True, False):
            more = _smallest(printed, counts, anybody=anybody)
            if more is not None:
                return more
        near = set[Name]().union(*reached)
    return None


def _exposed(lines: Sequence[Line[Name]], counts: Mapping[Name, int], found: set[Name], asked: set[Name]) -> list[Name]:
    """The cells of `asked` whose count can be computed from all lines together, by linear programming.

    A cell is safe if its count can change while all lines hold. Hidden cells have at least one patient, because empty
    cells are printed; if an empty cell is hidden, all hidden cells have at least 0.
    """
    names = sorted(found, key=str)
    place = {name: number for number, name in enumerate(names)}
    used = [line for line in lines if any(name in place for name, _ in line.terms())]
    if not used or not asked:
        return []
    signs = np.zeros((len(used), len(names)))
    for row, line in enumerate(used):
        for name, sign in line.terms():
            if name in place:
                signs[row, place[name]] += sign
    values = np.array([counts[name] for name in names], dtype=np.float64)
    ends = (0.0 if (values == 0).any() else 1.0, 2 * values.sum() + 1)
    # `moved` are the safe cells found so far. Cells that can change while all cells at their minimum stay as they are
    # are found by linear algebra, which is much faster than a linear program for each cell.
    moved = _free(np.concatenate([signs, np.eye(len(names))[values <= ends[0]]]))

    def look(aim: np.ndarray) -> bool:
        """Search for other counts in the direction `aim`; True if this finds further safe cells."""
        moved_before = int(moved.sum())
        other = linprog(aim, A_eq=signs, b_eq=signs @ values, bounds=ends)
        if other.success:
            np.logical_or(moved, np.abs(other.x - values) > 1e-6, out=moved)
        return int(moved.sum()) > moved_before

    mine = np.array([name in asked for name in names])
    # Move all undecided cells at once while that finds safe cells; then try the rest one by one, in both directions.
    while (mine & ~moved).any() and (look((mine & ~moved) * -1.0) or look((mine & ~moved) * 1.0)):
        pass
    exposed = []
    for name in sorted(asked, key=str):
        aim = np.eye(len(names))[place[name]]
        for way in (-aim, aim):
            if not moved[place[name]]:
                look(way)
        if not moved[place[name]]:
            exposed.append(name)
    return exposed


def _free(signs: np.ndarray) -> np.ndarray:
    """Which unknowns (n,) of homogeneous equations (m, n) can change while all equations hold."""
    _, sizes, right = np.linalg.svd(signs)
    rank = int((sizes > 1e-9 * max(sizes.max(initial=0.0), 1.0)).sum())
    return np.abs(right[rank:]).max(axis=0, initial=0.0) > 1e-9


def hidden_cells(counts: Mapping[Cell, int], least: int, hidden: Collection[Cell] = ()) -> set[Cell]:
    """The cells to hide in a table of two attributes, whose margins are (level, '') and ('', level).

    Args:
        counts: Patients of each cell and margin.
        least: Cells of fewer patients are hidden.
        hidden: Cells that another table of the same patients hides. Margins count as printed, because that table may
            print them.
    """
    few = {cell for cell, count in counts.items() if 0 < count < least} | {cell for cell in hidden if cell in counts}
    rows: dict[str, list[Cell]] = {}
    columns: dict[str, list[Cell]] = {}
    for row, column in counts:
        if column:
            rows.setdefault(row, []).append((row, column))
        if row:
            columns.setdefault(column, []).append((row, column))
    return with_complements([Line(tuple(cells)) for cells in (*rows.values(), *columns.values())], counts, few)
