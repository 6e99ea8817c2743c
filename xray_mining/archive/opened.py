"""Open a picture with Pillow at any size; the sizes that are accepted are checked by our own rules."""

from collections.abc import Generator
from contextlib import contextmanager
from functools import partial
from io import BytesIO

from PIL import Image

from xray_mining.process_settings import Shared, attribute

# Pillow refuses pictures that a large film or a mosaic of detectors exceeds. The limit is a setting of the whole
# process, and the program that uses this package may rely on it, so it is lifted only while a picture is read.
_ANY_SIZE = Shared(partial(attribute, Image, "MAX_IMAGE_PIXELS", None))


@contextmanager
def opened(data: bytes) -> Generator[Image.Image]:
    """The picture in the bytes of a file; Pillow has read only its header.

    Args:
        data: The bytes of a file that Pillow may know.

    Raises:
        PIL.UnidentifiedImageError: If Pillow does not know the format. A damaged header can raise OSError, ValueError,
            SyntaxError, TypeError, EOFError or OverflowError.
    """
    with _ANY_SIZE, Image.open(BytesIO(data)) as image:
        yield image
