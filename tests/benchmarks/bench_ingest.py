"""Speed of ingest as ratios against rivals, in one run on the same files.

(a) whole ingest against the bare fastest decoder plus resize, (b) against pydicom with its default handlers plus
OpenCV, (c) one process against two, (d) a header-only catalogue against pydicom with stop_before_pixels, (e) memory of
a worker, (f) merge over the number of rows, (g) near-duplicates found and falsely called; and the hours that two
million images would take on 16 cores.
Films of 2048 × 2500, 12 of 16 bits. Arguments: files a syntax (default 6), header-only files (default 2000), and the
numbers of rows to merge (default 10000 100000).
"""

import io
import itertools
import os
import resource
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

os.environ.update(OMP_NUM_THREADS="1", POLARS_MAX_THREADS="2")

import cv2
import imagecodecs
import numpy as np
import polars as pl
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.pixels import pixel_array
from pydicom.uid import UID, generate_uid

from xray_mining.archive.adapter import adapter_for
from xray_mining.archive.dicom_file import read_dicom
from xray_mining.archive.radiograph import Encoded
from xray_mining.ingest import shards
from xray_mining.ingest.decode import decode
from xray_mining.ingest.identity import public_domain
from xray_mining.ingest.ingest import IngestRequest, ingest
from xray_mining.ingest.near_duplicates import part_path
from xray_mining.ingest.options import GreyOptions, IngestOptions
from xray_mining.ingest.run import ShardTask, run_shard
from xray_mining.ingest.workers import keep_memory
from xray_mining.records.images import Images
from xray_mining.records.near_duplicates import NearDuplicates
from xray_mining.workspace import Workspace

ROWS, COLUMNS, SIDE = 2048, 2500, 512
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
    "JPEG lossless SV1": imagecodecs.jpeg8_decode,
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
        adapter = adapter_for(folder, "dicom_folder")
        shards.update(workspace, "a", adapter, 2000, renew=False)
        task = ShardTask(root, "a", "dicom_folder", folder, None, public_domain("a"), 0, IngestOptions())
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


def by_syntax(home: Path, files: int) -> dict[str, float]:
    per_image = {}
    (home / "nothing").mkdir()
    (home / "nothing" / "none.dcm").write_text("none")
    print(f"{'syntax':<20}{'ingest/s':>10}{'bare/s':>9}{'(a) ratio':>11}{'pydicom/s':>11}{'(b) times':>11}")
    for name, (syntax, encode) in SYNTAXES.items():
        folder = home / name.replace(" ", "_")
        encoded = [film(number).tobytes() if encode is None else bytes(encode(film(number))) for number in range(files)]
        for number, data in enumerate(encoded):
            write(folder / f"{number}.dcm", syntax, data)
        paths = sorted(folder.iterdir())
        # Linked again and again, so that what a shard costs once is spread as over a shard of an archive.
        repeats = 1 if name in ("JPEG-LS", "JPEG lossless SV1") else 6
        for path in paths:
            for number in range(1, repeats):
                os.link(path, folder / f"{path.stem}_{number}.dcm")
        once = seconds(one_process(home / "nothing", home / "w"))
        ours = (seconds(one_process(folder, home / "w")) - once) / (files * repeats)
        # The bare decoder reads a frame whose place is known, from memory; it decodes whole, but for JPEG 2000 and
        # HTJ2K, where it is our own reduced decoder: else we would be compared with something ten times slower.
        frames = [next(iter(read_dicom(path.read_bytes()))).encoded for path in paths]
        if name in ("JPEG 2000 lossless", "HTJ2K lossless"):
            bare = bare_seconds(frames, _reduced) / files
        else:
            bare = bare_seconds(encoded, BARE[name]) / files
        theirs = pydicom_seconds(paths[:2]) / 2
        per_image[name] = ours
        print(
            f"{name:<20}{1 / ours:>10.1f}{1 / bare:>9.1f}{bare / ours:>11.2f}{1 / theirs:>11.1f}{theirs / ours:>11.1f}"
        )
    return per_image


def processes(home: Path, files: int) -> None:
    """(c) one to two processes, on raw and JPEG lossless films, without the start of the processes."""
    folder = home / "many"
    for number in range(files * 4):
        source = home / ("raw" if number % 2 else "JPEG_lossless_SV1") / f"{number % files}.dcm"
        target = folder / f"{number}.dcm"
        target.parent.mkdir(exist_ok=True)
        dataset = pydicom.dcmread(source)
        dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = generate_uid()
        dataset.save_as(target)
    taken = {}
    for jobs in (1, 2):
        root = home / f"jobs{jobs}"
        options = IngestOptions(shard_files=max(files // 2, 1), near_duplicates=False)
        start = time.perf_counter()
        ingest(Workspace.create(root), IngestRequest(folder=folder, name="a", jobs=jobs), options)
        taken[jobs] = time.perf_counter() - start
    gain = taken[1] / taken[2]
    print(f"(c) one → two processes, {files * 4} films: {taken[1]:.1f} → {taken[2]:.1f} s, {gain:.2f} times")
    children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    print(f"(e) largest resident memory of a worker: {children:.0f} MB")


def headers(home: Path, files: int) -> None:
    """(d) header-only catalogue."""
    folder = home / "headers"
    folder.mkdir()
    buffer = io.BytesIO()
    dataset = header("1.2.840.10008.1.2.1", 64, 64)
    dataset.PixelData = bytes(64 * 64 * 2)
    dataset["PixelData"].VR = "OW"
    dataset.save_as(buffer, enforce_file_format=True)
    data = buffer.getvalue()
    uid = str(dataset.SOPInstanceUID).encode()
    for number in range(files):
        other = (uid[:-6] + f"{number:06d}".encode())[: len(uid)]
        (folder / f"{number:06d}.dcm").write_bytes(data.replace(uid, other))
    paths = sorted(folder.iterdir())
    theirs = seconds(lambda: [pydicom.dcmread(path, stop_before_pixels=True) for path in paths])
    root = home / "h"

    def ours() -> None:
        shutil.rmtree(root, ignore_errors=True)
        shutil.rmtree(home / "h.private", ignore_errors=True)
        workspace = Workspace.create(root)
        adapter = adapter_for(folder, "dicom_folder")
        shards.update(workspace, "a", adapter, files, renew=False)
        task = ShardTask(
            root, "a", "dicom_folder", folder, None, public_domain("a"), 0, IngestOptions(), headers_only=True
        )
        run_shard(task, lambda *_: None, adapter)

    taken = seconds(ours)
    print(
        f"(d) headers of {files:,} files: whole catalogue {files / taken:,.0f}/s, pydicom stop_before_pixels "
        f"{files / theirs:,.0f}/s, {theirs / taken:.2f} times"
    )


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
    workspace = Workspace.create(home / "near_workspace")
    options = IngestOptions(grey=GreyOptions(side_px=256))
    start = time.perf_counter()
    ingest(workspace, IngestRequest(folder=folder, name="near", jobs=2), options)
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
    false = len(found - real - planted)
    possible = len(there) * (len(there) - 1) // 2
    print(f"(g) others called near-duplicates: {false} of {possible:,} pairs; {len(there)} images in {taken:.0f} s")


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
    """(f) merge over the number of rows."""
    from xray_mining.archive.radiograph import Header, Radiograph
    from xray_mining.catalog.merge import merge
    from xray_mining.ingest.run import FIRST_TABLE_SHARD, run_table

    for number in rows:
        root = home / f"merge{number}"
        workspace = Workspace.create(root)
        task = ShardTask(
            root, "a", "dicom_folder", home, None, public_domain("a"), 0, IngestOptions(), headers_only=True
        )
        radiographs = [
            Radiograph(Header(instance_id=str(each), patient_id=str(each // 3), age_text="061Y", known_chest=True))
            for each in range(number)
        ]
        for shard, start in enumerate(range(0, number, 2000), FIRST_TABLE_SHARD):
            from dataclasses import replace

            run_table(replace(task, shard=shard), radiographs[start : start + 2000])
        start = time.perf_counter()
        merge(workspace)
        print(f"(f) merge of {number:,} rows in {-(-number // 2000)} parts: {time.perf_counter() - start:.2f} s")


def main() -> None:
    files = int(sys.argv[1]) if len(sys.argv) > 1 else 6
    header_files = int(sys.argv[2]) if len(sys.argv) > 2 else 2000
    rows = [int(each) for each in sys.argv[3:]] or [10_000, 100_000]
    cv2.setNumThreads(1)
    # As workers do.
    keep_memory()
    with tempfile.TemporaryDirectory(prefix="bench-ingest-") as home:
        per_image = by_syntax(Path(home), files)
        processes(Path(home), files)
        headers(Path(home), header_files)
        near_pairs(Path(home))
        merging(Path(home), rows)
    print("two million images on 16 cores at these figures, hours:")
    for name, each in per_image.items():
        print(f"  {name:<20}{2e6 * each / 16 / 3600:>6.1f}")


if __name__ == "__main__":
    main()
