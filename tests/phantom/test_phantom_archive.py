"""The archive on disk: same seed same bytes, valid DICOM, whole or not there, truth beside it."""

import hashlib
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import polars as pl
import pydicom
import pytest

from xray_mining.archive.dicom_file import read_dicom
from xray_mining.errors import UserError
from xray_mining.ingest.decode import decode
from xray_mining.phantom.plant import plants
from xray_mining.phantom.population import BLOCK, Parameters, write_archive

PARAMETERS = Parameters(patients=BLOCK + 4, seed=3, size=128, plant=("nodules", "group", "repeats", "duplicates"))


def digests(archive: Path) -> dict[str, str]:
    return {
        str(path.relative_to(archive)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(archive.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("phantom") / "archive"
    write_archive(target, PARAMETERS, jobs=1)
    return target


def test_same_seed_gives_the_same_bytes_however_many_processes(archive, tmp_path):
    write_archive(tmp_path / "again", PARAMETERS, jobs=2)
    assert digests(tmp_path / "again") == digests(archive)


def test_a_patient_does_not_depend_on_how_many_there_are(archive, tmp_path):
    few = Parameters(3, PARAMETERS.seed, PARAMETERS.size, PARAMETERS.plant)
    write_archive(tmp_path / "few", few, jobs=1)
    whole = digests(archive)
    for name, digest in digests(tmp_path / "few").items():
        if name.startswith(("dicom", "masks")):
            assert whole[name] == digest, name


def test_another_seed_gives_other_people(archive, tmp_path):
    write_archive(tmp_path / "other", Parameters(1, PARAMETERS.seed + 1, 128), jobs=1)
    ours = pydicom.dcmread(next((archive / "dicom").rglob("1.dcm"))).SOPInstanceUID
    theirs = pydicom.dcmread(next((tmp_path / "other" / "dicom").rglob("1.dcm"))).SOPInstanceUID
    assert ours != theirs


def test_layout_and_truth_agree_with_the_files(archive):
    stated = json.loads((archive / "phantom.json").read_text())
    assert stated == {**PARAMETERS.stated(), "plant": ["repeats", "nodules", "group", "duplicates"]}
    truth, files = pl.read_parquet(archive / "truth.parquet"), pl.read_parquet(archive / "files.parquet")
    described = json.loads((archive / "truth_columns.json").read_text())
    assert sorted(described) == sorted(truth.columns[2:])
    assert {each["kind"] for each in described.values()} == {"anatomy", "acquisition", "planted"}
    assert truth["sop_instance_uid"].n_unique() == truth.height
    assert sorted(files["file"]) == sorted(str(path.relative_to(archive)) for path in archive.rglob("*.dcm"))
    assert files.height == truth.height + truth["duplicate_copies"].sum()
    masks = {path.stem for path in (archive / "masks").iterdir()}
    assert masks == set(truth["sop_instance_uid"])
    assert set(truth["null_group"]) == {"A", "B"} and set(truth["disease_group"]) == {"healthy", "diseased"}


def test_headers_say_who_and_when(archive):
    truth = pl.read_parquet(archive / "truth.parquet")
    files = pl.read_parquet(archive / "files.parquet").filter(pl.col("duplicate_kind") == "")
    photometric, bits, dates = set(), set(), {}
    for row in files.iter_rows(named=True):
        header = pydicom.dcmread(archive / row["file"], stop_before_pixels=True)
        assert header.PatientID == row["patient_id"] and header.SOPInstanceUID == row["sop_instance_uid"]
        born, seen = (pydicom.valuerep.DA(each) for each in (header.PatientBirthDate, header.StudyDate))
        assert 20 <= (seen - born).days / 365.25 < 97
        assert header.PatientSex in "FM" and header.ViewPosition in ("PA", "AP") and header.ImagerPixelSpacing[0] > 0.5
        dates.setdefault(row["patient_id"], []).append(seen)
        photometric.add(header.PhotometricInterpretation)
        bits.add(header.BitsStored)
    assert photometric == {"MONOCHROME1", "MONOCHROME2"} and 12 in bits
    assert files["transfer_syntax_uid"].n_unique() == 6
    gaps = [(b - a).days for each in dates.values() for a, b in zip(sorted(each), sorted(each)[1:], strict=False)]
    assert gaps and min(gaps) >= 365 and max(gaps) < 3 * 365
    assert truth["visit_number"].max() > 1


def test_duplicates_are_what_the_truth_says(archive):
    again = pl.read_parquet(archive / "files.parquet").filter(pl.col("duplicate_kind") != "")
    assert again.height > 0
    for row in again.iter_rows(named=True):
        copy, first = archive / row["file"], archive / row["duplicate_of"]
        assert (copy.read_bytes() == first.read_bytes()) == (row["duplicate_kind"] == "copy")
        one, two = pydicom.dcmread(copy), pydicom.dcmread(first)
        assert one.SOPInstanceUID == two.SOPInstanceUID
        assert np.array_equal(one.pixel_array, two.pixel_array)


def test_dcmtk_reads_every_syntax_to_the_same_pixels(archive, dcmtk, tmp_path):
    files = pl.read_parquet(archive / "files.parquet")
    for row in files.unique("transfer_syntax_uid", keep="first", maintain_order=True).iter_rows(named=True):
        path, plain = archive / row["file"], tmp_path / "plain.dcm"
        dump = subprocess.run([dcmtk, str(path)], capture_output=True, text=True, check=True)
        assert "error" not in dump.stderr.lower() and "W:" not in dump.stderr
        kind = row["transfer_syntax_uid"].removeprefix("1.2.840.10008.1.2")
        tool = {".5": "dcmdrle", ".4.70": "dcmdjpeg", ".4.80": "dcmdjpls", ".4.90": None}.get(kind, "dcmconv")
        if tool is None:
            continue  # this dcmtk has no JPEG 2000; pydicom's decoders are asked below
        said = subprocess.run([tool, str(path), str(plain)], capture_output=True, text=True, check=True)
        assert said.stderr.strip() == ""
        (frame,) = read_dicom(path.read_bytes())
        assert np.array_equal(pydicom.dcmread(plain).pixel_array, decode(frame.encoded, 1, whole=True).values), kind


def test_masks_measure_what_the_truth_says(archive):
    import cv2

    truth = pl.read_parquet(archive / "truth.parquet")
    files = pl.read_parquet(archive / "files.parquet").filter(pl.col("duplicate_kind") == "")
    for row in (
        truth.join(files.select("sop_instance_uid", "file"), on="sop_instance_uid").head(12).iter_rows(named=True)
    ):
        header = pydicom.dcmread(archive / row["file"], stop_before_pixels=True)
        mask = cv2.imread(str(archive / "masks" / f"{row['sop_instance_uid']}.png"), cv2.IMREAD_UNCHANGED)
        assert mask.shape == (header.Rows, header.Columns) and set(np.unique(mask)) == {0, 1, 2, 4}
        area = float(header.ImagerPixelSpacing[0]) ** 2 / 100
        for bit, column in ((1, "right_lung_area_cm2"), (2, "left_lung_area_cm2"), (4, "heart_area_cm2")):
            assert (mask == bit).sum() * area == pytest.approx(row[column], rel=1e-3)
        assert 60 < row["right_lung_area_cm2"] < 420
        columns = [np.flatnonzero((mask == bit).any(axis=0)).mean() for bit in (1, 4, 2)]
        assert columns == sorted(columns)  # the patient's right is on the left of the picture


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"plant": ("nodule",)}, "did you mean 'nodules'"),
        ({"patients": 0}, "--patients"),
        ({"size": 16}, "--size"),
        ({"seed": -1}, "--seed"),
    ],
)
def test_impossible_options_are_named(tmp_path, change, sentence):
    with pytest.raises(UserError, match=sentence):
        write_archive(tmp_path / "x", Parameters(**{"patients": 1, "seed": 1, "size": 64, **change}), jobs=1)
    assert not (tmp_path / "x").exists()


def test_a_finished_archive_is_left_alone(archive):
    before = digests(archive)
    summary = write_archive(archive, PARAMETERS, if_absent=True)
    assert not summary.written and summary.patients == PARAMETERS.patients
    with pytest.raises(UserError, match="--if-absent"):
        write_archive(archive, PARAMETERS)
    with pytest.raises(UserError, match="other seed"):
        write_archive(archive, Parameters(PARAMETERS.patients, 99, 128, PARAMETERS.plant), if_absent=True)
    assert digests(archive) == before


def test_a_folder_with_something_else_is_refused(tmp_path):
    (tmp_path / "mine.txt").write_text("keep")
    with pytest.raises(UserError, match="holds other files"):
        write_archive(tmp_path, Parameters(1, 1, 64), jobs=1)
    with pytest.raises(UserError, match="is a file"):
        write_archive(tmp_path / "mine.txt", Parameters(1, 1, 64), jobs=1)


def test_killed_and_started_again_gives_the_same_archive(archive, tmp_path):
    target = tmp_path / "killed"
    words = f"{target!s}", PARAMETERS
    code = (
        "import sys; from pathlib import Path; from xray_mining.phantom.population import *\n"
        f"write_archive(Path({words[0]!r}), {PARAMETERS!r}, jobs=1)"
    )
    child = subprocess.Popen([sys.executable, "-c", code])
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and len(list(target.rglob("*.dcm"))) < 5 and child.poll() is None:
        time.sleep(0.005)
    child.send_signal(signal.SIGKILL)
    child.wait()
    assert not (target / "phantom.json").exists()
    with pytest.raises(UserError, match="unfinished"):
        write_archive(target, Parameters(2, 5, 128), jobs=1)
    write_archive(target, PARAMETERS, jobs=1, if_absent=True)
    assert digests(target) == digests(archive)
    assert not [each for each in target.iterdir() if each.name.startswith(".")]


@pytest.mark.parametrize("name", sorted(plants()))
def test_every_plant_fills_its_columns(name, tmp_path):
    write_archive(tmp_path / name, Parameters(60 if name == "leak" else 24, 11, 64, (name,)), jobs=1)
    truth = pl.read_parquet(tmp_path / name / "truth.parquet")
    for column in plants()[name].columns:
        assert column in truth.columns
    first = next(iter(plants()[name].columns))
    assert truth[first].drop_nulls().len() > 0, name
