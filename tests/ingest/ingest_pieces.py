"""What the tests of ingest share."""

import random
from pathlib import Path

import pytest

from xray_mining.catalog.merge import merge
from xray_mining.ingest.options import GreyOptions, IngestOptions
from xray_mining.pixels.store import PixelStore
from xray_mining.workspace import Workspace

SMALL = IngestOptions(grey=GreyOptions(side_px=64), shard_files=8, near_duplicates=False)


def reasons(summary) -> dict[str, int]:
    return {each.reason: each.accounts for each in summary.outcomes if each.outcome == "rejected"}


@pytest.fixture(scope="module")
def archive(tmp_path_factory, make_dicom) -> Path:
    """Twenty whole files in nested folders."""
    folder = tmp_path_factory.mktemp("archive")
    for number in range(20):
        make_dicom(folder / f"{number % 3}" / f"IM{number:04d}", number=number)
    return folder


@pytest.fixture(scope="module")
def state_of(run_ingest):
    def state(workspace: Workspace) -> tuple[str, bytes]:
        digest = merge(workspace).catalog_digest
        store = PixelStore.open(workspace)
        return digest, store.read(store.frame["image_key"]).tobytes()

    return state


def damaged(data: bytes, rng: random.Random) -> bytes:
    """One damaged variant: bits turned, a piece cut out, doubled or blanked, or the end cut off."""
    at, length = rng.randrange(len(data)), rng.randrange(1, 1 + len(data) // 4)
    kind = rng.randrange(6)
    if kind == 0:
        copy = bytearray(data)
        for _ in range(rng.randrange(1, 50)):
            copy[rng.randrange(len(copy))] = rng.randrange(256)
        return bytes(copy)
    if kind == 1:
        copy = bytearray(data)
        for _ in range(rng.randrange(1, 12)):
            copy[rng.randrange(min(len(copy), 1500))] = rng.randrange(256)
        return bytes(copy)
    if kind == 2:
        return data[:at]
    if kind == 3:
        return data[:at] + data[at + length :]
    if kind == 4:
        return data[:at] + bytes(length) + data[at + length :]
    return data[:at] + data[at : at + length] * 2 + data[at + length :]


SECRET = "Zq7Xw"
