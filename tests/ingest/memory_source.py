"""A source that is no folder: files in memory, by an address. Workers import it, so it is no test module."""

from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from typing import BinaryIO

from xray_mining.archive.radiograph import ListedFile
from xray_mining.archive.source import FileStatus, Source
from xray_mining.errors import UserError

CONTENT: dict[str, dict[bytes, bytes]] = {}
"""The files at each address."""


class MemorySource(Source):
    """All that a source needs: five methods."""

    def __init__(self, address: str) -> None:
        super().__init__(address)
        # Copied, so that a worker that gets it pickled has the files.
        self._files = dict(CONTENT.get(address, {}))

    def check(self) -> None:
        if not self._files:
            raise UserError(f"{self}: holds nothing; name another address")

    def files(self, below: bytes = b"") -> Iterator[ListedFile]:
        for path in sorted(self._files, key=lambda path: path.split(b"/")):
            if not below or path.startswith(below + b"/"):
                status = self.status(path)
                assert status is not None
                yield ListedFile(path, "", status.bytes, status.modified_ns)

    def top(self) -> list[str]:
        return sorted(path.decode() for path in self._files if b"/" not in path)

    def open(self, path: bytes) -> BinaryIO:
        if path not in self._files:
            raise FileNotFoundError(path)
        return BytesIO(self._files[path])

    def status(self, path: bytes) -> FileStatus | None:
        # As a server that gives a mark of each version, and no time.
        content = self._files.get(path)
        return None if content is None else FileStatus(len(content), sum(content) + len(content))


KIND = MemorySource


class ServerBusy(Exception):
    """An error of a client library, which only its kind of source knows."""


@dataclass(frozen=True)
class Loss:
    """Where a connection is lost: in a method (or in reads of an open file), for paths that begin alike."""

    method: str
    error: Exception
    below: bytes = b""


class LosingSource(MemorySource):
    """Files in memory, on a server whose connection is lost."""

    lost_errors = (*Source.lost_errors, ServerBusy)

    def __init__(self, address: str, loss: Loss) -> None:
        super().__init__(address)
        self.loss = loss

    def _lose(self, method: str, path: bytes = b"") -> None:
        if method == self.loss.method and path.startswith(self.loss.below):
            raise self.loss.error

    def check(self) -> None:
        self._lose("check")
        super().check()

    def files(self, below: bytes = b"") -> Iterator[ListedFile]:
        listed = super().files(below)
        yield next(listed)
        self._lose("files")
        yield from listed

    def open(self, path: bytes) -> BinaryIO:
        self._lose("open", path)
        return _LosingFile(self, path)

    def status(self, path: bytes) -> FileStatus | None:
        self._lose("status", path)
        return super().status(path)


class _LosingFile(BytesIO):
    def __init__(self, source: LosingSource, path: bytes) -> None:
        super().__init__(source._files[path])
        self._source, self._path = source, path

    def read(self, size: int | None = -1) -> bytes:
        self._source._lose("read", self._path)
        return super().read(size)
