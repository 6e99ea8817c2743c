"""Files of a folder and members of packed files: named without opening, read without unpacking to disk."""

import errno
import gzip
import hashlib
import lzma
import os
import stat
import tarfile
import zipfile
import zlib
from array import array
from collections import OrderedDict
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from xray_mining.archive.radiograph import ListedFile, Unusable
from xray_mining.errors import UserError

PACKED = (b".zip", b".tar", b".tar.gz", b".tgz")
# A radiograph of 10,000 × 10,000 16-bit pixels has 200 MB; beyond this a file is taken for a trap or a mistake.
LARGEST_FILE = 512 * 2**20
# What the readers of packed files raise for damaged ones.
DAMAGED = (
    EOFError,
    gzip.BadGzipFile,
    lzma.LZMAError,
    MemoryError,
    NotImplementedError,
    tarfile.TarError,
    ValueError,
    zipfile.BadZipFile,
    zlib.error,
)
# A packed file that grows by more than this is a decompression bomb.
_LARGEST_RATIO = 200
# Of the members of a tar that are other workers': they take 0.7 kB each, and hardly one is asked for later.
_MOST_PASSED = 20_000


def refuse_no_folder(archive: Path) -> None:
    """UserError where `archive` is no folder."""
    if not archive.is_dir():
        what = "is a file, not a folder" if archive.exists() else "is not there"
        raise UserError(f"{archive}: {what}; name the folder that holds the archive")


def walk(folder: Path, skip: tuple[str, ...] = (), packed: bool = True) -> Iterator[ListedFile]:
    """Every file below `folder` and every member of packed files, sorted by name; hidden folders are left out.

    Without `packed` all packed files are left out, too: none is opened.

    Links to folders are not followed (they may loop, or lead to what is listed already): each is listed with size -3.
    Pipes, sockets and devices are listed with size -1. So the books hold them, and nobody opens them.
    """
    root = os.fsencode(folder)
    waiting = [b""]
    while waiting:
        relative = waiting.pop()
        try:
            with os.scandir(_full(root, relative)) as entries:
                listed = sorted(entries, key=lambda entry: entry.name)
        except OSError:
            # A folder that cannot be read is one account: its reason is found when it is opened.
            yield ListedFile(relative, "", -2, 0)
            continue
        folders = []
        for entry in listed:
            path = relative + b"/" + entry.name if relative else entry.name
            if entry.name.startswith(b".") or (skip and os.fsdecode(path) in skip):
                continue
            try:
                if entry.is_dir(follow_symlinks=False):
                    folders.append(path)
                    continue
                status = entry.stat()
            except OSError:
                yield ListedFile(path, "", -1, 0)
                continue
            if stat.S_ISDIR(status.st_mode):
                yield ListedFile(path, "", -3, 0)
                continue
            if not stat.S_ISREG(status.st_mode):
                yield ListedFile(path, "", -1, status.st_mtime_ns)
            elif path.lower().endswith(PACKED):
                if packed:
                    yield from _members(root, path, status)
            else:
                yield ListedFile(path, "", status.st_size, status.st_mtime_ns)
        waiting.extend(reversed(folders))


def named(path: Path) -> Iterator[ListedFile]:
    """One file within its folder, or the members of a packed one; one that is not there is listed all the same."""
    name = os.fsencode(path.name)
    try:
        status = path.stat()
    except OSError:
        yield ListedFile(name, "", 0, 0)
        return
    if not stat.S_ISREG(status.st_mode):
        yield ListedFile(name, "", -1, status.st_mtime_ns)
    elif name.lower().endswith(PACKED):
        yield from _members(os.fsencode(path.parent), name, status)
    else:
        yield ListedFile(name, "", status.st_size, status.st_mtime_ns)


def _members(root: bytes, path: bytes, status: os.stat_result) -> Iterator[ListedFile]:
    full = os.fsdecode(_full(root, path))
    found: list[tuple[str, int]] = []
    names = _Names()
    whole = False
    try:
        if path.lower().endswith(b".zip"):
            with zipfile.ZipFile(full) as packed:
                found = [(names.of(each.filename), each.file_size) for each in packed.infolist() if not each.is_dir()]
            whole = True
        else:
            with tarfile.open(full) as packed:
                while (each := packed.next()) is not None:
                    _forget_members(packed)
                    if each.isfile():
                        found.append((names.of(each.name), each.size))
                whole = _ended(packed)
    except (OSError, *DAMAGED):
        pass
    for name, size in found:
        yield ListedFile(path, name, size, status.st_mtime_ns)
    if not whole:
        # One account for what cannot be listed: that the packed file is damaged is said when it is read.
        yield ListedFile(path, "", status.st_size, status.st_mtime_ns)


def _ended(packed: tarfile.TarFile) -> bool:
    """Whether the list ended at a block of zeros; tarfile takes a damaged header for the end, too."""
    assert packed.fileobj is not None
    packed.fileobj.seek(packed.offset)
    block = packed.fileobj.read(tarfile.BLOCKSIZE)
    return len(block) == tarfile.BLOCKSIZE and not any(block)


class Reader:
    """Reads listed files; keeps one packed file open, and goes forward through it like the list does."""

    def __init__(self, folder: Path) -> None:
        self._root = os.fsencode(folder)
        self._path: bytes | None = None
        self._state: tuple[int, ...] = ()
        self._zip: zipfile.ZipFile | None = None
        self._tar: tarfile.TarFile | None = None
        self._names = _Names()
        self._passed: OrderedDict[str, tarfile.TarInfo] = OrderedDict()
        """Members of the tar that were met on the way and not read, the latest of them."""
        self._members: _ZipMembers | None = None
        self.alive: Callable[[], None] = lambda: None
        """Called for every member that is passed on the way to one."""

    def read(self, file: ListedFile) -> bytes:
        """The bytes of a file or member; Unusable where it is empty, too large, of a strange kind or unreadable."""
        if file.bytes == -1:
            raise Unusable("open", "not_a_file", "A pipe, socket, device or dangling link is not a file.")
        if file.bytes == -2:
            raise Unusable("open", "unreadable", "The folder cannot be read: its permissions forbid it.")
        if file.bytes == -3:
            raise Unusable(
                "open",
                "linked_folder",
                "A link to a folder is not followed; read the folder it leads to as an archive of its own, or mount it "
                "in the link's place.",
            )
        if file.bytes > LARGEST_FILE:
            raise Unusable("open", "too_large", f"The file is larger than {LARGEST_FILE >> 20} MB.")
        try:
            data = self._member(file) if file.member else self._plain(file)
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ESTALE):
                raise Unusable("open", "gone", "The file cannot be opened: it is no longer there.") from error
            why = "its permissions forbid it" if isinstance(error, PermissionError) else "the disk does not give it"
            raise Unusable("open", "unreadable", f"The file cannot be opened: {why}.") from error
        if not data:
            raise Unusable("open", "empty_file", "The file holds no bytes.")
        return data

    def head(self, file: ListedFile, size: int) -> bytes:
        """Up to `size` first bytes of a plain file; none of a member, or of what cannot be read: `read` says why."""
        if file.member or not 0 < file.bytes <= LARGEST_FILE or file.path.lower().endswith(PACKED):
            return b""
        try:
            # Not waiting for a writer, should a pipe stand there by now.
            handle = os.open(_full(self._root, file.path), os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            return b""
        try:
            return os.read(handle, size) if stat.S_ISREG(os.fstat(handle).st_mode) else b""
        except OSError:
            return b""
        finally:
            os.close(handle)

    def _plain(self, file: ListedFile) -> bytes:
        if file.path.lower().endswith(PACKED):
            raise Unusable("open", "broken_package", "The packed file cannot be opened: it is damaged or encrypted.")
        with open(_full(self._root, file.path), "rb", buffering=0) as handle:  # noqa: PTH123
            status = os.fstat(handle.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise Unusable("open", "not_a_file", "A pipe, socket, device or dangling link is not a file.")
            if status.st_size > LARGEST_FILE:
                raise Unusable("open", "too_large", f"The file is larger than {LARGEST_FILE >> 20} MB.")
            # Of its own size: a larger buffer would be filled with pages that nobody needs.
            return handle.readall()

    def _member(self, file: ListedFile) -> bytes:
        try:
            self._turn_to(file.path)
            data = self._from_zip(file) if self._zip is not None else self._from_tar(file)
        except (*DAMAGED, RuntimeError) as error:
            raise Unusable("open", "broken_member", "The packed file's member is damaged or encrypted.") from error
        return data

    def _turn_to(self, path: bytes) -> None:
        if path == self._path:
            return
        self.close()
        full = os.fsdecode(_full(self._root, path))
        if path.lower().endswith(b".zip"):
            self._zip = zipfile.ZipFile(full)
        else:
            self._tar = tarfile.open(full)  # noqa: SIM115
        self._path, self._state = path, _state_of(full)

    def look_again(self) -> None:
        """Close the packed file that is open where another has taken its place."""
        if self._path is not None and self._state != _state_of(os.fsdecode(_full(self._root, self._path))):
            self.close()

    def _from_zip(self, file: ListedFile) -> bytes:
        assert self._zip is not None
        if self._members is None:
            self._members = _ZipMembers(self._zip)
        info = self._members.find(file.member)
        if info is None:
            raise Unusable("open", "gone", "The packed file no longer has this member.")
        if info.file_size > max(info.compress_size, 1) * _LARGEST_RATIO and info.file_size > 2**24:
            raise Unusable("open", "too_large", "The packed file's member grows more than 200 times when unpacked.")
        with self._zip.open(info) as handle:
            return _bounded(handle.read(min(file.bytes, LARGEST_FILE) + 1), file.bytes)

    def _from_tar(self, file: ListedFile) -> bytes:
        if file.member not in self._passed and self._names.met(file.member):
            # It lies behind: read before, or passed long ago.
            self.close()
            self._turn_to(file.path)
        assert self._tar is not None
        while file.member not in self._passed:
            self.alive()
            info = self._tar.next()
            if info is None:
                raise Unusable("open", "gone", "The packed file no longer has this member.")
            _forget_members(self._tar)
            if info.isfile():
                self._passed[self._names.of(info.name)] = info
                if len(self._passed) > _MOST_PASSED:
                    self._passed.popitem(last=False)
        handle = self._tar.extractfile(self._passed.pop(file.member))
        assert handle is not None
        return _bounded(handle.read(min(file.bytes, LARGEST_FILE) + 1), file.bytes)

    def close(self) -> None:
        """Close the packed file that is open."""
        for each in (self._zip, self._tar):
            if each is not None:
                each.close()
        self._zip = self._tar = self._path = None
        self._passed, self._members, self._names = OrderedDict(), None, _Names()


# Of a zip's member what is needed to read it; numbers that no file can have stand as -1.
_PLACE = ("header_offset", "compress_size", "file_size", "CRC", "compress_type", "flag_bits")


class _ZipMembers:
    """Where the members of a zip lie: 80 bytes and a name each, of which zipfile keeps 800; its own list is emptied."""

    def __init__(self, packed: zipfile.ZipFile) -> None:
        listed: list[zipfile.ZipInfo] = vars(packed)["filelist"]
        vars(packed)["NameToInfo"].clear()
        # From the end of the list, so that each is given away at once, and in the zip's order, by which names count.
        listed.reverse()
        names, digests = _Names(), bytearray()
        self._names = bytearray()
        """As the zip has them, one after the other."""
        self._name_ends = array("Q", [0])
        self._places = array("q")
        while listed:
            each = listed.pop()
            if not each.is_dir():
                digests += _digest(names.of(each.filename))
                self._names += each.orig_filename.encode("utf-8", "surrogatepass")
                self._name_ends.append(len(self._names))
                place = (getattr(each, name) for name in _PLACE)
                self._places.extend(value if 0 <= value < 2**63 else -1 for value in place)
        found = np.frombuffer(digests, "S16")
        self._order = np.argsort(found)
        self._digests = found[self._order]

    def find(self, name: str) -> zipfile.ZipInfo | None:
        """The member that was given this name by `_Names`; BadZipFile where the directory says what cannot be of it."""
        wanted = np.frombuffer(_digest(name), "S16")
        at = int(np.searchsorted(self._digests, wanted)[0])
        if at == len(self._digests) or self._digests[at] != wanted[0]:
            return None
        row = int(self._order[at])
        values = self._places[row * len(_PLACE) : (row + 1) * len(_PLACE)]
        if min(values) < 0:
            raise zipfile.BadZipFile("a member with an impossible place or size")
        begin, end = self._name_ends[row : row + 2]
        info = zipfile.ZipInfo(self._names[begin:end].decode("utf-8", "surrogatepass"))
        for field, value in zip(_PLACE, values, strict=True):
            setattr(info, field, value)
        return info


def _digest(name: str) -> bytes:
    return hashlib.blake2b(name.encode(), digest_size=16).digest()


class _Names:
    """Names for the members of one packed file, in their order: no two alike, and all of them text."""

    def __init__(self) -> None:
        self._times: dict[str, int] = {}

    def met(self, name: str) -> bool:
        """Whether a member was given this name."""
        return name in self._times

    def of(self, name: str) -> str:
        """Bytes that are no text are escaped; a name that came before gets a number, as `tar -r` adds them."""
        safe = name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
        if safe not in self._times:
            self._times[safe] = 1
            return safe
        number = self._times[safe] + 1
        while f"{safe} [{number}]" in self._times:
            number += 1
        self._times[safe] = number
        self._times[f"{safe} [{number}]"] = 1
        return f"{safe} [{number}]"


def _forget_members(packed: tarfile.TarFile) -> None:
    """Empty the list of all members passed so far that tarfile keeps: of millions it takes gigabytes."""
    members: list[tarfile.TarInfo] = vars(packed)["members"]
    members.clear()


def _state_of(path: str) -> tuple[int, ...]:
    try:
        status = os.stat(path)  # noqa: PTH116
    except OSError:
        return ()
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def _bounded(data: bytes, size: int) -> bytes:
    if len(data) != size:
        raise Unusable("open", "broken_member", "The packed file's member has another length than its directory says.")
    return data


def _full(root: bytes, relative: bytes) -> bytes:
    # Paths are bytes: names in archives are not always text.
    return root + b"/" + relative if relative else root
