"""A set in a workspace: KIND/SET with set.json, parts of keys and numbers, and a sorted index of its keys.

A part is one atomic file: its numbers as a matrix, image keys, the digests of the measured pixels, the reasons why
pictures could not be measured, and checksums (`sets.arrays`). The index states the part and row of each key; it is made
from the parts, and made again if it is missing, damaged, lacks some of them or disagrees with one of them.
"""

import json
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import polars as pl

from xray_mining.errors import CannotFinish, UserError, unknown_name
from xray_mining.sets.arrays import (
    checksum,
    checksums_of_rows,
    open_arrays,
    open_checked,
    place_in,
    texts,
    write_arrays,
    write_checked,
)
from xray_mining.sets.instrument import Column
from xray_mining.sets.pictures import Pictures
from xray_mining.workspace import Workspace, digest_of, lock_slices, write_json

Array = np.ndarray[Any, Any]
Result = TypeVar("Result")

FORMAT = 2
"""Format of set.json and parts; sets of earlier formats are measured again."""
_FEW = 0.25
"""If a smaller share of a part's rows is needed, they are read at random positions."""


@dataclass(frozen=True, slots=True)
class About:
    """The content of set.json, without its counts."""

    command: str
    """The command that fills it."""
    store: str
    columns: tuple[Column, ...]
    value_type: str
    one_vector: bool
    """Whether its frame has one column `vector`."""
    options: Mapping[str, Any]
    code: str
    """Digest of the measuring code."""
    versions: Mapping[str, str]
    """Versions of the packages used."""
    inputs: Mapping[str, str]
    replaces: tuple[str, ...] = ()
    """Sets of the same options and store that other code or other versions measured."""


@dataclass(frozen=True, slots=True)
class _Index:
    """Position of each picture of a set, in the order of `entries`."""

    parts: tuple[str, ...]
    entries: Array
    """(n,) S: image_key/pixel_digest, sorted."""
    part: Array
    """(n,) int32: index in `parts`."""
    row: Array
    """(n,) int32: row in the part."""
    failed: Array
    """(n,) bool: whether it could not be measured."""


@dataclass(frozen=True, slots=True)
class _Part:
    """The arrays of one part; see `MeasuredSet.write`."""

    values: Array
    keys: Array
    digests: Array
    reasons: Array
    checks: Array | None = None
    """(1 + n,) uint64: checksum of keys, digests and reasons, then of each row of values; parts written before there
    were checksums have none."""


class _OtherIndex(Exception):
    """The index disagrees with a part."""


@dataclass(frozen=True, slots=True)
class MeasuredSet:
    """One set. Each row belongs to the pixels that were measured.

    If a radiograph was ingested again with other pixels, its earlier row is ignored.
    """

    folder: Path
    pictures: Pictures = field(compare=False, repr=False)

    @property
    def name(self) -> str:
        """NAME-DIGEST: the study's key, and the digest of everything that the numbers depend on."""
        return self.folder.name

    @property
    def kind(self) -> str:
        """The kind of its instrument, as `features`."""
        return self.folder.parent.name

    def exists(self) -> bool:
        """Whether the set exists in the present format."""
        return self._said().get("format") == FORMAT

    def about(self) -> About:
        """The content of set.json.

        Raises:
            UserError: If it is missing, damaged or of an earlier version.
        """
        said = self._said()
        if said.get("format") != FORMAT:
            raise UserError(
                f"{self.kind} {self.name}: is not measured yet, or was measured by an earlier version of xray-mining; "
                f"run `xray-mining {said.get('command') or self.kind}` on the cohort"
            )
        return About(
            said["command"],
            said["store"],
            tuple(Column(*each) for each in zip(said["columns"], said["units"], strict=True)),
            said["value_type"],
            said["one_vector"],
            json.loads(said["options"]),
            said["code"],
            said["versions"],
            said["inputs"],
            tuple(said["replaces"]),
        )

    def describe(self, about: About) -> None:
        """Write set.json with the present number of radiographs, if that changes it."""
        index = self.index()
        held = self._present(index)
        failed = int(index.failed[held[held >= 0]].sum())
        described = {
            "format": FORMAT,
            "set": self.name,
            "kind": self.kind,
            "command": about.command,
            "store": about.store,
            "mask_set": about.inputs.get("masks", ""),
            "columns": [each.name for each in about.columns],
            "units": [each.unit for each in about.columns],
            "value_type": about.value_type,
            "one_vector": about.one_vector,
            "images": int((held >= 0).sum()) - failed,
            "failed": failed,
            "options": json.dumps(about.options, sort_keys=True),
            "code": about.code,
            "versions": dict(about.versions),
            "inputs": dict(about.inputs),
            "replaces": list(about.replaces),
        }
        if self._said() != described:
            write_json(described, self.folder / "set.json")

    def missing(self, image_keys: Iterable[str]) -> list[str]:
        """The keys whose present picture is not in the set yet, sorted; failed pictures count as present."""
        wanted = sorted(set(image_keys))
        places = self._places(self.index(), wanted)
        return [key for key, place in zip(wanted, places, strict=True) if place < 0]

    def write(self, image_keys: Sequence[str], matrix: Array, reasons: Sequence[str] = ()) -> None:
        """Add one part.

        Args:
            image_keys: n keys.
            matrix: (n, columns) numbers of the instrument's type; nan where something cannot be measured.
            reasons: n reasons why a picture could not be measured, empty for measured ones; none: all were measured.
        """
        if matrix.ndim != 2 or len(matrix) != len(image_keys):
            raise ValueError(f"{self.name}: {matrix.shape} numbers for {len(image_keys)} radiographs")
        keys, digests = texts(image_keys), self.pictures.of(image_keys)
        # A part's name is derived from its pictures: two commands that measure the same ones write the same file.
        name = digest_of([each.decode() for each in _entries(keys, digests)])[:16]
        said = texts(reasons or [""] * len(image_keys))
        checks = np.append(np.uint64(checksum([keys, digests, said])), checksums_of_rows(matrix))
        write_arrays(self.folder / "parts" / f"{name}.npy", [matrix, keys, digests, said, checks])

    def read(self, image_keys: Sequence[str]) -> Array:
        """The numbers of some radiographs; only the parts and rows that contain them are read.

        Args:
            image_keys: n keys in any order.

        Returns:
            (n, columns) float64 in the order of the keys; nan where something could not be measured.

        Raises:
            UserError: If radiographs are not in the set; it counts them.
        """
        about = self.about()

        def numbers(index: _Index) -> Array:
            places = self._places(index, image_keys)
            if (places < 0).any():
                raise UserError(
                    f"{self.kind} {self.name}: {int((places < 0).sum())} of {len(places)} radiographs are not in the "
                    f"set; run `xray-mining {about.command}` on the cohort"
                )
            return self._rows(index, places, np.empty((len(places), len(about.columns))), about.value_type)

        return self._with_index(numbers)

    def frame(self) -> pl.DataFrame:
        """The rows of the set for the pictures that the workspace has now, one per radiograph, sorted by key.

        Returns:
            image_key, and a column per number, or `vector`; without radiographs that could not be measured.
        """
        about = self.about()

        def measured(index: _Index) -> tuple[Array, Array]:
            places = self._present(index)
            held = np.flatnonzero(places >= 0)
            held = held[~index.failed[places[held]]]
            empty = np.empty((len(held), len(about.columns)), about.value_type)
            return held, self._rows(index, places[held], empty, about.value_type)

        held, matrix = self._with_index(measured)
        keys = pl.Series("image_key", [each.decode() for each in self.pictures.keys[held]], dtype=pl.String)
        if about.one_vector:
            inner = pl.Float32 if about.value_type == "float32" else pl.Float64
            return pl.DataFrame([keys, pl.Series("vector", matrix, dtype=pl.Array(inner, len(about.columns)))])
        numbers = pl.from_numpy(matrix, schema=[each.name for each in about.columns])
        return pl.concat([keys.to_frame(), numbers], how="horizontal")

    def failures(self) -> pl.DataFrame:
        """image_key and reason of the radiographs whose present picture could not be measured, sorted by key."""

        def reasons(index: _Index) -> list[tuple[str, str]]:
            places = self._present(index)
            held = np.flatnonzero(places >= 0)
            held = held[index.failed[places[held]]]
            found = {}
            for here, _, part, rows in self._by_part(index, places[held]):
                found |= zip(held[here].tolist(), part.reasons[rows].tolist(), strict=True)
            return [(self.pictures.keys[at].decode(), found[at].decode()) for at in held.tolist()]

        schema = {"image_key": pl.String, "reason": pl.String}
        return pl.DataFrame(self._with_index(reasons), schema=schema, orient="row")

    @contextmanager
    def locked(self, slices: tuple[int, int] | None) -> Generator[None]:
        """Hold these shards of the set, or all; waits, with a message, while another process measures one of them."""
        what = f"{self.kind} {self.name}: another command measures these radiographs"
        with lock_slices(self.folder / "lock", slices, what):
            yield

    def index(self) -> _Index:
        """The index of all existing parts; written beside them if the disk allows it."""
        path = self.folder / "index"
        there = sorted(each.name for each in (self.folder / "parts").glob("*.npy"))
        try:
            names, *columns = open_checked(path)
            known = _Index(tuple(each.decode() for each in names), *columns)
        except (OSError, ValueError, TypeError):
            known = _EMPTY  # not there yet, damaged, or of an earlier version
        if sorted(known.parts) == there:
            return known
        if not set(known.parts) <= set(there):
            known = _EMPTY
        return self._kept(self._more(known, [each for each in there if each not in set(known.parts)]))

    def _kept(self, made: _Index) -> _Index:
        # On a read-only or full disk the next command builds the index again.
        with suppress(CannotFinish):
            columns = [made.entries, made.part, made.row, made.failed]
            write_checked(self.folder / "index", [texts(made.parts), *columns])
        return made

    def _more(self, known: _Index, names: Sequence[str]) -> _Index:
        entries, part, row, failed = [known.entries], [known.part], [known.row], [known.failed]
        for number, name in enumerate(names, len(known.parts)):
            made = self._part(name)
            if made.checks is not None and checksum([made.keys, made.digests, made.reasons]) != int(made.checks[0]):
                raise self._damaged(name, "its keys differ from their checksum")
            entries.append(_entries(made.keys, made.digests))
            part.append(np.full(len(made.keys), number, np.int32))
            row.append(np.arange(len(made.keys), dtype=np.int32))
            failed.append(made.reasons != b"")
        every = np.concatenate(entries)
        order = np.argsort(every, kind="stable")
        return _Index(
            (*known.parts, *names),
            every[order],
            *(np.concatenate(each)[order] for each in (part, row, failed)),
        )

    def _with_index(self, use: Callable[[_Index], Result]) -> Result:
        """What `use` returns; if the index disagrees with a part, such as after a restore, the index is made again."""
        index = self.index()
        try:
            return use(index)
        except _OtherIndex:
            return use(self._kept(self._more(_EMPTY, sorted(index.parts))))

    def _places(self, index: _Index, image_keys: Sequence[str]) -> Array:
        return place_in(index.entries, _entries(texts(image_keys), self.pictures.of(image_keys)))

    def _present(self, index: _Index) -> Array:
        """Positions in the index of all present pictures of the workspace, in the order of their keys; -1: missing."""
        return place_in(index.entries, _entries(self.pictures.keys, self.pictures.digests))

    def _rows(self, index: _Index, places: Array, matrix: Array, value_type: str) -> Array:
        """Write the numbers at these positions of the index into `matrix`."""
        for here, name, part, rows in self._by_part(index, places):
            if part.values.shape[1] != matrix.shape[1] or part.values.dtype != value_type:
                raise self._damaged(name, "other columns")
            numbers = part.values[rows]
            if part.checks is not None and (checksums_of_rows(numbers) != part.checks[1 + rows]).any():
                raise self._damaged(name, "its numbers differ from their checksum")
            matrix[here] = numbers
        return matrix

    def _by_part(self, index: _Index, places: Array) -> Iterator[tuple[Array, str, _Part, Array]]:
        """For each part with some of these positions of the index: which of them, its name, the part, and its rows.

        Raises:
            _OtherIndex: If one of the rows is that of another picture.
        """
        part, row = index.part[places], index.row[places]
        order = np.lexsort((row, part))
        of_parts = np.split(order, np.flatnonzero(np.diff(part[order])) + 1) if len(order) else []
        for here in of_parts:
            name, rows = index.parts[part[here[0]]], row[here]
            made = self._part(name, wanted=len(here))
            if rows[-1] >= len(made.keys):
                raise _OtherIndex
            if (_entries(made.keys[rows], made.digests[rows]) != index.entries[places[here]]).any():
                raise _OtherIndex
            yield here, name, made, rows

    def _part(self, name: str, wanted: int = 0) -> _Part:
        path = self.folder / "parts" / name
        try:
            arrays = open_arrays(path)
            if wanted and wanted < _FEW * len(arrays[0]):
                arrays = open_arrays(path, at_random=True)
            part = _Part(*arrays)
            rows = [len(each) for each in (part.keys, part.digests, part.reasons, *(each[1:] for each in arrays[4:]))]
        except (OSError, ValueError, TypeError) as error:
            raise self._damaged(name, type(error).__name__) from error
        if part.values.ndim != 2 or rows != [len(part.values)] * len(rows):
            raise self._damaged(name, "other rows")
        return part

    def _damaged(self, name: str, why: str) -> UserError:
        return UserError(
            f"{name}: is not a readable part of {self.name} ({why}); remove it and repeat the command that wrote it"
        )

    def _said(self) -> dict[str, Any]:
        return read_description(self.folder)


def read_description(folder: Path) -> dict[str, Any]:
    """The content of a set's set.json; empty if it is missing or damaged."""
    try:
        found = json.loads((folder / "set.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def sets_of(workspace: Workspace, kind: str, key: str = "") -> list[str]:
    """Names of the existing sets of a kind, sorted; with `key` only those of this key."""
    names = sorted(path.parent.name for path in workspace.measured(kind).glob("*/set.json"))
    return [each for each in names if not key or key == each.rpartition("-")[0]]


def find_set(workspace: Workspace, kind: str, name: str) -> MeasuredSet:
    """A set by its name in the study, or by its full name.

    Args:
        workspace: The workspace.
        kind: The kind of its instrument, as features or embeddings.
        name: The set's name in the study, or NAME-DIGEST if several sets have this name.

    Returns:
        The set. If sets differ only in the measuring code, the name in the study finds the latest.

    Raises:
        UserError: If the name is unknown, or if several sets have it.
    """
    pictures = Pictures.open(workspace)
    known = {each: MeasuredSet(workspace.measured(kind, each), pictures) for each in sets_of(workspace, kind)}
    if name in known:
        return known[name]
    chosen = [each for each in sets_of(workspace, kind, name) if known[each].exists()]
    # Sets of changed pictures begin with the name of the set that they are compared with.
    chosen = [each for each in chosen if not known[each].about().options.get("variant")]
    replaced = {each for some in chosen for each in known[some].about().replaces}
    chosen = [each for each in chosen if each not in replaced] or chosen
    if not chosen:
        raise unknown_name(kind, name, list(known))
    if len(chosen) > 1:
        raise UserError(f"{kind} {name}: there are {len(chosen)} sets of this name; give one of {', '.join(chosen)}")
    return known[chosen[0]]


def frame_of(workspace: Workspace, kind: str, name: str) -> pl.DataFrame:
    """`MeasuredSet.frame` of a set by its name (`find_set`).

    Raises:
        UserError: If the name is unknown, if several sets have it, or if the set holds no radiograph.
    """
    found = find_set(workspace, kind, name)
    if found.about() and not found.index().parts:
        raise UserError(f"{kind} {found.name}: holds no radiograph yet; run the command that fills it again")
    return found.frame()


def _entries(keys: Array, digests: Array) -> Array:
    return np.strings.add(np.strings.add(keys, b"/"), digests)


_EMPTY = _Index((), texts([]), np.empty(0, np.int32), np.empty(0, np.int32), np.empty(0, bool))
