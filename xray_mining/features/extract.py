"""Radiographs × families → Parquet parts: only what is missing, in one process or several."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np

from xray_mining.errors import UserError
from xray_mining.features.options import FeatureOptions
from xray_mining.features.registry import Column, Picture, columns_of, find
from xray_mining.features.sets import PART_IMAGES, VectorSet, pixel_digests, set_name
from xray_mining.pixels.store import PixelStore
from xray_mining.pixels.variants import changed
from xray_mining.progress import progress
from xray_mining.records.cohort import FrozenCohort
from xray_mining.records.ledger import record_run
from xray_mining.workspace import Workspace, sweep

Array = np.ndarray[Any, Any]

_BATCH = 64


@dataclass(frozen=True, slots=True)
class VectorSummary:
    """What `features` and `embed` say at their end."""

    set: str
    """Name of the set's folder."""
    kind: str
    images: int
    measured: int
    kept: int
    columns: int
    seconds: float

    def lines(self) -> list[str]:
        """The counts as a sentence."""
        rate = f", {self.measured / self.seconds:.0f} a second" if self.measured and self.seconds > 0 else ""
        return [
            f"{self.set}: {self.images:,} radiographs × {self.columns:,} numbers "
            f"({self.measured:,} measured now{rate}; {self.kept:,} were there)"
        ]


@dataclass(frozen=True, slots=True)
class VectorSummaries:
    """The same for several sets."""

    sets: tuple[VectorSummary, ...]

    def lines(self) -> list[str]:
        """A line a set."""
        return [line for each in self.sets for line in each.lines()]


def feature_set(
    workspace: Workspace, set_key: str, options: FeatureOptions, store: str, variant: str = ""
) -> VectorSet:
    """The set that these options make from this store; its digest holds what the numbers hang on.

    `variant` says how the pictures are changed before measuring (`pixels.variants`): such pictures are a set of their
    own.
    """
    folder = feature_folder(workspace, set_key, options, store, variant)
    columns = tuple(columns_of(options))
    return VectorSet(folder, "features", store, columns, _shown(options, variant), pixel_digests(workspace))


def feature_folder(workspace: Workspace, set_key: str, options: FeatureOptions, store: str, variant: str = "") -> Path:
    """Where the set of these options is kept, as `feature_set` has it, without a look at the archive's pictures."""
    told = {"options": _shown(options, variant), "store": store, "version": 1}
    return workspace.features(set_name(set_key, told))


def _shown(options: FeatureOptions, variant: str) -> dict[str, Any]:
    return options.model_dump(mode="json") | ({"variant": variant} if variant else {})


def extract(
    workspace: Workspace,
    cohort: FrozenCohort,
    set_key: str,
    options: FeatureOptions,
    *,
    jobs: int = 1,
    shards: tuple[int, int] | None = None,
) -> VectorSummary:
    """Measure the cohort's radiographs that the set does not hold yet; resumes after any interruption.

    `shards` (first, last + 1) takes only radiographs of these shards of their archives, for several machines.
    """
    store = PixelStore.open(workspace, cohort.store or None)
    made = feature_set(workspace, set_key, options, store.name)
    keys = in_shards(store, cohort.members()["image_key"].to_list(), shards)
    command = f"features {cohort.name}" + (f" --shards {shards[0]}:{shards[1]}" if shards else "")
    with record_run(workspace, "features", f"{cohort.name}/{made.name}", command, made.options) as notes:
        notes.inputs["cohort"] = cohort.digest
        summary = fill(made, store, keys, options, jobs)
        notes.outputs["set"] = made.name
    return summary


def in_shards(store: PixelStore, image_keys: Sequence[str], shards: tuple[int, int] | None) -> list[str]:
    """Those of the keys whose radiograph stands in one of the shards; all of them where none are named."""
    if shards is None:
        return list(image_keys)
    inside = store.frame.filter(store.frame["shard"].is_between(shards[0], shards[1] - 1))["image_key"].to_list()
    return sorted(set(inside) & set(image_keys))


def fill(
    made: VectorSet, store: PixelStore, keys: Sequence[str], options: FeatureOptions, jobs: int, *, variant: str = ""
) -> VectorSummary:
    """Measure what is missing of `keys`, part by part."""
    started = monotonic()
    sweep(made.folder)
    missing = made.missing(keys)
    with progress(len(keys), f"features {made.name}", done=len(keys) - len(missing)) as bar:
        batch: list[str] = []
        rows: list[Array] = []
        for batch_keys, matrix in _measured(store, missing, options, jobs, variant):
            batch += batch_keys
            rows.append(matrix)
            bar.advance(len(batch_keys))
            if len(batch) >= PART_IMAGES:
                made.write(batch, np.concatenate(rows))
                batch, rows = [], []
        if batch:
            made.write(batch, np.concatenate(rows))
    made.describe()
    kept = len(keys) - len(missing)
    return VectorSummary(made.name, "features", len(keys), len(missing), kept, len(made.columns), monotonic() - started)


def _measured(
    store: PixelStore, keys: list[str], options: FeatureOptions, jobs: int, variant: str
) -> Iterator[tuple[list[str], Array]]:
    """Batches of keys and their numbers, in the order of the keys."""
    batches = [keys[start : start + _BATCH] for start in range(0, len(keys), _BATCH)]
    if jobs <= 1 or len(batches) < 2 * jobs:
        for batch in batches:
            yield batch, measure_batch(store, batch, options, variant)
        return
    # Forked children of a process with polars' threads may hang; spawned ones compile nothing, the kernels are kept.
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        waiting = []
        for batch in batches:
            waiting.append((batch, pool.submit(measure_batch, store, batch, options, variant)))
            if len(waiting) > 4 * jobs:
                first, result = waiting.pop(0)
                yield first, result.result()
        for first, result in waiting:
            yield first, result.result()


def changed_features(
    workspace: Workspace, set_key: str, options: FeatureOptions, image_keys: Sequence[str], *, store: str, variant: str
) -> Array:
    """The numbers of these radiographs after a change of their pictures, (n, columns) float64; kept as a set."""
    made = feature_set(workspace, set_key, options, store, variant)
    fill(made, PixelStore.open(workspace, store), image_keys, options, jobs=1, variant=variant)
    return made.read(image_keys)


def measure_batch(store: PixelStore, image_keys: Sequence[str], options: FeatureOptions, variant: str = "") -> Array:
    """The numbers of some radiographs of a store, (n, columns) float64."""
    boxes = store.content_boxes(image_keys)
    pictures = changed(store.read(image_keys), boxes, variant)
    return np.stack([measure(image, box, options) for image, box in zip(pictures, boxes, strict=True)])


def measure(image: Array, box: Sequence[float] | Array | None, options: FeatureOptions) -> Array:
    """The numbers of one radiograph, (columns,) float64, in the order of `columns_of(options)`.

    `image` (side, side) uint8 or uint16, bright = dense; `box` left, top, width, height of the radiograph within the
    square, in its pixels; None where there is no padding.
    """
    picture = picture_of(image, box, options)
    return np.concatenate([each.compute(picture, options) for each in find(options.families)])


def picture_of(image: Array, box: Sequence[float] | Array | None, options: FeatureOptions) -> Picture:
    """The radiograph as the families see it: uint8, resized, with its zones."""
    import cv2

    if image.ndim != 2:
        raise ValueError(f"a picture has height and width, not {image.shape}")
    values = (image >> 8).astype(np.uint8) if image.dtype == np.uint16 else np.ascontiguousarray(image)
    side = options.side_px
    height, width = values.shape
    if (height, width) != (side, side):
        shrinks = side <= min(height, width)
        values = cv2.resize(values, (side, side), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
    left, top, box_width, box_height = (0.0, 0.0, float(width), float(height)) if box is None else map(float, box)
    rows = _inside(top * side / height, (top + box_height) * side / height, side)
    columns = _inside(left * side / width, (left + box_width) * side / width, side)
    zones = np.full((side, side), -1, np.int16)
    tall, wide = rows[1] - rows[0], columns[1] - columns[0]
    zone_row = np.arange(tall) * options.zone_rows // tall
    zone_column = np.arange(wide) * options.zone_columns // wide
    zones[rows[0] : rows[1], columns[0] : columns[1]] = zone_row[:, None] * options.zone_columns + zone_column
    count = options.zone_rows * options.zone_columns
    return Picture(np.ascontiguousarray(values, np.uint8), zones, count, (rows[0], columns[0], rows[1], columns[1]))


def _inside(low: float, high: float, side: int) -> tuple[int, int]:
    """Whole pixels from `low` to `high`, at least one, within the side."""
    first = min(max(int(np.ceil(low - 0.5)), 0), side - 1)
    return first, max(min(int(np.floor(high + 0.5)), side), first + 1)


def load(
    workspace: Workspace, set_key: str, options: FeatureOptions, image_keys: Sequence[str], store: str | None = None
) -> tuple[Array, list[str]]:
    """The numbers of the radiographs in the order of the keys, (n, columns) float64, and the columns' names.

    `store` is the pixel store that the set was made from; the workspace's current one unless told otherwise.
    """
    name = store or workspace.settings.store
    if not name:
        raise UserError(f"{workspace.root.name}: holds no pictures yet; `xray-mining ingest ARCHIVE` makes them")
    made = feature_set(workspace, set_key, options, name)
    return made.read(image_keys), [each.name for each in made.columns]


__all__ = ["Column", "VectorSummaries", "VectorSummary", "extract", "load", "measure", "measure_batch", "picture_of"]
