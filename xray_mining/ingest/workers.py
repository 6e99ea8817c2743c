"""Reads files in worker processes: a decoder that crashes or hangs ends its worker, never the run.

`ingest` gives workers its shards, `predict` the given files. The file at which a worker was lost is tried once more, as
the first file of the next worker; if that fails too, it is rejected and the rest of the task is done without it.
"""

import ctypes
import gc
import json
import mmap
import os
import signal
import subprocess
import sys
import time
import traceback
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from enum import IntEnum
from multiprocessing.connection import Connection, Pipe, wait
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from xray_mining.errors import CannotFinish
from xray_mining.process_settings import Shared, environment

# Replace a worker after this number of tasks, so that memory leaked by decoders is freed.
_TASKS_A_WORKER = 50
# A worker's start (imports, tables of 400,000 rows) has its own time limit.
_START_S = 600.0
_OBJECTS_BETWEEN_LOOKS = 50_000
# Parameter numbers of mallopt() from glibc's malloc.h. Large blocks stay on the heap so that buffers of the largest
# images are reused.
_MMAP_THRESHOLD, _TRIM_THRESHOLD = -3, -1
_FROM_THE_HEAP, _KEPT = 32 * 2**20, 128 * 2**20
_DONE, _DISK, _BUG = range(3)
# A worker reports before each file in memory that it shares with its parent: with small files, messages would keep
# the parent busy, and the last report of a crashed worker can still be read.
_PHASE, _FILES, _SINCE_NS = 0, 1, 5


class Phase(IntEnum):
    """What a worker is doing with its task."""

    STARTING = 0
    """Before the first file: it imports, opens tables, or waits for another process."""
    READING = 1
    """It reads the file whose position is the number of finished files."""
    WRITING = 2
    """All files are read; it writes their results."""


Report = Callable[[Phase, int, int, int, int], None]
"""Called before each file with the phase, and files, kept, rejected and bytes done so far; see `Task.do`."""


class Done(Protocol):
    """Result of a task, with its counts; it is pickled."""

    @property
    def files(self) -> int:
        """Files of the task."""
        ...

    @property
    def kept(self) -> int:
        """Frames of these files that can be used."""
        ...

    @property
    def rejected(self) -> int:
        """Frames or files that cannot be used."""
        ...

    @property
    def bytes(self) -> int:
        """Bytes of the files."""
        ...


Result = TypeVar("Result", bound=Done)


@dataclass(frozen=True, kw_only=True)
class Task(ABC, Generic[Result]):
    """Files that one worker reads in turn; it is pickled."""

    refused: Mapping[int, tuple[str, str]] = field(default_factory=dict)
    """Positions of files that ended workers before: reason and sentence of their reject."""
    suspects: tuple[int, ...] = ()
    """Positions to read first, because a worker was lost at them once."""

    @property
    @abstractmethod
    def title(self) -> str:
        """A unique name of the task for sentences."""

    @abstractmethod
    def do(self, report: Report, kept: dict[Any, Any]) -> Result:
        """Read the files without the refused ones; first the suspects, only to see whether the worker survives them.

        Args:
            report: Called before each file, during a wait before the first, and after the last.
            kept: Objects that the worker keeps from earlier tasks, by any key.
        """


@dataclass(slots=True)
class _Worker:
    process: "subprocess.Popen[bytes]"
    pipe: Connection
    last_report: Any
    """Phase, files, kept, rejected, bytes, and the clock in nanoseconds at the last report."""
    task: "Task[Any] | None" = None
    tasks: int = 0

    @property
    def phase(self) -> Phase:
        """The present phase."""
        return Phase(self.last_report[_PHASE])

    @property
    def position(self) -> int:
        """Position of the file that it reads."""
        return self.last_report[_FILES]

    @property
    def seconds(self) -> float:
        """Time since its last report."""
        return (time.monotonic_ns() - self.last_report[_SINCE_NS]) / 1e9

    @property
    def done(self) -> tuple[int, int, int, int]:
        """Files, kept, rejected and bytes of its task."""
        files, kept, rejected, size = self.last_report[_FILES:_SINCE_NS]
        return files, kept, rejected, size


@dataclass(slots=True)
class _Losses:
    """How often workers were lost on one task, by phase and position of the file."""

    times: dict[tuple[Phase, int], int] = field(default_factory=dict)


Progress = Callable[[int, int, int, int], None]
"""Called with the numbers of files, kept, rejected and bytes so far, over all tasks of this run."""


def run_tasks(
    tasks: Sequence[Task[Result]], jobs: int, file_limit_s: float, log: Path | None, progress: Progress
) -> Iterator[Result]:
    """Run the tasks in up to `jobs` processes and yield each result when its task ends.

    `log`: private folder for what decoders write to standard error; None: it is discarded. Raises CannotFinish if the
    disk refuses; finished results are kept.
    """
    waiting = list(reversed(tasks))
    losses = {task.title: _Losses() for task in tasks}
    workers: list[_Worker] = []
    finished = [0, 0, 0, 0]
    try:
        with _ONE_THREAD_EACH:
            while waiting or any(worker.task for worker in workers):
                while waiting and len(workers) < jobs:
                    workers.append(_start(log, len(workers)))
                for worker in workers:
                    if worker.task is None and waiting:
                        _give(worker, waiting.pop())
                for worker in _with_news(workers):
                    yield from _hear(worker, workers, waiting, losses, finished)
                for worker in workers:
                    limit = file_limit_s if worker.phase is Phase.READING else max(file_limit_s, _START_S)
                    if worker.task is not None and worker.seconds > limit:
                        _lose(worker, workers, waiting, losses, hung=True)
                running = [worker.done for worker in workers if worker.task is not None]
                progress(*(finished[i] + sum(each[i] for each in running) for i in range(4)))
    finally:
        for worker in workers:
            _end(worker)


_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "POLARS_MAX_THREADS", "RAYON_NUM_THREADS")
_ONE_THREAD_EACH = Shared(lambda: environment(dict.fromkeys(_THREADS, "1")))
"""Held while workers start: the processes are the parallelism, so libraries in them use one thread each."""


def keep_memory() -> None:
    """Make the C library (if it is glibc) reuse the memory of one picture for the next.

    By default it returns large blocks to the kernel, which hands them out again page by page: for films of 10 MB that
    takes longer than decoding a quarter of them, and more so with several processes. Python's search for reference
    cycles is made rarer too, because a shard's rows are hundreds of thousands of objects without cycles.
    """
    gc.set_threshold(_OBJECTS_BETWEEN_LOOKS)
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_MMAP_THRESHOLD, _FROM_THE_HEAP)
        mallopt(_TRIM_THRESHOLD, _KEPT)


# multiprocessing would import the caller's script again in each worker: a script without `if __name__ == "__main__":`
# would start workers in its workers, which Python refuses.
_PROGRAM = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from xray_mining.ingest.workers import serve; serve()"
)


def _start(log: Path | None, number: int) -> _Worker:
    parent_end, child_end = Pipe()
    memory = os.memfd_create("last report")
    try:
        os.ftruncate(memory, ctypes.sizeof(_LastReport))
        numbers = (child_end.fileno(), memory, number, os.getpid())
        given = [json.dumps([str(each) for each in sys.path]), *map(str, numbers), str(log or "")]
        process = subprocess.Popen(
            [sys.executable, "-c", _PROGRAM, *given],
            stdin=subprocess.DEVNULL,
            pass_fds=(child_end.fileno(), memory),
        )
        return _Worker(process, parent_end, _shared(memory))
    finally:
        child_end.close()
        os.close(memory)


def _end(worker: _Worker) -> None:
    worker.process.kill()
    worker.process.wait()
    worker.pipe.close()


_LastReport = ctypes.c_int64 * 6


def _shared(memory: int) -> Any:
    """The last report in memory that parent and worker share."""
    return _LastReport.from_buffer(mmap.mmap(memory, ctypes.sizeof(_LastReport)))


def _give(worker: _Worker, task: Task[Any]) -> None:
    worker.task, worker.last_report[:] = task, (Phase.STARTING, 0, 0, 0, 0, time.monotonic_ns())
    # A worker that died in between is found when its pipe is read.
    with suppress(OSError):
        worker.pipe.send(task)


def _with_news(workers: list[_Worker]) -> list[_Worker]:
    ready = set(wait([worker.pipe for worker in workers], timeout=0.5))
    return [worker for worker in workers if worker.pipe in ready]


def _hear(
    worker: _Worker,
    workers: list[_Worker],
    waiting: list[Any],
    losses: dict[str, _Losses],
    finished: list[int],
) -> Iterator[Any]:
    try:
        kind, value = worker.pipe.recv()
    except (EOFError, OSError):
        _lose(worker, workers, waiting, losses, hung=False)
        return
    if kind == _DONE:
        worker.task = None
        worker.tasks += 1
        for index, count in enumerate((value.files, value.kept, value.rejected, value.bytes)):
            finished[index] += count
        if worker.tasks >= _TASKS_A_WORKER:
            _end(worker)
            workers.remove(worker)
        yield value
    elif kind == _DISK:
        raise CannotFinish(value)
    else:
        raise RuntimeError(value)


def _lose(worker: _Worker, workers: list[_Worker], waiting: list[Any], losses: dict[str, _Losses], hung: bool) -> None:
    """A worker crashed or hangs: its task is repeated, without a file at which that happened twice."""
    _end(worker)
    workers.remove(worker)
    task, phase, position = worker.task, worker.phase, worker.position
    if task is None:
        return
    mine = losses[task.title]
    times = mine.times[phase, position] = mine.times.get((phase, position), 0) + 1
    if phase is Phase.READING and times == 1:
        waiting.append(replace(task, suspects=(position,)))
        return
    if phase is not Phase.READING:
        if times > 2:
            when = "before its first file" if phase is Phase.STARTING else "while it wrote its results"
            raise CannotFinish(
                f"{task.title}: its worker was lost three times {when} (memory, a disk that does not answer?); try "
                f"fewer --jobs and see the log in the private folder"
            )
        waiting.append(task)
        return
    if hung:
        verdict = ("hangs", "Reading the file takes longer than the time limit of a file; it was tried twice.")
    else:
        verdict = ("crash", "Reading the file ends the worker process; it was tried twice.")
    waiting.append(replace(task, suspects=(), refused={**task.refused, position: verdict}))


def serve() -> None:
    """A worker's process, started by `_start` with these arguments."""
    pipe, memory, number, parent = (int(each) for each in sys.argv[2:6])
    _serve(Connection(pipe), _shared(memory), Path(sys.argv[6]) if sys.argv[6] else None, number, parent)


def _serve(pipe: Connection, last_report: Any, log: Path | None, number: int, parent: int) -> None:
    """A worker's loop: take a task, do it, report; until the pipe or the parent ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Decoders may write file names to standard error, so it is redirected to the private log.
    if log is not None:
        log.mkdir(parents=True, exist_ok=True)
    place = Path(os.devnull) if log is None else log / f"worker-{number}.log"
    handle = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(handle, sys.stderr.fileno() if sys.stderr is not None else 2)
    os.dup2(handle, 2)
    import cv2

    cv2.setNumThreads(1)
    keep_memory()

    kept: dict[Any, Any] = {}

    def report(phase: Phase, files: int, kept: int, rejected: int, size: int) -> None:
        if os.getppid() != parent:
            os._exit(1)
        # Write the clock first, so that the time of the previous file is never counted for this one.
        last_report[_SINCE_NS] = time.monotonic_ns()
        last_report[:_SINCE_NS] = (phase, files, kept, rejected, size)

    while True:
        try:
            task: Task[Any] = pipe.recv()
        except (EOFError, OSError):
            return
        try:
            answer: tuple[int, Any] = (_DONE, task.do(report, kept))
        except CannotFinish as error:
            answer = (_DISK, str(error))
        except OSError as error:
            answer = (_DISK, f"{task.title}: {error.strerror or error}; free the disk or its rights and repeat")
        except Exception:
            answer = (_BUG, traceback.format_exc())
        pipe.send(answer)
