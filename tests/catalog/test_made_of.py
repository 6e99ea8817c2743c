"""What a target is made of: the header says it, else its values do; its name and its unit never."""

import json

import polars as pl
import pytest

from xray_mining.catalog.cohort import freeze, known_cohorts, read_query
from xray_mining.catalog.cohort_summary import summary_of
from xray_mining.catalog.describe import cohort_description
from xray_mining.catalog.header import read_header
from xray_mining.catalog.made_of import determines
from xray_mining.errors import UserError
from xray_mining.evaluation.task import KINDS
from xray_mining.models.kinds._catalog import left_out_of
from xray_mining.records.cohort import FrozenCohort, Target
from xray_mining.records.images import Images

TOP = "-- question: who\n-- one row: one image\n"
END = "-- example: xray-mining cohort mine\n"
BODY = """with
-- step: all of them
everybody as (select image_key, {column} as told from eligible)
select image_key, told from everybody
"""


def header(*lines: str):
    return read_header(TOP + "".join(f"-- {line}\n" for line in lines) + END, "cohort mine")


def test_a_target_is_made_of_what_the_line_below_it_says():
    found = header(
        "target: female binary positive='yes'",
        "made of: sex",
        "target: gap number years",
        "made of: age, study_day",
        "made of: study_year",
        "target: score number points",
        "made of: none",
        "target: stage ordinal",
    ).targets
    assert [each.made_of for each in found] == [("patient_sex",), ("age_years", "study_day", "study_year"), (), ()]
    assert [each.made_of_from for each in found] == ["header", "header", "header", ""]


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (("made of: patient_sex",), "has no target above it"),
        (("target: a number", "made of: patient_sexx"), "'patient_sexx' is unknown; did you mean 'patient_sex'"),
        (("target: a number", "made of: none findings"), "or be the single word none"),
        (("target: a number", "made of: "), "must name columns of images"),
    ],
)
def test_a_line_that_cannot_be_meant_is_refused(lines, words):
    with pytest.raises(UserError, match=words):
        header(*lines)


@pytest.mark.parametrize("name", sorted(known_cohorts()))
def test_every_shipped_cohort_says_what_its_targets_are_made_of(name):
    assert all(each.made_of_from == "header" for each in read_query(name).header.targets)
    assert all("(made of " in each for each in cohort_description(name).targets)


FIRST_SITE = "institution_key = (select min(institution_key) from images)"
THIRDS = "(fold_of('x', image_key, 3))::varchar"
GUESSED = {
    "the other sex": ("binary positive='yes'", "if(patient_sex = 'F', 'yes', 'no')", ("patient_sex",)),
    "unknown": ("binary positive='1'", "if(study_day % 5 = 0, null, (patient_sex = 'F')::int::text)", ("patient_sex",)),
    "old and young": ("binary positive='old'", "if(age_years > 50, 'old', 'young')", ("age_years",)),
    "three ages": ("group", "(age_years > 60)::varchar || (age_years > 40)::varchar", ("age_years",)),
    "middle against ends": ("binary positive='in'", "if(age_years between 40 and 60, 'in', 'out')", ("age_years",)),
    "age": ("number years", "age_years", ("age_years",)),
    "age in months": ("number months", "floor(12 * age_years)", ("age_years",)),
    "age class": ("ordinal", "(age_years // 2)::bigint", ("age_years",)),
    "year": ("number", "study_year * 2.0", ()),  # five years are too few to say so
    "called like sex, but none": ("number points", "fold_of('x', image_key, 97) + if(patient_sex = 'M', 50, 0)", ()),
    "years, but no age": ("number years", "(fold_of('x', image_key, 97)) / 7", ()),
    "years left": ("number years", "100 - age_years", ("age_years",)),
    "grows with age": ("number", "exp(age_years / 8)", ("age_years",)),
    "one of three sites": ("binary positive='1'", f"({FIRST_SITE})::int::text", ("institution_key",)),
    "by chance": ("binary positive='1'", "(fold_of('x', image_key, 2))::varchar", ()),
}  # fmt: skip


@pytest.mark.parametrize("case", GUESSED)
def test_without_a_line_the_values_tell(case, workspace, population, tmp_path):
    kind, column, wanted = GUESSED[case]
    file = tmp_path / "mine.sql"
    file.write_text(f"{TOP}-- target: told {kind}\n{END}{BODY.format(column=column)}")
    cohort = freeze(workspace, str(file), "mine")
    # the population's makers go with its sexes
    made_of = tuple(name for name in cohort.target("told").made_of if name != "manufacturer")
    assert (made_of, cohort.target("told").made_of_from) == (wanted, "values")
    [line] = [each for each in summary_of(cohort).lines() if each.startswith("MADE001")]
    assert "mine/told" in line and all(name in line for name in wanted)


def test_a_column_of_ever_new_values_is_no_source(workspace, put, make, tmp_path):
    rows = [make.image(n, institution_key=make.key("place", n)) for n in range(60)]
    put(Images, rows)
    file = tmp_path / "mine.sql"
    file.write_text(f"{TOP}-- target: told group\n{END}{BODY.format(column=THIRDS)}")
    assert freeze(workspace, str(file), "mine").target("told").made_of == ()


def test_too_few_or_lacking_labels_show_no_source():
    """With a label missing among the members that are looked at, or on a handful of them, nothing is concluded."""
    three = Target("told", "group", classes=("a", "b", "c"))
    two = Target("told", "group", classes=("a", "b"))
    levels, labels = pl.Series(["x"] * 20 + ["y"] * 20), pl.Series(["a"] * 20 + ["b"] * 20)
    none = pl.Series([None] * 40, dtype=pl.Float64)
    assert determines(levels, two, none, labels)
    assert not determines(levels, three, none, labels)
    ages = pl.Series([30.0 + n for n in range(40)])
    assert determines(ages, two, none, labels)
    assert not determines(ages, two, none, pl.Series(["a"] * 4 + ["b"] * 36))
    # Each label has a range, and the ranges overlap.
    assert not determines(ages, two, none, pl.Series(["a"] * 15 + ["b", "a"] * 5 + ["b"] * 15))


def is_age(target: Target) -> bool:
    return KINDS.find(target.kind).is_age(target)


def test_the_line_changes_no_cohort_but_what_is_said_of_it(workspace, population, tmp_path):
    file = tmp_path / "mine.sql"
    text = f"{TOP}-- target: told number years\n{END}{BODY.format(column='age_years')}"
    file.write_text(text)
    guessed = freeze(workspace, str(file), "mine")
    file.write_text(text.replace(END, f"-- made of: none\n{END}"))
    said = freeze(workspace, str(file), "mine")
    assert said.digest == guessed.digest and not said.sentences
    assert is_age(guessed.target("told")) and not is_age(said.target("told"))
    assert FrozenCohort.load(workspace, "mine").target("told") == said.target("told")


def test_the_metadata_null_leaves_out_what_tells_the_source_too():
    def made_of(*names: str) -> Target:
        return Target("t", "number", made_of=names, made_of_from="header")

    assert left_out_of(made_of()) == ()
    assert left_out_of(made_of("findings")) == ("findings",)
    assert left_out_of(made_of("patient_sex", "study_day")) == ("patient_sex", "study_day", "study_year")
    assert left_out_of(made_of("manufacturer")) == ("manufacturer", "manufacturer_model_name")
    with pytest.raises(UserError, match="freeze the cohort again"):
        left_out_of(Target("patient_sex", "binary"))


def test_only_the_age_in_years_is_the_age():
    age = Target("told", "number", "years", made_of=("age_years",), made_of_from="header")
    assert is_age(age)
    for other in (
        Target("age_years", "number", "years", made_of_from="header"),
        Target("age_years", "number", "months", made_of=("age_years",), made_of_from="header"),
        Target("gap", "number", "years", made_of=("age_years", "study_day"), made_of_from="header"),
        Target("decade", "ordinal", "years", classes=("2", "3"), made_of=("age_years",), made_of_from="header"),
    ):
        assert not is_age(other)


def test_a_cohort_of_an_earlier_version_can_still_be_read(workspace, population):
    cohort = freeze(workspace, "frontal_aged", "aged")
    path = cohort.folder / "cohort.json"
    raw = json.loads(path.read_text())
    for each in raw["targets"]:
        del each["made_of"], each["made_of_from"]
    path.write_text(json.dumps(raw))
    assert FrozenCohort.load(workspace, "aged").target("patient_sex").made_of_from == ""
