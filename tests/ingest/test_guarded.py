"""Damaged streams that crash or hang a decoder cost one file, in `ingest` and in `predict`, never the run."""

import os
import warnings
from pathlib import Path

import imagecodecs
import numpy as np
import pydicom
import pytest
from pydicom.encaps import encapsulate
from pydicom.uid import JPEGLosslessSV1

from xray_mining.catalog.query import sql
from xray_mining.ingest import files as given_files
from xray_mining.ingest.files import files_at, read_files
from xray_mining.ingest.options import GreyOptions, IngestOptions

HTJ2K_LOSSLESS = "1.2.840.10008.1.2.4.201"
LIMIT_S = 4.0
# Where a version of the decoders refuses the bytes after all, that is as good.
REFUSED = {"undecodable"}


def damaged_jpeg(values: np.ndarray) -> bytes:
    """A lossless JPEG whose Huffman table has lost its marker: gdcm, where it is installed, ends its process."""
    data = bytearray(imagecodecs.jpeg8_encode(values, lossless=True, bitspersample=12, predictor=1))
    data[data.index(b"\xff\xc4")] = 0
    return bytes(data)


def damaged_htj2k(values: np.ndarray) -> bytes:
    """An HTJ2K stream whose tiles begin below the picture's top (YTOsiz beyond YOsiz): OpenJPH does not come back."""
    data = bytearray(imagecodecs.htj2k_encode(values))
    data[36:40] = (1).to_bytes(4, "big")
    return bytes(data)


DAMAGED = {
    "jpeg": (JPEGLosslessSV1, damaged_jpeg, REFUSED | {"crash"}),
    "htj2k": (HTJ2K_LOSSLESS, damaged_htj2k, REFUSED | {"hangs"}),
}


@pytest.fixture(scope="module")
def damaged(tmp_path_factory, make_dicom, chest_picture) -> Path:
    """Two good films, and one of each damaged kind."""
    folder = tmp_path_factory.mktemp("damaged")
    make_dicom(folder / "a_good.dcm", number=1)
    for number, (name, (syntax, damage, _)) in enumerate(DAMAGED.items(), 2):
        path = make_dicom(folder / f"{name}.dcm", number=number)
        dataset = pydicom.dcmread(path)
        dataset.file_meta.TransferSyntaxUID = syntax
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            dataset.PixelData = encapsulate([damage(chest_picture(number))])
            dataset["PixelData"].is_undefined_length = True
            dataset.save_as(path, enforce_file_format=True)
    make_dicom(folder / "z_good.dcm", number=9)
    return folder


def test_damaged_streams_are_rejects_of_ingest(damaged, tmp_path, run_ingest):
    options = IngestOptions(grey=GreyOptions(side_px=64), near_duplicates=False, file_limit_s=LIMIT_S)
    workspace, summary = run_ingest(damaged, tmp_path / "w", options=options)
    assert (summary.seen, summary.kept, summary.rejected) == (4, 2, 2)
    found = sql(workspace, "select position, reason, sentence from rejects order by position")
    names = sorted(path.stem for path in damaged.iterdir())
    for position, reason, sentence in found.iter_rows():
        assert reason in DAMAGED[names[position]][2]
        assert sentence.endswith(".")


def test_damaged_streams_are_rows_of_predict(damaged, monkeypatch):
    # One file a task: what is damaged is read side by side.
    monkeypatch.setattr(given_files, "_MOST_FILES", 1)
    given = files_at([damaged])
    some = list(read_files(given, GreyOptions(side_px=64), jobs=2, file_limit_s=LIMIT_S))
    frames = sorted((frame for each in some for frame in each.frames), key=lambda frame: frame.file)
    assert [frame.file for frame in frames] == list(range(4))
    for frame in frames:
        name = Path(given[frame.file].name).stem
        if name in DAMAGED:
            assert frame.picture is None and frame.reason in DAMAGED[name][2] and frame.sentence.endswith(".")
        else:
            assert frame.picture is not None and not frame.reason


def test_a_planted_crash_is_a_row_of_predict_and_flags_stand_beside_the_others(tmp_path, make_dicom, monkeypatch):
    """As in test_ingest: whatever decoders are installed, this one does not come back."""
    (tmp_path / "sitecustomize.py").write_text(
        "import os, sys\n"
        "if 'workers import serve' in ' '.join(sys.orig_argv):\n"
        "    import xray_mining.ingest.files as files\n"
        "    whole = files.standardised\n"
        "    def standardised(encoded, options):\n"
        "        if encoded.rows == 80: os.kill(os.getpid(), 9)\n"
        "        return whole(encoded, options)\n"
        "    files.standardised = standardised\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    grey = np.arange(96, dtype=np.uint16)
    paths = [
        make_dicom(tmp_path / "in/1.dcm", number=1),
        make_dicom(tmp_path / "in/2.dcm", np.full((80, 96), 7, np.uint16) * grey, number=2),
        # The header states 8 bits of 16, the values have 12.
        make_dicom(tmp_path / "in/3.dcm", number=3, BitsStored=8, HighBit=7),
    ]
    (some,) = read_files(files_at(paths), GreyOptions(side_px=64), jobs=1)
    assert [frame.reason for frame in some.frames] == ["", "crash", ""]
    assert [frame.picture is None for frame in some.frames] == [False, True, False]
    assert "overruled_bits" in some.frames[2].flags and "low_resolution" in some.frames[0].flags
    assert (some.kept, some.rejected) == (2, 1)
