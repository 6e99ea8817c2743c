"""Packed files over several shards: gone through once and forwards, also where names repeat or are in no order."""

import gc
import io
import os
import tarfile
import tracemalloc
import warnings
import zipfile
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from xray_mining.archive.listing import Reader, walk
from xray_mining.archive.radiograph import Unusable
from xray_mining.archive.sources.folder import FolderSource
from xray_mining.ingest import shards
from xray_mining.ingest.hints import HINTS
from xray_mining.ingest.options import GreyOptions, IngestOptions

OPTIONS = IngestOptions(grey=GreyOptions(side_px=64), shard_files=2, near_duplicates=False)
ORDER = [3, 0, 5, 1, 4, 2]


def pack(path: Path, members: list[tuple[str, bytes]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".zip":
        with warnings.catch_warnings(), zipfile.ZipFile(path, "w") as packed:
            # That names repeat is what it is made for.
            warnings.simplefilter("ignore")
            for name, data in members:
                packed.writestr(name, data)
        return path
    how = {".tar": "w", ".tgz": "w:gz", ".tbz2": "w:bz2", ".txz": "w:xz"}.get(path.suffix) or f"w:{path.suffix[1:]}"
    with tarfile.open(path, how) as packed:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            packed.addfile(info, io.BytesIO(data))
    return path


@pytest.mark.parametrize("name", ["p.tar.gz", "p.tar"])
def test_a_package_of_several_shards_is_opened_once_by_a_worker(tmp_path, make_dicom, run_ingest, monkeypatch, name):
    members = [(f"m{n}", make_dicom(tmp_path / "made" / f"{n}", number=n).read_bytes()) for n in ORDER]
    pack(tmp_path / "a" / name, members)
    (tmp_path / "sitecustomize.py").write_text(
        "import sys, tarfile\n"
        "if 'workers import serve' in ' '.join(sys.orig_argv):\n"
        "    whole, step = tarfile.open, tarfile.TarFile.next\n"
        "    def say(what):\n"
        f"        with open({str(tmp_path / 'said')!r}, 'a') as said: said.write(what)\n"
        "    def opened(*args, **kwargs):\n"
        "        say('o')\n"
        "        return whole(*args, **kwargs)\n"
        "    def next_of(self):\n"
        "        say('.')\n"
        "        return step(self)\n"
        "    tarfile.open, tarfile.TarFile.next = opened, next_of\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    workspace, summary = run_ingest(tmp_path / "a", tmp_path / "w", OPTIONS, name="a")
    assert (summary.kept, summary.shards) == (6, 3)
    said = (tmp_path / "said").read_text()
    # The first header is read when the package is opened, by each kind of tar that is tried.
    assert said.count("o") == 1
    assert said.count(".") <= len(ORDER) + 4
    listed = [file.member for each in range(3) for file in shards.files_of(workspace, "a", each)]
    assert listed == [f"m{n}" for n in ORDER]


@pytest.mark.parametrize("name", ["p.tar.bz2", "p.tbz2", "P.TAR.XZ", "p.txz", "p.tgz"])
def test_every_compression_of_a_tar_is_read_and_a_damaged_one_is_said_to_be_so(tmp_path, name):
    content = {f"m{number}": os.urandom(300_000) for number in range(4)}
    path = pack(tmp_path / "a" / Path(name.lower()).name, list(content.items()))
    path = path.rename(path.with_name(name))
    source = FolderSource(tmp_path / "a")
    with closing(Reader(source)) as reader:
        # The last one first: the package is opened anew for those before it.
        assert {file.member: reader.read(file) for file in reversed(list(walk(source)))} == content
    listed = list(walk(source))
    whole = path.read_bytes()
    middle = len(whole) // 2
    damaged = [whole[:middle]]
    if "bz2" in name:
        # Each of its blocks has a checksum; those of gzip and xz are at the end, which is not read for the members.
        damaged.append(whole[:middle] + bytes(2_000) + whole[middle + 2_000 :])
    for content_now in damaged:
        path.write_bytes(content_now)
        with closing(Reader(source)) as reader, pytest.raises(Unusable, match="damaged or encrypted") as refused:
            for file in listed:
                reader.read(file)
        assert refused.value.reason == "broken_member"


@pytest.mark.parametrize("name", ["p.zip", "p.tar", "p.tar.xz"])
def test_a_package_within_a_package_is_refused_by_what_to_do(tmp_path, make_dicom, run_ingest, name):
    inner = pack(tmp_path / "made/i.tar", [("m", b"1")]).read_bytes()
    members = [("1.dcm", make_dicom(tmp_path / "made/1", number=1).read_bytes()), ("2.tar", inner), ("3.ZIP", inner)]
    pack(tmp_path / "a" / name, members)
    _, summary = run_ingest(tmp_path / "a", tmp_path / "w", OPTIONS, name="a")
    rejected = [(each.reason, each.accounts) for each in summary.outcomes if each.outcome == "rejected"]
    assert (summary.kept, rejected) == (1, [("nested_package", 2)])
    assert summary.hint == HINTS["nested_package"]


@pytest.mark.parametrize("name", ["p.tar.gz", "p.tar"])
def test_links_and_pipes_in_a_tar_are_counted(tmp_path, make_dicom, run_ingest, name):
    first = make_dicom(tmp_path / "made/0", number=0).read_bytes()
    (tmp_path / "a").mkdir()
    with tarfile.open(tmp_path / "a" / name, "w:gz" if name.endswith("gz") else "w") as packed:
        kinds = (tarfile.DIRTYPE, tarfile.REGTYPE, tarfile.LNKTYPE, tarfile.SYMTYPE, tarfile.FIFOTYPE)
        for member, kind in zip(("f", "f/m", "hard", "f/m", "pipe"), kinds, strict=True):
            info = tarfile.TarInfo(member)
            info.type, info.linkname = kind, "f/m" if member == "hard" else "m"
            info.size = len(first) if kind == tarfile.REGTYPE else 0
            packed.addfile(info, io.BytesIO(first) if info.size else None)
        last = tarfile.TarInfo("last")
        data = make_dicom(tmp_path / "made/1", number=1).read_bytes()
        last.size = len(data)
        packed.addfile(last, io.BytesIO(data))
    _, summary = run_ingest(tmp_path / "a", tmp_path / "w", OPTIONS, name="a")
    assert (summary.seen, summary.kept, summary.rejected) == (5, 2, 3)
    assert [(each.reason, each.accounts) for each in summary.outcomes if each.reason] == [("not_a_file", 3)]


@pytest.mark.parametrize("name", ["p.tar.gz", "p.tar", "p.zip"])
def test_members_of_one_name_are_members_of_their_own(tmp_path, name):
    members = [("x", b"first"), ("x [2]", b"looks alike"), ("x", b"second"), ("y", b"other"), ("x", b"third")]
    pack(tmp_path / "a" / name, members)
    files = list(walk(FolderSource(tmp_path / "a")))
    assert [each.member for each in files] == ["x", "x [2]", "x [3]", "y", "x [4]"]
    with closing(Reader(FolderSource(tmp_path / "a"))) as reader:
        assert [reader.read(each) for each in files] == [data for _, data in members]
    with closing(Reader(FolderSource(tmp_path / "a"))) as reader:
        assert [reader.read(each) for each in reversed(files)] == [data for _, data in reversed(members)]


def test_the_directory_of_a_zip_takes_little_memory_and_every_member_is_found(tmp_path):
    named = [(f"folder{number // 10}/\u00e9 {number:05d} " + "x" * 40, b"%d" % number) for number in range(3000)]
    pack(tmp_path / "a" / "p.zip", [("folder1/", b""), *named, ("folder2/", b"")])
    files = list(walk(FolderSource(tmp_path / "a")))
    assert len(files) == 3000
    with closing(Reader(FolderSource(tmp_path / "a"))) as reader:
        tracemalloc.start()
        assert reader.read(files[1234]) == b"1234"
        gc.collect()
        held, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert held / len(files) < 250
        assert all(reader.read(file) == b"%d" % number for number, file in reversed(list(enumerate(files))))
        with pytest.raises(Unusable, match="no longer has"):
            reader.read(replace(files[0], member="folder1/"))


@pytest.mark.parametrize("offset", [2**63, 2**64 - 2])
def test_a_member_at_a_place_that_cannot_be_is_damaged_and_the_others_are_read(tmp_path, offset):
    (tmp_path / "a").mkdir()
    with zipfile.ZipFile(tmp_path / "a" / "p.zip", "w") as packed:
        for name in "xy":
            packed.writestr(name, b"some")
        packed.filelist[0].header_offset = offset
    x, y = walk(FolderSource(tmp_path / "a"))
    with closing(Reader(FolderSource(tmp_path / "a"))) as reader:
        assert reader.read(y) == b"some"
        with pytest.raises(Unusable, match="damaged or encrypted"):
            reader.read(x)


def test_a_tar_with_a_member_added_anew_has_changed_nothing_on_a_second_run(tmp_path, make_dicom, run_ingest):
    longer = make_dicom(tmp_path / "longer", number=1, ImageComments="put in again by tar -r").read_bytes()
    first = make_dicom(tmp_path / "first", number=1).read_bytes()
    pack(tmp_path / "a" / "p.tar", [("m", first), ("m", longer)])
    for _ in range(2):
        _, summary = run_ingest(tmp_path / "a", tmp_path / "w", name="a")
        assert (summary.seen, summary.kept, summary.duplicate, summary.changed) == (2, 1, 1, 0)


def test_a_reader_that_goes_on_notices_another_package_in_the_place_of_the_first(tmp_path):
    pack(tmp_path / "a" / "p.tar.gz", [("x", b"old"), ("y", b"old too")])
    x, y = walk(FolderSource(tmp_path / "a"))
    reader = Reader(FolderSource(tmp_path / "a"))
    assert reader.read(x) == b"old"
    pack(tmp_path / "b" / "p.tar.gz", [("x", b"new"), ("y", b"new too")]).replace(tmp_path / "a" / "p.tar.gz")
    reader.look_again()
    assert reader.read(y) == b"new too"
    (tmp_path / "a" / "p.tar.gz").unlink()
    reader.look_again()
    with pytest.raises(Unusable, match=r"no longer (exists|has)") as trouble:
        reader.read(x)
    assert trouble.value.reason == "gone"


@pytest.mark.parametrize("name", ["p.tar.gz", "p.tar"])
def test_a_reader_remembers_few_of_the_members_it_passed_and_goes_back_for_the_others(tmp_path, monkeypatch, name):
    monkeypatch.setattr("xray_mining.archive.packages._MOST_PASSED", 3)
    members = [(f"m{number}", bytes([number])) for number in range(1, 10)]
    pack(tmp_path / "a" / name, members)
    files = list(walk(FolderSource(tmp_path / "a")))
    order = [8, 0, 7, 7, 3, 8, 1]
    with closing(Reader(FolderSource(tmp_path / "a"))) as reader:
        for each in order:
            assert reader.read(files[each]) == members[each][1]
            assert len(reader._package._passed) <= 3  # ty: ignore[unresolved-attribute]
