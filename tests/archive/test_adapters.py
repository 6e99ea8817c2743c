"""Every adapter: found by its folder's layout, reads its set's own tables with their oddities."""

import gzip
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from xray_mining.archive import table
from xray_mining.archive.adapter import adapter_for, adapters
from xray_mining.archive.listing import Reader, walk
from xray_mining.archive.radiograph import Unusable
from xray_mining.archive.sources.folder import FolderSource, file_at
from xray_mining.archive.table import read_table
from xray_mining.errors import UserError

CHEXPERT = """Path,Sex,Age,Frontal/Lateral,AP/PA,No Finding,Enlarged Cardiomediastinum,Cardiomegaly,Pleural Effusion
CheXpert-v1.0-small/train/patient00001/study1/view1_frontal.jpg,Female,68,Frontal,AP,1.0,,,0.0
CheXpert-v1.0-small/train/patient00002/study2/view1_frontal.jpg,Female,87,Frontal,AP,,-1.0,1.0,
CheXpert-v1.0-small/train/patient00002/study1/view2_lateral.jpg,Male,83,Lateral,,,,-1.0,1.0
CheXpert-v1.0-small/train/patient00003/study1/view1_frontal.jpg,Unknown,0,Frontal,PA,,,,
"""
MIMIC_METADATA = (
    "dicom_id,subject_id,study_id,PerformedProcedureStepDescription,ViewPosition,Rows,Columns,StudyDate,StudyTime,"
    "ProcedureCodeSequence_CodeMeaning,ViewCodeSequence_CodeMeaning,PatientOrientationCodeSequence_CodeMeaning\n"
    "02aa804e-bde0afdd-112c0b34-7bc16630-4e384014,10000032,50414267,CHEST (PA AND LAT),PA,3056,2544,21800506,"
    "213014.531,CHEST (PA AND LAT),postero-anterior,Erect\n"
    "174413ec-4ec4c1f7-34ea26b7-c5f994f8-79ef1962,10000032,50414267,CHEST (PA AND LAT),LATERAL,3056,2544,21800506,"
    "213014.531,CHEST (PA AND LAT),lateral,Erect\n"
    "2a2277a9-b0a1d155-c0a1e8b9-c124d10e-82c5caab,10000032,53189527,CHEST (PORTABLE AP),,3056,2544,21800626,"
    "165500.312,CHEST (PORTABLE AP),,\n"
)
MIMIC_LABELS = "subject_id,study_id,Atelectasis,Cardiomegaly,No Finding\n10000032,50414267,,-1.0,1.0\n"
PADCHEST = (
    ",ImageID,ImageDir,StudyDate_DICOM,StudyID,PatientID,PatientBirth,PatientSex_DICOM,ViewPosition_DICOM,Projection,"
    "MethodProjection,Pediatric,Modality_DICOM,Manufacturer_DICOM,PhotometricInterpretation_DICOM,MethodLabel,Labels\n"
    "0,20536686640136348236148679891455886468_k6ga29.png,0,20140915,20536686640136348236148679891455886468,"
    "839860488694292331637988235681460987,1930.0,F,POSTEROANTERIOR,PA,Manual review of DICOM fields,No,CR,Imaging"
    "DynamicsCompanyLtd,MONOCHROME2,Physician,\"['pulmonary fibrosis', 'chronic changes', 'chronic changes']\"\n"
    "1,135803415504923515076821959678074435083_fzis7d.png,0,20150914,135803415504923515076821959678074435083,"
    '313572750430997347502932654319389875966,1929.0,M,ANTEROPOSTERIOR,AP_horizontal,x,No,DX,GE,MONOCHROME1,RNN_model,"[]"\n'
    "2,odd_lateral.png,0,,99,,,,LATERAL,L,x,No,DX,GE,MONOCHROME2,RNN_model,nan\n"
)


def picture(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 48), dtype=np.uint8)).save(path)


@pytest.fixture
def chexpert(tmp_path) -> Path:
    (tmp_path / "train.csv").write_text(CHEXPERT)
    picture(tmp_path / "train/patient00002/study2/view1_frontal.jpg")
    return tmp_path


@pytest.fixture
def mimic(tmp_path) -> Path:
    (tmp_path / "mimic-cxr-2.0.0-metadata.csv").write_text(MIMIC_METADATA)
    (tmp_path / "mimic-cxr-2.0.0-chexpert.csv").write_text(MIMIC_LABELS)
    (tmp_path / "patients.csv").write_text(
        "subject_id,gender,anchor_age,anchor_year,anchor_year_group,dod\n10000032,F,52,2180,2014 - 2016,2180-09-09\n"
    )
    picture(tmp_path / "files/p10/p10000032/s50414267/02aa804e-bde0afdd-112c0b34-7bc16630-4e384014.jpg")
    return tmp_path


@pytest.fixture
def padchest(tmp_path) -> Path:
    (tmp_path / "PADCHEST_chest_x_ray_images_labels_160K_01.02.19.csv").write_text(PADCHEST)
    picture(tmp_path / "0/135803415504923515076821959678074435083_fzis7d.png")
    return tmp_path


@pytest.fixture
def nih(tmp_path, shared) -> Path:
    for name in ("Data_Entry_2017_v2020.csv.gz", "BBox_List_2017.csv.gz"):
        shutil.copy(shared / "data/metadata-tables" / name, tmp_path)
    target = tmp_path / "images_001/images"
    target.mkdir(parents=True)
    shutil.copy(shared / "data/nih-cxr14-512/images/00000001_000.png", target)
    return tmp_path


SETS = {"nih": "nih", "chexpert": "chexpert", "mimic_cxr_jpg": "mimic", "padchest": "padchest"}


@pytest.mark.parametrize(("name", "fixture"), SETS.items())
def test_an_adapter_is_found_by_its_folder_and_reads_what_it_lists(name, fixture, request):
    adapter = adapter_for(FolderSource(request.getfixturevalue(fixture)))
    assert adapter.name == name
    assert adapter.public
    adapter.check()
    files = [file for file in adapter.files() if not adapter.ignores(file)]
    assert len(files) == 1
    read = list(adapter.read(files[0], Reader(adapter.source).read(files[0])))
    by_table = {each.header.instance_id: each.header for each in adapter.rows()}
    assert len(by_table) == adapter.table_files()
    header = read[0].header
    # Pictures that come after the tables keep their keys.
    assert header.instance_id in by_table
    assert header.patient_id == by_table[header.instance_id].patient_id
    assert read[0].encoded is not None
    assert header.known_chest
    # What the rows are made from is told, so that a corrected table is read anew.
    tables = [file.path for file in adapter.files() if file.path.endswith((b".csv", b".csv.gz"))]
    assert {Path(path).name for path in adapter.tables()} == {Path(os.fsdecode(each)).name for each in tables}


@pytest.mark.parametrize("name", adapters())
def test_every_adapter_reads_its_own_example(name, tmp_path):
    """A new adapter is tested by being there: it brings a tiny archive of its kind (`example`)."""
    mapping = adapters()[name].example(tmp_path)
    adapter = adapter_for(FolderSource(tmp_path), None, mapping)
    assert adapter.name == name, "another adapter takes the folder before it"
    assert not adapter.public or adapter.domain, "a public set has an id space of its own"
    adapter.check()
    files = list(adapter.files())
    assert adapter.ignored() == sum(map(adapter.ignores, files))
    reader = Reader(FolderSource(tmp_path))
    read = [each for file in files if not adapter.ignores(file) for each in adapter.read(file, reader.read(file))]
    assert read and all(each.encoded is not None and each.header.patient_id for each in read)
    assert all(adapter.source.has_file(os.fsencode(path)) for path in adapter.tables())
    assert all(adapter.table_digests()), "a change of what rows are made from must be seen"
    rows = adapter.rows()
    if rows is not None:
        named = [each.header for each in rows]
        assert len(named) == adapter.table_files() and adapter.repeated_rows() == 0
        assert {each.header.patient_id for each in read} <= {each.patient_id for each in named}


@pytest.mark.parametrize("name", SETS)
def test_of_rows_that_name_one_image_the_first_is_taken_and_the_others_are_counted(name, request):
    folder = request.getfixturevalue(SETS[name])
    assert adapter_for(FolderSource(folder), name).repeated_rows() == 0
    path = folder / adapter_for(FolderSource(folder), name).tables()[0]
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "rt", encoding="utf-8") as file:
        header, *rows = file.read().splitlines()
    with opened(path, "wt", encoding="utf-8") as file:
        file.write("\n".join([header, *rows, *reversed(rows)]) + "\n")
    adapter = adapter_for(FolderSource(folder), name)
    assert adapter.repeated_rows() == len(rows)
    places = adapter._named._places._rows  # ty: ignore[unresolved-attribute]
    assert max(places) < adapter.table_files() - len(rows)


@pytest.mark.parametrize("name", SETS)
def test_a_worker_reads_its_rows_from_kept_tables_and_never_a_whole_one(name, request, tmp_path, monkeypatch):
    if name == "nih":
        # Its real table takes long to read.
        folder = tmp_path / "archive"
        adapters()[name].example(folder)
    else:
        folder = request.getfixturevalue(SETS[name])
    monkeypatch.setattr(table, "_KEPT_FROM_ROWS", 1)
    first = adapter_for(FolderSource(folder), name)
    [file] = (file for file in first.files() if not first.ignores(file))
    data = Reader(FolderSource(folder)).read(file)
    in_memory = [each.header for each in first.read(file, data)]
    kept = tmp_path / "kept of the archive"
    first.keep_tables(kept)
    assert len(list(kept.glob("*.parquet"))) == len(first.tables())

    def whole(self):
        raise AssertionError("a worker holds a table as a whole")

    monkeypatch.setattr(table, "read_csv", whole)
    worker = adapter_for(FolderSource(folder), name)
    worker.kept = kept
    monkeypatch.setattr(table.Table, "frame", property(whole))
    assert [each.header for each in worker.read(file, data)] == in_memory
    worker.prepare([file])
    assert [each.header for each in worker.read(file, data)] == in_memory
    # What was prepared is the shard's alone.
    worker.prepare([])
    assert not worker._named._found  # ty: ignore[unresolved-attribute]


def test_every_adapter_but_the_general_ones_is_tested_here():
    assert set(adapters()) - set(SETS) == {"dicom_folder", "generic", "phantom"}


def findings(header) -> dict[str, float | str | None]:
    return {each.name: each.value if each.label is None else each.label for each in header.findings}


def test_chexpert_keeps_uncertainty_and_takes_zero_for_unknown(chexpert):
    rows = [each.header for each in adapter_for(FolderSource(chexpert)).rows()]
    assert findings(rows[1]) == {"enlarged_cardiomediastinum": -1.0, "cardiomegaly": 1.0}
    assert findings(rows[0]) == {"no_finding": 1.0, "pleural_effusion": 0.0}
    assert rows[2].view == "LATERAL"
    assert (rows[3].age_text, rows[3].sex, rows[3].view) == (None, None, "PA")
    assert rows[1].patient_id == rows[2].patient_id
    assert rows[1].study_id != rows[2].study_id


def test_mimic_takes_ages_from_the_patients_table_and_views_from_texts(mimic):
    rows = [each.header for each in adapter_for(FolderSource(mimic)).rows()]
    assert (rows[0].age_text, rows[0].sex, rows[0].view) == ("52", "F", "PA")
    assert findings(rows[0]) == {"cardiomegaly": -1.0, "no_finding": 1.0}
    assert rows[2].view is None
    assert "CHEST (PORTABLE AP)" in rows[2].view_texts


def test_padchest_reads_lists_years_and_projections(padchest):
    rows = [each.header for each in adapter_for(FolderSource(padchest)).rows()]
    assert findings(rows[0]) == {"pulmonary_fibrosis": 1.0, "chronic_changes": 1.0}
    assert float(rows[0].age_text) == pytest.approx(84.2, abs=0.1)
    assert [each.view for each in rows] == ["PA", "AP", "LATERAL"]
    assert rows[2].age_text is None


def test_nih_reads_a_header_that_cannot_be_split_and_ragged_boxes(nih):
    adapter = adapter_for(FolderSource(nih))
    rows = [each.header for each in adapter.rows()]
    assert len(rows) == 112_120
    assert {each.sex for each in rows} == {"F", "M"}
    assert sum(len(each.boxes) for each in rows) == 984
    assert findings(rows[0])["cardiomegaly"] == 1.0
    assert len(findings(rows[0])) == 16


def test_the_older_nih_table_has_units_in_its_ages(tmp_path, shared):
    shutil.copy(shared / "data/metadata-tables/sample_labels.csv.gz", tmp_path)
    ages = [each.header.age_text for each in adapter_for(FolderSource(tmp_path)).rows()]
    assert "411Y" in ages
    assert "013M" in ages
    assert len(ages) == 5606


def test_a_table_may_be_split_by_semicolons_and_have_a_mark_and_ragged_rows(tmp_path):
    path = tmp_path / "t.csv"
    path.write_bytes("\ufeffa;b;b\n1;2\n3;4;5;6\n;;\n".encode())
    assert read_table(*file_at(path)).frame.rows() == [("1", "2", None), ("3", "4", "5"), (None, None, None)]
    path.write_text("")
    with pytest.raises(UserError, match="is empty"):
        read_table(*file_at(path))


def test_names_that_are_no_text_are_listed_and_read(tmp_path):
    name = b"\xff\xfe odd \xe9"
    (tmp_path / "a").mkdir()
    target = bytes(tmp_path / "a") + b"/" + name
    with Path(target.decode("utf-8", "surrogateescape")).open("wb") as file:
        file.write(b"x")
    (found,) = walk(FolderSource(tmp_path))
    assert found.path == b"a/" + name
    assert Reader(FolderSource(tmp_path)).read(found) == b"x"


def test_a_file_that_went_away_says_so(tmp_path):
    (tmp_path / "a").write_bytes(b"x")
    (found,) = walk(FolderSource(tmp_path))
    (tmp_path / "a").unlink()
    with pytest.raises(Unusable, match="no longer exists"):
        Reader(FolderSource(tmp_path)).read(found)
