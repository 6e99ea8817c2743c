"""The workspace: whole files, digests of values, refusals in one sentence."""

import json

import polars as pl
import pytest
from pydantic import BaseModel

from xray_mining.errors import CannotFinish, UserError
from xray_mining.workspace import (
    Workspace,
    checked,
    digest_of_frame,
    load_yaml,
    lock,
    read_yaml,
    write_atomically,
)


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


class _Labels(BaseModel, extra="forbid"):
    values: dict[str, float] = {}
    column: str = ""


class _Mapping(BaseModel, extra="forbid"):
    labels: dict[str, _Labels] = {}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("labels: {}\nlabels: {}\n", r"the key 'labels' is given twice \(lines 1 and 2\)"),
        ("labels:\n  a: {values: {x: 1, x: 2}}\n", r"the key 'x' is given twice \(line 2\)"),
        ("labels:\n  yes: {}\n  'yes': {}\n", r"the key 'yes' is given twice \(lines 2 and 3\)"),
        (
            "labels:\n  a: {colum: b}\n",
            r"'labels\.a\.colum' is not a known key; did you mean 'column'\? \(known here: ",
        ),
        ("labels:\n  a: {zzz: b}\n", r"'labels\.a\.zzz' is not a known key \(known here: column, values\)"),
        (
            "labels:\n  a: {column: no}\n",
            r"'labels\.a\.column': YAML reads this as False, not as text; put it in quotes",
        ),
        ("labels: [\n", r"is not valid YAML near line 2"),
    ],
)
def test_what_is_wrong_in_a_yaml_file_is_named(tmp_path, text, words):
    (tmp_path / "m.yaml").write_text(text)
    with pytest.raises(UserError, match=words) as refused:
        read_yaml(_Mapping, tmp_path / "m.yaml")
    assert "\n" not in str(refused.value)


def test_keys_of_a_yaml_file_are_text_as_they_are_written(tmp_path):
    text = "base: &base {a: 1, b: 2}\nlabels: {yes: 1, No: 0, on: 2, 01: 3, 1.0: 4, null: 5, maybe: -1}\n"
    (tmp_path / "m.yaml").write_bytes(text.encode("utf-8-sig") + b"merged:\n  <<: *base\n  b: 3\n")
    found = load_yaml(tmp_path / "m.yaml")
    assert found["labels"] == {"yes": 1, "No": 0, "on": 2, "01": 3, "1.0": 4, "null": 5, "maybe": -1}
    assert found["merged"] == {"a": 1, "b": 3}


def test_a_yaml_file_that_is_not_there_or_in_another_encoding_says_so(tmp_path):
    with pytest.raises(UserError, match=r"m\.yaml: is missing"):
        load_yaml(tmp_path / "m.yaml")
    (tmp_path / "m.yaml").write_bytes("labels: {größe: {}}\n".encode("latin-1"))
    with pytest.raises(UserError, match=r"m\.yaml: is not text in UTF-8"):
        load_yaml(tmp_path / "m.yaml")
