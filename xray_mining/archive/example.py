"""Writes the files of tiny made-up archives, for the adapters' `example` and the tests of all adapters."""

from pathlib import Path

import numpy as np

_SIDE = 64


def _values(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 255, (_SIDE, _SIDE - 16), dtype=np.uint8)


def write_text(path: Path, *lines: str) -> None:
    """Write a table or another text, line by line; missing folders are made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def write_picture(path: Path, seed: int = 0) -> None:
    """Write a small grey picture in the format of the suffix."""
    from PIL import Image

    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(_values(seed)).save(path)


def write_dicom(path: Path, uid: str, seed: int = 0) -> None:
    """Write a small chest radiograph as a DICOM file, of a patient `1`."""
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import DigitalXRayImageStorageForPresentation, ExplicitVRLittleEndian

    values = _values(seed)
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made = Dataset()
    made.file_meta = meta
    made.SOPClassUID, made.SOPInstanceUID = DigitalXRayImageStorageForPresentation, uid
    made.PatientID, made.PatientSex, made.PatientAge = "1", "F", "043Y"
    made.StudyInstanceUID, made.SeriesInstanceUID = f"{uid}.1", f"{uid}.2"
    made.Modality, made.BodyPartExamined, made.ViewPosition, made.StudyDate = "DX", "CHEST", "PA", "20200101"
    made.PhotometricInterpretation, made.SamplesPerPixel, made.PixelRepresentation = "MONOCHROME2", 1, 0
    made.BitsAllocated, made.BitsStored, made.HighBit = 8, 8, 7
    made.Rows, made.Columns = values.shape
    made.PixelData = values.tobytes()
    path.parent.mkdir(parents=True, exist_ok=True)
    made.save_as(path, enforce_file_format=True)
