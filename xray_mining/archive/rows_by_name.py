"""Rows of a table found by the names in one column, without keeping the table in memory."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import polars as pl

from xray_mining.archive.table import Table


class Places:
    """The first row of each name, in 16 bytes per row; a dict of millions would take a gigabyte in each process."""

    def __init__(self, names: pl.Series, broken: frozenset[int] = frozenset()) -> None:
        """Broken rows are used only if no complete row has their name."""
        self._names = names
        rows = names.is_not_null().arg_true().to_numpy().astype(np.int64)
        late = np.isin(rows, np.fromiter(broken, np.int64, len(broken)))
        hashes = names.hash(seed=0).to_numpy()[rows]
        order = np.lexsort((rows, late, hashes))
        first = np.ones(len(order), bool)
        hashes, rows = hashes[order], rows[order]
        # Names with equal hashes are compared as text when they are looked up; of rows with one name the first is kept.
        same = hashes[1:] == hashes[:-1]
        if same.any():
            near = names.gather(rows)
            first[1:] = ~(same & (near[1:] == near[:-1]).fill_null(value=False).to_numpy())
        self._hashes, self._rows = hashes[first], rows[first]

    def __len__(self) -> int:
        return len(self._rows)

    def get(self, name: str | None) -> int | None:
        """The row of a name; None if no row has it."""
        return None if name is None else self.of([name])[name]

    def of(self, names: Iterable[str | None]) -> dict[str, int | None]:
        """The row of each of these names; None if no row has it."""
        asked = list(dict.fromkeys(name for name in names if name is not None))
        hashes = pl.Series(asked, dtype=pl.String).hash(seed=0).to_numpy()
        starts = np.searchsorted(self._hashes, hashes).tolist()
        return {name: self._at(start, name) for name, start in zip(asked, starts, strict=True)}

    def _at(self, start: int, name: str) -> int | None:
        """The row of a name among the rows with its hash, which are contiguous."""
        for at in range(start, len(self._hashes)):
            if self._hashes[at] != self._hashes[start]:
                break
            if self._names[int(self._rows[at])] == name:
                return int(self._rows[at])
        return None


@dataclass(frozen=True, slots=True)
class NamedRow:
    """A row found by a name."""

    cells: dict[str, str | None]
    broken: bool
    """The row has more cells than there are columns, or unmatched quotes."""


class RowsByName:
    """Finds rows of a table by the names in one column, the first row of each name; keeps the names and a few rows."""

    def __init__(self, table: Table, names: pl.Series) -> None:
        """Broken rows are used only if no complete row has their name."""
        self._table = table
        self._places = Places(names, table.broken)
        self._found: dict[str, NamedRow | None] = {}

    def __len__(self) -> int:
        return len(self._places)

    def prepare(self, names: Iterable[str | None]) -> None:
        """Read the rows of these names together; rows read before are dropped."""
        self._found = self._read(names)

    def _read(self, names: Iterable[str | None]) -> dict[str, NamedRow | None]:
        places = self._places.of(names)
        rows = self._table.rows(place for place in places.values() if place is not None)
        return {
            name: None if place is None else NamedRow(rows[place], place in self._table.broken)
            for name, place in places.items()
        }

    def get(self, name: str | None) -> NamedRow | None:
        """The row of a name; None if no row has it."""
        if name is None:
            return None
        if name not in self._found:
            self._found |= self._read([name])
        return self._found[name]
