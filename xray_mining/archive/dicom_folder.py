"""A folder (or packed files) of DICOM files, with any names and any depth."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from xray_mining.archive.adapter import Adapter
from xray_mining.archive.dicom_file import header_at_head, looks_like_dicom, read_dicom
from xray_mining.archive.example import write_dicom
from xray_mining.archive.listing import Reader, walk
from xray_mining.archive.packages import PACKED
from xray_mining.archive.radiograph import ListedFile, Radiograph
from xray_mining.archive.source import Source

# Names of files beside radiographs that never hold one.
_BESIDE = (".csv", ".md", ".txt", ".json", ".xml", ".html", ".pdf", ".parquet", ".yaml", ".yml", ".xlsx")


class DicomFolder(Adapter):
    """Every file is assumed to be DICOM until its bytes show otherwise."""

    rank = 90

    @classmethod
    def example(cls, folder: Path) -> None:
        """Two files of one patient."""
        for number in (1, 2):
            write_dicom(folder / f"IM{number}", f"2.25.{number}", seed=number)

    @classmethod
    def recognise(cls, source: Source) -> bool:
        """Whether one of the first hundred files, or a packed one, looks like DICOM."""
        reader = Reader(source)
        for file in islice(walk(source), 100):
            if file.member or file.path.lower().endswith((b".dcm", *PACKED)):
                return True
            if looks_like_dicom(reader.head(file, 132)):
                return True
        return False

    def files(self) -> Iterator[ListedFile]:
        """Every file and member."""
        return walk(self.source)

    def ignores(self, file: ListedFile) -> bool:
        """Whether the name is that of a DICOMDIR, a table or a text."""
        name = (file.member or file.path.decode("utf-8", "surrogateescape")).rsplit("/", 1)[-1].lower()
        return name == "dicomdir" or name.endswith(_BESIDE) or name in ("license", "licence", "readme", "version")

    def read(self, file: ListedFile, data: bytes) -> Iterator[Radiograph]:
        """The radiographs of the file's frames."""
        return read_dicom(data)

    def read_header(self, file: ListedFile, data: bytes) -> Iterator[Radiograph]:
        """The file's header."""
        return read_dicom(data, with_pixels=False)

    def read_head(self, file: ListedFile, head: bytes) -> Iterator[Radiograph] | None:
        """The file's header, if its first bytes contain all of it."""
        found = header_at_head(head)
        return None if found is None else iter((found,))
