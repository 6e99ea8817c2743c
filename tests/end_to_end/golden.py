"""What a run of the mini study must give again: digests, predictions and the tables of its evaluation.

    python tests/end_to_end/golden.py WORKSPACE FOLDER

writes the golden values of a workspace into a folder.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from xray_mining.records.predictions import Predictions
from xray_mining.workspace import digest_of_frame, versions

WORDS = ("method", "caution", "words", "title", "sentence", "evidence", "section", "subject", "label", "text")
"""Columns of tables that are sentences for people: they may be written more plainly."""
DIGESTS = ("experiment_digest", "cohort_digest")
"""Compared by `digests.json` alone."""
GOLDEN = Path(__file__).parents[1] / "golden/mini"
EXACT = os.environ.get("XRAY_MINING_GOLDEN") == "exact"
TRAINED = ("age_network", "age_mean", "age_frozen")
"""Experiments that run torch, whose sums differ most between processors."""
KEYS = {
    "audits": [],
    "calibration": [],
    "check_results": ["code", "severity", "outcome", "about", "offenders"],
    "confusion": [],
    "error_by_age": [],
    "estimates": [],
    "roc": [],
    "table_one": [],
}
"""Tables of an evaluation, each with the columns that are compared; none named: all but WORDS and DIGESTS."""


def tables_of(workspace: Path) -> dict[str, pl.DataFrame]:
    """The tables of an evaluation without their sentences, sorted by every column that is not a number."""
    found = {}
    for name, columns in KEYS.items():
        frame = pl.read_parquet(workspace / "evaluations/mini" / f"{name}.parquet")
        words = [each for each in WORDS if (name, each) not in (("audits", "label"),)]
        frame = frame.select(columns or [each for each in frame.columns if each not in (*words, *DIGESTS)])
        exact = [each for each, kind in frame.schema.items() if not kind.is_float()]
        found[name] = frame.sort([*exact, *(each for each in frame.columns if each not in exact)], nulls_last=True)
    return found


def digests_of(workspace: Path) -> dict[str, dict[str, str]]:
    """Digests of the cohorts, of the sets of numbers and of the experiments."""
    experiments = sorted((workspace / "experiments/mini").glob("*/experiment.json"))
    latest = sorted((workspace / "cohorts").glob("*/latest.json"))
    sets = sorted(
        path.parent.name for room in ("features", "embeddings") for path in (workspace / room).glob("*/set.json")
    )
    return {
        "cohorts": {path.parent.name: json.loads(path.read_text())["digest"] for path in latest},
        "sets": {name.rpartition("-")[0]: name.rpartition("-")[2] for name in sets},
        "experiments": {path.parent.name: json.loads(path.read_text())["digest"] for path in experiments},
    }


def predictions_of(workspace: Path) -> dict[str, dict[str, Any]]:
    """Of each experiment: rows, sums of its predictions, and a digest of every bit of them."""
    found = {}
    for folder in sorted((workspace / "experiments/mini").glob("*/predictions")):
        frame = Predictions.read(sorted(folder.glob("*.parquet")))
        keys = ["target", "class", "seed", "fold", "split", "variant", "level", "unit_key", "patient_key"]
        frame = frame.select(*keys, "truth", "value", "value_calibrated", "spread").sort(keys)
        found[folder.parent.name] = {
            "rows": frame.height,
            "digest": digest_of_frame(frame),
            "calibrated": frame["value_calibrated"].count(),
            **{f"mean_{name}": frame[name].mean() for name in ("truth", "value", "value_calibrated", "spread")},
            **{f"deviation_{name}": frame[name].std() for name in ("truth", "value", "value_calibrated", "spread")},
        }
    return found


def tolerance(experiment: str) -> float:
    """Relative error that another processor may make."""
    if EXACT:
        return 0.0
    return 2e-2 if experiment in TRAINED else 1e-6


def has_pinned_versions() -> bool:
    """Whether the packages that can change a number have the versions of constraints.txt: not in `make test-lowest`."""
    lines = (Path(__file__).parents[2] / "constraints.txt").read_text().split()
    pinned = dict(line.split("==") for line in lines)
    return all(pinned.get(name, version) == version for name, version in versions().items())


def compare_digests(workspace: Path) -> None:
    """Digests of cohorts, sets and experiments are the golden ones."""
    found, want = digests_of(workspace), json.loads((GOLDEN / "digests.json").read_text())
    if not has_pinned_versions():
        # Versions enter the digests of sets and experiments.
        for each in (found, want):
            each.update(sets=sorted(each["sets"]), experiments=sorted(each["experiments"]))
    assert found == want


def compare_predictions(workspace: Path) -> None:
    """Counts are equal, and means and deviations close; every bit is equal where EXACT."""
    found, golden = predictions_of(workspace), json.loads((GOLDEN / "predictions.json").read_text())
    assert found.keys() == golden.keys()
    for name, each in found.items():
        want = golden[name]
        assert (each["rows"], each["calibrated"]) == (want["rows"], want["calibrated"]), name
        if EXACT:
            assert each == want, name
        for key in (key for key in want if key.startswith(("mean", "deviation"))):
            mine, theirs = (np.nan if one[key] is None else one[key] for one in (each, want))
            np.testing.assert_allclose(mine, theirs, rtol=tolerance(name), err_msg=f"{name}.{key}")


def compare_table(workspace: Path, name: str) -> None:
    """Words and counts are equal, and numbers close; every bit is equal where EXACT."""
    found, want = tables_of(workspace)[name], pl.read_parquet(GOLDEN / f"{name}.parquet")
    assert found.schema == want.schema
    if EXACT or not any(kind.is_float() for kind in want.dtypes):
        assert found.equals(want)
    numbers = [each for each, kind in want.schema.items() if kind.is_float()]
    exact = [each for each in want.columns if each not in numbers]
    assert found.height == want.height
    if name == "roc":
        return  # Its points begin where the curves of networks bend.
    assert found.select(exact).equals(want.select(exact))
    trained = pl.any_horizontal(
        pl.lit(False), *(pl.col(each).is_in(TRAINED) for each in ("experiment", "baseline") if each in want.columns)
    )
    for rows, limit in ((~trained, 1e-6), (trained, 2e-2)):
        for column in numbers:
            mine, theirs = (frame.filter(rows)[column].to_numpy() for frame in (found, want))
            np.testing.assert_allclose(mine, theirs, rtol=limit, atol=limit, err_msg=f"{name}.{column}")


def main() -> None:
    """Write the golden values."""
    workspace, folder = Path(sys.argv[1]), Path(sys.argv[2])
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "digests.json").write_text(json.dumps(digests_of(workspace), indent=1) + "\n")
    (folder / "predictions.json").write_text(json.dumps(predictions_of(workspace), indent=1) + "\n")
    for name, frame in tables_of(workspace).items():
        frame.write_parquet(folder / f"{name}.parquet", compression="zstd", compression_level=19)


if __name__ == "__main__":
    main()
