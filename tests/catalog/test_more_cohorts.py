"""Cohorts beyond age: normals, a place held out, cases and controls, patients over time; and the archive's checks."""

import polars as pl
import pytest

from xray_mining.catalog.checks import all_checks, check, raise_for
from xray_mining.catalog.cohort import freeze, gate
from xray_mining.catalog.folds import fold_of
from xray_mining.catalog.merge import merge
from xray_mining.catalog.query import select
from xray_mining.errors import CheckFailed, UserError
from xray_mining.records.check_results import CheckResults
from xray_mining.records.findings import Findings
from xray_mining.records.images import Images
from xray_mining.workspace import ArchiveSettings


def finding(make, number: int, name: str, value: float, **changes) -> dict:
    return {
        "image_key": make.key("image", number),
        "study_key": make.key("study", number),
        "patient_key": make.key("patient", number),
        "name": name,
        "value": value,
        "unit": "",
        "source": "table",
        "source_version": "",
    } | changes


def test_normals_are_free_of_findings_by_image_or_study(workspace, put, make):
    put(Images, [make.image(n) for n in range(60)])
    rows = [finding(make, n, "no_finding", float(n % 2)) for n in range(40)]
    rows += [finding(make, n, "no_finding", 1.0, image_key=None) for n in range(50, 60)]
    put(Findings, rows)
    members = freeze(workspace, "normals", "normals").members()
    wanted = {make.key("image", n) for n in [*range(1, 40, 2), *range(50, 60)]}
    assert set(members["image_key"]) == wanted


def test_external_site_trains_and_tests_at_different_places(workspace, put, make):
    rows = [make.image(n) for n in range(90)]
    rows += [make.image(90, patient=0, institution_key=make.key("institution", 1))]  # seen at both places
    put(Images, rows)
    place = make.key("institution", 1)
    cohort = freeze(workspace, "external_site", "away", {"test_institutions": place})
    found = cohort.members().join(pl.DataFrame(rows).select("image_key", "institution_key"), on="image_key")
    assert set(found.filter(pl.col("split") == "test")["institution_key"]) == {place}
    assert place not in set(found.filter(pl.col("split") != "test")["institution_key"])
    assert make.key("patient", 0) not in set(found["patient_key"])
    gate(workspace, cohort)
    assert freeze(workspace, "external_site", "loud", {"test_institutions": place.upper()}).digest == cohort.digest
    with pytest.raises(UserError, match="no image is of elsewhere; test_archives takes"):
        freeze(workspace, "external_site", "nowhere", {"test_archives": "elsewhere"})
    with pytest.raises(UserError, match="no image is of heer, there;"):
        freeze(workspace, "external_site", "misspelt", {"test_archives": "there,heer", "test_institutions": place})
    with pytest.raises(UserError, match="no image is of here;"):
        freeze(workspace, "external_site", "mixed_up", {"test_institutions": f"here,{place}"})
    with pytest.raises(UserError, match="the test split is empty"):
        freeze(workspace, "external_site", "nobody")


@pytest.mark.parametrize("absent_is_said", [True, False])
def test_controls_match_their_cases(workspace, put, make, absent_is_said):
    rows = [
        make.image(n, age_years=40.0 + 10 * (n % 2), patient_sex="MF"[n % 2], institution_key=None, study_year=2020)
        for n in range(120)
    ]
    put(Images, rows)
    cases = set(range(0, 120, 5))
    put(
        Findings,
        [finding(make, n, "effusion", float(n in cases)) for n in range(120) if n in cases or absent_is_said],
    )
    cohort = freeze(workspace, "case_control", "cases", {"finding": "effusion", "controls": 2})
    found = cohort.rotation(0, "group").join(pl.DataFrame(rows), on="image_key")
    assert found["truth"].sum() == len(cases)
    balance = found.group_by("patient_sex", "age_years").agg(pl.col("truth").sum(), pl.len().alias("all"))
    assert (balance["truth"] * 3 == balance["all"]).all()
    assert any("mean age" in sentence for sentence in cohort.sentences)


def test_silence_is_read_archive_by_archive_and_doubt_is_neither(workspace, put, make):
    """Listed: only presence is stated. Mixed: absence too. Linked: presence by patient. Untold: nothing is stated."""
    names = ("listed", "mixed", "linked", "untold")
    archives = {
        name: ArchiveSettings(domain="here", adapter="dicom_folder", order=place) for place, name in enumerate(names)
    }
    workspace.save(workspace.settings.model_copy(update={"archives": archives}))
    same = {"age_years": 40.0, "patient_sex": "F", "institution_key": None, "study_year": 2020}
    for place, name in enumerate(names):
        images = range(60 * place, 60 * place + 60)
        put(Images, [make.image(n, archive=name, **same) for n in images], archive=name)
    put(
        Findings,
        [finding(make, n, "effusion", 1.0) for n in range(20)] + [finding(make, 30, "effusion", -1.0)],
        archive="listed",
    )
    put(Findings, [finding(make, n, "effusion", float(n < 80)) for n in range(60, 90)], archive="mixed")
    nameless = {"image_key": None, "study_key": None}
    put(Findings, [finding(make, n, "effusion", 1.0, **nameless) for n in range(120, 130)], archive="linked")
    merge(workspace)
    found = select(workspace, "cohorts/case_control", finding="effusion", controls=1, age_band_years=5)
    number = {make.key("image", n): n for n in range(240)}
    cases, controls = (
        {number[key] for key in found.filter(pl.col("group") == each)["image_key"]} for each in ("case", "control")
    )
    # An archive in which a doubt was stated states more than presence, so its silence gives no control; and without a
    # site a case meets controls of its own archive only.
    assert len(cases & {*range(60, 80)}) == 10 and cases - {*range(60, 80)} == {*range(120, 130)}
    assert controls & {*range(60, 120)} == {*range(80, 90)}
    assert len(controls & {*range(130, 180)}) == 10 and len(controls) == len(cases)


@pytest.mark.parametrize(
    ("given", "words"),
    [({"controls": 0}, "controls must be 1 or more"), ({"age_band_years": 0}, "age_band_years must be 1 or more")],
)
def test_no_controls_and_no_band_of_ages_are_refused(workspace, population, make, put, given, words):
    put(Findings, [finding(make, n, "effusion", float(n % 2)) for n in range(240)])
    with pytest.raises(UserError, match=words):
        freeze(workspace, "case_control", "cases", {"finding": "effusion"} | given)


def test_the_balance_says_where_cases_and_controls_come_from_and_counts_no_few(workspace, put, make):
    same = {"age_years": 40.0, "patient_sex": "F", "study_year": 2020}
    put(
        Images,
        [make.image(n, **same, institution_key=None if n < 20 else make.key("place", n // 40)) for n in range(120)],
    )
    rows = [finding(make, n, "effusion", float(n % 2)) for n in range(120)]
    put(Findings, rows + [finding(make, n, "nodule", 1.0) for n in range(20, 27)])
    cohort = freeze(workspace, "case_control", "cases", {"finding": "effusion"}, folds=3)
    said = "0 % males, 100 % PA, mean year 2020.0; 3 sites of 1 archive, 10 without a site"
    assert all(said in sentence for sentence in cohort.sentences)
    few = freeze(workspace, "case_control", "few", {"finding": "nodule"}, folds=3, salt=_salt(make, range(20, 60), 3))
    assert [sentence for sentence in few.sentences if "case" in sentence] == [
        "case: fewer than 10 patients, too few to be described."
    ]


def _salt(make, numbers, folds: int) -> str:
    """A salt under which the first few patients fill every fold."""
    keys = [make.key("patient", n) for n in list(numbers)[:7]]
    return next(str(n) for n in range(1000) if len({fold_of(str(n), key, folds) for key in keys}) == folds)


@pytest.mark.parametrize("level", ["image", "study", "patient"])
def test_doubt_and_contradiction_make_neither_case_nor_control(workspace, put, make, level):
    same = {"age_years": 40.0, "patient_sex": "F", "institution_key": None, "study_year": 2020}
    put(Images, [make.image(n, **same) for n in range(80)])
    nameless = {"image": {}, "study": {"image_key": None}, "patient": {"image_key": None, "study_key": None}}[level]

    def said(number: int, value: float, source: str = "table") -> dict:
        return finding(make, number, "effusion", value, source=source, **nameless)

    rows = [said(n, float(n < 40)) for n in range(80)]
    rows += [said(n, -1.0, "other") for n in range(10)]  # a case of one, in doubt for the other
    rows += [said(n, 0.0, "other") for n in range(10, 15)]  # contradicted
    rows += [said(n, -1.0, "other") for n in range(40, 45)]
    put(Findings, rows)
    merge(workspace)
    found = select(workspace, "cohorts/case_control", finding="effusion", controls=1, age_band_years=5)
    number = {make.key("image", n): n for n in range(80)}
    cases, controls = (
        {number[key] for key in found.filter(pl.col("group") == each)["image_key"]} for each in ("case", "control")
    )
    assert cases == {*range(15, 40)} and len(controls) == 25 and controls <= {*range(45, 80)}


def test_normals_are_read_so_by_all_with_no_other_finding_and_by_the_image_first(workspace, put, make):
    put(Images, [make.image(n) for n in range(80)])
    by_study = {"image_key": None}
    rows = [finding(make, n, "no_finding", 1.0) for n in range(60)]
    rows += [finding(make, n, "no_finding", 0.0, source="other") for n in range(5)]
    rows += [finding(make, n, "effusion", 1.0) for n in range(5, 10)]
    rows += [finding(make, n, "effusion", -1.0, source="other") for n in range(10, 15)]
    rows += [finding(make, n, "effusion", 0.0) for n in range(15, 20)]
    rows += [finding(make, n, "support_devices", 1.0) for n in range(20, 25)]
    rows += [finding(make, n, "severity", float(n % 5)) for n in range(25, 40)]
    rows += [finding(make, n, "no_finding", 0.0, **by_study) for n in range(40, 45)]  # the image says otherwise
    rows += [finding(make, n, "no_finding", 1.0, **by_study) for n in range(60, 75)]
    rows += [finding(make, n, "effusion", 1.0, **by_study) for n in range(60, 65)]
    rows += [finding(make, n, "effusion", 1.0) for n in range(65, 70)]
    put(Findings, rows)
    members = freeze(workspace, "normals", "normals", folds=3).members()
    assert set(members["image_key"]) == {make.key("image", n) for n in [*range(15, 60), *range(70, 75)]}
    without = freeze(workspace, "normals", "normals", {"aside": "none"}, folds=3).members()
    assert set(without["image_key"]) == {make.key("image", n) for n in [*range(15, 20), *range(25, 60), *range(70, 75)]}


def test_groups_of_ages_that_overlap_are_refused(workspace, population):
    with pytest.raises(UserError, match="must lie below"):
        freeze(workspace, "g2_vs_g3", "groups", {"g2_from": 30, "g2_to": 65, "g3_from": 60, "g3_to": 75})


@pytest.mark.parametrize(
    ("first", "second", "other", "given"),
    [
        (
            {"label": "mild", "value": None},
            {"label": "severe", "value": None},
            {"label": "none", "value": None},
            ("mild", "severe"),
        ),
        ({"value": 0.0}, {"value": 1.0}, {"value": -1.0}, ("0", "1")),
        ({"value": 2.0}, {"value": 3.5}, {"value": 4.0}, ("2", "3.5")),
    ],
)
@pytest.mark.parametrize("level", ["image", "patient"])
def test_groups_by_a_finding_are_alike_in_age_sex_and_year(workspace, put, make, first, second, other, given, level):
    rows = [make.image(n, age_years=30.0 + n % 40, study_year=2020) for n in range(300)]
    put(Images, rows)
    nameless = {} if level == "image" else {"image_key": None, "study_key": None}

    def said(number: int, what: dict, source: str = "table") -> dict:
        return finding(make, number, "stage", 0.0, source=source, **nameless) | what

    put(
        Findings,
        [said(n, (first, second, other)[n % 3]) for n in range(300)]
        + [said(n, second, "other") for n in range(0, 30, 3)],  # mild for one, severe for the other
    )
    cohort = freeze(workspace, "disease_groups", "stages", {"finding": "stage", "g2": given[0], "g3": given[1]})
    found = cohort.rotation(0, "group").join(pl.DataFrame(rows).with_row_index("n"), on="image_key")
    assert found.height > 100 and found["truth"].mean() == 0.5
    assert dict(found.group_by("truth").agg(pl.col("n").unique() % 3).explode("n").unique().iter_rows()) == {
        0.0: 0,
        1.0: 1,
    }
    assert not set(found["n"]) & set(range(0, 30, 3))
    cells = found.group_by((pl.col("age_years") / 5).floor(), "patient_sex").agg(pl.col("truth").mean())
    assert (cells["truth"] == 0.5).all()
    assert cohort.sentences[0].endswith("patients, matched by sex, age band and year.")


@pytest.mark.parametrize(
    ("wrong", "words"),
    [({"g2": "1"}, "g2 and g3 must be different"), ({"age_band_years": 0}, "age_band_years must be 1 or more")],
)
def test_groups_that_are_no_groups_are_refused(workspace, population, wrong, words):
    with pytest.raises(UserError, match=words):
        freeze(workspace, "disease_groups", "stages", {"finding": "stage"} | wrong)


def test_case_control_needs_its_finding_named(workspace, population):
    with pytest.raises(UserError, match="'finding' has no default"):
        freeze(workspace, "case_control", "cases")


def test_longitudinal_keeps_patients_with_images_far_apart(workspace, put, make):
    rows = [
        make.image(n, patient=n // 2, age_years=50.0, study_day=40_000 + (n % 2) * (800 if n // 2 % 2 else 100))
        for n in range(120)
    ]
    put(Images, rows)
    cohort = freeze(workspace, "longitudinal", "years")
    assert set(cohort.members()["patient_key"]) == {make.key("patient", p) for p in range(1, 60, 2)}
    assert cohort.rotation(0, "years_since_first")["truth"].max() == pytest.approx(800 / 365.25)


def test_every_check_has_its_own_code_and_says_why():
    checks = all_checks()
    codes = [each.header.code for each in checks]
    assert len(codes) == len(set(codes)) and all(codes)
    assert all(each.name.startswith(each.header.code.lower()) for each in checks)


def test_an_archive_in_order_passes_and_says_what_does_not_apply(workspace, put, make):
    put(Images, [make.image(n) for n in range(10)])
    summary = check(workspace)
    outcomes = {each["code"]: each["outcome"] for each in summary.results}
    assert set(outcomes.values()) == {"passed", "not_applicable"}
    assert outcomes["PIX001"] == outcomes["DUP001"] == "not_applicable"
    raise_for(summary)
    kept = CheckResults.read(workspace.root / "checks")
    assert kept.height == len(outcomes)


def test_the_archives_checks_find_what_is_wrong(workspace, put, make):
    put(
        Images,
        [
            make.image(0, age_raw="411Y", age_years=None, age_source="none"),
            make.image(1),
            make.image(2, patient=1, patient_sex="M"),
            make.image(3, patient=1, age_years=70.0, patient_sex="F"),
            make.image(4, study_key=make.key("study", 1)),
        ],
    )
    put(Images, [make.image(9, archive="here", shard=1, pixel_digest=make.key("pixels", 0))], shard=1)
    put(Findings, [finding(make, 77, "effusion", 1.0, image_key=None)])
    summary = check(workspace)
    failed = {each["code"] for each in summary.results if each["outcome"] == "failed"}
    assert failed == {"AGE001", "AGE002", "SEX001", "KEY001", "DUP001", "FIND001"}
    assert all(each["sentence"].endswith(".") for each in summary.results)
    with pytest.raises(CheckFailed, match="KEY001"):
        raise_for(summary)


def test_a_cohorts_checks_run_by_themselves(workspace, population):
    cohort = freeze(workspace, "frontal_adults", "adults")
    summary = check(workspace, cohort)
    assert {each["outcome"] for each in summary.results if each["code"].startswith("LEAK")} <= {
        "passed",
        "not_applicable",
    }
