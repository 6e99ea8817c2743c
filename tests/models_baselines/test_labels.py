"""Several labels of an image: masks, a model for each label, calibration, rows of predictions."""

import json

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xray_mining.models.calibration import CalibrationMap
from xray_mining.models.label_tables import LabelTables
from xray_mining.models.targets import TARGETS, Lesson
from xray_mining.pixels.variants import VARIANTS
from xray_mining.records.cohort import Target
from xray_mining.records.predictions import Predictions

KIND = TARGETS.find("labels")
FOUND = Target("found", "labels", classes=("a", "b"), policy="uncertain=ignore")


def taught(n=160, seed=0, masked=0.2):
    """Two labels, each shown by a column of its own; some answers unknown; two images of each patient."""
    rng = np.random.default_rng(seed)
    matrix = rng.normal(size=(n, 5))
    truths = (matrix[:, :2] + rng.normal(0, 0.5, (n, 2)) > 0).astype(float)
    truths[rng.random((n, 2)) < masked] = np.nan
    return Lesson(matrix, truths, np.arange(n) // 2, np.ones(n))


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10_000))
def test_unknown_answers_change_no_loss(seed):
    rng = np.random.default_rng(seed)
    values, truths = rng.random((6, 3)), rng.integers(0, 2, (6, 3)).astype(float)
    truths[rng.random((6, 3)) < 0.4] = np.nan
    other = np.where(np.isfinite(truths), values, rng.random((6, 3)))
    assert np.array_equal(KIND.errors(values, truths), KIND.errors(other, truths))
    whole = KIND.errors(values, np.ones((6, 3)))
    assert np.allclose(whole, -np.log(values).mean(axis=1))
    assert KIND.known(truths).tolist() == [bool(row.any()) for row in np.isfinite(truths)]


@pytest.mark.parametrize("model", KIND.table_models)
def test_each_label_has_a_model_of_its_own_on_the_shared_table(model):
    lesson = taught()
    tables = LabelTables(lesson, ("a", "b"))
    learned = tables.learn(model)
    for place in range(2):
        known = np.isfinite(lesson.truths[:, place])
        alone = tables.of(place).learn(model)
        assert np.array_equal(learned.out_of_fold[known, place], alone.out_of_fold[:, 1])
        assert np.array_equal(learned.values(lesson.matrix)[:, place], alone.values(lesson.matrix)[:, 1])
    assert {each.split(": ")[0] for each in learned.chosen} == {"a", "b"}


def test_a_label_that_lacks_a_side_gets_its_share_and_stops_no_other():
    lesson = taught(masked=0)
    lesson.truths[:, 1] = 0
    learned = LabelTables(lesson, ("a", "b")).learn("logistic")
    assert (learned.out_of_fold[:, 1] == 0).all() and learned.out_of_fold[:, 0].std() > 0.1
    lesson.truths[:, 0] = 1
    assert "no label can be learned: a class has no patient" in LabelTables(lesson, ("a", "b")).lacking()


def test_the_centre_is_the_share_of_each_labels_known_answers():
    truths = np.array([[1, np.nan], [0, np.nan], [np.nan, np.nan], [1, np.nan]])
    assert KIND.centre(truths, np.array([1.0, 1, 1, 2]), FOUND).tolist() == [0.75, 0.5]


def test_calibration_is_by_label_and_only_where_it_helps():
    rng = np.random.default_rng(1)
    odds = rng.normal(0, 1.5, (400, 2))
    truths = (rng.random((400, 2)) < 1 / (1 + np.exp(-odds))).astype(float)
    truths[rng.random((400, 2)) < 0.1] = np.nan
    values = 1 / (1 + np.exp(-odds * np.array([4.0, 1.0])))
    found = KIND.calibration(values, truths, FOUND, np.arange(400))
    assert found is not None and [each.kind for each in found.curves] == ["logistic", "same"]
    mapped = found.of(values)
    assert np.array_equal(mapped[:, 1], values[:, 1])
    known = np.isfinite(truths[:, 0])
    assert (
        KIND.errors(mapped[known, :1], truths[known, :1]).mean()
        < KIND.errors(values[known, :1], truths[known, :1]).mean()
    )
    assert (np.diff(mapped[np.argsort(values[:, 0]), 0]) >= 0).all()
    again = CalibrationMap.from_json(json.loads(json.dumps(found.to_json())))
    assert np.array_equal(again.of(values), mapped)


def test_columns_and_values_are_the_reverse_of_each_other():
    values, truths = np.array([[0.2, 0.9], [0.4, 0.3]]), np.array([[1, np.nan], [0, 1]])
    columns = KIND.columns(values, None, truths, FOUND)
    rows = [
        {"unit_key": key, "class": each.name, "value": each.value[n]} for n, key in enumerate("xy") for each in columns
    ]
    keys, again = KIND.values(pl.DataFrame(rows), FOUND)
    assert keys == ["x", "y"] and np.array_equal(again, values)


LABELS = (
    "map {'high': if(number >= 30, 1, 0), 'tens': if(number % 20 < 10, 1, if(number % 3 = 0, -1, 0)), "
    "'rare': if(number < 2, 1, 0)}"
)
EXPERIMENTS = {
    "one": {"model": "logistic", "features": ["f"]},
    "two": {"model": "boosting", "features": ["g"]},
    "both": {"model": "ensemble", "members": ["one", "two"], "rule": "stack"},
}


def test_labels_go_from_the_header_to_predictions(small):
    made = small("labels least=5", LABELS, EXPERIMENTS, design={"changed_images": 3})
    made.train(*EXPERIMENTS, *(f"null_{each}_c_t" for each in ("centre", "metadata", "thumbnail")))
    for name in ("both", "null_thumbnail_c_t", "null_centre_c_t"):
        frame = Predictions.read(made.workspace.experiment(made.study.study, name) / "predictions")
        assert set(frame["class"]) == {"high", "tens"}, "'rare' has two patients"
        plain = frame.filter(pl.col("variant") == "")
        assert plain.height == 2 * plain["unit_key"].n_unique()
        masked = plain.filter(pl.col("truth").is_null())
        assert 0 < masked.height < plain.height / 4 and set(masked["class"]) == {"tens"}
        # A model that looks at pictures also predicts changed ones, of the same labels.
        changed = frame.filter(pl.col("variant") != "")
        assert bool(changed.height) == (name == "both"), name
        labels = changed.group_by("variant").agg(pl.col("class").n_unique())["class"].to_list()
        assert labels == ([2] * len(VARIANTS) if name == "both" else [])
        assert plain["value"].is_between(0, 1).all()
