"""Claims about colours, codings, byte orders and lengths."""

import numpy as np
from claim_files import (
    BASELINE,
    BIG,
    CODES,
    COLOURED,
    DEFLATED,
    EIGHT,
    EXPLICIT,
    EXTENDED,
    FILM,
    HT,
    IMPLICIT,
    J2K,
    J2K_LOSSY,
    LS,
    NAMES,
    PRIVATE,
    RGB_MARKS,
    RLE,
    ROWS,
    SV1,
    Claim,
    bad,
    cut,
    dicom,
    j2k,
    jpeg,
    ls,
    over,
    palette,
    right,
    rle16,
)

CLAIMS: list[Claim] = [
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
]
