"""The SQL files that are shipped: headers, steps, and what they select."""

from pathlib import Path

import polars as pl
import pytest
from cohort_pieces import BODY, HEADER, write  # noqa: F401  fixtures

from xray_mining.catalog.cohort import freeze, known_cohorts, read_query
from xray_mining.catalog.folds import fold_of
from xray_mining.catalog.header import queries, read_header
from xray_mining.errors import UserError
from xray_mining.records.images import Images
from xray_mining.workspace import asset


@pytest.mark.parametrize(
    "path", sorted(asset("sql").rglob("*.sql")), ids=lambda path: f"{path.parent.name}/{path.stem}"
)
def test_every_sql_file_opens_with_a_header(path: Path):
    header = read_header(path.read_text(encoding="utf-8"), path.name)
    assert header.question and header.one_row and header.example


@pytest.mark.parametrize("name", sorted(known_cohorts()))
def test_every_shipped_cohort_has_described_steps_and_targets(name: str):
    header = read_query(name).header
    assert header.targets and f"xray-mining cohort {name}" in header.example
    assert all(parameter.words for parameter in header.parameters)


def test_age_balanced_takes_as_many_of_each_cell_and_says_which_are_short(workspace, put, make):
    # three women and two men of 30, one woman of 31, no man
    cells = [(30, "F")] * 3 + [(30, "M")] * 2 + [(31, "F")] + [(50, "F")] * 30
    put(
        Images,
        [make.image(n, age_years=age + 0.5, patient_sex=sex) for n, (age, sex) in enumerate(cells)],
    )
    cohort = freeze(workspace, "age_balanced", "b", {"per_cell": 2, "youngest": 30, "oldest": 31}, 3, "b")
    assert cohort.members().height == 5
    text = " ".join(cohort.sentences)
    assert "2 of 4 cells" in text and text.count("31: under 10.") == 2 and "30" not in text


@pytest.mark.parametrize(
    ("per_year", "oldest", "words"),
    [
        (1, 69, "all of 21 to 69: under 10."),
        (12, 30, "all of 21 to 30: 12."),
        (None, 29, "21: 11; 22: 12; 23: 13; 24: 14; 25: 15; 26: 16; 27: 17; 28: 18; 29: 19."),
        (None, 40, "20 years between 21 and 40 are short."),
    ],
)
def test_short_years_are_told_in_a_few_words(per_year, oldest, words, workspace, put, make):
    ages = [age for age in range(21, oldest + 1) for _ in range(per_year or age - 10)]
    cells = [(25, "M"), *((age, "F") for age in ages)]
    put(Images, [make.image(n, age_years=age + 0.5, patient_sex=sex) for n, (age, sex) in enumerate(cells)])
    cohort = freeze(workspace, "age_balanced", "b", {"oldest": oldest}, 3)
    [women] = [each for each in cohort.sentences if each.startswith("Females")]
    assert women == f"Females, patients by year of age: {words}"


def test_age_balanced_takes_the_latest_image_of_a_patient(workspace, put, make):
    put(Images, [make.image(n, patient=n % 20, age_years=40.0, study_day=40_000 + n) for n in range(40)])
    members = freeze(workspace, "age_balanced", "b", folds=3).members()
    assert set(members["image_key"]) == {make.key("image", n) for n in range(20, 40)}


def test_g2_vs_g3_has_as_many_of_each_sex_and_year_in_both_groups(workspace, population):
    cohort = freeze(workspace, "g2_vs_g3", "groups", {"g2_from": 20, "g2_to": 39, "g3_from": 50})
    assert cohort.target("group").classes == ("G2", "G3")
    members = cohort.members().height // 2
    assert cohort.sentences[0] == f"G2 {members}, G3 {members} patients, matched by sex and year."
    rows = cohort.rotation(0, "group").join(population, on="image_key")
    balance = rows.group_by("patient_sex", "study_year").agg(pl.col("truth").mean())
    assert (balance["truth"] == 0.5).all()
    assert rows["patient_key"].is_unique().all()


def test_groups_of_few_are_not_counted_out(workspace, put, make):
    same = {"patient_sex": "F", "study_year": 2020}
    put(Images, [make.image(n, **same, age_years=35.0 if n % 2 else 65.0) for n in range(16)])
    salt = next(str(n) for n in range(100) if len({fold_of(str(n), make.key("patient", p), 3) for p in range(16)}) == 3)
    sentences = freeze(workspace, "g2_vs_g3", "groups", folds=3, salt=salt).sentences
    assert sentences == ("G2 fewer than 10, G3 fewer than 10 patients, matched by sex and year.",)


def test_a_patient_without_an_id_is_refused_and_left_out_by_shipped_cohorts(workspace, put, make, write):
    put(Images, [make.image(n, patient_source="none" if n < 5 else "declared") for n in range(60)])
    with pytest.raises(UserError, match="5 images have no patient id"):
        freeze(workspace, write(HEADER + BODY), "mine")
    cohort = freeze(workspace, "frontal_adults", "adults")
    assert {step.step: step.images for step in cohort.flow}["identified"] == 55


@pytest.mark.parametrize("path", sorted(asset("sql/reports").glob("*.sql")), ids=lambda path: path.stem)
def test_every_report_is_one_select_that_only_reads(path):
    from xray_mining.catalog.guard import one_select
    from xray_mining.records.tables import ALL

    tables = {record.table for record in ALL} | {"members", "chosen_members", *queries(asset("sql/schema"))}
    one_select(path.read_text(encoding="utf-8"), path.stem, tables | {"near_duplicate_groups"})
