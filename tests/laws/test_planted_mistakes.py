"""One test for each mistake that was planted once and that no test found: what it changes has its right value here."""

from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest

from xray_mining.archive.radiograph import Header, Unread
from xray_mining.evaluation.gather import _aligned, _validation
from xray_mining.evaluation.operating_points import OperatingPoint
from xray_mining.ingest.shard_rows import ShardRows
from xray_mining.ingest.stated_header import unread_of
from xray_mining.models.ensemble import combine
from xray_mining.models.fit import Fit, Fitted
from xray_mining.models.kinds import kind_of
from xray_mining.models.kinds.null import NullOptions
from xray_mining.models.rows import calibration_of_fit, prediction_rows
from xray_mining.records.cohort import Target
from xray_mining.statistics.auc import auc_covariance, auc_influence
from xray_mining.statistics.errors import error_metrics
from xray_mining.statistics.resampling import interval, permutation_p

SEX = Target("patient_sex", "binary", positive="M", classes=("F", "M"))
AGE = Target("age_years", "number", "years")


def fit_of(target, truths, roles):
    """A fit of one image a patient; truths are numbers of classes for a target with labels."""
    count = len(truths)
    labels = [None] * count if not target.classes else [target.classes[int(each)] for each in truths]
    numbers = truths if target is AGE else [float(each) for each in truths]
    keys = [f"{n:04}" for n in range(count)]
    frame = {"image_key": keys, "patient_key": keys, "study_key": keys, "weight": [1.0] * count, "role": roles}
    frame |= {"truth": numbers, "label": labels}
    return Fit(0, -1, target, pl.DataFrame(frame, schema_overrides={"truth": pl.Float64, "label": pl.String}))


def test_calibration_never_sees_test_patients():
    rng = np.random.default_rng(0)
    roles = ["validation", "test", "train"] * 100
    truths = rng.integers(0, 2, 300)
    odds = 4 * (truths - 0.5) + rng.normal(0, 8, 300)
    given = 1 / (1 + np.exp(-odds))
    told = []
    for flipped in (False, True):
        own = [1 - each if flipped and role == "test" else each for each, role in zip(truths, roles, strict=True)]
        fit = fit_of(SEX, own, roles)
        options = NullOptions(model="metadata", cohort="c", target="patient_sex")
        task = SimpleNamespace(
            study=SimpleNamespace(study="s"), name="n", kind=kind_of(options), cohort=SimpleNamespace(digest="d")
        )
        fitted = Fitted(list(fit.keys), np.stack([1 - given, given], axis=1))
        rows = prediction_rows(task, fit, fitted, "digest", calibration_of_fit(fit, fitted))
        told.append(rows.sort("unit_key")["value_calibrated"].to_numpy())
    assert np.isfinite(told[0]).all() and np.abs(told[0] - given).max() > 0.05
    assert np.array_equal(told[0], told[1])


def of_seeds(split):
    """Two units under three seeds, whose largest, first and mean predictions differ."""
    rows = [
        {"unit_key": unit, "patient_key": unit, "class": "", "fold": 0, "seed": seed, "split": split, "truth": 50.0}
        | {"value": value}
        for unit, values in (("a", (1.0, 5.0, 9.0)), ("b", (8.0, 2.0, 5.0)))
        for seed, value in enumerate((values[0], values[1] + 1, values[2] + 2))
    ]
    return pl.DataFrame(rows)


def test_a_prediction_is_the_mean_over_seeds():
    found = _aligned(of_seeds("test"), "value", pl.DataFrame({"unit_key": ["a", "b"]}), AGE)
    assert found.tolist() == [6.0, 6.0]
    assert _validation(of_seeds("validation"), AGE)["value"].to_list() == [6.0, 6.0]


def test_each_rotation_calls_by_its_own_threshold():
    point = OperatingPoint("youden", {0: 0.2, 1: 0.8})
    task, model = SimpleNamespace(folds=np.array([0, 0, 1, 1])), SimpleNamespace(values=np.array([0.1, 0.5, 0.5, 0.9]))
    assert point.called(task, model).tolist() == [False, True, False, True]


def test_folds_that_share_training_patients_widen_an_interval():
    rng = np.random.default_rng(1)
    truth = rng.uniform(20, 80, 200)
    given = truth + rng.normal(0, 6, 200)
    folds = np.arange(200) % 5
    alone, shared = (error_metrics(truth, given, folds=each, draws=400)["mae"] for each in (None, folds))
    assert shared.value == alone.value
    assert shared.high - shared.low > 1.05 * (alone.high - alone.low)
    # Predicted again by another fold's fit, by as much as the fits differ.
    again = given + rng.normal(0, 4, 200)
    measured = error_metrics(truth, given, folds=folds, again=again, draws=400)["mae"]
    same = error_metrics(truth, given, folds=folds, again=given, draws=400)["mae"]
    assert measured.high - measured.low > 1.05 * (same.high - same.low)


def test_a_stack_says_of_a_validation_patient_what_the_others_taught():
    rng = np.random.default_rng(2)
    roles = ["validation", "test"] * 20
    truths = rng.normal(50, 10, 40)
    members = {name: truths + rng.normal(0, spread, 40) for name, spread in (("a", 5), ("b", 6), ("c", 7))}
    moved = truths.copy()
    moved[0] += 500.0
    values = []
    for each in (truths, moved):
        fit = fit_of(AGE, each, roles)
        of_members = {name: Fitted(list(fit.keys), given) for name, given in members.items()}
        values.append(combine("stack", of_members, fit).fitted.values)
    assert values[0][0] == pytest.approx(values[1][0])
    assert np.abs(values[0] - values[1]).max() > 0.1


def test_a_skewed_means_interval_reaches_further_on_the_side_of_its_tail():
    values = np.random.default_rng(3).exponential(1, 40) ** 1.5
    sums = np.stack([np.ones(40), values], axis=1)
    value, low, high = (each[0] for each in interval(sums, lambda s: (s[..., 1] / s[..., 0])[..., None], draws=4000))
    reach = (high - value) / (value - low)
    assert reach > 1.4  # 1.5, and without acceleration or with its sign turned below 1.25


def test_a_patients_positive_and_negative_images_go_together():
    rng = np.random.default_rng(4)
    owner = np.repeat(np.arange(300), 2)
    label = np.tile([0, 1], 300)
    score = np.repeat(rng.normal(0, 2, 300), 2) + label + rng.normal(0, 0.3, 600)
    _, covariance = auc_covariance(label, score, owner)
    influence = auc_influence(label, score)[1]
    assert covariance[0, 0] == pytest.approx(float((np.bincount(owner, influence) ** 2).sum()), rel=0.02)
    _, apart = auc_covariance(label, score, np.arange(600))
    assert covariance[0, 0] < 0.5 * apart[0, 0]


def test_the_smallest_permutation_p_is_one_draw_of_all():
    rng = np.random.default_rng(5)
    first, second = rng.normal(0, 0.1, 60) + 5, rng.normal(0, 0.1, 60)
    sums = [np.stack([np.ones(60), each], axis=1) for each in (first, second)]
    p = permutation_p(*sums, lambda s: (s[..., 1] / s[..., 0])[..., None], draws=99)
    assert p[0] == pytest.approx(1 / 100)


NO_VALUES = dict.fromkeys(("age_years", "age_raw", "patient_sex", "laterality", "manufacturer_model_name", "licence"))
NO_VALUES |= {"position": 7, "quality_flags": []}


@pytest.mark.parametrize(
    ("stated", "row", "wanted"),
    [
        ({"birth_date": "spring"}, {}, ("birth_date", "not_a_date")),
        ({"study_date": "2015-13-45"}, {}, ("study_date", "impossible_date")),
        ({"age_text": "old"}, {}, ("age", "not_an_age")),
        ({"age_text": "<5"}, {"quality_flags": ["bounded_age"], "age_raw": "<5"}, ("age", "bound")),
        ({"age_text": "411Y"}, {"age_raw": "411Y"}, ("age", "impossible_age")),
        ({"sex": "boy-ish"}, {}, ("sex", "unknown_word")),
        ({"laterality": "both?"}, {}, ("laterality", "unknown_word")),
        ({"age_text": "411Y"}, {"age_years": 41.0}, None),
        ({"birth_date": "NA", "age_text": "nan", "laterality": "None"}, {}, None),
    ],
)
def test_what_a_header_states_and_no_column_has_is_counted_with_its_reason(stated, row, wanted):
    found = unread_of(Header(**stated), NO_VALUES | row)
    assert found == ([] if wanted is None else [Unread(*wanted)])


def test_two_unread_cells_of_one_kind_count_twice():
    work = SimpleNamespace(unread_cells=[], task=SimpleNamespace(archive="a", adapter="generic", shard=3))
    header = Header(unread=(Unread("score", "bound"), Unread("score", "bound"), Unread("score", "not_a_number")))
    ShardRows._count_unread(work, header, NO_VALUES)
    assert [(each["name"], each["reason"], each["cells"]) for each in work.unread_cells] == [
        ("score", "bound", 2),
        ("score", "not_a_number", 1),
    ]
