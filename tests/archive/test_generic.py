"""Pictures with a table: which row an image gets, and what a header may not overrule."""

from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.data import get_testdata_file

from xray_mining.archive.generic import Generic
from xray_mining.archive.listing import walk
from xray_mining.archive.sources.folder import FolderSource

MAPPING = "table: t.csv\ncolumns: {image: image, patient_id: patient, age: age}\n"


def read(folder: Path):
    """{path below the folder: the first radiograph's header} of an archive."""
    adapter = Generic(FolderSource(folder), folder / "mapping.yaml")
    found = {}
    for file in walk(FolderSource(folder)):
        path = Path(file.path.decode())
        if path.suffix in (".png", ".dcm"):
            found[str(path)] = next(iter(adapter.read(file, (folder / path).read_bytes()))).header
    return found


@pytest.mark.parametrize("rows", [("sub/a.png,P1,30", "a.png,P2,70"), ("a.png,P2,70", "sub/a.png,P1,30")])
def test_a_path_that_the_table_states_goes_before_a_name_that_is_like_it(tmp_path, rows):
    import cv2

    (tmp_path / "sub").mkdir()
    for path in ("a.png", "sub/a.png"):
        cv2.imwrite(str(tmp_path / path), np.full((8, 8), 90, np.uint8))
    (tmp_path / "mapping.yaml").write_text(MAPPING)
    (tmp_path / "t.csv").write_text("\n".join(["image,patient,age", *rows]) + "\n")
    headers = read(tmp_path)
    assert {path: (each.patient_id, each.age_text) for path, each in headers.items()} == {
        "a.png": ("P2", "70"),
        "sub/a.png": ("P1", "30"),
    }


def test_a_table_stands_in_the_place_of_a_headers_dates_and_issuer(tmp_path):
    dataset = pydicom.dcmread(get_testdata_file("CT_small.dcm"))
    dataset.PatientBirthDate, dataset.StudyDate, dataset.IssuerOfPatientID = "19300101", "20200101", "A"
    dataset.save_as(tmp_path / "x.dcm")
    (tmp_path / "mapping.yaml").write_text(
        MAPPING + "boxes:\n  - {table: b.csv, image: image, name: what, x: x, y: y, width: w, height: h}\n"
    )
    (tmp_path / "t.csv").write_text("image,patient,age\nx.dcm,P1,45\n")
    (tmp_path / "b.csv").write_text("image,what,x,y,w,h\nx.dcm,Nodule,1,2,3,4\n")
    header = read(tmp_path)["x.dcm"]
    assert (header.age_text, header.birth_date, header.age_stands_in) == ("45", None, "table")
    assert (header.patient_id, header.patient_id_issuer, header.study_date) == ("P1", None, "20200101")
    assert [(each.name, each.width) for each in header.boxes] == [("nodule", 3.0)]
