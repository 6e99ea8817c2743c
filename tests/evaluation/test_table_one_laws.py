"""Table 1 of random patients: every patient is in one level, and no hidden cell follows from the printed ones."""

import warnings
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog
from tableone import TableOne

from xray_mining.evaluation import cohorts
from xray_mining.evaluation.cohorts import FOLD, LEVELS_AT_MOST, OTHERS, UNKNOWN, table_one
from xray_mining.records.cohort import Target
from xray_mining.records.cohort_targets import CohortTargets

ROLES = ("train", "validation", "test")
LABELS = ("no", "yes")


def population(seed, patients, levels, missing, shares, images=1):
    """Images of patients with skewed levels and missing values; roles and labels are the patient's own."""
    rng = np.random.default_rng(seed)
    owner = np.repeat(np.arange(patients), images)
    count = len(owner)
    chance = 1 / (1 + np.arange(levels)) ** rng.uniform(0, 2)

    def known(values, share):
        return pl.Series(values).scatter(np.flatnonzero(rng.random(count) < share), None)

    return pl.DataFrame(
        {
            "image_key": [f"00000000-0000-0000-0000-{n:012}" for n in range(count)],
            "patient_key": [f"00000000-0000-0000-0000-{n:012}" for n in owner],
            "split": rng.choice(ROLES, patients, p=shares)[owner],
            "label": rng.choice(LABELS, patients, p=[0.7, 0.3])[owner],
            "age_years": known(np.round(rng.uniform(20, 60, count)), missing / 2),
            "patient_sex": known(rng.choice(["F", "M"], count), missing),
            "study_year": known(2000 + rng.choice(levels, count, p=chance / chance.sum()), missing),
        }
    )


def described(frame, least, folder):
    """Rows of Table 1, and how many patients each of its columns has."""
    targets = frame.select(
        "image_key",
        target=pl.lit("finding"),
        value=(pl.col("label") == "yes").cast(pl.Float64),
        label=pl.lit(None, pl.String),
        cohort_digest=pl.lit("0" * 32),
    )
    CohortTargets.write(targets, folder / "cohort_targets.parquet")
    cohort = SimpleNamespace(
        name="c",
        digest="0" * 32,
        folder=folder,
        members=lambda: frame.with_columns(fold=0),
        targets=(Target("finding", "binary", positive="yes", classes=LABELS),),
    )
    rows = table_one(cohort, frame.drop("patient_key", "split", "label"), least=least, width=10)
    columns = {"all": frame.height and frame["patient_key"].n_unique()}
    for name, part in [("split", each) for each in ROLES] + [("label", each) for each in LABELS]:
        columns[part] = frame.filter(pl.col(name) == part)["patient_key"].n_unique()
    return rows, {name: count for name, count in columns.items() if count}


@st.composite
def populations(draw, most=150):
    share = draw(st.sampled_from([(0.6, 0.2, 0.2), (0.8, 0.1, 0.1), (0.45, 0.1, 0.45), (0.9, 0.1, 0.0)]))
    return population(
        draw(st.integers(0, 10_000)),
        draw(st.integers(1, most)),
        draw(st.integers(1, 20)),
        draw(st.sampled_from([0.0, 0.03, 0.3])),
        share,
        draw(st.sampled_from([1, 1, 3])),
    )


@settings(deadline=None, max_examples=40)
@given(frame=populations())
@example(frame=population(seed=0, patients=1, levels=1, missing=1.0, shares=(0.6, 0.2, 0.2)))
def test_in_every_column_the_levels_add_up_to_its_patients(tmp_path_factory, frame):
    rows, columns = described(frame, 1, tmp_path_factory.getbasetemp())
    if not rows:  # of the images that stand for the patients nothing is known
        first = frame.sort("image_key").unique("patient_key", keep="first")
        assert first.select(pl.col("age_years", "patient_sex", "study_year").is_null().all()).row(0) == (True,) * 3
        return
    found = pl.DataFrame(rows, infer_schema_length=None)
    counted = found.filter(pl.col("level") != "").group_by("variable", "column").agg(pl.col("patients").sum())
    assert counted.height and all(row["patients"] == columns[row["column"]] for row in counted.iter_rows(named=True))
    assert found.select("variable", "level", "column").is_duplicated().any() is False


@settings(deadline=None, max_examples=8)
@given(frame=populations())
def test_counts_of_many_levels_are_those_of_tableone(tmp_path_factory, frame):
    rows, _ = described(frame, 1, tmp_path_factory.getbasetemp())
    persons = frame.sort("image_key").unique("patient_key", keep="first", maintain_order=True)
    years = persons["study_year"].cast(pl.String)
    persons = persons.with_columns(study_year=years.fill_null(UNKNOWN)).to_pandas()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its own use of pandas
        table = TableOne(persons, columns=["study_year"], categorical=["study_year"], groupby="split", pval=False)
    theirs = table.cat_describe.loc["study_year"]["freq"]
    for split in persons["split"].unique():
        ours = {
            row["level"]: row["patients"] for row in rows if (row["variable"], row["column"]) == ("study_year", split)
        }
        if not ours:  # nobody's year is known
            assert set(persons["study_year"]) == {UNKNOWN}
            continue
        counts = theirs[split].to_dict()
        listed = {level: count for level, count in ours.items() if level != OTHERS}
        assert len(set(listed) - {UNKNOWN}) <= LEVELS_AT_MOST
        assert listed == {level: counts.get(level, 0) for level in listed}
        assert ours.get(OTHERS, 0) == sum(count for level, count in counts.items() if level not in listed)


def derivable(rows, truth, columns, least):
    """Small cells of Table 1 for which the printed ones leave one value, by linear programming."""
    cells = {(row["variable"], row["level"], row["column"]): row for row in rows}
    told = []
    for family in {("age_years", "age_band") if name[0] in ("age_years", "age_band") else (name[0],) for name in cells}:
        names = [name for name in cells if name[0] in family]
        hidden = [name for name in names if cells[name]["hidden"]]
        small = [name for name in hidden if 0 < truth[name] < least]
        if not small:
            continue
        place = {name: number for number, name in enumerate(hidden)}
        equations, sums = [], []

        def add(terms, known, place=place, equations=equations, sums=sums):
            row = np.zeros(len(place))
            for name, sign in terms:
                if name in place:
                    row[place[name]] += sign
                else:
                    known -= sign * cells[name]["patients"]
            equations.append(row)
            sums.append(known)

        for column in columns:
            for variable in family:
                levels = [name for name in names if name[0] == variable and name[2] == column and name[1]]
                if levels:
                    add([(name, 1) for name in levels], columns[column])
            if ("age_years", "", column) in names:
                unknown = ("age_band", UNKNOWN, column)
                both = [("age_years", "", column), *([unknown] if unknown in cells else [])]
                add([(name, 1) for name in both], columns[column])
        for variable, level in {name[:2] for name in names}:
            for parts in (ROLES, LABELS):
                mine = [(variable, level, part) for part in parts if part in columns]
                add([(name, 1) for name in mine] + [((variable, level, "all"), -1)], 0)
        least_of = 0 if any(truth[name] == 0 for name in hidden) else 1
        for name in small:
            if all(cells[each]["hidden"] for each in names if each[2] == name[2] and each[0] == name[0]):
                continue  # nothing of this column is printed, so there is nothing left to hide
            aim = np.zeros(len(place))
            aim[place[name]] = 1
            ends = [
                linprog(sign * aim, A_eq=np.array(equations), b_eq=sums, bounds=(least_of, None)) for sign in (1, -1)
            ]
            assert all(end.success for end in ends), "what is printed contradicts itself"
            if -ends[1].fun - ends[0].fun < 1e-6:
                told.append(name)
    return told


def check_small_cells(frame, least, folder):
    truth = {(row["variable"], row["level"], row["column"]): row["patients"] for row in described(frame, 1, folder)[0]}
    rows, columns = described(frame, least, folder)
    for row in rows:
        count = truth[row["variable"], row["level"], row["column"]]
        assert row["hidden"] or count == 0 or count >= least
        assert row["patients"] == (0 if row["hidden"] else count)
        assert not row["hidden"] or (row["images"], row["share"]) == (0, None)
    assert derivable(rows, truth, columns, least) == []
    return rows


# One image each: of patients with several, a label's column may have another first image than the column of all, and
# what adds up for others does not for them.
@settings(deadline=None, max_examples=12)
@given(
    seed=st.integers(0, 10_000),
    patients=st.integers(12, 150),
    levels=st.integers(1, 8),
    missing=st.sampled_from([0.0, 0.03, 0.1, 0.3]),
    shares=st.sampled_from([(0.6, 0.2, 0.2), (0.8, 0.1, 0.1), (0.45, 0.1, 0.45), (0.9, 0.1, 0.0)]),
    least=st.sampled_from([2, 5, 10]),
)
# the only patient of a role, in one band of age: the other bands' zeros give it away
@example(seed=230, patients=17, levels=1, missing=0.0, shares=(0.45, 0.1, 0.45), least=10)
def test_no_small_cell_follows_from_what_is_printed(tmp_path_factory, seed, patients, levels, missing, shares, least):
    check_small_cells(population(seed, patients, levels, missing, shares), least, tmp_path_factory.getbasetemp())


def by_fold(frame, truths, folder):
    """Rows of Table 1, and its lines, of a target with several labels under five rotations."""
    rows = [
        frame.select(
            "image_key",
            target=pl.lit("f"),
            value=pl.Series(each).fill_nan(None),
            label=pl.lit(str(place)),
            cohort_digest=pl.lit("0" * 32),
        )
        for place, each in enumerate(truths)
    ]
    CohortTargets.write(pl.concat(rows), folder / "cohort_targets.parquet")
    target = Target("f", "labels", classes=tuple(map(str, range(len(truths)))))
    cohort = SimpleNamespace(name="c", digest="0" * 32, folder=folder, members=lambda: frame, targets=(target,))
    return table_one(cohort, frame.drop("patient_key", "split", "label", "fold"), 10, 10, rotations=5)


def without_folds(frame, truths, folder):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cohorts, "_folds", lambda *_: {})
        return by_fold(frame, truths, folder)


@pytest.mark.parametrize("seed", range(12))
def test_folds_hide_nothing_of_all_patients_and_tell_of_no_small_cell(seed, tmp_path):
    rng = np.random.default_rng(seed)
    count = int(rng.choice([60, 210, 800]))
    frame = population(seed, count, 5, 0.0, (0.6, 0.2, 0.2))
    frame = frame.with_columns(fold=pl.Series(rng.permutation(np.arange(count) % 5)))
    truths = [(rng.random(count) < each).astype(float) for each in (0.01, 0.03, 0.1, 0.3)]
    for each in truths:
        each[rng.random(count) < rng.choice([0, 0.02, 0.3])] = np.nan
    rows = by_fold(frame, truths, tmp_path)
    plain = [row for row in rows if not row["column"].startswith(FOLD)]
    assert plain == without_folds(frame, truths, tmp_path)
    of_all = {(row["variable"], row["level"]): row for row in plain if row["column"] == "all"}
    lines = {}
    for row in rows:
        if row["column"].startswith(FOLD):
            assert not 0 < row["patients"] < 10
            lines.setdefault((row["variable"], row["level"]), []).append(row["hidden"])
    assert {len(each) for each in lines.values()} == {5}
    assert not [cell for cell, hidden in lines.items() if sum(hidden) == 1 and not of_all[cell]["hidden"]]


def test_where_folds_would_hide_a_count_of_all_patients_the_folds_are_hidden(tmp_path):
    # By fold; the small counts of the first two folds can be worked out unless a count of all patients is hidden.
    counts = {0.0: (7, 16, 5), 1.0: (1, 1, 0), np.nan: (0, 0, 1)}
    cells = [(each, fold) for each, folds in counts.items() for fold, count in enumerate(folds) for _ in range(count)]
    frame = population(0, len(cells), 5, 0.0, (0.6, 0.2, 0.2)).with_columns(fold=pl.Series([fold for _, fold in cells]))
    truths = [np.array([each for each, _ in cells])]
    rows = by_fold(frame, truths, tmp_path)
    of_folds = [row for row in rows if row["column"].startswith(FOLD)]
    assert len(of_folds) == 9 and all(row["hidden"] and not row["patients"] for row in of_folds)
    [absent] = [row for row in rows if (row["column"], row["variable"], row["level"]) == ("all", "f: 0", "absent")]
    assert absent["patients"] == 28
    assert [row for row in rows if row not in of_folds] == without_folds(frame, truths, tmp_path)
