"""Tables of an archive: which file has which row, and what became of every stated cell."""

import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from xray_mining.archive import table as tables
from xray_mining.archive.adapter import adapter_for
from xray_mining.archive.sources.folder import FolderSource, file_at
from xray_mining.catalog.query import sql
from xray_mining.ingest import shards

MAPPING = """
table: t.csv
images: img
public: true
columns: {image: image, patient_id: pid, age: age, study_date: day, day_offset: offset, spacing_mm: px}
findings:
  score: {column: score, values: {yes: 1, no: 0}}
"""
HEAD = "image;pid;age;day;offset;px;score"


def write_picture(path: Path, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.random.default_rng(seed).integers(0, 255, (40 + seed, 32), dtype=np.uint8))


def write_table(folder: Path, *rows: str) -> None:
    (folder / "t.csv").write_text("\n".join((HEAD, *rows)) + "\n")


@pytest.fixture
def archive(tmp_path) -> Path:
    folder = tmp_path / "a"
    for number in range(4):
        write_picture(folder / f"img/{number}.png", number)
    (folder / "mapping.yaml").write_text(MAPPING)
    write_table(
        folder,
        "0.png;A;61;03.05.2015;-3;0,143;YES",
        "1.png;B;NA;unknown;20150503;0,2;no",
        "2.png;C;62,5;13.05.2015;NA;0;<5",
        "3.png;D;63;;4,5;0,2;3,5",
    )
    return folder


def unread(summary) -> dict[tuple[str, str], int]:
    return {(each.name, each.reason): each.cells for each in summary.unread_cells}


WANTED = {
    ("study_date", "not_a_date"): 1,
    ("day_offset", "out_of_range"): 1,
    ("spacing_mm", "out_of_range"): 1,
    ("score", "bound"): 1,
}


def test_a_spacing_is_one_of_the_picture_as_it_is_here_or_none(archive, tmp_path, run_ingest):
    mapping = MAPPING.replace("spacing_mm: px", "spacing_mm: px, image_columns: offset").replace(
        "day_offset: offset, ", ""
    )
    (archive / "mapping.yaml").write_text(mapping)
    rows = ["0.png;A;61;;64;0,143;1", "1.png;B;62;;1e12;0,143;1", "2.png;C;63;;wide;0,143;1", "3.png;D;64;;;0,143;1"]
    write_table(archive, *rows)
    workspace, summary = run_ingest(archive, tmp_path / "w")
    found = sql(workspace, "select pixel_spacing_mm from images order by age_years")["pixel_spacing_mm"].to_list()
    assert found == [pytest.approx(0.286), None, None, 0.143]
    assert unread(summary) == {("image_columns", "out_of_range"): 1, ("image_columns", "not_a_number"): 1}


def test_days_before_1900_are_days_of_images_and_of_what_is_found_on_them(archive, tmp_path, run_ingest):
    write_table(archive, "0.png;A;61;03.05.1899;;;1", "1.png;B;60;31.12.1850;;;2")
    workspace, _ = run_ingest(archive, tmp_path / "w", metadata_only=True)
    days = sql(workspace, "select study_day from images order by study_day")["study_day"].to_list()
    assert days == [-17898, -243]
    found = sql(workspace, "select study_day from findings order by study_day")["study_day"].to_list()
    assert found == days


@pytest.mark.parametrize("metadata_only", [False, True])
def test_each_stated_cell_becomes_a_value_or_is_counted(archive, tmp_path, run_ingest, metadata_only):
    workspace, summary = run_ingest(archive, tmp_path / "w", metadata_only=metadata_only)
    assert unread(summary) == WANTED
    assert "study_date: 1 stated cell could not be read (not a date 1)" in summary.lines()
    rows = sql(workspace, "select age_years, day_offset, pixel_spacing_mm, study_day from images order by age_years")
    assert rows["age_years"].to_list() == [61.0, 62.5, 63.0, None]
    assert rows["day_offset"].to_list() == [-3.0, None, 4.5, None]
    assert rows["study_day"].null_count() == 2
    scores = sql(workspace, "select value from findings where name = 'score' order by value")["value"].to_list()
    assert scores == [0.0, 1.0, 3.5]


def test_what_is_kept_of_a_file_keeps_its_unread_cells(archive, tmp_path, run_ingest):
    run_ingest(archive, tmp_path / "w")
    (archive / "img/2.png").unlink()
    # Another table has all shards done anew; of the file that is gone its old row stays.
    with (archive / "t.csv").open("a") as file:
        file.write("5.png;E;1;;;;\n")
    _, summary = run_ingest(archive, tmp_path / "w")
    assert unread(summary) == WANTED


def test_a_file_that_comes_later_takes_no_row_by_half_and_makes_none_doubtful_in_silence(archive, tmp_path, run_ingest):
    write_table(archive, "0;A;61;;;;", "1.png;B;62;;;;", "2.png;C;63;;;;", "3.png;D;64;;;;")
    workspace, summary = run_ingest(archive, tmp_path / "w")
    assert summary.kept == 4
    write_picture(archive / "img/0.jpg", 7)
    write_picture(archive / "img/later/1.png", 8)
    _, summary = run_ingest(archive, tmp_path / "w")
    # By its stem 0.png is no longer the only one; 1.png is named exactly, and stays.
    found = sql(workspace, "select reason, count(*) as n from rejects group by reason order by reason").rows()
    assert found == [("ambiguous_row", 2), ("not_in_table", 1)]
    assert sql(workspace, "select age_years from images order by 1")["age_years"].to_list() == [62.0, 63.0, 64.0]
    (archive / "img/0.jpg").unlink()
    _, summary = run_ingest(archive, tmp_path / "w")
    assert sql(workspace, "select age_years from images order by 1")["age_years"].to_list() == [61.0, 62.0, 63.0, 64.0]


def test_a_broken_row_is_a_reject_and_costs_no_other(archive, tmp_path, run_ingest):
    write_table(archive, "0.png;A;61;;;;1;2;3", "1.png;B;62;;;;1", "2.png;C", '3.png;"D;64;;;;1')
    workspace, summary = run_ingest(archive, tmp_path / "w")
    assert sql(workspace, "select reason, sentence from rejects")["reason"].to_list() == ["broken_row"] * 2
    assert summary.kept == 2
    assert any("2 rows with more cells than columns" in note for note in summary.notes)
    assert any("1 row with fewer cells than columns" in note for note in summary.notes)


def test_linked_folders_are_one_account_each(archive, tmp_path, run_ingest):
    (archive / "img/loop").symlink_to(archive)
    (tmp_path / "elsewhere").mkdir()
    (archive / "img/there.png").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    workspace, summary = run_ingest(archive, tmp_path / "w")
    assert (summary.seen, summary.kept) == (6, 4)
    assert sql(workspace, "select reason from rejects")["reason"].to_list() == ["linked_folder"] * 2


def test_files_that_the_table_names_are_images_whatever_their_ending(tmp_path, make_dicom, run_ingest):
    folder = tmp_path / "a"
    names = ["1.2.826.0.1", "1.2.826.0.1.87802", "film.of.monday", "IM1.DICOM"]
    for number, name in enumerate(names):
        make_dicom(folder / "img" / name, number=number)
    (folder / "img/notes.docx").write_text("x")
    (folder / "img/read.me").write_text("x")
    (folder / "mapping.yaml").write_text("table: t.csv\nimages: img\ncolumns: {image: image, patient_id: pid}\n")
    (folder / "t.csv").write_text("\n".join(["image,pid", *(f"{name},P{name}" for name in names)]) + "\n")
    _, summary = run_ingest(folder, tmp_path / "w")
    assert (summary.kept, summary.rejected, summary.ignored) == (4, 0, 2)


@pytest.mark.parametrize("metadata_only", [False, True])
def test_no_cell_of_mimics_tables_costs_an_image(tmp_path, run_ingest, metadata_only):
    folder = tmp_path / "m"
    dates = ["unknown", "", "21800506.0", "21800506", "2180-13-45"]
    lines = ["dicom_id,subject_id,study_id,ViewPosition,StudyDate"]
    for number, day in enumerate(dates):
        write_picture(folder / f"files/p1/p{number}/s{number}/d{number}.jpg", number)
        lines.append(f"d{number},{number},5{number},PA,{day}")
    (folder / "mimic-cxr-2.0.0-metadata.csv").write_text("\n".join(lines) + "\n")
    people = [f"{number},M,{'old' if number == 4 else 60},{2180 if number else 'x'}" for number in range(5)]
    (folder / "patients.csv").write_text("\n".join(["subject_id,gender,anchor_age,anchor_year", *people]) + "\n")
    (folder / "mimic-cxr-2.0.0-chexpert.csv").write_text("subject_id,study_id,Edema\n0,50,odd\n3,53,1.0\n")
    workspace, summary = run_ingest(folder, tmp_path / "w", metadata_only=metadata_only)
    rows = sql(workspace, "select patient_sex, age_years, study_day from images")
    assert rows["patient_sex"].to_list() == ["M"] * 5
    assert rows["age_years"].drop_nulls().to_list() == [60.0] * 2
    assert rows["study_day"].drop_nulls().n_unique() == 1
    assert unread(summary) == {
        ("study_date", "not_a_date"): 1,
        ("study_date", "impossible_date"): 1,
        ("anchor_year", "not_a_number"): 1,
        ("anchor_age", "not_a_number"): 1,
        ("edema", "not_a_number"): 1,
    }


def test_a_large_table_is_read_once_and_its_rows_are_looked_up(archive, tmp_path, run_ingest, monkeypatch):
    monkeypatch.setattr(tables, "_KEPT_FROM_ROWS", 4)
    workspace, summary = run_ingest(archive, tmp_path / "w")
    assert unread(summary) == WANTED
    kept = shards.tables_folder(workspace, summary.archive)
    assert {path.suffix for path in kept.iterdir()} == {".parquet", ".json", ".names"}
    # A worker needs the table no more.
    adapter = adapter_for(FolderSource(archive))
    adapter.kept = kept
    shutil.copystat(archive / "t.csv", archive / "mapping.yaml")
    files = [file for file in adapter.files() if not adapter.ignores(file)]
    monkeypatch.setattr(tables, "read_csv", None)
    adapter.prepare(files)
    ages = [next(adapter.read_header(file, b"")).header.age_text for file in files]
    assert ages == ["61", None, "62.5", "63"]
    with (archive / "t.csv").open("a") as file:
        file.write("5.png;E;1;;;;\n")
    monkeypatch.undo()
    run_ingest(archive, tmp_path / "w")
    assert not any(kept.iterdir()), "what was kept of an older table is gone"


def test_rows_are_found_in_a_spreadsheet_in_another_encoding_or_as_parquet(archive, tmp_path, run_ingest):
    import polars as pl

    frame = tables.read_table(*file_at(archive / "t.csv")).frame
    frame.write_parquet(archive / "t.parquet")
    frame.write_excel(archive / "t.xlsx")
    for name in ("t.parquet", "t.xlsx"):
        (archive / "mapping.yaml").write_text(MAPPING.replace("t.csv", name))
        _, summary = run_ingest(archive, tmp_path / name)
        assert unread(summary) == WANTED and summary.kept == 4, name
    assert isinstance(frame, pl.DataFrame)
