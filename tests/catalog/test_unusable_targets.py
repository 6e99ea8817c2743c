"""A target of which a cohort's members leave nothing to learn stops only the experiments that ask for it."""

import pytest

from xray_mining.catalog.cohort import freeze
from xray_mining.errors import UserError
from xray_mining.records.cohort import FrozenCohort
from xray_mining.records.cohort_targets import CohortTargets
from xray_mining.records.images import Images


def test_an_archive_of_one_sex_uses_the_shipped_age_cohorts(workspace, put, make):
    put(Images, [make.image(n, patient_sex="F", age_years=20.0 + n) for n in range(60)])
    cohort = freeze(workspace, "frontal_aged", "women")
    assert "age_years" in {each.name for each in cohort.targets}
    assert cohort.target("age_years").kind == "number"
    assert set(CohortTargets.read(cohort.folder / "cohort_targets.parquet")["target"]) == {"age_years"}
    [said] = [each for each in cohort.sentences if "no experiment can use it" in each]
    assert "target 'patient_sex'" in said
    with pytest.raises(UserError, match=r"cohort women: target 'patient_sex' .*; select members who differ in it"):
        FrozenCohort.load(workspace, "women").target("patient_sex")


@pytest.fixture
def write(tmp_path):
    def write(text):
        path = tmp_path / "mine.sql"
        path.write_text(text)
        return str(path)

    return write


@pytest.mark.parametrize(
    ("target", "column", "words"),
    [
        ("t number years", "null::double", "target 't' is null for every member"),
        ("t number years", "'inf'::double", "target 't' is not finite for every member"),
        ("t group", "'one'", "target 't' has one label only, 'one'"),
        ("t binary positive='X'", "patient_sex", "target 't' must have two labels, 'X' and another, and has 'F', 'M'"),
        (
            "t binary positive='M'",
            "if(age_years < 30, 'O', patient_sex)",
            "target 't' must have two labels, 'M' and another, and has 'F', 'M', 'O'",
        ),
        ("t ordinal", "null::integer", "target 't' is null for every member"),
        ("t group", "if(age_years < 30, ' ', 'old')", "target 't' has a class without a name"),
        ("t group", "if(age_years < 30, 'unit_key', 'old')", "target 't' has a class named 'unit_key', as a column"),
        ("t ordinal levels='image_key, old'", "if(age_years < 30, 'image_key', 'old')", "a class named 'image_key'"),
        ("t labels least=1", "{'image_key': age_years < 30, 'b': age_years < 40}", "a class named 'image_key'"),
        ("t labels least=1", "map {'': age_years < 30, 'b': age_years < 40}", "target 't' has a class without a name"),
    ],
)
def test_each_reason_is_said_by_whoever_asks(workspace, population, write, target, column, words):
    text = (
        f"-- question: q\n-- one row: r\n-- target: age_years number years\n-- target: {target}\n-- example: e\n"
        f"with\n-- step: all\nall_of_them as (select image_key, age_years, patient_sex from eligible)\n"
        f"select image_key, age_years, {column} as t from all_of_them"
    )
    cohort = freeze(workspace, write(text), "mine")
    assert [each.name for each in cohort.targets] == ["age_years"]
    with pytest.raises(UserError, match=words):
        cohort.target("t")


def test_a_column_of_another_type_is_still_the_authors_fault(workspace, population, write):
    text = (
        "-- question: q\n-- one row: r\n-- target: t number years\n-- example: e\n"
        "with\n-- step: all\nall_of_them as (select image_key from eligible)\n"
        "select image_key, 'x' as t from all_of_them"
    )
    with pytest.raises(UserError, match="declared number, but its column is"):
        freeze(workspace, write(text), "mine")
