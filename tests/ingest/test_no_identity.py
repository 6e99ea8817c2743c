"""From an archive full of identities to the page: no word of them in anything that the workspace holds.

Every element of DICOM's dictionary that may hold a word, a date, a time or a UID holds a planted one in some file, and
so do private elements, sequences, preambles, names of folders, files and members, a table's columns and the text
chunks of pictures. Then the whole chain runs, and everything it left is decoded and read.
"""

import base64
import io
import json
import re
import subprocess
import sys
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import duckdb
import numpy as np
import polars as pl
import pydicom
import pytest
from PIL import Image, PngImagePlugin
from pydicom.datadict import DicomDictionary, dictionary_keyword
from pydicom.dataset import Dataset
from pydicom.valuerep import CUSTOMIZABLE_CHARSET_VR

WORD = "Zq7Xw"
ROOT = "1.2.826.0.1.99887766"
NUMBER = "7738291"
# Near each other, so that no cell of age and sex is too small for the page to show its cases.
BIRTHS, STUDIES = ("19430807", "19430219", "19440530", "19441103"), ("20110913", "20130627")
XRAY_MINING = Path(sys.executable).with_name("xray-mining")

# What the chain itself needs to be as it is: the picture's description, and what makes it a chest radiograph.
NEEDED = {
    "Modality",
    "BodyPartExamined",
    "ViewPosition",
    "PatientSex",
    "PatientBirthDate",
    "StudyDate",
    "PatientID",
    "SOPClassUID",
    "SOPInstanceUID",
    "StudyInstanceUID",
    "SeriesInstanceUID",
    "VOILUTFunction",
    "SpecificCharacterSet",
}
PLANTED = {
    **dict.fromkeys((*CUSTOMIZABLE_CHARSET_VR, "AE"), WORD),
    "CS": WORD.upper(),
    "UR": f"https://{WORD}",
    "UI": f"{ROOT}.9",
    "DA": STUDIES[0],
    "DT": f"{STUDIES[0]}101112",
    "IS": NUMBER,
    "DS": NUMBER,
    "AS": "043Y",
}
STUDY = """study: leak
question: Does anything that names anybody reach the page?
ingest:
  grey: {side_px: 64}
cohorts:
  age: {query: frontal_adults}
features:
  zones: {families: [intensity], side_px: 64, zone_rows: 2, zone_columns: 2}
experiments:
  age_ridge: {cohort: age, target: age_years, model: ridge, features: [zones]}
design:
  rotations: hold_out
evaluation:
  bootstraps: 200
  least_patients: 2
"""
MAPPING = """table: {word}table.csv
columns: {{image: file, patient_id: pid, study_id: sid, study_date: day, birth_date: born, sex: sex, view: view,
  institution: place, manufacturer: maker, model_name: model, licence: licence}}
findings:
  severity: {{column: severity, kind: number}}
"""
LINK = """name: outcomes
domain: hospital
accession: order
findings:
- {name: severity, column: severity}
"""


def elements(number: int) -> dict[str, object]:
    """Planted values of the elements that people know, for every file."""
    return {
        "PatientID": f"{WORD}{number // 2}",
        "PatientBirthDate": BIRTHS[number // 2 % 4],
        "StudyDate": STUDIES[number % 2],
        "SOPInstanceUID": f"{ROOT}.1.{number}",
        "StudyInstanceUID": f"{ROOT}.2.{number}",
        "SeriesInstanceUID": f"{ROOT}.3.{number}",
        "PatientName": f"{WORD}^Ada",
        "PatientAddress": f"{WORD} street 1",
        "AccessionNumber": f"{WORD}a{number}",
        "InstitutionName": f"{WORD} hospital",
        "StationName": f"{WORD}st",
        "Manufacturer": f"{WORD} maker",
        "ManufacturerModelName": f"{WORD} model",
        "DeviceSerialNumber": NUMBER,
        "SeriesDescription": f"Chest PA {WORD}",
        "StudyDescription": f"{WORD} chest",
        "BodyPartExamined": f"CHEST {WORD}",
        "ViewPosition": "PA",
        "PatientSex": "F" if number % 3 else "M",
        "ImageComments": f"seen by {WORD}",
        "BurnedInAnnotation": "YES" if number % 7 == 0 else "NO",
    }


def everything() -> dict[str, object]:
    """A planted value for every element of the dictionary that can hold one and does not describe the pixels."""
    found = {}
    for tag, (vr, *_, retired, keyword) in DicomDictionary.items():
        group = tag >> 16
        if not keyword or keyword in NEEDED or group in (0x0000, 0x0002, 0x0004, 0x0028, 0x5400, 0x7FE0, 0xFFFE):
            continue
        value = PLANTED.get(vr[:2])
        if value is not None and group & 1 == 0 and tag & 0xFFFF and not retired.startswith("-"):
            found[dictionary_keyword(tag)] = value
    return found


def soiled(path: Path) -> None:
    """Private elements, a sequence with names, a preamble and trailing padding with words."""
    dataset = pydicom.dcmread(path)
    block = dataset.private_block(0x0011, f"{WORD} private", create=True)
    block.add_new(1, "LO", f"{WORD} in private")
    block.add_new(2, "UN", WORD.encode())
    item = Dataset()
    item.PatientName, item.ReferencedSOPInstanceUID = f"{WORD}^Item", f"{ROOT}.8"
    item.CodeMeaning, item.CodeValue = f"Chest {WORD}", WORD
    dataset.ReferencedStudySequence = [item]
    dataset.AnatomicRegionSequence = [item]
    dataset.preamble = WORD.encode() + bytes(128 - len(WORD))
    dataset.DataSetTrailingPadding = WORD.encode() * 2
    dataset.file_meta.SourceApplicationEntityTitle = WORD
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.save_as(path)


@pytest.fixture(scope="module")
def hospital(tmp_path_factory, make_dicom) -> Path:
    """80 DICOM files of 40 patients, some packed, beside broken ones."""
    home = tmp_path_factory.mktemp("there")
    folder = home / f"{WORD}root"
    for number in range(80):
        more = everything() if number % 20 == 0 else {}
        path = folder / f"{WORD}sub{number % 3}" / f"{WORD}_{number:03d}.dcm"
        make_dicom(path, number=number, **{**more, **elements(number)})
        soiled(path)
    with zipfile.ZipFile(folder / f"{WORD}.zip", "w") as packed:
        for path in sorted(folder.glob("*/*_01?.dcm")):
            packed.write(path, f"{WORD}inner/{path.name}")
            path.unlink()
    with tarfile.open(folder / f"{WORD}.tar.gz", "w:gz") as packed:
        for path in sorted(folder.glob("*/*_02?.dcm")):
            packed.add(path, f"{WORD}member/{path.name}")
            path.unlink()
    make_dicom(folder / f"{WORD}hand.dcm", number=90, **{**elements(90), "BodyPartExamined": f"HAND {WORD}"})
    make_dicom(folder / f"{WORD}cut.dcm", number=91, **elements(91))
    cut = folder / f"{WORD}cut.dcm"
    cut.write_bytes(cut.read_bytes()[:-500])
    (folder / f"{WORD}words.dcm").write_bytes(WORD.encode() * 50)
    (folder / f"{WORD}notes.csv").write_text(f"{WORD};{NUMBER}\n")
    return folder


@pytest.fixture(scope="module")
def practice(tmp_path_factory, chest_picture) -> Path:
    """20 PNG files with text chunks, and a table whose columns name people."""
    folder = tmp_path_factory.mktemp("elsewhere") / f"{WORD}practice"
    folder.mkdir()
    rows = ["file,pid,sid,day,born,sex,view,place,maker,model,licence,severity,name,street"]
    for number in range(20):
        chunks = PngImagePlugin.PngInfo()
        chunks.add_text("Comment", f"{WORD} {NUMBER}")
        chunks.add_itxt("Author", WORD)
        Image.fromarray((chest_picture(200 + number) >> 4).astype(np.uint8)).save(
            folder / f"{WORD}{number}.png", pnginfo=chunks
        )
        born, day = BIRTHS[number % 4], STUDIES[number % 2]
        rows.append(
            f"{WORD}{number}.png,{WORD}p{number},{ROOT}.7.{number},{day},{born},F,PA {WORD},{WORD},{WORD} maker,"
            f"{WORD} model,licensed by {WORD},{number},{WORD} Ada,{WORD} street"
        )
    (folder / f"{WORD}table.csv").write_text("\n".join(rows) + "\n")
    (folder / "mapping.yaml").write_text(MAPPING.format(word=WORD))
    return folder


@pytest.fixture(scope="module")
def workspace(tmp_path_factory, hospital, practice) -> Path:
    """Everything that a group would run, on both archives, by the command line."""
    home = tmp_path_factory.mktemp("chain")
    root = home / "w"
    (home / "leak.yaml").write_text(STUDY)
    (home / "link.yaml").write_text(LINK)
    (home / f"{WORD}outcomes.csv").write_text(
        "order,severity,doctor\n" + "".join(f"{WORD}a{number},{number},{WORD}\n" for number in range(40))
    )
    known = subprocess.run([str(XRAY_MINING), "--help"], capture_output=True, text=True, check=True).stdout
    more = [("archive-report",)] if "archive-report" in known else []
    for words in (
        ("ingest", practice, "--name", "practice", "--side-px", "64", "--jobs", "1"),
        ("run", home / "leak.yaml", "--archive", hospital, "--name", "hospital"),
        ("link", home / f"{WORD}outcomes.csv", "--mapping", home / "link.yaml"),
        *more,
    ):
        said = subprocess.run(
            [str(XRAY_MINING), *map(str, words), "--workspace", str(root)],
            capture_output=True,
            text=True,
            check=False,
            cwd=home,
        )
        assert said.returncode == 0, said.stderr[-3000:] + said.stdout[-3000:]
    return root


def texts_of_png(data: bytes) -> str:
    """All chunks of a PNG file but its pixels, as text; compressed ones unpacked."""
    said, at = [], 8
    while at + 12 <= len(data):
        length, kind = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        body = data[at + 8 : at + 8 + length]
        if kind not in (b"IHDR", b"IDAT", b"IEND"):
            said.append(kind.decode() + body.decode("latin-1"))
            for start in range(len(body)):
                try:
                    said.append(zlib.decompress(body[start:]).decode("latin-1"))
                    break
                except zlib.error:
                    continue
        at += 12 + length
    return "\n".join(said)


def cells(frame: pl.DataFrame) -> str:
    """Every decoded cell of a table, pictures by their text chunks."""
    said = [" ".join(frame.columns)]
    for column in frame:
        for value in column.to_list():
            if isinstance(value, bytes):
                said.append(texts_of_png(value) if value.startswith(b"\x89PNG") else value.decode("latin-1"))
            else:
                said.append(json.dumps(value, default=str, ensure_ascii=False))
    return "\n".join(said)


def content(path: Path) -> Iterator[str]:
    """What a file of the workspace says, decoded."""
    data = path.read_bytes()
    if path.suffix == ".parquet":
        yield cells(pl.read_parquet(path))
        yield str(pl.read_parquet_schema(path)) + str(pl.read_parquet_metadata(path))
    elif path.suffix == ".duckdb":
        with duckdb.connect(str(path), read_only=True) as con:
            for (table,) in con.execute("select table_name from information_schema.tables").fetchall():
                # Keys of 128 bits, which polars does not know, as text.
                columns = con.execute(f'describe "{table}"').fetchall()
                wanted = ", ".join(
                    f'"{name}"::varchar as "{name}"' if kind in ("UUID", "HUGEINT") else f'"{name}"'
                    for name, kind, *_ in columns
                )
                yield cells(con.sql(f'select {wanted} from "{table}"').pl())
    elif path.suffix == ".png":
        yield texts_of_png(data)
    elif path.suffix == ".html":
        page = data.decode()
        yield page
        for picture in re.findall(r"data:image/png;base64,([A-Za-z0-9+/=]+)", page):
            yield texts_of_png(base64.b64decode(picture))
    else:
        yield data.decode("latin-1")
        if zipfile.is_zipfile(io.BytesIO(data)):
            with zipfile.ZipFile(io.BytesIO(data)) as packed:
                yield from (packed.read(name).decode("latin-1") for name in packed.namelist())
        for start in (at.start() for at in re.finditer(rb"\x78[\x01\x5e\x9c\xda]", data)):
            try:
                yield zlib.decompressobj().decompress(data[start:], 2**20).decode("latin-1")
            except zlib.error:
                continue


def test_no_planted_word_is_left_anywhere(workspace, hospital, practice):
    days = [f"{day[:4]}{sign}{day[4:6]}{sign}{day[6:]}" for day in (*BIRTHS, *STUDIES) for sign in ("", "-", "/", ".")]
    days += [f"{day[6:]}{sign}{day[4:6]}{sign}{day[:4]}" for day in (*BIRTHS, *STUDIES) for sign in ("-", "/", ".")]
    words = [WORD, ROOT, str(hospital.parent), str(practice.parent)]
    numbers = [NUMBER, *days]
    leaks = re.compile(
        "|".join(map(re.escape, words)) + r"|(?<![0-9.])(?:" + "|".join(map(re.escape, numbers)) + r")(?![0-9])", re.I
    )
    found, read = [], 0
    for path in workspace.rglob("*"):
        name = str(path.relative_to(workspace))
        found += [f"name of {name}"] if leaks.search(name) else []
        if path.is_file() and path.suffix != ".raw":
            read += 1
            found += [f"{name}: {hit}" for text in content(path) for hit in set(leaks.findall(text))]
    assert not found
    assert read > 30
    assert {path.suffix for path in workspace.rglob("*") if path.is_file()} >= {".parquet", ".duckdb", ".html", ".json"}


def test_the_chain_saw_both_archives_and_all_packed_files(workspace):
    with duckdb.connect(str(workspace / "catalog.duckdb"), read_only=True) as con:
        kept = dict(con.execute("select archive, count(*) from images group by archive").fetchall())
        assert kept == {"hospital": 80, "practice": 20}
        days = con.execute("select distinct study_day from images where archive = 'hospital'").fetchall()
        assert con.execute("select count(*) from findings where source = 'outcomes'").fetchone() == (40,)
        assert con.execute("select max(licence) from images").fetchone() == (None,)
    assert len(days) > 20


def test_no_picture_with_declared_burned_in_text_is_shown(workspace):
    with duckdb.connect(str(workspace / "catalog.duckdb"), read_only=True) as con:
        declared = {
            str(key)
            for (key,) in con.execute("select image_key from images where burned_in_text = 'declared'").fetchall()
        }
    shown = pl.read_parquet(workspace / "evaluations/leak/pictures.parquet")
    assert len(declared) == 12
    assert shown.height
    assert not declared & set(shown["image_key"].drop_nulls())


def test_the_private_folder_is_the_owners_alone(workspace):
    private = workspace.with_name("w.private")
    assert private.stat().st_mode & 0o777 == 0o700
