"""Disks that fill up or refuse, readers beside an ingest, and two merges at once."""

import fcntl
import json
import os
import resource
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import polars as pl
import pytest

from xray_mining.archive.sources.folder import FolderSource
from xray_mining.catalog.merge import merge
from xray_mining.catalog.query import sql
from xray_mining.errors import CannotFinish
from xray_mining.ingest.ingest import IngestRequest, ingest
from xray_mining.ingest.options import GreyOptions, IngestOptions
from xray_mining.ingest.shards import folder_of
from xray_mining.pixels.store import PixelStore
from xray_mining.workspace import Workspace, lock_slices

XRAY_MINING = Path(sys.executable).with_name("xray-mining")
OPTIONS = IngestOptions(grey=GreyOptions(side_px=256), shard_files=5, near_duplicates=False)


@pytest.fixture(scope="module")
def archive(tmp_path_factory, make_dicom) -> Path:
    folder = tmp_path_factory.mktemp("archive")
    for number in range(20):
        make_dicom(folder / f"{number:02d}", number=number)
    return folder


@pytest.fixture(scope="module")
def whole(archive, tmp_path_factory) -> Workspace:
    """The workspace of an undisturbed run."""
    workspace = Workspace.create(tmp_path_factory.mktemp("whole") / "w")
    ingest(workspace, IngestRequest(FolderSource(archive), name="a", jobs=1), OPTIONS)
    merge(workspace)
    return workspace


def state_of(workspace: Workspace) -> tuple[str, bytes]:
    store = PixelStore.open(workspace)
    return merge(workspace).catalog_digest, store.read(store.frame["image_key"]).tobytes()


def call(*words: object, **options: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(XRAY_MINING), *map(str, words)], capture_output=True, text=True, check=False, **options)


def refused(said: subprocess.CompletedProcess[str], word: str) -> None:
    """Status 3 and one sentence that says what to do, without a traceback."""
    assert said.returncode == 3, said.stderr
    lines = said.stderr.strip().splitlines()
    assert len(lines) == 1, said.stderr
    assert word in lines[0]
    assert "repeat" in lines[0]


@contextmanager
def small_disk(place: Path, size: str) -> Iterator[None]:
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(place)], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip("mounting a small disk needs root and the right to mount; the test of file sizes stands in for it")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(place)], check=False)


def remount(place: Path, how: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{how}", str(place)], check=True)


def test_a_disk_that_is_full_again_and_again_costs_nothing_that_was_done(archive, whole, tmp_path):
    place = tmp_path / "disk"
    refusals, done = 0, {}
    with small_disk(place, "40k"):
        for size in ("40k", "200k", "500k", "900k", "1500k", "3m", "30m"):
            remount(place, f"size={size}")
            try:
                workspace = Workspace.create(place / "w")
                keys = workspace.private / "keys"
                if not keys.exists():
                    shutil.copytree(whole.private / "keys", keys)
                ingest(workspace, IngestRequest(FolderSource(archive), name="a", jobs=1), OPTIONS)
                merge(workspace)
            except CannotFinish as error:
                refusals += 1
                assert "\n" not in str(error)
                assert str(place) not in str(error)
            except OSError:
                # Copying the keys is this test's own work.
                shutil.rmtree(place / "w.private", ignore_errors=True)
                continue
            assert not list(place.rglob("*.partial"))
            for path, before in done.items():
                assert path.stat().st_mtime_ns == before, "a finished shard was done again"
            counts = (place / "w/parts/a/shards").glob("*.json")
            images = [
                place / "w/parts/a/images" / f"{json.loads(path.read_text())['shard']:05d}.parquet" for path in counts
            ]
            assert all(pl.read_parquet(path).height == 5 for path in images)
            done = {path: path.stat().st_mtime_ns for path in images}
        assert refusals >= 3
        assert len(done) == 4
        assert state_of(Workspace.open(place / "w")) == state_of(whole)


@pytest.mark.parametrize("limit", [100_000, 600_000])
def test_a_file_that_cannot_grow_is_one_sentence_and_the_next_run_ends_alike(archive, whole, tmp_path, limit):
    """Without root: the raw pictures, or the catalog, meet the largest size a file may have."""
    words = ("ingest", archive, "--name", "a", "--jobs", "1", "--workspace", tmp_path / "w", "--side-px", "128")
    words = (*words, "--key", whole.private / "keys/a.key")
    refused(call(*words, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))), "written")
    assert not list((tmp_path / "w").rglob("*.partial"))
    parts = list((tmp_path / "w/parts/a/images").glob("*.parquet"))
    assert len(parts) == (1 if limit > 128 * 128 * 20 else 0)
    said = call(*words, "--json")
    assert said.returncode == 0, said.stderr
    assert json.loads(said.stdout)["shards_now"] == 1 - len(parts)
    ours, theirs = (
        sql(each, "select image_key::varchar as k, pixel_digest::varchar as d from images order by k")
        for each in (Workspace.open(tmp_path / "w"), whole)
    )
    assert ours.equals(theirs)


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """`folder`, a mounted one for root, whom permissions do not stop, is read-only while the block runs."""
    if os.geteuid() == 0:
        remount(folder, "ro")
        yield
        remount(folder, "rw")
        return
    modes = {path: path.stat().st_mode for path in [folder, *folder.rglob("*")]}
    for path, mode in modes.items():
        path.chmod(mode & 0o555)
    try:
        yield
    finally:
        for path, mode in modes.items():
            path.chmod(mode)


def test_a_read_only_workspace_is_one_sentence_and_can_be_asked(archive, tmp_path):
    place = tmp_path / "disk"
    with small_disk(place, "60m"):
        words = ("ingest", archive, "--name", "a", "--jobs", "1", "--side-px", "64", "--workspace", place / "w")
        assert call(*words).returncode == 0
        before = state_of(Workspace.open(place / "w"))
        with read_only(place):
            refused(call(*words), "Read-only")
            refused(call(*words[:-1], place / "new"), "Read-only")
            assert sql(Workspace.open(place / "w"), "select count(*) as n from images")["n"][0] == 20
        assert state_of(Workspace.open(place / "w")) == before
        said = call(*words, "--json")
        assert (said.returncode, json.loads(said.stdout)["shards_now"]) == (0, 0)


def test_readers_work_while_an_ingest_runs(archive, tmp_path, make_dicom):
    root = tmp_path / "w"
    first = call("ingest", archive, "--name", "a", "--jobs", "1", "--side-px", "64", "--workspace", root)
    assert first.returncode == 0, first.stderr
    for number in range(100, 140):
        make_dicom(tmp_path / "b" / f"{number}", number=number)
    words = ("ingest", tmp_path / "b", "--name", "b", "--jobs", "1", "--side-px", "64", "--workspace", root)
    running = subprocess.Popen(
        [str(XRAY_MINING), *map(str, words)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    seen = []
    while running.poll() is None:
        seen.append(sql(Workspace.open(root), "select count(*) as n from images")["n"][0])
        time.sleep(0.02)
    assert running.returncode == 0
    seen.append(sql(Workspace.open(root), "select count(*) as n from images")["n"][0])
    assert len(seen) > 10
    assert seen == sorted(seen)
    assert (seen[0], seen[-1]) == (20, 60)


def test_a_second_ingest_of_an_archive_waits_and_names_the_first(archive, tmp_path):
    words = [str(XRAY_MINING), "ingest", str(archive), "--name", "a", "--workspace", str(tmp_path / "w")]
    held = folder_of(Workspace.create(tmp_path / "w"), "a") / "ingest.lock"
    script = (
        "import sys, time; from pathlib import Path; from xray_mining.workspace import lock_slices\n"
        "with lock_slices(Path(sys.argv[1]), None, 'test'): print('held', flush=True); time.sleep(60)"
    )
    first = subprocess.Popen([sys.executable, "-c", script, str(held)], stdout=subprocess.PIPE, text=True)
    assert first.stdout is not None and first.stdout.readline() == "held\n"
    second = subprocess.Popen([*words, "--jobs", "1"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert second.stderr is not None
    said = second.stderr.readline()
    assert said == f"archive a: another ingest of it is running (process {first.pid}); waiting until it has ended\n"
    assert second.poll() is None
    first.kill()  # the lock goes with its process
    first.communicate()
    out, _ = second.communicate(timeout=60)
    assert second.returncode == 0 and "20 seen = 20 kept" in out


def test_jobs_with_other_shards_work_side_by_side(tmp_path):
    script = (
        "import sys; from pathlib import Path; from xray_mining.workspace import lock_slices\n"
        "first, last = map(int, sys.argv[2:])\n"
        "with lock_slices(Path(sys.argv[1]), (first, last), 'test'): print('held', flush=True); sys.stdin.read()"
    )

    def job(first: int, last: int) -> "subprocess.Popen[str]":
        words = [sys.executable, "-c", script, str(tmp_path / "ingest.lock"), str(first), str(last)]
        return subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    jobs = [job(0, 4), job(4, 8)]
    assert [each.stdout.readline() for each in jobs if each.stdout] == ["held\n", "held\n"]
    third = job(3, 5)
    assert third.stderr is not None and "waiting until it has ended" in third.stderr.readline()
    for each in [*jobs, third]:
        each.communicate("", timeout=60)
    assert third.returncode == 0


def test_threads_of_one_process_exclude_each_other_and_keep_the_lock(tmp_path):
    path, inside, most = tmp_path / "lock", [], []

    def work(number: int) -> None:
        with lock_slices(path, (number, number + 1), "test"):
            inside.append(number)
            most.append(len(inside))
            time.sleep(0.05)
            inside.remove(number)

    held, first_out = threading.Event(), threading.Event()

    def hold() -> None:
        with lock_slices(path, None, "test"):
            held.set()
            first_out.wait(30)

    holder = threading.Thread(target=hold)
    holder.start()
    held.wait(30)
    others = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for each in others:
        each.start()
    script = (
        "import fcntl, sys\n"
        "try: fcntl.lockf(open(sys.argv[1], 'a'), fcntl.LOCK_EX | fcntl.LOCK_NB); print('free')\n"
        "except OSError: print('held')"
    )
    said = subprocess.run([sys.executable, "-c", script, path], capture_output=True, text=True, check=True).stdout
    assert said == "held\n" and not most
    first_out.set()
    for each in [holder, *others]:
        each.join(30)
    assert most == [1, 1, 1, 1]


def test_a_second_merge_waits_and_says_so(whole):
    # Where nothing is to be merged there is nothing to wait for.
    whole.results.unlink()
    with (whole.root / ".merge.lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        waiting = subprocess.Popen(
            [str(XRAY_MINING), "merge", "--workspace", str(whole.root)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert waiting.stderr is not None
        assert "another command holds this lock; waiting for it" in waiting.stderr.readline()
        assert waiting.poll() is None
    waiting.communicate(timeout=60)
    assert waiting.returncode == 0
