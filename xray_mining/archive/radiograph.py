"""What an adapter returns for one radiograph, as the archive states it; not yet decoded, hashed or checked."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from xray_mining.archive.codestream import Codestream


class Unusable(Exception):
    """A file or frame that cannot be used: it becomes one row of rejects, and ingest continues.

    The sentence is shown and stored, so it must never contain a name, an identifier or a path.
    """

    def __init__(self, stage: str, reason: str, sentence: str) -> None:
        super().__init__(stage, reason, sentence)
        self.stage = stage
        self.reason = reason
        self.sentence = sentence


@dataclass(frozen=True, slots=True)
class ListedFile:
    """One file of an archive, or one member of a packed file in it, as it was listed."""

    path: bytes
    """Relative to the archive's folder, as bytes of the file system."""
    member: str
    """Name of the member within a packed file; empty for a plain file."""
    bytes: int
    modified_ns: int


@dataclass(frozen=True, slots=True)
class Finding:
    """A label, score, outcome or truth that the archive states for a radiograph."""

    name: str
    value: float | None = None
    """For a label 1 present, 0 absent, -1 uncertain; None unknown."""
    label: str | None = None
    unit: str = ""
    source: str = ""
    """Where it comes from; empty: the adapter."""
    version: str = ""


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle in the pixels of a picture of `columns` × `rows`."""

    name: str
    x: float
    y: float
    width: float
    height: float
    columns: float
    rows: float


@dataclass(frozen=True, slots=True)
class MaskRule:
    """Which values of a mask file belong to a structure: those with a bit of `value`, equal to it, or at least it."""

    structure: str
    how: str
    """bits, equals or from."""
    value: int


@dataclass(frozen=True, slots=True)
class MaskFile:
    """A picture beside a radiograph that outlines structures on it."""

    path: bytes
    rules: tuple[MaskRule, ...]
    optional: bool = False
    """The mask may be added later, so a missing file is no fault."""
    scaled: bool = False
    """The mask may have another size than its picture, but not another shape."""


@dataclass(frozen=True, slots=True)
class Unread:
    """A stated cell that could not be read."""

    name: str
    """The value it states: a field of the header, or a finding."""
    reason: str
    """One of `records.unread_cells.REASONS`."""


@dataclass(frozen=True, slots=True)
class Spacing:
    """Distance of pixel centres, in mm, as one element states it."""

    source: str
    row: float
    column: float


@dataclass(frozen=True, slots=True)
class Header:
    """Texts as found; None means not stated. It holds names and dates, so it must never leave ingest."""

    instance_id: str | None = None
    study_id: str | None = None
    series_id: str | None = None
    patient_id: str | None = None
    patient_id_issuer: str | None = None
    accession: str | None = None
    id_flags: tuple[str, ...] = ()
    """Problems of the ids, as in quality_flags."""
    study_date: str | None = None
    birth_date: str | None = None
    day_offset: float | None = None
    """Days since an unknown reference day of the patient."""
    age_text: str | None = None
    age_stands_in: str = "age_string"
    """age_string if from the header's AS element, table if from a column of a table."""
    sex: str | None = None
    view: str | None = None
    view_texts: tuple[str, ...] = ()
    """Free text that may name the view or the body part; only known words of it are kept."""
    orientation: str | None = None
    laterality: str | None = None
    modality: str | None = None
    body_part: str | None = None
    manufacturer: str | None = None
    model_name: str | None = None
    institution: str | None = None
    burned_in: str | None = None
    spacings: tuple[Spacing, ...] = ()
    licence: str | None = None
    known_chest: bool = False
    """The archive states that it holds chest radiographs: body part and modality are not checked."""
    findings: tuple[Finding, ...] = ()
    boxes: tuple[Box, ...] = ()
    masks: tuple[MaskFile, ...] = ()
    unread: tuple[Unread, ...] = ()
    """Stated cells of the table that could not be read into a field above."""


@dataclass(frozen=True, slots=True)
class LookUp:
    """A modality, VOI or palette table: `values` for the stored values from `first` on."""

    first: int
    values: np.ndarray
    bits: int
    lacking: bool = False
    """The descriptor states more entries than the table has."""


@dataclass(frozen=True, slots=True)
class Window:
    """One VOI window, in values after the modality step."""

    centre: float
    width: float
    function: str = "LINEAR"


@dataclass(frozen=True, slots=True)
class Encoded:
    """One picture's bytes and what is needed to decode and show them, as the header states it."""

    data: Any
    """bytes or memoryview of one frame."""
    syntax: str
    """Transfer syntax UID, or 'png', 'jpeg', 'tiff', 'bmp'."""
    rows: int
    columns: int
    bits_allocated: int = 8
    bits_stored: int = 8
    high_bit: int = 7
    signed: bool = False
    samples: int = 1
    planar: bool = False
    photometric: str = "MONOCHROME2"
    slope: float = 1.0
    intercept: float = 0.0
    modality_lut: LookUp | None = None
    voi_lut: LookUp | None = None
    windows: tuple[Window, ...] = ()
    padding: tuple[int, int] | None = None
    """Stored values from the first to the second number are padding."""
    palette: tuple[LookUp, LookUp, LookUp] | None = None
    aspect: float = 1.0
    """Height of a pixel divided by its width."""
    whole_file: Any = field(default=None, repr=False)
    """bytes of the DICOM file, for decoders that need it; only for files with a single frame, else None."""
    presentation: str = ""
    """PresentationLUTShape as stated."""
    trouble_with_rescale: bool = False
    """RescaleSlope or RescaleIntercept is stated but invalid."""
    trouble_with_window: bool = False
    """WindowCenter and WindowWidth are stated but invalid."""
    stream: Codestream | None = None
    """Facts from the codestream in `data`."""
    keep_whole: bool = False
    """Neighbouring values must not be averaged before their meaning is known, so every pixel must be decoded."""
    overruled: tuple[str, ...] = ()
    """Quality flags of header values that contradict the content; the fields hold the content's values."""


@dataclass(frozen=True, slots=True)
class Radiograph:
    """One frame of a file, an archive member, or one row of a table."""

    header: Header
    frame: int = 0
    encoded: Encoded | None = None
    """None if only a table row is known."""
    trouble: Unusable | None = None
    """Why this frame cannot be used, if the adapter already knows."""


def only(values: Sequence[str | None]) -> tuple[str, ...]:
    """The texts that are stated."""
    return tuple(value for value in values if value)
