"""One radiograph as a valid DICOM file (Digital X-Ray for presentation or Computed Radiography), in six syntaxes."""

import io
import struct
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from xray_mining.phantom.acquisition import Acquisition
from xray_mining.phantom.projection import Projection

_SOP_CLASSES = {"DX": "1.2.840.10008.5.1.4.1.1.1.1", "CR": "1.2.840.10008.5.1.4.1.1.1"}
_IMPLEMENTATION = "2.25.160223518512379137361846512398742"


@dataclass(frozen=True, slots=True)
class Header:
    """Person, dates and ids of one file."""

    patient_id: str
    patient_name: str
    birth_date: date
    sex: str
    study_date: date
    study_time: str
    study_uid: str
    series_uid: str
    instance_uid: str
    accession: str
    study_description: str = "Chest"

    @property
    def age_text(self) -> str:
        """PatientAge: whole years at the study."""
        had_birthday = (self.study_date.month, self.study_date.day) >= (self.birth_date.month, self.birth_date.day)
        return f"{self.study_date.year - self.birth_date.year - (not had_birthday):03d}Y"


def uid(*parts: object) -> str:
    """A UID that depends only on `parts` (2.25 and a 128-bit digest)."""
    import hashlib

    text = "/".join(str(part) for part in parts)
    return f"2.25.{int.from_bytes(hashlib.sha256(text.encode()).digest()[:16], 'big')}"


def encode(values: np.ndarray, bits_stored: int, transfer_syntax_uid: str) -> tuple[bytes, bool]:
    """Pixels encoded in the syntax, and whether they are encapsulated in fragments; `values` (rows, columns) uint16."""
    import imagecodecs

    kind = transfer_syntax_uid.removeprefix("1.2.840.10008.1.2")
    if kind in ("", ".1"):
        return values.astype("<u2").tobytes(), False
    if kind == ".5":
        return _run_lengths(values), True
    if kind == ".4.70":
        coded = imagecodecs.jpeg8_encode(values, lossless=True, predictor=1, bitspersample=bits_stored)
        return bytes(coded), True
    if kind == ".4.80":
        return bytes(imagecodecs.jpegls_encode(values)), True
    if kind == ".4.90":
        coded = imagecodecs.jpeg2k_encode(
            values, level=0, codecformat="j2k", reversible=True, bitspersample=bits_stored, numthreads=1
        )
        return bytes(coded), True
    raise ValueError(f"no encoder for transfer syntax {transfer_syntax_uid}")


def _run_lengths(values: np.ndarray) -> bytes:
    """DICOM's RLE (PS3.5 Annex G): two segments, high bytes first, each row packed separately."""
    import imagecodecs

    segments = []
    for plane in ((values >> 8).astype(np.uint8), (values & 255).astype(np.uint8)):
        coded = b"".join(bytes(imagecodecs.packbits_encode(row.tobytes())) for row in plane)
        segments.append(coded + b"\0" * (len(coded) % 2))
    header = struct.pack("<16I", 2, 64, 64 + len(segments[0]), *[0] * 13)
    return header + b"".join(segments)


def write(
    target: Path, projection: Projection, acquisition: Acquisition, header: Header, transfer_syntax_uid: str
) -> None:
    """Write the file under a temporary name and rename it, so that it is complete or absent."""
    content = build(projection, acquisition, header, transfer_syntax_uid)
    scratch = target.with_name(f".{target.name}.partial")
    scratch.write_bytes(content)
    scratch.replace(target)


def build(projection: Projection, acquisition: Acquisition, header: Header, transfer_syntax_uid: str) -> bytes:
    """The bytes of the DICOM file."""
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.encaps import encapsulate
    from pydicom.filewriter import dcmwrite
    from pydicom.uid import UID

    maker = acquisition.maker
    values, (centre, width) = projection.values, projection.window
    top = 2**maker.bits_stored - 1
    # MONOCHROME1 stores inverted values, and its window is inverted with them.
    if maker.photometric == "MONOCHROME1":
        values, centre = (top - values).astype(np.uint16), top - centre
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = UID(_SOP_CLASSES[maker.modality])
    meta.MediaStorageSOPInstanceUID = UID(header.instance_uid)
    meta.TransferSyntaxUID = UID(transfer_syntax_uid)
    meta.ImplementationClassUID = UID(_IMPLEMENTATION)
    meta.ImplementationVersionName = "XRAY_MINING"

    file: Any = Dataset()
    file.file_meta = meta
    file.SpecificCharacterSet = "ISO_IR 192"
    file.ImageType = ["ORIGINAL", "PRIMARY", ""]
    file.SOPClassUID = meta.MediaStorageSOPClassUID
    file.SOPInstanceUID = meta.MediaStorageSOPInstanceUID
    _study(file, acquisition, header)
    spacing = f"{projection.spacing_mm:.6g}"
    file.ImagerPixelSpacing = [spacing, spacing]
    # Modules that only Digital X-Ray requires.
    if maker.modality == "DX":
        _digital_xray(file, acquisition)
    file.SamplesPerPixel = 1
    file.PhotometricInterpretation = maker.photometric
    file.Rows, file.Columns = values.shape
    file.BitsAllocated, file.BitsStored, file.HighBit = 16, maker.bits_stored, maker.bits_stored - 1
    file.PixelRepresentation = 0
    file.WindowCenter, file.WindowWidth = f"{centre:.1f}", f"{width:.1f}"
    file.WindowCenterWidthExplanation = "NORMAL"
    file.RescaleIntercept, file.RescaleSlope, file.RescaleType = "0", "1", "US"
    file.LossyImageCompression = "00"
    coded, in_fragments = encode(values, maker.bits_stored, transfer_syntax_uid)
    file.PixelData = encapsulate([coded]) if in_fragments else coded
    file["PixelData"].VR = "OB" if in_fragments else "OW"
    file["PixelData"].is_undefined_length = in_fragments
    out = io.BytesIO()
    dcmwrite(out, file, enforce_file_format=True)
    return out.getvalue()


def _study(file: Any, acquisition: Acquisition, header: Header) -> None:
    """Patient, study, series and equipment."""
    maker = acquisition.maker
    file.StudyDate = file.SeriesDate = file.AcquisitionDate = file.ContentDate = header.study_date.strftime("%Y%m%d")
    file.StudyTime = file.SeriesTime = file.AcquisitionTime = file.ContentTime = header.study_time
    file.AccessionNumber = header.accession
    file.Modality = maker.modality
    file.Manufacturer = maker.manufacturer
    file.ManufacturerModelName = maker.model
    file.InstitutionName = acquisition.institution
    file.ReferringPhysicianName = ""
    file.StudyDescription = header.study_description
    file.SeriesDescription = f"Chest {acquisition.view_position}"
    file.PatientName = header.patient_name
    file.PatientID = header.patient_id
    file.IssuerOfPatientID = "PHANTOM"
    file.PatientBirthDate = header.birth_date.strftime("%Y%m%d")
    file.PatientSex = header.sex
    file.PatientAge = header.age_text
    file.BodyPartExamined = "CHEST"
    file.KVP = "110"
    file.DistanceSourceToDetector = f"{acquisition.source_distance_mm:.0f}"
    file.StudyInstanceUID = header.study_uid
    file.SeriesInstanceUID = header.series_uid
    file.StudyID = "1"
    file.SeriesNumber = 1
    file.InstanceNumber = 1
    file.PatientOrientation = ["L", "F"]
    file.ViewPosition = acquisition.view_position
    file.BurnedInAnnotation = "NO"


def _digital_xray(file: Any, acquisition: Acquisition) -> None:
    """Elements that the Digital X-Ray modules require in addition to Computed Radiography (PS3.3 A.26)."""
    from pydicom.dataset import Dataset
    from pydicom.sequence import Sequence

    region: Any = Dataset()
    region.CodeValue, region.CodingSchemeDesignator, region.CodeMeaning = "51185008", "SCT", "Chest"
    file.AnatomicRegionSequence = Sequence([region])
    view: Any = Dataset()
    code, meaning = (
        ("399348003", "antero-posterior") if acquisition.view_position == "AP" else ("272479007", "postero-anterior")
    )
    view.CodeValue, view.CodingSchemeDesignator, view.CodeMeaning = code, "SCT", meaning
    file.ViewCodeSequence = Sequence([view])
    file.PresentationIntentType = "FOR PRESENTATION"
    file.ImageLaterality = "U"
    file.PixelIntensityRelationship = "LOG"
    file.PixelIntensityRelationshipSign = -1 if acquisition.maker.photometric == "MONOCHROME2" else 1
    file.PresentationLUTShape = "INVERSE" if acquisition.maker.photometric == "MONOCHROME1" else "IDENTITY"
    file.DetectorType = "SCINTILLATOR"
    file.AcquisitionContextSequence = Sequence([])


def study_date(rng: np.random.Generator) -> date:
    """A day between 2012 and 2021, early enough for a person's later visits."""
    return date(2012, 1, 1) + timedelta(days=int(rng.integers(3650)))
