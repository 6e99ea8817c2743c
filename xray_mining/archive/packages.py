"""Packed files (zip; tar, plain or compressed) of any source: members are listed and read without unpacking to disk."""

import gzip
import hashlib
import lzma
import tarfile
import zipfile
import zlib
from array import array
from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import BinaryIO, Protocol

import numpy as np

from xray_mining.archive.radiograph import ListedFile, Unusable
from xray_mining.archive.source import NOT_A_FILE, Source

PACKED = (b".zip", b".tar", b".tar.gz", b".tgz", b".tar.bz2", b".tbz2", b".tar.xz", b".txz")
# A radiograph of 10,000 × 10,000 16-bit pixels has 200 MB; a larger file is an attack or an error.
LARGEST_FILE = 512 * 2**20
# Exceptions of the readers for damaged packed files; zipfile raises RuntimeError for encrypted members.
DAMAGED = (
    EOFError,
    gzip.BadGzipFile,
    lzma.LZMAError,
    MemoryError,
    NotImplementedError,
    RuntimeError,
    tarfile.TarError,
    ValueError,
    zipfile.BadZipFile,
    zlib.error,
)
# A member that grows by more than this factor is a decompression bomb.
_LARGEST_RATIO = 200
# Number of skipped members of a tar that are kept in memory because another worker reads them; each takes 0.7 kB.
_MOST_PASSED = 20_000


class Package(Protocol):
    """An open packed file."""

    def read(self, file: ListedFile, alive: Callable[[], None]) -> bytes:
        """The bytes of a member; `alive` is called for every member that is skipped on the way to it.

        Raises Unusable, OSError and DAMAGED.
        """
        ...

    def close(self) -> None:
        """Close it."""
        ...


def is_packed(path: bytes) -> bool:
    """Whether a file's name is that of a packed file."""
    return path.lower().endswith(PACKED)


def open_package(source: Source, path: bytes) -> Package:
    """Open a packed file; raises OSError and DAMAGED."""
    file = source.open(path)
    try:
        return _Zip(file) if path.lower().endswith(b".zip") else _Tar(file)
    except BaseException:
        file.close()
        raise


def members(source: Source, packed: ListedFile) -> Iterator[ListedFile]:
    """The members of a packed file; also the packed file itself, if its list cannot be read to the end."""
    found: list[tuple[str, int]] = []
    whole = False
    try:
        with source.open(packed.path) as file:
            names = _Names()
            if packed.path.lower().endswith(b".zip"):
                with zipfile.ZipFile(file) as opened:
                    infos = [each for each in opened.infolist() if not each.is_dir()]
                    found = [(names.of(each.filename), each.file_size) for each in infos]
                whole = True
            else:
                with tarfile.open(fileobj=file) as opened:
                    while (each := opened.next()) is not None:
                        _forget_members(opened)
                        if not each.isdir():
                            # A link or a pipe is listed too, so that it gets a reject.
                            found.append((names.of(each.name), each.size if each.isfile() else NOT_A_FILE))
                    whole = _ended(opened)
    except (OSError, *DAMAGED):
        # The members listed so far are read. `whole` lists the packed file too, and reading it reports the error.
        whole = False
    for name, size in found:
        yield ListedFile(packed.path, name, size, packed.modified_ns)
    if not whole:
        yield packed


def _ended(packed: tarfile.TarFile) -> bool:
    """Whether the list ends at a block of zeros; tarfile also stops at a damaged header."""
    assert packed.fileobj is not None
    packed.fileobj.seek(packed.offset)
    block = packed.fileobj.read(tarfile.BLOCKSIZE)
    return len(block) == tarfile.BLOCKSIZE and not any(block)


class _Zip:
    """An open zip."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._zip = zipfile.ZipFile(file)
        self._members: _ZipMembers | None = None

    def read(self, file: ListedFile, alive: Callable[[], None]) -> bytes:
        if self._members is None:
            self._members = _ZipMembers(self._zip)
        info = self._members.find(file.member)
        if info is None:
            raise Unusable("open", "gone", "The packed file no longer has this member.")
        if info.file_size > max(info.compress_size, 1) * _LARGEST_RATIO and info.file_size > 2**24:
            raise Unusable("open", "too_large", "The packed file's member grows more than 200 times when unpacked.")
        with self._zip.open(info) as handle:
            return _bounded(handle.read(min(file.bytes, LARGEST_FILE) + 1), file.bytes)

    def close(self) -> None:
        self._zip.close()
        self._file.close()


class _Tar:
    """An open tar, plain or compressed; it is read forward, in the order of the list."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._begin()

    def _begin(self) -> None:
        self._file.seek(0)
        self._tar = tarfile.open(fileobj=self._file)  # noqa: SIM115
        self._names = _Names()
        self._passed: OrderedDict[str, tarfile.TarInfo] = OrderedDict()
        """The latest members that were skipped."""

    def read(self, file: ListedFile, alive: Callable[[], None]) -> bytes:
        try:
            return self._read(file, alive)
        except OSError as error:
            if error.errno is not None:
                raise
            # bz2 says so of damaged data; an error of the disk has a number.
            raise tarfile.ReadError(str(error)) from error

    def _read(self, file: ListedFile, alive: Callable[[], None]) -> bytes:
        if file.member not in self._passed and self._names.met(file.member):
            # The member is before the current position, so reopen the archive from its start.
            self._tar.close()
            self._begin()
        while file.member not in self._passed:
            alive()
            info = self._tar.next()
            if info is None:
                raise Unusable("open", "gone", "The packed file no longer has this member.")
            _forget_members(self._tar)
            name = "" if info.isdir() else self._names.of(info.name)
            if info.isfile():
                self._passed[name] = info
                if len(self._passed) > _MOST_PASSED:
                    self._passed.popitem(last=False)
        handle = self._tar.extractfile(self._passed.pop(file.member))
        assert handle is not None
        return _bounded(handle.read(min(file.bytes, LARGEST_FILE) + 1), file.bytes)

    def close(self) -> None:
        self._tar.close()
        self._file.close()


# Fields needed to read a member of a zip; an impossible number is kept as -1.
_PLACE = ("header_offset", "compress_size", "file_size", "CRC", "compress_type", "flag_bits")


class _ZipMembers:
    """Offsets of the members of a zip: 80 bytes and a name each instead of zipfile's 800; zipfile's list is emptied."""

    def __init__(self, packed: zipfile.ZipFile) -> None:
        listed: list[zipfile.ZipInfo] = vars(packed)["filelist"]
        vars(packed)["NameToInfo"].clear()
        # From the end, so that each of zipfile's entries is freed at once; names are numbered in the zip's order.
        listed.reverse()
        names, digests = _Names(), bytearray()
        self._names = bytearray()
        """Members in the order of the zip."""
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
        """The member with this name from `_Names`; raises BadZipFile if the directory states impossible values."""
        wanted = np.frombuffer(_digest(name), "S16")
        at = int(np.searchsorted(self._digests, wanted)[0])
        if at == len(self._digests) or self._digests[at] != wanted[0]:
            return None
        row = int(self._order[at])
        values = self._places[row * len(_PLACE) : (row + 1) * len(_PLACE)]
        if min(values) < 0:
            raise zipfile.BadZipFile("a member with an impossible offset or size")
        begin, end = self._name_ends[row : row + 2]
        info = zipfile.ZipInfo(self._names[begin:end].decode("utf-8", "surrogatepass"))
        for field, value in zip(_PLACE, values, strict=True):
            setattr(info, field, value)
        return info


def _digest(name: str) -> bytes:
    return hashlib.blake2b(name.encode(), digest_size=16).digest()


class _Names:
    """Unique text names for the members of one packed file, in their order."""

    def __init__(self) -> None:
        self._times: dict[str, int] = {}

    def met(self, name: str) -> bool:
        """Whether a member got this name."""
        return name in self._times

    def of(self, name: str) -> str:
        """Bytes that are not text are escaped; a repeated name, as `tar -r` writes it, gets a number."""
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
    """Empty tarfile's list of all members passed so far: for millions of members it takes gigabytes."""
    members: list[tarfile.TarInfo] = vars(packed)["members"]
    members.clear()


def _bounded(data: bytes, size: int) -> bytes:
    if len(data) != size:
        raise Unusable("open", "broken_member", "The packed file's member has another length than its directory says.")
    return data
