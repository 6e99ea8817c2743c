"""Outside tables: ids are hashed on the way in, every row is counted, linking again replaces."""

import polars as pl
import pytest

from xray_mining.catalog.link import link
from xray_mining.catalog.query import sql
from xray_mining.errors import CheckFailed, UserError
from xray_mining.ingest.identity import accession_key_of, public_domain
from xray_mining.ingest.shards import accessions_frame, accessions_path, folder_of, issuers_frame, issuers_path
from xray_mining.records.images import Images
from xray_mining.workspace import write_frame

MAPPING = """name: outcomes
domain: here
patient_id: PatientID
findings:
- {name: severity, column: score, unit: points}
- {name: outcome_group, column: group, kind: label}
"""
TABLE = "PatientID,score,group\n007,3.5,A\n008,,B\n009,1,A\n009,2,A\n010,4,B\n010,4,B\n999,1,A\n,1,A\n"


@pytest.fixture
def linked(workspace, put, make, tmp_path):
    domain = public_domain("here")
    rows = [
        make.image(
            n, patient_key=domain.digest("patient", "", f"{n:03d}"), study_key=domain.digest("study", f"1.2.{n}")
        )
        for n in range(7, 12)
    ]
    put(Images, rows)

    def run(table: str = TABLE, mapping: str = MAPPING):
        (tmp_path / "table.csv").write_text(table)
        (tmp_path / "mapping.yaml").write_text(mapping)
        return link(workspace, tmp_path / "table.csv", tmp_path / "mapping.yaml")

    return run


def test_rows_are_matched_unmatched_or_ambiguous(linked, workspace):
    summary = linked()
    assert (summary.rows, summary.matched, summary.unmatched, summary.ambiguous) == (8, 4, 2, 2)
    found = sql(workspace, "select name, value, label from findings where source = 'outcomes' order by all")
    assert found.rows() == [
        ("outcome_group", None, "A"),
        ("outcome_group", None, "B"),
        ("outcome_group", None, "B"),
        ("severity", 3.5, None),
        ("severity", 4.0, None),
    ]


def test_no_id_stays_in_the_workspace(linked, workspace):
    linked()
    for path in workspace.root.rglob("*.parquet"):
        frame = pl.read_parquet(path)
        assert not any(
            "007" in str(value) for name in ("patient_id", "PatientID") if name in frame for value in frame[name]
        )
        assert "PatientID" not in frame.columns


def test_linking_again_replaces_the_source(linked, workspace):
    linked()
    linked("PatientID,score,group\n007,9,A\n")
    found = sql(workspace, "select value from findings where name = 'severity'")
    assert found["value"].to_list() == [9.0]


@pytest.mark.parametrize(
    "table",
    ["PatientID,score,group\n7777,9,A\n", "PatientID,score,group\n", "PatientID,score,group\n007,1,A\n007,2,A\n"],
)
def test_linking_to_nobody_fails_and_keeps_what_was_there(linked, workspace, table):
    with pytest.raises(CheckFailed, match="is matched: "):
        linked(table)
    assert not workspace.parts("_links", "findings").exists()
    before = linked().findings
    with pytest.raises(CheckFailed, match="findings that 'outcomes' gave before are kept"):
        linked(table)
    assert sql(workspace, "select count(*) as n from findings")["n"][0] == before


def test_whole_numbers_that_a_table_holds_as_floats_are_ids(workspace, put, make, tmp_path):
    put(Images, [make.image(n, patient_key=public_domain("here").digest("patient", "", str(n))) for n in range(7, 12)])
    ids = pl.DataFrame({"PatientID": [7.0, 8.0, None, float("nan"), 8.5], "score": [1.0, 2.0, 3.0, 4.0, 5.0]})
    ids.write_parquet(tmp_path / "table.parquet")
    (tmp_path / "mapping.yaml").write_text(MAPPING.replace("- {name: outcome_group, column: group, kind: label}\n", ""))
    summary = link(workspace, tmp_path / "table.parquet", tmp_path / "mapping.yaml")
    assert (summary.matched, summary.unmatched) == (2, 3)


def test_a_study_is_found_by_its_uid(linked, workspace):
    summary = linked("uid,score,group\n1.2.8,5,A\n", MAPPING.replace("patient_id: PatientID", "study_uid: uid"))
    assert summary.matched == 1
    found = sql(
        workspace,
        "select images.patient_key = findings.patient_key as same from findings join images using (study_key)",
    )
    assert found["same"].to_list() == [True, True]


def test_a_study_is_found_by_its_accession_number(linked, workspace):
    by_accession = MAPPING.replace("patient_id: PatientID", "accession: accession")
    with pytest.raises(UserError, match="has no accession numbers"):
        linked("accession,score,group\nA8,5,A\n", by_accession)
    domain = public_domain("here")
    studies = {"A8": ["1.2.8"], "A9": ["1.2.9", "1.2.10"], "A11": ["1.2.11"]}
    pairs = {
        (str(accession_key_of(domain, accession)), domain.digest("study", study))
        for accession, its in studies.items()
        for study in its
    }
    archive = next(name for name, each in workspace.settings.archives.items() if each.domain == "here")
    write_frame(accessions_frame(pairs), accessions_path(workspace, archive, 0))
    summary = linked("accession,score,group\n A8 ,5,A\nA9,1,A\nA77,1,B\n,2,B\nA11,2,A\nA11,3,A\n", by_accession)
    assert (summary.rows, summary.matched, summary.unmatched, summary.ambiguous) == (6, 1, 2, 3)
    found = sql(workspace, "select study_key::varchar as k, value from findings where name = 'severity'")
    assert found.rows() == [(domain.digest("study", "1.2.8"), 5.0)]


@pytest.mark.parametrize(
    ("table", "mapping", "words"),
    [
        (TABLE, MAPPING.replace("column: score", "column: scor"), "did you mean 'score'"),
        (TABLE, MAPPING.replace("domain: here", "domain: hare"), "did you mean 'here'"),
        (TABLE, MAPPING.replace("unit: points", "units: points"), "did you mean 'unit'"),
        (TABLE, MAPPING.replace("patient_id: PatientID\n", ""), "either 'patient_id' or 'study_uid'"),
        (
            "PatientID,score,group\n007,high,A\n008,low,B\n",
            MAPPING,
            "'score' holds 2 values and none of them is a number",
        ),
        ("", MAPPING, "the table is empty"),
        ("Q1,3.5,A\nQ2,1,B\n", MAPPING, "none of its 3 columns has a needed name"),
        (TABLE, MAPPING.replace("domain: here", "domain: here\ndomain: here"), "the key 'domain' is given twice"),
        (TABLE, MAPPING.replace("name: outcome_group", "name: severity"), "'severity' names two findings"),
        (TABLE, MAPPING.replace("unit: points", "values: {Yes: 1, yes: 0}"), "'yes' has two numbers"),
        (TABLE, MAPPING.replace("unit: points", "values: {yes: .nan}"), "a finite number"),
        (TABLE, MAPPING.replace("name: severity", "name: key"), "'key' is reserved for a key"),
        (TABLE, MAPPING.replace("name: severity", "name: patient_key"), "'patient_key' is reserved for a key"),
    ],
)
def test_what_is_wrong_is_said(linked, workspace, table, mapping, words):
    with pytest.raises(UserError, match=words) as refused:
        linked(table, mapping)
    assert "\n" not in str(refused.value)
    assert not workspace.parts("_links", "findings").exists()


def test_stated_cells_that_are_no_numbers_are_counted(linked, workspace):
    summary = linked(TABLE.replace("3.5", "<5").replace("010,4,B", "010,'4,B").replace("008,,B", "008,NA,None"))
    assert [(each.name, each.reason, each.cells) for each in summary.unread_cells] == [
        ("severity", "bound", 1),
        ("severity", "not_a_number", 2),
    ]
    assert "severity: 3 stated cells could not be read (bound 1, not a number 2)" in summary.lines()
    found = sql(workspace, "select archive, source, name, reason, cells from unread_cells order by reason")
    assert found.rows() == [
        ("outcomes", "link", "severity", "bound", 1),
        ("outcomes", "link", "severity", "not_a_number", 2),
    ]
    labels = sql(workspace, "select label from findings where name = 'outcome_group' order by label")["label"].to_list()
    assert labels == ["A", "B"]


def test_words_of_a_mapping_are_numbers_whatever_their_capitals(linked, workspace):
    mapping = MAPPING.replace("unit: points", "values: {yes: 1, no: 0}")
    linked("PatientID,score,group\n007,YES,A\n008,No,B\n009,2,B\n", mapping)
    found = sql(workspace, "select value from findings where name = 'severity' order by value")
    assert found["value"].to_list() == [0.0, 1.0, 2.0]


def test_who_finds_nobody_is_told_of_issuers_and_domains(linked, workspace):
    archive = next(name for name, each in workspace.settings.archives.items() if each.domain == "here")
    write_frame(issuers_frame({"", "HOSPITAL A"}), issuers_path(workspace, archive, 0))
    words = "under issuer 'B'.*issuers of its images are: none, 'HOSPITAL A'.*leading zeros"
    with pytest.raises(CheckFailed, match=words) as refused:
        linked(mapping=MAPPING.replace("patient_id: ", "patient_id_issuer: B\npatient_id: "))
    assert refused.value.exit_status == 1
    assert not any(number in str(refused.value) for number in ("007", "008", "999"))


FILES = ["x.png"] * 7 + ["images/a.png", "images/b.png", "more/b.jpeg", "pack.zip", "c.dcm"]
"""Of the archive's one shard: images 7 to 11 are a.png, two of stem b, a member of a package and c.dcm."""


@pytest.fixture
def by_file(linked, workspace):
    """Links `rows` of file, score, group by the column `file`."""
    listed = pl.DataFrame(
        {
            "path": [name.encode() for name in FILES],
            "member": ["deep/d.dcm" if name == "pack.zip" else "" for name in FILES],
            "bytes": [1] * len(FILES),
            "modified_ns": [1] * len(FILES),
        }
    )
    write_frame(listed, folder_of(workspace, "here") / "shards/00000.parquet")
    mapping = MAPPING.replace("patient_id: PatientID", "file: file")
    return lambda rows: linked("file,score,group\n" + rows, mapping)


@pytest.mark.parametrize(
    ("cell", "number"),
    [("images/a.png", 7), ("a.png", 7), ("a", 7), ("a.jpg", 7), ("b.png", 8), ("more/b", 9), ("d.dcm", 10), ("c", 11)],
)
def test_a_cell_names_an_image_by_its_file(by_file, workspace, make, cell, number):
    summary = by_file(f"{cell},3,A\n")
    assert (summary.matched, summary.unmatched, summary.ambiguous) == (1, 0, 0)
    found = sql(workspace, "select image_key::varchar as key, value from findings where name = 'severity'")
    assert found.rows() == [(make.key("image", number), 3.0)]


def test_files_that_are_not_there_or_not_one_are_counted(by_file):
    summary = by_file("a.png,3,A\nb,1,A\nnone.png,1,A\nother/a.png,1,A\n,2,B\n")
    assert (summary.rows, summary.matched, summary.unmatched, summary.ambiguous) == (5, 1, 3, 1)
    assert summary.placeholders == 0


def test_one_file_with_two_scores_is_ambiguous(by_file):
    summary = by_file("a.png,3,A\na.png,4,A\nc.dcm,1,B\n")
    assert (summary.matched, summary.unmatched, summary.ambiguous) == (1, 0, 2)


def test_no_list_of_files_is_one_sentence(linked):
    with pytest.raises(UserError, match="lists no files of its archives"):
        linked("file,score,group\na.png,3,A\n", MAPPING.replace("patient_id: PatientID", "file: file"))
