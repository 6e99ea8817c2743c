"""Claims about frames, rescaling, windows, tables, padding, and pictures without DICOM."""

import numpy as np
from claim_files import (
    BASELINE,
    BIG,
    BITS16,
    CODES,
    COLOURED,
    EIGHT,
    FILM,
    NAMES,
    SIGNED,
    TABLE,
    WIDE,
    Claim,
    bad,
    big_tiff,
    bmp,
    cut,
    dicom,
    item,
    jpeg,
    over,
    padded_signed,
    palette,
    png,
    ramp,
    right,
    tiff,
)

CLAIMS: list[Claim] = [
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
        "too_large: 20000 frames",
        "NumberOfFrames",
        "more than any recording has",
        lambda: dicom(FILM, NumberOfFrames=20000),
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
