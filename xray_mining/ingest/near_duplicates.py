"""Pairs of kept radiographs that show one exposure: in another window, size, border, crop or compression.

Each picture has a hash of itself and hashes of 54 crops of it. Two pictures are a candidate where the hash of one is
near that of the other or of one of its crops; hashes are looked up in bands, so that no picture is compared with all
others. A candidate is believed where the pictures, brought into line by an affine map, correlate. On the 1,310 real
radiographs of three public sets with 67 known pairs, distance 7 finds 62 of them among 1,554 candidates of 857,395
pairs; aligned, all but one of these 62 correlate above 0.95, and no other pair does.
"""

import os
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import polars as pl

from xray_mining.errors import UserError
from xray_mining.ingest.duplicates import hash_of_square
from xray_mining.pixels.store import PixelStore, StoreReplaced
from xray_mining.progress import progress
from xray_mining.records.images import Images
from xray_mining.records.near_duplicates import NearDuplicates
from xray_mining.workspace import Workspace, lock, write_frame

_SIDE = 128
LEAST_CORRELATION = 0.95
# Before the costly alignment: correlation of the matching crops as they are.
_LEAST_UNALIGNED = 0.15
# False candidates grow with the square of the number of pictures: the larger the archive, the nearer they must be.
_DISTANCES = ((5_000, 7), (50_000, 5), (500_000, 3))
_SMALLEST_DISTANCE = 2
_BATCH = 256
# Candidates a picture that are aligned, the nearest first.
_MOST_CANDIDATES = 3
# Raised when the search would find other pairs among the same pictures.
_VERSION = 1
_SEARCHED = {"image_key": pl.String, "pixel_digest": pl.String, "search": pl.String}


def _crops() -> np.ndarray:
    """Top, left, height, width of the whole and of 54 crops of a 128 × 128 picture, (55, 4) int."""
    found = [(0, 0, _SIDE, _SIDE)]
    for scale in (0.93, 0.86, 0.78, 0.7):
        side = round(_SIDE * scale)
        rest = _SIDE - side
        found += [
            (round(rest * down), round(rest * across), side, side) for down in (0, 0.5, 1) for across in (0, 0.5, 1)
        ]
    for scale in (0.9, 0.8, 0.7):
        side = round(_SIDE * scale)
        for place in (0, 0.5, 1):
            at = round((_SIDE - side) * place)
            found += [(at, 0, side, _SIDE), (0, at, _SIDE, side)]
    return np.array(found)


CROPS = _crops()


@dataclass(frozen=True, slots=True)
class Hashes:
    """What the search looks at: (n, 55) uint64 hashes of pictures and crops, (n, 128, 128) uint8 pictures."""

    values: np.ndarray
    pictures: np.ndarray


def find(workspace: Workspace, store: str) -> int:
    """Bring the pairs over all archives up to date, as one part; how many there are.

    What was searched is written after the pairs, so that a search that was killed is made again. Under a lock: of
    jobs that share an archive the last sees the pictures of all.
    """
    with lock(workspace.root / ".near_duplicates.lock"):
        pixels = PixelStore.open(workspace, store)
        pictured = _pictured(workspace, pixels)
        if part_path(workspace).is_file() and pictured.equals(_searched(workspace)):
            return known(workspace)
        try:
            found = _pairs(pixels, pictured.unique("pixel_digest", keep="first", maintain_order=True)["image_key"])
        except StoreReplaced:
            # Another job reads pictures anew: it searches once it has ended, or the next run does.
            return known(workspace)
        if not part_path(workspace).is_file() or not NearDuplicates.read(part_path(workspace)).equals(found):
            NearDuplicates.write(found, part_path(workspace))
        write_frame(pictured, _searched_path(workspace))
        return found.height


def searched(workspace: Workspace) -> pl.Series:
    """Keys of the images among which the last search that ended looked; none where nobody has looked."""
    return _searched(workspace)["image_key"]


def _pairs(pixels: PixelStore, keys: pl.Series) -> pl.DataFrame:
    hashes = hashes_of(pixels, keys)
    rows = []

    def correlated(candidate: tuple[int, int, int, int]) -> float:
        first, second, crop, _ = candidate
        return aligned_correlation(hashes.pictures[first], hashes.pictures[second], CROPS[crop])

    near = nearest(candidates(hashes.values))
    # Alignment is OpenCV's, which lets other threads run.
    with ThreadPoolExecutor(os.cpu_count()) as threads, progress(len(near), "near-duplicates", "pairs") as bar:
        for (first, second, _, distance), correlation in zip(near, threads.map(correlated, near), strict=True):
            bar.advance()
            if correlation < LEAST_CORRELATION:
                continue
            low, high = sorted((keys[int(first)], keys[int(second)]))
            rows.append((low, high, int(distance), min(correlation, 1.0)))
    frame = pl.DataFrame(
        rows, schema={name: column.dtype for name, column in NearDuplicates.columns().items()}, orient="row"
    )
    pairs = ["image_key_a", "image_key_b"]
    return frame.sort([*pairs, "distance"]).unique(pairs, keep="first", maintain_order=True)


def part_path(workspace: Workspace) -> Path:
    """The part that holds the pairs of all archives."""
    return workspace.parts("_all", NearDuplicates.table) / "00000.parquet"


def known(workspace: Workspace) -> int:
    """How many pairs were found last; 0 where nobody has looked."""
    path = part_path(workspace)
    return NearDuplicates.read(path).height if path.is_file() else 0


def _searched_path(workspace: Workspace) -> Path:
    return workspace.parts("_all", "near_duplicates_searched") / "00000.parquet"


def _searched(workspace: Workspace) -> pl.DataFrame:
    path = _searched_path(workspace)
    try:
        return pl.read_parquet(path) if path.is_file() else pl.DataFrame(schema=_SEARCHED)
    except pl.exceptions.PolarsError:
        return pl.DataFrame(schema=_SEARCHED)


def _pictured(workspace: Workspace, pixels: PixelStore) -> pl.DataFrame:
    """Keys and digests of all pictures of the store, in the order in which merge settles exact duplicates."""
    settings = workspace.settings
    frames = []
    for archive in sorted(settings.archives, key=lambda name: settings.archives[name].order):
        for path in sorted(workspace.parts(archive, Images.table).glob("*.parquet")):
            try:
                frames.append(pl.read_parquet(path, columns=["image_key", "pixel_digest"]))
            except pl.exceptions.PolarsError as error:
                raise UserError(f"{path.name}: is not a readable part of images; run ingest with --again") from error
    rows = pl.concat(frames) if frames else pl.DataFrame(schema={"image_key": pl.String, "pixel_digest": pl.String})
    rows = rows.drop_nulls().unique("image_key", keep="first", maintain_order=True)
    rows = rows.filter(pl.Series(pixels.has(rows["image_key"])))
    return rows.with_columns(pl.lit(f"{pixels.name} {_VERSION}").alias("search")).select(list(_SEARCHED))


def hashes_of(pixels: PixelStore, keys: pl.Series) -> Hashes:
    """Hashes and small pictures of the keys' content; padding is left out, grey values are equalised."""
    values = np.zeros((len(keys), len(CROPS)), np.uint64)
    pictures = np.zeros((len(keys), _SIDE, _SIDE), np.uint8)
    for start in range(0, len(keys), _BATCH):
        some = keys[start : start + _BATCH]
        boxes = pixels.content_boxes(some).astype(int)
        for number, (picture, box) in enumerate(zip(pixels.read(some), boxes, strict=True)):
            left, top, width, height = box
            content = picture[top : top + height, left : left + width]
            if content.dtype != np.uint8:
                content = cv2.convertScaleAbs(content, alpha=1 / 257)
            small = cv2.equalizeHist(cv2.resize(content, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA))
            pictures[start + number] = small
            for crop, (y, x, h, w) in enumerate(CROPS):
                values[start + number, crop] = hash_of_square(small[y : y + h, x : x + w])
    return Hashes(values, pictures)


def allowed_distance(pictures: int) -> int:
    """Differing bits up to which two hashes are a candidate in an archive of so many pictures."""
    return next((distance for most, distance in _DISTANCES if pictures <= most), _SMALLEST_DISTANCE)


def candidates(values: np.ndarray) -> Iterator[tuple[int, int, int, int]]:
    """Pairs of pictures whose hashes are near: (one whose crop matches, the other, the crop, differing bits).

    Two 64-bit values that differ in up to 2 · bands - 1 bits differ in at most one bit of some band: each band's
    values, and those with one bit turned, are looked up in a sorted table. Bands grow longer with the table.
    """
    pictures, crops = values.shape
    bits = 16 if values.size <= 5_000_000 else 21
    bands = 64 // bits
    limit = min(allowed_distance(pictures), 2 * bands - 1)
    table = values.ravel()
    best: dict[tuple[int, int], tuple[int, int, int, int]] = {}
    turns = np.concatenate(([0], 1 << np.arange(bits))).astype(np.uint64)
    mask = np.uint64((1 << bits) - 1)
    for band in range(bands):
        shift = np.uint64(band * bits)
        part = (table >> shift) & mask
        order = np.argsort(part, kind="stable")
        part = part[order]
        for one in range(pictures):
            wanted = ((values[one, 0] >> shift) & mask) ^ turns
            first, last = np.searchsorted(part, wanted, "left"), np.searchsorted(part, wanted, "right")
            found = np.concatenate([order[low:high] for low, high in zip(first, last, strict=True)])
            found = found[found // crops != one]
            distance = np.bitwise_count(table[found] ^ values[one, 0])
            near = distance <= limit
            for place, bit in zip(found[near].tolist(), distance[near].tolist(), strict=True):
                other, crop = divmod(place, crops)
                pair = (min(one, other), max(one, other))
                if pair not in best or (bit, crop) < (best[pair][3], best[pair][2]):
                    best[pair] = (other, one, crop, bit)
    for pair in sorted(best):
        yield best[pair]


def nearest(found: Iterable[tuple[int, int, int, int]]) -> list[tuple[int, int, int, int]]:
    """Of the candidates those that are among the nearest of one of their two pictures.

    Where all pictures are alike (a phantom, one maker's table) each has hundreds of candidates; copies of one exposure
    are the nearest of them, and alignment of all would take hours.
    """
    taken: Counter[int] = Counter()
    kept = []
    for candidate in sorted(found, key=lambda each: (each[3], each)):
        one, other = candidate[0], candidate[1]
        if taken[one] < _MOST_CANDIDATES or taken[other] < _MOST_CANDIDATES:
            taken[one] += 1
            taken[other] += 1
            kept.append(candidate)
    return kept


def aligned_correlation(wider: np.ndarray, narrower: np.ndarray, crop: np.ndarray) -> float:
    """Pearson correlation of two (128, 128) uint8 pictures once `narrower` is laid on `wider`, starting at `crop`.

    Slow changes of grey are taken out first: chests are alike in those. -1 where they cannot be brought into line.
    """
    top, left, height, width = (int(each) for each in crop)
    start = np.array([[width / _SIDE, 0, left], [0, height / _SIDE, top]], np.float32)
    seen = cv2.warpAffine(wider, start, (_SIDE, _SIDE), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
    unaligned = _correlation(seen, narrower)
    if unaligned < _LEAST_UNALIGNED:
        return unaligned
    criteria = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 40, 1e-4)
    no_mask = np.full(wider.shape, 255, np.uint8)
    try:
        _, found = cv2.findTransformECC(narrower, wider, start, cv2.MOTION_AFFINE, criteria, no_mask, 5)
    except cv2.error:
        return unaligned
    seen = cv2.warpAffine(wider, found, (_SIDE, _SIDE), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
    return max(_correlation(seen, narrower), unaligned)


def _correlation(first: np.ndarray, second: np.ndarray) -> float:
    inner = slice(8, _SIDE - 8)
    flat = []
    for picture in (first, second):
        values = picture.astype(np.float32)
        values = (values - cv2.GaussianBlur(values, (0, 0), 5))[inner, inner]
        values -= values.mean()
        flat.append(values)
    norm = float(np.sqrt((flat[0] ** 2).sum() * (flat[1] ** 2).sum()))
    return float((flat[0] * flat[1]).sum() / norm) if norm > 0 else -1.0
