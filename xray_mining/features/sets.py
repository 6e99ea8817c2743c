"""Sets of vectors in a workspace: features/SET and embeddings/SET, Parquet parts of keys and numbers, resumable."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from xray_mining.errors import UserError
from xray_mining.features.registry import Column
from xray_mining.workspace import digest_of, write_frame, write_json

Array = np.ndarray[Any, Any]

PART_IMAGES = 1000


@dataclass(frozen=True, slots=True)
class VectorSet:
    """One set: set.json says what its numbers are; each part is whole or absent."""

    folder: Path
    kind: str
    """features: a column a number; embeddings: one column `vector`."""
    store: str
    columns: tuple[Column, ...]
    options: dict[str, Any]
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
        held: set[str] = set()
        for path in self._parts():
            held.update(_read(path, ["image_key"])["image_key"].to_list())
        return held

    def missing(self, image_keys: Iterable[str]) -> list[str]:
        """The keys that the set does not hold yet, sorted."""
        return sorted(set(image_keys) - self.keys())

    def write(self, image_keys: Sequence[str], matrix: Array) -> None:
        """Add one part: (n, columns) numbers, nan where something cannot be measured."""
        if matrix.shape != (len(image_keys), len(self.columns)):
            raise ValueError(f"{self.name}: {matrix.shape} numbers for {len(image_keys)} × {len(self.columns)}")
        keys = pl.Series("image_key", list(image_keys), dtype=pl.String)
        if self.kind == "embeddings":
            width = len(self.columns)
            vector = pl.Series("vector", matrix.astype(np.float32), dtype=pl.Array(pl.Float32, width))
            frame = pl.DataFrame([keys, vector])
        else:
            numbers = pl.from_numpy(matrix.astype(np.float64), schema=[each.name for each in self.columns])
            frame = numbers.insert_column(0, keys)
        # The part is named by its keys: two commands that measure the same ones write the same file.
        write_frame(frame, self.folder / "parts" / f"{digest_of(list(image_keys))[:16]}.parquet")

    def read(self, image_keys: Sequence[str]) -> Array:
        """The numbers of the keys in their order, (n, columns) float64; UserError that counts the missing ones."""
        wanted = pl.DataFrame({"image_key": pl.Series(list(image_keys), dtype=pl.String)}).with_row_index("place")
        matrix = np.full((len(image_keys), len(self.columns)), np.nan)
        found = np.zeros(len(image_keys), bool)
        names = [each.name for each in self.columns]
        for path in self._parts():
            frame = _read(path, ["image_key", "vector"] if self.kind == "embeddings" else ["image_key", *names])
            frame = wanted.join(frame, on="image_key", how="inner")
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


def _read(path: Path, columns: list[str]) -> pl.DataFrame:
    try:
        return pl.read_parquet(path, columns=columns)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise UserError(
            f"{path.name}: is not a readable part of {path.parent.parent.name} ({type(error).__name__}); remove it and "
            f"repeat the command that wrote it"
        ) from error
