"""The present pixels of each radiograph of a workspace: a sorted index beside the parts, made again after an ingest."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from xray_mining.errors import CannotFinish, UserError
from xray_mining.records.images import Images, first_of_each_image
from xray_mining.sets.arrays import open_checked, place_in, texts, write_checked
from xray_mining.workspace import Workspace, digest_of

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, slots=True)
class Pictures:
    """The digest of the pixels of every ingested radiograph."""

    keys: Array
    """(n,) S: image_key, sorted."""
    digests: Array
    """(n,) S: pixel_digest, empty if the radiograph has no picture."""

    @classmethod
    def open(cls, workspace: Workspace) -> "Pictures":
        """Read the index from the workspace, or make it from the parts.

        Raises:
            UserError: If a part cannot be read.
        """
        parts = _parts(workspace)
        state = digest_of([[str(path), size, changed] for path, size, changed in parts]).encode()
        index = workspace.root / "parts" / "pixel_digests.index"
        try:
            [of_state], keys, digests = open_checked(index)
            if of_state == state:
                return cls(keys, digests)
        except (OSError, ValueError):
            pass  # not there yet, or damaged
        made = cls._read(workspace, [path for path, _, _ in parts])
        if parts:
            # On a read-only or full disk the next command reads the parts again.
            with suppress(CannotFinish):
                write_checked(index, [np.array([state]), made.keys, made.digests])
        return made

    @classmethod
    def _read(cls, workspace: Workspace, parts: Sequence[Path]) -> "Pictures":
        frames = [_digests(workspace.root / path) for path in parts]
        if not frames:
            return cls(texts([]), texts([]))
        found = first_of_each_image(frames).sort("image_key")
        return cls(texts(found["image_key"]), texts(found["pixel_digest"]))

    def of(self, image_keys: Sequence[str]) -> Array:
        """The pixel digests of the keys in their order, (n,) S; empty for a missing radiograph."""
        places = place_in(self.keys, texts(image_keys))
        found = np.zeros(len(places), self.digests.dtype)
        found[places >= 0] = self.digests[places[places >= 0]]
        return found

    def frame(self, image_keys: Sequence[str]) -> pl.DataFrame:
        """image_key and pixel_digest of the keys in their order; null for a missing radiograph."""
        places = place_in(self.keys, texts(image_keys))
        digests = [each.decode() for each in self.of(image_keys)]
        found = [digest if place >= 0 else None for digest, place in zip(digests, places, strict=True)]
        return pl.DataFrame(
            {"image_key": list(image_keys), "pixel_digest": found}, schema=dict.fromkeys(_COLUMNS, pl.String)
        )


_COLUMNS = ["image_key", "pixel_digest"]


def _parts(workspace: Workspace) -> list[tuple[Path, int, int]]:
    """Parts of images, with size and time of change, in the order of `first_of_each_image`."""
    found = []
    for archive in workspace.archives_in_order():
        for path in sorted(workspace.parts(archive, Images.table).glob("*.parquet")):
            status = path.stat()
            found.append((path.relative_to(workspace.root), status.st_size, status.st_mtime_ns))
    return found


def _digests(path: Path) -> pl.DataFrame:
    try:
        return pl.read_parquet(path, columns=_COLUMNS).with_columns(pl.col("pixel_digest").fill_null(""))
    except (OSError, pl.exceptions.PolarsError) as error:
        raise UserError(
            f"{path.name}: is not a readable part of {Images.table} ({type(error).__name__}); remove it and repeat the "
            f"command that wrote it"
        ) from error
