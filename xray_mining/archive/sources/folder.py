"""A folder of a local or mounted disk."""

import os
import stat
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO

from xray_mining.archive.radiograph import ListedFile
from xray_mining.archive.source import (
    CLOSED_FOLDER,
    LINKED_FOLDER,
    NOT_A_FILE,
    FileStatus,
    FileTooLarge,
    NotAFile,
    Source,
)
from xray_mining.errors import UserError


class FolderSource(Source):
    """The files below a folder, without hidden ones. Paths are bytes of the file system and need not be valid text."""

    def __init__(self, folder: Path | str) -> None:
        self.folder = Path(folder)
        super().__init__(str(self.folder.resolve()))

    def __str__(self) -> str:
        # The path as the user wrote it.
        return str(self.folder)

    def check(self) -> None:
        """Raise UserError if there is no such folder."""
        if not self.folder.is_dir():
            what = "is a file, not a folder" if self.folder.exists() else "is missing"
            raise UserError(f"{self.folder}: {what}; name the folder that holds the archive")

    def files(self, below: bytes = b"") -> Iterator[ListedFile]:
        """Every file below the folder, or below one of its folders, sorted by name within each folder."""
        waiting = [below]
        while waiting:
            relative = waiting.pop()
            try:
                with os.scandir(self._full(relative)) as entries:
                    listed = sorted(entries, key=lambda entry: entry.name)
            except OSError as error:
                if self.lost_by(error):
                    # Without this, all files below the folder would count as vanished.
                    raise
                # List it as one item that cannot be read; opening it gives the reason.
                yield ListedFile(relative, "", CLOSED_FOLDER, 0)
                continue
            folders = []
            for entry in listed:
                if entry.name.startswith(b"."):
                    continue
                path = relative + b"/" + entry.name if relative else entry.name
                listed_file = self._listed(path, entry)
                if listed_file is None:
                    folders.append(path)
                else:
                    yield listed_file
            waiting.extend(reversed(folders))

    def file(self, path: bytes) -> ListedFile:
        """One file as it is listed; one that is not there is listed too, so that reading it gives the reason."""
        try:
            return _of_status(path, os.stat(self._full(path)))  # noqa: PTH116
        except OSError:
            return ListedFile(path, "", 0, 0)

    def top(self) -> list[str]:
        """Names of the files directly in the folder."""
        try:
            with os.scandir(self.folder) as entries:
                return sorted(each.name for each in entries if each.is_file())
        except OSError:
            return []

    def open(self, path: bytes) -> BinaryIO:
        """The file; NotAFile for a pipe or device, which may never end."""
        # Without a buffer, because `Source` adds one.
        return self._opened(path)[0]

    # Files that are read at once are opened without a buffer, which would cost a tenth of the time for small ones.
    def read(self, path: bytes, limit: int | None = None) -> bytes:
        """The content of a file."""
        file, status = self._opened(path)
        with file:
            if limit is not None and status.st_size > limit:
                raise FileTooLarge(f"{self.where(path)}: is larger than {limit} bytes")
            return file.read()

    def head(self, path: bytes, size: int) -> bytes:
        """The first bytes of a file."""
        with self._opened(path)[0] as file:
            return file.read(size)

    def _opened(self, path: bytes) -> tuple[BinaryIO, os.stat_result]:
        file: Any = open(self._full(path), "rb", 0, opener=_without_waiting)  # noqa: SIM115
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            file.close()
            raise NotAFile(f"{self.where(path)}: is not a file")
        return file, status

    def status(self, path: bytes) -> FileStatus | None:
        """Size and times, and whether this user may read it; also for a folder."""
        found = self._stat(path)
        if found is None:
            return None
        readable = os.access(self._full(path), os.R_OK)
        return FileStatus(found.st_size, found.st_mtime_ns, found.st_ctime_ns, readable)

    def has_file(self, path: bytes) -> bool:
        """Whether there is such a file that is not a folder."""
        found = self._stat(path)
        return found is not None and stat.S_ISREG(found.st_mode)

    def has_folder(self, path: bytes) -> bool:
        """Whether there is such a folder, also if it is empty."""
        found = self._stat(path)
        return found is not None and stat.S_ISDIR(found.st_mode)

    def where(self, path: bytes) -> str:
        """The file's path."""
        return str(self.folder / os.fsdecode(path))

    def paths_in(self, folder: Path) -> bytes | None:
        """The prefix of paths of files in a folder within this one."""
        home = Path(self.address)
        return os.fsencode(folder.relative_to(home)) + b"/" if folder.is_relative_to(home) else None

    def is_within(self, folder: Path) -> bool:
        """Whether this is the folder, or inside it."""
        return Path(self.address).is_relative_to(folder)

    @cached_property
    def _root(self) -> bytes:
        return os.fsencode(self.folder)

    def _stat(self, path: bytes) -> os.stat_result | None:
        """None if the path names nothing, or may not be looked at."""
        try:
            return os.stat(self._full(path))  # noqa: PTH116
        except ValueError:
            return None
        except OSError as error:
            if self.lost_by(error):
                raise
            return None

    def _listed(self, path: bytes, entry: os.DirEntry[bytes]) -> ListedFile | None:
        """A listed file; None for a folder."""
        try:
            return None if entry.is_dir(follow_symlinks=False) else _of_status(path, entry.stat())
        except OSError as error:
            if self.lost_by(error):
                raise
            return ListedFile(path, "", NOT_A_FILE, 0)

    def _full(self, path: bytes) -> bytes:
        # A table may state absolute paths, for example of masks: they stay unchanged.
        return self._root + b"/" + path if path and path[:1] != b"/" else path or self._root


KIND = FolderSource


def _without_waiting(path: Any, flags: int) -> int:
    """Open with O_NONBLOCK, so that it does not wait for a writer if the path is a pipe."""
    return os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC)


def _of_status(path: bytes, status: os.stat_result) -> ListedFile:
    if stat.S_ISREG(status.st_mode):
        return ListedFile(path, "", status.st_size, status.st_mtime_ns)
    if stat.S_ISDIR(status.st_mode):
        return ListedFile(path, "", LINKED_FOLDER, 0)
    return ListedFile(path, "", NOT_A_FILE, status.st_mtime_ns)


def file_at(path: Path) -> tuple[FolderSource, str]:
    """The source that holds a local file named by the user (as a table to link), and its name there."""
    return FolderSource(path.parent), path.name
