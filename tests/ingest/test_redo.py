"""An archive that changes, and runs that are killed: the accounts hold and no key gets a wrong picture."""

import random
import shutil
from contextlib import suppress
from dataclasses import replace

import numpy as np
import pytest
from redo_pieces import (  # noqa: F401  fixtures
    FRAMES,
    OTHER,
    SMALL,
    UNTOLD,
    Killed,
    _in_this_process,
    archive,
    contents,
    key,
    killed,
    killed_after,
    pictures_of,
    rows_of,
    truth,
)

from xray_mining.archive.sources.folder import FolderSource
from xray_mining.cli import ingest as _commands  # noqa: F401  registers them
from xray_mining.ingest.ingest import IngestRequest, ingest
from xray_mining.ingest.summary import status_of
from xray_mining.pixels.store import PixelStore
from xray_mining.records.images import Images
from xray_mining.records.rejects import Rejects
from xray_mining.workspace import Workspace


@pytest.mark.parametrize("seed", [0, 1, 2, *(pytest.param(each, marks=pytest.mark.soak) for each in range(3, 30))])
def test_accounts_hold_and_what_was_kept_stays_in_any_order_of_what_may_happen(
    archive, truth, key, tmp_path, run_ingest, seed
):
    rng = random.Random(seed)
    options = SMALL
    state = dict.fromkeys(archive.contents, "there")
    content = dict.fromkeys(archive.contents, 0)
    """The version whose rows are to be found, where they are."""
    lost: set[str] = set()
    """Files that changed before another store was asked for: nothing of them may stand there."""
    run_ingest(archive.folder, tmp_path / "w", options, name="a", domain="d", key_file=key)
    doings = ["vanish", "change", "return", "restore", "table", "topcode", "grey", "again", "jobs", "kill", "none"]
    for _ in range(12):
        doing, name = rng.choice(doings), rng.choice(sorted(archive.contents))
        request: dict[str, object] = {}
        if doing == "vanish" and state[name] != "vanished":
            (archive.folder / name).unlink()
            state[name] = "vanished"
        elif doing == "change" and state[name] != "vanished":
            archive.put(name, 1 - content[name])
            state[name] = "changed"
        elif doing in ("return", "restore") and state[name] == ("vanished" if doing == "return" else "changed"):
            archive.put(name, content[name])
            state[name] = "there"
        elif doing == "table":
            archive.age += 1
            archive.write_table()
        elif doing == "topcode":
            options = options.model_copy(update={"topcode_age": not options.topcode_age})
        elif doing == "grey":
            options = options.model_copy(update={"grey": OTHER if options.grey == SMALL.grey else SMALL.grey})
            lost |= {each for each in state if state[each] == "changed"}
        elif doing == "again":
            request["again"] = True
        if doing == "kill":
            # In the middle of a redo: at any step of putting parts in place, or before.
            archive.age += 1
            archive.write_table()
            request_to_kill = IngestRequest(FolderSource(archive.folder), name="a", jobs=1)
            with killed_after(rng.randrange(20)), suppress(Killed):
                ingest(Workspace.open(tmp_path / "w"), request_to_kill, options)
        if doing == "jobs":
            archive.age += 1
            archive.write_table()
            for job in range(2):
                run_ingest(archive.folder, tmp_path / "w", options, name="a", shards=(job, job + 1))
        workspace, summary = run_ingest(archive.folder, tmp_path / "w", options, name="a", **request)
        if request:
            # Read anew: what is there now is what is to be kept.
            for each in state:
                if state[each] == "changed":
                    content[each], state[each] = 1 - content[each], "there"
            lost &= {each for each in state if state[each] != "there"}
        where = (seed, doing, name, state, lost)

        raw = [Images.read(workspace.parts("a", "images")), Rejects.read(workspace.parts("a", "rejects"))]
        assert summary.seen == sum(frame.height for frame in raw), where
        assert summary.seen == summary.kept + summary.duplicate + summary.rejected
        assert (summary.shards_done, status_of(workspace).archives[0].outdated) == (3, 0), where
        for each, (images, rejects) in rows_of(workspace).items():
            frames = FRAMES.get(each, 1)
            about = (*where, each, rejects.to_dicts())
            if each == UNTOLD:
                expected = {
                    "there": ["not_in_table"],
                    "vanished": ["not_in_table"],
                    "changed": ["changed", "not_in_table"],
                }
                assert images.height == 0, about
                assert sorted(rejects["reason"]) == expected[state[each]], about
                continue
            kept = images.height > 0
            if state[each] == "there" or each not in lost:
                assert kept, about
            if kept:
                assert images["frame"].to_list() == list(range(frames)), about
                assert images["pixel_digest"].to_list() == truth[each, content[each]], about
                assert rejects["reason"].to_list() == (["changed"] if state[each] == "changed" else []), about
                pictures = pictures_of(workspace, images["image_key"].to_list())
                expected = truth[each, content[each], options.grey.side_px]
                if state[each] == "vanished":
                    assert all(one in (None, other) for one, other in zip(pictures, expected, strict=True)), about
                else:
                    assert pictures == expected, about
            else:
                # One row for the file: nothing of it stands in this store.
                assert rejects.height == 1 and rejects["reason"][0] in ("changed", "gone"), about
            if state[each] == "there":
                age = (90 if options.topcode_age else 95) if each == "0.dcm" else archive.age
                assert images["age_years"].to_list() == [age] * frames, about
        if options.topcode_age:
            assert raw[0]["age_years"].max() <= 90, where


def test_a_run_killed_at_any_step_of_a_redo_leaves_no_key_with_a_wrong_picture(tmp_path, make_dicom):
    folder = tmp_path / "a"
    for number in range(3):
        make_dicom(folder / f"{number}", number=number)
    whole, request = Workspace.create(tmp_path / "whole"), IngestRequest(FolderSource(folder), name="a", jobs=1)
    options = SMALL.model_copy(update={"shard_files": 2})
    ingest(whole, request, options)
    before = PixelStore.open(whole)
    keys = before.frame.sort("shard", "offset")["image_key"]
    pictures = before.read(keys)
    (folder / "0").write_text("no picture any more: what follows moves up in the raw file")
    steps = 0
    for steps in range(30):
        root = shutil.copytree(whole.root, tmp_path / f"{steps}" / "w")
        shutil.copytree(whole.private, root.with_name("w.private"))
        workspace = Workspace.open(root)
        ended = False
        with killed_after(steps), suppress(Killed):
            ingest(workspace, replace(request, again=True), options)
            ended = True
        if ended:
            break
        store = PixelStore.open(workspace)
        there = store.has(keys)
        # One shard at most is on its way.
        assert there[2] or there[1]
        assert np.array_equal(store.read(keys.filter(there)), pictures[there]), steps
        # Not --again: the next run goes on with what the killed one was to do.
        ingest(workspace, request, options)
        assert PixelStore.open(workspace).has(keys).tolist() == [False, True, True]
        assert np.array_equal(PixelStore.open(workspace).read(keys[1:]), pictures[1:])
        assert not [path for path in root.rglob("staged/**/*") if path.is_file()]
        assert Rejects.read(workspace.parts("a", "rejects"))["reason"].to_list() == ["not_dicom"]
    assert 14 <= steps < 29
