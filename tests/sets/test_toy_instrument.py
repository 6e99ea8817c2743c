"""A third instrument needs no edit of the program: a toy in a module of its own, from cohort to read."""

import json
import subprocess
import sys
import time

import numpy as np
import polars as pl
import pytest

import xray_mining
from xray_mining.catalog.merge import merge
from xray_mining.catalog.part_files import state_of_folders
from xray_mining.errors import CannotFinish
from xray_mining.pixels.store import PixelStore
from xray_mining.sets.measure import Wanted, measure
from xray_mining.sets.measured import find_set, frame_of
from xray_mining.workspace import opened, write_json

PROGRAM = """
import sys
from pathlib import Path
from toy_greys import Toy
from xray_mining.records.cohort import FrozenCohort
from xray_mining.sets.measure import measure
from xray_mining.workspace import Workspace

workspace = Workspace.open(Path(sys.argv[1]))
toy = Toy(die_at=int(sys.argv[2]), wait_s=float(sys.argv[3]))
print(measure(workspace, FrozenCohort.load(workspace, "everybody"), "g", toy).lines()[0])
"""


def program(workspace, toy, *given):
    folder = toy.__file__.rpartition("/")[0]
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(workspace.root), *map(str, given)],
        env={"PYTHONPATH": folder, "PATH": "/usr/bin:/bin"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wanted(workspace, toy, **options):
    return Wanted(workspace, "g", toy.Toy(**options), workspace.settings.store)


@pytest.mark.parametrize("jobs", [1, 2])
def test_from_cohort_to_read(workspace, cohort, toy, jobs):
    made = measure(workspace, cohort, "g", toy.Toy(), jobs=jobs)
    assert (made.kind, made.images, made.measured, made.kept, made.columns, made.failed) == ("greys", 24, 24, 0, 2, 1)
    assert made.lines()[1] == f"{made.set}: 1 could not be measured: the picture is flat"
    keys = cohort.members()["image_key"].to_list()
    pictures = PixelStore.open(workspace).read(keys)
    found = wanted(workspace, toy).read(keys[::-1])[::-1]
    flat = np.isnan(found[:, 0])
    assert flat.sum() == 1 and np.ptp(pictures[flat]) == 0
    assert np.array_equal(found[~flat, 0], pictures[~flat].mean((1, 2)))
    again = measure(workspace, cohort, "g", toy.Toy())
    assert (again.measured, again.kept, again.failed) == (0, 24, 1), "what failed is not tried again"
    failures = find_set(workspace, "greys", "g").failures()
    assert failures.rows() == [(keys[int(np.flatnonzero(flat)[0])], "the picture is flat")]
    frame = frame_of(workspace, "greys", "g")
    assert frame.columns == ["image_key", "mean", "bright"] and frame.height == 23
    merge(workspace)
    told = xray_mining.open(workspace.root).sql("select set, kind, images, failed, units from vector_sets")
    assert told.rows() == [(made.set, "greys", 23, 1, ["", "px"])]


def test_an_infinite_number_is_a_failure(workspace, cohort, toy, monkeypatch):
    plain = toy.Toy.measure

    def measure_with_infinity(self, pictures, boxes):
        found = plain(self, pictures, boxes)
        found[found[:, 1] == found[:, 1].max(), 1] = np.inf
        return found

    monkeypatch.setattr(toy.Toy, "measure", measure_with_infinity)
    made = measure(workspace, cohort, "g", toy.Toy())
    assert made.reasons["a number is infinite"] >= 1 and made.failed == 1 + made.reasons["a number is infinite"]
    read = wanted(workspace, toy).read(cohort.members()["image_key"].to_list())
    assert np.isnan(read).all(axis=1).sum() == made.failed and not np.isinf(read).any()


def test_an_open_session_sees_a_set_of_a_new_kind(workspace, cohort, toy, monkeypatch):
    # Folders count as settled at once: a state shortly after a change equals no other, and would hide the mistake.
    monkeypatch.setattr(opened, "_SETTLED_NS", 0)
    merge(workspace)
    with xray_mining.open(workspace.root) as work:
        assert work.sql("select set from vector_sets").height == 0
        assert state_of_folders(workspace, "results") == state_of_folders(workspace, "results")
        # Without `measure`, which also writes a part of the ledger, whose folder is watched.
        made = wanted(workspace, toy).fill(cohort.members()["image_key"].to_list())
        assert work.sql("select set, images from vector_sets").rows() == [(made.set, 23)]


def test_a_part_may_hold_failures_alone_and_changed_pictures_are_a_set_of_their_own(workspace, cohort, toy):
    keys = cohort.members()["image_key"].to_list()
    [flat] = [key for key, each in zip(keys, PixelStore.open(workspace).read(keys), strict=True) if np.ptp(each) == 0]
    alone = wanted(workspace, toy).fill([flat])
    assert (alone.images, alone.failed, alone.reasons) == (1, 1, {"the picture is flat": 1})
    others = [key for key in keys if key != flat]
    store = workspace.settings.store
    sharp = Wanted(workspace, "g", toy.Toy(), store, "sharpened")
    assert sharp.fill(others).measured == 23
    assert wanted(workspace, toy).fill(others).measured == 23
    assert not np.array_equal(sharp.read(others), wanted(workspace, toy).read(others))


def test_shards_of_a_cohort(workspace, cohort, toy):
    assert measure(workspace, cohort, "g", toy.Toy(), shards=(1, 9)).images == 0
    assert measure(workspace, cohort, "g", toy.Toy(), shards=(0, 1)).measured == 24


def test_other_options_code_and_versions_are_another_set(workspace, cohort, toy, monkeypatch):
    first = measure(workspace, cohort, "g", toy.Toy())
    assert not first.anew
    assert wanted(workspace, toy, limit=100).name != first.set
    from xray_mining.sets import code
    from xray_mining.sets import measure as measuring

    monkeypatch.setattr(measuring, "versions_of", lambda packages: {"numpy": "9.9"})
    other = measure(workspace, cohort, "g", toy.Toy())
    assert f"; measured anew, because numpy is 9.9 instead of {np.__version__} since {first.set}" in other.lines()[0]
    assert find_set(workspace, "greys", "g").name == other.set
    monkeypatch.undo()
    monkeypatch.setattr(measuring, "digest_of_code", lambda sources: "f" * 32)
    third = measure(workspace, cohort, "g", toy.Toy())
    assert third.measured == 24
    # The name that sorts last is given as the reason; it is not always that with the same versions.
    assert third.anew.startswith("measured anew, because ")
    assert f" since {sorted([first.set, other.set])[-1]}, which is kept and no longer used" in third.anew
    assert find_set(workspace, "greys", first.set).name == first.set
    assert code.digest_of_code(("toy_greys:measured",)) != "f" * 32


def test_other_inputs_are_not_called_other_code(workspace, cohort, toy, monkeypatch):
    monkeypatch.setattr(toy.Toy, "inputs", {"masks": "a" * 32})
    first = measure(workspace, cohort, "g", toy.Toy())
    monkeypatch.setattr(toy.Toy, "inputs", {"masks": "b" * 32})
    other = measure(workspace, cohort, "g", toy.Toy())
    assert other.anew == (
        f"measured anew, because input masks has changed since {first.set}, which is kept and no longer used"
    )
    from xray_mining.sets import measure as measuring

    monkeypatch.setattr(measuring, "digest_of_code", lambda sources: "f" * 32)
    third = measure(workspace, cohort, "g", toy.Toy())
    latest = sorted([first.set, other.set])[-1]
    both = "input masks has changed and the code that measures has changed"
    assert (both if latest == first.set else "because the code that measures has changed") in third.anew


def test_a_killed_process_is_one_sentence(workspace, cohort, toy):
    with pytest.raises(
        CannotFinish, match="greys: a measuring process was killed, most often because memory was short"
    ):
        wanted(workspace, toy, die_at=0).fill(cohort.members()["image_key"].to_list(), jobs=2)
    assert wanted(workspace, toy).fill(cohort.members()["image_key"].to_list()).failed == 1


def test_a_damaged_description_stops_neither_its_own_set_nor_another(workspace, cohort, toy):
    made = measure(workspace, cohort, "g", toy.Toy())
    own = workspace.measured("greys", made.set) / "set.json"
    whole = own.read_text()
    other = own.parent.parent / "g-0123456789ab/set.json"
    other.parent.mkdir()
    for damaged in (whole[:-9], "", "[]", "{}"):
        own.write_text(damaged)
        other.write_text(damaged)
        again = measure(workspace, cohort, "g", toy.Toy())
        assert (again.set, again.measured, again.kept) == (made.set, 0, 24)
        assert own.read_text() == whole


def test_a_set_of_an_earlier_version_is_measured_anew_with_a_sentence(workspace, cohort, toy):
    old = workspace.measured("greys", "g-0123456789ab")
    write_json(
        {
            "set": old.name, "kind": "greys", "store": workspace.settings.store, "mask_set": "", "columns": ["mean"],
            "units": [""], "images": 24, "options": json.dumps({"limit": 200}),
        },
        old / "set.json",
    )  # fmt: skip
    (old / "parts").mkdir()
    pl.DataFrame({"image_key": ["a"], "mean": [1.0]}).write_parquet(old / "parts/0.parquet")
    with pytest.raises(
        xray_mining.errors.UserError, match="g-0123456789ab: is not measured yet, or was measured by an"
    ):
        frame_of(workspace, "greys", old.name)
    made = measure(workspace, cohort, "g", toy.Toy())
    assert made.measured == 24
    assert made.anew == (
        "measured anew, because xray-mining did not note then what it measured with since g-0123456789ab, which is "
        "kept and no longer used"
    )
    assert frame_of(workspace, "greys", "g").height == 23


def test_a_kill_leaves_a_set_that_can_be_read_and_goes_on(workspace, cohort, toy):
    killed = program(workspace, toy, 13, 0)
    killed.communicate()
    assert killed.returncode == -9
    made = wanted(workspace, toy).open()
    keys = cohort.members()["image_key"].to_list()
    missing = made.missing(keys)
    assert len(missing) == 14, "two parts of five were written, and the third was lost"
    there = [key for key in keys if key not in missing]
    assert np.nanmax(made.read(there)) > 0
    (scratch := made.folder / "parts" / ".x.npy.00000000.1.partial").write_bytes(b"half")
    assert wanted(workspace, toy).fill(keys).measured == 14
    assert wanted(workspace, toy).read(keys).shape == (24, 2)
    assert scratch.exists(), "another machine's scratch file may be in use"


def test_two_commands_at_once_measure_each_picture_once(workspace, cohort, toy, capfd):
    keys = cohort.members()["image_key"].to_list()
    first = program(workspace, toy, -1, 0.1)
    while not (wanted(workspace, toy).open().folder / "parts").is_dir():
        time.sleep(0.01)
    second = wanted(workspace, toy).fill(keys)
    assert (second.images, second.measured) == (24, 0)
    assert f"another command measures these radiographs (process {first.pid}); waiting" in capfd.readouterr().err
    assert "24 measured now" in first.communicate()[0]
