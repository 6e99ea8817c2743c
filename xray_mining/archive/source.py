"""Sources: the places that hold an archive's files. A source lists and opens files; it knows nothing about radiographs.

A source that is not a folder (a DICOMweb server, a receiver's spool, an object store) is one more file in `sources/`,
which defines a subclass of `Source` as `KIND`. Packed files (zip, tar) are read by `listing` from any source.
"""

import errno
import hashlib
import io
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import astuple, dataclass
from functools import wraps
from pathlib import Path
from typing import Any, BinaryIO, ClassVar

from xray_mining.archive.radiograph import ListedFile
from xray_mining.errors import CannotFinish, UserError
from xray_mining.registry import Kinds

# Sizes that mark listed files that cannot be read. They are listed so that each one gets a reject.
NOT_A_FILE = -1
"""A pipe, socket, device or dangling link."""
CLOSED_FOLDER = -2
"""A folder that cannot be listed."""
LINKED_FOLDER = -3
"""A link to a folder; it is not followed, because it may form a loop or lead to files that are listed already."""


_AWAY = {errno.ENOTCONN, errno.ENETDOWN, errno.ENETUNREACH, errno.EHOSTDOWN, errno.EHOSTUNREACH}
"""Further system errors of a lost network mount, which Python raises as plain OSError."""


class SourceLost(CannotFinish):
    """The source cannot be reached now. The work stops, and no file is rejected for it; the next run continues."""


class NotAFile(OSError):
    """The path is a pipe, a socket or a device."""


class FileTooLarge(OSError):
    """The file is larger than the limit."""


@dataclass(frozen=True, slots=True)
class FileStatus:
    """The state of a file now; it differs after any change of the file."""

    bytes: int
    modified_ns: int
    """As in `ListedFile`."""
    changed_ns: int = 0
    """Also differs if another file of the same size and time takes the place, or if permissions change."""
    readable: bool = True

    def numbers(self) -> tuple[int, ...]:
        """The state in a form that JSON can hold."""
        return tuple(map(int, astuple(self)))


class Source(ABC):
    """A place that holds an archive's files; it is pickled and sent to workers.

    A path names a file within the source: relative, as bytes, with `/` between folders. It must not change from run to
    run, because keys are made from it.

    Every reader of the toolkit takes an open binary file, so no source needs to put a file on a local disk.

    Errors: each method may raise SourceLost, which stops the work without any reject; the next run continues. A kind
    need not raise it: the errors in `lost_errors` become SourceLost in every method of every subclass, and in reads of
    files that `open` returned. An OSError means that this one file cannot be read, and rejects it. Any other error is
    a bug. A client that should try several times before it gives up must do so itself.
    """

    lost_errors: ClassVar[tuple[type[Exception], ...]] = (ConnectionError, TimeoutError)
    """Errors of a lost connection. A kind adds those of its client library that concern no single file."""

    def __init__(self, address: str) -> None:
        """`address`: what `source_at` needs to make an equal source; it is stored in the private folder only."""
        self.address = address

    def __init_subclass__(cls, **options: Any) -> None:
        """Turn errors of a lost connection into SourceLost in the methods that the subclass defines."""
        super().__init_subclass__(**options)
        for name, guarded in _GUARDS.items():
            if name in vars(cls):
                setattr(cls, name, guarded(vars(cls)[name]))

    def __str__(self) -> str:
        return self.address

    @abstractmethod
    def check(self) -> None:
        """Raise UserError if there is no such place, and SourceLost if it cannot be reached now."""

    @abstractmethod
    def files(self, below: bytes = b"") -> Iterator[ListedFile]:
        """Every file, or every file below one folder, without opening any; the order depends on paths alone.

        Gives each file's path, size, and a number that changes with its content (`modified_ns`; a server without times
        gives a digest of its version mark). Raises SourceLost rather than ending early: files that are not listed
        count as vanished.
        """

    @abstractmethod
    def top(self) -> list[str]:
        """Names of the files in the top folder, sorted; quick, because no folder is walked."""

    @abstractmethod
    def open(self, path: bytes) -> BinaryIO:
        """A binary file that can seek.

        Raises OSError (FileNotFoundError, PermissionError, NotAFile) if this file cannot be read, and SourceLost.
        """

    @abstractmethod
    def status(self, path: bytes) -> FileStatus | None:
        """The state of a file now; None if it does not exist. Raises SourceLost if that is not known."""

    def lost_by(self, error: Exception) -> bool:
        """Whether an error means that the source cannot be reached now."""
        return isinstance(error, self.lost_errors) or getattr(error, "errno", None) in _AWAY

    @contextmanager
    def guarded(self) -> Generator[None]:
        """Turn errors of a lost connection into SourceLost."""
        try:
            yield
        except Exception as error:
            if not self.lost_by(error):
                raise
            # The text of an error may hold a file's path, so only the system's words or the error's name are shown.
            why = getattr(error, "strerror", None) or type(error).__name__
            raise SourceLost(
                f"{self}: cannot be reached now ({why}); repeat the same command once it answers: finished parts are "
                f"kept"
            ) from error

    def is_there(self) -> bool:
        """Whether the source can be reached now."""
        try:
            self.check()
        except UserError:
            return False
        return True

    def has_file(self, path: bytes) -> bool:
        """Whether there is such a file."""
        return self.status(path) is not None

    def has_folder(self, path: bytes) -> bool:
        """Whether there is such a folder."""
        return next(self.files(path), None) is not None

    def read(self, path: bytes, limit: int | None = None) -> bytes:
        """The content of a file. Raises as `open`, and FileTooLarge if it has more than `limit` bytes."""
        with self.open(path) as file:
            if limit is not None and file.seek(0, 2) > limit:
                raise FileTooLarge(f"{self.where(path)}: is larger than {limit} bytes")
            file.seek(0)
            return file.read()

    def head(self, path: bytes, size: int) -> bytes:
        """The first bytes of a file, up to `size`; raises as `open`."""
        with self.open(path) as file:
            return file.read(size)

    def digest(self, path: bytes) -> str:
        """32 hexadecimal digits of SHA-256 over a file's content; empty if there is no such file."""
        if not self.has_file(path):
            return ""
        with self.open(path) as file:
            return hashlib.file_digest(file, "sha256").hexdigest()[:32]  # ty: ignore[no-matching-overload]

    def where(self, path: bytes) -> str:
        """The file's local path or address, for messages to people."""
        return f"{self}/{path.decode('utf-8', 'surrogateescape')}"

    def paths_in(self, folder: Path) -> bytes | None:
        """The prefix of the paths of files in this local folder; None if the folder is not part of the source."""
        return None

    def is_within(self, folder: Path) -> bool:
        """Whether this local folder contains the source."""
        return False


class _GuardedFile(io.RawIOBase):
    """An open file of a source; a connection that is lost between two reads is a SourceLost too."""

    def __init__(self, source: Source, file: BinaryIO) -> None:
        self._source = source
        self._file = file

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        with self._source.guarded():
            data = self._file.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def readall(self) -> bytes:
        # Without this, Python reads a whole file in pieces of 8 kB.
        with self._source.guarded():
            return self._file.read()

    def seek(self, offset: int, whence: int = 0) -> int:
        with self._source.guarded():
            return self._file.seek(offset, whence)

    def close(self) -> None:
        self._file.close()
        super().close()


def _guarded(method: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(method)
    def guarded(self: Source, *args: Any, **named: Any) -> Any:
        with self.guarded():
            return method(self, *args, **named)

    return guarded


def _guarded_files(method: Callable[..., Iterator[ListedFile]]) -> Callable[..., Iterator[ListedFile]]:
    """For a method that may lose the connection between two of its files."""

    @wraps(method)
    def guarded(self: Source, *args: Any, **named: Any) -> Iterator[ListedFile]:
        with self.guarded():
            yield from method(self, *args, **named)

    return guarded


def _guarded_open(method: Callable[..., BinaryIO]) -> Callable[..., BinaryIO]:
    """For a method whose file may lose the connection while it is read."""

    @wraps(method)
    def guarded(self: Source, path: bytes) -> BinaryIO:
        with self.guarded():
            return io.BufferedReader(_GuardedFile(self, method(self, path)))

    return guarded


_GUARDS: dict[str, Callable[[Callable[..., Any]], Callable[..., Any]]] = {
    **dict.fromkeys(("check", "top", "status", "has_file", "has_folder", "read", "head", "digest"), _guarded),
    "files": _guarded_files,
    "open": _guarded_open,
}


SOURCES: Kinds[type[Source]] = Kinds("xray_mining.archive.sources", "kind of source")


def source_at(address: str) -> Source:
    """The source at an address: a folder's path, or SCHEME://… for the kind in `sources/SCHEME.py`.

    Raises:
        UserError: If no kind has this scheme.

    Example:
        >>> source_at("/data/radiographs").where(b"a/1.dcm")
        '/data/radiographs/a/1.dcm'
    """
    scheme, mark, _ = address.partition("://")
    kind = SOURCES.find(scheme if mark else "folder")
    return kind(address)
