"""Folds, digests, given splits and the gate against leaks."""

import polars as pl
import pytest
from cohort_pieces import BODY, FIXED_FOLDS, HEADER, linked_study, write  # noqa: F401  fixtures
from hypothesis import given
from hypothesis import strategies as st

from xray_mining.catalog.checks import leaks
from xray_mining.catalog.cohort import freeze, gate
from xray_mining.catalog.connection import connect, frame
from xray_mining.catalog.folds import fold_of
from xray_mining.errors import CheckFailed, UserError
from xray_mining.records.cohort_members import CohortMembers
from xray_mining.records.images import Images
from xray_mining.records.near_duplicates import NearDuplicates
from xray_mining.workspace import Workspace


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


def test_too_few_patients_for_the_folds(workspace, put, make):
    put(Images, [make.image(n, patient=0) for n in range(8)])
    with pytest.raises(UserError, match=r"1 patients leave fold \d of 5 empty"):
        freeze(workspace, "frontal_adults", "one")


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
    with pytest.raises(CheckFailed, match="are on two sides"):
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


@pytest.mark.parametrize(("digest", "found"), [("uuid()", []), (f"'{'0' * 32}'::uuid", ["LEAK003"])])
def test_the_same_pixels_on_two_sides_are_found_in_a_catalog_of_any_author(workspace, population, digest, found):
    members = freeze(workspace, "frontal_adults", "adults").members()
    with connect(workspace) as con:
        con.execute(
            f"create or replace temp view images as select * replace ({digest} as pixel_digest) "
            "from catalog_file.main.images"
        )
        assert [code for code, _, _ in leaks(con, members)] == found
