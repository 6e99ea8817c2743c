"""Files that are written atomically: whole or not at all."""

import hashlib
import json
import os
import re
from collections.abc import Generator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from threading import get_native_id
from typing import TYPE_CHECKING

from xray_mining.errors import disk_error

if TYPE_CHECKING:
    import polars as pl


def move_durably(source: Path, target: Path) -> None:
    """Rename a file over `target` and sync the folder, so that the rename survives a power cut."""
    source.replace(target)
    folder = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


@contextmanager
def write_atomically(target: Path) -> Generator[Path]:
    """A scratch path to write to; it is synced and renamed over `target` if the block succeeds, else removed.

    Raises CannotFinish if the disk is full or read-only; the old file stays unchanged.
    """
    scratch = scratch_of(target)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        yield scratch
        with scratch.open("rb+") as file:
            os.fsync(file.fileno())
        move_durably(scratch, target)
    except OSError as error:
        raise disk_error(error, target) from error
    finally:
        scratch.unlink(missing_ok=True)


def write_frame(frame: "pl.DataFrame", target: Path, group_rows: int | None = None) -> None:
    """Write a polars frame as one Parquet part, whole or not at all; in row groups of `group_rows`, if given."""
    import polars as pl

    with write_atomically(target) as scratch:
        try:
            frame.write_parquet(scratch, compression="zstd", row_group_size=group_rows)
        except pl.exceptions.ComputeError as error:
            # polars has the system's error as text only.
            code = re.search(r"os error (\d+)", str(error))
            if code is not None:
                raise OSError(int(code[1]), os.strerror(int(code[1]))) from error
            # If the disk becomes full at the end of the file, polars reports a format error. Writing the same bytes
            # with Python gives the system's error.
            whole = BytesIO()
            frame.write_parquet(whole, compression="zstd", row_group_size=group_rows)
            scratch.write_bytes(whole.getbuffer())


def write_json(value: object, target: Path) -> None:
    """Write a JSON file with sorted keys, whole or not at all."""
    with write_atomically(target) as scratch:
        scratch.write_text(json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8")


def scratch_of(target: Path) -> Path:
    """The path where this thread writes before it renames over `target`; unique by thread, machine and process."""
    return target.with_name(f".{target.name}.{get_native_id()}.{_machine()}.{os.getpid()}.partial")


def _machine() -> str:
    # A digest, because a killed run leaves the file behind and the machine's name is private.
    return hashlib.sha256(os.uname().nodename.encode()).hexdigest()[:8]


def sweep(folder: Path) -> None:
    """Remove scratch files that a killed run of this machine left in `folder`; another machine's may be in use."""
    for scratch in folder.rglob(f".*.{_machine()}.*.partial"):
        process = scratch.name.split(".")[-2]
        if not (process.isdigit() and Path(f"/proc/{process}").exists()):
            scratch.unlink(missing_ok=True)
