"""A kind of target that a file adds: it is scored, compared, drawn and answered without another edit."""

import json
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from xray_mining.evaluation import targets
from xray_mining.evaluation.evaluate import evaluate
from xray_mining.evaluation.options import EvaluationOptions
from xray_mining.evaluation.task import KINDS
from xray_mining.records.cohort import Target
from xray_mining.records.estimates import Estimates

PAGE = (Path(__file__).parents[2] / "docs/add_a_kind.md").read_text(encoding="utf-8")
KIND = PAGE.partition("```python\n# xray_mining/evaluation/targets/ratio.py\n")[2].partition("```")[0]


@pytest.fixture
def ratio(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    folder = tmp_path / "kinds"
    folder.mkdir()
    (folder / "ratio.py").write_text(KIND)
    monkeypatch.setattr(targets, "__path__", [*targets.__path__, str(folder)])
    yield
    sys.modules.pop("xray_mining.evaluation.targets.ratio", None)


def test_a_kind_in_a_file_of_its_own_is_evaluated(make, ratio):
    assert "ratio" in KINDS.names()
    made = make(patients=300)
    (made.cohort.folder / "cohort.json").unlink()
    target = Target("age_years", "ratio", "years", made_of=("age_years",), made_of_from="header")
    object.__setattr__(made.cohort, "targets", (target,))
    values = made.frame.select("image_key", pl.lit("age_years").alias("target"), pl.col("age_years").alias("value"))
    rows = values.with_columns(pl.lit(None, pl.String).alias("label"), pl.lit("0" * 32).alias("cohort_digest"))
    made.cohort = made.cohort.save(made.workspace, made.cohort.members(), rows)
    rng = np.random.default_rng(2)
    age = made.frame["age_years"].to_numpy()
    off = rng.normal(0, 0.1, len(age))
    made.predict("made", "network", "network", "age_years", age * np.exp(off), rotations=5)
    made.predict("made", "ridge", "baseline", "age_years", age * np.exp(rng.normal(0, 0.3, len(age))), rotations=5)
    evaluate(made.workspace, "made", EvaluationOptions(bootstraps=100))

    folder = made.workspace.evaluation("made")
    plain = Estimates.read(folder / "estimates.parquet").filter(metric="log_error", split="test", experiment="network")
    own, pair = plain.filter(baseline=""), plain.filter(baseline="ridge")
    assert own["value"].to_list() == pytest.approx([np.abs(off).mean()]) and pair["high"][0] < 0
    [task] = json.loads((folder / "study.json").read_text())["tasks"]
    assert (task["best"], task["metric"]) == ("network", "log_error")
    [answer] = json.loads((folder / "answer.json").read_text())["answers"]
    assert "reads age with a mean error of the logarithm of 0.08" in answer["text"]


def test_every_kind_says_what_the_protocol_asks():
    for name, kind in KINDS.every().items():
        assert kind.metric and kind.title and kind.words and kind.skill_metric and kind.guess_words, name
        assert kind.less_is_better == (kind.guess == 1.0)
