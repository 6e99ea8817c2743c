"""What a GPU needs: processes that feed it, arithmetic as on a CPU, and a sentence when its memory ends."""

import contextlib
import os
import shutil
from collections.abc import Generator

import torch

from xray_mining.errors import CannotFinish
from xray_mining.networks.options import TrainingOptions

# Measured on one GPU with 16 cores: they change 5,300 pictures of 224 pixels a second and 1,600 of 512, as one process
# changes 1,100 and 370; a resnet18 trains on 2,700 and 1,800.
_MOST_WORKERS = 8
# A worker's batches in shared memory: two that wait, one in the making.
_BATCHES_OF_A_WORKER = 3


def workers_of(options: TrainingOptions, device: torch.device) -> int:
    """Processes that make batches: as the study says, else one a core up to eight for a GPU, and none for a CPU.

    On a CPU the network itself takes the cores. A GPU would wait for one process that changes pictures by chance. Their
    batches must fit into shared memory, which containers keep small.
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
    """What is predicted or measured here is what a CPU says, to the last digits of single precision.

    Else a GPU rounds what it convolves to ten bits (TF32): several times faster, which training takes, and ages off by
    hundredths of a year.
    """
    rounds = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32 = rounds


@contextlib.contextmanager
def enough_memory(backbone: str, batch_size: int, side_px: int) -> Generator[None]:
    """Turns running out of GPU memory into one sentence: CannotFinish."""
    try:
        yield
    except torch.cuda.OutOfMemoryError as error:
        raise CannotFinish(
            f"backbone {backbone}: the GPU has too little memory for batches of {batch_size} images of "
            f"{side_px} pixels; lower batch_size or side_px"
        ) from error
