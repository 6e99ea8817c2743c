"""What an adapter declares of one radiograph, in its own words: nothing here is decoded, keyed or believed yet."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from xray_mining.archive.codestream import Codestream


class Unusable(Exception):
    """A file or frame that cannot be used: it becomes one row of rejects, and the run goes on.

    The sentence is read by people and stored: it never holds a name, an identifier or a path.
    """

    def __init__(self, stage: str, reason: str, sentence: str) -> None:
        super().__init__(stage, reason, sentence)
        self.stage = stage
        self.reason = reason
        self.sentence = sentence


@dataclass(frozen=True, slots=True)
class ListedFile:
    """One file of an archive, or one member of a .zip, .tar or .tar.gz in it, as the listing saw it."""

    path: bytes
    """Relative to the archive's folder, in the file system's own bytes."""
    member: str
    """Name of the member within a packed file; empty for a plain file."""
    bytes: int
    modified_ns: int


@dataclass(frozen=True, slots=True)
class Finding:
    """A label, score, outcome or truth that the archive states of a radiograph."""

    name: str
    value: float | None = None
    """For a label 1 present, 0 absent, -1 uncertain; None unknown."""
    label: str | None = None
    unit: str = ""
    source: str = ""
    """Who says so; empty: the adapter."""
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
    """Which values of a mask file are a structure: those with a bit of `value`, equal to it, or from it upwards."""

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
    """It may come later: that it is not there is no fault."""
    scaled: bool = False
    """It may have another size than its picture, but not another shape."""


@dataclass(frozen=True, slots=True)
class Unread:
    """A stated cell that became no value."""

    name: str
    """What it was to become: a field of the header, or a finding."""
    reason: str
    """One of `records.unread_cells.REASONS`."""


@dataclass(frozen=True, slots=True)
class Spacing:
    """Distance of pixel centres as an element states it, in mm."""

    source: str
    row: float
    column: float


@dataclass(frozen=True, slots=True)
class Header:
    """Texts as found; None is 'not stated'. Names and dates are in here: it never leaves ingest."""

    instance_id: str | None = None
    study_id: str | None = None
    series_id: str | None = None
    patient_id: str | None = None
    patient_id_issuer: str | None = None
    accession: str | None = None
    id_flags: tuple[str, ...] = ()
    """What is amiss with the ids as they are written, in the words of quality_flags."""
    study_date: str | None = None
    birth_date: str | None = None
    day_offset: float | None = None
    """Days since a day of the patient's own that nobody states."""
    age_text: str | None = None
    age_stands_in: str = "age_string"
    """age_string for the header's AS element, table for a column of a table."""
    sex: str | None = None
    view: str | None = None
    view_texts: tuple[str, ...] = ()
    """Free text that may tell the view or the body part: only known words of it are ever kept."""
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
    """The archive holds chest radiographs by its own account: body part and modality are not asked."""
    findings: tuple[Finding, ...] = ()
    boxes: tuple[Box, ...] = ()
    masks: tuple[MaskFile, ...] = ()
    unread: tuple[Unread, ...] = ()
    """Cells of the table that are stated and are in none of the fields above."""


@dataclass(frozen=True, slots=True)
class LookUp:
    """A modality, VOI or palette table: `values` for stored values from `first` on."""

    first: int
    values: np.ndarray
    bits: int
    lacking: bool = False
    """The descriptor states more entries than there are."""


@dataclass(frozen=True, slots=True)
class Window:
    """One VOI window in the values that the modality step gives."""

    centre: float
    width: float
    function: str = "LINEAR"


@dataclass(frozen=True, slots=True)
class Encoded:
    """One picture's bytes and what is needed to decode and to show them, as the header states it."""

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
    """Stored values from the first to the second are padding."""
    palette: tuple[LookUp, LookUp, LookUp] | None = None
    aspect: float = 1.0
    """Height of a pixel over its width."""
    whole_file: Any = field(default=None, repr=False)
    """bytes of the DICOM file, for decoders that want it; None for pictures and for all but single frames."""
    presentation: str = ""
    """PresentationLUTShape as stated."""
    trouble_with_rescale: bool = False
    """RescaleSlope or RescaleIntercept is stated and cannot be used."""
    trouble_with_window: bool = False
    """WindowCenter and WindowWidth are stated and cannot be used."""
    stream: Codestream | None = None
    """What the codestream in `data` says of itself."""
    keep_whole: bool = False
    """Bit patterns of neighbours must not be averaged before their meaning is known: decode every pixel."""
    overruled: tuple[str, ...] = ()
    """Quality flags: claims of the header that the content contradicts; these fields say what the content says."""


@dataclass(frozen=True, slots=True)
class Radiograph:
    """One frame of a file, an archive member, or one row of a table."""

    header: Header
    frame: int = 0
    encoded: Encoded | None = None
    """None where only a table row is known."""
    trouble: Unusable | None = None
    """Why this frame cannot be used, where the adapter already knows."""


def only(values: Sequence[str | None]) -> tuple[str, ...]:
    """The texts that are there."""
    return tuple(value for value in values if value)
