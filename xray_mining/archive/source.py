"""Sources: the places that hold an archive's files. A source lists and opens files; it knows nothing about radiographs.

A source that is not a folder (a DICOMweb server, a receiver's spool, an object store) is one more file in `sources/`,
which defines a subclass of `Source` as `KIND`. Packed files (zip, tar) are read by `listing` from any source.
"""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import BinaryIO

from xray_mining.archive.radiograph import ListedFile
from xray_mining.errors import UserError
from xray_mining.registry import Kinds

# Sizes that mark listed files that cannot be read. They are listed so that each one gets a reject.
NOT_A_FILE = -1
"""A pipe, socket, device or dangling link."""
CLOSED_FOLDER = -2
"""A folder that cannot be listed."""
LINKED_FOLDER = -3
"""A link to a folder; it is not followed, because it may form a loop or lead to files that are listed already."""


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
    """

    def __init__(self, address: str) -> None:
        """`address`: what `source_at` needs to make an equal source; it is stored in the private folder only."""
        self.address = address

    def __str__(self) -> str:
        return self.address

    @abstractmethod
    def check(self) -> None:
        """Raise UserError if the source cannot be reached."""

    @abstractmethod
    def files(self, below: bytes = b"") -> Iterator[ListedFile]:
        """Every file, or every file below one folder, without opening any; the order depends on paths alone.

        Gives each file's path, size, and a number that changes with its content (`modified_ns`; a server without times
        gives a digest of its version mark).
        """

    @abstractmethod
    def top(self) -> list[str]:
        """Names of the files in the top folder, sorted; quick, because no folder is walked."""

    @abstractmethod
    def open(self, path: bytes) -> BinaryIO:
        """A binary file that can seek. Raises OSError (FileNotFoundError, PermissionError, NotAFile)."""

    @abstractmethod
    def status(self, path: bytes) -> FileStatus | None:
        """The state of a file now; None if it does not exist."""

    def is_there(self) -> bool:
        """Whether the source can be reached."""
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
