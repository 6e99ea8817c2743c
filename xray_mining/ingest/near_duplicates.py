"""Pairs of kept radiographs that show one exposure: in another window, size, border, crop or compression.

Each picture has a hash of itself and hashes of 54 crops of it. Two pictures are a candidate if the hash of one is close
to a hash of the other or of one of its crops; hashes are looked up in bands, so that not all pictures are compared with
each other. A candidate is confirmed if the pictures, aligned by an affine map, correlate. Hashes and correlations are
kept, so that a later run only computes those of new pictures. On the 1,310 real radiographs of three public sets with
67 known pairs, all true candidates except one correlate above 0.95 after alignment, and no other candidate does.
"""

import os
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import polars as pl

from xray_mining.errors import UserError
from xray_mining.ingest.near_hashes import CROPS, SIDE, appended, hashes_of_all, kept, small_of
from xray_mining.kernels import compiled
from xray_mining.pixels.store import PixelStore, StoreReplaced
from xray_mining.progress import progress
from xray_mining.records.images import Images, first_of_each_image
from xray_mining.records.near_duplicates import NearDuplicates
from xray_mining.workspace import Workspace, lock, write_frame

LEAST_CORRELATION = 0.95
# Checked before the costly alignment: correlation of the matching crops without alignment.
_LEAST_UNALIGNED = 0.15
# How many of 192 bits may differ, and how many bits of a word are looked up at once. Chance matches grow with the
# square of the number of pictures; the bench prints how many real pairs are candidates under each rule.
_FEW, _MANY = 50_000, 200_000
_DISTANCE, _DISTANCE_OF_MANY = 28, 24
_BITS, _BITS_OF_MANY = 21, 26
# Pictures per look-up, and how many of the nearest candidates each gets.
_ASKED, _MOST_FOUND = 4096, 64
# Candidates per picture that are aligned (nearest first), and how many are aligned and written at a time.
_MOST_CANDIDATES = 3
_BATCH, _PART = 256, 20_000
# Increased when the search would find other pairs among the same pictures.
_VERSION = 3
_SEARCHED = {"image_key": pl.String, "pixel_digest": pl.String, "search": pl.String}
_TRIED = {"wider": pl.String, "narrower": pl.String, "crop": pl.Int64, "search": pl.String, "correlation": pl.Float64}


def find(workspace: Workspace, store: str) -> int:
    """Update the pairs over all archives, as one part; returns their number.

    The list of searched pictures is written after the pairs, so that a search that was killed is repeated. A lock is
    held: of jobs that share an archive, the last one sees the pictures of all.
    """
    workspace.refuse_missing()
    with lock(workspace.root / ".near_duplicates.lock"):
        pixels = PixelStore.open(workspace, store)
        pictured = _pictured(workspace, pixels)
        if part_path(workspace).is_file() and pictured.equals(_searched(workspace)):
            return known(workspace)
        try:
            found = _pairs(workspace, pixels, pictured.unique("pixel_digest", keep="first", maintain_order=True))
        except StoreReplaced:
            # Another job is reading pictures: it searches when it ends, or the next run does.
            return known(workspace)
        if not part_path(workspace).is_file() or not NearDuplicates.read(part_path(workspace)).equals(found):
            NearDuplicates.write(found, part_path(workspace))
        write_frame(pictured, _searched_path(workspace))
        return found.height


def searched(workspace: Workspace) -> pl.Series:
    """Keys of the images of the last complete search; None before the first search."""
    return _searched(workspace)["image_key"]


def _pairs(workspace: Workspace, pixels: PixelStore, pictured: pl.DataFrame) -> pl.DataFrame:
    """The confirmed pairs of pictures; `pictured` has image_key, pixel_digest and search, each digest once."""
    near = nearest(candidates(hashes_of_all(workspace, pixels, pictured)))
    keys, digests = pictured["image_key"], pictured["pixel_digest"]
    found = pl.DataFrame(
        {
            "key_wider": keys.gather(near[:, 0]),
            "key_narrower": keys.gather(near[:, 1]),
            "wider": digests.gather(near[:, 0]),
            "narrower": digests.gather(near[:, 1]),
            "crop": near[:, 2],
            "distance": near[:, 3],
        }
    )
    of_one = ["wider", "narrower", "crop"]
    search = str(pictured["search"].first() or "")
    tried = kept(_tried_folder(workspace), _TRIED, search)
    _align(workspace, pixels, found.join(tried, on=of_one, how="anti", maintain_order="left"), search)
    tried = kept(_tried_folder(workspace), _TRIED, search).unique(of_one)
    believed = found.join(tried, on=of_one, maintain_order="left").filter(pl.col("correlation") >= LEAST_CORRELATION)
    pairs = ["image_key_a", "image_key_b"]
    return (
        believed.select(
            pl.min_horizontal("key_wider", "key_narrower").alias("image_key_a"),
            pl.max_horizontal("key_wider", "key_narrower").alias("image_key_b"),
            pl.col("distance").cast(NearDuplicates.columns()["distance"].dtype),
            pl.col("correlation").clip(upper_bound=1.0),
        )
        .sort([*pairs, "distance"])
        .unique(pairs, keep="first", maintain_order=True)
    )


def _align(workspace: Workspace, pixels: PixelStore, untried: pl.DataFrame, search: str) -> None:
    """Write the correlations of candidates after alignment, part by part: a killed run loses only the last part."""
    # Alignment uses OpenCV, which releases the interpreter lock.
    with (
        ThreadPoolExecutor(os.cpu_count()) as threads,
        progress(untried.height, "near-duplicates: alignment", "pairs") as bar,
    ):
        for start in range(0, untried.height, _PART):
            part = untried[start : start + _PART]
            correlations: list[float] = []
            for some in part.iter_slices(_BATCH):
                keys = pl.concat([some["key_wider"], some["key_narrower"]]).unique(maintain_order=True)
                smalls = threads.map(small_of, pixels.read(keys), pixels.content_boxes(keys).astype(int))
                small = dict(zip(keys, smalls, strict=True))
                wider, narrower = ([small[key] for key in some[name]] for name in ("key_wider", "key_narrower"))
                correlations += threads.map(aligned_correlation, wider, narrower, CROPS[some["crop"].to_numpy()])
                bar.advance(some.height)
            made = part.with_columns(pl.lit(search).alias("search"), pl.Series("correlation", correlations, pl.Float64))
            appended(_tried_folder(workspace), made.select(list(_TRIED)))


def _tried_folder(workspace: Workspace) -> Path:
    return workspace.parts("_all", "near_duplicates_tried")


def part_path(workspace: Workspace) -> Path:
    """The part that holds the pairs of all archives."""
    return workspace.parts("_all", NearDuplicates.table) / "00000.parquet"


def known(workspace: Workspace) -> int:
    """Number of pairs found last; 0 before the first search."""
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
    """Keys and digests of all pictures of the store, in the order in which merge finds exact duplicates."""
    frames = []
    for archive in workspace.archives_in_order():
        for path in sorted(workspace.parts(archive, Images.table).glob("*.parquet")):
            try:
                frames.append(pl.read_parquet(path, columns=["image_key", "pixel_digest"]))
            except pl.exceptions.PolarsError as error:
                raise UserError(f"{path.name}: is not a readable part of images; run ingest with --again") from error
    frames = frames or [pl.DataFrame(schema={"image_key": pl.String, "pixel_digest": pl.String})]
    rows = first_of_each_image([frame.drop_nulls() for frame in frames])
    rows = rows.filter(pl.Series(pixels.has(rows["image_key"])))
    return rows.with_columns(pl.lit(f"{pixels.name} {_VERSION}").alias("search")).select(list(_SEARCHED))


def candidates(values: np.ndarray) -> np.ndarray:
    """Pairs of pictures whose hashes, (n, 55, 3) uint64, are close; each pair once, at its nearest: (m, 4) int64.

    Columns: the picture whose crop matches, the other picture, the crop, number of differing bits. Three bands of the
    bits of a word are looked up in a table of the bands of all pictures and crops, unchanged and with one bit flipped;
    matches are then compared in full. Above `_FEW` pictures the first word is not looked up, because it is similar in
    unrelated chests.
    """
    pictures, _, words = values.shape
    limit, bits = (_DISTANCE, _BITS) if pictures <= _MANY else (_DISTANCE_OF_MANY, _BITS_OF_MANY)
    shifts = (0, (64 - bits) // 2, 64 - bits)
    bands = [(word, shift) for word in range(pictures > _FEW, words) for shift in shifts]
    found = [np.empty((0, 4), np.int64)]
    with (
        ThreadPoolExecutor(os.cpu_count()) as threads,
        progress(len(bands) * pictures, "near-duplicates: candidates", "look-ups") as bar,
    ):
        for word, shift in bands:
            table = _Table(values, word, shift, bits)
            starts = range(0, pictures, _ASKED)
            for start, some in zip(starts, threads.map(partial(_near, table, limit), starts), strict=True):
                found.append(some)
                bar.advance(min(_ASKED, pictures - start))
    every = np.concatenate(found)
    low, high = every[:, :2].min(axis=1), every[:, :2].max(axis=1)
    order = np.lexsort((every[:, 1], every[:, 2], every[:, 3], high, low))
    low, high = low[order], high[order]
    first = np.ones(len(order), bool)
    first[1:] = (low[1:] != low[:-1]) | (high[1:] != high[:-1])
    return every[order[first]]


class _Table:
    """Indices of all pictures and crops, sorted by one band of their bits."""

    def __init__(self, values: np.ndarray, word: int, shift: int, bits: int) -> None:
        self.values, self.word, self.shift, self.bits = values, word, shift, bits
        bands = values[:, :, word].ravel() >> np.uint64(shift)
        bands = (bands & np.uint64((1 << bits) - 1)).astype(np.uint32)
        self.order = np.argsort(bands).astype(np.uint32)
        self.starts = np.zeros((1 << bits) + 1, np.int64)
        np.cumsum(np.bincount(bands, minlength=1 << bits), out=self.starts[1:])


def _near(table: _Table, limit: int, start: int) -> np.ndarray:
    """Candidates of the pictures from `start` on: (m, 4) int64, as `candidates` has them."""
    number = min(_ASKED, len(table.values) - start)
    found, numbers = np.empty((number, _MOST_FOUND, 4), np.int64), np.zeros(number, np.int64)
    about = (start, table.word, table.shift, table.bits, limit)
    _look_up(table.values, table.order, table.starts, about, found, numbers)
    return found[np.arange(_MOST_FOUND) < numbers[:, None]]


@compiled
def _ones(value: Any) -> Any:
    """Number of set bits of a uint64."""
    value -= (value >> np.uint64(1)) & np.uint64(0x5555555555555555)
    value = (value & np.uint64(0x3333333333333333)) + ((value >> np.uint64(2)) & np.uint64(0x3333333333333333))
    value = (value + (value >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return np.int64((value * np.uint64(0x0101010101010101)) >> np.uint64(56))


@compiled
def _look_up(  # noqa: PLR0917  compiled: no keywords
    values: Any, order: Any, starts: Any, about: Any, found: Any, numbers: Any
) -> None:
    """Fill `found` with the nearest candidates of each picture, each other picture once."""
    start, word, shift, bits, limit = about
    _, crops, words = values.shape
    for place in range(len(numbers)):
        one = start + place
        whole = values[one, 0]
        band = np.int64((whole[word] >> np.uint64(shift)) & np.uint64((1 << bits) - 1))
        for turn in range(-1, bits):
            wanted = band if turn < 0 else band ^ (1 << turn)
            for at in range(starts[wanted], starts[wanted + 1]):
                other = np.int64(order[at]) // crops
                if other == one:
                    continue
                crop = np.int64(order[at]) - other * crops
                distance = 0
                for each in range(words):
                    distance += _ones(values[other, crop, each] ^ whole[each])
                if distance <= limit:
                    numbers[place] = _taken(found[place], numbers[place], other, one, crop, distance)


@compiled
def _taken(found: Any, number: Any, other: Any, one: Any, crop: Any, distance: Any) -> Any:  # noqa: PLR0917
    """Number of candidates of one picture after adding another, if it is nearer than the worst or its earlier match."""
    place, worst = -1, 0
    for at in range(number):
        if found[at, 0] == other:
            place = at
            break
        if found[at, 3] > found[worst, 3]:
            worst = at
    if place < 0:
        if number < len(found):
            place = number
            number += 1
        elif distance < found[worst, 3]:
            place = worst
        else:
            return number
    elif (found[place, 3], found[place, 2]) <= (distance, crop):
        return number
    found[place, 0], found[place, 1], found[place, 2], found[place, 3] = other, one, crop, distance
    return number


def nearest(found: np.ndarray) -> np.ndarray:
    """The candidates, (m, 4) int64, that are among the nearest of one of their two pictures.

    If all pictures are alike (a phantom, one maker's table) each has hundreds of candidates; copies of one exposure are
    the nearest of them, and aligning all would take hours.
    """
    if not len(found):
        return found
    ordered = found[np.lexsort((found[:, 2], found[:, 1], found[:, 0], found[:, 3]))]
    wanted = np.zeros(len(ordered), bool)
    _first_of_each(ordered, np.zeros(found[:, :2].max() + 1, np.int64), wanted)
    return ordered[wanted]


@compiled
def _first_of_each(ordered: Any, taken: Any, wanted: Any) -> None:
    for at in range(len(ordered)):
        one, other = ordered[at, 0], ordered[at, 1]
        if taken[one] < _MOST_CANDIDATES or taken[other] < _MOST_CANDIDATES:
            taken[one] += 1
            taken[other] += 1
            wanted[at] = True


def aligned_correlation(wider: np.ndarray, narrower: np.ndarray, crop: np.ndarray) -> float:
    """Pearson correlation of two (128, 128) uint8 pictures after alignment of `narrower` to `wider`, from `crop` on.

    Slow changes of grey are removed first, because chests are alike in them. -1 if the pictures cannot be aligned.
    """
    top, left, height, width = (int(each) for each in crop)
    start = np.array([[width / SIDE, 0, left], [0, height / SIDE, top]], np.float32)
    seen = cv2.warpAffine(wider, start, (SIDE, SIDE), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
    unaligned = _correlation(seen, narrower)
    if unaligned < _LEAST_UNALIGNED:
        return unaligned
    criteria = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 40, 1e-4)
    no_mask = np.full(wider.shape, 255, np.uint8)
    try:
        _, found = cv2.findTransformECC(narrower, wider, start, cv2.MOTION_AFFINE, criteria, no_mask, 5)
    except cv2.error:
        return unaligned
    seen = cv2.warpAffine(wider, found, (SIDE, SIDE), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
    return max(_correlation(seen, narrower), unaligned)


def _correlation(first: np.ndarray, second: np.ndarray) -> float:
    inner = slice(8, SIDE - 8)
    flat = []
    for picture in (first, second):
        values = picture.astype(np.float32)
        values = (values - cv2.GaussianBlur(values, (0, 0), 5))[inner, inner]
        values -= values.mean()
        flat.append(values)
    norm = float(np.sqrt((flat[0] ** 2).sum() * (flat[1] ** 2).sum()))
    return float((flat[0] * flat[1]).sum() / norm) if norm > 0 else -1.0
