"""Files outside any archive → standardised pictures, read in worker processes as `ingest` does; for `predict`."""

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from xray_mining.archive import dicom_elements
from xray_mining.archive.dicom_file import looks_like_dicom, read_dicom
from xray_mining.archive.listing import Reader, files_named
from xray_mining.archive.picture_file import picture_of
from xray_mining.archive.radiograph import Encoded, ListedFile, Radiograph, Unusable
from xray_mining.archive.source import Source
from xray_mining.errors import CannotFinish
from xray_mining.ingest import jpeg_lossless
from xray_mining.ingest.options import GreyOptions, IngestOptions
from xray_mining.ingest.picture import standardised
from xray_mining.ingest.shrink import prepare
from xray_mining.ingest.stated_header import admit
from xray_mining.ingest.workers import Phase, Report, Task, run_tasks

# Files per task: few, because files of a lost worker are read again, and all pictures of a task are in memory.
_MOST_FILES, _MOST_BYTES = 16, 64 * 2**20
_GZIP = b"\x1f\x8b"


@dataclass(frozen=True, slots=True)
class GivenFile:
    """A file that was named, was found in a named folder, or is a member of a packed file."""

    source: Source
    listed: ListedFile

    @property
    def name(self) -> str:
        """Its path, and the member within it."""
        path = self.source.where(self.listed.path)
        return f"{path} [{self.listed.member}]" if self.listed.member else path


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame of a file, or the reason why there is none."""

    file: int
    """Number of the file among all given files."""
    frame: int
    picture: np.ndarray | None
    """(side, side) uint8 or uint16 as in the pixel store; None if it cannot be used."""
    box: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)
    """left, top, width, height of the radiograph within the square."""
    flags: tuple[str, ...] = ()
    """Quality flags, including header values that the content overruled; sorted."""
    reason: str = ""
    sentence: str = ""


@dataclass(frozen=True, slots=True)
class FilesRead:
    """Results of a worker for some files."""

    frames: tuple[Frame, ...]
    files: int
    bytes: int

    @property
    def kept(self) -> int:
        """Number of frames that can be used."""
        return len(self.frames) - self.rejected

    @property
    def rejected(self) -> int:
        """Number of frames or files that cannot be used."""
        return sum(each.picture is None for each in self.frames)


@dataclass(frozen=True)
class FilesTask(Task[FilesRead]):
    """Some of the given files, for one worker."""

    first: int
    """Number of the first one among all given files."""
    files: tuple[GivenFile, ...]
    options: GreyOptions

    @property
    def title(self) -> str:
        """The task's files by their numbers."""
        return f"files {self.first + 1} to {self.first + len(self.files)}"

    def do(self, report: Report, kept: dict[Any, Any]) -> FilesRead:
        """Every file's frames, in order."""
        dicom_elements.prepare()
        prepare()
        jpeg_lossless.prepare()
        for position in self.suspects:
            report(Phase.READING, position, 0, 0, 0)
            list(self._frames(position, partial(report, Phase.READING, position, 0, 0, 0), kept))
        frames: list[Frame] = []
        for position in range(len(self.files)):
            report(Phase.READING, position, 0, 0, 0)
            if position in self.refused:
                reason, sentence = self.refused[position]
                frames.append(self._none(position, 0, Unusable("decode", reason, sentence)))
            else:
                frames += self._frames(position, partial(report, Phase.READING, position, 0, 0, 0), kept)
        report(Phase.WRITING, len(self.files), 0, 0, 0)
        return FilesRead(tuple(frames), len(self.files), sum(max(each.listed.bytes, 0) for each in self.files))

    def _none(self, position: int, frame: int, trouble: Unusable) -> Frame:
        return Frame(self.first + position, frame, None, reason=trouble.reason, sentence=trouble.sentence)

    def _frames(self, position: int, alive: Any, kept: dict[Any, Any]) -> Iterator[Frame]:
        """The frames of one file; an unexpected error gives a row with its reason too."""
        given = self.files[position]
        if given.source.address not in kept:
            # Keep the reader of the last source only, because each may hold a packed file open.
            kept.clear()
            kept[given.source.address] = Reader(given.source)
        reader: Reader = kept[given.source.address]
        reader.alive = alive
        try:
            data = reader.read(given.listed)
            for frame, encoded in _encoded_of(data):
                try:
                    picture = standardised(encoded(), self.options)
                except Unusable as trouble:
                    yield self._none(position, frame, trouble)
                    continue
                place = picture.grey.placement
                box = float(place.left), float(place.top), float(place.width), float(place.height)
                flags = tuple(sorted(set(picture.flags)))
                yield Frame(self.first + position, frame, picture.grey.picture, box, flags)
        except Unusable as trouble:
            yield self._none(position, 0, _in_words(trouble, given))
        except CannotFinish:
            # The source is lost, so the other files cannot be read either.
            raise
        except MemoryError:
            words = "Reading the file needs more memory than there is."
            yield self._none(position, 0, Unusable("decode", "too_large", words))
        except Exception as error:
            words = f"Reading the file failed unexpectedly ({type(error).__name__}); please report it."
            yield self._none(position, 0, Unusable("header", "unexpected", words))


def _in_words(trouble: Unusable, given: GivenFile) -> Unusable:
    if trouble.reason == "gone" and not given.listed.member:
        return Unusable(trouble.stage, trouble.reason, "The file cannot be opened: it is missing.")
    return trouble


def _encoded_of(data: bytes) -> Iterator[tuple[int, Callable[[], Encoded]]]:
    """Frame numbers of a DICOM or picture file, and a function for the encoded picture. Both raise Unusable."""
    if not looks_like_dicom(data) and data[:2] != _GZIP:
        try:
            encoded = picture_of(data)
        except Unusable as trouble:
            if trouble.reason != "not_an_image":
                raise
            words = "The file is neither DICOM nor a PNG, JPEG, TIFF or BMP picture."
            raise Unusable(trouble.stage, trouble.reason, words) from trouble
        yield 0, lambda: encoded
        return
    frames = 0
    for radiograph in read_dicom(data):
        frames += 1
        yield radiograph.frame, partial(_encoded, radiograph)
    if not frames:
        raise Unusable("header", "no_pixels", "The file holds no frame.")


def _encoded(radiograph: Radiograph) -> Encoded:
    """The encoded picture of a frame; raises Unusable if it is no chest radiograph or has no picture."""
    admit(radiograph.header)
    if radiograph.trouble is not None:
        raise radiograph.trouble
    if radiograph.encoded is None:
        raise Unusable("decode", "no_pixels", "The file holds no picture.")
    return radiograph.encoded


def files_at(paths: Sequence[Path]) -> list[GivenFile]:
    """The files that paths name: folders are walked, packed files give their members; hidden files are skipped."""
    found = []
    for path in paths:
        source, files = files_named(path)
        found += [GivenFile(source, each) for each in files]
    return found


def read_files(
    files: Sequence[GivenFile], options: GreyOptions, jobs: int | None = None, file_limit_s: float | None = None
) -> Iterator[FilesRead]:
    """Frames of all files, yielded task by task as workers finish; a frame's file number says which file it is of.

    A file that ends its worker, or takes longer than `file_limit_s` (default: that of `ingest`), gives one frame with
    that reason.
    """
    bytes_of_one = options.side_px**2 * np.dtype(options.value_type).itemsize
    size = min(max(_MOST_BYTES // bytes_of_one, 1), _MOST_FILES)
    tasks = [FilesTask(first, tuple(files[first : first + size]), options) for first in range(0, len(files), size)]
    jobs = min(jobs or len(os.sched_getaffinity(0)), len(tasks))
    limit = IngestOptions().file_limit_s if file_limit_s is None else file_limit_s
    yield from run_tasks(tasks, jobs, limit, None, lambda *_: None)
