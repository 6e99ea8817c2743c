"""The mini study gives the figures that it gave before the rooms were rebuilt (tests/golden/README.md)."""

import json
import os
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest

sys.path.insert(0, str(Path(__file__).parent))
from golden import KEYS, digests_of, predictions_of, tables_of

GOLDEN = Path(__file__).parents[1] / "golden/mini"
EXACT = os.environ.get("XRAY_MINING_GOLDEN") == "exact"
TRAINED = ("age_network", "age_mean", "age_frozen")
"""Experiments that run torch, whose sums differ most between processors."""


@pytest.fixture(scope="module")
def workspace(whole):
    return whole[0]


def tolerance(experiment):
    if EXACT:
        return 0.0
    return 2e-2 if experiment in TRAINED else 1e-6


def test_digests(workspace):
    assert digests_of(workspace) == json.loads((GOLDEN / "digests.json").read_text())


def test_predictions(workspace):
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


@pytest.mark.parametrize("name", KEYS)
def test_table(workspace, name):
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
