"""What the archive holds: every query adds up, on rows made by hand and on the real NIH table."""

import gzip

import polars as pl
import pytest

from xray_mining.catalog.cohort import freeze
from xray_mining.catalog.merge import merge
from xray_mining.catalog.overview import overview
from xray_mining.records.images import Images
from xray_mining.records.pixels import Pixels
from xray_mining.records.rejects import Rejects


def test_every_table_adds_up_to_the_images(workspace, put, make):
    rows = [make.image(n, patient=n // 2) for n in range(40)]
    rows[0] |= {
        "age_years": None,
        "age_raw": "411Y",
        "age_source": "none",
        "quality_flags": ["impossible_age"],
        "view_position": None,
        "view_source": "none",
    }
    rows[1] |= {"quality_flags": ["blank", "border"], "patient_sex": None}
    put(Images, rows)
    put(Images, [make.image(90, shard=1, pixel_digest=make.key("pixels", 3))], shard=1)
    reject = {"stage": "open", "reason": "empty_file", "sentence": "It is empty.", "bytes": 0}
    put(Rejects, [{"file_key": make.key("r"), "archive": "here", "shard": 0, "position": 99, "frame": 0} | reject])
    found = overview(workspace, least_patients=1, listed_rows=None)
    for name in ("pyramid", "views", "years", "makers", "sizes", "bits", "encodings", "ages", "institutions"):
        assert found.tables[name]["images"].sum() == 40, name
    assert found.tables["accounts"]["accounts"].sum() == 42
    missing = dict(found.tables["missing"].select("column_name", "missing").iter_rows())
    assert missing["age_years"] == missing["patient_sex"] == missing["view_position"] == 1
    assert found.tables["images_per_patient"]["patients"].sum() == 20
    assert found.tables["gaps"]["pairs"].sum() == 20
    flags = dict(found.tables["quality"].filter(pl.col("images") > 0).select("flag", "images").iter_rows())
    assert flags == {"blank": 1, "border": 1, "impossible_age": 1}
    # Nobody said of any image whether it bears letters: that is not none.
    assert found.tables["quality"].filter(flag="burned_in")["images"].to_list() == [None]
    assert dict(found.tables["impossible_ages"].select("stated", "images").iter_rows()) == {"411Y": 1}
    sentences = " ".join(alert.sentence for alert in found.alerts)
    assert "1 image states an age that no patient can have (411Y)." in sentences
    assert "1 of 42 files or frames could not be used" in sentences
    assert "1 of 42 files or frames shows what an earlier one shows" in sentences
    assert "1 image is flagged blank" in sentences
    assert {alert.table for alert in found.alerts} <= set(found.tables)


def test_page_merge_flow_and_query_give_one_count_of_patients_where_some_images_have_no_id(workspace, put, make):
    # 30 patients of two images each; 7 images without an id, which have keys of their own
    rows = [make.image(n, patient=n // 2) for n in range(60)]
    rows += [make.image(n, patient_source="none") for n in range(100, 107)]
    put(Images, rows)
    totals = overview(workspace).tables["totals"].row(0, named=True)
    assert (totals["images"], totals["patients"], totals["images_without_patient"]) == (67, 30, 7)
    assert merge(workspace).patients == 30
    flow = {step.step: step for step in freeze(workspace, "frontal_adults", "adults").flow}
    assert (flow["images"].images, flow["images"].patients) == (67, 30)
    assert (flow["identified"].images, flow["identified"].patients) == (60, 30)
    assert flow["members"].patients == 30


def test_checks_that_fail_are_alerts_and_few_are_not_counted(workspace, put, make):
    # two images each of 30 patients; twelve of these change sex, one study is claimed by two patients
    rows = [make.image(n, patient=n // 2, patient_sex="M" if n % 2 and n < 24 else "F") for n in range(60)]
    rows[59] |= {"study_key": rows[0]["study_key"]}
    put(Images, rows)
    found = overview(workspace)
    alerts = {each.title: (each.severity, each.sentence) for each in found.alerts if each.table == "checks"}
    assert alerts == {
        "Check SEX001": ("warning", "A patient has more than one sex, so ids may be mixed up: 12 found."),
        "Check KEY001": (
            "error",
            "A study belongs to two patients, so folds by patient would split it: fewer than 10 found.",
        ),
    }
    told = {row["code"]: (row["outcome"], row["found"]) for row in found.tables["checks"].iter_rows(named=True)}
    assert told["SEX001"] == ("failed", 12) and told["KEY001"] == ("failed", None)
    assert told["AGE001"] == ("passed", 0) and told["DUP001"] == ("not_applicable", None)


@pytest.mark.parametrize("old", [4, 30])
def test_those_set_to_90_are_not_counted_where_their_cell_is_hidden(workspace, put, make, old):
    ages = {n: {"age_years": 90.0, "age_topcoded": True} for n in range(old)}
    put(
        Images,
        [make.image(n, **{"patient_sex": "F", "age_years": 40.0 + n % 2 * 10} | ages.get(n, {})) for n in range(80)],
    )
    found = overview(workspace)
    said = [each.sentence for each in found.alerts if each.title == "Ages set to 90"]
    told = {4: ("Images of patients", [None]), 30: ("30 images of patients", [30])}[old]
    assert said == [f"{told[0]} older than 89 counted as 90, so that no one can be identified."]
    assert found.tables["ages"]["topcoded"].to_list() == told[1]


def test_rows_of_few_that_are_not_listed_are_not_counted(workspace, put, make):
    put(Images, [make.image(n, patient=n // 3, manufacturer="Odd" if n < 6 else None) for n in range(6)])
    assert overview(workspace).cut["makers"].left_out is None
    assert overview(workspace, least_patients=1).cut == {}


def test_images_without_a_patient_count_no_patient(workspace, put, make):
    same = {"patient_sex": "F", "age_years": 40.0, "institution_key": None, "study_year": 2020}
    rows = [make.image(n, **same, patient_source="none", study_key=make.key("study", 0)) for n in range(12)]
    put(Images, rows + [make.image(n, **same | {"age_years": 60.0}) for n in range(12, 42)])
    found = overview(workspace).tables
    cells = {row["age_from"]: row for row in found["pyramid"].iter_rows(named=True)}
    assert cells[40]["few"] and cells[40]["images"] is None
    whole = overview(workspace, least_patients=1, listed_rows=None).tables
    for name in ("pyramid", "views", "years", "makers", "sizes", "bits", "encodings", "institutions"):
        assert whole[name]["patients"].sum() == 30, name
    told = {row["code"]: row["outcome"] for row in found["checks"].iter_rows(named=True)}
    assert told["KEY001"] == "passed"


def test_the_gallery_shows_nobody_without_a_patient_id(workspace, put, make):
    same = {"patient_sex": "F", "age_years": 40.0, "burned_in_text": "no"}
    put(Images, [make.image(n, **same, patient_source="none" if n < 12 else "declared") for n in range(17)])
    columns = {"image_key": [make.key("image", n) for n in range(17)], "store": ["grey"] * 17}
    rows = Pixels.sample(17, overrides=columns | {"archive": ["here"] * 17, "shard": [0] * 17})
    Pixels.write(rows, workspace.parts("here", "pixels") / "00000.parquet")
    workspace.save(workspace.settings.model_copy(update={"store": "grey"}))
    assert overview(workspace).shown.is_empty()
    assert overview(workspace, least_patients=5).shown["patients"].to_list() == [5] * 4


def test_an_empty_archive_has_an_overview(workspace):
    assert overview(workspace).alerts == ()


def test_its_size_does_not_grow_with_the_archive(workspace, put, make):
    put(Images, [make.image(n, institution_key=None) for n in range(600)])
    assert all(table.height <= 120 for table in overview(workspace).tables.values())


@pytest.mark.parametrize("name", ["Data_Entry_2017_v2020.csv.gz"])
def test_the_real_table_shows_its_published_counts(workspace, put, make, shared, name):
    with gzip.open(shared / "data/metadata-tables" / name) as file:
        table = pl.read_csv(file.read(), infer_schema=False, truncate_ragged_lines=True)
    base = make.image(0)
    frame = table.select(
        pl.int_range(pl.len()).alias("number"),
        pl.col("Patient ID").alias("patient"),
        pl.col("Patient Age").cast(pl.Float64).alias("age_years"),
        pl.col("Patient Sex" if "Patient Sex" in table.columns else "Patient Gender").alias("patient_sex"),
        pl.col("View Position").alias("view_position"),
    )

    def keyed(column: str) -> pl.Expr:
        padded = pl.col(column).cast(pl.String).str.zfill(12).alias("text")
        return pl.format("00000000-0000-0000-0000-{}", padded)

    columns = {
        each: pl.lit(base.get(each), dtype=Images.columns()[each].dtype)
        for each in Images.columns()
        if each not in frame.columns
    }
    rows = frame.with_columns(**columns).with_columns(
        image_key=keyed("number"),
        study_key=keyed("number"),
        file_key=keyed("number"),
        pixel_digest=keyed("number"),
        patient_key=keyed("patient"),
        position=pl.col("number"),
        age_topcoded=pl.col("age_years") > 89,
    )
    rows = rows.with_columns(age_years=pl.col("age_years").clip(0, 90))
    Images.write(rows.with_columns(age_topcoded=pl.lit(False)), workspace.parts("here", "images") / "00000.parquet")
    found = overview(workspace, least_patients=1).tables
    sexes = dict(found["pyramid"].group_by("patient_sex").agg(pl.col("images").sum()).iter_rows())
    assert sexes == {"F": 48_780, "M": 63_340}
    views = dict(found["views"].select("view_position", "images").iter_rows())
    assert views == {"PA": 67_310, "AP": 44_810}
    assert found["images_per_patient"]["patients"].sum() == 30_805
