"""A source that is no folder fits as one more file: what is read through it equals what is read from a folder."""

import errno
import gzip
import os
import shutil
import sys
import zipfile
from pathlib import Path

import polars as pl
import pytest

from xray_mining.archive import sources
from xray_mining.archive.listing import Reader
from xray_mining.archive.radiograph import ListedFile, Unusable
from xray_mining.archive.source import SOURCES, Source, SourceLost, source_at
from xray_mining.archive.sources.folder import FolderSource
from xray_mining.archive.table import read_table
from xray_mining.errors import CannotFinish, UserError
from xray_mining.ingest.files import FilesTask, GivenFile
from xray_mining.ingest.ingest import IngestRequest, IngestResult, ingest
from xray_mining.ingest.options import GreyOptions, IngestOptions
from xray_mining.ingest.summary import locate, status_of
from xray_mining.phantom.population import Parameters, write_archive
from xray_mining.pixels.store import PixelStore
from xray_mining.records.boxes import Boxes
from xray_mining.records.findings import Findings
from xray_mining.records.images import Images
from xray_mining.records.masks import Masks
from xray_mining.records.pixels import Pixels
from xray_mining.records.rejects import Rejects
from xray_mining.study.perform import archive_state
from xray_mining.workspace import Workspace

OPTIONS = IngestOptions(grey=GreyOptions(side_px=64), shard_files=4, near_duplicates=False)
ADDRESS = "memory://hospital"


@pytest.fixture(autouse=True)
def memory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """{address: {path: content}} of a kind of source that one file adds."""
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    added = tmp_path / "one more file"
    added.mkdir()
    (added / "memory.py").write_text("from memory_source import KIND  # noqa: F401\n")
    monkeypatch.setattr(sources, "__path__", [*sources.__path__, str(added)])
    # Another test may have imported a kind of this name from elsewhere.
    sys.modules.pop("xray_mining.archive.sources.memory", None)
    import memory_source

    yield memory_source.CONTENT
    memory_source.CONTENT.clear()
    for name in ("memory_source", "xray_mining.archive.sources.memory"):
        sys.modules.pop(name, None)


@pytest.fixture(scope="module")
def phantom(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Real DICOM files with masks and truths, and two files among them that are none."""
    folder = tmp_path_factory.mktemp("archive") / "phantom"
    write_archive(folder, Parameters(patients=6, seed=2, size=128), jobs=1)
    whole = sorted((folder / "dicom").rglob("*.dcm"))[0]
    (folder / "dicom/cut.dcm").write_bytes(whole.read_bytes()[:-900])
    (folder / "dicom/text.dcm").write_text("no DICOM")
    return folder


def content_of(folder: Path) -> dict[bytes, bytes]:
    return {str(path.relative_to(folder)).encode(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def packed(folder: Path, target: Path) -> Path:
    """The archive with all its DICOM files in one zip, in the order of their paths, as those of a folder are read."""
    shutil.copytree(folder, target, ignore=shutil.ignore_patterns("dicom"))
    (target / "dicom").mkdir()
    with zipfile.ZipFile(target / "dicom/all.zip", "w", zipfile.ZIP_DEFLATED) as package:
        for path, content in sorted(content_of(folder / "dicom").items()):
            package.writestr(path.decode(), content)
    return target


def read(source: Source, root: Path, **request) -> tuple[Workspace, IngestResult]:
    workspace = Workspace.create(root)
    result = ingest(workspace, IngestRequest(source, name="a", jobs=1, **request), OPTIONS)
    return workspace, result


def rows_of(workspace: Workspace) -> dict[str, pl.DataFrame]:
    return {
        record.table: record.read(workspace.parts("a", record.table))
        for record in (Images, Pixels, Rejects, Findings, Boxes, Masks)
    }


def test_a_folder_a_zip_and_a_source_in_memory_give_the_same_rows_and_pixels(phantom, tmp_path, memory):
    memory[ADDRESS] = content_of(phantom)
    memory["memory://packed"] = content_of(packed(phantom, tmp_path / "zip"))
    read_from = {
        "folder": FolderSource(phantom),
        "memory": source_at(ADDRESS),
        "zip": FolderSource(tmp_path / "zip"),
        "zip in memory": source_at("memory://packed"),
    }
    found, pictures = {}, {}
    for name, source in read_from.items():
        workspace, result = read(source, tmp_path / f"w {name}")
        found[name] = rows_of(workspace)
        assert (result.kept, result.rejected) == (found[name]["images"].height, 2)
        pictures[name] = PixelStore.open(workspace, result.store).read(found[name]["images"]["image_key"].to_list())
    whole = found["folder"]
    assert whole["images"].height >= 6 and whole["masks"].height and whole["findings"].height
    assert "not_dicom" in whole["rejects"]["reason"].to_list()
    for name, tables in found.items():
        assert (pictures[name] == pictures["folder"]).all(), name
        for table, frame in tables.items():
            # A file key is made of the path and the member: that of a packed file is another.
            left_out = ["file_key"] if "zip" in name else []
            assert frame.drop(left_out, strict=False).equals(whole[table].drop(left_out, strict=False)), (name, table)


def test_a_change_in_any_source_is_seen_and_locate_says_where_a_file_is(phantom, tmp_path, memory):
    here = memory[ADDRESS] = content_of(phantom)
    workspace, first = read(source_at(ADDRESS), tmp_path / "w")
    before = archive_state(source_at(ADDRESS))
    _, second = read(source_at(ADDRESS), tmp_path / "w")
    assert (second.shards_now, second.changed, archive_state(source_at(ADDRESS))) == (0, 0, before)
    changed, vanished = sorted(each for each in here if each.endswith(b".dcm"))[:2]
    here[changed] = here[b"dicom/new.dcm"] = here.pop(vanished)
    # A mask that is gone: its shard is read once more, but for what changed.
    here.pop(next(each for each in here if each.startswith(b"masks/")))
    _, third = read(source_at(ADDRESS), tmp_path / "w")
    assert (third.changed, third.vanished, third.seen) == (1, 1, first.seen + 2)
    assert "a mask file was added, removed or changed" in " ".join(third.notes)
    assert archive_state(source_at(ADDRESS)).digest != before.digest
    (status,) = status_of(workspace).archives
    assert (status.done, status.outdated) == (status.shards, 0)
    images = rows_of(workspace)["images"]
    assert locate(workspace, images["image_key"][-1]).path.startswith(f"{ADDRESS}/dicom/")
    memory.clear()
    assert locate(workspace, images["image_key"][-1]).path.startswith(f"{ADDRESS}/dicom/"), "known, though it is gone"


def test_a_source_that_cannot_be_reached_or_is_unknown_is_one_sentence(tmp_path):
    with pytest.raises(UserError, match=r"memory://nothing: holds nothing"):
        read(source_at("memory://nothing"), tmp_path / "w")
    with pytest.raises(UserError, match=r"kind of source: .*memry.*memory"):
        source_at("memry://hospital")
    with pytest.raises(UserError, match="is missing; name the folder"):
        source_at(str(tmp_path / "missing")).check()
    assert sorted(SOURCES.names()) == ["folder", "memory"]


def test_a_lost_connection_stops_the_run_with_one_sentence_and_rejects_nothing(phantom, tmp_path, memory):
    from memory_source import LosingSource, Loss, ServerBusy

    here = memory[ADDRESS] = content_of(phantom)
    # A radiograph with masks.
    new = min(each for each in here if each.endswith(b".dcm"))
    kept_back = here.pop(new)
    workspace, first = read(source_at(ADDRESS), tmp_path / "w")
    before = rows_of(workspace)
    here[new] = kept_back
    lost = [
        Loss("check", TimeoutError("timed out")),
        Loss("files", ConnectionResetError("the server closed the connection")),
        Loss("status", OSError(errno.ENOTCONN, "not connected"), b"masks/"),
        Loss("open", TimeoutError("timed out"), b"dicom/"),
        Loss("open", ServerBusy("HTTP 503"), b"dicom/"),
        Loss("open", ConnectionRefusedError(errno.ECONNREFUSED, "refused"), b"masks/"),
        Loss("read", ConnectionResetError("the server closed the connection"), b"dicom/"),
    ]
    for loss in lost:
        with pytest.raises(CannotFinish, match=r"^memory://hospital: cannot be reached now .*repeat the same command"):
            read(LosingSource(ADDRESS, loss), tmp_path / "w")
        for table, frame in rows_of(workspace).items():
            assert frame.equals(before[table]), (loss, table)
    _, last = read(source_at(ADDRESS), tmp_path / "w")
    assert (last.seen, last.rejected, last.vanished, last.changed) == (first.seen + 1, first.rejected, 0, 0)


def test_an_error_of_one_file_rejects_it_and_an_unknown_one_is_a_bug(tmp_path, memory):
    from memory_source import LosingSource, Loss

    memory[ADDRESS] = {b"a": b"1", b"b": b"2"}
    file = ListedFile(b"a", "", 1, 1)
    reader = Reader(LosingSource(ADDRESS, Loss("open", OSError(errno.EIO, "Input/output error"))))
    with pytest.raises(Unusable, match="the disk reports an error"):
        reader.read(file)
    reader = Reader(LosingSource(ADDRESS, Loss("open", RuntimeError("a mistake in the kind"))))
    with pytest.raises(RuntimeError, match="a mistake in the kind"):
        reader.read(file)


def test_status_and_locate_answer_and_predict_stops_while_a_source_is_lost(phantom, tmp_path, memory, monkeypatch):
    from memory_source import LosingSource, Loss, MemorySource

    memory[ADDRESS] = content_of(phantom)
    workspace, _ = read(source_at(ADDRESS), tmp_path / "w")
    key = rows_of(workspace)["images"]["image_key"][0]
    path = locate(workspace, key).path
    lost = LosingSource(ADDRESS, Loss("open", TimeoutError("timed out")))
    given = GivenFile(lost, next(lost.files()))

    def lose(self, path):
        raise SourceLost("the server is down")

    monkeypatch.setattr(MemorySource, "status", lose)
    assert locate(workspace, key).path == path
    (status,) = status_of(workspace).archives
    assert (status.done, status.outdated) == (status.shards, 0)
    task = FilesTask(first=0, files=(given,), options=GreyOptions())
    with pytest.raises(SourceLost, match="cannot be reached now"):
        task.do(lambda *_: None, {})


@pytest.mark.parametrize("function", ["scandir", "stat"])
def test_a_folder_whose_mount_is_lost_is_not_listed_as_empty(tmp_path, monkeypatch, function):
    (tmp_path / "a").mkdir()
    (tmp_path / "a/1.dcm").write_bytes(b"1")
    source, called = FolderSource(tmp_path), getattr(os, function)

    def lose(path, *more, **named):
        if os.fsencode(path).endswith(b"/a"):
            raise OSError(errno.ENOTCONN, "Transport endpoint is not connected")
        return called(path, *more, **named)

    monkeypatch.setattr(os, function, lose)
    with pytest.raises(SourceLost, match=r"cannot be reached now \(Transport endpoint is not connected\)"):
        list(source.files()) if function == "scandir" else source.has_folder(b"a")


def test_tables_are_read_from_any_source(tmp_path, memory):
    """Polars, gzip and the CSV reader take the file that a source opens, as it is."""
    frame = pl.DataFrame({"file": ["1.png", "2.png"], "pid": ["a", "b"]})
    frame.write_parquet(tmp_path / "t.parquet")
    frame.write_csv(tmp_path / "t.csv")
    (tmp_path / "t.csv.gz").write_bytes(gzip.compress((tmp_path / "t.csv").read_bytes()))
    memory[ADDRESS] = content_of(tmp_path)
    for source in (FolderSource(tmp_path), source_at(ADDRESS)):
        for name in ("t.parquet", "t.csv", "t.csv.gz"):
            assert read_table(source, name).height == 2, name
