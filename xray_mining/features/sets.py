"""Sets of vectors in a workspace: features/SET and embeddings/SET, Parquet parts of keys and numbers, resumable."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from xray_mining.errors import UserError, unknown_name
from xray_mining.features.registry import Column
from xray_mining.records.images import Images
from xray_mining.workspace import Workspace, digest_of, write_frame, write_json

Array = np.ndarray[Any, Any]

PART_IMAGES = 1000


def pixel_digests(workspace: Workspace) -> pl.DataFrame:
    """image_key and pixel_digest of every radiograph that was ingested, '' where its picture has none."""
    archives = workspace.settings.archives
    parts = [
        path
        for archive in sorted(archives, key=lambda name: archives[name].order)
        for path in sorted(workspace.parts(archive, Images.table).glob("*.parquet"))
    ]
    columns = ["image_key", "pixel_digest"]
    frames = [_read(path, columns).with_columns(pl.col("pixel_digest").fill_null("")) for path in parts]
    if not frames:
        return pl.DataFrame(schema=dict.fromkeys(columns, pl.String))
    return pl.concat(frames).unique("image_key", keep="first", maintain_order=True)


@dataclass(frozen=True, slots=True)
class VectorSet:
    """One set: set.json says what its numbers are; each part is whole or absent.

    A vector is held for the picture it was measured on: where a radiograph has been ingested again with other pixels,
    its earlier vector no longer counts.
    """

    folder: Path
    kind: str
    """features: a column a number; embeddings: one column `vector`."""
    store: str
    columns: tuple[Column, ...]
    options: dict[str, Any]
    pixels: pl.DataFrame = field(compare=False, repr=False)
    """What `pixel_digests` says of the workspace now."""
    mask_set: str = ""

    @property
    def name(self) -> str:
        """NAME-DIGEST: the study's key, and the digest of options and store."""
        return self.folder.name

    def describe(self) -> None:
        """Write set.json, with how many radiographs the set holds now."""
        described = {
            "set": self.name,
            "kind": self.kind,
            "store": self.store,
            "mask_set": self.mask_set,
            "columns": [each.name for each in self.columns],
            "units": [each.unit for each in self.columns],
            "images": len(self.keys()),
            "options": json.dumps(self.options, sort_keys=True),
        }
        path = self.folder / "set.json"
        if not path.is_file() or json.loads(path.read_text(encoding="utf-8")) != described:
            write_json(described, path)

    def keys(self) -> set[str]:
        """image_key of every radiograph in the set."""
        held = [_read(path, ["image_key", "pixel_digest"]) for path in self._parts()]
        if not held:
            return set()
        frame = pl.concat(held)
        return set(frame.join(self._known(frame["image_key"].unique()), on=frame.columns)["image_key"].to_list())

    def missing(self, image_keys: Iterable[str]) -> list[str]:
        """The keys whose present picture the set does not hold yet, sorted."""
        return sorted(set(image_keys) - self.keys())

    def _known(self, keys: pl.Series) -> pl.DataFrame:
        """The keys, in their order, with the digest of the pixels that each has now."""
        frame = pl.DataFrame({"image_key": keys}, schema={"image_key": pl.String})
        joined = frame.join(self.pixels, on="image_key", how="left", maintain_order="left")
        return joined.with_columns(pl.col("pixel_digest").fill_null(""))

    def write(self, image_keys: Sequence[str], matrix: Array) -> None:
        """Add one part: (n, columns) numbers, nan where something cannot be measured."""
        if matrix.shape != (len(image_keys), len(self.columns)):
            raise ValueError(f"{self.name}: {matrix.shape} numbers for {len(image_keys)} × {len(self.columns)}")
        known = self._known(pl.Series("image_key", list(image_keys), dtype=pl.String))
        if self.kind == "embeddings":
            width = len(self.columns)
            vector = pl.Series("vector", matrix.astype(np.float32), dtype=pl.Array(pl.Float32, width))
            frame = known.with_columns(vector)
        else:
            numbers = pl.from_numpy(matrix.astype(np.float64), schema=[each.name for each in self.columns])
            frame = pl.concat([known, numbers], how="horizontal")
        # The part is named by its pictures: two commands that measure the same ones write the same file.
        write_frame(frame, self.folder / "parts" / f"{digest_of(known.rows())[:16]}.parquet")

    def read(self, image_keys: Sequence[str]) -> Array:
        """The numbers of the keys in their order, (n, columns) float64; UserError that counts the missing ones."""
        wanted = self._known(pl.Series(list(image_keys), dtype=pl.String)).with_row_index("place")
        matrix = np.full((len(image_keys), len(self.columns)), np.nan)
        found = np.zeros(len(image_keys), bool)
        names = [each.name for each in self.columns]
        for path in self._parts():
            columns = ["vector"] if self.kind == "embeddings" else names
            frame = _read(path, ["image_key", "pixel_digest", *columns])
            frame = wanted.join(frame, on=["image_key", "pixel_digest"], how="inner")
            if not frame.height:
                continue
            places = frame["place"].to_numpy()
            matrix[places] = frame["vector"].to_numpy() if self.kind == "embeddings" else frame.select(names).to_numpy()
            found[places] = True
        if not found.all():
            what = "features" if self.kind == "features" else "embed"
            raise UserError(
                f"{self.kind} {self.name}: {int((~found).sum())} of {len(found)} radiographs are not in the set; run "
                f"`xray-mining {what}` on the cohort"
            )
        return matrix

    def _parts(self) -> list[Path]:
        return sorted((self.folder / "parts").glob("*.parquet"))


def set_name(key: str, told: object) -> str:
    """NAME-DIGEST of a set: its key, and 12 digits of the digest of options, store and whatever else it hangs on."""
    return f"{key}-{digest_of(told)[:12]}"


def frame_of(workspace: Workspace, kind: str, name: str) -> pl.DataFrame:
    """What a set holds of the pictures that the workspace has now, a row a radiograph.

    Args:
        workspace: The workspace.
        kind: features or embeddings.
        name: The set's name in the study, or NAME-DIGEST where there are several of a name.

    Returns:
        image_key, and the set's columns, or `vector`; sorted by key.

    Raises:
        UserError: For an unknown name, or one that several sets have.
    """
    home = workspace.root / kind
    known = sorted(path.parent.name for path in home.glob("*/set.json"))
    # Sets of changed pictures have the name of the set that they are compared with; only NAME-DIGEST gives one of them.
    chosen = [
        each
        for each in known
        if each == name or (each.rpartition("-")[0] == name and not _variant(home / each / "set.json"))
    ]
    if not chosen:
        raise unknown_name(kind, name, known)
    if len(chosen) > 1:
        raise UserError(f"{kind} {name}: there are {len(chosen)} sets of this name; give one of {', '.join(chosen)}")
    pixels = pixel_digests(workspace)
    described = json.loads((home / chosen[0] / "set.json").read_text(encoding="utf-8"))
    columns = ["image_key", "pixel_digest", *(described["columns"] if kind == "features" else ["vector"])]
    parts = [_read(path, columns) for path in sorted((home / chosen[0] / "parts").glob("*.parquet"))]
    if not parts:
        raise UserError(f"{kind} {chosen[0]}: holds no radiograph yet; run the command that fills it again")
    held = pl.concat(parts).join(pixels, on=["image_key", "pixel_digest"], how="semi").drop("pixel_digest")
    return held.unique("image_key").sort("image_key")


def _variant(described: Path) -> str:
    """How the pictures of a set were changed before they were measured; empty where they were not."""
    options = json.loads(described.read_text(encoding="utf-8")).get("options", "{}")
    return str(json.loads(options).get("variant") or "")


def _read(path: Path, columns: list[str]) -> pl.DataFrame:
    try:
        if "pixel_digest" not in pl.read_parquet_schema(path):
            # Of a version that did not note the pictures: what it holds may be of others.
            return pl.read_parquet(path).with_columns(pixel_digest=pl.lit("unknown")).select(columns)
        return pl.read_parquet(path, columns=columns)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise UserError(
            f"{path.name}: is not a readable part of {path.parent.parent.name} ({type(error).__name__}); remove it and "
            f"repeat the command that wrote it"
        ) from error
