"""Freezing a cohort: members, flow, what is refused and with which sentence."""

import json
import re

import polars as pl
import pytest
from cohort_pieces import BODY, HEADER, write  # noqa: F401  fixtures

from xray_mining.catalog import guard
from xray_mining.catalog.checks import check
from xray_mining.catalog.cohort import freeze, gate, known_cohorts, read_query
from xray_mining.catalog.cohort_summary import summary_of
from xray_mining.catalog.connection import reads_results
from xray_mining.catalog.describe import cohort_description
from xray_mining.catalog.header import queries
from xray_mining.errors import CannotFinish, UserError
from xray_mining.records.cohort import FrozenCohort
from xray_mining.records.cohort_members import CohortMembers
from xray_mining.records.findings import Findings
from xray_mining.records.images import Images
from xray_mining.records.pixels import Pixels
from xray_mining.workspace import asset, write_frame


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


def test_a_note_is_a_sentence_of_its_own():
    lines = cohort_description("disease_groups").lines()
    [row] = [each for each in lines if each.startswith("one row: ")]
    [note] = [each for each in lines if each.startswith("note: ")]
    assert row == "one row: one patient's latest frontal image with a known group"
    assert note.startswith("note: an image's label") and note.endswith("in neither")
    for name in known_cohorts():
        assert all(len(each) < 120 for each in (read_query(name).header.question, read_query(name).header.one_row))


def test_a_parameter_is_described_with_all_its_lines():
    [absent] = [each for each in cohort_description("findings").lines() if each.startswith("  $absent text")]
    assert "false where the archive lists only" in absent and absent.endswith("also in images without a row")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (BODY, "no line '-- question"),
        (HEADER + "select image_key, age_years from eligible where age_years > $youngest", "has no steps"),
        (HEADER + BODY.replace("-- step: all of them\n", ""), "step 'everybody' has no description"),
        (HEADER + BODY + "; select 1", "2 statements"),
        (HEADER + "drop table images", "not a SELECT"),
        (HEADER + BODY.replace("eligible", "read_csv('/etc/passwd')"), "'.*' is not allowed"),
        (HEADER + BODY.replace("age_years >=", "age_yeers >="), "did you mean 'age_years'"),
        (HEADER + BODY.replace("from eligible", "from eligibel"), "did you mean 'eligible'"),
        (HEADER + BODY.replace(">= $youngest", ">= $youngst"), "youngst"),
        (HEADER + BODY.replace(">= $youngest", ">= 1000 + $youngest"), "the step .all of them. leaves none of"),
        (
            HEADER + "-- note: link it first\n" + BODY.replace(">= $youngest", ">= 1000 + $youngest"),
            "widen its parameters; note of the cohort: link it first",
        ),
        (
            HEADER + BODY.replace("select image_key, age_years from everybody", "select age_years from everybody"),
            "image_key",
        ),
        (HEADER + BODY + " union all select image_key, age_years from everybody", "are duplicated"),
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


@pytest.mark.parametrize("name", ["../outside", "/tmp/outside", "a/b", "", "two words", "..", "a;drop"])
def test_the_name_of_a_cohort_is_no_path(workspace, population, name):
    with pytest.raises(UserError, match=r"cohort name .*: a name is made of letters"):
        freeze(workspace, "frontal_adults", name)
    assert not (workspace.root.parent / "outside").exists() and not (workspace.root / "cohorts").exists()


@pytest.mark.parametrize("folds", [-1, 0, 1, 2, 1.5, 101])
def test_folds_that_leave_no_side_are_refused(workspace, population, folds):
    with pytest.raises(UserError, match=r"cohort adults: .* folds; give a whole number from 3 to 100"):
        freeze(workspace, "frontal_adults", "adults", folds=folds)


def test_unknown_names_are_answered_with_the_nearest(workspace, population):
    with pytest.raises(UserError, match="did you mean 'age_balanced'"):
        freeze(workspace, "age_balance", "x")
    with pytest.raises(UserError, match="did you mean 'per_cell'"):
        freeze(workspace, "age_balanced", "x", {"percell": 3})
    with pytest.raises(UserError, match="not of type integer"):
        freeze(workspace, "age_balanced", "x", {"per_cell": "many"})


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


@pytest.mark.parametrize("report", ["../cohorts/normals", "cohorts/normals", "reports/../checks/key001", "reports/no"])
def test_a_cohort_brings_no_report_of_its_own(workspace, population, write, report):
    text = HEADER.replace("-- example", f"-- report: {report}\n-- example") + BODY
    with pytest.raises(UserError, match=r"names no query of sql/reports|is unknown"):
        freeze(workspace, write(text), "mine")


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


def test_checks_and_views_read_the_catalog_alone():
    # so the gate does not wait until the members of a cohort of a million are merged into results.duckdb
    for folder in ("checks", "schema"):
        for name, path in queries(asset(f"sql/{folder}")).items():
            assert name == "predictions" or not reads_results(path.read_text(encoding="utf-8")), path.name


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
    latest = frozen.folder.parent / "latest.json"
    for damaged in ("", "{}", "[]", None):
        latest.unlink() if damaged is None else latest.write_text(damaged)
        with pytest.raises(UserError, match="mine: freezing did not finish; freeze it again"):
            FrozenCohort.load(workspace, "mine")
