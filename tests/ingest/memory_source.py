"""A source that is no folder: files in memory, by an address. Workers import it, so it is no test module."""

from collections.abc import Iterator
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
