"""From the pixel store to batches; seed, epoch and step alone decide the images of a batch, not earlier batches."""

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

# Resized pictures of one fit are kept in memory if they need at most this many bytes: 2,000 pictures of 512 pixels.
MEMORY_BYTES = 512 * 2**20


def resized(pictures: np.ndarray, side_px: int) -> np.ndarray:
    """(n, side, side) uint8 or uint16 → (n, side_px, side_px) uint8; smaller by area, larger by cubic interpolation."""
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
    """Training rows of each step, from (seed, epoch, step) alone. Sizes of an epoch's batches differ by at most 1."""

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
        """Whether this step is the last of its epoch."""
        return (step + 1) % self.steps_an_epoch == 0

    def batches(self, epoch: int) -> list[np.ndarray]:
        """The epoch's batches, arrays of rows (int64); each row occurs once."""
        order = np.random.default_rng([self.seed % 2**32, epoch]).permutation(self.images)
        return np.array_split(order, self.steps_an_epoch)


class BatchNumbers(NamedTuple):
    """Index of a batch, from the sampler to the dataset."""

    epoch: int
    """-1 for prediction, without augmentation."""
    rows: np.ndarray
    """Rows of the whole batch of all ranks."""
    rank: int
    ranks: int


class TrainingSteps(Sampler[BatchNumbers]):
    """All training steps from `start` on, across epochs, so that one loader serves a whole fit."""

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
    """Each row once, in order; each of n ranks takes every n-th row, without padding."""

    def __init__(self, images: int, batch_size: int, rank: int = 0, ranks: int = 1) -> None:
        self.rows = np.arange(rank, images, ranks)
        self.batch_size = batch_size

    def __len__(self) -> int:
        return math.ceil(len(self.rows) / self.batch_size)

    def __iter__(self) -> Iterator[BatchNumbers]:
        for at in range(0, len(self.rows), self.batch_size):
            yield BatchNumbers(-1, self.rows[at : at + self.batch_size], 0, 1)


class Batch(NamedTuple):
    """One batch of images with truths."""

    images: Tensor
    """(n, 1, side, side) uint8, because floats would take four times the transfer from a worker to a GPU."""
    truths: Tensor
    """(n,) float32."""
    shares: Tensor
    """(n,) float32: weight of each image in the mean over the whole batch of all ranks."""
    rows: Tensor
    """(n,) int64: rows of the dataset."""


class Radiographs(Dataset[Batch]):
    """Images with truths and weights; only arrays and the store, which forked workers share without copies.

    If all resized pictures fit into `memory_bytes`, they are resized once and kept; otherwise each is read when needed.
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
        """Pictures of rows, (n, side_px, side_px) uint8, without random changes."""
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
        # DDP averages the sums of the ranks; with these shares that average is the weighted mean of the whole batch.
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
    """A DataLoader with the sampler's batches, made by `workers` processes (0: this process)."""
    as_it_is: Any = _as_it_is
    return DataLoader(
        dataset,
        batch_size=None,
        sampler=sampler,
        num_workers=workers,
        # Forked workers share the pictures in memory; the default of Python 3.14 would copy them to each worker.
        multiprocessing_context="fork" if workers else None,
        worker_init_fn=_quiet_worker,
        pin_memory=pinned,
        collate_fn=as_it_is,
        # An own generator, because the loader would draw from torch's, which other threads may have seeded.
        generator=torch.Generator(),
    )


def _as_it_is(batch: Batch) -> Batch:
    return batch
