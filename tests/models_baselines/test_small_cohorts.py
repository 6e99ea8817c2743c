"""Tiny and unusual targets, from the cohort to the page's tables: a result, or one sentence, never a traceback."""

import numpy as np
import polars as pl
import pytest

from xray_mining.errors import UserError
from xray_mining.models.answers import Classes
from xray_mining.models.baselines import Table
from xray_mining.models.stated import with_nulls
from xray_mining.records.estimates import Estimates
from xray_mining.records.predictions import Predictions
from xray_mining.study.options import Study
from xray_mining.study.plan import refuse_unknown_names

LOGISTIC = {"model": "logistic", "features": ["f"]}
RIDGE = {"model": "ridge", "features": ["f"]}
NO_CHANGES = {"changed_images": 0}


def estimates(made):
    rows = Estimates.read(made.workspace.evaluation(made.study.study) / "estimates.parquet")
    return rows.filter((pl.col("baseline") == "") & (pl.col("subgroup") == "all") & (pl.col("variant") == ""))


@pytest.mark.parametrize(
    ("kind", "expression", "model", "metric"),
    [
        ("group", "case when number < 30 then 'left' else 'right' end", LOGISTIC, "auc_macro"),
        ("group", "case when number < 20 then 'a' when number < 40 then 'b' else 'c' end", LOGISTIC, "auc_macro"),
        ("ordinal", "(number // 15)::integer", LOGISTIC, "mae"),
        ("binary positive='yes'", "case when number < 30 then 'yes' else 'no' end", LOGISTIC, "auc"),
    ],
    ids=["group of two", "group of three", "ordinal", "two labels"],
)
def test_each_kind_of_target_is_trained_and_scored(small, kind, expression, model, metric):
    made = small(kind, expression, {"one": model}, design=NO_CHANGES)
    made.train("one", "null_centre_c_t")
    summary, _ = made.evaluate()
    found = estimates(made).filter((pl.col("experiment") == "one") & (pl.col("metric") == metric))
    assert found["value"].is_finite().any()
    assert summary.experiments == 2
    frame = Predictions.read(made.workspace.experiment(made.study.study, "one") / "predictions")
    if kind == "group":
        assert (frame.group_by("unit_key").agg(pl.col("value").sum())["value"] - 1).abs().max() < 1e-9
        assert frame["class"].n_unique() == expression.count("'") // 2, "one row a class"


@pytest.mark.parametrize("patients", [2, 3, 4, 6])
def test_a_few_patients_a_class_give_a_result_or_one_sentence(small, patients):
    expression = f"case when number < {patients} then 'yes' else 'no' end"
    try:
        made = small(
            "binary positive='yes'",
            expression,
            {"one": LOGISTIC},
            where=f"number < {2 * patients}",
            cohort={"folds": 3},
            design=NO_CHANGES | {"rotations": "all"},
        )
        made.train("one", "null_centre_c_t", "null_thumbnail_c_t")
        made.evaluate()
    except UserError as error:
        assert ";" in str(error) and "\n" not in str(error), "what is wrong; what to do"
        assert patients < 6, f"six patients a class are enough: {error}"
    else:
        assert estimates(made).filter(pl.col("experiment") == "one").height


@pytest.mark.parametrize("few", [1, 2, 4])
def test_a_small_class_beside_a_large_one_stops_no_null(small, few):
    expression = f"case when number < {few} then 'yes' else 'no' end"
    made = small("binary positive='yes'", expression, {"one": LOGISTIC}, design=NO_CHANGES)
    made.train("null_thumbnail_c_t", "null_centre_c_t")
    try:
        made.train("one")
    except UserError as error:
        assert "a class has" in str(error) and few < 4
    made.evaluate()


@pytest.mark.parametrize("model", ["logistic", "support_vectors", "boosting"])
@pytest.mark.parametrize("positives", [2, 3, 4, 5])
def test_inner_folds_hold_every_class(model, positives):
    rng = np.random.default_rng(positives)
    truths = (np.arange(24) < positives).astype(float)
    # Two images of each patient: a class of two patients has four.
    table = Table(rng.normal(size=(48, 3)), np.repeat(truths, 2), np.repeat(np.arange(24), 2), np.ones(48), Classes(2))
    assert all(len(np.unique(table.truths[fitted])) == 2 for fitted, _ in table.folds())
    held = np.sort(np.concatenate([held for _, held in table.folds()]))
    assert held.tolist() == list(range(48))
    for fitted, out in table.folds():
        assert not set(table.patients[fitted]) & set(table.patients[out])
    learned = table.learn(model)
    assert np.allclose(learned.out_of_fold.sum(axis=1), 1)


@pytest.mark.parametrize("classes", [(2, 2), (2, 3), (3, 3, 2), (4, 30)])
def test_every_inner_fold_of_small_classes_holds_somebody(classes):
    truths = np.repeat(np.arange(len(classes)), classes).astype(float)
    table = Table(
        np.zeros((len(truths), 1)), truths, np.arange(len(truths)), np.ones(len(truths)), Classes(len(classes))
    )
    sizes = [len(held) for _, held in table.folds()]
    assert max(sizes) - min(sizes) <= 1 and min(sizes) >= 1


def test_patients_of_both_classes_are_dealt_out_with_the_rarer_one():
    """Ten patients with a negative image each; patients 0 and 5 have a positive one too."""
    patients = np.array([*range(10), 0, 5])
    table = Table(np.zeros((12, 1)), (np.arange(12) >= 10).astype(float), patients, np.ones(12), Classes(2))
    assert not table.lacking()
    assert all(table.truths[fitted].sum() >= 1 for fitted, _ in table.folds())


def test_inner_folds_share_out_a_rare_class():
    """Folds by patient alone leave some without a positive: their loss would be that of the other class."""
    for seed in range(20):
        truths = (np.random.default_rng(seed).permutation(60) < 10).astype(float)
        table = Table(np.zeros((120, 1)), np.repeat(truths, 2), np.repeat(np.arange(60), 2), np.ones(120), Classes(2))
        assert [table.truths[held].sum() for _, held in table.folds()] == [4] * 5


@pytest.mark.parametrize(
    ("kind", "options", "sentence"),
    [
        ("group", RIDGE, r"experiments\.one\.model: ridge does not predict target t, which is group; take 'logistic'"),
        (
            "number",
            LOGISTIC,
            r"experiments\.one\.model: logistic does not predict target t, which is number; take 'ridge'",
        ),
        (
            "binary positive='yes'",
            {"model": "frozen", "embeddings": ["e"], "head": "ridge"},
            r"experiments\.one\.head: ridge does not predict target t",
        ),
    ],
)
def test_a_model_of_another_kind_than_the_target_is_refused_before_any_work(tmp_path, kind, options, sentence):
    query = tmp_path / "q.sql"
    query.write_text(
        f"-- question: q\n-- one row: r\n-- target: t {kind}\n-- example: e\nselect image_key, t from eligible\n"
    )
    study = Study.model_validate(
        {
            "study": "s",
            "question": "?",
            "cohorts": {"c": {"query": str(query)}},
            "features": {"f": {"families": ["intensity"]}},
            "embeddings": {"e": {"weights": "none"}},
            "experiments": {"one": {"cohort": "c", "target": "t"} | options},
        }
    )
    with pytest.raises(UserError, match=sentence):
        refuse_unknown_names(study)
    assert len(with_nulls(study.experiments)) == 6
