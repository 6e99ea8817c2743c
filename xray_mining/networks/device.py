"""Settings for GPUs: number of loading processes, full precision, and an error message if memory is too small."""

import contextlib
import os
import shutil
from collections.abc import Generator
from functools import partial

import torch

from xray_mining.errors import CannotFinish
from xray_mining.networks.chance import Turns
from xray_mining.networks.options import TrainingOptions
from xray_mining.process_settings import Shared, attribute

# Measured on one GPU with 16 cores: eight processes augment 5,300 pictures a second of 224 pixels and 1,600 of 512, one
# process 1,100 and 370; a resnet18 trains on 2,700 and 1,800 pictures a second.
_MOST_WORKERS = 8
# Batches of a worker in shared memory: two waiting, one being made.
_BATCHES_OF_A_WORKER = 3
_NO_TF32 = Shared(partial(attribute, torch.backends.cudnn, "allow_tf32", False))
_TURNS = Turns()


def workers_of(options: TrainingOptions, device: torch.device) -> int:
    """Number of processes that make batches: as in the study, else one per core (at most eight) for a GPU, 0 for a CPU.

    On a CPU the network itself uses all cores. A GPU would wait for a single augmenting process. The batches must fit
    into shared memory, which is small in containers.
    """
    if options.workers is not None:
        return options.workers
    if device.type == "cpu":
        return 0
    batch_bytes = options.batch_size * options.side_px**2
    room = shutil.disk_usage("/dev/shm").free // (_BATCHES_OF_A_WORKER * batch_bytes)
    return min(len(os.sched_getaffinity(0)) // options.devices, _MOST_WORKERS, room // options.devices)


@contextlib.contextmanager
def full_precision() -> Generator[None]:
    """Make predictions and vectors on a GPU equal to those on a CPU, up to the last digits of single precision.

    By default a GPU rounds inputs of convolutions to ten bits (TF32). That is several times faster and good enough for
    training, but changes predicted ages by hundredths of a year. Steps of training in other threads wait, because
    this is a setting of the process; without a GPU it changes nothing, and no thread waits.
    """
    with _TURNS.of(True) if torch.cuda.is_available() else contextlib.nullcontext(), _NO_TF32:
        yield


@contextlib.contextmanager
def training_precision() -> Generator[None]:
    """Keep the rounding that the process has for a step of training: predictions in other threads wait."""
    with _TURNS.of(False) if torch.cuda.is_available() else contextlib.nullcontext():
        yield


@contextlib.contextmanager
def enough_memory(backbone: str, batch_size: int, side_px: int) -> Generator[None]:
    """Turn an out-of-memory error of the GPU into CannotFinish with one sentence."""
    try:
        yield
    except torch.cuda.OutOfMemoryError as error:
        raise CannotFinish(
            f"backbone {backbone}: the GPU has too little memory for batches of {batch_size} images of "
            f"{side_px} pixels; lower batch_size or side_px"
        ) from error
