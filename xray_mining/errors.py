"""Errors that are not bugs: each is one sentence that says where, what is wrong, and what to do."""

import difflib
import os
import re
import sys
from collections.abc import Iterable
from pathlib import Path


class UserError(Exception):
    """Wrong use or configuration; the command line prints the message without a traceback."""

    exit_status = 2


class CheckFailed(UserError):
    """A check of severity error found offending rows."""

    exit_status = 1


class CannotFinish(UserError):
    """The work could not be finished (disk, lock, limit); finished parts are kept."""

    exit_status = 3


def unknown_name(where: str, name: str, known: Iterable[str]) -> UserError:
    """The error for an unknown name, with the nearest known name if one is close."""
    known = sorted(known)
    close = difflib.get_close_matches(name, known, n=1)
    if close:
        return UserError(f"{where}: '{name}' is unknown; did you mean '{close[0]}'?")
    return UserError(f"{where}: '{name}' is unknown; known are {', '.join(known) or 'none'}")


def disk_error(error: OSError, path: Path) -> CannotFinish:
    """The sentence for a disk that is full, read-only or missing, with the file that could not be written."""
    # The system's error from polars has no error number, but has the full path, which is private.
    code = re.search(r"os error (\d+)", str(error)) if error.strerror is None else None
    what = os.strerror(int(code[1])) if code else error.strerror or error
    return CannotFinish(
        f"{path.name}: could not be written ({what}); free disk space or correct the access rights, then repeat the "
        f"same command: finished parts are kept"
    )


def refuse_other_systems() -> None:
    """UserError if this is not Linux: locks, core counts and killed workers depend on it.

    The command line and `xray_mining.open` call it before any work begins.
    """
    if sys.platform != "linux":
        raise UserError(
            f"xray-mining runs on Linux only, and this is {_SYSTEMS.get(sys.platform, sys.platform)}; run it in a "
            f"Linux container or virtual machine (on Windows: WSL 2), or on a Linux server"
        )


_SYSTEMS = {"darwin": "macOS", "win32": "Windows"}
