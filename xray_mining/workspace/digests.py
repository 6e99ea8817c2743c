"""Digests of values, tables and files, and the versions of packages that can change a number."""

import hashlib
import json
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import polars as pl

# The packages whose versions can change a number; the ledger keeps them.
_VERSIONED = (
    "xray-mining",
    "numpy",
    "polars",
    "duckdb",
    "pydicom",
    "imagecodecs",
    "opencv-python-headless",
    "pillow",
    "pylibjpeg-openjpeg",
    "dicomsdl",
    "python-gdcm",
    "pyjpegls",
    "scikit-learn",
    "scipy",
    "numba",
    "torch",
    "torchvision",
    "timm",
    "pytorch-lightning",
    "albumentations",
    "matplotlib",
)


def digest_of(value: object) -> str:
    """32 hexadecimal digits of SHA-256 over the canonical JSON of `value` (sorted keys, no spaces)."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def digest_of_frame(frame: "pl.DataFrame") -> str:
    """32 hexadecimal digits of SHA-256 over a frame's sorted canonical values.

    Independent of row order, column order, chunking, compression and of the Parquet or polars version. Floats are
    taken as their IEEE bits, texts as UTF-8 with their lengths, nulls as a mask.
    """
    import numpy as np
    import polars as pl

    columns = sorted(frame.columns)
    ordered = frame.select(columns).sort(columns, nulls_last=True)
    total = hashlib.sha256(str(ordered.height).encode())
    for name in columns:
        series = ordered[name]
        if series.dtype in (pl.Categorical, pl.Enum):
            series = series.cast(pl.String)
        if isinstance(series.dtype, pl.List | pl.Array):
            series = series.cast(pl.List(pl.String)).list.join("\x1f")
        total.update(f"|{name}|".encode())
        total.update(np.packbits(series.is_null().to_numpy()).tobytes())
        if series.dtype == pl.String:
            filled = series.fill_null("").rechunk()
            total.update(filled.str.len_bytes().to_numpy().astype("<u4").tobytes())
            # Hash the texts as one Arrow buffer: a Python list of them takes three times the memory.
            joined = filled.to_arrow(compat_level=pl.CompatLevel.oldest())
            _, offsets, values = joined.buffers()
            bounds = np.frombuffer(offsets, "<i8")[joined.offset : joined.offset + len(joined) + 1]
            if values is not None:
                total.update(memoryview(values)[bounds[0] : bounds[-1]])
        elif series.dtype == pl.Binary:
            for value in series.to_list():
                total.update(hashlib.sha256(value or b"").digest())
        elif series.dtype.is_float():
            total.update((series.fill_null(0.0).cast(pl.Float64).to_numpy() + 0.0).astype("<f8").tobytes())
        else:
            total.update(series.to_physical().cast(pl.Int64).fill_null(0).to_numpy().astype("<i8").tobytes())
    return total.hexdigest()[:32]


def digest_of_file(path: Path) -> str:
    """32 hexadecimal digits of SHA-256 over a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:32]


def versions() -> Mapping[str, str]:
    """Installed versions of the packages that can change a number, by name."""
    found = {}
    for name in _VERSIONED:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found
