"""Patient ids: two people never become one by reading, one person never two without a word."""

import dataclasses
import json
import re
import warnings

import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xray_mining.archive.dicom_file import read_dicom
from xray_mining.archive.dicom_texts import header_of, keep_ids
from xray_mining.archive.listing import relative_id
from xray_mining.archive.radiograph import Header, ListedFile
from xray_mining.catalog.checks import check
from xray_mining.catalog.link import link
from xray_mining.catalog.query import sql
from xray_mining.errors import UserError
from xray_mining.ingest.identity import Domain, identify, patient_of
from xray_mining.ingest.options import GreyOptions, IngestOptions, PatientIdRule
from xray_mining.ingest.patient_ids import RULES, rules_of, written_id, zero_of_numbered
from xray_mining.records.images import PATIENT_ID_MARKS

DOMAIN = Domain("hospital", b"k" * 32, public=False)
SMALL = IngestOptions(grey=GreyOptions(side_px=32), near_duplicates=False)
PLACEHOLDERS = (
    *("ANONYMOUS", "anonymized", "ANONYMIZED_PATIENT", "Anonymous^Patient", "Anónimo", "anonymisiert", "DE-IDENTIFIED"),
    *(
        "UNKNOWN",
        "unknown patient",
        "No Patient ID",
        "NO_ID",
        "Unidentified",
        "TEST",
        "Test^Patient",
        "N/A",
        "n.a.",
        "nan",
    ),
    *(
        "None",
        "null",
        "-",
        "???",
        "Patient",
        "PatientID",
        "xxx",
        "REMOVED",
        "ＡＮＯＮＹＭＯＵＳ",
        "0-0-0",
        "not available",
    ),
)
PEOPLE = (
    "ANON123",
    "TEST001",
    "P0",
    "100",
    "ANNA",
    "NINO",
    "Nancy",
    "PAT12",
    "123",
    "X1",
    "Müller1",
    "NOAH",
    "Testa",
    "IDA",
)


def key(patient_id: str | None, issuer: str | None = None, rules: tuple[str, ...] = ()) -> str | None:
    return patient_of(DOMAIN, patient_id, issuer, rules).key


@pytest.mark.parametrize("text", PLACEHOLDERS)
def test_what_stands_for_nobody_is_no_id(text):
    assert key(text) is None
    assert written_id(text, None).marks == ("placeholder",)


@pytest.mark.parametrize("text", ["0", "000", "０", "٠٠", "0.0", " 0 "])
def test_zeros_of_any_script_are_nobody_unless_the_owner_says_so(text):
    assert key(text) is None
    assert written_id(text, None).marks == ("zero",)
    assert key(text, rules=("keep_zero",)) is not None


@pytest.mark.parametrize("text", PEOPLE)
def test_ids_that_are_like_a_placeholder_are_ids(text):
    assert key(text) is not None
    assert "placeholder" not in written_id(text, None).marks


@given(st.text(), st.text(), st.text(), st.text())
def test_only_the_same_text_and_issuer_have_one_key(one, issuer, other, other_issuer):
    same = (one.strip(" \0\t\r\n"), issuer.strip(" \0\t\r\n")) == (
        other.strip(" \0\t\r\n"),
        other_issuer.strip(" \0\t\r\n"),
    )
    keys = key(one, issuer), key(other, other_issuer)
    assert None in keys or (keys[0] == keys[1]) == same


def test_the_mark_between_the_parts_of_a_digest_joins_nobody():
    assert key("B\x1fC", "A") != key("C", "A\x1fB")


@pytest.mark.parametrize(
    ("one", "other", "rule"),
    [
        (("123", None), ("123", "HOSPITAL"), "ignore_issuer"),
        (("123", None), ("00123", None), "strip_zeros"),
        (("abc", None), ("ABC", None), "fold_case"),
        (("123", None), ("123.0", None), "drop_decimals"),
        (("123", None), ("123,00", None), "drop_decimals"),
        (("12 3", None), ("123", None), "strip_spaces"),
        (("123", None), ("123\u00a0", None), "strip_spaces"),
        (("123", None), ("１２３", None), "fold_forms"),
        (("123", None), ("١٢٣", None), "fold_forms"),
        (("M\u00fcller", None), ("Mu\u0308ller", None), "fold_forms"),
        (("123", None), ("\ufeff123", None), "fold_forms"),
        (("123", None), ("12\u200b3", None), "fold_forms"),
        (("1", "A"), ("1", "a"), "fold_case"),
    ],
)
def test_two_ways_to_write_an_id_are_two_patients_that_are_alike_until_the_owner_says_they_are_one(one, other, rule):
    assert key(*one) != key(*other)
    assert patient_of(DOMAIN, *one).alike_key == patient_of(DOMAIN, *other).alike_key
    assert key(*one, rules=(rule,)) == key(*other, rules=(rule,))
    marks = {*patient_of(DOMAIN, *one).marks, *patient_of(DOMAIN, *other).marks}
    assert rule in marks or "ignore_issuer" in marks
    for wrong in set(RULES) - {rule, "strip_spaces", "fold_forms", "ignore_issuer"}:
        assert key(*one, rules=(wrong,)) != key(*other, rules=(wrong,))


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (("00A7", None), ("A7", None), True),
        (("100", None), ("1", None), False),
        (("100", None), ("10", None), False),
        (("1001", None), ("11", None), False),
        (("PH0000013", None), ("PH0000103", None), False),
        (("000100", None), ("100", None), True),
        (("1", "007"), ("1", "7"), False),
        (("00", None), ("0", None), True),
    ],
)
def test_zeros_are_stripped_in_front_of_an_id_alone(one, other, same):
    rules = ("strip_zeros", "keep_zero")
    assert (key(*one, rules=rules) == key(*other, rules=rules)) is same


@pytest.mark.parametrize(("one", "other"), [("100", "10"), ("1001", "11"), ("PH0000013", "PH0000103")])
def test_zeros_inside_an_id_make_no_two_people_alike(one, other):
    first, second = (patient_of(DOMAIN, each, None).alike_key for each in (one, other))
    assert first != second


def test_a_name_read_by_another_character_set_is_alike():
    assert key("Müller") != key("MÃ¼ller"), "and nobody makes them one"
    assert patient_of(DOMAIN, "Müller", None).alike_key == patient_of(DOMAIN, "MÃ¼ller", None).alike_key


def test_people_are_not_alike():
    alike = [patient_of(DOMAIN, each, None).alike_key for each in PEOPLE]
    assert len(set(alike)) == len(PEOPLE)


def test_rules_are_named_once_for_options_marks_and_the_command():
    assert set(RULES) == set(PatientIdRule.__args__)
    assert set(PATIENT_ID_MARKS) == (set(RULES) | {"placeholder", "zero"}) - {"keep_zero", "zero_is_none"}
    assert rules_of("fold_case, strip_zeros") == ("fold_case", "strip_zeros")
    assert rules_of("strip_zeros,fold_case") == ("fold_case", "strip_zeros"), (
        "one order, so that keys do not hang on it"
    )
    assert rules_of("none") == ()
    for wrong, words in (("strip_zero", "did you mean 'strip_zeros'"), ("none,fold_case", "excludes other rules")):
        with pytest.raises(UserError, match=words):
            rules_of(wrong)
    with pytest.raises(UserError, match="contradict"):
        rules_of("keep_zero,zero_is_none")


@pytest.mark.parametrize(
    ("ids", "kept"),
    [
        (["0", "0", "1", "1", "2"], True),
        (["000", "001", "002"], True),
        (["0.0", "1.0", "2.0", None], True),
        (["0", "00", "1", "2"], False),
        (["0", "001", "002"], False),
        (["0", "48271", "99120"], False),
        (["0"] * 7 + ["1", "1", "2"], False),
        (["1", "2", "3"], False),
        (["ANONYMOUS", "1"], False),
        ([], False),
    ],
)
def test_zero_is_a_persons_where_a_numbered_set_begins_with_it(ids, kept):
    assert zero_of_numbered(ids) is kept


def written(make_dicom, path, patient_id: bytes, charset: str | None) -> Header:
    """The header of a file whose patient id is these bytes, whatever its character set is said to be."""
    padded = patient_id.ljust(len(patient_id) + len(patient_id) % 2)
    make_dicom(path, PatientID="Q" * len(padded))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if charset is not None:
            dataset = pydicom.dcmread(path)
            dataset.SpecificCharacterSet = charset
            dataset.save_as(path)
        data = path.read_bytes().replace(b"Q" * len(padded), padded)
        return next(read_dicom(data, with_pixels=False)).header


@pytest.mark.parametrize(
    ("charset", "one", "other", "text", "flags"),
    [
        ("ISO_IR 192", "Müller1".encode("latin-1"), "Möller1".encode("latin-1"), "Müller1", ("undecoded_id",)),
        ("ISO_IR 192", "Müller1".encode(), "Möller1".encode(), "Müller1", ()),
        ("ISO_IR 100", "Müller1".encode("latin-1"), "Möller1".encode("latin-1"), "Müller1", ()),
        (None, "Müller1".encode(), "Möller1".encode(), "Müller1", ("undecoded_id",)),
        (None, "Müller1".encode("latin-1"), "Möller1".encode("latin-1"), "Müller1", ("undecoded_id",)),
        ("ISO_IR 999", "Müller1".encode("latin-1"), "Möller1".encode("latin-1"), "Müller1", ("undecoded_id",)),
        ("ISO_IR 101", b"\xa9imon", b"\xaeimon", "Šimon", ()),
        ("ISO_IR 13", b"\xfd\xfe1", b"\xfe\xfd1", "ýþ1", ("undecoded_id",)),
        ("GB18030", b"\xff\xfe1", b"\xfe\xff1", "ÿþ1", ("undecoded_id",)),
        (None, rb"A\00", rb"A\01", r"A\00", ("several_ids",)),
        ("ISO_IR 192", rb"A\00", rb"A\01", r"A\00", ("several_ids",)),
    ],
)
def test_an_id_of_a_header_is_read_without_loss(make_dicom, tmp_path, charset, one, other, text, flags):
    headers = [
        written(make_dicom, tmp_path / f"{number}.dcm", each, charset) for number, each in enumerate((one, other))
    ]
    assert headers[0].patient_id == text
    assert headers[0].patient_id != headers[1].patient_id
    assert [each.id_flags for each in headers] == [flags, flags]
    found = identify(headers[0], DOMAIN, "p", 0, topcode_age=True, file_key="f")
    assert set(flags) <= set(found.flags)


def test_an_id_of_a_kind_that_there_is_not_is_an_id(make_dicom, tmp_path):
    make_dicom(tmp_path / "a.dcm", PatientID="QQQQ")
    data = (tmp_path / "a.dcm").read_bytes()
    at = data.index(b"LO\4\0QQQQ")
    for text, flags in ((rb"P 12", ()), (rb"A\01", ("several_ids",)), ("Mül".encode(), ("undecoded_id",))):
        header = next(read_dicom(data[:at] + b"XX\4\0" + text + data[at + 8 :], with_pixels=False)).header
        assert (header.patient_id, header.id_flags) == (text.decode(), flags)


@pytest.mark.parametrize("keyword", ["AccessionNumber", "IssuerOfPatientID", "InstitutionName", "StudyInstanceUID"])
def test_every_key_is_made_of_all_values(keyword):
    field = {
        "AccessionNumber": "accession",
        "IssuerOfPatientID": "patient_id_issuer",
        "InstitutionName": "institution",
        "StudyInstanceUID": "study_id",
    }[keyword]
    found = {getattr(header_of({keyword: ["1", each]}.get), field) for each in ("2", "3")}
    assert found == {"1\\2", "1\\3"}


def test_names_of_institutions_are_kept_apart_too():
    kept = []
    for name in (b"Sp\xe4ta", b"Sp\xf6ta"):
        dataset = pydicom.Dataset()
        dataset.SpecificCharacterSet = "ISO_IR 192"
        dataset[0x00080080] = pydicom.dataelem.RawDataElement(
            pydicom.tag.Tag(0x00080080), "LO", len(name), name, 0, False, True
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            assert not keep_ids(dataset)
        kept.append(header_of(dataset.get).institution)
    assert kept == ["Späta", "Spöta"]


def test_letters_that_were_lost_before_are_flagged():
    found = identify(Header(patient_id="M\ufffdller1"), DOMAIN, "p", 0, topcode_age=True, file_key="f")
    assert "undecoded_id" in found.flags


def test_file_names_that_are_no_text_stand_for_themselves():
    names = [b"\xfc.dcm", b"\\xfc.dcm", b"\xf6.dcm", "ü.dcm".encode()]
    keys = {DOMAIN.digest("instance", relative_id(ListedFile(each, "", 1, 0)), 0) for each in names}
    assert len(keys) == len(names)


def patients(workspace) -> dict[int, str]:
    """Patients by the stated age of their image."""
    rows = sql(workspace, "select cast(round(age_years) as int) as age, patient_key from images")
    return dict(rows.select("age", "patient_key").iter_rows())


def archive(make_dicom, folder, ids):
    for number, (patient_id, issuer) in enumerate(ids):
        more = {"IssuerOfPatientID": issuer} if issuer else {}
        make_dicom(
            folder / f"{number}.dcm",
            number=number,
            PatientID=patient_id,
            PatientAge=f"{30 + number:03d}Y",
            PatientBirthDate=None,
            **more,
        )
    return folder


def of(workspace, code: str) -> dict:
    return next(each for each in check(workspace).results if each["code"] == code)


def test_pairs_are_listed_and_the_owners_rule_joins_them(make_dicom, run_ingest, tmp_path):
    ids = [("4711", None), ("4711", "HOSPITAL"), ("00815", None), ("815", None), ("7", "A"), ("7", "B"), ("9", None)]
    folder = archive(make_dicom, tmp_path / "a", ids)
    workspace, _ = run_ingest(folder, tmp_path / "w", options=SMALL, name="here")
    keys = patients(workspace)
    assert len(set(keys.values())) == 7
    found = of(workspace, "IDS001")
    assert (found["outcome"], found["severity"], found["offenders"]) == ("failed", "warning", "2")
    rows = {each["rules"]: each for each in json.loads(found["evidence"])}
    assert set(rows) == {"ignore_issuer", "strip_zeros"}
    assert {rows["strip_zeros"][f"{each}_patient_key"] for each in ("first", "last")} == {keys[32], keys[33]}

    ruled = SMALL.model_copy(update={"patient_id_rule": ("strip_zeros", "ignore_issuer")})
    workspace, summary = run_ingest(folder, tmp_path / "w", options=ruled, name="here")
    keys = patients(workspace)
    assert keys[30] == keys[31]
    assert keys[32] == keys[33]
    assert of(workspace, "IDS001")["outcome"] == "passed"
    assert any("by the rule" in line for line in summary.lines())
    # The same command without the option goes on by the rule, and has nothing to do.
    workspace, summary = run_ingest(folder, tmp_path / "w", options=SMALL, name="here")
    assert summary.shards_now == 0
    assert patients(workspace) == keys


def test_ids_of_two_issuers_are_no_pair(make_dicom, run_ingest, tmp_path):
    ids = [(str(number), issuer) for number in (5, 6) for issuer in ("A", "B")]
    workspace, _ = run_ingest(archive(make_dicom, tmp_path / "a", ids), tmp_path / "w", options=SMALL, name="here")
    assert of(workspace, "IDS001")["outcome"] == "passed"


def test_where_only_a_part_was_read_anew_the_check_says_so(make_dicom, run_ingest, tmp_path):
    folder = archive(make_dicom, tmp_path / "a", [(f"00{number}5", None) for number in range(1, 5)])
    two = SMALL.model_copy(update={"shard_files": 2})
    run_ingest(folder, tmp_path / "w", options=two, name="here")
    ruled = two.model_copy(update={"patient_id_rule": ("strip_zeros",)})
    workspace, _ = run_ingest(folder, tmp_path / "w", options=ruled, name="here", shards=(0, 1))
    found = of(workspace, "IDS001")
    assert "here: only a part was read by the current rules" in found["sentence"]
    workspace, _ = run_ingest(folder, tmp_path / "w", options=ruled, name="here")
    assert of(workspace, "IDS001")["outcome"] == "passed"


def test_an_archive_of_the_same_domain_is_told_to_follow(make_dicom, run_ingest, tmp_path):
    one = archive(make_dicom, tmp_path / "one", [("0012", None)])
    two = archive(make_dicom, tmp_path / "two", [("12", None), ("13", None)])
    run_ingest(one, tmp_path / "w", options=SMALL, name="one", domain="d")
    ruled = SMALL.model_copy(update={"patient_id_rule": ("strip_zeros",)})
    workspace, summary = run_ingest(two, tmp_path / "w", options=ruled, name="two", domain="d")
    assert any("one of the same domain was read by another rule" in line for line in summary.lines())
    workspace, summary = run_ingest(one, tmp_path / "w", options=SMALL, name="one", domain="d")
    assert summary.patient_id_rule == ("strip_zeros",)
    assert not summary.other_rule
    assert sql(workspace, "select count(distinct patient_key) as n from images")["n"][0] == 2


def table(tmp_path, ids, chest_picture):
    import cv2

    folder = tmp_path / "t"
    folder.mkdir()
    lines = ["file,pid,age"]
    for number, each in enumerate(ids):
        cv2.imwrite(str(folder / f"{number}.png"), (chest_picture(number) >> 4).astype("uint8"))
        lines.append(f"{number}.png,{each},{30 + number}")
    (folder / "t.csv").write_text("\n".join(lines) + "\n")
    (folder / "mapping.yaml").write_text("table: t.csv\ncolumns: {image: file, patient_id: pid, age: age}\n")
    return folder


def test_patient_zero_of_a_numbered_table_is_a_person(tmp_path, run_ingest, chest_picture):
    folder = table(tmp_path, ["0", "0", "1", "2"], chest_picture)
    workspace, summary = run_ingest(folder, tmp_path / "w", options=SMALL, name="here")
    keys = patients(workspace)
    assert keys[30] == keys[31]
    assert len(set(keys.values())) == 3
    assert any(re.search("patient id 0: of 2 images, counts as a person's id", line) for line in summary.lines())
    # What 0 is may differ between archives of a domain: no rule is broken by it.
    _, summary = run_ingest(folder, tmp_path / "w", options=SMALL, name="here")
    assert (summary.patient_id_rule, summary.other_rule) == (("keep_zero",), ())
    (tmp_path / "l.csv").write_text("pid,score\n0,3\nANONYMOUS,4\n")
    (tmp_path / "l.yaml").write_text(
        "name: scores\ndomain: here\npatient_id: pid\nfindings: [{name: score, column: score}]\n"
    )
    linked = link(workspace, tmp_path / "l.csv", tmp_path / "l.yaml")
    assert (linked.matched, linked.placeholders) == (1, 1)
    assert any(line.startswith("1 id is a placeholder") for line in linked.lines())
    no = SMALL.model_copy(update={"patient_id_rule": ("zero_is_none",)})
    workspace, _ = run_ingest(folder, tmp_path / "w", options=no, name="here")
    assert len(set(patients(workspace).values())) == 4


def test_zeros_and_placeholders_are_said_out_loud(make_dicom, run_ingest, tmp_path):
    ids = [("0", None), ("0", None), ("1", None), ("ANONYMOUS", None)]
    folder = archive(make_dicom, tmp_path / "a", ids)
    workspace, summary = run_ingest(folder, tmp_path / "w", options=SMALL, name="here")
    assert (summary.placeholder_ids, summary.zero_ids) == (3, 2)
    assert any("--patient-id-rule keep_zero" in line for line in summary.lines())
    assert len(set(patients(workspace).values())) == 4
    kept = SMALL.model_copy(update={"patient_id_rule": ("keep_zero",)})
    workspace, summary = run_ingest(folder, tmp_path / "w", options=kept, name="here")
    assert (summary.placeholder_ids, summary.zeros_kept) == (1, 2)
    assert len(set(patients(workspace).values())) == 3


def test_links_go_through_the_archives_rule(make_dicom, run_ingest, tmp_path):
    folder = archive(make_dicom, tmp_path / "a", [("00123", None), ("5", "HOSPITAL")])
    ruled = SMALL.model_copy(update={"patient_id_rule": ("strip_zeros", "drop_decimals", "ignore_issuer")})
    workspace, _ = run_ingest(folder, tmp_path / "w", options=ruled, name="here")
    (tmp_path / "l.csv").write_text("pid,score\n123.0,3\n5,4\n")
    (tmp_path / "l.yaml").write_text(
        "name: scores\ndomain: here\npatient_id: pid\nfindings: [{name: score, column: score}]\n"
    )
    assert dataclasses.asdict(link(workspace, tmp_path / "l.csv", tmp_path / "l.yaml"))["matched"] == 2
