"""What the tests of archives that are read again share."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from xray_mining.archive.sources.folder import FolderSource
from xray_mining.cli import ingest as _commands  # noqa: F401  registers them
from xray_mining.ingest import parts, run, shards
from xray_mining.ingest.ingest import IngestRequest, ingest
from xray_mining.ingest.options import GreyOptions, IngestOptions
from xray_mining.pixels.store import PixelStore
from xray_mining.records.images import Images
from xray_mining.records.rejects import Rejects
from xray_mining.workspace import Workspace

SMALL = IngestOptions(grey=GreyOptions(side_px=64), shard_files=4, near_duplicates=False)


OTHER = GreyOptions(side_px=32, value_type="uint16")


FRAMES = {"2.dcm": 2, "5.dcm": 3}


UNTOLD = "7.dcm"
"""The table has no row of it."""


class Killed(BaseException):
    """Stands for kill -9: nothing that catches errors sees it."""


@pytest.fixture(autouse=True, scope="module")
def _in_this_process():
    """Workers cost seconds each to start; what they do is `run_shard`."""

    def run_tasks(tasks, *_: object):
        return [run.run_shard(task, lambda *_: None) for task in tasks]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("xray_mining.ingest.ingest.run_tasks", run_tasks)
        yield


@contextmanager
def killed_after(moves: int) -> Iterator[None]:
    """A run is killed when so many parts have been put in place."""
    whole, left = parts._move, moves

    def move(source: Path, target: Path) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise Killed
        whole(source, target)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parts, "_move", move)
        yield


@dataclass
class Archive:
    """A folder of ten DICOM files with a table, of which each has two contents, and what was done to them."""

    folder: Path
    contents: dict[str, tuple[bytes, bytes]]
    state: dict[str, str] = field(default_factory=dict)
    age: int = 40
    """What the table says of all; 90 and more for the first."""

    def put(self, name: str, version: int) -> None:
        path = self.folder / name
        path.write_bytes(self.contents[name][version])
        os.utime(path, ns=(10**18 + version, 10**18 + version))

    def write_table(self) -> None:
        rows = [
            f"{name},p{name},{95 if name == '0.dcm' else self.age}\n"
            for name in sorted(self.contents)
            if name != UNTOLD
        ]
        (self.folder / "t.csv").write_text("image,patient,age\n" + "".join(rows))


@pytest.fixture(scope="module")
def contents(tmp_path_factory, make_dicom, chest_picture) -> dict[str, tuple[bytes, bytes]]:
    """Two contents a file; the first of the last is another file's picture."""
    path = tmp_path_factory.mktemp("made") / "made.dcm"

    def content(number: int, version: int) -> bytes:
        frames = FRAMES.get(f"{number}.dcm", 1)
        first = 8 if (number, version) == (9, 0) else number + 20 * version
        picture = np.vstack([chest_picture(first + 50 * each) for each in range(frames)])
        about = {"NumberOfFrames": frames, "Rows": 96, "ImageComments": "longer" * version}
        return make_dicom(path, picture, number, **about).read_bytes()

    return {f"{number}.dcm": (content(number, 0), content(number, 1)) for number in range(10)}


def archive_in(folder: Path, contents: dict[str, tuple[bytes, bytes]], version: int = 0) -> Archive:
    folder.mkdir()
    made = Archive(folder, contents)
    for name in contents:
        made.put(name, version)
    made.write_table()
    (folder / "mapping.yaml").write_text("table: t.csv\ncolumns: {image: image, patient_id: patient, age: age}\n")
    return made


@pytest.fixture
def archive(tmp_path, contents) -> Archive:
    return archive_in(tmp_path / "a", contents)


@pytest.fixture(scope="module")
def key(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("key") / "key"
    path.write_text("ab" * 32)
    return path


def rows_of(workspace: Workspace, name: str = "a") -> dict[str, tuple[pl.DataFrame, pl.DataFrame]]:
    """Rows of images and rejects of each file, from the parts."""
    images = Images.read(workspace.parts(name, "images"))
    rejects = Rejects.read(workspace.parts(name, "rejects"))
    found = {}
    for shard in shards.known_shards(workspace, name):
        for position, file in enumerate(shards.files_of(workspace, name, shard)):
            at = (pl.col("shard") == shard) & (pl.col("position") == position)
            found[file.path.decode()] = (images.filter(at), rejects.filter(at))
    return found


def pictures_of(workspace: Workspace, keys: list[str]) -> list[bytes | None]:
    store = PixelStore.open(workspace)
    return [store.read([key]).tobytes() if store.has([key])[0] else None for key in keys]


@pytest.fixture(scope="module")
def truth(contents, key, tmp_path_factory) -> dict[tuple[object, ...], list[object]]:
    """What undisturbed runs give: digests by name and version, pictures by name, version and side."""
    found: dict[tuple[object, ...], list[object]] = {}
    for version in (0, 1):
        folder = tmp_path_factory.mktemp("truth")
        archive_in(folder / "a", contents, version)
        for grey in (SMALL.grey, OTHER):
            fresh = Workspace.create(folder / f"w{grey.side_px}")
            request = IngestRequest(FolderSource(folder / "a"), name="a", domain="d", key_file=key)
            ingest(fresh, request, SMALL.model_copy(update={"grey": grey}))
            for name, (images, _) in rows_of(fresh).items():
                found[name, version, grey.side_px] = pictures_of(fresh, images["image_key"].to_list())
                found[name, version] = images["pixel_digest"].to_list()
    return found


def _as_an_earlier_version_left_it(workspace: Workspace, name: str) -> None:
    """Digests of another kind, which the shards' own digest and counts do not name."""
    for path in workspace.parts(name, "images").glob("*.parquet"):
        other = pl.col("pixel_digest").str.reverse().str.replace(r"^(.{12})-(.{4})-(.{4})-(.{4})-", "$1$2$3$4")
        text = other.str.replace(r"^(.{8})(.{4})(.{4})(.{4})", "$1-$2-$3-$4-")
        Images.write(Images.read(path).with_columns(text.alias("pixel_digest")), path)
    for path in (workspace.root / "parts" / name / "shards").glob("*.json"):
        raw = json.loads(path.read_text())
        del raw["pixel_digest"], raw["unread"]
        path.write_text(json.dumps(raw | {"digest": "of an earlier version"}))


def killed(*_: object) -> None:
    raise Killed
