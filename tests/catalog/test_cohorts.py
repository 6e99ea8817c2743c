"""Cohorts: every file that ships runs, freezes the same everywhere, and what is wrong is said in one sentence."""

import json
import re
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xray_mining.catalog import guard
from xray_mining.catalog.checks import check, leaks
from xray_mining.catalog.cohort import freeze, gate, known_cohorts, read_query, summary_of
from xray_mining.catalog.connection import connect, frame, reads_results
from xray_mining.catalog.describe import cohort_description
from xray_mining.catalog.folds import fold_of
from xray_mining.catalog.header import queries, read_header
from xray_mining.catalog.link import link
from xray_mining.errors import CannotFinish, CheckFailed, UserError
from xray_mining.ingest.identity import public_domain
from xray_mining.records.cohort import FrozenCohort
from xray_mining.records.cohort_members import CohortMembers
from xray_mining.records.findings import Findings
from xray_mining.records.images import Images
from xray_mining.records.near_duplicates import NearDuplicates
from xray_mining.records.pixels import Pixels
from xray_mining.workspace import Workspace, asset, write_frame

HEADER = """-- question: who
-- one row: one image
-- parameter: $youngest integer = 20  years
-- target: age_years number years
-- example: xray-mining cohort x
"""
BODY = """with
-- step: all of them
everybody as (select image_key, age_years from eligible where age_years >= $youngest)
select image_key, age_years from everybody
"""


@pytest.fixture
def write(tmp_path):
    def file(text: str, name: str = "mine") -> str:
        path = tmp_path / f"{name}.sql"
        path.write_text(text)
        return str(path)

    return file


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


@given(st.text(min_size=1, max_size=20), st.uuids(), st.integers(2, 50))
def test_a_fold_is_one_of_the_folds_and_stays(salt, patient, folds):
    assert 0 <= fold_of(salt, str(patient), folds) < folds
    assert fold_of(salt, str(patient), folds) == fold_of(salt, str(patient), folds)


def test_folds_are_the_same_in_sql_and_python(workspace, population):
    with connect(workspace) as con:
        for salt, folds in (("xray-mining", 5), ("é'; --", 7), ("", 3)):
            found = frame(
                con,
                "select patient_key, fold_of($salt, patient_key, $folds) as fold from images",
                {"salt": salt, "folds": folds},
            )
            assert [fold_of(salt, key, folds) for key in found["patient_key"]] == found["fold"].to_list()


def test_folds_are_fixed_for_ever():
    # a change of these numbers would move patients between training and test in every workspace there is
    keys = [f"00000000-0000-0000-0000-{number:012d}" for number in range(8)]
    assert [fold_of("xray-mining", key, 5) for key in keys] == FIXED_FOLDS


FIXED_FOLDS = [3, 3, 3, 1, 0, 2, 1, 3]


def test_a_cohort_is_frozen_with_all_it_came_from(workspace, population):
    cohort = freeze(workspace, "frontal_adults", "adults", {"youngest": "30"})
    members = cohort.members()
    assert members.height == population.filter(pl.col("age_years") >= 30).height
    assert CohortMembers.typed(members).height == members.height
    assert cohort.parameters == {"youngest": 30.0} and "-- step:" in cohort.sql
    assert cohort.flow[0].step == "images" and cohort.flow[-1].images == members.height
    assert [step.images for step in cohort.flow] == sorted((step.images for step in cohort.flow), reverse=True)
    assert members.group_by("patient_key").agg(pl.col("fold").n_unique())["fold"].max() == 1
    roles = cohort.rotation(0, "age_years")
    assert roles.join(members, on="image_key").select((pl.col("role") == pl.col("split")).all()).item()
    gate(workspace, cohort)
    assert json.dumps(summary_of(cohort).splits)


def test_the_salt_that_was_asked_for_gives_the_folds_and_is_kept(workspace, population):
    found = [freeze(workspace, "frontal_adults", "adults", salt=salt) for salt in ("xray-mining", "another")]
    assert [cohort.salt for cohort in found] == ["xray-mining", "another"]
    folds = [dict(cohort.members().select("patient_key", "fold").iter_rows()) for cohort in found]
    assert folds[0] != folds[1]
    for cohort, of_patient in zip(found, folds, strict=True):
        assert all(fold == fold_of(cohort.salt, patient, 5) for patient, fold in of_patient.items())


def test_every_rotation_tests_another_fold_validates_on_the_next_and_trains_on_the_rest(workspace, population):
    cohort = freeze(workspace, "frontal_adults", "adults", folds=4)
    fold = dict(cohort.members().select("image_key", "fold").iter_rows())
    assert cohort.rotations() == 4
    for number in range(4):
        roles = cohort.rotation(number, "age_years")
        assert roles.height == len(fold)
        wanted = {number: "test", (number + 1) % 4: "validation"}
        for key, role in roles.select("image_key", "role").iter_rows():
            assert role == wanted.get(fold[key], "train"), number
        assert roles.group_by("patient_key").agg(pl.col("role").n_unique())["role"].max() == 1


def test_the_same_members_give_the_same_digest_elsewhere(workspace, put, population, tmp_path):
    first = freeze(workspace, "frontal_adults", "adults")
    other = Workspace.create(tmp_path / "elsewhere")
    rows = pl.DataFrame(Images.read(workspace.parts("here", "images"))).reverse()
    Images.write(rows, other.parts("here", "images") / "00000.parquet")
    assert freeze(other, "frontal_adults", "otherwise_named").digest == first.digest


def test_growth_that_changes_no_member_keeps_the_digest(workspace, put, make, population):
    first = freeze(workspace, "frontal_adults", "adults")
    put(Images, [make.image(1000, shard=1, view_position="LATERAL")], shard=1)
    second = freeze(workspace, "frontal_adults", "adults")
    assert second.digest == first.digest and second.folder == first.folder
    put(Images, [make.image(1001, shard=2)], shard=2)
    third = freeze(workspace, "frontal_adults", "adults")
    assert third.digest != first.digest and first.folder.is_dir()
    assert first.members().height + 1 == third.members().height


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


def test_a_note_is_a_sentence_of_its_own():
    lines = cohort_description("disease_groups").lines()
    [row] = [each for each in lines if each.startswith("one row: ")]
    [note] = [each for each in lines if each.startswith("note: ")]
    assert row == "one row: one patient's latest frontal image with a known group"
    assert note.startswith("note: an image's label") and note.endswith("in neither")
    for name in known_cohorts():
        assert all(len(each) < 120 for each in (read_query(name).header.question, read_query(name).header.one_row))


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


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (BODY, "no line '-- question"),
        (HEADER + "select image_key, age_years from eligible where age_years > $youngest", "has no steps"),
        (HEADER + BODY.replace("-- step: all of them\n", ""), "step 'everybody' has no words"),
        (HEADER + BODY + "; select 1", "2 statements"),
        (HEADER + "drop table images", "not a SELECT"),
        (HEADER + BODY.replace("eligible", "read_csv('/etc/passwd')"), "'.*' is not allowed"),
        (HEADER + BODY.replace("age_years >=", "age_yeers >="), "did you mean 'age_years'"),
        (HEADER + BODY.replace("from eligible", "from eligibel"), "did you mean 'eligible'"),
        (HEADER + BODY.replace(">= $youngest", ">= $youngst"), "youngst"),
        (HEADER + BODY.replace(">= $youngest", ">= 1000 + $youngest"), "images none is left by the step .all of them"),
        (
            HEADER + BODY.replace("select image_key, age_years from everybody", "select age_years from everybody"),
            "image_key",
        ),
        (HEADER + BODY + " union all select image_key, age_years from everybody", "more than once"),
        (
            HEADER
            + BODY.replace(
                "select image_key, age_years from everybody", "select null::uuid as image_key, age_years from everybody"
            ),
            "240 rows have no image_key; leave them out",
        ),
        (HEADER.replace("age_years number", "age_yeers number") + BODY, "did you mean 'age_years'"),
        (HEADER.replace("number years", "binary positive='M'") + BODY, "declared binary"),
        (HEADER.replace("number years", "colour") + BODY, "must read like"),
        (HEADER.replace("integer = 20", "integer = twenty") + BODY, "not of type integer"),
        (HEADER.replace("integer", "whole") + BODY, "must read like"),
        (HEADER + BODY.replace("age_years from everybody", "age_years, random() as x from everybody"), "run to run"),
        (HEADER + BODY.replace("age_years from everybody", "age_years, 'middle' as split from everybody"), "'middle'"),
        *(
            (
                HEADER + BODY.replace("age_years from everybody", f"age_years, {weight} as weight from everybody"),
                "weight",
            )
            for weight in ("-1", "'nan'::double", "'inf'::double", "null::double", "'heavy'")
        ),
    ],
)
def test_what_is_wrong_is_said_and_nothing_is_written(workspace, population, write, text, words):
    with pytest.raises(UserError, match=words) as refused:
        freeze(workspace, write(text), "mine")
    assert "\n" not in str(refused.value)
    assert not (workspace.root / "cohorts").exists()


def test_unknown_names_are_answered_with_the_nearest(workspace, population):
    with pytest.raises(UserError, match="did you mean 'age_balanced'"):
        freeze(workspace, "age_balance", "x")
    with pytest.raises(UserError, match="did you mean 'per_cell'"):
        freeze(workspace, "age_balanced", "x", {"percell": 3})
    with pytest.raises(UserError, match="not of type integer"):
        freeze(workspace, "age_balanced", "x", {"per_cell": "many"})


def test_a_patient_without_an_id_is_refused_and_left_out_by_shipped_cohorts(workspace, put, make, write):
    put(Images, [make.image(n, patient_source="none" if n < 5 else "declared") for n in range(60)])
    with pytest.raises(UserError, match="5 images have no patient id"):
        freeze(workspace, write(HEADER + BODY), "mine")
    cohort = freeze(workspace, "frontal_adults", "adults")
    assert {step.step: step.images for step in cohort.flow}["identified"] == 55


def test_too_few_patients_for_the_folds(workspace, put, make):
    put(Images, [make.image(n, patient=0) for n in range(8)])
    with pytest.raises(UserError, match=r"1 patients leave fold \d of 5 empty"):
        freeze(workspace, "frontal_adults", "one")


def test_a_member_without_pixels_is_refused_where_there_is_a_store(workspace, put, make, population):
    workspace.save(workspace.settings.model_copy(update={"store": "grey"}))
    with pytest.raises(UserError, match="240 members are not in the pixel store grey"):
        freeze(workspace, "frontal_adults", "adults")
    assert freeze(workspace, "frontal_adults", "adults", require_pixels=False).store == ""
    rows = Pixels.sample(
        240,
        overrides={
            "image_key": [make.key("image", n) for n in range(240)],
            "store": ["grey"] * 240,
            "archive": ["here"] * 240,
            "shard": [0] * 240,
        },
    )
    Pixels.write(rows, workspace.parts("here", "pixels") / "00000.parquet")
    assert freeze(workspace, "frontal_aged", "aged").store == "grey"


def test_a_given_split_is_checked_and_validation_cut_from_training(workspace, population, write):
    given_text = BODY.replace(
        "select image_key, age_years from everybody",
        "select image_key, age_years, if(age_years < 50, 'train', 'test') as split from everybody",
    )
    cohort = freeze(workspace, write(HEADER + given_text), "site")
    members = cohort.members()
    assert set(members["split"]) == {"train", "validation", "test"} and set(members["fold"]) == {-1}
    assert cohort.rotations() == 1 and cohort.split_given
    gate(workspace, cohort)
    torn = given_text.replace("if(age_years < 50", "if(ascii(image_key::varchar) % 2 = 0")
    with pytest.raises(CheckFailed, match="stand on two sides"):
        freeze(workspace, write(HEADER + torn, "torn"), "torn")


def test_the_gate_names_near_duplicates_on_two_sides(workspace, put, make, population):
    cohort = freeze(workspace, "frontal_adults", "adults")
    sides = cohort.members().group_by("fold").agg(pl.col("image_key").min()).sort("fold")["image_key"].to_list()
    low, high = sorted(sides[:2])
    put(NearDuplicates, [{"image_key_a": low, "image_key_b": high, "distance": 1, "correlation": 0.99}], archive="_all")
    with pytest.raises(CheckFailed, match=f"LEAK004.*{low}"):
        gate(workspace, cohort)
    again = freeze(workspace, "frontal_adults", "adults")
    assert again.members().height == cohort.members().height - 1
    gate(workspace, again)


def test_the_gate_finds_copies_that_are_near_only_to_one_that_is_no_member(workspace, put, make, population, write):
    cohort = freeze(workspace, "frontal_adults", "adults")
    sides = cohort.members().group_by("fold").agg(pl.col("image_key").min()).sort("fold")["image_key"].to_list()
    put(Images, [make.image(1000, shard=1, view_position="LATERAL")], shard=1)
    between = make.key("image", 1000)
    pairs = [sorted((between, side)) for side in sides[:2]]
    put(
        NearDuplicates,
        [{"image_key_a": low, "image_key_b": high, "distance": 1, "correlation": 0.99} for low, high in pairs],
        archive="_all",
    )
    low, high = sorted(sides[:2])
    with pytest.raises(CheckFailed, match=f"LEAK004.*1 found, first {low}, {high}"):
        gate(workspace, cohort)


@pytest.mark.parametrize("report", ["../cohorts/normals", "cohorts/normals", "reports/../checks/key001", "reports/no"])
def test_a_cohort_brings_no_report_of_its_own(workspace, population, write, report):
    text = HEADER.replace("-- example", f"-- report: {report}\n-- example") + BODY
    with pytest.raises(UserError, match=r"names no query of sql/reports|is unknown"):
        freeze(workspace, write(text), "mine")


@pytest.mark.parametrize("path", sorted(asset("sql/reports").glob("*.sql")), ids=lambda path: path.stem)
def test_every_report_is_one_select_that_only_reads(path):
    from xray_mining.catalog.guard import one_select
    from xray_mining.records.tables import ALL

    tables = {record.table for record in ALL} | {"members", "chosen_members", "eligible", "frontal", "vanished_files"}
    one_select(path.read_text(encoding="utf-8"), path.stem, tables | {"near_duplicate_groups"})


def test_near_duplicates_that_nobody_searched_for_are_not_said_to_be_absent(workspace, population):
    cohort = freeze(workspace, "frontal_adults", "adults")
    outcome = {each["code"]: each["outcome"] for each in check(workspace, cohort).results}
    assert outcome["LEAK004"] == "not_applicable"
    assert [each[:8] for each in gate(workspace, cohort)] == ["LEAK004:"]
    keys = population.select("image_key", "pixel_digest", pl.lit("grey 1").alias("search"))
    place = workspace.parts("_all", "near_duplicates_searched")
    write_frame(keys[:-1], place / "00000.parquet")
    assert "among 1 of" in gate(workspace, cohort)[0]
    write_frame(keys, place / "00000.parquet")
    assert gate(workspace, cohort) == ()
    outcome = {each["code"]: each["outcome"] for each in check(workspace, cohort).results}
    assert outcome["LEAK004"] == "passed"


@pytest.mark.parametrize("code", ["LEAK001", "LEAK002"])
def test_the_gate_finds_what_a_hand_made_cohort_got_wrong(workspace, population, code):
    cohort = freeze(workspace, "frontal_adults", "adults")
    members = cohort.members()
    if code == "LEAK001":
        first = pl.int_range(pl.len()) == 0
        torn = members.with_columns(fold=pl.when(first).then((pl.col("fold") + 1) % 5).otherwise("fold"))
    else:
        two = members.group_by("fold").agg(pl.col("patient_key").min()).sort("fold")["patient_key"][:2]
        theirs = pl.col("patient_key").is_in(two.to_list())
        torn = members.with_columns(
            study_key=pl.when(theirs).then(pl.lit(members["study_key"][0])).otherwise("study_key")
        )
    CohortMembers.write(torn, cohort.folder / "cohort_members.parquet")
    with pytest.raises(CheckFailed, match=code):
        gate(workspace, cohort)


@pytest.fixture
def linked_study(workspace, put, make, tmp_path):
    """Two patients on two sides, each with a study of its own; one more study bears images of both, one row links it.

    Members are the one's own study and the other's image of the shared one, so that no study stands on two sides.
    """
    domain = public_domain("here")
    shared = domain.digest("study", "1.2.shared")
    one, other = sorted(make.key("patient", n) for n in range(2))
    rows = [make.image(n, age_years=40.0) for n in range(2, 60)]
    rows += [
        make.image(100, patient_key=one, age_years=40.0),
        make.image(101, patient_key=one, study_key=shared, view_position="LATERAL"),
        make.image(102, patient_key=other, study_key=shared, age_years=40.0),
    ]
    put(Images, rows)
    (tmp_path / "table.csv").write_text("uid,score\n1.2.shared,5\n")
    mapping = "name: outcomes\ndomain: here\nstudy_uid: uid\nfindings:\n- {name: severity, column: score}\n"
    (tmp_path / "mapping.yaml").write_text(mapping)
    assert link(workspace, tmp_path / "table.csv", tmp_path / "mapping.yaml").matched == 1
    return make.key("image", 100), make.key("image", 102), one, other


@pytest.mark.parametrize("apart", [True, False])
def test_the_gate_finds_a_linked_label_on_two_sides(workspace, linked_study, apart):
    one_image, other_image, one, other = linked_study
    # a salt that lays the two patients into two folds, or into one
    salt = next(str(n) for n in range(1000) if (fold_of(str(n), one, 3) != fold_of(str(n), other, 3)) == apart)
    if not apart:
        assert set(freeze(workspace, "frontal_adults", "adults", folds=3, salt=salt).members()["image_key"]) >= {
            one_image,
            other_image,
        }
        return
    low, high = sorted((one_image, other_image))
    with pytest.raises(CheckFailed, match=f"LEAK005.*{low}, {high}, outcomes, severity"):
        freeze(workspace, "frontal_adults", "adults", folds=3, salt=salt)
    assert not (workspace.root / "cohorts").exists()


def test_checks_and_views_read_the_catalog_alone():
    # so the gate does not wait until the members of a cohort of a million are merged into results.duckdb
    for folder in ("checks", "schema"):
        for name, path in queries(asset(f"sql/{folder}")).items():
            assert name == "predictions" or not reads_results(path.read_text(encoding="utf-8")), path.name


@pytest.mark.parametrize(("digest", "found"), [("uuid()", []), (f"'{'0' * 32}'::uuid", ["LEAK003"])])
def test_the_same_pixels_on_two_sides_are_found_in_a_catalog_of_any_author(workspace, population, digest, found):
    members = freeze(workspace, "frontal_adults", "adults").members()
    with connect(workspace) as con:
        con.execute(
            f"create or replace temp view images as select * replace ({digest} as pixel_digest) "
            "from catalog_file.main.images"
        )
        assert [code for code, _, _ in leaks(con, members)] == found


def test_flow_counts_survive_odd_names_strings_and_nested_with(workspace, population, write):
    text = (
        HEADER
        + """with
-- step: everybody; "quoted" -- and more
"Odd name" as (
    select image_key, age_years, 'a -- step: not; one' as words
    from eligible
    where age_years >= $youngest
),

-- step: the older half
older as (
    with inner_one as (
        select image_key, age_years from "Odd name" where words != ';'
    )

    select image_key, age_years from inner_one where age_years >= 40
)

select image_key, age_years from older
"""
    )
    cohort = freeze(workspace, write(text), "odd")
    assert [step.step for step in cohort.flow] == ["images", "Odd name", "older", "members"]
    assert cohort.flow[1].words == 'everybody; "quoted" -- and more'
    assert cohort.flow[2].images == population.filter(pl.col("age_years") >= 40).height


def test_the_flow_counts_images_where_a_step_holds_them_several_times(workspace, put, make, write):
    put(Images, [make.image(n) for n in range(300)])
    rows = [
        {"image_key": make.key("image", n), "study_key": make.key("study", n), "patient_key": make.key("patient", n)}
        | {"name": name, "value": 1.0, "unit": "", "source": "table", "source_version": ""}
        for n in range(300)
        for name in ("effusion", "nodule", "mass")
    ]
    put(Findings, rows)
    text = (
        HEADER
        + """with
-- step: all of them
everybody as (select image_key, age_years from eligible where age_years >= $youngest),

-- step: with findings
joined as (
    select everybody.image_key, age_years, name from everybody inner join findings using (image_key)
),

-- step: each once
once as (select image_key, min(age_years) as age_years from joined group by image_key)

select image_key, age_years from once
"""
    )
    steps = freeze(workspace, write(text), "joined").flow
    assert [(step.images, step.studies, step.patients) for step in steps] == [(300, 300, 300)] * 5


def test_a_cohort_that_comes_out_otherwise_a_second_time_is_refused(workspace, population, write, monkeypatch):
    # the door is left open, so that the net behind it is what holds
    monkeypatch.setattr(guard, "_UNREPEATABLE", re.compile("^never$"))
    chance = BODY.replace("from everybody", "from everybody where random() < 0.5")
    with pytest.raises(UserError, match="gives other images when it is run a second time"):
        freeze(workspace, write(HEADER + chance), "mine")
    assert not (workspace.root / "cohorts").exists()


def test_a_cohort_that_takes_too_long_is_stopped(workspace, population, write):
    endless = BODY.replace(
        "from everybody",
        "from everybody where (select sum(a.range * b.range) from range(1000000) a, range(1000000) b) > 0",
    )
    with pytest.raises(CannotFinish, match=r"stopped after 0\.5 s"):
        freeze(workspace, write(HEADER + endless), "mine", seconds=0.5)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("select (", "is not valid SQL"),
        ("drop table images", "not a SELECT"),
        ("insert into images select 1", "not a SELECT"),
        (
            BODY.replace(
                "select image_key, age_years from eligible where age_years >= $youngest", "delete from images"
            ),
            "delete",
        ),
        ("", "0 statements"),
        (BODY + "; select 1", "2 statements"),
    ],
)
def test_what_cannot_be_described_is_said_in_one_sentence(write, body, words):
    with pytest.raises(UserError, match=words) as refused:
        cohort_description(write(HEADER + body))
    assert str(refused.value).startswith("cohort mine: ") and "\n" not in str(refused.value)


def test_a_query_over_a_frozen_cohort(workspace, population):
    from xray_mining import open as open_workspace

    freeze(workspace, "frontal_adults", "adults")
    opened = open_workspace(workspace.root)
    found = opened.sql("select count(*) as n from cohort_members where cohort = $cohort", cohort="adults")
    assert found["n"][0] == opened.cohort("adults").members().height


def test_names_of_sql_files_are_unique():
    names = [name for folder in ("cohorts", "checks", "schema") for name in queries(asset(f"sql/{folder}"))]
    assert len(names) == len(set(names))


def test_a_cohort_that_was_killed_before_its_last_word_is_one_sentence(workspace, population):
    frozen = freeze(workspace, "frontal_adults", "mine")
    (frozen.folder.parent / "latest.json").unlink()
    with pytest.raises(UserError, match="mine: was not frozen to the end; freeze it again"):
        FrozenCohort.load(workspace, "mine")
