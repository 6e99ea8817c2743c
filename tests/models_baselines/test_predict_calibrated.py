"""What `predict` says of a file is what the page judges of the same image: the mean of its fits, each calibrated."""

import json
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from xray_mining.application.predict import predict_files
from xray_mining.errors import UserError
from xray_mining.evaluation.provenance import without_maps
from xray_mining.ingest.summary import locate
from xray_mining.models import calibration
from xray_mining.models.calibration import CalibrationMap, Curve
from xray_mining.records.predictions import Predictions

NETWORK = {
    "model": "network",
    "backbone": "test_resnet",
    "side_px": 32,
    "epochs": 1,
    "warmup_epochs": 0,
    "accelerator": "cpu",
    "workers": 0,
}


@pytest.mark.parametrize(
    ("kind", "expression", "found"),
    [
        ("number", "number", CalibrationMap(0, (Curve("line", 31.0, 0.5),))),
        (
            "binary positive='odd'",
            "case when number % 2 = 0 then 'even' else 'odd' end",
            CalibrationMap(2, (Curve("logistic", 1.5, 0.5),)),
        ),
        (
            "ordinal levels='low, mid, high'",
            "case when number < 20 then 'low' when number < 40 then 'mid' else 'high' end",
            CalibrationMap(3, tuple(Curve("logistic", level, 0.5) for level in (1.5, 0.0, -1.0))),
        ),
        (
            "labels least=5 uncertain=ones",
            "map {'odd': number % 2, 'many': if(number > 40, 1, if(number > 35, -1, 0))}",
            CalibrationMap(2, (Curve("logistic", 1.5, 0.5),)),
        ),
    ],
)
def test_predict_says_what_the_predictions_table_is_judged_by(
    small: Callable, monkeypatch: pytest.MonkeyPatch, kind: str, expression: str, found: CalibrationMap
) -> None:
    monkeypatch.setattr(calibration, "calibration_map", lambda *_: found)
    made = small(kind, expression, {"net": NETWORK}, design={"seeds": [0, 1], "changed_images": 2})
    made.train()
    home = made.workspace.experiment(made.study.study, "net")
    tests = Predictions.read(sorted((home / "predictions").glob("*.parquet"))).filter(
        (pl.col("split") == "test") & (pl.col("variant") == "")
    )
    assert tests["value_calibrated"].null_count() == 0
    judged = tests.with_columns(pl.coalesce("value_calibrated", "value").alias("value"))
    key, label = judged["unit_key"].sort()[0], judged["class"][0]
    value = judged.filter((pl.col("unit_key") == key) & (pl.col("class") == label))["value"].mean()
    file = Path(locate(made.workspace, str(key)).path)
    said = predict_files(made.workspace.root, f"{made.study.study}/net", [file])
    (one,) = said.predictions
    assert (one.probabilities[label] if label else one.value) == pytest.approx(value, rel=1e-4)
    assert (said.models, said.calibrated) == (2, 2)
    shown = tests["class"].unique().drop_nulls().to_list()
    assert all(f"probability_{name}" in said.csv() for name in shown if name) and len(said.lines()) == 3
    assert (
        "calibration" not in without_maps(json.loads((home / "experiment.json").read_text()))["fits"]["rotation0-seed0"]
    )
    notes = json.loads((home / "experiment.json").read_text())
    for fit in notes["fits"].values():
        del fit["calibration"]
    (home / "experiment.json").write_text(json.dumps(notes))
    with pytest.raises(UserError, match="does not say how it is calibrated"):
        predict_files(made.workspace.root, f"{made.study.study}/net", [file])
