"""The workspace: whole files, digests of values, refusals in one sentence."""

import json

import polars as pl
import pytest
from pydantic import BaseModel

from xray_mining.errors import CannotFinish, UserError
from xray_mining.workspace import Workspace, checked, digest_of_frame, lock, write_atomically


def test_a_folder_that_is_no_workspace_is_refused(tmp_path):
    with pytest.raises(UserError, match="is not a workspace"):
        Workspace.open(tmp_path)
    (tmp_path / "holiday.txt").write_text("x")
    with pytest.raises(UserError, match="not empty"):
        Workspace.create(tmp_path)


def test_a_workspace_of_another_format_is_refused(tmp_path):
    workspace = Workspace.create(tmp_path / "w")
    (workspace.root / "workspace.yaml").write_text("format_version: 99\n")
    with pytest.raises(UserError, match="format version 99"):
        Workspace.open(tmp_path / "w")


def test_the_private_folder_is_for_its_owner_only(tmp_path):
    private = Workspace.create(tmp_path / "w").private
    assert private.name == "w.private"
    assert private.stat().st_mode & 0o777 == 0o700


def test_a_write_that_fails_leaves_the_old_file(tmp_path):
    target = tmp_path / "part.json"
    target.write_text("old")
    with pytest.raises(ZeroDivisionError), write_atomically(target) as scratch:
        scratch.write_text("half")
        raise ZeroDivisionError
    assert target.read_text() == "old"
    assert [each.name for each in tmp_path.iterdir()] == ["part.json"]


def test_a_full_disk_is_one_sentence(tmp_path):
    with (
        pytest.raises(CannotFinish, match=r"part\.json: could not be written"),
        write_atomically(tmp_path / "part.json"),
    ):
        raise OSError(28, "No space left on device")


def test_the_digest_of_a_frame_knows_values_only():
    frame = pl.DataFrame({"b": [2.0, 1.0, None], "a": ["x", "y", None], "c": [[1], [2, 3], None]})
    shuffled = pl.concat([frame[2:], frame[:2]]).select("c", "a", "b")
    assert digest_of_frame(frame) == digest_of_frame(shuffled)
    assert digest_of_frame(frame) != digest_of_frame(frame.with_columns(b=pl.lit(0.0)))
    assert digest_of_frame(frame) != digest_of_frame(frame.with_columns(pl.col("a").fill_null("")))


def test_a_held_lock_is_said(tmp_path):
    with (
        lock(tmp_path / "lock"),
        pytest.raises(CannotFinish, match="holds this lock"),
        lock(tmp_path / "lock", wait=False),
    ):
        pass


def test_a_misspelt_key_names_the_nearest():
    class Inner(BaseModel, extra="forbid"):
        side_px: int = 1

    class Outer(BaseModel, extra="forbid"):
        grey: Inner = Inner()

    with pytest.raises(UserError, match=r"study\.yaml: 'grey\.side_pixels' is not a known key; did you mean 'side_px'"):
        checked(Outer, json.loads('{"grey": {"side_pixels": 3}}'), "study.yaml")
