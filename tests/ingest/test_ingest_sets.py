"""Real sets, pictures of every kind, duplicates, and that no name is left."""

import json
import shutil
import zipfile
from pathlib import Path

import cv2
import numpy as np
import polars as pl
import pytest
from ingest_pieces import SECRET, SMALL, archive, reasons  # noqa: F401  fixtures

from xray_mining.catalog.query import sql
from xray_mining.errors import UserError
from xray_mining.ingest import near_duplicates
from xray_mining.ingest.options import GreyOptions, IngestOptions
from xray_mining.ingest.summary import locate
from xray_mining.pixels.store import PixelStore


def test_duplicates_of_every_kind(tmp_path, make_dicom, run_ingest, chest_picture):
    folder = tmp_path / "a"
    picture = chest_picture(1)
    make_dicom(folder / "1", picture, number=1)
    make_dicom(folder / "2_header_only_change", picture, number=1, PatientSex="M")
    make_dicom(folder / "3_same_pixels_other_uid", picture, number=3)
    make_dicom(folder / "4_uid_reused", chest_picture(99)[::-1], number=1)
    make_dicom(folder / "5_other", number=5)
    _, summary = run_ingest(folder, tmp_path / "w")
    outcomes = {(each.outcome, each.reason): each.accounts for each in summary.outcomes}
    assert outcomes["duplicate", "same_pixels"] == 1
    assert outcomes["kept", ""] == 2
    assert outcomes["rejected", "uid_reused"] == 1
    assert outcomes["duplicate", "same_instance"] == 1


def test_the_same_picture_under_two_patients_in_two_archives(archive, tmp_path, run_ingest):
    _, one = run_ingest(archive, tmp_path / "w", name="a", domain="hospital")
    _, two = run_ingest(shutil.copytree(archive, tmp_path / "b"), tmp_path / "w", name="b", domain="hospital")
    assert (one.kept, two.kept, two.duplicate) == (20, 0, 20)


def test_near_duplicates_of_real_radiographs_are_found(shared, tmp_path, run_ingest):
    """A part of the known pairs: one image of Hannover in two scalings and crops."""
    rows = pl.read_csv(shared / "data/near_duplicates.csv").filter(
        pl.col("image_a").str.starts_with("covid-cxr/") & pl.col("image_b").str.starts_with("hannover-cxr/")
    )
    wanted = list(rows.select("image_a", "image_b").head(25).iter_rows())
    folder = tmp_path / "a"
    (folder / "images").mkdir(parents=True)
    others = sorted((shared / "data/covid-cxr/images").iterdir())[:40]
    names = {}
    for path in [shared / "data" / name for pair in wanted for name in pair] + others:
        name = f"{path.parts[-3]}_{path.name}"
        shutil.copy(path, folder / "images" / name)
        names[f"{path.parts[-3]}/images/{path.name}"] = name
    (folder / "t.csv").write_text("image,patient\n" + "".join(f"{n},{n}\n" for n in sorted(set(names.values()))))
    (folder / "mapping.yaml").write_text("table: t.csv\nimages: images\ncolumns: {image: image, patient_id: patient}\n")
    options = IngestOptions(grey=GreyOptions(side_px=256))
    workspace, summary = run_ingest(folder, tmp_path / "w", options=options)
    pairs = sql(workspace, "select image_key_a::varchar as a, image_key_b::varchar as b from near_duplicates")
    found = {frozenset(row) for row in pairs.iter_rows()}
    images = sql(workspace, "select image_key::varchar as k from images")["k"]
    by_name = {Path(locate(workspace, key).path).name: key for key in images}
    true = {
        frozenset(by_name[names[each]] for each in pair) for pair in wanted if all(names[e] in by_name for e in pair)
    }
    assert len(found & true) >= 0.8 * len(true)
    assert summary.near_duplicates == len(found)


def test_a_search_for_near_duplicates_that_was_killed_is_made_by_the_next_run(
    tmp_path, make_dicom, run_ingest, chest_picture, monkeypatch
):
    options = SMALL.model_copy(update={"near_duplicates": True})
    for number in range(4):
        make_dicom(tmp_path / "a" / f"{number}", number=number)
    run_ingest(tmp_path / "a", tmp_path / "w", options=options, name="a")
    make_dicom(tmp_path / "b" / "0", chest_picture(2) // 2 + 100, number=10)
    with monkeypatch.context() as patch:
        patch.setattr("xray_mining.ingest.near_duplicates._pairs", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            run_ingest(tmp_path / "b", tmp_path / "w", options=options, name="b")
    # Nothing is left to read, but what was read has not been searched.
    workspace, unsearched = run_ingest(tmp_path / "b", tmp_path / "w", name="b")
    assert (unsearched.shards_now, unsearched.near_duplicates) == (0, 0)
    assert len(near_duplicates.searched(workspace)) == 4
    _, summary = run_ingest(tmp_path / "b", tmp_path / "w", options=options, name="b")
    assert (summary.shards_now, summary.near_duplicates) == (0, 1)
    assert len(near_duplicates.searched(workspace)) == 5
    monkeypatch.setattr("xray_mining.ingest.near_duplicates._pairs", lambda *_: 1 / 0)
    _, again = run_ingest(tmp_path / "a", tmp_path / "w", options=options, name="a")
    assert again.near_duplicates == 1


def test_nothing_that_names_anybody_is_left_in_the_workspace(tmp_path, make_dicom, run_ingest):
    """Distinctive words in every element that may hold one, in names of files, folders and members."""
    folder = tmp_path / f"{SECRET}root"
    identifying = {
        "PatientName": f"{SECRET}^name",
        "PatientID": f"{SECRET}id",
        "IssuerOfPatientID": f"{SECRET}issuer",
        "OtherPatientNames": f"{SECRET}other",
        "PatientAddress": f"{SECRET}street",
        "PatientComments": f"{SECRET}comment",
        "ReferringPhysicianName": f"{SECRET}doctor",
        "InstitutionName": f"{SECRET}hospital",
        "InstitutionAddress": f"{SECRET}town",
        "StationName": f"{SECRET}station",
        "StudyDescription": f"{SECRET} chest",
        "SeriesDescription": f"Chest PA {SECRET}",
        "ProtocolName": f"{SECRET}protocol",
        "AccessionNumber": f"{SECRET}acc",
        "StudyID": f"{SECRET}st",
        "DeviceSerialNumber": f"{SECRET}serial",
        "Manufacturer": f"{SECRET}maker",
        "ManufacturerModelName": f"{SECRET}model",
        "BodyPartExamined": f"CHEST {SECRET}",
        "ViewPosition": f"PA {SECRET}",
        "Laterality": f"L{SECRET}",
        "PatientSex": f"F{SECRET}",
        "PatientAge": SECRET,
        "Modality": "DX",
        "SOPInstanceUID": "1.2.840.987654321.1",
        "StudyInstanceUID": "1.2.840.987654321.2",
        "SeriesInstanceUID": "1.2.840.987654321.3",
        "PatientBirthDate": "19430807",
        "StudyDate": "20110913",
        "ImageComments": f"{SECRET}image",
        "BurnedInAnnotation": "YES",
    }
    make_dicom(folder / f"{SECRET}sub" / f"{SECRET}.dcm", number=1, **identifying)
    make_dicom(
        folder / f"{SECRET}hand.dcm",
        number=2,
        **{**identifying, "BodyPartExamined": f"HAND {SECRET}", "StudyDescription": "", "SeriesDescription": ""},
    )
    with zipfile.ZipFile(folder / f"{SECRET}.zip", "w") as packed:
        member = make_dicom(tmp_path / "member", number=3, PatientID=f"{SECRET}3")
        packed.write(member, f"{SECRET}member.dcm")
    (folder / f"{SECRET}bad.dcm").write_bytes(SECRET.encode() * 100)
    workspace, summary = run_ingest(folder, tmp_path / "w")
    assert summary.seen == 4
    words = [SECRET, "987654321", "19430807", "1943-08-07", "20110913", "2011-09-13", str(folder)]
    for path in workspace.root.rglob("*"):
        assert not any(word in str(path.relative_to(workspace.root)) for word in words)
        if path.suffix == ".parquet":
            text = json.dumps(pl.read_parquet(path).to_dicts(), default=str)
        elif path.suffix in (".json", ".yaml"):
            text = path.read_text()
        else:
            continue
        assert not [word for word in words if word in text], path.name
    for table in ("images", "rejects", "findings", "duplicates", "ledger"):
        text = json.dumps(sql(workspace, f"select * from {table}").to_dicts(), default=str)
        assert not [word for word in words if word in text], table
    found = sql(workspace, "select * from images where burned_in_text = 'declared'").row(0, named=True)
    assert "burned_in" in found["quality_flags"]
    assert found["study_year"] in (2011, 2012)


def test_real_sets_by_their_mappings(shared, tmp_path, run_ingest):
    from xray_mining.workspace import asset

    mapping = asset("pipelines/mappings/covid.yaml")
    workspace, summary = run_ingest(shared / "data/covid-cxr", tmp_path / "w", mapping=mapping)
    assert (summary.seen, summary.kept, summary.duplicate) == (266, 265, 1)
    counts = sql(
        workspace, "select count(age_years) as a, count(distinct patient_key) as p, count(licence) as l from images"
    )
    assert counts["p"][0] in (158, 159)
    assert counts["l"][0] == 265
    masks = pl.read_parquet(workspace.parts(summary.archive, "masks") / "*.parquet")
    table = pl.read_csv(shared / "data/covid-cxr/metadata.csv", infer_schema=False)
    outlined = table.filter(pl.col("lung_mask_file").is_not_null() | pl.col("lung_mask_lr_file").is_not_null()).height
    assert masks.filter(pl.col("structure") == "lungs").height == outlined
    assert not masks.select("image_key", "structure").is_duplicated().any()
    assert masks.filter(pl.col("structure") == "left_lung").height == 34
    boxes = sql(workspace, "select name, count(*) as n from boxes group by name order by name")
    assert set(boxes["name"]) == {"left_lung", "right_lung"}
    # The lungs' boxes are around the lungs' masks, in the same geometry.
    assert (sql(workspace, "select max(x + width) as m from boxes")["m"][0]) <= 65


def test_a_set_without_the_boxes_that_its_mapping_knows(shared, tmp_path, run_ingest):
    from xray_mining.workspace import asset

    mapping = asset("pipelines/mappings/covid.yaml")
    workspace, summary = run_ingest(shared / "data/covid-cxr-originals", tmp_path / "w", mapping=mapping)
    assert (summary.seen, summary.kept, summary.duplicate) == (28, 28, 0)
    assert sql(workspace, "select count(*) as n from boxes")["n"][0] == 0
    told = mapping.read_text().replace("    optional: true  # covid-cxr-originals has none\n", "")
    (tmp_path / "strict.yaml").write_text(told)
    with pytest.raises(UserError, match=r"lung_boxes\.csv: the table is missing"):
        run_ingest(shared / "data/covid-cxr-originals", tmp_path / "v", mapping=tmp_path / "strict.yaml")


def test_pictures_of_every_kind(tmp_path, run_ingest, chest_picture):
    folder = tmp_path / "a"
    folder.mkdir()
    picture = chest_picture(1)
    eight = (picture >> 4).astype(np.uint8)
    cv2.imwrite(str(folder / "p16.png"), picture * 16)
    cv2.imwrite(str(folder / "p8.png"), eight)
    cv2.imwrite(str(folder / "rgb.png"), cv2.merge([eight] * 3))
    cv2.imwrite(str(folder / "rgba.png"), cv2.merge([eight, eight, eight, np.full_like(eight, 255)]))
    cv2.imwrite(str(folder / "p.jpg"), eight, [cv2.IMWRITE_JPEG_QUALITY, 95])
    cv2.imwrite(str(folder / "p.tif"), picture * 16)
    (folder / "cut.png").write_bytes((folder / "p16.png").read_bytes()[:2000])
    (folder / "none.png").write_text("words")
    names = [path.name for path in folder.iterdir()]
    (folder / "t.csv").write_text("f;a\n" + "".join(f"{name};61\n" for name in names))
    (folder / "mapping.yaml").write_text("table: t.csv\ncolumns: {image: f, age: a}\n")
    cv2.imwrite(str(folder / "unknown.png"), eight)
    workspace, summary = run_ingest(folder, tmp_path / "w")
    assert summary.kept == 6
    assert reasons(summary) == {"truncated_pixels": 1, "not_an_image": 1, "not_in_table": 1}
    store = PixelStore.open(workspace)
    pictures = store.read(store.frame["image_key"]).astype(int)
    assert np.abs(pictures - pictures[0]).mean(axis=(1, 2)).max() < 4
