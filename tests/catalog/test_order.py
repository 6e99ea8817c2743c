"""Which of a patient's images is the later one: by day, else follow-up number, else age, else the order of files."""

import gzip
import random

import polars as pl
import pytest

from xray_mining.archive.sources.folder import FolderSource
from xray_mining.catalog.checks import check
from xray_mining.catalog.cohort import freeze, known_cohorts, read_query
from xray_mining.catalog.order import latest_of
from xray_mining.catalog.query import sql
from xray_mining.ingest.ingest import IngestRequest, ingest
from xray_mining.ingest.options import IngestOptions
from xray_mining.records.findings import Findings
from xray_mining.records.images import Images
from xray_mining.records.small_counts import told
from xray_mining.workspace import Workspace


def follow_up(make, number: int, value: float, **changes) -> dict:
    return {
        "image_key": make.key("image", number),
        "patient_key": make.key("patient", changes.pop("patient", 0)),
        "name": "follow_up_number",
        "value": value,
        "unit": "",
        "source": "table",
        "source_version": "",
    }


def ordered(workspace) -> list[tuple]:
    rows = sql(workspace, "select position, patient_sequence, sequence_by from images order by patient_key, 2")
    return rows.rows()


CASES = {
    # days, follow-up numbers, ages of a patient's images in the order of the files; the order in time, and what told it
    "days": ([5, 3, 4], [0, 1, 2], [40.0, 50.0, 60.0], [1, 2, 0], ["day", "day"]),
    "follow-up numbers": ([None] * 3, [2, 0, 1], [40.0, 50.0, 60.0], [1, 2, 0], ["follow_up"] * 2),
    "ages": ([None] * 3, [None] * 3, [50.5, 50.25, 40.0], [2, 1, 0], ["age"] * 2),
    "files": ([None] * 3, [None] * 3, [None] * 3, [0, 1, 2], ["nothing"] * 2),
    "a tie of days": ([5, 5, 4], [1, 0, 2], [50.0] * 3, [2, 1, 0], ["day", "follow_up"]),
    "a tie of ages": ([None] * 3, [None] * 3, [50.0, 50.0, 49.0], [2, 0, 1], ["age", "nothing"]),
    "a day is missing": ([5, None, 4], [2, 1, 0], [50.0] * 3, [2, 1, 0], ["follow_up"] * 2),
    "a day and all else": ([5, None, 4], [None] * 3, [None] * 3, [1, 2, 0], ["unknown", "day"]),
    "a number is missing": ([None] * 3, [1, None, 0], [50.0, 49.0, 48.0], [2, 1, 0], ["age"] * 2),
}


@pytest.mark.parametrize("case", CASES)
def test_a_patients_images_have_an_order_in_time(case, workspace, put, make):
    days, numbers, ages, order, told_by = CASES[case]
    put(Images, [make.image(n, patient=0, study_day=days[n], age_years=ages[n]) for n in range(3)])
    put(Findings, [follow_up(make, n, float(value)) for n, value in enumerate(numbers) if value is not None])
    assert ordered(workspace) == [
        (place, number, by) for number, (place, by) in enumerate(zip(order, [None, *told_by], strict=True), start=1)
    ]


def test_images_of_one_study_and_patients_with_one_image(workspace, put, make):
    same = make.key("study", "same")
    put(Images, [make.image(n, patient=n // 2, study_key=same, study_day=7, age_years=50.0) for n in range(3)])
    assert {row[1:] for row in ordered(workspace)} == {(1, None), (2, "same_study")}


def later(a: dict, b: dict, full: dict[str, bool]) -> bool:
    """Whether image b comes after image a: the rule in words, one pair at a time."""
    for name in ("day", "number", "age"):
        if full[name] and a[name] != b[name]:
            return a[name] < b[name]
    for name in ("day", "number", "age"):
        if a[name] != b[name]:
            return a[name] is None if None in (a[name], b[name]) else a[name] < b[name]
    return a["position"] < b["position"]


def test_the_order_is_that_of_the_rule_for_any_gaps(workspace, put, make):
    chance = random.Random(7)
    rows = []
    for number in range(400):
        patient = number % 80
        dense = patient % 3
        known = [chance.random() < (1.0 if dense == each else 0.6) for each in range(3)]
        rows.append(
            {
                "position": number,
                "patient": patient,
                "day": chance.randrange(3) if known[0] else None,
                "number": float(chance.randrange(3)) if known[1] else None,
                "age": float(chance.randrange(40, 43)) if known[2] else None,
            }
        )
    put(Images, [make.image(r["position"], patient=r["patient"], study_day=r["day"], age_years=r["age"]) for r in rows])
    numbers = [r for r in rows if r["number"] is not None]
    put(Findings, [follow_up(make, r["position"], r["number"], patient=r["patient"]) for r in numbers])
    place = dict(sql(workspace, "select position, patient_sequence from images").rows())
    for patient in range(80):
        own = [row for row in rows if row["patient"] == patient]
        full = {name: all(row[name] is not None for row in own) for name in ("day", "number", "age")}
        for a in own:
            before = sum(later(b, a, full) for b in own if b is not a)
            assert place[a["position"]] == before + 1


def test_every_shipped_cohort_that_takes_one_image_goes_by_the_order():
    for name in known_cohorts():
        text = read_query(name).text
        assert "order by study_day" not in text and "desc, image_key" not in text
        assert ("row_number() over (partition by patient_key" in text) <= ("order by patient_sequence desc" in text)


def test_the_flow_says_what_told_the_latest_image(workspace, put, make):
    def image(number: int, **changes) -> dict:
        return make.image(number, patient=number // 2, age_years=30.0 + number // 2 % 40, **changes)

    rows = [image(n) for n in range(40)]
    rows += [image(n, study_day=None) for n in range(40, 80)]
    # a lateral image between two frontal ones plays no part; a tie of ages does
    rows += [image(n, study_day=None, view_position="LATERAL" if n % 2 else "PA") for n in range(80, 120)]
    put(Images, rows)
    put(Findings, [follow_up(make, n, float(n % 2), patient=n // 2) for n in range(40, 56)])
    cohort = freeze(workspace, "age_balanced", "age")
    said = [each for each in cohort.sentences if each.startswith("The latest image of")]
    assert said == [
        "The latest image of patients with several images was decided: by the day of the study 20; by the "
        "follow-up number fewer than 10; by the order of the set's files alone 12."
    ]
    assert any(each.startswith("COH001: the latest image of 12 patients is not known") for each in cohort.sentences)
    [result] = [each for each in check(workspace, cohort).results if each["code"] == "COH001"]
    assert (result["outcome"], result["severity"], result["offenders"]) == ("failed", "warning", "12")


def test_between_two_images_the_strongest_step_counts(workspace, put, make):
    days = [1, 1, 2]  # the two frontal ones are of different days, the lateral one between them of the first's
    views = ["PA", "LATERAL", "PA"]
    rows = [
        make.image(3 * p + n, patient=p, study_day=days[n], view_position=views[n], age_years=40.0)
        for p in range(20)
        for n in range(3)
    ]
    put(Images, rows)
    cohort = freeze(workspace, "age_balanced", "age")
    assert cohort.sentences[-1].endswith("of 20 patients with several images was decided: by the day of the study 20.")


def test_the_latest_image_in_a_frame_is_the_last_of_the_sequence():
    rows = [
        ("a", "p", 1),
        ("b", "p", 3),
        ("c", "p", 2),
        ("d", "q", None),
        ("e", "q", 1),
        ("g", "r", None),
        ("f", "r", None),
    ]
    images = pl.DataFrame(rows, schema=["image_key", "patient_key", "patient_sequence"], orient="row")
    assert latest_of(images)["image_key"].to_list() == ["b", "e", "f"]
    # Without a sequence (an earlier catalog) the first key stands for the patient, the same at every run.
    assert latest_of(images.drop("patient_sequence").reverse())["image_key"].to_list() == ["a", "d", "f"]


def test_ten_patients_are_counted_and_nine_are_not():
    assert (told(10), told(9), told(1_234)) == ("10", "fewer than 10", "1,234")


@pytest.mark.parametrize(
    "latest",
    [
        "select image_key from frontal\nqualify row_number() over (partition by patient_key order by study_day desc, "
        "image_key) = 1",
        "select arg_max(image_key, study_day) as image_key from frontal group by patient_key",
    ],
)
def test_a_file_that_goes_by_days_that_are_not_there_is_told(latest, workspace, put, make, tmp_path):
    put(Images, [make.image(n, patient=n // 2, study_day=None if n < 60 and n % 2 else n) for n in range(100)])
    file = tmp_path / "mine.sql"
    file.write_text(
        "-- question: q\n-- one row: r\n-- example: e\nwith\n-- step: latest\nlatest as (\n"
        f"{latest}\n)\nselect image_key from latest\n"
    )
    assert freeze(workspace, str(file), "mine").sentences == (
        "COH002: the file orders images by study_day, but 30 of its patients have images without one; order by "
        "patient_sequence, which then uses the follow-up number or the age.",
    )


def test_patients_without_days_are_followed_by_their_ages(workspace, put, make):
    ages = {0: (40.0, 43.0), 1: (40.0, 40.5), 2: (43.0, 40.0), 3: (88.0, 90.0)}
    rows = [
        make.image(
            2 * patient + n,
            patient=patient,
            study_day=None,
            age_years=ages[patient % 4][n],
            age_topcoded=ages[patient % 4][n] == 90.0,
        )
        for patient in range(40)
        for n in range(2)
    ]
    put(Images, rows)
    put(Findings, [follow_up(make, n, float(n % 2), patient=n // 2) for n in range(80)])
    cohort = freeze(workspace, "longitudinal", "years", folds=3)
    assert cohort.members()["patient_key"].unique().sort().to_list() == sorted(
        make.key("patient", p) for p in range(0, 40, 4)
    )
    assert set(cohort.rotation(0, "years_since_first")["truth"]) == {0.0, 3.0}


@pytest.mark.parametrize("name", ["age_balanced", "normals", "g2_vs_g3"])
def test_on_the_real_table_no_later_image_is_passed_over(name, nih):
    workspace = nih
    cohort = freeze(workspace, name, name, {"per_cell": 10_000} if name == "age_balanced" else {})
    members = cohort.members().select("image_key")
    frame = sql(
        workspace,
        "select image_key, images.patient_key, age_years, "
        "max(value) filter (where name = 'follow_up_number') as number, "
        "max(value) filter (where name = 'no_finding') as free "
        "from images inner join findings using (image_key) "
        "where patient_sex in ('M', 'F') and view_position in ('PA', 'AP') group by all",
    ).with_columns(pl.col("patient_key").cast(pl.String))
    fits = {
        "age_balanced": pl.col("age_years").is_between(21, 71, closed="left"),
        "normals": (pl.col("age_years") >= 18) & (pl.col("free") == 1),
        "g2_vs_g3": pl.col("age_years").is_between(30, 46, closed="left")
        | pl.col("age_years").is_between(60, 76, closed="left"),
    }[name]
    last = (
        frame.filter(fits).group_by("patient_key").agg(pl.col("number").max().alias("last"), pl.len().alias("images"))
    )
    found = frame.join(members, on="image_key").join(last, on="patient_key")
    assert found.height == members.height > 100
    assert (found["images"] > 1).sum() > 50
    assert (found["number"] == found["last"]).all()


@pytest.fixture(scope="module")
def nih(tmp_path_factory, shared):
    """A workspace of the first rows of the real NIH table, without pictures."""
    source = shared / "data/metadata-tables/Data_Entry_2017_v2020.csv.gz"
    parent = tmp_path_factory.mktemp("nih")
    (parent / "nih").mkdir()
    with gzip.open(source, "rt") as lines:
        text = "".join(line for line, _ in zip(lines, range(6_000), strict=False))
    (parent / "nih" / "Data_Entry_2017_v2020.csv").write_text(text)
    workspace = Workspace.create(parent / "workspace")
    ingest(
        workspace, IngestRequest(FolderSource(parent / "nih"), name="nih", metadata_only=True, jobs=1), IngestOptions()
    )
    return workspace


def test_offsets_order_the_images_of_a_patient_without_days(workspace, put, make):
    offsets, days = [5.5, -2.0, 0.0], [None, 40, 30]
    rows = [make.image(n, patient=0, study_day=None, day_offset=offsets[n], age_years=50.0) for n in range(3)]
    # Beside days of the calendar an offset from another day tells nothing.
    rows += [make.image(10 + n, patient=1, study_day=days[n], day_offset=offsets[n], age_years=50.0) for n in range(3)]
    put(Images, rows)
    order = sql(workspace, "select patient_key, day_offset, sequence_by from images order by 1, patient_sequence")
    by_patient = order.partition_by("patient_key", as_dict=True, maintain_order=True, include_key=False)
    assert sorted(frame.rows() for frame in by_patient.values()) == [
        [(-2.0, None), (0.0, "day"), (5.5, "day")],
        [(5.5, None), (0.0, "unknown"), (-2.0, "day")],
    ]


def test_longitudinal_counts_time_by_offsets_where_there_are_no_days(workspace, put, make):
    rows = [
        make.image(
            2 * patient + n,
            patient=patient,
            study_key=make.key("study", 2 * patient + n),
            study_day=None,
            day_offset=n * (800.0 if patient % 2 else 10.0),
            age_years=50.0,
            view_position="PA",
        )
        for patient in range(40)
        for n in range(2)
    ]
    put(Images, rows)
    members = freeze(workspace, "longitudinal", "years").members()
    assert members["patient_key"].n_unique() == 20
