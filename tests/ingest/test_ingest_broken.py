"""Broken files, killed runs and wrong use: rows and sentences, never a traceback."""

import gzip
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tarfile
import time
import zipfile

import cv2
import numpy as np
import pytest
from ingest_pieces import SMALL, archive, damaged, reasons, state_of  # noqa: F401  fixtures

from xray_mining.archive.sources.folder import FolderSource
from xray_mining.catalog.query import select, sql
from xray_mining.errors import UserError
from xray_mining.ingest.ingest import IngestRequest, ingest
from xray_mining.ingest.options import GreyOptions, IngestOptions
from xray_mining.ingest.summary import locate, rejected_paths
from xray_mining.workspace import Workspace


def test_broken_files_are_rows_and_the_run_goes_on(tmp_path, make_dicom, run_ingest, shared):
    folder = tmp_path / "a"
    whole = make_dicom(folder / "whole.dcm", number=1).read_bytes()
    (folder / "empty").write_bytes(b"")
    (folder / "cut.dcm").write_bytes(whole[:-1000])
    (folder / "words.dcm").write_text("no radiograph")
    (folder / "noise.dcm").write_bytes(os.urandom(1000))
    make_dicom(folder / "hand.dcm", number=2, BodyPartExamined="HAND")
    make_dicom(folder / "ct.dcm", number=3, Modality="CT")
    make_dicom(folder / "bomb.dcm", number=4, Rows=60000, Columns=60000)
    make_dicom(folder / "bits.dcm", number=5, BitsAllocated=32)
    os.mkfifo(folder / "pipe")
    with socket.socket(socket.AF_UNIX) as each:
        each.bind(os.path.relpath(folder / "socket"))
    (folder / "loop").symlink_to(folder)
    (folder / "dangling").symlink_to(folder / "nowhere")
    with zipfile.ZipFile(folder / "good.zip", "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("inner/one.dcm", make_dicom(tmp_path / "one", number=6).read_bytes())
        packed.writestr("bomb.dcm", bytes(300 * 2**20))
    with tarfile.open(folder / "good.tar.gz", "w:gz") as packed:
        packed.add(make_dicom(tmp_path / "two", number=7), "two.dcm")
        packed.add(make_dicom(tmp_path / "three", number=8), "three.dcm")
    (folder / "broken.zip").write_bytes(b"PK\x03\x04" + bytes(100))
    (folder / "gzip.dcm.gz").write_bytes(gzip.compress(make_dicom(tmp_path / "four", number=9).read_bytes()))
    workspace, summary = run_ingest(folder, tmp_path / "w")
    assert summary.kept == 5
    assert reasons(summary) == {
        "empty_file": 1,
        "truncated_pixels": 1,
        "not_dicom": 2,
        "not_chest": 1,
        "not_radiograph": 1,
        "too_large": 2,
        "unsupported_bits": 1,
        "not_a_file": 3,
        "linked_folder": 1,
        "broken_package": 1,
    }
    rejected = select(workspace, "reports/rejected_files", archive=summary.archive)
    assert any("words.dcm" in line for line in rejected_paths(workspace, summary.archive, rejected))
    assert "words" not in json.dumps(sql(workspace, "select * from rejects").to_dicts(), default=str)


@pytest.mark.parametrize("kind", ["crash", "hang"])
def test_a_decoder_that_crashes_or_hangs_costs_one_file(archive, tmp_path, make_dicom, run_ingest, kind, monkeypatch):
    folder = shutil.copytree(archive, tmp_path / "a")
    plugin = tmp_path / "sitecustomize.py"
    does = "os.kill(os.getpid(), 9)" if kind == "crash" else "time.sleep(1000)"
    plugin.write_text(
        "import os, time, sys\n"
        "if 'workers import serve' in ' '.join(sys.orig_argv):\n"
        "    import xray_mining.ingest.shard_rows as rows\n"
        "    whole = rows.standardised\n"
        "    def standardised(encoded, *given):\n"
        f"        if encoded.rows == 80: {does}\n"
        "        return whole(encoded, *given)\n"
        "    rows.standardised = standardised\n"
    )
    make_dicom(folder / "2" / "TRAP", np.full((80, 96), 7, np.uint16) * np.arange(96, dtype=np.uint16), number=50)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    options = SMALL.model_copy(update={"file_limit_s": 8.0})
    _, summary = run_ingest(folder, tmp_path / "w", options=options)
    assert (summary.seen, summary.kept) == (21, 20)
    assert reasons(summary) == {"crash" if kind == "crash" else "hangs": 1}


@pytest.mark.parametrize("count", [200, pytest.param(2000, marks=pytest.mark.soak)])
def test_damaged_variants_of_real_files_never_stop_a_run(shared, tmp_path, run_ingest, count):
    rng = random.Random(5)
    originals = [
        path.read_bytes()
        for folder in ("radiograph", "syntax")
        for path in sorted((shared / "data/dicom" / folder).iterdir())
        if (path.is_file() and "chest" in path.name) or path.name.startswith("rsna")
    ]
    folder = tmp_path / "a"
    folder.mkdir()
    for number in range(count):
        (folder / f"{number:04d}.dcm").write_bytes(damaged(rng.choice(originals), rng) or b"x")
    options = SMALL.model_copy(update={"shard_files": 100, "file_limit_s": 30.0})
    workspace, summary = run_ingest(folder, tmp_path / "w", options=options)
    assert summary.seen >= count
    assert summary.seen == summary.kept + summary.duplicate + summary.rejected
    logs = [path.read_text() for path in (workspace.private / "archives").rglob("worker-*.log")]
    assert "unexpected" not in reasons(summary), "\n".join(logs)[-3000:]


@pytest.mark.parametrize("kills", [5, pytest.param(50, marks=pytest.mark.soak)])
def test_a_run_killed_again_and_again_ends_as_an_undisturbed_one(tmp_path, make_dicom, state_of, kills):
    folder = tmp_path / "a"
    for number in range(40):
        make_dicom(folder / f"{number:03d}", number=number)
    options = IngestOptions(grey=GreyOptions(side_px=64), shard_files=4)
    whole = Workspace.create(tmp_path / "whole")
    ingest(whole, IngestRequest(FolderSource(folder), name="a", jobs=1), options)
    killed = Workspace.create(tmp_path / "killed")
    keys = killed.private / "keys"
    shutil.copytree(whole.private / "keys", keys)
    script = (
        "import sys; from pathlib import Path\n"
        "from xray_mining.catalog.merge import merge; from xray_mining.ingest.ingest import IngestRequest, ingest\n"
        "from xray_mining.archive.sources.folder import FolderSource\n"
        "from xray_mining.ingest.options import GreyOptions, IngestOptions\n"
        "from xray_mining.workspace import Workspace\n"
        "if __name__ == '__main__':\n"
        "    w = Workspace.create(Path(sys.argv[2]))\n"
        "    o = IngestOptions(grey=GreyOptions(side_px=64), shard_files=4)\n"
        "    ingest(w, IngestRequest(FolderSource(sys.argv[1]), name='a', jobs=2), o)\n"
        "    merge(w)\n"
    )
    (tmp_path / "run.py").write_text(script)
    rng = random.Random(3)
    for _ in range(kills):
        process = subprocess.Popen(
            [sys.executable, str(tmp_path / "run.py"), str(folder), str(killed.root)], start_new_session=True
        )
        time.sleep(rng.uniform(0.5, 6))
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    subprocess.run([sys.executable, str(tmp_path / "run.py"), str(folder), str(killed.root)], check=True)
    assert state_of(killed) == state_of(whole)
    assert [path.name for path in killed.root.rglob(".*.partial")] == []


def test_ages_that_cannot_be_read_are_counted_out_loud(tmp_path, run_ingest):
    folder = tmp_path / "a"
    folder.mkdir()
    for number in range(6):
        cv2.imwrite(str(folder / f"{number}.png"), np.full((64, 64), 40 * number, np.uint8))
    (folder / "mapping.yaml").write_text(
        "table: t.csv\ncolumns: {image: image, patient_id: patient, age: age, sex: sex}\n"
    )
    (folder / "t.csv").write_text(
        "image,patient,age,sex\n0.png,a,sixty,M\n1.png,b,411,kvinna\n2.png,c,60,unknown\n3.png,d,,\n"
        "4.png,e,<5,M\n5.png,f,>89,M\n"
    )
    _, summary = run_ingest(folder, tmp_path / "w")
    assert (summary.without_age, summary.unread_ages, summary.bounded_ages, summary.unread_sexes) == (4, 2, 1, 1)
    assert any("ages: 1 of 6 are stated as a bound only" in line for line in summary.lines())
    assert any("ages: 2 of 6 cannot be read or are impossible" in line for line in summary.lines())
    assert any("sexes: 1 of 6 are unknown words" in line for line in summary.lines())


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda folder: None, "holds no files"),
        (lambda folder: (folder / "notes.txt").write_text("hello"), r"recognises.*a shipped one \(.*covid"),
        (
            lambda folder: (folder / "mapping.yaml").write_text("table: t.csv\ncolumns: {image: i}\nimagess: x\n"),
            "did you mean 'images'",
        ),
        (
            lambda folder: [
                (folder / "mapping.yaml").write_text("table: t.csv\ncolumns: {image: file, age: age}\n"),
                (folder / "t.csv").write_text("file,ages\nx.png,5\n"),
            ],
            "has no column 'age'; did you mean 'ages'",
        ),
        (lambda folder: (folder / "mapping.yaml").write_text("table: t.csv\ncolumns: {image: i}\n"), "is missing"),
    ],
)
def test_wrong_use_is_one_sentence(tmp_path, run_ingest, make, sentence):
    folder = tmp_path / "a"
    folder.mkdir()
    make(folder)
    with pytest.raises(UserError, match=sentence):
        run_ingest(folder, tmp_path / "w")


def test_wrong_names_are_one_sentence(archive, tmp_path, run_ingest):
    with pytest.raises(UserError, match="is missing"):
        run_ingest(tmp_path / "nowhere", tmp_path / "w")
    with pytest.raises(UserError, match="did you mean 'dicom_folder'"):
        run_ingest(archive, tmp_path / "w", adapter="dicom_foldr")
    with pytest.raises(UserError, match="small letters"):
        run_ingest(archive, tmp_path / "w", name="No Name")
    run_ingest(archive, tmp_path / "w", name="a")
    with pytest.raises(UserError, match="another folder's name"):
        run_ingest(shutil.copytree(archive, tmp_path / "b"), tmp_path / "w", name="a")
    with pytest.raises(UserError, match="keys cannot change"):
        run_ingest(archive, tmp_path / "w", name="a", domain="other")
    with pytest.raises(UserError, match="is not a key"):
        locate(Workspace.open(tmp_path / "w"), "xyz")
