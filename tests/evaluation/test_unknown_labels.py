"""Labels without a known answer do not stop an evaluation, and the checks say what is missing."""

from pathlib import Path

import numpy as np
import polars as pl
from labels_pieces import predict_labels, with_labels

from xray_mining.evaluation.evaluate import evaluate
from xray_mining.evaluation.options import EvaluationOptions
from xray_mining.records.check_results import CheckResults
from xray_mining.records.estimates import Estimates
from xray_mining.reporting.command import report

QUICK = EvaluationOptions(bootstraps=100, sensitivity_targets=[])


def sentences(made):
    rows = CheckResults.read(made.workspace.evaluation("made") / "check_results.parquet")
    return dict(rows.select("code", "sentence").iter_rows())


def test_a_label_that_no_test_patient_has_an_answer_for_is_named_and_the_others_are_scored(make):
    made = make(patients=200, pictures=False)
    rng = np.random.default_rng(1)
    tested = made.frame["fold"].to_numpy() == 0
    truth = {name: (rng.random(200) < 0.4).astype(float) for name in ("edema", "blank", "everybody")}
    truth["blank"][tested] = np.nan
    truth["everybody"][tested] = 1
    made = with_labels(made, truth)
    predict_labels(made, "net", "network", truth, 2.5)
    predict_labels(made, "base", "baseline", truth, 0.7)
    evaluate(made.workspace, "made", QUICK)
    areas = Estimates.read(made.workspace.evaluation("made") / "estimates.parquet").filter(
        pl.col("metric") == "auc", pl.col("split") == "test", pl.col("subgroup") == "all"
    )
    assert set(areas["class"]) == {"edema"}
    said = sentences(made)["SIZE001"]
    assert "all test patients have everybody, or no test patient has it; " in said
    assert "the truth of blank is not known for any test patient; areas of everybody, blank cannot" in said


def test_a_study_whose_test_truths_are_all_unknown_keeps_its_checks_and_its_page(make):
    made = make(patients=60, pictures=False)
    truth = {name: np.full(60, np.nan) for name in ("edema", "mass")}
    made = with_labels(made, truth)
    predict_labels(made, "net", "network", truth, 2.5)
    evaluate(made.workspace, "made", QUICK)
    assert "EVAL001" in sentences(made)
    page = Path(report("made", None, made.workspace.root).page)
    assert "EVAL001" in page.read_text(encoding="utf-8")
