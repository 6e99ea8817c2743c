"""Every element of a header that the reader uses, held against content that says otherwise.

`CLAIMS` is the list: the element, files made for it, and what is right: the true picture with a flag that says what was
overruled, the true picture without one where nothing is wrong or nothing can be told, or a reject that names the two.
"""

import io
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import imagecodecs
import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import UID

from xray_mining.archive import dicom_pixels
from xray_mining.archive.dicom_file import looks_like_dicom, read_dicom
from xray_mining.archive.picture_file import picture_of
from xray_mining.archive.radiograph import Unusable
from xray_mining.ingest.options import GreyOptions
from xray_mining.ingest.picture import standardised

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


CLAIMS: list[Claim] = [
    # BitsAllocated, BitsStored, HighBit
    right("BitsStored HighBit", "12 of 16", lambda: dicom(FILM)),
    right("BitsStored HighBit", "16 of 16", lambda: dicom(WIDE, **BITS16), truth=WIDE),
    over("bits", "BitsStored HighBit", "12 said, 16 native", lambda: dicom(WIDE), truth=WIDE),
    over("bits", "BitsStored HighBit", "10 said, 12 native", lambda: dicom(FILM, BitsStored=10, HighBit=9)),
    over("bits", "BitsStored HighBit", "8 said, 12 native", lambda: dicom(FILM, BitsStored=8, HighBit=7)),
    *(
        over(
            "bits",
            "BitsStored HighBit",
            f"12 said, 16 in {NAMES[syntax]}",
            lambda syntax=syntax: dicom(WIDE, syntax, ALL_WAYS[syntax](WIDE)),
            truth=WIDE,
        )
        for syntax in ALL_WAYS
    ),
    *(
        right(
            "BitsStored HighBit",
            f"12 said, {NAMES[syntax]} of 16 with values of 12",
            lambda syntax=syntax: dicom(FILM, syntax, ALL_WAYS[syntax](FILM)),
        )
        for syntax in ALL_WAYS
    ),
    over("bits", "BitsStored", "16 said, 12 in jpeg 2000", lambda: dicom(FILM, J2K, j2k(FILM), **BITS16)),
    over("bits", "BitsStored", "16 said, 12 in jpeg lossless", lambda: dicom(FILM, SV1, lossless(FILM), **BITS16)),
    over("bits", "BitsStored HighBit", "12 said, 16 of noise beside black", lambda: dicom(NOISY), truth=NOISY),
    right("BitsStored HighBit", "bits of overlays above", lambda: dicom(OVERLAID)),
    right("BitsStored HighBit", "bits of overlays above, in jpeg-ls", lambda: dicom(OVERLAID, LS, ls(OVERLAID))),
    right("BitsStored HighBit", "overlays in jpeg 2000", lambda: dicom(OVERLAID, J2K, j2k(OVERLAID, 16))),
    *(
        right(
            "BitsStored HighBit", f"an overlay of one piece, {about}", lambda bit=bit, at=at: dicom(laid_over(bit, *at))
        )
        for about, bit, at in (
            ("in bit 15", 15, (20, 40, 20, 40)),
            ("in bit 12", 12, (20, 40, 20, 40)),
            ("over half of the picture", 12, (0, ROWS, 0, COLUMNS // 2)),
            ("of whole rows", 12, (0, ROWS // 2, 0, COLUMNS)),
            ("in a corner", 13, (0, 3, 0, 3)),
        )
    ),
    right("HighBit", "values at the upper end", lambda: dicom(FILM << 4, HighBit=15)),
    right("HighBit", "dark values at the upper end", lambda: dicom(DARK << 4, HighBit=15), truth=DARK),
    right("HighBit", "upper end in jpeg-ls", lambda: dicom(FILM << 4, LS, ls(FILM << 4), HighBit=15)),
    over("bits", "HighBit", "15 said, values at the lower end", lambda: dicom(FILM, HighBit=15)),
    over("bits", "HighBit", "15 said, jpeg 2000 of 12", lambda: dicom(FILM, J2K, j2k(FILM), HighBit=15)),
    over("bits", "HighBit", "3 of 12 bits", lambda: dicom(FILM, HighBit=3)),
    right("HighBit", "missing", lambda: dicom(FILM, HighBit=None)),
    over("bits", "BitsStored", "20 of 16", lambda: dicom(WIDE, BitsStored=20, HighBit=19), truth=WIDE),
    right("BitsStored", "missing", lambda: dicom(WIDE, BitsStored=None, HighBit=None), truth=WIDE),
    over("bits", "BitsAllocated", "16 said, 8 native", lambda: dicom(EIGHT, BitsAllocated=16)),
    over("bits", "BitsAllocated", "8 said, 16 native", lambda: dicom(FILM, BitsAllocated=8)),
    right("BitsAllocated", "16 said, 8 in jpeg", lambda: dicom(EIGHT, BASELINE, jpeg(EIGHT), BitsAllocated=16)),
    over("bits", "BitsAllocated", "8 said, 12 in jpeg-ls", lambda: dicom(FILM, LS, ls(FILM), BitsAllocated=8)),
    over("bits", "BitsAllocated", "8 said, 2 planes of rle", lambda: dicom(FILM, RLE, rle16(FILM), BitsAllocated=8)),
    over(
        "bits",
        "BitsAllocated",
        "16 said, 1 plane of rle",
        lambda: dicom(EIGHT, RLE, rle([EIGHT]), BitsAllocated=16, BitsStored=12, HighBit=11),
    ),
    over(
        "bits",
        "BitsAllocated BitsStored",
        "16 and 12 said, 8 in jpeg",
        lambda: dicom(EIGHT, BASELINE, jpeg(EIGHT), BitsAllocated=16, BitsStored=12, HighBit=11),
    ),
    bad("unsupported_bits: 32 bits", "BitsAllocated", "32", lambda: dicom(FILM, BitsAllocated=32)),
    bad(
        "length_mismatch: 15,360 bytes; the pixel data are 7,680",
        "BitsAllocated",
        "16 and 12 said, native of half the length",
        lambda: dicom(EIGHT, BitsAllocated=16, BitsStored=12, HighBit=11),
    ),
    # PixelRepresentation
    right("PixelRepresentation", "signed", lambda: dicom(SIGNED)),
    right("PixelRepresentation", "signed, masked to 12 bits", lambda: dicom(WRAPPED, PixelRepresentation=1)),
    right("PixelRepresentation", "signed 16", lambda: dicom(SIGNED * 8, **BITS16)),
    over("sign", "PixelRepresentation", "unsigned said", lambda: dicom(SIGNED, PixelRepresentation=0, **BITS16)),
    over("sign", "PixelRepresentation", "signed said", lambda: dicom(FILM, PixelRepresentation=1)),
    over(
        "sign",
        "PixelRepresentation",
        "signed said of 16 bits",
        lambda: dicom(WIDE, PixelRepresentation=1, **BITS16),
        truth=WIDE,
    ),
    *(
        right(
            "PixelRepresentation",
            f"two's complement in {NAMES[syntax]}",
            lambda syntax=syntax: dicom(SIGNED, syntax, CODES[syntax](WRAPPED)),
        )
        for syntax in CODES
    ),
    *(
        over(
            "sign",
            "PixelRepresentation",
            f"signed said, unsigned in {NAMES[syntax]}",
            lambda syntax=syntax: dicom(FILM, syntax, CODES[syntax](FILM), PixelRepresentation=1),
        )
        for syntax in CODES
    ),
    right("PixelRepresentation", "signed in jpeg 2000", lambda: dicom(SIGNED, J2K, j2k(SIGNED))),
    over(
        "sign",
        "PixelRepresentation",
        "unsigned said, signed in jpeg 2000",
        lambda: dicom(SIGNED, J2K, j2k(SIGNED), PixelRepresentation=0),
    ),
    over(
        "sign",
        "PixelRepresentation",
        "unsigned said of 16 bits, signed in jpeg 2000",
        lambda: dicom(SIGNED * 8, J2K, j2k(SIGNED * 8, 16), PixelRepresentation=0, **BITS16),
    ),
    # Rows, Columns
    bad("length_mismatch: 96 by 81 pixels", "Columns", "81 said, 80 native", lambda: dicom(FILM, Columns=81)),
    bad("length_mismatch: 200 by 80 pixels", "Rows", "200 said, 96 native", lambda: dicom(FILM, Rows=200)),
    over("bytes_after_end", "Rows", "95 said, 96 native", lambda: dicom(FILM, Rows=95), truth=FILM[:95]),
    *(
        bad(
            "size_mismatch: states 96 by 81 pixels, the pixel data hold 96 by 80",
            "Rows Columns",
            f"81 said, 80 in {NAMES[syntax]}",
            lambda syntax=syntax: dicom(FILM, syntax, CODES[syntax](FILM), Columns=81),
        )
        for syntax in (SV1, LS, J2K, HT)
    ),
    bad(
        "size_mismatch: states 80 by 96",
        "Rows Columns",
        "changed over",
        lambda: dicom(EIGHT, BASELINE, jpeg(EIGHT), Rows=80, Columns=96),
    ),
    bad("undecodable", "Rows Columns", "81 said, 80 in rle", lambda: dicom(FILM, RLE, rle16(FILM), Columns=81)),
    # SamplesPerPixel, PlanarConfiguration
    right("SamplesPerPixel PlanarConfiguration", "three by pixel", lambda: dicom(COLOURED)),
    right(
        "PlanarConfiguration",
        "three by plane",
        lambda: dicom(COLOURED, raw=np.moveaxis(COLOURED, -1, 0).tobytes(), PlanarConfiguration=1),
    ),
    over("samples", "PlanarConfiguration", "1 said, by pixel", lambda: dicom(COLOURED, PlanarConfiguration=1)),
    over(
        "samples",
        "PlanarConfiguration",
        "0 said, by plane",
        lambda: dicom(COLOURED, raw=np.moveaxis(COLOURED, -1, 0).tobytes()),
    ),
    right(
        "PlanarConfiguration",
        "0 said, planes of rle",
        lambda: dicom(COLOURED, RLE, rle([EIGHT] * 3)),
    ),
    over("samples", "SamplesPerPixel", "1 said, RGB native", lambda: dicom(COLOURED, SamplesPerPixel=1)),
    over(
        "samples",
        "SamplesPerPixel",
        "3 said, grey native",
        lambda: dicom(EIGHT, SamplesPerPixel=3, PlanarConfiguration=0),
    ),
    bad(
        "length_mismatch: 23,040 bytes; the pixel data are 7,680",
        "SamplesPerPixel",
        "3 of RGB said, a third of the length",
        lambda: dicom(EIGHT, SamplesPerPixel=3, PhotometricInterpretation="RGB"),
    ),
    *(
        over(
            "samples colour",
            "SamplesPerPixel PhotometricInterpretation",
            f"grey said, colours in {name}",
            lambda syntax=syntax, code=code: dicom(EIGHT, syntax, code(COLOURED)),
        )
        for name, syntax, code in (
            ("jpeg", BASELINE, jpeg),
            ("jpeg 2000", J2K, lambda values: j2k(values, 8)),
            ("rle", RLE, lambda values: rle([values[..., each] for each in range(3)])),
            ("jpeg-ls", LS, ls),
        )
    ),
    *(
        over(
            "samples colour",
            "SamplesPerPixel PhotometricInterpretation",
            f"colours said, grey in {name}",
            lambda syntax=syntax, code=code: dicom(COLOURED, syntax, code(EIGHT)),
        )
        for name, syntax, code in (
            ("jpeg", BASELINE, jpeg),
            ("jpeg 2000", J2K, lambda values: j2k(values, 8)),
            ("jpeg-ls", LS, ls),
        )
    ),
    bad(
        "samples_mismatch: MONOCHROME1, the pixel data hold three colours",
        "PhotometricInterpretation",
        "MONOCHROME1 said, colours in jpeg",
        lambda: dicom(EIGHT, BASELINE, jpeg(COLOURED), PhotometricInterpretation="MONOCHROME1"),
    ),
    bad("unsupported_samples: 4 values", "SamplesPerPixel", "4", lambda: dicom(EIGHT, SamplesPerPixel=4)),
    bad(
        "samples_mismatch: 2 planes of bytes; the pixel data hold 5",
        "SamplesPerPixel",
        "5 planes of rle",
        lambda: dicom(FILM, RLE, rle([EIGHT] * 5)),
    ),
    # PhotometricInterpretation
    right("PhotometricInterpretation", "MONOCHROME2", lambda: dicom(FILM)),
    right(
        "PhotometricInterpretation",
        "MONOCHROME1",
        lambda: dicom(4095 - FILM, PhotometricInterpretation="MONOCHROME1"),
        inverted=True,
    ),
    right("PhotometricInterpretation", "missing", lambda: dicom(FILM, PhotometricInterpretation=None)),
    over(
        "colour",
        "PhotometricInterpretation",
        "RGB of one value a pixel, in jpeg-ls",
        lambda: dicom(FILM, LS, ls(FILM), PhotometricInterpretation="RGB"),
    ),
    over(
        "colour",
        "PhotometricInterpretation",
        "MONOCHROME2 of three native",
        lambda: dicom(COLOURED, PhotometricInterpretation="MONOCHROME2"),
    ),
    over(
        "colour",
        "PhotometricInterpretation",
        "YBR_FULL_422 of whole length",
        lambda: dicom(
            np.stack([EIGHT, np.full_like(EIGHT, 128), np.full_like(EIGHT, 128)], axis=-1),
            PhotometricInterpretation="YBR_FULL_422",
        ),
    ),
    over(
        "colour",
        "PhotometricInterpretation",
        "YBR_FULL of two thirds of the length",
        lambda: dicom(
            COLOURED,
            raw=np.insert(EIGHT.reshape(ROWS, -1, 2), [2, 2], 128, axis=2).tobytes(),
            PhotometricInterpretation="YBR_FULL",
        ),
    ),
    right(
        "PhotometricInterpretation",
        "YBR_FULL in jpeg 2000 without a transform",
        lambda: dicom(
            COLOURED,
            J2K,
            j2k(np.stack([EIGHT, np.roll(EIGHT, 40, 1), np.roll(EIGHT, 40, 0)], axis=-1), 8, mct=False),
            PhotometricInterpretation="YBR_FULL",
        ),
    ),
    right(
        "PhotometricInterpretation",
        "YBR_ICT in jpeg 2000",
        lambda: dicom(
            COLOURED,
            J2K_LOSSY,
            j2k(COLOURED, 8, mct=True, reversible=False, codecformat="jp2"),
            PhotometricInterpretation="YBR_ICT",
        ),
    ),
    right(
        "PhotometricInterpretation",
        "YBR_RCT in jpeg 2000",
        lambda: dicom(COLOURED, J2K, j2k(COLOURED, 8, mct=True), PhotometricInterpretation="YBR_RCT"),
    ),
    over(
        "colour",
        "PhotometricInterpretation",
        "RGB said, YBR by the marks of jpeg",
        lambda: dicom(COLOURED, BASELINE, jpeg(COLOURED)),
    ),
    right(
        "PhotometricInterpretation",
        "YBR_FULL_422 in jpeg",
        lambda: dicom(COLOURED, BASELINE, jpeg(COLOURED), PhotometricInterpretation="YBR_FULL_422"),
    ),
    over(
        "colour",
        "PhotometricInterpretation",
        "YBR_FULL said, RGB by the marks of jpeg",
        lambda: dicom(COLOURED, BASELINE, jpeg(COLOURED, **RGB_MARKS), PhotometricInterpretation="YBR_FULL"),
    ),
    over(
        "colour samples",
        "PhotometricInterpretation SamplesPerPixel",
        "palette said, colours in jpeg",
        lambda: dicom(EIGHT, BASELINE, jpeg(COLOURED), **palette()),
    ),
    # TransferSyntaxUID, VR, order of bytes
    *(
        right("TransferSyntaxUID", f"as written: {each}", lambda each=each: dicom(FILM, each))
        for each in (IMPLICIT, EXPLICIT, BIG, DEFLATED)
    ),
    *(
        over(
            "encoding",
            "TransferSyntaxUID",
            f"{said} said, {written} written",
            lambda said=said, written=written: dicom(FILM, written, said=said),
        )
        for said in (IMPLICIT, EXPLICIT, BIG, DEFLATED)
        for written in (IMPLICIT, EXPLICIT, BIG, DEFLATED)
        if said != written
    ),
    *(
        over(
            "encoding",
            "TransferSyntaxUID",
            f"{said} said, {NAMES[written]} in fragments",
            lambda said=said, written=written: dicom(FILM, written, CODES[written](FILM), said=said),
        )
        for said in (EXPLICIT, BASELINE, SV1, LS, J2K, HT, RLE, PRIVATE)
        for written in CODES
        if said != written
    ),
    *(
        over(
            "encoding",
            "TransferSyntaxUID",
            f"{said} said, jpeg of 8 bits in fragments",
            lambda said=said: dicom(EIGHT, BASELINE, jpeg(EIGHT), said=said),
        )
        for said in (EXPLICIT, SV1, J2K, RLE)
    ),
    right("TransferSyntaxUID", "jpeg of 8 bits as extended", lambda: dicom(EIGHT, EXTENDED, jpeg(EIGHT))),
    over(
        "encoding",
        "TransferSyntaxUID",
        "baseline said, jpeg of 12 bits",
        lambda: dicom(FILM, BASELINE, jpeg(FILM, bitspersample=12)),
    ),
    *(
        over(
            "encoding", "TransferSyntaxUID", f"{said} said, native", lambda said=said: dicom(FILM, EXPLICIT, said=said)
        )
        for said in (BASELINE, SV1, J2K, RLE, PRIVATE)
    ),
    over(
        "encoding",
        "TransferSyntaxUID",
        "explicit said, native in fragments",
        lambda: dicom(FILM, EXPLICIT, FILM.tobytes()),
    ),
    over(
        "encoding",
        "TransferSyntaxUID",
        "jpeg 2000 without fragments",
        lambda: dicom(FILM, EXPLICIT, raw=j2k(FILM), said=J2K),
    ),
    right("TransferSyntaxUID", "jp2 in jpeg 2000", lambda: dicom(FILM, J2K, j2k(FILM, codecformat="jp2"))),
    over(
        "encoding",
        "PixelData",
        "values of big endian in a little one",
        lambda: dicom(FILM, raw=FILM.byteswap().tobytes()),
    ),
    over("encoding", "PixelData", "planes of rle changed over", lambda: dicom(FILM, RLE, rle16(FILM.byteswap()))),
    bad(
        "unencapsulated: 15,364 bytes are not those of an uncompressed picture",
        "TransferSyntaxUID",
        "jpeg 2000 said, rubbish without fragments",
        lambda: dicom(FILM, EXPLICIT, raw=FILM.tobytes() + b"\1\2\3", said=J2K),
    ),
    # Lengths
    right(
        "PixelData",
        "odd number of bytes filled up",
        lambda: dicom(EIGHT[:95, :79], raw=EIGHT[:95, :79].tobytes() + b"\0"),
        truth=EIGHT[:95, :79],
    ),
    over(
        "bytes_after_end",
        "PixelData",
        "four bytes after the end mark of jpeg",
        lambda: dicom(EIGHT, BASELINE, jpeg(EIGHT) + b"\1\2\3\4"),
    ),
    right("PixelData", "one byte after the end mark of jpeg", lambda: dicom(EIGHT, BASELINE, jpeg(EIGHT) + b"\0")),
    over(
        "bytes_after_end", "PixelData", "512 zeros after native", lambda: dicom(FILM, raw=FILM.tobytes() + bytes(512))
    ),
    bad(
        "length_mismatch: the pixel data are 30,720 bytes",
        "PixelData",
        "twice the length",
        lambda: dicom(FILM, raw=FILM.tobytes() * 2),
    ),
    bad(
        "length_mismatch: the pixel data are 9,000 bytes",
        "PixelData",
        "short",
        lambda: dicom(FILM, raw=FILM.tobytes()[:9000]),
    ),
    bad("truncated_pixels: cut off", "PixelData", "native cut off", lambda: cut(dicom(FILM))),
    *(
        right(
            "PixelData",
            f"jpeg 2000, whole but for its end mark{' and filled up' if fill else ''}",
            lambda fill=fill: dicom(FILM, J2K, j2k(FILM)[:-2] + fill),
        )
        for fill in (b"", b"\0")
    ),
    *(
        bad(
            "truncated_pixels: cut off",
            "PixelData",
            f"{NAMES[syntax]} cut off",
            lambda syntax=syntax: cut(dicom(FILM, syntax, CODES[syntax](FILM))),
        )
        for syntax in CODES
    ),
    *(
        bad(
            "truncated_pixels: no end mark",
            "PixelData",
            f"{NAMES[syntax]} cut off within its fragment",
            lambda syntax=syntax: dicom(FILM, syntax, cut(CODES[syntax](FILM))),
        )
        for syntax in (SV1, LS, J2K, HT)
    ),
    *(
        over(
            "bytes_after_end",
            "PixelData",
            f"512 zeros after {NAMES[syntax]}",
            lambda syntax=syntax: dicom(FILM, syntax, CODES[syntax](FILM) + bytes(512)),
        )
        for syntax in (SV1, LS, J2K, HT)
    ),
    over(
        "bytes_after_end",
        "PixelData",
        "words after jpeg",
        lambda: dicom(EIGHT, BASELINE, jpeg(EIGHT) + b"a trailer!" * 70),
    ),
    right(
        "PixelData",
        "one byte to fill up jpeg",
        lambda: dicom(EIGHT, BASELINE, jpeg(EIGHT) + b"\0" * (len(jpeg(EIGHT)) % 2)),
    ),
    right(
        "PixelData",
        "jpeg in three fragments",
        lambda: dicom(EIGHT, BASELINE, [jpeg(EIGHT)[:700], jpeg(EIGHT)[700:1400], jpeg(EIGHT)[1400:]]),
    ),
    # NumberOfFrames
    right("NumberOfFrames", "two native", lambda: dicom(FILM, raw=FILM.tobytes() * 2, NumberOfFrames=2), frames=2),
    right(
        "NumberOfFrames", "two of jpeg", lambda: dicom(EIGHT, BASELINE, [jpeg(EIGHT)] * 2, NumberOfFrames=2), frames=2
    ),
    over(
        "frames",
        "NumberOfFrames",
        "3 said, 2 native",
        lambda: dicom(FILM, raw=FILM.tobytes() * 2, NumberOfFrames=3),
        frames=2,
    ),
    over(
        "frames",
        "NumberOfFrames",
        "2 said, 3 native",
        lambda: dicom(FILM, raw=FILM.tobytes() * 3, NumberOfFrames=2),
        frames=3,
    ),
    over("frames", "NumberOfFrames", "5 said, 1 native", lambda: dicom(FILM, NumberOfFrames=5)),
    *(
        over(
            "frames",
            "NumberOfFrames",
            f"{said} said, 2 of {NAMES[syntax]}",
            lambda said=said, syntax=syntax: dicom(FILM, syntax, [CODES[syntax](FILM)] * 2, NumberOfFrames=said),
            frames=2,
        )
        for said in (1, 3)
        for syntax in CODES
    ),
    over(
        "frames", "NumberOfFrames", "4 said, 1 of jpeg", lambda: dicom(EIGHT, BASELINE, jpeg(EIGHT), NumberOfFrames=4)
    ),
    bad(
        "too_large: 20000 frames", "NumberOfFrames", "beyond all recordings", lambda: dicom(FILM, NumberOfFrames=20000)
    ),
    # Rescale
    right(
        "RescaleSlope RescaleIntercept", "2 and -100", lambda: dicom(FILM, RescaleSlope="2", RescaleIntercept="-100")
    ),
    right(
        "RescaleSlope",
        "negative: the picture is turned round",
        lambda: dicom(4095 - FILM, RescaleSlope="-1", RescaleIntercept="4095"),
    ),
    over("rescale", "RescaleSlope", "0", lambda: dicom(FILM, RescaleSlope="0", RescaleIntercept="0")),
    over(
        "rescale window",
        "RescaleSlope RescaleIntercept WindowCenter",
        "moved where no window is",
        lambda: dicom(FILM, RescaleSlope="0", RescaleIntercept="50000", WindowCenter="2048", WindowWidth="4096"),
    ),
    # Windows
    right("WindowCenter WindowWidth", "as the values", lambda: dicom(FILM, WindowCenter="2048", WindowWidth="4096")),
    over(
        "window",
        "WindowCenter WindowWidth",
        "beside the values",
        lambda: dicom(FILM, WindowCenter="30000", WindowWidth="1000"),
    ),
    over(
        "window",
        "WindowCenter WindowWidth",
        "of 16 bits",
        lambda: dicom(FILM, WindowCenter="32768", WindowWidth="65536"),
    ),
    over(
        "window",
        "WindowCenter WindowWidth",
        "of 12 bits on 8",
        lambda: dicom(EIGHT, WindowCenter="2048", WindowWidth="4096"),
    ),
    over(
        "bits window",
        "WindowCenter BitsStored",
        "of the 12 bits that are 16",
        lambda: dicom(WIDE, WindowCenter="2048", WindowWidth="4096"),
        truth=WIDE,
    ),
    over(
        "window",
        "WindowCenter WindowWidth",
        "the second fits",
        lambda: dicom(FILM, WindowCenter=["30000", "2048"], WindowWidth=["1000", "4096"]),
    ),
    over("window", "WindowWidth", "0", lambda: dicom(FILM, WindowCenter="2048", WindowWidth="0")),
    over(
        "window", "WindowCenter WindowWidth", "of one value", lambda: dicom(FILM, WindowCenter="2048", WindowWidth="1")
    ),
    over(
        "bits window",
        "WindowCenter BitsStored",
        "of 14 bits said, 16 native",
        lambda: dicom(WIDE, BitsStored=14, HighBit=13, WindowCenter="8192", WindowWidth="16384"),
        truth=WIDE,
    ),
    over("window", "WindowWidth", "negative", lambda: dicom(FILM, WindowCenter="2048", WindowWidth="-4096")),
    over(
        "window",
        "WindowWidth",
        "fewer widths than centres",
        lambda: dicom(FILM, WindowCenter=["2048", "100"], WindowWidth="4096"),
    ),
    right(
        "VOILUTFunction",
        "SIGMOID",
        lambda: dicom(FILM, WindowCenter="2048", WindowWidth="8000", VOILUTFunction="SIGMOID"),
    ),
    right(
        "VOILUTFunction",
        "a word of its own is LINEAR",
        lambda: dicom(FILM, WindowCenter="2048", WindowWidth="4096", VOILUTFunction="CURVE"),
    ),
    # Lookup tables
    right(
        "VOILUTSequence", "as the values", lambda: dicom(FILM, VOILUTSequence=item([4096, 0, 16], ramp(4096, 65535)))
    ),
    right(
        "VOILUTSequence",
        "of words",
        lambda: dicom(
            FILM, VOILUTSequence=item([4096, 0, 16], np.array(ramp(4096, 65535), "<u2").tobytes(), data_vr="OW")
        ),
    ),
    right(
        "VOILUTSequence",
        "of words, big endian",
        lambda: dicom(
            FILM, BIG, VOILUTSequence=item([4096, 0, 16], np.array(ramp(4096, 65535), ">u2").tobytes(), data_vr="OW")
        ),
    ),
    right(
        "VOILUTSequence",
        "0 entries are 65,536",
        lambda: dicom(
            WIDE, VOILUTSequence=item([0, 0, 16], np.arange(65536, dtype="<u2").tobytes(), data_vr="OW"), **BITS16
        ),
        truth=WIDE,
    ),
    right(
        "VOILUTSequence",
        "8 bits in bytes",
        lambda: dicom(FILM, VOILUTSequence=item([4096, 0, 8], np.array(ramp(4096, 255), "u1").tobytes(), data_vr="OW")),
    ),
    right(
        "VOILUTSequence",
        "first value signed",
        lambda: dicom(SIGNED, VOILUTSequence=item([4096, -2048, 16], ramp(4096, 65535), vr="SS")),
    ),
    over(
        "lut",
        "VOILUTSequence",
        "first value signed, written unsigned",
        lambda: dicom(SIGNED, VOILUTSequence=item([4096, 65536 - 2048, 16], ramp(4096, 65535))),
    ),
    over(
        "lut",
        "VOILUTSequence",
        "first value of the rescaled, written unsigned",
        lambda: dicom(
            FILM,
            RescaleIntercept="-2048",
            RescaleSlope="1",
            VOILUTSequence=item([4096, 65536 - 2048, 16], ramp(4096, 65535)),
        ),
    ),
    over(
        "lut",
        "VOILUTSequence",
        "16 bits said, entries of 12",
        lambda: dicom(FILM, VOILUTSequence=item([4096, 0, 16], TABLE)),
    ),
    over(
        "lut",
        "VOILUTSequence",
        "fewer entries than said",
        lambda: dicom(FILM, VOILUTSequence=item([8192, 0, 16], ramp(4096, 65535))),
    ),
    over(
        "lut",
        "VOILUTSequence",
        "for other values",
        lambda: dicom(FILM, VOILUTSequence=item([4096, 20000, 16], ramp(4096, 65535))),
    ),
    over(
        "lut",
        "VOILUTSequence",
        "all entries one",
        lambda: dicom(FILM, VOILUTSequence=item([4096, 0, 16], [65535] * 4096)),
    ),
    over(
        "lut",
        "VOILUTSequence",
        "for other values, and a window",
        lambda: dicom(
            FILM, VOILUTSequence=item([4096, 20000, 16], ramp(4096, 65535)), WindowCenter="2048", WindowWidth="4096"
        ),
    ),
    right(
        "ModalityLUTSequence",
        "as the values",
        lambda: dicom(4095 - FILM, ModalityLUTSequence=item([4096, 0, 16], TABLE[::-1])),
    ),
    over(
        "lut",
        "ModalityLUTSequence",
        "for other values",
        lambda: dicom(FILM, ModalityLUTSequence=item([4096, 20000, 16], TABLE[::-1])),
    ),
    over(
        "lut",
        "ModalityLUTSequence",
        "first value signed, written unsigned",
        lambda: dicom(
            -SIGNED, ModalityLUTSequence=item([4097, 65536 - 2048, 16], [*TABLE[::-1], 0]), BitsStored=13, HighBit=12
        ),
    ),
    over(
        "lut",
        "ModalityLUTSequence",
        "fewer entries than said",
        lambda: dicom(4095 - FILM, ModalityLUTSequence=item([8192, 0, 16], TABLE[::-1])),
    ),
    right(
        " ".join(f"{colour}PaletteColorLookupTableDescriptor" for colour in ("Red", "Green", "Blue")),
        "as the values",
        lambda: dicom(EIGHT, **palette()),
    ),
    right(
        "RedPaletteColorLookupTableData GreenPaletteColorLookupTableData BluePaletteColorLookupTableData",
        "16 bits said, entries of 8",
        lambda: dicom(EIGHT, **palette(top=255)),
    ),
    over(
        "lut",
        "RedPaletteColorLookupTableDescriptor",
        "fewer entries than said",
        lambda: dicom(EIGHT, **palette(stated=1000)),
    ),
    bad(
        "broken_header: lacks one",
        "RedPaletteColorLookupTableData",
        "missing",
        lambda: dicom(EIGHT, PhotometricInterpretation="PALETTE COLOR"),
    ),
    # Padding
    right(
        "PixelPaddingValue",
        "0",
        lambda: dicom(np.where(FILM < 900, 0, FILM).astype(np.uint16), PixelPaddingValue=0),
        truth=np.where(FILM < 900, 900, FILM),
    ),
    over(
        "padding",
        "PixelPaddingValue",
        "signed, written unsigned",
        padded_signed,
        truth=np.where(FILM < 900, 900, FILM),
    ),
    over(
        "padding",
        "PixelPaddingRangeLimit",
        "nearly all of it",
        lambda: dicom(FILM, PixelPaddingValue=0, PixelPaddingRangeLimit=4095),
    ),
    right("PixelPaddingValue", "a value that there is not", lambda: dicom(FILM, PixelPaddingValue=60000)),
    # Presentation
    right("PresentationLUTShape", "IDENTITY of MONOCHROME2", lambda: dicom(FILM, PresentationLUTShape="IDENTITY")),
    right(
        "PresentationLUTShape",
        "INVERSE of MONOCHROME1",
        lambda: dicom(4095 - FILM, PhotometricInterpretation="MONOCHROME1", PresentationLUTShape="INVERSE"),
        inverted=True,
    ),
    over(
        "colour", "PresentationLUTShape", "INVERSE of MONOCHROME2", lambda: dicom(FILM, PresentationLUTShape="INVERSE")
    ),
    over(
        "colour",
        "PresentationLUTShape",
        "IDENTITY of MONOCHROME1",
        lambda: dicom(4095 - FILM, PhotometricInterpretation="MONOCHROME1", PresentationLUTShape="IDENTITY"),
        inverted=True,
    ),
    # Elements that the reader does not use change nothing
    right(
        "SmallestImagePixelValue LargestImagePixelValue",
        "of another picture",
        lambda: dicom(FILM, SmallestImagePixelValue=4000, LargestImagePixelValue=4001),
    ),
    # The shape of a pixel cannot be seen: the spacing goes before the ratio
    right(
        "PixelSpacing ImagerPixelSpacing PixelAspectRatio",
        "against one another",
        lambda: dicom(
            FILM, PixelSpacing=["0.2", "0.2"], ImagerPixelSpacing=["0.1", "0.1"], PixelAspectRatio=["2", "1"]
        ),
    ),
    # Pictures without DICOM
    right("PNG IHDR", "16 bits", lambda: png(FILM * 16)),
    right("PNG IHDR", "8 bits", lambda: png(EIGHT)),
    over("bytes_after_end", "PNG IEND", "words after it", lambda: png(EIGHT) + b"a trailer!" * 70),
    bad("truncated_pixels: cut off", "PNG IEND", "missing", lambda: cut(png(EIGHT))),
    bad("truncated_pixels: cut off", "PNG IEND", "only in words after the cut", lambda: cut(png(EIGHT)) + b"IEND"),
    right("JPEG SOF", "8 bits", lambda: jpeg(EIGHT)),
    over("bytes_after_end", "JPEG EOI", "words after it", lambda: jpeg(EIGHT) + b"a trailer!" * 70),
    bad("truncated_pixels: cut off", "JPEG EOI", "missing", lambda: cut(jpeg(EIGHT))),
    *(
        right(
            "TIFF PhotometricInterpretation",
            f"{'White' if white else 'Black'}IsZero, {8 * values.dtype.itemsize} bits, {order}",
            lambda values=values, white=white, order=order: tiff(
                np.iinfo(values.dtype).max - values if white else values, 0 if white else 1, order
            ),
            inverted=white and values.dtype == np.uint16,
        )
        for values in (EIGHT, FILM * 16)
        for white in (False, True)
        for order in "<>"
    ),
    *(
        right(
            "TIFF PhotometricInterpretation",
            f"{'White' if white else 'Black'}IsZero in a BigTIFF, {order}",
            lambda white=white, order=order: big_tiff(
                65535 - FILM * 16 if white else FILM * 16, 0 if white else 1, order
            ),
            inverted=white,
        )
        for white in (False, True)
        for order in "<>"
    ),
    bad("truncated_pixels: TIFF", "TIFF StripByteCounts", "of a BigTIFF", lambda: cut(big_tiff(FILM))),
    right("TIFF SampleFormat", "signed", lambda: tiff(SIGNED * 8, form=2)),
    right("TIFF SamplesPerPixel", "colours", lambda: tiff(COLOURED, 2)),
    over("frames", "TIFF pages", "two", lambda: tiff(EIGHT, pages=2)),
    bad("truncated_pixels: TIFF", "TIFF StripByteCounts", "beyond the end", lambda: cut(tiff(EIGHT))),
    bad("unsupported_bits", "TIFF BitsPerSample", "32", lambda: tiff(FILM.astype(np.uint32))),
    right("BMP", "8 bits", lambda: bmp(EIGHT)),
    bad("truncated_pixels: BMP", "BMP", "cut off", lambda: cut(bmp(EIGHT))),
]


def frames_of(data: bytes) -> list:
    """Each frame as it is shown, or why it is not."""
    options = GreyOptions(side_px=SIDE)
    if not looks_like_dicom(data):
        return [standardised(picture_of(data), options)]
    found = []
    for each in read_dicom(data):
        if each.trouble is not None:
            raise each.trouble
        assert each.encoded is not None
        found.append(standardised(each.encoded, options))
    return found


def agreement(picture: np.ndarray, truth: np.ndarray) -> float:
    """Correlation of a standardised picture with the true one."""
    rows, columns = truth.shape
    height, width = SIDE, round(SIDE * columns / rows)
    left = (SIDE - width) // 2
    small = cv2.resize(truth.astype(np.float32), (width, height), interpolation=cv2.INTER_AREA)
    return float(np.corrcoef(picture[:, left : left + width].ravel(), small.ravel())[0, 1])


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: f"{claim.elements.split()[0]}: {claim.about}")
@pytest.mark.filterwarnings("ignore")
def test_content_wins_or_the_two_are_named(claim):
    if claim.reject:
        reason, _, words = claim.reject.partition(": ")
        with pytest.raises(Unusable) as trouble:
            frames_of(claim.make())
        assert trouble.value.reason == reason
        assert words in trouble.value.sentence
        return
    found = frames_of(claim.make())
    assert len(found) == claim.frames
    for each in found:
        assert agreement(each.grey.picture, FILM if claim.truth is None else claim.truth) > 0.99
        assert {flag for flag in each.flags if flag not in ("low_resolution", "border", "saturated")} == claim.flags
        assert each.grey.inverted == claim.inverted


@pytest.mark.parametrize(("syntax", "code"), [(J2K, j2k), (HT, ht)], ids=["jpeg 2000", "htj2k"])
def test_values_whose_sign_the_stream_does_not_know_are_not_averaged_before_it_is_known(syntax, code):
    """A large picture is decoded at reduced size; two's complement would be torn where it passes zero."""
    large = film(rows=8 * ROWS, columns=8 * COLUMNS).astype(np.int16) - 2048
    wrapped = (large & 0xFFF).astype(np.uint16)
    [signed] = frames_of(dicom(large, syntax, code(wrapped)))
    [native] = frames_of(dicom(large))
    assert np.abs(signed.grey.picture.astype(int) - native.grey.picture.astype(int)).max() <= 1


def test_every_element_that_the_reader_asks_for_is_listed():
    listed = {word for claim in CLAIMS for word in claim.elements.split()}
    asked = set()

    def element(keyword: str) -> object:
        asked.add(keyword)
        if keyword == "PhotometricInterpretation":
            return "PALETTE COLOR"
        if "Descriptor" in keyword:
            return [1, 0, 8]
        return b"\0\0" if "Data" in keyword else None

    dicom_pixels.picture_as_stated(element, 10, 10, EXPLICIT, True)
    assert asked - listed == set()
    assert {"Rows", "Columns", "NumberOfFrames", "TransferSyntaxUID", "PixelData"} <= listed
