"""From the pixel store to batches: which images stand in which batch is arithmetic, never a state."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple
from uuid import UUID

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from xray_mining.networks.augment import Augmenter
from xray_mining.pixels.store import PixelStore

# Resized pictures of one fit are kept in memory up to this size, in bytes: 2,000 of 512 pixels a side.
MEMORY_BYTES = 512 * 2**20


def resized(pictures: np.ndarray, side_px: int) -> np.ndarray:
    """(n, side, side) uint8 or uint16 → (n, side_px, side_px) uint8; by area down, by cubic interpolation up."""
    if pictures.dtype != np.uint8:
        pictures = (pictures.astype(np.float32) / 257).round().astype(np.uint8)
    if pictures.shape[1:] == (side_px, side_px):
        return pictures
    how = cv2.INTER_AREA if side_px < pictures.shape[1] else cv2.INTER_CUBIC
    small = np.empty((len(pictures), side_px, side_px), np.uint8)
    for i, picture in enumerate(pictures):
        cv2.resize(picture, (side_px, side_px), dst=small[i], interpolation=how)
    return small


@dataclass(frozen=True, slots=True)
class Schedule:
    """Which rows a step trains on: a function of (seed, epoch, step). Batches of an epoch differ by one at most."""

    images: int
    batch_size: int
    epochs: int
    seed: int

    @property
    def steps_an_epoch(self) -> int:
        """Batches in one epoch."""
        return max(1, math.ceil(self.images / self.batch_size))

    @property
    def steps(self) -> int:
        """Batches in all epochs."""
        return self.epochs * self.steps_an_epoch

    def epoch(self, step: int) -> int:
        """The epoch of a step, counted from the start of training."""
        return step // self.steps_an_epoch

    def ends_epoch(self, step: int) -> bool:
        """This step is the last of its epoch."""
        return (step + 1) % self.steps_an_epoch == 0

    def batches(self, epoch: int) -> list[np.ndarray]:
        """The epoch's batches, arrays of rows (int64), every row once."""
        order = np.random.default_rng([self.seed % 2**32, epoch]).permutation(self.images)
        return np.array_split(order, self.steps_an_epoch)


class BatchNumbers(NamedTuple):
    """What a loader asks the dataset for."""

    epoch: int
    """-1: not for training, no augmentation."""
    rows: np.ndarray
    """Rows of the whole batch, over all ranks."""
    rank: int
    ranks: int


class TrainingSteps(Sampler[BatchNumbers]):
    """All training steps from `start` on, over the epochs' borders: one loader serves a whole fit."""

    def __init__(self, schedule: Schedule, start: int, rank: int = 0, ranks: int = 1) -> None:
        self.schedule, self.start, self.rank, self.ranks = schedule, start, rank, ranks

    def __len__(self) -> int:
        return max(0, self.schedule.steps - self.start)

    def __iter__(self) -> Iterator[BatchNumbers]:
        first, skip = divmod(self.start, self.schedule.steps_an_epoch)
        for epoch in range(first, self.schedule.epochs):
            for rows in self.schedule.batches(epoch)[skip:]:
                yield BatchNumbers(epoch, rows, self.rank, self.ranks)
            skip = 0


class PlainBatches(Sampler[BatchNumbers]):
    """Every row once, in order; ranks take every n-th row, without padding."""

    def __init__(self, images: int, batch_size: int, rank: int = 0, ranks: int = 1) -> None:
        self.rows = np.arange(rank, images, ranks)
        self.batch_size = batch_size

    def __len__(self) -> int:
        return math.ceil(len(self.rows) / self.batch_size)

    def __iter__(self) -> Iterator[BatchNumbers]:
        for at in range(0, len(self.rows), self.batch_size):
            yield BatchNumbers(-1, self.rows[at : at + self.batch_size], 0, 1)


class Batch(NamedTuple):
    """What a step sees."""

    images: Tensor
    """(n, 1, side, side) uint8: a quarter of what floats would take on their way from a worker to a GPU."""
    truths: Tensor
    """(n,) float32."""
    shares: Tensor
    """(n,) float32: weight of each image in the mean over the whole batch, over all ranks."""
    rows: Tensor
    """(n,) int64: rows of the dataset."""


class Radiographs(Dataset[Batch]):
    """Images with truths and weights. It holds arrays and the store only: forked workers share them without copies.

    Pictures that are small together are resized once and kept; others are read by offset when they are asked for.
    """

    def __init__(
        self,
        store: PixelStore,
        image_keys: Sequence[str],
        truths: np.ndarray,
        weights: np.ndarray,
        side_px: int,
        *,
        augmenter: Augmenter | None = None,
        memory_bytes: int = MEMORY_BYTES,
    ) -> None:
        self.store = store
        self.keys = np.array([UUID(key).bytes for key in image_keys], dtype="V16")
        self.truths = np.asarray(truths, np.float32)
        self.weights = np.asarray(weights, np.float32)
        self.side_px = side_px
        self.augmenter = augmenter
        self.pictures: np.ndarray | None = None
        self.places: np.ndarray | None = None
        if len(self.keys) * side_px**2 <= memory_bytes:
            self.pictures = np.empty((len(self.keys), side_px, side_px), np.uint8)
            for at in range(0, len(self.keys), 256):
                self.pictures[at : at + 256] = resized(store.read(list(image_keys[at : at + 256])), side_px)
        else:
            self.places = store.places(image_keys)

    def __len__(self) -> int:
        return len(self.keys)

    def key(self, row: int) -> str:
        """image_key of a row."""
        return str(UUID(bytes=self.keys[row].tobytes()))

    def read(self, rows: np.ndarray) -> np.ndarray:
        """Pictures of rows, (n, side_px, side_px) uint8, unchanged by chance."""
        if self.places is not None:
            return resized(self.store.read_at(self.places[rows]), self.side_px)
        assert self.pictures is not None
        return self.pictures[rows]

    def __getitem__(self, index: BatchNumbers) -> Batch:
        epoch, rows = index.epoch, index.rows[index.rank :: index.ranks]
        pictures = self.read(rows)
        if epoch >= 0 and self.augmenter is not None:
            pictures = np.stack(
                [self.augmenter(p, epoch, self.key(int(r))) for p, r in zip(pictures, rows, strict=True)]
            )
        # With these shares the mean of the ranks' sums, which DDP takes, is the weighted mean of the whole batch.
        total = float(self.weights[index.rows].sum()) or 1.0
        return Batch(
            torch.from_numpy(pictures[:, None]),
            torch.from_numpy(self.truths[rows]),
            torch.from_numpy(self.weights[rows] * (index.ranks / total)),
            torch.from_numpy(np.asarray(rows, np.int64)),
        )


def _quiet_worker(number: int) -> None:
    cv2.setNumThreads(0)


def loader(dataset: Radiographs, sampler: Sampler[BatchNumbers], workers: int = 0, pinned: bool = False) -> Any:
    """A DataLoader whose batches are the sampler's, made by `workers` processes (0: this one)."""
    as_it_is: Any = _as_it_is
    return DataLoader(
        dataset,
        batch_size=None,
        sampler=sampler,
        num_workers=workers,
        # Forked workers share the kept pictures; Python 3.14 would copy them to each.
        multiprocessing_context="fork" if workers else None,
        worker_init_fn=_quiet_worker,
        pin_memory=pinned,
        collate_fn=as_it_is,
    )


def _as_it_is(batch: Batch) -> Batch:
    return batch
