"""Header → keys, ages, days: what is kept tells nobody who it was."""

import datetime
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xray_mining.archive.radiograph import Header
from xray_mining.errors import UserError
from xray_mining.ingest import terms
from xray_mining.ingest.identity import Domain, identify, open_domain, parse_date, public_domain, years_between
from xray_mining.ingest.stated_age import read_age
from xray_mining.phantom.acquisition import MAKERS
from xray_mining.workspace import Workspace

DOMAIN = Domain("hospital", b"k" * 32, public=False)
DATES = st.dates(datetime.date(1901, 1, 1), datetime.date(2100, 1, 1))


def identity_of(domain: Domain = DOMAIN, **header: object):
    return identify(Header(**header), domain, "path", 0, topcode_age=True, file_key="f")


@pytest.mark.parametrize(
    ("text", "years"),
    [
        ("061Y", 61), ("61", 61), ("018M", 1.5), ("026W", 0.498), ("073D", 0.2), ("61.5", 61.5), ("000Y", 0),
        (".5", 0.5), ("1.5Y", 1.5), ("1.5 years", 1.5), ("18 months", 1.5), ("4 years 3 months", 4.25),
        ("4y3m", 4.25), ("4 yrs, 3 mos", 4.25), ("1 year and 6 months", 1.5), ("61 years old", 61), ("3 Jahre", 3),
        ("1080M", None), ("108M", 9), ("120", 120), ("89.9", 89.9), ("30.142857142857142", 30.1429),
        ("361.71428571428571M", 30.1429), (".50000000000000001", 0.5),
    ],
)  # fmt: skip
def test_ages_are_read_in_every_unit(text, years):
    found = read_age(text)
    assert (found.years, found.bounded) == (None if years is None else pytest.approx(years, abs=1e-3), False)


@pytest.mark.parametrize(
    "text",
    [
        "411Y", "-1", "sixty", "61Z", "19600101", "1e3", "Y", "121", "4 years 15 months", "3 months 4 years", "4Y 3Y",
        ">411", "<411", "12-03", "12.03.1960", "1960-70", "> Smith", "Smith+", "5.", "4 5",
    ],
)  # fmt: skip
def test_impossible_ages_are_none(text):
    assert (read_age(text).years, read_age(text).bounded) == (None, False)
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


BORN_OF_89 = {"birth_date": "19310101", "study_date": "20200501"}
BORN_OF_90 = {"birth_date": "19300501", "study_date": "20200501"}


@pytest.mark.parametrize("stated", [{"age_text": "089Y"}, {"age_text": "89"}, {"age_text": "89.9"}, BORN_OF_89])
def test_89_full_years_are_kept_however_they_are_stated(stated):
    found = identity_of(**stated).columns
    assert 89 <= found["age_years"] < 90
    assert found["age_topcoded"] is False


@pytest.mark.parametrize("topcode", [True, False])
@pytest.mark.parametrize(
    "text", [">89", "> 89", "≥90", ">=90", "90+", "89+", "90Y+", "90+ years", "90 and over", "over 89"]
)
def test_a_tables_own_top_code_reads_90_and_is_told_as_such(text, topcode):
    found = identify(Header(age_text=text), DOMAIN, "path", 0, topcode_age=topcode, file_key="f")
    assert (found.columns["age_years"], found.columns["age_topcoded"], found.flags) == (90.0, True, ())
    assert found.columns["age_source"] == "age_string"


@pytest.mark.parametrize("stated", [{"age_text": "090Y"}, {"age_text": "91"}, {"age_text": "119"}, BORN_OF_90])
def test_from_90_full_years_on_ages_are_90_unless_the_owner_asks_otherwise(stated):
    found = identity_of(**stated).columns
    assert (found["age_years"], found["age_topcoded"]) == (90.0, True)
    found = identify(Header(**stated), DOMAIN, "path", 0, topcode_age=False, file_key="f").columns
    assert found["age_years"] >= 90
    assert found["age_topcoded"] is False


@pytest.mark.parametrize("text", ["<5", "> 50", ">88", "≤1", "<6M", "under 18", "20-29", "20 to 29 years", "18+"])
def test_another_bound_is_no_age_and_not_impossible_either(text):
    found = identity_of(age_text=text)
    assert (found.columns["age_years"], found.columns["age_source"], found.columns["age_raw"]) == (None, "none", text)
    assert found.flags == ("bounded_age",)


@given(DATES)
def test_on_a_birthday_the_age_is_a_whole_number(birth):
    for years in range(1, 95):
        if (birth.month, birth.day) != (2, 29):
            day = birth.replace(year=birth.year + years)
            assert years_between(birth, day) >= years > years_between(birth, day - datetime.timedelta(1))


@given(DATES, DATES)
def test_dates_come_before_age_text_and_birth_after_study_is_refused(birth, study):
    found = identity_of(
        birth_date=birth.strftime("%Y%m%d"), study_date=study.strftime("%Y%m%d"), age_text="050Y"
    ).columns
    years = (study - birth).days / 365.2425
    if 0 <= years <= 120:
        assert found["age_source"] == "dates"
        assert found["age_years"] == pytest.approx(min(years, 90.0), abs=0.003)
        full = study.year - birth.year - ((study.month, study.day) < (birth.month, birth.day))
        assert found["age_topcoded"] == (full >= 90)
        assert int(found["age_years"]) == min(full, 90)
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


@given(st.binary(min_size=1, max_size=200), st.text(max_size=40))
def test_a_digest_is_the_hmac_of_the_kind_and_its_parts(key, part):
    message = f"patient\x1f{part}".encode("utf-8", "surrogatepass")
    expected = hmac.digest(key, message, "sha256").hex()[:32]
    domain = Domain("hospital", key, public=False)
    assert domain.digest("patient", part).replace("-", "") == expected
    assert domain.digest_again("patient", part) == domain.digest("patient", part)
