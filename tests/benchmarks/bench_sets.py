"""Sets of measured numbers: 1,000 random radiographs read out of many, and pictures measured a second.

    make bench-sets
    .venv/bin/python tests/benchmarks/bench_sets.py --rows 200000

Rivals: a scan of Parquet parts by polars, as sets were kept before they had an index; a plain loop over the pictures
that keeps nothing.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from uuid import UUID

import numpy as np
import polars as pl

from xray_mining.features.instrument import Features, measure
from xray_mining.features.options import FeatureOptions
from xray_mining.models.embedding import Embeddings
from xray_mining.networks.options import EmbeddingOptions
from xray_mining.pixels.store import PixelStore, write_shard
from xray_mining.records.pixels import Pixels
from xray_mining.sets.instrument import Column
from xray_mining.sets.measure import Wanted
from xray_mining.sets.measured import About, MeasuredSet
from xray_mining.sets.pictures import Pictures
from xray_mining.workspace import ArchiveSettings, Workspace, write_frame

COLUMNS = 1000
PART = 1000
ASKED = 1000
SIDE = 512


def key_of(number: int) -> str:
    """A key that is not in the order of the numbers."""
    return str(UUID(int=(number * 0x9E3779B97F4A7C15F39CC0605CEDC835 + 1) % 2**128))


def workspace_of(folder: Path, rows: int) -> Workspace:
    """A workspace whose parts name so many radiographs."""
    made = Workspace.create(folder / "workspace")
    archive = ArchiveSettings(domain="a", adapter="a", order=0)
    made.save(made.settings.model_copy(update={"store": "grey", "archives": {"a": archive}}))
    for shard, first in enumerate(range(0, rows, 2000)):
        keys = [key_of(number) for number in range(first, min(first + 2000, rows))]
        frame = pl.DataFrame({"image_key": keys, "pixel_digest": keys})
        write_frame(frame, made.parts("a", "images") / f"{shard:05d}.parquet")
    return made


def write_both(workspace: Workspace, rows: int) -> None:
    """The same numbers as a set and as Parquet parts."""
    made = MeasuredSet(workspace.measured("features", "many-1"), Pictures.open(workspace))
    columns = tuple(Column(f"c{number}") for number in range(COLUMNS))
    rng = np.random.default_rng(1)
    for first in range(0, rows, PART):
        keys = [key_of(number) for number in range(first, min(first + PART, rows))]
        matrix = rng.normal(size=(len(keys), COLUMNS))
        made.write(keys, matrix)
        named = pl.DataFrame({"image_key": keys, "pixel_digest": keys})
        frame = pl.concat([named, pl.from_numpy(matrix, schema=[each.name for each in columns])], how="horizontal")
        write_frame(frame, workspace.root / "parquet" / f"{first:09d}.parquet")
    made.describe(About("features", "grey", columns, "float64", False, {}, "", {}, {}))


def asked(rows: int) -> list[str]:
    """The keys that are read."""
    return [key_of(int(number)) for number in np.random.default_rng(2).choice(rows, ASKED, replace=False)]


def read_by_index(workspace: Workspace, rows: int) -> np.ndarray:
    """What `MeasuredSet.read` does."""
    return MeasuredSet(workspace.measured("features", "many-1"), Pictures.open(workspace)).read(asked(rows))


def read_by_scan(workspace: Workspace, rows: int) -> np.ndarray:
    """What sets did before: every part of images and of numbers is read."""
    parts = sorted(workspace.parts("a", "images").glob("*.parquet"))
    pixels = pl.concat([pl.read_parquet(path, columns=["image_key", "pixel_digest"]) for path in parts])
    wanted = pl.DataFrame({"image_key": asked(rows)}).with_row_index("place")
    wanted = wanted.join(pixels, on="image_key", how="left", maintain_order="left")
    matrix = np.full((ASKED, COLUMNS), np.nan)
    for path in sorted((workspace.root / "parquet").glob("*.parquet")):
        found = wanted.join(pl.read_parquet(path), on=["image_key", "pixel_digest"], how="inner")
        matrix[found["place"].to_numpy()] = found.drop("place", "image_key", "pixel_digest").to_numpy()
    return matrix


def reading(folder: Path, rows: int) -> None:
    """Each way in a process of its own, so that its peak of memory is its own."""
    workspace = workspace_of(folder, rows)
    write_both(workspace, rows)
    print(f"{ASKED:,} of {rows:,} radiographs × {COLUMNS:,} numbers, by key:")
    told = {}
    for way in ("read_by_index", "read_by_scan"):
        given = [sys.executable, __file__, "--way", way, "--rows", str(rows), "--folder", str(folder)]
        said = subprocess.run(given, capture_output=True, text=True, check=True).stdout.split()
        told[way] = float(said[0]), float(said[1]), said[2]
        print(f"  {way:14} {told[way][0]:8.3f} s, {told[way][1]:7.0f} MB more at its peak")
    assert told["read_by_index"][2] == told["read_by_scan"][2], "both read the same numbers"
    print(f"  ratio of time {told['read_by_scan'][0] / told['read_by_index'][0]:.0f} ×")


def peak_mb() -> float:
    """The most memory that this process had."""
    [line] = [each for each in Path("/proc/self/status").read_text().splitlines() if each.startswith("VmHWM")]
    return int(line.split()[1]) / 1024


def one_way(way: str, folder: Path, rows: int) -> None:
    """Read once and print seconds, megabytes and the sum of the numbers."""
    workspace = Workspace.open(folder / "workspace")
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    before = peak_mb()
    started = time.perf_counter()
    found = globals()[way](workspace, rows)
    seconds = time.perf_counter() - started
    print(seconds, peak_mb() - before, found.sum())


def measuring(folder: Path, images: int) -> None:
    """Handcrafted features and embeddings, against a plain loop."""
    workspace = workspace_of(folder, images)
    keys = [key_of(number) for number in range(images)]
    place = {"store": "grey", "archive": "a", "shard": 0, "side_px": SIDE, "value_type": "uint8"}
    shown = {"content_left": 0.0, "content_top": 0.0, "content_width": float(SIDE), "content_height": float(SIDE)}
    told = {"window_source": "full_range", "inverted": False, "clipped_fraction": 0.0, "decoder": "none"}
    rng = np.random.default_rng(3)
    with write_shard(workspace, "grey", "a", 0) as writer:
        pictures = (rng.integers(0, 255, (SIDE, SIDE), np.uint8) for _ in keys)
        rows = [{"image_key": key, "offset": writer.append(next(pictures)), **place, **shown, **told} for key in keys]
    Pixels.write(Pixels.from_rows(rows), workspace.parts("a", "pixels") / "00000.parquet")
    store = PixelStore.open(workspace)
    options = FeatureOptions()
    chosen = EmbeddingOptions(backbone="test_efficientnet", weights="none", side_px=160)
    few = keys[: images // 4]
    measure(store.read(keys[:1])[0], None, options)
    started = time.perf_counter()
    for first in range(0, len(few), 64):
        boxes = store.content_boxes(few[first : first + 64])
        for picture, box in zip(store.read(few[first : first + 64]), boxes, strict=True):
            measure(picture, box, options)
    loop = len(few) / (time.perf_counter() - started)
    print(f"handcrafted features, {SIDE} px, pictures a second: a plain loop {loop:.1f}")
    for jobs, some in ((1, few), (2, keys)):
        made = Wanted(workspace, f"jobs{jobs}", Features(options), "grey").fill(some, jobs=jobs)
        rate = made.measured / made.seconds
        print(f"  a set, {jobs} process{'es' if jobs > 1 else ''}: {rate:.1f} ({rate / loop:.2f} × the loop)")
    instrument = Embeddings(chosen)
    instrument.measure(store.read(keys[:32]), store.content_boxes(keys[:32]))
    started = time.perf_counter()
    for first in range(0, images, chosen.batch_size):
        some = keys[first : first + chosen.batch_size]
        instrument.measure(store.read(some), store.content_boxes(some))
    loop = images / (time.perf_counter() - started)
    made = Wanted(workspace, "e", instrument, "grey").fill(keys)
    rate = made.measured / made.seconds
    print(f"embeddings ({chosen.backbone}, {chosen.side_px} px), pictures a second: a plain loop {loop:.1f}")
    print(f"  a set: {rate:.1f} ({rate / loop:.2f} × the loop)")


def main() -> None:
    """Both."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--images", type=int, default=512)
    parser.add_argument("--way", default="")
    parser.add_argument("--folder", type=Path)
    given = parser.parse_args()
    if given.way:
        one_way(given.way, given.folder, given.rows)
        return
    with tempfile.TemporaryDirectory() as folder:
        reading(Path(folder) / "reading", given.rows)
        measuring(Path(folder) / "measuring", given.images)


if __name__ == "__main__":
    main()
