"""A PNG, JPEG, TIFF or BMP file's bytes → what is needed to decode it."""

from io import BytesIO

from PIL import Image, UnidentifiedImageError

from xray_mining.archive.radiograph import Encoded, Unusable

# Sizes are checked here before anything is decoded.
Image.MAX_IMAGE_PIXELS = None
_MOST_PIXELS = 150_000_000
_SYNTAXES = {"PNG": "png", "JPEG": "jpeg", "MPO": "jpeg", "TIFF": "tiff", "BMP": "bmp"}
SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp")


def picture_of(data: bytes, photometric: str = "MONOCHROME2") -> Encoded:
    """The picture; only its header is read. Unusable where it is none, too large or too small."""
    try:
        with Image.open(BytesIO(data)) as image:
            kind, (columns, rows), mode = image.format or "", image.size, image.mode
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, TypeError, EOFError, OverflowError) as error:
        raise Unusable("open", "not_an_image", "The file is not a PNG, JPEG, TIFF or BMP picture.") from error
    if kind not in _SYNTAXES:
        raise Unusable("open", "not_an_image", "The picture is of a format that is not read; PNG, JPEG, TIFF, BMP are.")
    if rows * columns > _MOST_PIXELS:
        raise Unusable("header", "too_large", f"The picture states {rows} by {columns} pixels, beyond all films.")
    if rows < 8 or columns < 8:
        raise Unusable("header", "too_small", f"The picture has {rows} by {columns} pixels, too few for a radiograph.")
    if mode.startswith("F"):
        raise Unusable("header", "unsupported_bits", "The picture has fractional values; 8 and 16 bits are read.")
    bits = 16 if mode.startswith("I") else 8
    return Encoded(
        data=data,
        syntax=_SYNTAXES[kind],
        rows=rows,
        columns=columns,
        bits_allocated=bits,
        bits_stored=bits,
        high_bit=bits - 1,
        samples=1 if mode in ("L", "1", "I", "I;16", "I;16B") else 3,
        photometric=photometric,
    )
