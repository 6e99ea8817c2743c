"""Signs that two files hold the same picture: a digest of the encoded bytes, and a perceptual hash."""

import uuid

import cv2
import numpy as np
import xxhash

from xray_mining.archive.radiograph import Encoded
from xray_mining.ingest.grey import Placement
from xray_mining.ingest.shrink import shrunk

# Protects against chance, not against attacks: no key is made from it. A cryptographic digest would take longer than
# all other work on a raw picture. Its name enters a shard's inputs, because digests of two kinds never match.
PIXEL_DIGEST = "xxh3_128"
_SQUARE, _SIDE = 128, 32
_SAME = np.arange(256, dtype=np.uint16)


def frequencies(number: int) -> list[tuple[int, int]]:
    """Lowest frequencies down and across that become bits, without the lowest six, alike in all chests."""
    order = sorted(((u, v) for u in range(16) for v in range(16)), key=lambda uv: (uv[0] + uv[1], uv[0]))
    return order[6 : 6 + number]


_ROWS, _COLUMNS = (np.array(each) for each in zip(*frequencies(64), strict=True))
_BITS = (np.uint64(1) << np.arange(64, dtype=np.uint64)).astype(np.uint64)


def pixel_digest(encoded: Encoded) -> str:
    """UUID text of a digest of the encoded frame with rows, columns, bits, photometric interpretation and syntax."""
    digest = xxhash.xxh3_128(encoded.data)
    digest.update(
        f"|{encoded.rows}|{encoded.columns}|{encoded.bits_allocated}|{encoded.bits_stored}|{encoded.signed}"
        f"|{encoded.samples}|{encoded.photometric}|{encoded.syntax}".encode()
    )
    return str(uuid.UUID(bytes=digest.digest()))


def perceptual_hash(picture: np.ndarray, placement: Placement) -> int:
    """64-bit hash of the image without its padding; it hardly changes with brightness, contrast and size."""
    content = picture[
        placement.top : placement.top + placement.height, placement.left : placement.left + placement.width
    ]
    if content.dtype == np.uint16:
        content = cv2.convertScaleAbs(content, alpha=1 / 257)
    if min(content.shape) < _SQUARE:
        square = cv2.resize(content, (_SQUARE, _SQUARE), interpolation=cv2.INTER_AREA)
    else:
        # Same result as OpenCV's function, in less time.
        square = shrunk(np.ascontiguousarray(content), _SAME, _SQUARE, _SQUARE).astype(np.uint8)
    return hash_of_square(cv2.equalizeHist(square))


def hash_of_square(equalised: np.ndarray) -> int:
    """Signs of 64 cosine coefficients of a 32 × 32 thumbnail of an equalised (height, width) uint8 picture."""
    small = cv2.resize(equalised, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA).astype(np.float32)
    return int(_BITS[cv2.dct(small)[_ROWS, _COLUMNS] > 0].sum(dtype=np.uint64))
