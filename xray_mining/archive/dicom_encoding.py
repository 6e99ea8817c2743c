"""How the elements of a DICOM file are written, whatever its file meta states: byte order, implicit or deflated."""

import struct
import zlib
from dataclasses import dataclass
from io import BytesIO

from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset

from xray_mining.archive.dicom_texts import BAD_VALUE
from xray_mining.archive.radiograph import (
    Unusable,
)
from xray_mining.archive.syntaxes import BIG_ENDIAN, DEFLATED, IMPLICIT

_PIXEL_DATA = 0x7FE00010
LARGEST_INFLATED = 512 * 2**20
DAMAGED_HEADER = "The DICOM header is damaged: its elements cannot be read."
_DAMAGED_DEFLATED = "The deflated DICOM file is damaged."


@dataclass(frozen=True, slots=True)
class Written:
    """How a file's elements are written, from its first element after the file meta, and what the file meta states.

    The file meta itself is always explicit little endian (PS3.10 7.1).
    """

    start: int
    """Offset at which the elements begin."""
    syntax: str
    """The transfer syntax in the file meta."""
    media: str
    implicit: bool
    little: bool
    deflated: bool

    @classmethod
    def of(cls, data: bytes) -> "Written | None":
        """None if there is no file meta, or if the elements do not show it."""
        if data[128:132] != b"DICM":
            return None
        at, found = 132, {}
        while data[at : at + 2] == b"\x02\x00" and at + 12 <= len(data):
            tag, vr = data[at : at + 4], data[at + 4 : at + 6]
            if not (vr.isalpha() and vr.isupper()):
                return None
            if vr in (b"OB", b"OW", b"UN", b"SQ", b"UT"):
                length, start = struct.unpack_from("<I", data, at + 8)[0], at + 12
            else:
                length, start = struct.unpack_from("<H", data, at + 6)[0], at + 8
            found[tag] = data[start : start + length]
            at = start + length
        syntax, media = (found.get(tag, b"").decode("latin-1").strip("\0 ") for tag in (b"\2\0\x10\0", b"\2\0\2\0"))
        if not syntax or at + 8 > len(data):
            return None
        first = data[at : at + 8]
        if not _plausible(first):
            inflate = zlib.decompressobj(-15)
            try:
                plain = inflate.decompress(data[at : at + 4096], 64)
            except zlib.error:
                return None
            return cls(at, syntax, media, False, True, True) if _plausible(plain) else None
        little = int.from_bytes(first[:2], "little") <= int.from_bytes(first[:2], "big")
        return cls(at, syntax, media, not (first[4:6].isalpha() and first[4:6].isupper()), little, False)

    @property
    def as_stated(self) -> bool:
        """Whether the file meta agrees."""
        stated = self.syntax == IMPLICIT, self.syntax != BIG_ENDIAN, self.syntax == DEFLATED
        return stated == (self.implicit, self.little, self.deflated)

    def read(self, data: bytes) -> tuple[Dataset, BytesIO]:
        """The dataset, read up to the pixel data, and its bytes."""
        if self.deflated:
            return inflated(data, self.start)
        buffer = BytesIO(data)
        buffer.seek(self.start)
        return elements_of(buffer, self.implicit, self.little), buffer


def _plausible(first: bytes) -> bool:
    """Whether the bytes may begin a dataset: its first group is a low number in one of the two byte orders."""
    if len(first) < 8:
        return False
    groups = (int.from_bytes(first[:2], order) for order in ("little", "big"))
    return 4 <= min(groups) <= 0x28


def elements_of(buffer: BytesIO, implicit: bool, little: bool, damaged: str = DAMAGED_HEADER) -> Dataset:
    """The elements up to the pixel data; the buffer is left at that position."""
    try:
        return read_dataset(
            buffer,
            is_implicit_VR=implicit,
            is_little_endian=little,
            stop_when=lambda tag, vr, length: tag == _PIXEL_DATA,
        )
    except BAD_VALUE as error:
        raise Unusable("header", "broken_header", damaged) from error


def inflated(data: bytes, start: int | None = None) -> tuple[Dataset, BytesIO]:
    """A deflated file as if it were explicit little endian: dataset and its bytes up to the pixel data."""
    try:
        if start is None:
            # The file meta is not deflated (PS3.10 7.1): its own length gives the offset of the rest.
            start = 132 + 12 + struct.unpack_from("<I", data, 132 + 8)[0]
        inflate = zlib.decompressobj(-15)
        plain = inflate.decompress(data[start:], LARGEST_INFLATED)
    except (struct.error, zlib.error) as error:
        raise Unusable("header", "broken_header", _DAMAGED_DEFLATED) from error
    if inflate.unconsumed_tail:
        raise Unusable("open", "too_large", "The deflated file is too large when unpacked.")
    buffer = BytesIO(plain)
    return elements_of(buffer, False, True, _DAMAGED_DEFLATED), buffer
