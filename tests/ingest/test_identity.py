"""Header → keys, ages, days: what is kept tells nobody who it was."""

import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xray_mining.archive.radiograph import Header
from xray_mining.errors import UserError
from xray_mining.ingest import terms
from xray_mining.ingest.identity import Domain, identify, open_domain, parse_age, parse_date, public_domain
from xray_mining.phantom.acquisition import MAKERS
from xray_mining.workspace import Workspace

DOMAIN = Domain("hospital", b"k" * 32, public=False)
DATES = st.dates(datetime.date(1901, 1, 1), datetime.date(2100, 1, 1))


def identity_of(domain: Domain = DOMAIN, **header: object):
    return identify(Header(**header), domain, "path", 0, topcode_age=True, file_key="f")


@pytest.mark.parametrize(
    ("text", "years"),
    [("061Y", 61), ("61", 61), ("018M", 1.5), ("026W", 0.498), ("073D", 0.2), ("61.5", 61.5), ("000Y", 0)],
)
def test_ages_are_read_in_every_unit(text, years):
    assert parse_age(text) == pytest.approx(years, abs=1e-3)


@pytest.mark.parametrize("text", ["411Y", "-1", "sixty", "61Z", "19600101", "1e3", "Y"])
def test_impossible_ages_are_none(text):
    assert parse_age(text) is None
    found = identity_of(age_text=text)
    assert found.columns["age_years"] is None
    assert "impossible_age" in found.flags


@pytest.mark.parametrize(
    ("text", "sex", "unread"),
    [
        ("M", "M", False),
        (" female ", "F", False),
        ("weiblich", "F", False),
        ("männlich", "M", False),
        ("O", "O", False),
        ("kvinna", None, True),
        ("7", None, True),
        ("U", None, False),
        ("unknown", None, False),
        (" - ", None, False),
        (None, None, False),
    ],
)
def test_a_sex_is_a_known_word_or_said_to_be_unread(text, sex, unread):
    found = identity_of(sex=text)
    assert (found.columns["patient_sex"], "unread_sex" in found.flags) == (sex, unread)


def test_impossible_age_text_is_kept_only_where_it_cannot_name_anybody():
    assert identity_of(age_text="411Y").columns["age_raw"] == "411Y"
    for text in ("John", "19600101", "1960", "12.03.1960"):
        assert identity_of(age_text=text).columns["age_raw"] is None


@given(DATES, DATES)
def test_dates_come_before_age_text_and_birth_after_study_is_refused(birth, study):
    found = identity_of(
        birth_date=birth.strftime("%Y%m%d"), study_date=study.strftime("%Y%m%d"), age_text="050Y"
    ).columns
    years = (study - birth).days / 365.2425
    if 0 <= years <= 120:
        assert found["age_source"] == "dates"
        assert found["age_years"] == (90.0 if years > 89 else pytest.approx(years))
    else:
        assert (found["age_source"], found["age_years"]) == ("age_string", 50)


@given(st.text(min_size=1), DATES, DATES)
def test_intervals_within_a_patient_stay_true_and_dates_do_not(patient, first, second):
    days = [
        identity_of(patient_id=f"p{patient}", study_date=each.strftime("%Y%m%d")).columns["study_day"]
        for each in (first, second)
    ]
    assert days[1] - days[0] == (second - first).days
    assert 0 <= days[0] - (first - datetime.date(1900, 1, 1)).days < 365
    assert DOMAIN.shift_days(identity_of(patient_id=f"p{patient}").columns["patient_key"]) < 365


def test_public_sets_keep_their_dates_and_everybody_gets_the_same_keys():
    found = identity_of(public_domain("nih"), patient_id="1", study_date="20200101").columns
    assert found["study_day"] == (datetime.date(2020, 1, 1) - datetime.date(1900, 1, 1)).days
    assert found["patient_key"] == identity_of(public_domain("nih"), patient_id="1").columns["patient_key"]
    assert found["patient_key"] != identity_of(public_domain("other"), patient_id="1").columns["patient_key"]


@pytest.mark.parametrize("patient", [None, "", "  ", "ANONYMOUS", "0"])
def test_no_patient_id_makes_each_image_its_own_patient(patient):
    one = identity_of(patient_id=patient, instance_id="1").columns
    two = identity_of(patient_id=patient, instance_id="2").columns
    assert one["patient_source"] == two["patient_source"] == "none"
    assert one["patient_key"] != two["patient_key"]


def test_the_issuer_is_part_of_the_patient():
    assert (
        identity_of(patient_id="1").columns["patient_key"]
        != (identity_of(patient_id="1", patient_id_issuer="A").columns["patient_key"])
    )


@pytest.mark.parametrize("text", ["", "2020", "202001", "20201301", "19000101", "99991231", "1970-02-30", "yesterday"])
def test_what_is_no_date_is_none(text):
    assert parse_date(text) is None


@pytest.mark.parametrize(
    ("declared", "texts", "view", "source"),
    [
        ("PA", (), "PA", "declared"),
        ("AP SUPINE", (), "AP", "declared"),
        ("LL", (), "LATERAL", "declared"),
        ("weird", (), "OTHER", "declared"),
        (None, ("Chest PA",), "PA", "inferred"),
        (None, ("Thorax seitl.",), "LATERAL", "inferred"),
        (None, ("Bettlunge",), "AP", "inferred"),
        (None, ("Chest PA and LAT",), None, "none"),
        (None, ("399348003",), "AP", "inferred"),
        (None, ("Map of the patient",), None, "none"),
    ],
)
def test_views_are_declared_inferred_or_unknown_and_never_vanish(declared, texts, view, source):
    found = identity_of(view=declared, view_texts=texts).columns
    assert (found["view_position"], found["view_source"]) == (view, source)


@given(st.text())
def test_free_text_leaves_only_as_known_words(text):
    known = {"M", "F", "O", "PA", "AP", "LATERAL", "OTHER", "L", "R", "B", "U", None, "other", "CHEST"}
    known |= set(terms._OTHER_PARTS) | set(terms._MANUFACTURERS.values()) | set(terms._MODELS) | set(terms.RADIOGRAPHS)
    for reader in (
        terms.sex_of,
        terms.view_of,
        terms.laterality_of,
        terms.body_part_of,
        terms.manufacturer_of,
        terms.model_of,
        terms.modality_of,
    ):
        assert reader(text) in known
    assert terms.view_in((text,)) in known


def test_a_key_is_drawn_once_and_may_be_taken_along(tmp_path):
    one, two = Workspace.create(tmp_path / "one"), Workspace.create(tmp_path / "two")
    drawn = open_domain(one, "hospital", False)
    assert open_domain(one, "hospital", False) == drawn
    path = one.private / "keys" / "hospital.key"
    assert path.stat().st_mode & 0o077 == 0
    assert open_domain(two, "hospital", False, path).key == drawn.key
    other = tmp_path / "other.key"
    other.write_text("ab" * 32)
    with pytest.raises(UserError, match="has another key"):
        open_domain(two, "hospital", False, other)
    other.write_text("no key")
    with pytest.raises(UserError, match="is not a key"):
        open_domain(two, "clinic", False, other)


@pytest.mark.parametrize("maker", MAKERS, ids=lambda maker: maker.model)
def test_the_phantoms_makers_and_devices_are_known_terms(maker):
    assert (terms.manufacturer_of(maker.manufacturer), terms.model_of(maker.model)) == (maker.manufacturer, maker.model)
