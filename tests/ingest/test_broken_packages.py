"""Packed files that are damaged, codestreams that lie about their size, workers that are lost while they write."""

import gzip
import io
import tarfile
from types import SimpleNamespace

import imagecodecs
import numpy as np
import pytest
from pydicom.encaps import encapsulate

from xray_mining.archive.codestream import stream_of
from xray_mining.archive.listing import walk
from xray_mining.archive.radiograph import Encoded, Unusable
from xray_mining.archive.sources.folder import FolderSource
from xray_mining.archive.syntaxes import JPEG_2000_LOSSLESS, JPEG_LS
from xray_mining.errors import CannotFinish
from xray_mining.ingest import workers
from xray_mining.ingest.decode import decode


def tar_of(members: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as packed:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            packed.addfile(info, io.BytesIO(data))
    return stream.getvalue()


@pytest.fixture
def members(tmp_path, make_dicom) -> dict[str, bytes]:
    return {f"m{n}.dcm": make_dicom(tmp_path / "made" / f"{n}.dcm", number=n).read_bytes() for n in range(4)}


@pytest.mark.parametrize("kind", ["header", "cut", "at a header"])
@pytest.mark.parametrize("name", ["half.tar", "half.tar.gz"])
def test_what_a_damaged_package_no_longer_tells_is_one_account(tmp_path, run_ingest, members, kind, name):
    whole = bytearray(tar_of(members))
    third = 2 * (512 + -(-len(members["m0.dcm"]) // 512) * 512)
    if kind == "header":
        whole[third + 150] ^= 0xFF
    else:
        del whole[third + (100 if kind == "cut" else 0) :]
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / name).write_bytes(gzip.compress(whole) if name.endswith("gz") else whole)
    _, summary = run_ingest(tmp_path / "a", tmp_path / "w")
    assert (summary.seen, summary.kept, summary.rejected) == (3, 2, 1)
    assert {each.reason for each in summary.outcomes if each.outcome == "rejected"} == {"broken_package"}


def test_a_package_that_is_whole_has_no_other_account(tmp_path, members):
    (tmp_path / "a").mkdir()
    (tmp_path / "a/whole.tar").write_bytes(tar_of(members))
    assert [each.member for each in walk(FolderSource(tmp_path / "a"))] == list(members)


def test_bits_that_flip_in_a_gzip_stop_no_run(tmp_path, run_ingest, members, make_dicom):
    packed = gzip.compress(tar_of(members))
    folder = tmp_path / "a"
    make_dicom(folder / "good.dcm", number=9)
    rng = np.random.default_rng(0)
    for number in range(40):
        damaged = bytearray(packed)
        at = rng.integers(20, len(damaged) - 8)
        damaged[at : at + 8] = bytes(rng.integers(0, 256, 8, dtype=np.uint8))
        (folder / f"{number}.tar.gz").write_bytes(damaged)
    _, summary = run_ingest(folder, tmp_path / "w")
    assert summary.kept >= 1 and summary.seen == summary.kept + summary.duplicate + summary.rejected


@pytest.mark.parametrize(("syntax", "encode"), [(JPEG_LS, "jpegls"), (JPEG_2000_LOSSLESS, "jpeg2k")])
def test_a_codestream_of_another_size_is_not_decoded(syntax, encode, chest_picture):
    picture = chest_picture(1)
    kwargs = {"reversible": True, "level": 0, "codecformat": "j2k"} if encode == "jpeg2k" else {}
    data = bytearray(getattr(imagecodecs, f"{encode}_encode")(picture, **kwargs))
    stream = stream_of(data)
    assert stream is not None and (stream.rows, stream.columns) == picture.shape
    wide = (65000).to_bytes(4 if encode == "jpeg2k" else 2, "big")
    at = 8 if encode == "jpeg2k" else data.index(b"\xff\xf7") + 7
    data[at : at + len(wide)] = wide
    encoded = Encoded(bytes(data), syntax, *picture.shape, bits_allocated=16, bits_stored=12, high_bit=11)
    with pytest.raises(Unusable, match="the pixel data hold 96 by 65000"):
        decode(encoded, 64)


def test_a_bomb_in_a_codestream_is_one_reject(tmp_path, make_dicom, run_ingest, chest_picture):
    from pydicom import dcmread
    from pydicom.uid import JPEGLSLossless

    folder = tmp_path / "a"
    make_dicom(folder / "good.dcm", number=1)
    dataset = dcmread(make_dicom(folder / "bomb.dcm", number=2))
    data = bytearray(imagecodecs.jpegls_encode(chest_picture(2)))
    at = data.index(b"\xff\xf7") + 5
    data[at : at + 4] = (65000).to_bytes(2, "big") * 2
    dataset.file_meta.TransferSyntaxUID = JPEGLSLossless
    dataset.PixelData = encapsulate([bytes(data)])
    dataset["PixelData"].is_undefined_length = True
    dataset.save_as(folder / "bomb.dcm", enforce_file_format=True)
    _, summary = run_ingest(folder, tmp_path / "w")
    assert summary.kept == 1
    assert [each.reason for each in summary.outcomes if each.outcome == "rejected"] == ["size_mismatch"]


def test_a_worker_lost_while_it_writes_blames_no_file():
    said = [workers.Phase.WRITING, 8, 7, 1, 100, 0]
    losses, waiting = {"here": workers._Losses()}, []

    def lost() -> None:
        process = SimpleNamespace(kill=lambda: None, wait=lambda: None)
        pipe = SimpleNamespace(close=lambda: None)
        worker = workers._Worker(process, pipe, said)
        worker.task = SimpleNamespace(title="here", refused={})
        workers._lose(worker, [worker], waiting, losses, hung=False)

    lost()
    lost()
    assert [each.refused for each in waiting] == [{}, {}]
    with pytest.raises(CannotFinish, match="lost three times while it wrote"):
        lost()
