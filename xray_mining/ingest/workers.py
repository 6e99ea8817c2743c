"""Shards over processes of their own: a decoder that crashes or hangs takes its worker down, never the run.

The file it was lost on is tried once more, first of all, by the next worker; lost again, it is rejected and the rest of
the shard is done without it.
"""

import ctypes
import gc
import multiprocessing
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from xray_mining.errors import CannotFinish
from xray_mining.ingest.parts import ShardCounts
from xray_mining.ingest.run import ShardTask, run_shard

# A worker is replaced after so many shards: what decoders leak does not add up.
_SHARDS_A_WORKER = 50
# A worker's start (imports, tables of 400,000 rows) is no file that hangs.
_START_S = 600.0
_OBJECTS_BETWEEN_LOOKS = 50_000
# Of mallopt, as glibc's malloc.h numbers them; and their values: that of the largest films, and of a few of them.
_MMAP_THRESHOLD, _TRIM_THRESHOLD = -3, -1
_FROM_THE_HEAP, _KEPT = 32 * 2**20, 128 * 2**20
_DONE, _DISK, _BUG = range(3)
# What a worker says of itself before each file, in memory that it shares with its parent: a message a file would keep
# the parent busy where files are small, and the last word of one that crashed is there all the same.
_POSITION, _SINCE_NS = 0, 4


@dataclass(slots=True)
class _Worker:
    process: Any
    pipe: Connection
    said: Any
    """Position, kept, rejected, bytes, and the clock in nanoseconds when it began with the file."""
    task: ShardTask | None = None
    shards: int = 0

    @property
    def position(self) -> int:
        """Of the file that it is at; -1 before the first, below that while what they gave is written."""
        return self.said[_POSITION]

    @property
    def seconds(self) -> float:
        """How long it has been at it."""
        return (time.monotonic_ns() - self.said[_SINCE_NS]) / 1e9

    @property
    def done(self) -> tuple[int, int, int, int]:
        """Files, kept, rejected, bytes of its shard."""
        position, kept, rejected, size = self.said[:_SINCE_NS]
        # Below -1 the files are done, -2 - position of them, and what they gave is being written.
        return position if position >= 0 else max(-2 - position, 0), kept, rejected, size


@dataclass(slots=True)
class _Losses:
    """Positions of one shard on which workers were lost, and how often."""

    times: dict[int, int] = field(default_factory=dict)


Progress = Callable[[int, int, int, int], None]
"""Called with files, kept, rejected and bytes done so far, over all shards of this run."""


def run_shards(
    tasks: Sequence[ShardTask], jobs: int, file_limit_s: float, log: Path, progress: Progress
) -> Iterator[ShardCounts]:
    """Do the shards in up to `jobs` processes and give the counts of each as it ends, in the order of ending.

    Raises CannotFinish where the disk refuses; what was finished is kept.
    """
    context = multiprocessing.get_context("spawn")
    waiting = list(reversed(tasks))
    losses: dict[int, _Losses] = {task.shard: _Losses() for task in tasks}
    workers: list[_Worker] = []
    finished = [0, 0, 0, 0]
    try:
        with _one_thread_each():
            while waiting or any(worker.task for worker in workers):
                while waiting and len(workers) < jobs:
                    workers.append(_start(context, log, len(workers)))
                for worker in workers:
                    if worker.task is None and waiting:
                        _give(worker, waiting.pop())
                for worker in _with_news(workers):
                    yield from _hear(worker, workers, waiting, losses, finished)
                for worker in workers:
                    limit = file_limit_s if worker.position >= 0 else max(file_limit_s, _START_S)
                    if worker.task is not None and worker.seconds > limit:
                        _lose(worker, workers, waiting, losses, hung=True)
                running = [worker.done for worker in workers if worker.task is not None]
                progress(*(finished[i] + sum(each[i] for each in running) for i in range(4)))
    finally:
        for worker in workers:
            worker.process.kill()
            worker.process.join()
            worker.pipe.close()


@contextmanager
def _one_thread_each() -> Generator[None]:
    """Workers are the parallelism: the libraries within them take one thread each."""
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "POLARS_MAX_THREADS", "RAYON_NUM_THREADS")
    before = {name: os.environ.get(name) for name in names}
    os.environ.update(dict.fromkeys(names, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def keep_memory() -> None:
    """Have the C library keep what a picture took for the next one, where it is glibc.

    Left to itself it gives large pieces back to the kernel, which hands them out again page by page: for films of 10 MB
    that takes longer than to decode a quarter of them, and of this time several processes take more, not less. Python,
    for its part, looks for cycles among its objects less often: a shard's rows are hundreds of thousands, without any.
    """
    gc.set_threshold(_OBJECTS_BETWEEN_LOOKS)
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_MMAP_THRESHOLD, _FROM_THE_HEAP)
        mallopt(_TRIM_THRESHOLD, _KEPT)


def _start(context: Any, log: Path, number: int) -> _Worker:
    here, there = context.Pipe()
    said = context.RawArray("q", 5)
    process = context.Process(target=_serve, args=(there, said, log, number, os.getpid()), daemon=True)
    process.start()
    there.close()
    return _Worker(process, here, said)


def _give(worker: _Worker, task: ShardTask) -> None:
    worker.task, worker.said[:] = task, (-1, 0, 0, 0, time.monotonic_ns())
    # A worker that died in between is met where its pipe is read.
    with suppress(OSError):
        worker.pipe.send(task)


def _with_news(workers: list[_Worker]) -> list[_Worker]:
    ready = set(wait([worker.pipe for worker in workers], timeout=0.5))
    return [worker for worker in workers if worker.pipe in ready]


def _hear(
    worker: _Worker,
    workers: list[_Worker],
    waiting: list[ShardTask],
    losses: dict[int, _Losses],
    finished: list[int],
) -> Iterator[ShardCounts]:
    try:
        kind, value = worker.pipe.recv()
    except (EOFError, OSError):
        _lose(worker, workers, waiting, losses, hung=False)
        return
    if kind == _DONE:
        worker.task = None
        worker.shards += 1
        for index, count in enumerate((value.files, value.kept, value.rejected, value.bytes)):
            finished[index] += count
        if worker.shards >= _SHARDS_A_WORKER:
            worker.process.kill()
            worker.process.join()
            worker.pipe.close()
            workers.remove(worker)
        yield value
    elif kind == _DISK:
        raise CannotFinish(value)
    else:
        raise RuntimeError(value)


def _lose(
    worker: _Worker, workers: list[_Worker], waiting: list[ShardTask], losses: dict[int, _Losses], hung: bool
) -> None:
    """A worker crashed or hangs: its shard is done again, without the file that did it twice."""
    worker.process.kill()
    worker.process.join()
    worker.pipe.close()
    workers.remove(worker)
    task, position = worker.task, worker.position
    if task is None:
        return
    mine = losses[task.shard]
    mine.times[position] = mine.times.get(position, 0) + 1
    if mine.times[position] == 1 and position >= 0:
        waiting.append(replace(task, suspects=(position,)))
        return
    if position < 0:
        if mine.times[position] > 2:
            when = "before it met a file" if position == -1 else "while it wrote what the files had given"
            raise CannotFinish(
                f"archive {task.archive}, shard {task.shard}: its worker was lost three times {when} (memory, a disk "
                f"that does not answer?); try fewer --jobs and see the log in the private folder"
            )
        waiting.append(task)
        return
    if hung:
        verdict = ("hangs", "Reading the file takes longer than the limit a file has; it was tried twice.")
    else:
        verdict = ("crash", "Reading the file ends the reading process; it was tried twice.")
    waiting.append(replace(task, suspects=(), refused={**task.refused, position: verdict}))


def _serve(pipe: Connection, said: Any, log: Path, number: int, parent: int) -> None:
    """A worker's life: take a shard, do it, say so; until the pipe or the parent ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    log.mkdir(parents=True, exist_ok=True)
    # Decoders write to standard error what may name a file: it goes to the private log.
    handle = os.open(log / f"worker-{number}.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(handle, sys.stderr.fileno() if sys.stderr is not None else 2)
    os.dup2(handle, 2)
    import cv2

    cv2.setNumThreads(1)
    keep_memory()
    from xray_mining.archive.adapter import Adapter, adapter_for
    from xray_mining.archive.listing import Reader

    # A worker's shards come in their order: each worker goes through a compressed package once, from front to end.
    kept: dict[tuple[str, Path, Path | None], tuple[Adapter, Reader]] = {}

    def report(position: int, kept: int, rejected: int, size: int) -> None:
        if os.getppid() != parent:
            os._exit(1)
        # The clock first: a file is never held to have taken the time of the one before it.
        said[_SINCE_NS] = time.monotonic_ns()
        said[:_SINCE_NS] = (position, kept, rejected, size)

    while True:
        try:
            task: ShardTask = pipe.recv()
        except (EOFError, OSError):
            return
        which = (task.adapter, task.folder, task.mapping)
        try:
            if which not in kept:
                kept[which] = adapter_for(task.folder, task.adapter, task.mapping), Reader(task.folder)
            answer: tuple[int, Any] = (_DONE, run_shard(task, report, *kept[which]))
        except CannotFinish as error:
            answer = (_DISK, str(error))
        except OSError as error:
            answer = (_DISK, f"shard {task.shard}: {error.strerror or error}; free the disk or its rights and repeat")
        except Exception:
            answer = (_BUG, traceback.format_exc())
        pipe.send(answer)
