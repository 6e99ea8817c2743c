"""Masks that come with an archive: taken where they fit their picture, else a row that says why not."""

from io import BytesIO

import cv2
import numpy as np
import pytest
from PIL import Image

from xray_mining.archive.radiograph import MaskFile, MaskRule
from xray_mining.archive.sources.folder import FolderSource
from xray_mining.catalog.checks import check
from xray_mining.catalog.query import sql
from xray_mining.ingest.masks import MaskFault, structures_of
from xray_mining.ingest.options import GreyOptions, IngestOptions
from xray_mining.records.masks import Masks, decode_mask

SMALL = IngestOptions(grey=GreyOptions(side_px=32), near_duplicates=False)
RULES = (MaskRule("lungs", "from", 128),)


def png(values: np.ndarray) -> bytes:
    return cv2.imencode(".png", values)[1].tobytes()


def fitting(rows: int = 40, columns: int = 48) -> np.ndarray:
    values = np.zeros((rows, columns), np.uint8)
    values[rows // 4 : rows // 2, columns // 4 : columns // 2] = 255
    return values


def coloured() -> np.ndarray:
    values = np.dstack([fitting()] * 3)
    values[..., 1] = 0
    return values


WRONG = {
    "other_size": png(fitting(80, 96)),
    "unreadable": b"no picture",
    "coloured": png(coloured()),
    "empty": png(np.minimum(fitting(), 1)),
    "cut": png(np.random.default_rng(0).integers(0, 255, (40, 48), np.uint8))[:-200],
}


@pytest.mark.parametrize("what", WRONG)
def test_what_does_not_fit_is_named_and_never_stretched(tmp_path, what):
    source, path = FolderSource(tmp_path), tmp_path / "mask.png"
    path.write_bytes(WRONG[what])
    with pytest.raises(MaskFault) as met:
        structures_of(source, MaskFile(b"mask.png", RULES), 40, 48)
    assert met.value.reason == {"cut": "unreadable"}.get(what, what)
    assert str(tmp_path) not in met.value.sentence


@pytest.mark.parametrize(
    ("values", "fits"),
    [
        (fitting(), True),
        (np.dstack([fitting()] * 3), True),
        (np.dstack([fitting()] * 4), True),
        (np.dstack([*[fitting()] * 3, np.full((40, 48), 200, np.uint8)]), True),
        (fitting().astype(np.uint16), True),
        (fitting(48, 40), False),
        (fitting(40, 49), False),
    ],
)
def test_a_mask_of_its_pictures_size_is_taken_as_it_is(tmp_path, values, fits):
    source, path = FolderSource(tmp_path), tmp_path / "mask.png"
    path.write_bytes(png(values))
    if not fits:
        with pytest.raises(MaskFault, match="other_size"):
            structures_of(source, MaskFile(b"mask.png", RULES), 40, 48)
        return
    found = structures_of(source, MaskFile(b"mask.png", RULES), 40, 48)
    assert (found["lungs"] == (fitting() > 0)).all()


@pytest.mark.parametrize(
    ("size", "fits"),
    [
        ((80, 96), True),
        ((20, 24), True),
        ((256, 307), True),
        ((256, 308), True),
        ((256, 316), False),
        ((256, 330), False),
        ((48, 40), False),
    ],
)
def test_a_mask_that_may_be_scaled_has_its_pictures_shape(tmp_path, size, fits):
    source, path = FolderSource(tmp_path), tmp_path / "mask.png"
    path.write_bytes(png(fitting(*size)))
    mask = MaskFile(b"mask.png", RULES, scaled=True)
    if fits:
        assert structures_of(source, mask, 40, 48)["lungs"].shape == size
    else:
        with pytest.raises(MaskFault, match="other_shape"):
            structures_of(source, mask, 40, 48)


@pytest.mark.parametrize(
    ("how", "value", "outlined"),
    [("from", 2, [False, False, True, True]), ("equals", 2, [False, False, True, False]), ("bits", 3, [0, 1, 1, 1])],
)
def test_what_a_rule_says_of_values(tmp_path, how, value, outlined):
    source, path = FolderSource(tmp_path), tmp_path / "mask.png"
    path.write_bytes(png(np.tile(np.arange(4, dtype=np.uint8), (4, 1))))
    # The second structure is on no pixel: that is no fault as long as the first is.
    rules = (MaskRule("lungs", how, value), MaskRule("heart", "equals", 99))
    found = structures_of(source, MaskFile(b"mask.png", rules), 4, 4)
    assert found["lungs"][0].tolist() == [bool(each) for each in outlined]
    assert not found["heart"].any()


def test_a_palette_of_greys_is_read(tmp_path):
    source, path = FolderSource(tmp_path), tmp_path / "mask.png"
    image = Image.fromarray((fitting() > 0).astype(np.uint8)).convert("P")
    image.putpalette([0, 0, 0, 255, 255, 255])
    buffer = BytesIO()
    image.save(buffer, "png")
    path.write_bytes(buffer.getvalue())
    assert (structures_of(source, MaskFile(b"mask.png", RULES), 40, 48)["lungs"] == (fitting() > 0)).all()


@pytest.fixture
def archive(tmp_path, chest_picture):
    """Four pictures of 96 × 96 with a mask each: fitting, of another size, unreadable, not there."""
    folder = tmp_path / "a"
    (folder / "masks").mkdir(parents=True)
    lines = ["file,pid,mask"]
    for number in range(4):
        cv2.imwrite(str(folder / f"{number}.png"), (chest_picture(number) >> 4).astype(np.uint8))
        lines.append(f"{number}.png,p{number},masks/{number}.png")
    for number, data in enumerate((png(fitting(96, 96)), png(fitting(30, 96)), b"no picture")):
        (folder / "masks" / f"{number}.png").write_bytes(data)
    (folder / "t.csv").write_text("\n".join(lines) + "\n")
    (folder / "mapping.yaml").write_text(
        "table: t.csv\ncolumns: {image: file, patient_id: pid}\nmasks:\n"
        "  - {column: mask, structures: {lungs: {from: 128}}}\n"
    )
    return folder


def test_masks_that_were_not_taken_are_rows_with_reasons(archive, tmp_path, run_ingest):
    workspace, summary = run_ingest(archive, tmp_path / "w", options=SMALL, name="here")
    faults = sql(workspace, "select reason, structures, sentence from mask_faults order by reason")
    assert faults["reason"].to_list() == ["missing", "other_size", "unreadable"]
    assert faults["structures"].to_list() == ["lungs"] * 3
    assert "30 by 96" in faults["sentence"][1]
    masks = Masks.read(workspace.parts("here", "masks"))
    assert masks.height == 1
    taken = decode_mask(masks["run_lengths"][0].to_list(), 32)
    assert taken.mean() == pytest.approx((fitting(96, 96) > 0).mean(), abs=0.02)
    assert (summary.seen, summary.kept, summary.mask_faults) == (4, 4, 3)
    assert "masks: 3 of kept images not used (1 missing, 1 other size, 1 unreadable)" in "\n".join(summary.lines())
    found = next(each for each in check(workspace).results if each["code"] == "IDS002")
    assert (found["outcome"], found["severity"], found["offenders"]) == ("failed", "warning", "3")

    for number in range(1, 4):
        (archive / "masks" / f"{number}.png").write_bytes(png(fitting(96, 96)))
    workspace, summary = run_ingest(archive, tmp_path / "w", options=SMALL, name="here")
    assert summary.mask_faults == 0
    assert sql(workspace, "select * from mask_faults").is_empty()
    assert Masks.read(workspace.parts("here", "masks")).height == 4


def test_what_was_said_of_a_mask_stays_where_its_picture_cannot_be_read_anew(archive, tmp_path, run_ingest):
    run_ingest(archive, tmp_path / "w", options=SMALL, name="here")
    (archive / "1.png").unlink()
    other = SMALL.model_copy(update={"topcode_age": False})
    workspace, _ = run_ingest(archive, tmp_path / "w", options=other, name="here")
    assert sorted(sql(workspace, "select reason from mask_faults")["reason"]) == ["missing", "other_size", "unreadable"]
