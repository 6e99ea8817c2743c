"""Tables, headers and rejects when an archive is read again."""

from typing import Any

import cv2
import numpy as np
import pytest
from redo_pieces import SMALL, _in_this_process, archive, contents  # noqa: F401  fixtures

from xray_mining.archive.radiograph import Unusable
from xray_mining.catalog.query import select
from xray_mining.cli import ingest as _commands  # noqa: F401  registers them
from xray_mining.errors import UserError
from xray_mining.ingest import shard_rows
from xray_mining.ingest.summary import locate, rejected_paths
from xray_mining.records.images import Images


@pytest.mark.parametrize("images", ["", "pictures"])
def test_tables_that_nobody_reads_are_said_with_and_without_pictures(tmp_path, run_ingest, chest_picture, images):
    folder = tmp_path / "a"
    (folder / images).mkdir(parents=True)
    for number in range(2):
        cv2.imwrite(str(folder / images / f"{number}.png"), (chest_picture(number) >> 4).astype(np.uint8))
    (folder / "t.csv").write_text("image,patient\n0.png,a\n1.png,b\n")
    (folder / "mapping.yaml").write_text(
        f"table: t.csv\nimages: '{images}'\ncolumns: {{image: image, patient_id: patient}}\n"
    )
    (folder / images / "reports.csv").write_text("patient,report\na,of another kind\n")
    _, headers = run_ingest(folder, tmp_path / "w", SMALL, name="a", metadata_only=True)
    _, whole = run_ingest(folder, tmp_path / "w", SMALL, name="a")
    assert headers.ignored == whole.ignored == (1 if images else 3)
    said = f"{headers.ignored} {'file' if images else 'files'} beside the images (tables, texts)"
    assert any(said in line for line in headers.lines()) and any(said in line for line in whole.lines())


def test_headers_alone_after_pictures_take_nothing_away(archive, tmp_path, run_ingest, make_dicom):
    folder = tmp_path / "dicom"
    for number in range(4):
        make_dicom(folder / f"{number}", number=number)
    run_ingest(folder, tmp_path / "w", SMALL, name="a")
    workspace, summary = run_ingest(folder, tmp_path / "w", SMALL, name="a", metadata_only=True)
    assert (summary.seen, summary.shards_now, summary.shards_done) == (4, 0, 1)
    digests = Images.read(workspace.parts("a", "images"))["pixel_digest"]
    assert digests.null_count() == 0
    _, summary = run_ingest(folder, tmp_path / "w", SMALL, name="a", metadata_only=True, again=True)
    assert summary.shards_now == 1
    _, summary = run_ingest(folder, tmp_path / "w", SMALL, name="a")
    assert summary.shards_now == 1
    assert Images.read(workspace.parts("a", "images"))["pixel_digest"].equals(digests)


def test_rows_of_a_table_have_no_file_to_name(tmp_path, run_ingest):
    folder = tmp_path / "a"
    folder.mkdir()
    (folder / "t.csv").write_text("image,patient\n0.png,a\n1.png,b\n")
    (folder / "mapping.yaml").write_text("table: t.csv\ncolumns: {image: image, patient_id: patient}\n")
    whole = shard_rows.ShardRows.frame

    def second_is_unusable(self: shard_rows.ShardRows, position: int, *rest: Any) -> None:
        if position == 1:
            raise Unusable("header", "not_chest", "A reason.")
        whole(self, position, *rest)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shard_rows.ShardRows, "frame", second_is_unusable)
        workspace, summary = run_ingest(folder, tmp_path / "w", SMALL, name="a", metadata_only=True)
    assert (summary.seen, summary.kept, summary.rejected) == (2, 1, 1)
    assert (
        rejected_paths(workspace, "a", select(workspace, "reports/rejected_files", archive="a"))[0]
        == "  not_chest: row 1 of the table: A reason."
    )
    with pytest.raises(UserError, match="from a table only"):
        locate(workspace, Images.read(workspace.parts("a", "images"))["image_key"][0])


def test_a_table_row_without_a_file_is_told_though_other_files_have_no_row(tmp_path, run_ingest, chest_picture):
    folder = tmp_path / "a"
    folder.mkdir()
    for number in range(4):
        cv2.imwrite(str(folder / f"{number}.png"), (chest_picture(number) >> 4).astype(np.uint8))
    (folder / "t.csv").write_text("image,patient\n0.png,a\n1.png,b\n8.png,c\n")
    (folder / "mapping.yaml").write_text("table: t.csv\ncolumns: {image: image, patient_id: patient}\n")
    _, summary = run_ingest(folder, tmp_path / "w", SMALL, name="a")
    assert (summary.kept, summary.rejected, summary.rows_without_file) == (2, 2, 1)
    assert any("1 table row without a file" in line for line in summary.lines())


def test_rejected_files_are_listed_once_with_a_command_that_works(tmp_path, run_ingest, make_dicom):
    folder, root = tmp_path / "a", tmp_path / "my work"
    make_dicom(folder / "0.dcm", number=0)
    make_dicom(folder / "1.dcm", number=1, SOPInstanceUID="1.2.3.0")
    make_dicom(folder / "many.dcm", number=2, Modality="MR", NumberOfFrames=3)
    (folder / "two\nlines.dcm").write_text("no DICOM")
    workspace, _ = run_ingest(folder, root, SMALL, name="a")
    said = rejected_paths(workspace, "a", select(workspace, "reports/rejected_files", archive="a"))
    assert sum("many.dcm" in line for line in said) == 1
    assert any("uid_reused" in line and "1.dcm" in line for line in said)
    assert any(r"two\nlines.dcm" in line for line in said)
    assert f"--workspace '{root}'" in said[-1]
