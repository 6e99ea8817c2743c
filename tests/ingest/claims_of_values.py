"""Claims about bits, signs, sizes, samples and planes."""

import numpy as np
from claim_files import (
    ALL_WAYS,
    BASELINE,
    BITS16,
    CODES,
    COLOURED,
    COLUMNS,
    DARK,
    EIGHT,
    FILM,
    HT,
    J2K,
    LS,
    NAMES,
    NOISY,
    OVERLAID,
    RLE,
    ROWS,
    SIGNED,
    SV1,
    WIDE,
    WRAPPED,
    Claim,
    bad,
    dicom,
    j2k,
    jpeg,
    laid_over,
    lossless,
    ls,
    over,
    right,
    rle,
    rle16,
)

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
]
