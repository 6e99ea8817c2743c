"""What tells that two files hold the same picture: a digest of the encoded bytes, and a hash of what is seen."""

import hashlib
import uuid

import cv2
import numpy as np

from xray_mining.archive.radiograph import Encoded
from xray_mining.ingest.grey import Placement

_SIDE = 32
# Cosine coefficients of a 32 × 32 thumbnail that become bits: the 64 lowest, without the mean.
_ORDER = sorted(((u, v) for u in range(12) for v in range(12)), key=lambda uv: (uv[0] + uv[1], uv[0]))[1:65]
_ROWS = np.array([u for u, _ in _ORDER])
_COLUMNS = np.array([v for _, v in _ORDER])
_BITS = (np.uint64(1) << np.arange(64, dtype=np.uint64)).astype(np.uint64)


def pixel_digest(encoded: Encoded) -> str:
    """UUID text of a digest of the encoded frame with rows, columns, bits, photometric interpretation and syntax."""
    digest = hashlib.sha256(encoded.data)
    digest.update(
        f"|{encoded.rows}|{encoded.columns}|{encoded.bits_allocated}|{encoded.bits_stored}|{encoded.signed}"
        f"|{encoded.samples}|{encoded.photometric}|{encoded.syntax}".encode()
    )
    return str(uuid.UUID(bytes=digest.digest()[:16]))


def thumbnail(picture: np.ndarray, placement: Placement) -> np.ndarray:
    """The image without its padding, (32, 32) float32 of grey ranks in [0, 1].

    Ranks do not change with brightness, contrast or any other rising map of the grey values.
    """
    content = picture[
        placement.top : placement.top + placement.height, placement.left : placement.left + placement.width
    ]
    if content.dtype == np.uint16:
        content = cv2.convertScaleAbs(content, alpha=1 / 257)
    small = cv2.resize(content, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA).astype(np.float32)
    ranks = np.empty(small.size, np.float32)
    ranks[np.argsort(small, axis=None, kind="stable")] = np.linspace(0, 1, small.size, dtype=np.float32)
    return ranks.reshape(small.shape)


def perceptual_hash(picture: np.ndarray, placement: Placement) -> int:
    """64 bits: the signs of the 64 lowest cosine coefficients of the ranked thumbnail."""
    coefficients = cv2.dct(thumbnail(picture, placement))[_ROWS, _COLUMNS]
    return int(_BITS[coefficients > 0].sum(dtype=np.uint64))
