"""Our decoder of lossless JPEG against imagecodecs.jpeg8_decode, on real files: it stays if it is 1.3 times as fast.

make bench-jpeg_lossless
"""

import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np

from xray_mining.archive.dicom_file import read_dicom
from xray_mining.archive.radiograph import Unusable
from xray_mining.archive.syntaxes import JPEG_LOSSLESS, JPEG_LOSSLESS_SV1
from xray_mining.ingest import jpeg_lossless

LEAST = 1.3
PIXELS = 4e7
"""Decoded by each in all repetitions of one file."""


def frames(folder: Path) -> Iterator[tuple[str, Any]]:
    """The first frame of each lossless JPEG file that both decoders read."""
    for path in sorted(folder.rglob("*.dcm")):
        try:
            encoded = next(iter(read_dicom(path.read_bytes()))).encoded
        except (Unusable, StopIteration):
            continue
        if encoded is not None and encoded.syntax in (JPEG_LOSSLESS, JPEG_LOSSLESS_SV1):
            try:
                ours = jpeg_lossless.decoded(encoded.data)
            except jpeg_lossless.OtherKind:
                print(f"{path.name}: of a kind that ours does not read")
                continue
            assert np.array_equal(ours, imagecodecs.jpeg8_decode(encoded.data)), path.name
            yield path.name, encoded.data


def medians(data: Any, times: int) -> tuple[float, float]:
    """Milliseconds of ours and theirs, each called in turn, the first of the two changing."""
    decoders: list[Callable[[Any], Any]] = [jpeg_lossless.decoded, imagecodecs.jpeg8_decode]
    taken: list[list[float]] = [[], []]
    for repetition in range(times + 3):
        for which in (0, 1) if repetition % 2 else (1, 0):
            started = time.perf_counter()
            decoders[which](data)
            if repetition >= 3:
                taken[which].append(1000 * (time.perf_counter() - started))
    return statistics.median(taken[0]), statistics.median(taken[1])


def main() -> None:
    shared = Path(os.environ.get("XRAY_MINING_SHARED") or Path(__file__).parents[3] / "shared")
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else shared / "data/dicom"
    if not folder.is_dir():
        print("lossless JPEG: the real files are not here; set XRAY_MINING_SHARED")
        return
    jpeg_lossless.prepare()
    ratios = []
    print("| file | pixels | ours, ms | imagecodecs, ms | times as fast |\n|---|---|---|---|---|")
    for name, data in frames(folder):
        rows, columns = jpeg_lossless.decoded(data).shape
        ours, theirs = medians(data, min(max(round(PIXELS / (rows * columns)), 15), 400))
        ratios.append(theirs / ours)
        print(f"| {name} | {rows} × {columns} | {ours:.2f} | {theirs:.2f} | {theirs / ours:.1f} |")
    median = statistics.median(ratios)
    print(f"median of {len(ratios)} files: {median:.2f} times as fast; it stays from {LEAST} on")
    if median < LEAST:
        raise SystemExit("our decoder of lossless JPEG is no longer worth its lines: delete it")


if __name__ == "__main__":
    main()
