"""Small DICOM files with stated headers, and a way to ingest a folder."""

from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import DigitalXRayImageStorageForPresentation, ExplicitVRLittleEndian

from xray_mining.archive.sources.folder import FolderSource
from xray_mining.catalog.merge import merge
from xray_mining.catalog.query import select
from xray_mining.ingest.ingest import IngestRequest, ingest
from xray_mining.ingest.options import GreyOptions, IngestOptions
from xray_mining.ingest.summary import summary_of
from xray_mining.workspace import Workspace


def chest(number: int, side: int = 96, seed: int | None = None) -> np.ndarray:
    """A (side, side) 12-bit picture with two dark lungs, another for each number."""
    rng = np.random.default_rng(number if seed is None else seed)
    y, x = np.mgrid[-1 : 1 : side * 1j, -1 : 1 : side * 1j]
    image = 2600 + 500 * y
    for centre in (-0.45, 0.45):
        width, height = 0.25 + 0.1 * rng.random(), 0.5 + 0.2 * rng.random()
        image -= 1800 * (((x - centre) / width) ** 2 + ((y - 0.2 * rng.random()) / height) ** 2 < 1)
    coarse = rng.normal(0, 250, (8, 8))
    image += np.kron(coarse, np.ones((side // 8, side // 8)))
    return np.clip(image + rng.normal(0, 20, image.shape), 0, 4095).astype(np.uint16)


@pytest.fixture(scope="session")
def make_dicom():
    """write(path, pixels=…, **elements) → a whole DX file; elements by keyword, None removes one."""

    def write(path: Path, pixels: np.ndarray | None = None, number: int = 0, **elements: object) -> Path:
        pixels = chest(number) if pixels is None else pixels
        meta = FileMetaDataset()
        meta.TransferSyntaxUID = ExplicitVRLittleEndian
        meta.MediaStorageSOPClassUID = DigitalXRayImageStorageForPresentation
        meta.MediaStorageSOPInstanceUID = f"1.2.3.{number}"
        dataset = Dataset()
        dataset.file_meta = meta
        values = {
            "SOPClassUID": DigitalXRayImageStorageForPresentation,
            "SOPInstanceUID": f"1.2.3.{number}",
            "StudyInstanceUID": f"1.2.4.{number}",
            "SeriesInstanceUID": f"1.2.5.{number}",
            "PatientID": f"P{number}",
            "PatientSex": "F",
            "PatientBirthDate": "19600101",
            "StudyDate": "20200101",
            "Modality": "DX",
            "BodyPartExamined": "CHEST",
            "ViewPosition": "PA",
            "Rows": pixels.shape[0],
            "Columns": pixels.shape[1],
            "SamplesPerPixel": 1,
            "PhotometricInterpretation": "MONOCHROME2",
            "BitsAllocated": 16,
            "BitsStored": 12,
            "HighBit": 11,
            "PixelRepresentation": 0,
            **elements,
        }
        for keyword, value in values.items():
            if value is not None:
                setattr(dataset, keyword, value)
        dataset.PixelData = pixels.astype("<u2").tobytes()
        path.parent.mkdir(parents=True, exist_ok=True)
        dataset.save_as(path, enforce_file_format=True)
        return path

    return write


@pytest.fixture(scope="session")
def run_ingest():
    """run(folder, root, **request) → (workspace, summary), with small pictures and small shards."""

    def run(folder: Path, root: Path, options: IngestOptions | None = None, **request: object):
        options = options or IngestOptions(grey=GreyOptions(side_px=64), shard_files=8, near_duplicates=False)
        workspace = Workspace.create(root)
        result = ingest(workspace, IngestRequest(FolderSource(folder), jobs=1, **request), options)
        merge(workspace)
        outcomes = select(workspace, "reports/ingest_outcomes", archive=result.archive)
        ages = select(workspace, "reports/ingest_unread", archive=result.archive)
        unread_cells = select(workspace, "reports/ingest_unread_cells", archive=result.archive)
        return workspace, summary_of(result, outcomes, ages, unread_cells)

    return run


@pytest.fixture(scope="session")
def chest_picture():
    return chest


@pytest.fixture(autouse=True)
def _quiet_pydicom():
    before = pydicom.config.settings.writing_validation_mode
    pydicom.config.settings.writing_validation_mode = pydicom.config.IGNORE
    yield
    pydicom.config.settings.writing_validation_mode = before
