"""Files of a source and members of its packed files: listed without opening plain files, and read in turn."""

import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from xray_mining.archive.packages import DAMAGED, LARGEST_FILE, Package, is_packed, members, open_package
from xray_mining.archive.radiograph import ListedFile, Unusable
from xray_mining.archive.source import (
    CLOSED_FOLDER,
    LINKED_FOLDER,
    NOT_A_FILE,
    FileStatus,
    FileTooLarge,
    NotAFile,
    Source,
)
from xray_mining.archive.sources.folder import FolderSource, file_at


def walk(source: Source, below: bytes = b"", packed: bool = True) -> Iterator[ListedFile]:
    """Every file of a source; packed files are replaced by their members.

    Args:
        source: The source to list.
        below: Only files below this folder; empty for all.
        packed: Whether packed files are opened for their members; otherwise they are left out.

    Returns:
        Files with size and state, in an order that depends only on their paths. Unreadable files are listed too.

    Example:
        >>> [file.path for file in walk(source_at(archive))]
        [b'IM1', b'IM2']
    """
    for file in source.files(below):
        if file.bytes < 0 or not is_packed(file.path):
            yield file
        elif packed:
            yield from members(source, file)


def files_named(path: Path) -> tuple[Source, Iterator[ListedFile]]:
    """The files that a local path names: those of a folder, the members of a packed file, or the file itself.

    A missing file is listed too, so that reading it gives the reason.
    """
    if path.is_dir():
        source = FolderSource(path)
        return source, walk(source)
    source, name = file_at(path)
    file = source.file(os.fsencode(name))
    is_package = file.bytes >= 0 and is_packed(file.path) and source.has_file(file.path)
    return source, members(source, file) if is_package else iter([file])


def relative_id(file: ListedFile) -> str:
    """The id of an instance that states none: its path in the source, and the member."""
    return file.path.decode("utf-8", "surrogateescape") + "\x1f" + file.member


class Reader:
    """Reads listed files; keeps one packed file open and reads its members in the order of the list.

    Example:
        >>> source = source_at(archive)
        >>> reader = Reader(source)
        >>> [len(reader.read(file)) == file.bytes for file in walk(source)]
        [True, True]
        >>> reader.close()
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        self._package: Package | None = None
        self._path = b""
        self._status: FileStatus | None = None
        self.alive: Callable[[], None] = lambda: None
        """Called for every member that is skipped on the way to the wanted one."""

    def read(self, file: ListedFile) -> bytes:
        """The bytes of a file or member; raises Unusable if it is empty, too large, of a wrong kind or unreadable."""
        _refuse(file)
        try:
            data = self._member(file) if file.member else self._plain(file)
        except NotAFile as error:
            raise _not_a_file() from error
        except FileTooLarge as error:
            # The file has grown since it was listed.
            raise _too_large() from error
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ESTALE):
                raise Unusable("open", "gone", "The file cannot be opened: it no longer exists.") from error
            why = "its permissions forbid it" if isinstance(error, PermissionError) else "the disk reports an error"
            raise Unusable("open", "unreadable", f"The file cannot be opened: {why}.") from error
        if not data:
            raise Unusable("open", "empty_file", "The file holds no bytes.")
        return data

    def head(self, file: ListedFile, size: int) -> bytes:
        """Up to `size` first bytes of a plain file; empty for a member or an unreadable file (`read` reports why)."""
        if file.member or not 0 < file.bytes <= LARGEST_FILE or is_packed(file.path):
            return b""
        try:
            return self._source.head(file.path, size)
        except OSError:
            return b""

    def _plain(self, file: ListedFile) -> bytes:
        if is_packed(file.path):
            raise Unusable("open", "broken_package", "The packed file cannot be opened: it is damaged or encrypted.")
        return self._source.read(file.path, LARGEST_FILE)

    def _member(self, file: ListedFile) -> bytes:
        try:
            if self._package is None or file.path != self._path:
                self.close()
                self._package = open_package(self._source, file.path)
                self._path, self._status = file.path, self._source.status(file.path)
            return self._package.read(file, self.alive)
        except DAMAGED as error:
            raise Unusable("open", "broken_member", "The packed file's member is damaged or encrypted.") from error

    def look_again(self) -> None:
        """Close the packed file that is open if another file is now at its path."""
        if self._package is not None and self._status != self._source.status(self._path):
            self.close()

    def close(self) -> None:
        """Close the packed file that is open."""
        if self._package is not None:
            self._package.close()
        self._package = None

    def __del__(self) -> None:
        # A worker keeps its reader for all its shards, until the process ends.
        self.close()


def _refuse(file: ListedFile) -> None:
    """Raise Unusable for a listed file whose size is a mark, and for one that is too large."""
    if file.bytes == NOT_A_FILE:
        raise _not_a_file()
    if file.bytes == CLOSED_FOLDER:
        raise Unusable("open", "unreadable", "The folder cannot be read: its permissions forbid it.")
    if file.bytes == LINKED_FOLDER:
        raise Unusable(
            "open",
            "linked_folder",
            "A link to a folder is not followed; read the folder it leads to as an archive of its own, or mount it "
            "in the link's place.",
        )
    if file.member and is_packed(file.member.encode()):
        sentence = "A packed file within a packed file is not read: unpack the outer one."
        raise Unusable("open", "nested_package", sentence)
    if file.bytes > LARGEST_FILE:
        raise _too_large()


def _not_a_file() -> Unusable:
    return Unusable("open", "not_a_file", "A pipe, socket, device or dangling link is not a file.")


def _too_large() -> Unusable:
    return Unusable("open", "too_large", f"The file is larger than {LARGEST_FILE >> 20} MB.")
