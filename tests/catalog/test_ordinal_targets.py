"""An ordinal target in a cohort: its levels as the header states them, or as they are found."""

import pytest

from xray_mining.catalog.cohort import freeze
from xray_mining.errors import UserError
from xray_mining.records.cohort_targets import CohortTargets


@pytest.fixture
def frozen(workspace, population, tmp_path):
    def frozen(words, column):
        path = tmp_path / "mine.sql"
        path.write_text(
            f"-- question: q\n-- one row: r\n-- target: t ordinal{words}\n-- made of: findings\n-- example: e\n"
            f"with\n-- step: all\nall_of_them as (select image_key, age_years, patient_sex from eligible)\n"
            f"select image_key, {column} as t from all_of_them"
        )
        cohort = freeze(workspace, str(path), "mine")
        rows = CohortTargets.read(cohort.folder / "cohort_targets.parquet")
        return cohort.target("t"), dict(rows.select("label", "value").unique().drop_nulls().iter_rows())

    return frozen


THREE = "case when age_years < 40 then 'low' when age_years < 60 then 'mid' when age_years < 80 then 'high' end"


def test_stated_levels_keep_their_order_and_found_ones_are_sorted_as_numbers(frozen):
    target, numbers = frozen(" levels='low, mid, high' grades", THREE)
    assert (target.classes, target.unit) == (("low", "mid", "high"), "grades")
    assert numbers == {"low": 0, "mid": 1, "high": 2}
    target, numbers = frozen("", "(age_years // 5)::integer")
    assert target.classes == tuple(sorted(target.classes, key=int)) and len(target.classes[0]) < len("10.0")
    assert all(value == int(label) for label, value in numbers.items())
    target, _ = frozen(" levels='low, mid, high, top'", THREE)
    assert target.classes == ("low", "mid", "high", "top"), "a stated level stays, though nobody has it"


@pytest.mark.parametrize(
    ("words", "column", "sentence"),
    [
        ("", THREE, "target 't' is text without an order of levels; write levels='…'"),
        (" levels='low, mid'", THREE, "images have 'high', which is not one of its levels low, mid"),
        (" levels='low'", THREE, "name two levels or more, each once"),
        (" levels='low, low'", THREE, "name two levels or more, each once"),
        (" levels='low,,mid'", THREE, "name two levels or more, each once"),
        (" levels='1, 3, 2'", "3", "levels that are all numbers must be finite and rise"),
        (" levels='1, 1.0, 2'", "1", "levels that are all numbers must be finite and rise"),
        (" levels='nan, 1, 2'", "1", "levels that are all numbers must be finite and rise"),
        (" positive='low'", THREE, "must say positive='…' if, and only if, it is binary"),
        ("", "age_years + 0.5", "is declared ordinal, but its column is"),
        ("", "1", "target 't' has one level only, '1'"),
    ],
)
def test_what_cannot_be_levels_is_said(frozen, words, column, sentence):
    with pytest.raises(UserError, match=sentence):
        frozen(words, column)
