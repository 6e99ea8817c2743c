"""Pictures are opened at any size, and Pillow's limit is kept for the rest of the process."""

from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from xray_mining.archive.opened import opened
from xray_mining.archive.picture_file import picture_of
from xray_mining.ingest.decode import decode

SIDE = 64


@pytest.fixture
def film(monkeypatch):
    # Twice this limit is where Pillow refuses a picture; a limit of its own size would need a picture of 0.5 GB.
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", SIDE * SIDE // 4)
    buffer = BytesIO()
    Image.fromarray(np.arange(SIDE * SIDE, dtype=np.uint16).reshape(SIDE, SIDE)).save(buffer, "PNG")
    with pytest.raises(Image.DecompressionBombError):
        Image.open(BytesIO(buffer.getvalue()))
    return buffer.getvalue()


def test_a_picture_over_the_limit_of_pillow_is_read_and_the_limit_stays(film):
    with opened(film) as picture:
        assert picture.size == (SIDE, SIDE)
    encoded = picture_of(film)
    assert (encoded.rows, encoded.columns) == (SIDE, SIDE)
    assert decode(encoded, SIDE).values.max() == SIDE * SIDE - 1
    assert SIDE * SIDE // 4 == Image.MAX_IMAGE_PIXELS


def test_the_limit_stays_after_a_file_that_is_no_picture(film):
    with pytest.raises(OSError, match="cannot identify"), opened(b"no picture"):
        pass
    assert SIDE * SIDE // 4 == Image.MAX_IMAGE_PIXELS
