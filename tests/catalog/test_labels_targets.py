"""Several labels of an image in a cohort: forms of the column, the policy, labels of few patients, and folds."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xray_mining.catalog.cohort import freeze
from xray_mining.catalog.folds import fold_of
from xray_mining.catalog.stratified import lacking, stratified_folds
from xray_mining.catalog.targets import TARGETS, Unusable
from xray_mining.errors import UserError
from xray_mining.models.fit import Fit
from xray_mining.records.cohort_targets import CohortTargets
from xray_mining.records.images import Images

KIND = TARGETS.find("labels")
ANSWERS = pl.Struct({"key": pl.String, "value": pl.Int64})


def frozen(column, words="least=1", patients=None):
    """What the kind keeps of a column of images i0, i1, …; image keys → label → value."""
    keys = [f"i{n}" for n in range(len(column))]
    patients = [f"p{n}" for n in range(len(column))] if patients is None else patients
    chosen = pl.DataFrame({"image_key": keys, "patient_key": patients, "t": column})
    found = KIND.frozen(chosen, KIND.declared("t", words, "cohort c"), "cohort c")
    assert set(found.rows["target"]) == {"t"}
    kept = found.rows.group_by("image_key", maintain_order=True).agg("label", "value")
    return found, {key: dict(zip(labels, values, strict=True)) for key, labels, values in kept.iter_rows()}


def test_maps_structs_and_lists_say_the_same():
    entries = [[("a", 1), ("b", 0)], [("a", 0), ("b", 1)], [("a", 1), ("b", 1)], [("a", 0), ("b", 0)]]
    as_map = pl.Series([[{"key": k, "value": v} for k, v in each] for each in entries], dtype=pl.List(ANSWERS))
    as_struct = pl.Series([dict(each) for each in entries]).struct.rename_fields(["a", "b"])
    as_words = pl.Series([{k: "yes" if v else "Absent" for k, v in each} for each in entries])
    as_list = pl.Series([["a"], ["b"], ["b", "a"], []], dtype=pl.List(pl.String))
    wanted = {f"i{n}": {label: float(value) for label, value in each} for n, each in enumerate(entries)}
    for column in (as_map, as_struct, as_words, as_list, as_struct.cast(pl.Struct({"a": pl.Boolean, "b": pl.Boolean}))):
        found, values = frozen(column)
        assert values == wanted
        assert found.target.classes == ("a", "b") and not found.sentences
        told = {
            (f"p{n}", label, "true" if value else "false") for n, each in enumerate(entries) for label, value in each
        }
        assert set(found.strata.rows()) == told and found.strata.height == len(told)


@pytest.mark.parametrize(
    ("words", "uncertain", "unknown"),
    [("", None, None), ("uncertain=ones", 1, None), ("uncertain=zeros unknown=zeros", 0, 0), ("unknown=ones", None, 1)],
)
def test_the_policy_says_what_uncertain_and_unknown_are_taken_for(words, uncertain, unknown):
    told = [{"a": 1, "b": 1}, {"a": 0, "b": 0}, {"a": -1, "b": 1}, {"a": None, "b": 0}]
    found, values = frozen(pl.Series(told), f"{words} least=1")
    assert [values[f"i{n}"]["a"] for n in range(4)] == [1, 0, uncertain, unknown]
    [said] = found.sentences
    assert "some answers of target 't' are uncertain or unknown; uncertain=" in said
    assert found.target.policy.endswith("least=1")


def test_names_that_a_map_lacks_and_null_images_are_unknown():
    told = [[("a", 1), ("b", 1)], [("a", 0), ("b", 0)], [("b", 1)], None]
    column = [None if each is None else [{"key": k, "value": v} for k, v in each] for each in told]
    _, values = frozen(pl.Series(column, dtype=pl.List(ANSWERS)))
    assert values["i2"] == {"a": None, "b": 1} and values["i3"] == {"a": None, "b": None}
    _, values = frozen(pl.Series([["a"], [], None], dtype=pl.List(pl.String)))
    assert values == {"i0": {"a": 1}, "i1": {"a": 0}, "i2": {"a": None}}


def test_masked_answers_are_counted_where_no_label_has_few_of_them():
    told = [{"a": 1, "b": n % 2} for n in range(20)] + [{"a": 0, "b": n % 2} for n in range(20)]
    masked = [{"a": -1, "b": n % 2} for n in range(12)] + [{"a": 0, "b": None} for n in range(11)]
    [said] = frozen(pl.Series(told + masked))[0].sentences
    assert "of 126 answers of target 't' 12 uncertain and 11 unknown; uncertain=" in said
    # Of 12 uncertain and 9 unknown answers, 12 is what the page says of `a`, so the sum would give away the 9 of `b`.
    [said] = frozen(pl.Series(told + masked[:-2]))[0].sentences
    assert "some answers of target 't' are uncertain or unknown; uncertain=" in said and not any(
        word.isdigit() for word in said.split()
    )


def test_a_label_of_few_patients_is_left_out_with_its_counts():
    told = [{"a": n % 2, "b": int(n < 3), "c": int(n >= 3)} for n in range(12)]
    found, _ = frozen(pl.Series(told), "least=2", patients=["p0"] * 3 + [f"p{n}" for n in range(1, 10)])
    assert found.target.classes == ("a",)
    assert [each for each in found.sentences if "'b'" in each] == [
        "cohort c: label 'b' of target 't' is left out: true or false in fewer than 10 patients, or not known in so "
        "few, but 2 of each are needed (least= in its header line)"
    ]
    told = [{"a": int(n < 12)} for n in range(50)]
    with pytest.raises(Unusable, match=r"has no label left; .*true in 12 and false in 38 patients, but 13 of each"):
        frozen(pl.Series(told), "least=13")
    with pytest.raises(Unusable, match=r"has no label left; .*true or false in fewer than 10 patients"):
        frozen(pl.Series([{"a": None}, *told]), "least=13")


@pytest.mark.parametrize(
    ("column", "words", "sentence"),
    [
        (pl.Series(["a", "b"]), "", "is declared labels, but its column is"),
        (pl.Series([{"a": "maybe"}, {"a": "yes"}]), "", r"'maybe' is not an answer \(1 times\); give booleans"),
        (pl.Series([{"a": 2}, {"a": 1}]), "", "'2' is not an answer"),
        (pl.Series([[{"key": "a", "value": 1}] * 2]), "", "two answers for one label"),
        (pl.Series([{"a": 1}]), "uncertain=drop", "'uncertain=drop' is not a policy of labels"),
        (pl.Series([{"a": 1}]), "positive='a'", "is not a policy of labels"),
    ],
)
def test_what_cannot_be_labels_is_one_sentence(column, words, sentence):
    with pytest.raises(UserError, match=sentence):
        frozen(column, words)


def strata_of(has, answer="true"):
    """Patients p0, p1, …: the labels a, b, c that they have (n, labels)."""
    rows = [(f"p{n}", "abc"[k], answer) for n, k in zip(*np.nonzero(has), strict=True)]
    return pl.DataFrame(rows, schema=dict.fromkeys(("patient_key", "label", "answer"), pl.String), orient="row")


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 6))
def test_every_label_is_in_every_fold_where_the_patients_allow_it(seed, folds):
    rng = np.random.default_rng(seed)
    patients = [f"p{n}" for n in range(60)]
    share = np.array([0.5, 0.2, 0.12])
    has = rng.random((60, 3)) < share
    strata = strata_of(has)
    found = stratified_folds(patients, strata, folds, "salt")
    assert found == stratified_folds(patients[::-1], strata.sample(fraction=1, shuffle=True, seed=1), folds, "salt")
    sizes = np.bincount(list(found.values()), minlength=folds)
    assert sizes.sum() == 60 and sizes.min() > 0
    rarest = min((k for k in range(3) if has[:, k].any()), key=lambda k: (has[:, k].sum(), k))
    spread = np.bincount([found[f"p{n}"] for n in np.flatnonzero(has[:, rarest])], minlength=folds)
    assert spread.max() - spread.min() <= 1, "the rarest label is dealt out evenly"
    members = pl.DataFrame({"patient_key": patients, "fold": [found[each] for each in patients]})
    said = lacking(members, strata, range(folds), "fold", "cohort c")
    for k in range(3):
        here = {found[f"p{n}"] for n in np.flatnonzero(has[:, k])}
        told = [each for each in said if f"label '{'abc'[k]}'" in each]
        assert bool(told) == (has[:, k].any() and len(here) < folds)
        assert has[:, k].sum() < 2 * folds or not told, "ten patients are enough for five folds"


def test_a_cohort_of_labels_keeps_a_row_of_each_and_says_its_folds(workspace, population, tmp_path):
    path = tmp_path / "mine.sql"
    path.write_text(
        "-- question: q\n-- one row: r\n-- target: found labels uncertain=zeros least=2\n-- made of: findings\n"
        "-- target: age_years number years\n-- made of: age\n-- example: e\nwith\n-- step: all\n"
        "everybody as (select image_key, patient_key, age_years, row_number() over (order by image_key) as n "
        "from eligible)\n"
        "select image_key, age_years, "
        "map {'old': if(age_years > 60, 1, 0), 'rare': if(n in (3, 5, 8), 1, 0), 'odd': n % 3 - 1} as found "
        "from everybody"
    )
    cohort = freeze(workspace, str(path), "mine", folds=5)
    target = cohort.target("found")
    assert target.classes == ("odd", "old", "rare") and target.policy == "uncertain=zeros unknown=ignore least=2"
    rows = CohortTargets.read(cohort.folder / "cohort_targets.parquet").filter(pl.col("target") == "found")
    assert rows.height == 3 * cohort.members().height
    assert any("label 'rare' is not true in every fold" in each for each in cohort.sentences)
    spread = cohort.members().join(rows.filter(label="rare", value=1), on="image_key")
    assert spread["fold"].n_unique() == min(5, spread["patient_key"].n_unique())
    assert cohort.rotation(0, "found").height == rows.height, "a row for each member and label"
    fit = Fit.of(cohort, "found", 0)
    assert fit.images["image_key"].to_list() == cohort.members()["image_key"].to_list()
    truths = fit.truths()
    assert truths.shape == (fit.images.height, 3) and truths[:, 2].sum() == 3
    for place, label in enumerate(target.classes):
        of_label = cohort.rotation(0, "found").filter(label=label)["truth"].fill_null(np.nan)
        assert np.array_equal(truths[:, place], of_label.to_numpy(), equal_nan=True)
    assert cohort.rotation(0, "age_years")["truth"].dtype == pl.Float64
    assert freeze(workspace, str(path), "again", folds=5).digest == cohort.digest


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 6), st.integers(0, 6))
def test_no_fold_is_empty_where_there_are_as_many_patients(seed, folds, more):
    rng = np.random.default_rng(seed)
    patients = [f"p{n}" for n in range(folds + more)]
    has = rng.random((len(patients), 3)) < [0.9, 0.5, 0.1]
    strata = strata_of(has)
    found = stratified_folds(patients, strata, folds, f"salt {seed}")
    assert set(found.values()) == set(range(folds))


def test_a_small_cohort_of_labels_is_dealt_before_an_empty_fold_is_refused(workspace, put, make, tmp_path):
    put(Images, [make.image(n, patient=n % 6) for n in range(24)])
    keys = [make.key("patient", n) for n in range(6)]
    salt = next(str(n) for n in range(1000) if len({fold_of(str(n), key, 5) for key in keys}) < 4)
    path = tmp_path / "mine.sql"
    text = (
        "-- question: q\n-- one row: r\n-- target: found labels least=1\n-- made of: findings\n-- example: e\nwith\n"
        "-- step: all\neverybody as (select image_key, dense_rank() over (order by patient_key) as n from eligible)\n"
        "select image_key, {'old': n % 2, 'odd': if(n < 4, 1, 0)} as found from everybody"
    )
    path.write_text(text)
    members = freeze(workspace, str(path), "mine", folds=5, salt=salt).members()
    assert set(members["fold"]) == set(range(5)) and members["patient_key"].n_unique() == 6
    assert set(members["split"]) == {"train", "validation", "test"}
    with pytest.raises(UserError, match=r"6 patients leave fold \d of 7 empty"):
        freeze(workspace, str(path), "many", folds=7, salt=salt)


def test_a_label_that_came_with_a_rarer_one_is_made_up_for():
    """Of a and b together, one fold may get more: the rest of b then goes to the others."""
    worst = 0
    for seed in range(30):
        rng = np.random.default_rng(seed)
        has = np.zeros((60, 2), dtype=bool)
        has[:12, 0] = True
        has[rng.choice(12, 6, replace=False), 1] = True
        has[12:20, 1] = True
        found = stratified_folds([f"p{n}" for n in range(60)], strata_of(has), 2, f"salt {seed}")
        b = np.bincount([found[f"p{n}"] for n in np.flatnonzero(has[:, 1])], minlength=2)
        worst = max(worst, int(b.max() - b.min()))
    assert worst <= 1


@pytest.mark.parametrize("salt", [f"salt {n}" for n in range(25)])
def test_the_rarer_answer_of_a_label_is_in_every_fold_also_if_it_is_false(salt):
    """True in 150, false in 12 and uncertain in 38 patients."""
    told = [{"a": 1}] * 150 + [{"a": 0}] * 12 + [{"a": -1}] * 38
    found, values = frozen(pl.Series(told))
    patients = [f"p{n}" for n in range(len(told))]
    fold = stratified_folds(patients, found.strata, 5, salt)
    false = [fold[f"p{key[1:]}"] for key, answers in values.items() if answers["a"] == 0]
    counts = np.bincount(false, minlength=5)
    assert counts.sum() == 12 and counts.max() - counts.min() <= 1
    members = pl.DataFrame({"patient_key": patients, "fold": [fold[each] for each in patients]})
    assert not lacking(members, found.strata, range(5), "fold", "cohort c")


def test_a_fold_without_a_false_answer_is_said():
    strata = pl.concat([strata_of(np.ones((10, 1))), strata_of(np.arange(10)[:, None] < 4, "false")])
    members = pl.DataFrame({"patient_key": [f"p{n}" for n in range(10)], "fold": [n % 2 * (n < 4) for n in range(10)]})
    members = members.with_columns(pl.when(pl.col("patient_key") == "p9").then(2).otherwise("fold").alias("fold"))
    assert lacking(members, strata, range(3), "fold", "cohort c") == [
        "cohort c: label 'a' is not false in every fold; no patient has this answer in fold 2"
    ]


def test_a_fold_without_an_answer_is_said_with_numbers_that_are_not_small():
    strata = pl.concat([strata_of(np.ones((40, 1))), strata_of(np.arange(40)[:, None] < 24, "false")])
    members = pl.DataFrame(
        {"patient_key": [f"p{n}" for n in range(40)], "fold": [n % 2 if n < 24 else 2 for n in range(40)]}
    )
    assert lacking(members, strata, range(3), "fold", "cohort c") == [
        "cohort c: label 'a' is not false in every fold; patients in whom it is false: 0: 12, 1: 12, 2: 0"
    ]
