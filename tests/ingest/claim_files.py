"""Made-up files whose header and content agree or not: DICOM, TIFF, PNG and BMP in many codings."""

import io
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import imagecodecs
import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import UID

IMPLICIT, EXPLICIT, DEFLATED, BIG = (
    "1.2.840.10008.1.2",
    "1.2.840.10008.1.2.1",
    "1.2.840.10008.1.2.1.99",
    "1.2.840.10008.1.2.2",
)
BASELINE, EXTENDED, SV1, LS = (f"1.2.840.10008.1.2.4.{each}" for each in (50, 51, 70, 80))
J2K, J2K_LOSSY, HT, RLE = (*(f"1.2.840.10008.1.2.4.{each}" for each in (90, 91, 201)), "1.2.840.10008.1.2.5")
PRIVATE = "1.2.840.113619.5.2"
ROWS, COLUMNS, SIDE = 96, 80, 64


def film(seed: int = 0, rows: int = ROWS, columns: int = COLUMNS, top: int = 4095) -> np.ndarray:
    """A smooth field with some noise from 0 to `top`, (rows, columns) uint16."""
    rng = np.random.default_rng(seed)
    coarse = cv2.resize(rng.normal(0, 1, (7, 6)), (columns, rows), interpolation=cv2.INTER_CUBIC)
    field = coarse + rng.normal(0, 0.01, coarse.shape)
    return np.rint((field - field.min()) / np.ptp(field) * top).astype(np.uint16)


FILM = film()
DARK = film(top=255)
EIGHT = (FILM >> 4).astype(np.uint8)
WIDE = film(top=65535)
SIGNED = FILM.astype(np.int16) - 2048
COLOURED = np.stack([EIGHT] * 3, axis=-1)


def dicom(
    values: np.ndarray,
    syntax: str = EXPLICIT,
    code: bytes | list[bytes] | None = None,
    said: str | None = None,
    raw: bytes | None = None,
    **elements: object,
) -> bytes:
    """A file of `values`, or of the compressed `code` of them; `said` is the syntax that its file meta states."""
    bits = 8 * values.dtype.itemsize
    dataset = Dataset()
    stated = {
        "SOPClassUID": "1.2.840.10008.5.1.4.1.1.1.1",
        "SOPInstanceUID": "1.2.3",
        "Modality": "DX",
        "BodyPartExamined": "CHEST",
        "SamplesPerPixel": 1 if values.ndim == 2 else 3,
        "PhotometricInterpretation": "MONOCHROME2" if values.ndim == 2 else "RGB",
        "Rows": values.shape[0],
        "Columns": values.shape[1],
        "BitsAllocated": bits,
        "BitsStored": 12 if bits == 16 else 8,
        "HighBit": 11 if bits == 16 else 7,
        "PixelRepresentation": int(values.dtype.kind == "i"),
        **({"PlanarConfiguration": 0} if values.ndim == 3 else {}),
        **elements,
    }
    for keyword, value in stated.items():
        if value is not None:
            setattr(dataset, keyword, value)
    little = syntax != BIG
    if code is None:
        order = "<" if little else ">"
        dataset.PixelData = values.astype(values.dtype.newbyteorder(order)).tobytes() if raw is None else raw
        dataset["PixelData"].VR = "OW" if bits == 16 else "OB"
    else:
        dataset.PixelData = encapsulate([code] if isinstance(code, bytes) else code, has_bot=False)
        dataset["PixelData"].VR, dataset["PixelData"].is_undefined_length = "OB", True
    body, head = io.BytesIO(), io.BytesIO()
    pydicom.filewriter.write_dataset(_file(body, syntax), dataset)
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = UID(said or syntax)
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = dataset.SOPClassUID, dataset.SOPInstanceUID
    pydicom.filewriter.write_file_meta_info(head, meta)
    written = body.getvalue()
    if syntax == DEFLATED:
        packer = zlib.compressobj(wbits=-15)
        written = packer.compress(written) + packer.flush()
    return bytes(128) + b"DICM" + head.getvalue() + written


def _file(body: io.BytesIO, syntax: str) -> pydicom.filebase.DicomFileLike:
    file = pydicom.filebase.DicomFileLike(body)
    file.is_little_endian, file.is_implicit_VR = syntax != BIG, syntax == IMPLICIT
    return file


def j2k(values: np.ndarray, bits: int = 12, **more: object) -> bytes:
    about = {"level": 0, "codecformat": "j2k", "reversible": True, "bitspersample": bits, **more}
    return bytes(imagecodecs.jpeg2k_encode(values, **about))


def lossless(values: np.ndarray, bits: int = 12) -> bytes:
    return bytes(imagecodecs.jpeg8_encode(values, lossless=True, bitspersample=bits))


def jpeg(values: np.ndarray, **more: object) -> bytes:
    return bytes(imagecodecs.jpeg8_encode(values, level=97, **more))


def ls(values: np.ndarray) -> bytes:
    return bytes(imagecodecs.jpegls_encode(values))


def ht(values: np.ndarray) -> bytes:
    return bytes(imagecodecs.htj2k_encode(values))


def rle(planes: list[np.ndarray]) -> bytes:
    """An RLE frame of these byte planes."""
    coded = [bytes(imagecodecs.packbits_encode(each.astype(np.uint8).tobytes())) for each in planes]
    coded = [each + b"\0" * (len(each) % 2) for each in coded]
    offsets = [64 + sum(len(each) for each in coded[:number]) for number in range(len(coded))]
    return struct.pack("<16I", len(coded), *offsets, *[0] * (15 - len(coded))) + b"".join(coded)


def rle16(values: np.ndarray) -> bytes:
    return rle([values >> 8, values & 255])


def tiff(values: np.ndarray, photometric: int = 1, order: str = "<", pages: int = 1, form: int = 1) -> bytes:
    """A plain TIFF of one strip a page, all of one picture."""
    data = values.astype(values.dtype.newbyteorder(order)).tobytes()
    samples = 1 if values.ndim == 2 else 3
    entries = [(256, 4, values.shape[1]), (257, 4, values.shape[0]), (258, 3, 8 * values.dtype.itemsize)]
    entries += [(259, 3, 1), (262, 3, photometric), (273, 4, 0), (277, 3, samples), (278, 4, values.shape[0])]
    entries += [(279, 4, len(data)), (339, 3, form)]
    size = 2 + 12 * len(entries) + 4
    out = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}I", 8)
    for page in range(pages):
        out += struct.pack(f"{order}H", len(entries))
        for tag, kind, stated in entries:
            value = 8 + pages * size if tag == 273 else stated
            packed = struct.pack(f"{order}HH", value, 0) if kind == 3 else struct.pack(f"{order}I", value)
            out += struct.pack(f"{order}HHI", tag, kind, 1) + packed
        out += struct.pack(f"{order}I", 8 + (page + 1) * size if page + 1 < pages else 0)
    return out + data


def big_tiff(values: np.ndarray, photometric: int = 1, order: str = "<") -> bytes:
    """The same with places of 64 bits (version 43), of one page."""
    data = values.astype(values.dtype.newbyteorder(order)).tobytes()
    entries = [(256, values.shape[1]), (257, values.shape[0]), (258, 8 * values.dtype.itemsize), (259, 1)]
    entries += [(262, photometric), (273, 16 + 8 + 20 * 9 + 8), (277, 1), (278, values.shape[0]), (279, len(data))]
    out = (b"II" if order == "<" else b"MM") + struct.pack(f"{order}HHHQQ", 43, 8, 0, 16, len(entries))
    for tag, value in entries:
        kind = 16 if tag in (273, 279) else 3
        out += struct.pack(f"{order}HHQ", tag, kind, 1) + struct.pack(f"{order}{'Q' if kind == 16 else 'H6x'}", value)
    return out + struct.pack(f"{order}Q", 0) + data


def png(values: np.ndarray) -> bytes:
    return cv2.imencode(".png", values)[1].tobytes()


def bmp(values: np.ndarray) -> bytes:
    return cv2.imencode(".bmp", values)[1].tobytes()


def item(descriptor: list[int], data: list[int] | bytes, vr: str = "US", data_vr: str = "US") -> list[Dataset]:
    """A sequence of one lookup table."""
    table = Dataset()
    table.add_new("LUTDescriptor", vr, descriptor)
    table.add_new("LUTData", data_vr, data)
    return [table]


def ramp(entries: int, top: int) -> list[int]:
    return [int(each) for each in np.linspace(0, top, entries)]


def palette(entries: int = 256, bits: int = 16, top: int = 65535, first: int = 0, stated: int | None = None) -> dict:
    """The elements of a grey palette."""
    data = np.linspace(0, top, entries).astype("<u2").tobytes()
    found: dict[str, object] = {"PhotometricInterpretation": "PALETTE COLOR"}
    for colour in ("Red", "Green", "Blue"):
        found[f"{colour}PaletteColorLookupTableDescriptor"] = [entries if stated is None else stated, first, bits]
        found[f"{colour}PaletteColorLookupTableData"] = data
    return found


def cut(data: bytes, share: float = 0.6) -> bytes:
    return data[: int(len(data) * share)]


@dataclass(frozen=True)
class Claim:
    """One made-up file: what of its header is wrong, and what is right."""

    elements: str
    """Keywords of the elements that it is about."""
    about: str
    make: Callable[[], bytes]
    flags: frozenset[str] = frozenset()
    """The flags that say what was overruled; none where the header is right, or nothing can be told."""
    reject: str = ""
    """The reason where the file is rejected, then words that its sentence has."""
    truth: np.ndarray | None = None
    frames: int = 1
    inverted: bool = False


def right(elements: str, about: str, make: Callable[[], bytes], **more: object) -> Claim:
    return Claim(elements, about, make, **more)  # ty: ignore[invalid-argument-type]


def over(flags: str, elements: str, about: str, make: Callable[[], bytes], **more: object) -> Claim:
    named = (each if each == "bytes_after_end" else f"overruled_{each}" for each in flags.split())
    return Claim(elements, about, make, frozenset(named), **more)  # ty: ignore[invalid-argument-type]


def bad(reject: str, elements: str, about: str, make: Callable[[], bytes]) -> Claim:
    return Claim(elements, about, make, reject=reject)


RGB_MARKS = {"colorspace": "RGB", "outcolorspace": "RGB"}
BITS16 = {"BitsStored": 16, "HighBit": 15}
OVERLAID = np.where((np.add.outer(np.arange(ROWS), np.arange(COLUMNS)) % 17) == 0, FILM | 0x8000, FILM)
NOISY = np.where(
    np.arange(COLUMNS) < COLUMNS // 2,
    0,
    np.clip(WIDE + np.random.default_rng(5).normal(0, 2000, WIDE.shape), 0, 65535),
).astype(np.uint16)
WRAPPED = (SIGNED & 0xFFF).astype(np.uint16)
TABLE = [int(each) for each in np.linspace(0, 4095, 4096)]
ALL_WAYS = {
    SV1: lambda values: lossless(values, 16),
    LS: ls,
    J2K: lambda values: j2k(values, 16),
    HT: ht,
    RLE: rle16,
}
CODES = {SV1: lossless, LS: ls, J2K: j2k, HT: ht, RLE: rle16}
NAMES = {SV1: "jpeg lossless", LS: "jpeg-ls", J2K: "jpeg 2000", HT: "htj2k", RLE: "rle", BASELINE: "jpeg"}


def laid_over(bit: int, top: int, bottom: int, left: int, right: int) -> np.ndarray:
    """The film with one bit set in a rectangle: an overlay as older files keep it."""
    values = FILM.copy()
    values[top:bottom, left:right] |= np.uint16(1 << bit)
    return values


def padded_signed() -> bytes:
    """Signed values whose padding is written as an unsigned 16-bit number."""
    values = np.where(FILM < 900, -2000, SIGNED).astype(np.int16)
    data = dicom(values, PixelPaddingValue=-2000)
    at = data.index(b"\x28\x00\x20\x01")
    return data[: at + 4] + b"US" + data[at + 6 :]
