"""A second reader is scored as a model is: the answers are the predictions, and nothing is learned."""

import numpy as np
import polars as pl
import pytest

from xray_mining.catalog.query import sql
from xray_mining.errors import UserError
from xray_mining.models.applied import Experiment, Means
from xray_mining.models.kinds.reader import KIND, ReaderOptions
from xray_mining.models.targets import TARGETS
from xray_mining.records.cohort import Target
from xray_mining.records.predictions import Predictions

LEVELS = Target("severity", "ordinal", classes=("0", "1", "2"))
GROUP = Target("group", "binary", positive="B", classes=("A", "B"))
SEVERAL = Target("findings", "labels", classes=("effusion", "nodule"))


def test_an_answer_is_a_prediction_without_doubt():
    answers = pl.DataFrame({"truth": [2.0, 0.0], "label": ["2", "0"]})
    ordinal = TARGETS.find("ordinal")
    values = ordinal.certain(ordinal.truths(answers, LEVELS), LEVELS)
    assert values.tolist() == [[0, 0, 1], [1, 0, 0]]
    binary = TARGETS.find("binary")
    words = pl.DataFrame({"truth": [None, None], "label": ["B", "A"]}, schema={"truth": pl.Float64, "label": pl.String})
    assert binary.certain(binary.truths(words, GROUP), GROUP).tolist() == [[0, 1], [1, 0]]
    number = TARGETS.find("number")
    assert number.certain(np.array([61.5]), Target("age", "number")).tolist() == [61.5]


def test_a_reader_answers_one_question():
    options = ReaderOptions(model="reader", cohort="all", target="findings", finding="second")
    KIND.refuse("experiments.second", options, LEVELS)
    with pytest.raises(UserError, match=r"experiments\.second: .* one answer for each image, but .* is labels"):
        KIND.refuse("experiments.second", options, SEVERAL)


def test_a_reader_says_nothing_of_other_pictures(tmp_path):
    second = Experiment("severity/second", tmp_path, {"options": {"model": "reader", "finding": "second"}})
    with pytest.raises(UserError, match=r"severity/second: has a reader's answers for the images of its cohort only"):
        KIND.applied(second, Means(tmp_path))


def test_predictions_are_the_answers_for_each_image(small):
    made = small("number", "number + number % 3", {"second": {"model": "reader", "finding": "number"}})
    made.train("second")
    frame = Predictions.read(made.workspace.experiment(made.study.study, "second") / "predictions")
    findings = sql(made.workspace, "select image_key::varchar as key, value from findings where name = 'number'")
    answers = dict(findings.iter_rows())
    assert frame.height and set(frame["split"]) == {"validation", "test"}
    for key, truth, value in frame.select("unit_key", "truth", "value").iter_rows():
        assert value == answers[key] and truth == value + value % 3


def test_the_finding_that_a_target_is_made_of_is_no_second_reader(small):
    made = small("number", "number", {"second": {"model": "reader", "finding": "number"}})
    with pytest.raises(
        UserError, match=r"second: finding 'number' equals target t for all 60 images .* another reader"
    ):
        made.train("second")
