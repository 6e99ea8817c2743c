"""Speed of ingest as ratios against rivals, in one run on the same files.

(a) whole ingest against the bare fastest decoder plus resize, (b) against pydicom with its default handlers plus
OpenCV, (c) one process against two, (d) a header-only catalogue against pydicom with stop_before_pixels that reads the
same elements, (e) memory of a worker, (f) merge over the number of rows, (g) near-duplicates found and falsely called;
and the hours that two million images would take on 16 cores.
Films of 2048 × 2500, 12 of 16 bits. Arguments: films a syntax for (a) and (b) (default 6), films for (c) (default 1500,
half a minute and more for each of two processes), header-only files (default 100000), and the numbers of rows to merge
and to search for near-duplicates (default 10000 100000 2000000).
"""

import io
import itertools
import json
import os
import resource
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

os.environ.update(OMP_NUM_THREADS="1", POLARS_MAX_THREADS="2")

import cv2
import imagecodecs
import numpy as np
import polars as pl
import psutil
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.pixels import pixel_array
from pydicom.uid import UID, generate_uid

from xray_mining.archive.adapter import adapter_for
from xray_mining.archive.dicom_file import read_dicom
from xray_mining.archive.dicom_texts import header_of
from xray_mining.archive.radiograph import Encoded
from xray_mining.archive.sources.folder import FolderSource
from xray_mining.ingest import jpeg_lossless, near_duplicates, shards
from xray_mining.ingest.decode import decode
from xray_mining.ingest.identity import public_domain
from xray_mining.ingest.ingest import IngestRequest, ingest
from xray_mining.ingest.near_duplicates import candidates, part_path
from xray_mining.ingest.near_hashes import CROPS, WORDS
from xray_mining.ingest.options import GreyOptions, IngestOptions
from xray_mining.ingest.run import ShardTask, run_shard, run_table
from xray_mining.ingest.workers import keep_memory
from xray_mining.records.images import Images
from xray_mining.records.near_duplicates import NearDuplicates
from xray_mining.records.pixels import Pixels
from xray_mining.workspace import ArchiveSettings, Workspace, write_frame

ROWS, COLUMNS, SIDE = 2048, 2500, 512
# Ingest of one syntax for (a) and (b) takes so long, or has so many files as a shard.
_SECONDS, _SHARD_FILES = 8.0, 2000
SYNTAXES: dict[str, tuple[str, Callable[..., Any] | None]] = {
    "raw": ("1.2.840.10008.1.2.1", None),
    "JPEG lossless SV1": (
        "1.2.840.10008.1.2.4.70",
        lambda film: imagecodecs.jpeg8_encode(film, lossless=True, bitspersample=12),
    ),
    "JPEG-LS": ("1.2.840.10008.1.2.4.80", imagecodecs.jpegls_encode),
    "JPEG 2000 lossless": (
        "1.2.840.10008.1.2.4.90",
        lambda film: imagecodecs.jpeg2k_encode(film, reversible=True, level=0, bitspersample=12, codecformat="J2K"),
    ),
    "HTJ2K lossless": ("1.2.840.10008.1.2.4.201", imagecodecs.htj2k_encode),
}
BARE = {
    "raw": lambda data: np.frombuffer(data, "<u2").reshape(ROWS, COLUMNS),
    # Our own, which is faster than the libraries.
    "JPEG lossless SV1": jpeg_lossless.decoded,
    "JPEG-LS": imagecodecs.jpegls_decode,
    "JPEG 2000 lossless": imagecodecs.jpeg2k_decode,
    "HTJ2K lossless": imagecodecs.htj2k_decode,
}


def film(number: int) -> np.ndarray:
    """A smooth field with noise, (2048, 2500) 12 bits."""
    rng = np.random.default_rng(number)
    coarse = cv2.resize(rng.normal(2000, 600, (8, 10)), (COLUMNS, ROWS), interpolation=cv2.INTER_CUBIC)
    return np.clip(coarse + rng.normal(0, 12, (ROWS, COLUMNS)), 0, 4095).astype(np.uint16)


def header(syntax: str, rows: int, columns: int) -> Dataset:
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = UID(syntax)
    dataset.file_meta.MediaStorageSOPClassUID = UID("1.2.840.10008.5.1.4.1.1.1.1")
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID = generate_uid()
    dataset.SOPClassUID = "1.2.840.10008.5.1.4.1.1.1.1"
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = generate_uid(), generate_uid()
    dataset.PatientID, dataset.PatientSex, dataset.PatientAge = "P", "F", "061Y"
    dataset.StudyDate, dataset.Modality, dataset.BodyPartExamined, dataset.ViewPosition = (
        "20200101",
        "DX",
        "CHEST",
        "PA",
    )
    dataset.Manufacturer, dataset.SeriesDescription = "Philips", "Chest PA"
    dataset.ImagerPixelSpacing = ["0.14", "0.14"]
    dataset.WindowCenter, dataset.WindowWidth = "2048", "4096"
    dataset.Rows, dataset.Columns, dataset.SamplesPerPixel = rows, columns, 1
    dataset.PhotometricInterpretation, dataset.PixelRepresentation = "MONOCHROME2", 0
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 12, 11
    return dataset


def write(path: Path, syntax: str, pixels: bytes, rows: int = ROWS, columns: int = COLUMNS) -> None:
    dataset = header(syntax, rows, columns)
    compressed = syntax != "1.2.840.10008.1.2.1"
    dataset.PixelData = encapsulate([pixels]) if compressed else pixels
    dataset["PixelData"].VR = "OB" if compressed else "OW"
    dataset["PixelData"].is_undefined_length = compressed
    path.parent.mkdir(parents=True, exist_ok=True)
    dataset.save_as(path, enforce_file_format=True)


def seconds(work: Callable[[], object]) -> float:
    """The least of two runs in seconds of this process's own work: what other processes take is not ours."""
    times = []
    for _ in range(2):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return min(times)


def resized(values: np.ndarray) -> np.ndarray:
    return cv2.resize(values, (SIDE, round(SIDE * values.shape[0] / values.shape[1])), interpolation=cv2.INTER_AREA)


def one_process(folder: Path, root: Path) -> Callable[[], object]:
    """The whole ingest of a folder in this process: list, read, decode, grey, hash, write parts and pixels."""

    def work() -> object:
        shutil.rmtree(root, ignore_errors=True)
        shutil.rmtree(root.with_name(root.name + ".private"), ignore_errors=True)
        workspace = Workspace.create(root)
        adapter = adapter_for(FolderSource(folder), "dicom_folder")
        shards.update(workspace, "a", adapter, 2000, renew=False)
        task = ShardTask(root, "a", "dicom_folder", FolderSource(folder), None, public_domain("a"), 0, IngestOptions())
        return run_shard(task, lambda *_: None, adapter)

    return work


def _reduced(encoded: Encoded) -> np.ndarray:
    return decode(encoded, SIDE).values


def bare_seconds(frames: list[Any], decoder: Callable[[Any], np.ndarray]) -> float:
    return seconds(lambda: [resized(decoder(each)) for each in frames])


def pydicom_seconds(paths: list[Path]) -> float:
    try:
        return seconds(lambda: [resized(pixel_array(path)) for path in paths])
    except RuntimeError:
        return float("nan")  # pydicom's default handlers cannot read this syntax here


def by_syntax(home: Path, films: int) -> dict[str, float]:
    per_image = {}
    print(
        f"{'syntax':<20}{'ingest/s':>10}{'bare/s':>9}{'(a) ratio':>11}{'whole/s':>10}{'ratio':>8}{'pydicom/s':>11}"
        f"{'(b) times':>11}"
    )
    for name, (syntax, encode) in SYNTAXES.items():
        folder = home / name.replace(" ", "_")
        encoded = [film(number).tobytes() if encode is None else bytes(encode(film(number))) for number in range(films)]
        for number, data in enumerate(encoded):
            write(folder / f"{number}.dcm", syntax, data)
        paths = sorted(folder.iterdir())
        # The bare decoder reads a frame whose place is known, from memory. Where a codec can reduce it is our own
        # reduced decoder: else we would be compared with something ten times slower, which stands beside it.
        frames = [next(iter(read_dicom(path.read_bytes()))).encoded for path in paths]
        whole = bare = bare_seconds(encoded, BARE[name]) / films
        if name in ("JPEG 2000 lossless", "HTJ2K lossless"):
            bare = bare_seconds(frames, _reduced) / films
        # Linked again and again, so that what a shard costs once is spread as over a shard of an archive.
        files = min(int(_SECONDS / bare), _SHARD_FILES)
        for number in range(films, files):
            os.link(paths[number % films], folder / f"{number}.dcm")
        ours = seconds(one_process(folder, home / "w")) / files
        theirs = pydicom_seconds(paths[:2]) / len(paths[:2])
        per_image[name] = ours
        print(
            f"{name:<20}{1 / ours:>10.1f}{1 / bare:>9.1f}{bare / ours:>11.2f}{1 / whole:>10.1f}{whole / ours:>8.2f}"
            f"{1 / theirs:>11.1f}{theirs / ours:>11.1f}"
        )
    return per_image


def processes(home: Path, films: int) -> None:
    """(c) one to two processes, on films of all syntaxes; (e) memory of a worker, after few films and after many."""
    number_of = {"few": max(films // 20, 10), "many": films}
    for of, number in number_of.items():
        folder = home / of
        folder.mkdir()
        sources = [sorted((home / name.replace(" ", "_")).iterdir())[0] for name in SYNTAXES]
        for each in range(number):
            os.link(sources[each % len(sources)], folder / f"{each:06d}.dcm")
    taken = {}
    print(f"(c) {films} films of all syntaxes, worker processes started anew each time")
    for of, jobs in (("few", 1), ("many", 1), ("many", 2)):
        root = home / f"{of}{jobs}"
        options = IngestOptions(shard_files=50, near_duplicates=False)
        before, ours, clock = psutil.cpu_times(), _processor_seconds(), time.perf_counter()
        with largest_of_children() as peaks:
            ingest(Workspace.create(root), IngestRequest(FolderSource(home / of), name="a", jobs=jobs), options)
        wall, mine = time.perf_counter() - clock, _processor_seconds() - ours
        after = psutil.cpu_times()
        idle = after.idle + after.iowait - before.idle - before.iowait
        others = max(wall * (os.cpu_count() or 1) - idle - mine, 0)
        taken[of, jobs] = wall, mine
        if of == "many":
            print(
                f"(c) {jobs} process{'es' * (jobs > 1)}: {wall:.1f} s, {mine:.1f} processor seconds; other programs "
                f"took {others / wall:.1f} of the {os.cpu_count()} cores"
            )
        if jobs == 1:
            print(f"(e) largest resident memory of a worker in {number_of[of]} films: {max(peaks.values()):.0f} MB")
    (wall_1, mine_1), (wall_2, mine_2) = taken["many", 1], taken["many", 2]
    print(
        f"(c) one → two processes: {wall_1 / wall_2:.2f} times by the clock; {2 * mine_1 / mine_2:.2f} times by "
        f"processor seconds, which is what two cores give that nobody else uses"
    )


@contextmanager
def largest_of_children() -> Generator[dict[int, float]]:
    """The largest resident memory in MB of each process that runs below this one in the meantime.

    As the kernel says of each of them: what it says of all that have ended counts what they were forked from.
    """
    peaks: dict[int, float] = {}
    ended = threading.Event()

    def look() -> None:
        while not ended.wait(0.1):
            for child in psutil.Process().children():
                with suppress(OSError, StopIteration, psutil.Error):
                    lines = Path(f"/proc/{child.pid}/status").read_text(encoding="ascii").splitlines()
                    line = next(line for line in lines if line.startswith("VmHWM"))
                    peaks[child.pid] = int(line.split()[1]) / 1024

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        yield peaks
    finally:
        ended.set()
        watcher.join()


def _processor_seconds() -> float:
    """What this process and its children that have ended have taken of the processors."""
    usages = [resource.getrusage(each) for each in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in usages)


def as_devices_write(dataset: Dataset) -> None:
    """Fill up a header to some 65 elements, with sequences and private ones, as digital radiography units do."""
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = "R-10214", "SNM3", "postero-anterior"
    region = Dataset()
    region.CodeValue, region.CodingSchemeDesignator, region.CodeMeaning = "T-D3000", "SNM3", "Chest"
    referenced = Dataset()
    referenced.ReferencedSOPClassUID, referenced.ReferencedSOPInstanceUID = "1.2.840.10008.3.1.2.3.1", "1.2.3.4"
    for keyword, value in {
        "SpecificCharacterSet": "ISO_IR 100",
        "ImageType": ["ORIGINAL", "PRIMARY", ""],
        "InstanceCreationDate": "20200101",
        "InstanceCreationTime": "101010.000",
        "SeriesDate": "20200101",
        "AcquisitionDate": "20200101",
        "ContentDate": "20200101",
        "StudyTime": "101000.000",
        "SeriesTime": "101005.000",
        "AcquisitionTime": "101008.000",
        "ContentTime": "101008.000",
        "AccessionNumber": "A1",
        "PresentationIntentType": "FOR PRESENTATION",
        "InstitutionName": "Hospital",
        "ReferringPhysicianName": "Doctor^A",
        "StationName": "DR1",
        "StudyDescription": "Chest PA and lateral",
        "InstitutionalDepartmentName": "Radiology",
        "ManufacturerModelName": "DigitalDiagnost",
        "ReferencedStudySequence": [referenced],
        "AnatomicRegionSequence": [region],
        "PatientName": "Somebody^Some",
        "PatientBirthDate": "19590505",
        "KVP": "125",
        "DeviceSerialNumber": "1234",
        "SoftwareVersions": "1.2.3",
        "ProtocolName": "Chest PA",
        "DistanceSourceToDetector": "1800",
        "ExposureTime": "10",
        "XRayTubeCurrent": "200",
        "Exposure": "2",
        "FilterType": "NONE",
        "Grid": "FOCUSED",
        "FocalSpots": "0.6",
        "RelativeXRayExposure": "200",
        "DetectorType": "SCINTILLATOR",
        "DetectorTemperature": "25.5",
        "StudyID": "1",
        "SeriesNumber": "1",
        "InstanceNumber": "1",
        "PatientOrientation": ["L", "F"],
        "ImageLaterality": "U",
        "BurnedInAnnotation": "NO",
        "PixelIntensityRelationship": "LOG",
        "RescaleIntercept": "0",
        "RescaleSlope": "1",
        "RescaleType": "US",
        "LossyImageCompression": "00",
        "PerformedProcedureStepDescription": "Chest",
        "PresentationLUTShape": "IDENTITY",
        "ViewCodeSequence": [code],
    }.items():
        setattr(dataset, keyword, value)
    private = dataset.private_block(0x0019, "A MAKER", create=True)
    for number in range(4):
        private.add_new(number, "LO", "something of its own")


def headers(home: Path, files: int) -> None:
    """(d) header-only catalogue of files of two a study and four a patient, with headers short and long."""
    for title, filled in (("short headers", False), ("headers as devices write them", True)):
        header_only(home, files, title, filled)


def header_only(home: Path, files: int, title: str, filled: bool) -> None:
    """The catalogue of one folder of files against pydicom."""
    folder = home / "headers"
    buffer = io.BytesIO()
    dataset = header("1.2.840.10008.1.2.1", 64, 64)
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = "1.2.3.1000000"
    dataset.StudyInstanceUID, dataset.PatientID = "1.2.3.2000000.1", "P3000000"
    if filled:
        as_devices_write(dataset)
    title = f"{title} of {len(dataset)} elements"
    dataset.PixelData = bytes(64 * 64 * 2)
    dataset["PixelData"].VR = "OW"
    dataset.save_as(buffer, enforce_file_format=True)
    data = buffer.getvalue()
    for number in range(files):
        (folder / f"{number // 1000:03d}").mkdir(parents=True, exist_ok=True)
        own = data.replace(b"1.2.3.1000000", b"1.2.3.1%06d" % number)
        own = own.replace(b"1.2.3.2000000.1", b"1.2.3.2%06d.1" % (number // 2))
        own = own.replace(b"P3000000", b"P3%06d" % (number // 4))
        (folder / f"{number // 1000:03d}" / f"{number:06d}.dcm").write_bytes(own)
    some = sorted(folder.rglob("*.dcm"))[:5000]
    elements: list[str] = []
    # Asked of nothing, so that it tells what it asks for.
    header_of(elements.append)

    def theirs() -> None:
        for path in some:
            found = pydicom.dcmread(path, stop_before_pixels=True)
            for element in elements:
                found.get(element)

    def opened() -> None:
        for path in some:
            pydicom.dcmread(path, stop_before_pixels=True)

    root = home / "h"

    def ours() -> None:
        shutil.rmtree(root, ignore_errors=True)
        shutil.rmtree(home / "h.private", ignore_errors=True)
        workspace = Workspace.create(root)
        adapter = adapter_for(FolderSource(folder), "dicom_folder")
        shards.update(workspace, "a", adapter, 2000, renew=False)
        domain = public_domain("a")
        for shard in shards.known_shards(workspace, "a"):
            task = ShardTask(
                root, "a", "dicom_folder", FolderSource(folder), None, domain, shard, IngestOptions(), headers_only=True
            )
            run_shard(task, lambda *_: None, adapter)

    rival, bare, taken = seconds(theirs) / len(some), seconds(opened) / len(some), seconds(ours) / files
    print(f"(d) {files:,} files, {title}: whole catalogue, written: {1 / taken:,.0f}/s")
    print(
        f"(d) pydicom stop_before_pixels, the same {len(elements)} elements: {1 / rival:,.0f}/s; "
        f"ours is {rival / taken:.2f} times as fast"
    )
    print(f"(d) pydicom that looks at no element: {1 / bare:,.0f}/s; ours is {bare / taken:.2f} times as fast")
    shutil.rmtree(folder)


def near_pairs(home: Path) -> None:
    """(g) recall and false alarms of the near-duplicate search on real and planted pairs."""
    data = Path(os.environ.get("XRAY_MINING_SHARED") or Path(__file__).parents[3] / "shared") / "data"
    if not (data / "near_duplicates.csv").is_file():
        print("(g) near-duplicates: the real sets are not here; set XRAY_MINING_SHARED")
        return
    sets = ("covid-cxr", "hannover-cxr")
    folder = home / "near"
    folder.mkdir()
    originals = [path for each in sets for path in sorted((data / each / "images").iterdir())]
    table = pl.read_csv(data / "near_duplicates.csv").select("image_a", "image_b").rows()
    real = {frozenset(str(each).replace("/", "_") for each in pair) for pair in table}
    doubled = frozenset().union(*real)
    names = ["image,patient"]
    planted = set()
    plants = planter()
    for number, path in enumerate(originals):
        name = f"{path.parts[-3]}_images_{path.name}"
        shutil.copy(path, folder / name)
        names.append(f"{name},{number}")
        if number % 8 == 0 and name not in doubled:
            copy = f"planted_{number}.jpg"
            cv2.imwrite(str(folder / copy), next(plants)(cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)))
            names.append(f"{copy},p{number}")
            planted.add(frozenset((name, copy)))
    (folder / "t.csv").write_text("\n".join(names) + "\n")
    (folder / "mapping.yaml").write_text("table: t.csv\ncolumns: {image: image, patient_id: patient}\n")
    rules = near_duplicates._FEW, near_duplicates._MANY
    workspace = Workspace.create(home / "near_workspace")
    options = IngestOptions(grey=GreyOptions(side_px=256))
    start = time.perf_counter()
    ingest(workspace, IngestRequest(FolderSource(folder), name="near", jobs=2), options)
    taken = time.perf_counter() - start
    files = [file.path.decode() for file in shards.files_of(workspace, "near", 0)]
    images = Images.read(workspace.parts("near", "images")).unique("pixel_digest", keep="first", maintain_order=True)
    by_key = {key: files[place] for key, place in images.select("image_key", "position").iter_rows()}
    pairs = NearDuplicates.read(part_path(workspace)).select("image_key_a", "image_key_b").rows()
    found = {frozenset(by_key[key] for key in pair) for pair in pairs}
    there = set(by_key.values())
    for what, pairs_of in (("real", real), ("planted", planted)):
        true = {pair for pair in pairs_of if pair <= there}
        print(f"(g) near-duplicates, {what}: {len(found & true)} of {len(true)} pairs found")
    parts = sorted(workspace.parts("_all", "near_duplicates_hashes").glob("*.parquet"))
    hashed = pl.concat(pl.read_parquet(path) for path in parts).unique("pixel_digest")
    places = hashed.join(images, on="pixel_digest", maintain_order="left")
    values = places["hashes"].to_numpy().reshape(-1, len(CROPS), WORDS)
    name_of = [by_key[key] for key in places["image_key"]]
    true = {pair for pair in real if pair <= there}
    for size, few, many in (("few", 10**9, 10**9), ("over 50,000", 0, 10**9), ("over 200,000", 0, 0)):
        # As in a larger archive, of which these are a part.
        near_duplicates._FEW, near_duplicates._MANY = few, many
        near = {frozenset((name_of[one], name_of[other])) for one, other, *_ in candidates(values).tolist()}
        print(f"(g) candidates by the rules for {size} pictures: {len(near & true)} of {len(true)} real pairs")
    near_duplicates._FEW, near_duplicates._MANY = rules
    false = len(found - real - planted)
    possible = len(there) * (len(there) - 1) // 2
    print(f"(g) others called near-duplicates: {false} of {possible:,} pairs; {len(there)} images in {taken:.0f} s")


def near_candidates(pictures: list[int]) -> None:
    """(g) Time and growth of the search for candidates among hashes as crowded as those of real radiographs."""
    rng = np.random.default_rng(1)
    # Of real radiographs of three sets bands meet 9,700 times in 1.8 million comparisons, of these 8,000 times, and one
    # pair in a million is a false candidate.
    kinds = rng.integers(0, 2**63, (1300, 1, WORDS), dtype=np.uint64) ^ turned(rng, (1300, len(CROPS), WORDS), 0.12)
    before = None
    for number in pictures:
        values = kinds[rng.integers(0, len(kinds), number)] ^ turned(rng, (number, 1, WORDS), 0.12)
        start = time.perf_counter()
        found = len(candidates(values))
        taken = time.perf_counter() - start
        grown = f"; grows by the power {np.log(taken / before[1]) / np.log(number / before[0]):.2f}" if before else ""
        print(f"(g) candidates among {number:,} pictures: {found:,} in {taken:.1f} s{grown}")
        before = number, taken


def turned(rng: np.random.Generator, shape: tuple[int, int], share: float) -> np.ndarray:
    """Values in which each bit is set by chance, uint64."""
    values = np.zeros(shape, np.uint64)
    for bit in range(64):
        values |= (rng.random(shape) < share).astype(np.uint64) << np.uint64(bit)
    return values


def planter() -> Iterator[Callable[[Any], Any]]:
    """Copies as they are met: another window, size, border, crop, compression; in turn."""
    changes: list[Callable[[Any], Any]] = [
        lambda image: cv2.convertScaleAbs(image, alpha=0.7, beta=30),
        lambda image: cv2.resize(image, None, fx=0.6, fy=0.6, interpolation=cv2.INTER_AREA),
        lambda image: cv2.copyMakeBorder(image, 20, 20, 20, 20, cv2.BORDER_CONSTANT, value=0),
        lambda image: image[image.shape[0] // 20 : -(image.shape[0] // 20), image.shape[1] // 20 :],
        lambda image: cv2.imdecode(
            cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 30])[1], cv2.IMREAD_GRAYSCALE
        ),
        lambda image: (255 * (image / 255.0) ** 1.5).astype(np.uint8),
    ]
    return itertools.cycle(changes)


def merging(home: Path, rows: list[int]) -> None:
    """(f) merge over the number of rows: images and pixels in parts of 50,000."""
    from xray_mining.archive.radiograph import Header, Radiograph
    from xray_mining.catalog.merge import merge

    a_part = 50_000
    for number in rows:
        root = home / f"merge{number}"
        workspace = Workspace.create(root)
        settings = ArchiveSettings(domain="a", adapter="dicom_folder", order=0)
        workspace.save(workspace.settings.model_copy(update={"archives": {"a": settings}}))
        task = ShardTask(
            root, "a", "dicom_folder", FolderSource(home), None, public_domain("a"), 0, IngestOptions(), True
        )
        size = min(a_part, number)
        radiographs = [
            Radiograph(Header(instance_id=str(each), patient_id=str(each // 3), age_text="061Y", known_chest=True))
            for each in range(size)
        ]
        counts = run_table(task, radiographs)
        first = Images.read(workspace.parts("a", "images"))
        rng = np.random.default_rng(number)
        for shard, start in enumerate(range(0, number, size)):
            kept = first.head(number - start)
            keys, files, digests = (uuids(rng, kept.height) for _ in range(3))
            patients, studies = uuids(rng, kept.height // 3 + 1), uuids(rng, kept.height // 2 + 1)
            images = kept.with_columns(
                pl.Series("image_key", keys),
                pl.Series("file_key", files),
                pl.Series("pixel_digest", digests),
                pl.Series("patient_key", [patients[each // 3] for each in range(kept.height)]),
                pl.Series("study_key", [studies[each // 2] for each in range(kept.height)]),
                pl.Series("perceptual_hash", rng.integers(0, 2**63, kept.height).astype(np.uint64)),
                pl.lit(shard, pl.Int64).alias("shard"),
            )
            write_frame(images, workspace.parts("a", "images") / f"{shard:05d}.parquet")
            pictures = {"store": "grey512", "archive": "a", "shard": shard, "offset": 0, "side_px": 512}
            pictures |= {"value_type": "uint8", "content_left": 0.0, "content_top": 0.0, "content_width": 512.0}
            pictures |= {"content_height": 419.0, "store_spacing_mm": 0.7, "window_source": "window", "inverted": False}
            pictures |= {"clipped_fraction": 0.0, "decoder": "numpy"}
            pixels = images.select("image_key", *(pl.lit(value).alias(name) for name, value in pictures.items()))
            write_frame(
                Pixels.typed(pixels.with_columns(offset=pl.int_range(kept.height) * 512 * 512)),
                workspace.parts("a", "pixels") / f"{shard:05d}.parquet",
            )
            of_shard = asdict(counts) | {"shard": shard, "files": kept.height, "seen": kept.height, "kept": kept.height}
            counts_of_shard = workspace.root / "parts" / "a" / "shards" / f"{shard:05d}-.json"
            counts_of_shard.write_text(json.dumps(of_shard), encoding="utf-8")
        start_s = time.perf_counter()
        summary = merge(workspace)
        taken = time.perf_counter() - start_s
        if summary.images != number:
            raise ArithmeticError(f"merge lost rows: {summary.images} of {number}")
        print(f"(f) merge of {number:,} rows in {-(-number // size)} parts: {taken:.2f} s")
        shutil.rmtree(root)


def uuids(rng: np.random.Generator, number: int) -> list[str]:
    """Random texts in the shape of UUIDs."""
    digits = rng.bytes(16 * number).hex()
    pieces = (digits[32 * each : 32 * each + 32] for each in range(number))
    return [f"{each[:8]}-{each[8:12]}-{each[12:16]}-{each[16:20]}-{each[20:]}" for each in pieces]


def main() -> None:
    asked = [int(each) for each in sys.argv[1:]]
    films, many, header_files = asked[:3] + [6, 1500, 100_000][len(asked[:3]) :]
    rows = asked[3:] or [10_000, 100_000, 2_000_000]
    cv2.setNumThreads(1)
    # As workers do.
    keep_memory()
    with tempfile.TemporaryDirectory(prefix="bench-ingest-") as home:
        per_image = by_syntax(Path(home), films)
        processes(Path(home), many)
        headers(Path(home), header_files)
        near_pairs(Path(home))
        near_candidates(rows)
        merging(Path(home), rows)
    print("two million images on 16 cores at these figures, hours:")
    for name, each in per_image.items():
        print(f"  {name:<20}{2e6 * each / 16 / 3600:>6.1f}")


if __name__ == "__main__":
    main()
