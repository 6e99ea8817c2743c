"""Notes in an experiment's folder: experiment.json, gathered from one file for each fit in `fits`.

Each fit writes its own file, so that several jobs can fit one experiment at the same time.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xray_mining.workspace import digest_of, digest_of_file, write_json

FITS = "fits"
"""Folder of the notes of each fit: rotation<r>-seed<s>.json."""


@dataclass(frozen=True, slots=True)
class FitNotes:
    """Notes of one fit."""

    chosen: Mapping[str, Any]
    """Chosen hyperparameters and calibration, as in `fits` of experiment.json."""
    seconds: float


def write_fit(folder: Path, name: str, digest: str, chosen: Mapping[str, Any], seconds: float) -> None:
    """Write the notes of a fit; `digest` is the experiment's."""
    write_json({"digest": digest, "seconds": seconds, "chosen": dict(chosen)}, folder / FITS / f"{name}.json")


def fitted_parts(folder: Path, digest: str) -> dict[str, FitNotes]:
    """The finished fits of an experiment with a digest, by name; a fit with a damaged file counts as not finished."""
    found = {}
    for path in sorted((folder / FITS).glob("*.json")):
        try:
            raw = json.loads(path.read_text(encoding="utf-8"))
            if raw["digest"] == digest:
                found[path.stem] = FitNotes(dict(raw["chosen"]), float(raw["seconds"]))
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return found


def keep_fits_of_earlier_versions(folder: Path, notes: Mapping[str, Any]) -> None:
    """Write a file for each fit of experiment.json, because earlier versions kept the notes only there."""
    fits = notes.get("fits") or {}
    for name, chosen in fits.items():
        if not (folder / FITS / f"{name}.json").is_file():
            write_fit(folder, name, str(notes["digest"]), chosen, float(notes.get("seconds") or 0.0) / len(fits))


def read_notes(folder: Path) -> dict[str, Any]:
    """experiment.json of an experiment's folder; empty if it is missing or damaged."""
    try:
        found = json.loads((folder / "experiment.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def digest_of_predictions(folder: Path, digest: str) -> str:
    """Digest of an experiment's predictions; it also changes with added seeds or rotations, unlike `digest`."""
    return digest_of([digest, {path.name: digest_of_file(path) for path in (folder / "predictions").glob("*.parquet")}])
