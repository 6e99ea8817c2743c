"""experiment.json of an experiment's folder: what its predictions were made from, and what each fit chose."""

import json
from pathlib import Path
from typing import Any

from xray_mining.workspace import digest_of, digest_of_file


def read_notes(folder: Path) -> dict[str, Any]:
    """experiment.json of an experiment's folder; empty where it is not there or damaged."""
    try:
        found = json.loads((folder / "experiment.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def digest_of_predictions(folder: Path, digest: str) -> str:
    """Digest of an experiment's predictions: one that has got more seeds or rotations keeps its own `digest`."""
    return digest_of([digest, {path.name: digest_of_file(path) for path in (folder / "predictions").glob("*.parquet")}])
