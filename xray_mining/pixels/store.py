"""The packed pixel store: pictures are appended, and read by key in any order; raw bytes, no torch, no lock."""

import json
import os
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import numpy as np
import polars as pl

from xray_mining.errors import UserError, unknown_name
from xray_mining.records.images import first_of_each_image
from xray_mining.records.pixels import Pixels
from xray_mining.workspace import MARKER, Workspace, times_of, write_atomically

# Open raw files a process holds at once; the oldest is closed first.
_OPEN_FILES = 128


def raw_shard(workspace: Workspace, store: str, archive: str, shard: int) -> Path:
    """The raw file of one shard of one archive: its pictures of side × side values, concatenated."""
    return workspace.store(store) / f"{archive}-{shard:05d}.raw"


def store_options(workspace: Workspace, store: str) -> dict[str, Any]:
    """The grey options of a store's pictures, from its store.json; an empty dict if it does not state them."""
    try:
        return dict(json.loads((workspace.store(store) / "store.json").read_text(encoding="utf-8"))["grey"])
    except (OSError, ValueError, KeyError, TypeError):
        return {}


class StoreReplaced(UserError):
    """A raw file was replaced after the store was opened, so the store's rows no longer describe it."""


@dataclass(slots=True)
class ShardWriter:
    """Appends pictures to one raw shard."""

    file: IO[bytes]
    offset: int = 0

    def append(self, picture: np.ndarray) -> int:
        """Write a (side, side) uint8 or uint16 picture; returns the offset of its first byte."""
        at = self.offset
        data = np.ascontiguousarray(picture.astype(picture.dtype.newbyteorder("<"), copy=False))
        self.file.write(data.data)
        self.offset += data.nbytes
        return at


@contextmanager
def write_shard(workspace: Workspace, store: str, archive: str, shard: int) -> Generator[ShardWriter]:
    """A writer for one raw shard; the file appears only if the block succeeds."""
    with write_atomically(raw_shard(workspace, store, archive, shard)) as scratch, scratch.open("wb") as file:
        yield ShardWriter(file)
        file.flush()


def rows_of(workspace: Workspace, store: str) -> pl.DataFrame:
    """The Pixels rows of a store over all archives, one row for each key."""
    frames = [
        Pixels.read(workspace.parts(archive, Pixels.table)).filter(pl.col("store") == store)
        for archive in workspace.archives_in_order()
    ]
    return first_of_each_image(frames) if frames else Pixels.create_empty()


class _RawFile:
    """One open raw file; it is closed with its last reference, so a thread that reads it keeps it open."""

    __slots__ = ("handle",)

    def __init__(self, handle: int) -> None:
        self.handle = handle

    def __del__(self) -> None:
        os.close(self.handle)


@dataclass(slots=True)
class PixelStore:
    """Random access to the standardised pictures of a workspace.

    Safe in threads, which share the open files. It may be pickled: the other process opens the files anew.

    Example:
        >>> store = PixelStore.open(workspace)
        >>> pictures = store.read([image_key])
        >>> pictures.shape == (1, store.side_px, store.side_px), str(pictures.dtype)
        (True, 'uint8')
    """

    name: str
    folder: Path
    frame: pl.DataFrame
    """Pixels rows, one per image_key, sorted by image_key."""
    _keys: np.ndarray = field(repr=False)
    _offsets: np.ndarray = field(repr=False)
    _file_numbers: np.ndarray = field(repr=False)
    _file_names: tuple[str, ...] = field(repr=False)
    _file_states: tuple[tuple[int, int] | None, ...] = field(repr=False)
    _open: dict[int, _RawFile] = field(default_factory=dict, repr=False)

    @classmethod
    def open(cls, workspace: Workspace, store: str | None = None) -> "PixelStore":
        """Open a store.

        Args:
            workspace: An open workspace.
            store: Name of the store; by default the workspace's current one.

        Raises:
            UserError: If the store does not exist.
        """
        name = store or workspace.settings.store
        if name is None:
            raise UserError(
                f"{workspace.root.name}: holds no pictures yet; `xray-mining ingest ARCHIVE` makes the pixel store"
            )
        if workspace.opened is not None:
            places = [workspace.root / MARKER, workspace.store(name)]
            places += sorted(workspace.root.glob(f"parts/*/{Pixels.table}"))
            return workspace.opened.get(("pixels", name), lambda: cls._load(workspace, name), times_of(places))
        return cls._load(workspace, name)

    @classmethod
    def _load(cls, workspace: Workspace, name: str) -> "PixelStore":
        folder = workspace.store(name)
        if not folder.is_dir():
            home = workspace.root / "pixels"
            raise unknown_name("pixel store", name, [p.name for p in home.iterdir()] if home.is_dir() else [])
        # Record file states before reading the rows: if a raw file is replaced in between, opening it detects that.
        states = {entry.name: _state_of(entry.stat()) for entry in os.scandir(folder) if entry.name.endswith(".raw")}
        frame = rows_of(workspace, name).sort("image_key")
        files = (pl.col("archive") + "-" + pl.col("shard").cast(pl.String).str.zfill(5) + ".raw").alias("file")
        names = frame.select(files)["file"]
        distinct = names.unique().sort()
        return cls(
            name=name,
            folder=folder,
            frame=frame,
            _keys=_packed(frame["image_key"]),
            _offsets=frame["offset"].to_numpy(),
            _file_numbers=distinct.search_sorted(names).to_numpy() if len(names) else np.empty(0, np.uint32),
            _file_names=tuple(distinct.to_list()),
            _file_states=tuple(states.get(each) for each in distinct),
        )

    @property
    def side_px(self) -> int:
        """Height and width of every picture."""
        return int(self.frame["side_px"][0]) if self.frame.height else 0

    @property
    def value_type(self) -> str:
        """Type of the stored values: uint8 or uint16."""
        return str(self.frame["value_type"][0]) if self.frame.height else "uint8"

    def __len__(self) -> int:
        return self.frame.height

    def has(self, image_keys: Sequence[str] | pl.Series) -> np.ndarray:
        """Which of the keys have a picture here, (n,) bool."""
        return self._places(image_keys) >= 0

    def read(self, image_keys: Sequence[str] | pl.Series) -> np.ndarray:
        """Pictures of some radiographs.

        Args:
            image_keys: Keys in any order; a key may be given more than once.

        Returns:
            (n, side, side) uint8 or uint16 in the order of the keys, bright = dense.

        Raises:
            UserError: If a key has no picture here, or a raw file is missing or too short.
            StoreReplaced: If an ingest replaced a raw file after the store was opened.
        """
        return self.read_at(self.places(image_keys))

    def places(self, image_keys: Sequence[str] | pl.Series) -> np.ndarray:
        """Positions of the keys' pictures, for `read_at`, (n,) int64; UserError if a key has no picture."""
        places = self._places(image_keys)
        missing = int((places < 0).sum())
        if missing:
            first = list(image_keys)[int(np.flatnonzero(places < 0)[0])]
            raise UserError(
                f"pixel store {self.name}: {missing} of {len(places)} radiographs have no picture here (the first is "
                f"{first}); ingest their archive with these grey options, or freeze the cohort again"
            )
        return places

    def read_at(self, places: np.ndarray) -> np.ndarray:
        """Pictures at these places, as `read`. It calls no polars code, whose threads do not survive a fork."""
        side = self.side_px
        pictures = np.empty((len(places), side, side), np.dtype(self.value_type).newbyteorder("<"))
        # Read in the order of files and offsets, so that a large read is sequential on disk.
        for index in np.lexsort((self._offsets[places], self._file_numbers[places])):
            place = places[index]
            self._read_into(pictures[index], int(self._file_numbers[place]), int(self._offsets[place]))
        return pictures

    def content_boxes(self, image_keys: Sequence[str] | pl.Series) -> np.ndarray:
        """Place of each image within its padded square, (n, 4) float64: left, top, width, height in pixels."""
        columns = ["content_left", "content_top", "content_width", "content_height"]
        return self.frame.select(columns)[self._places(image_keys)].to_numpy()

    def _read_into(self, picture: np.ndarray, number: int, offset: int) -> None:
        view = picture.data.cast("B")
        file = self._file(number)
        done = 0
        while done < len(view):
            count = os.preadv(file.handle, [view[done:]], offset + done)
            if count == 0:
                raise UserError(
                    f"pixel store {self.name}: {self._file_names[number]} is shorter than its index states; repeat the "
                    f"ingest of its archive with --again"
                )
            done += count

    def _file(self, number: int) -> _RawFile:
        # Each step is one atomic operation of the dict, so threads need no lock. A lock would be unsafe: if a process
        # is forked (for readers of training batches) while another thread holds it, it stays locked in the child.
        file = self._open.get(number) or self._open.setdefault(number, self._opened(number))
        for oldest in list(self._open)[:-_OPEN_FILES]:
            self._open.pop(oldest, None)
        return file

    def _opened(self, number: int) -> _RawFile:
        path = self.folder / self._file_names[number]
        try:
            file = _RawFile(os.open(path, os.O_RDONLY | os.O_CLOEXEC))
        except OSError as error:
            raise UserError(
                f"pixel store {self.name}: {path.name} cannot be opened ({error.strerror}); repeat the ingest of "
                f"its archive with --again"
            ) from error
        if _state_of(os.fstat(file.handle)) != self._file_states[number]:
            raise StoreReplaced(
                f"pixel store {self.name}: {path.name} was replaced since it was opened, by an ingest of its "
                f"archive; repeat this command once that has ended"
            )
        return file

    def _places(self, image_keys: Sequence[str] | pl.Series) -> np.ndarray:
        wanted = _packed(
            image_keys if isinstance(image_keys, pl.Series) else pl.Series(list(image_keys), dtype=pl.String)
        )
        if not len(self._keys):
            return np.full(len(wanted), -1)
        found = np.minimum(np.searchsorted(self._keys, wanted), len(self._keys) - 1)
        return np.where(self._keys[found] == wanted, found, -1)

    def close(self) -> None:
        """Close the open files of this process; a file that a thread still reads is closed after that read."""
        self._open.clear()

    def __getstate__(self) -> dict[str, Any]:
        # Open files cannot move to another process.
        return {name: getattr(self, name) for name in self.__slots__} | {"_open": {}}

    def __setstate__(self, state: dict[str, Any]) -> None:
        for name, value in state.items():
            setattr(self, name, value)


def _state_of(status: os.stat_result) -> tuple[int, int]:
    return status.st_size, status.st_mtime_ns


def _packed(keys: pl.Series) -> np.ndarray:
    """UUID texts as an array of (n,) 16-byte values that sort like the texts; forked processes share its memory."""
    packed = keys.str.replace_all("-", "", literal=True).str.decode("hex", strict=False)
    whole = pl.when(packed.bin.size() == 16).then(packed).otherwise(pl.lit(bytes(16)))
    values = pl.select(whole.alias("key"))["key"].to_list()
    return np.frombuffer(b"".join(values), dtype="S16") if values else np.empty(0, "S16")
