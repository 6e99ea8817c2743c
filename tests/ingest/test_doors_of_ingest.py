"""Runs the examples in the docstrings of functions and classes of archive, ingest and pixels that users call."""

import doctest

import pytest

from xray_mining.archive import dicom_file, listing, source
from xray_mining.archive.dicom_folder import DicomFolder
from xray_mining.archive.source import source_at
from xray_mining.ingest import ingest as ingesting
from xray_mining.ingest import summary
from xray_mining.ingest.options import GreyOptions, IngestOptions
from xray_mining.ingest.request import IngestRequest
from xray_mining.pixels import store
from xray_mining.records.images import Images
from xray_mining.workspace import Workspace

DOORS = {
    "source_at": source,
    "walk": listing,
    "Reader": listing,
    "read_dicom": dicom_file,
    "ingest": ingesting,
    "locate": summary,
    "PixelStore": store,
}


@pytest.fixture(scope="module")
def names(tmp_path_factory):
    """What the examples name: an archive of two files, and a workspace that has it."""
    folder = tmp_path_factory.mktemp("doors")
    DicomFolder.example(folder / "archive")
    options = IngestOptions(grey=GreyOptions(side_px=64), near_duplicates=False)
    filled = Workspace.create(folder / "filled")
    ingesting.ingest(filled, IngestRequest(source_at(str(folder / "archive")), name="mine", jobs=1), options)
    return {
        "archive": str(folder / "archive"),
        "source_at": source_at,
        "dicom": (folder / "archive/IM1").read_bytes(),
        "workspace": filled,
        "image_key": Images.read(filled.parts("mine", "images")).sort("position")["image_key"][0],
    }


@pytest.mark.parametrize("name", DOORS)
def test_the_example_of_a_door_holds(name, names):
    (example,) = (
        each
        for each in doctest.DocTestFinder(exclude_empty=True).find(getattr(DOORS[name], name), name)
        if each.examples
    )
    example.globs |= vars(DOORS[name]) | names
    said = []
    doctest.DocTestRunner().run(example, out=said.append)
    assert not said, "".join(said)
