"""Results of an earlier run for a shard, kept if its file cannot be read now."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from xray_mining.ingest import shards
from xray_mining.ingest.parts import counts_of_shard, has_parts
from xray_mining.ingest.stated_age import TOPCODED_FROM_YEARS
from xray_mining.pixels.store import raw_shard
from xray_mining.records.boxes import Boxes
from xray_mining.records.findings import Findings
from xray_mining.records.images import Images
from xray_mining.records.mask_faults import MaskFaults
from xray_mining.records.masks import Masks
from xray_mining.records.pixels import Pixels
from xray_mining.records.record import Record
from xray_mining.records.rejects import Rejects
from xray_mining.records.unread_cells import UnreadCells
from xray_mining.workspace import Workspace

# Reasons of rejects for which nothing of the file was read.
NOT_READ = ("gone", "changed")


@dataclass(frozen=True, slots=True)
class Kept:
    """Results kept for one frame."""

    image: dict[str, Any]
    """Its row of images."""
    first: bool
    """Whether it is the first of its shard with its image_key; the fields below are only set for the first."""
    pixels: dict[str, Any] | None
    """Its row of pixels in the store, without an offset; None if the store has no picture of it."""
    picture: np.ndarray | None
    """(side, side) uint8 or uint16, bright = dense."""
    findings: Sequence[dict[str, Any]]
    boxes: Sequence[dict[str, Any]]
    masks: Sequence[dict[str, Any]]
    """Near-duplicate hashes and other rows of the store."""
    mask_faults: Sequence[dict[str, Any]]
    complete: bool
    """Whether there are a picture in the store and a pixel digest that finds copies; headers alone have neither."""


class Earlier:
    """The parts of one shard before it is read again; loaded when needed."""

    def __init__(self, workspace: Workspace, archive: str, shard: int, store: str, pixel_digest: str) -> None:
        self._workspace = workspace
        self._archive = archive
        self._shard = shard
        self._store = store
        self._pixel_digest = pixel_digest

    def __bool__(self) -> bool:
        """Whether there are earlier parts."""
        return has_parts(self._workspace, self._archive, self._shard)

    def rejects(self, position: int) -> list[dict[str, Any]]:
        """Rows of rejects of a file that was read before."""
        rows = self._part(Rejects).filter(pl.col("position") == position) if self else Rejects.create_empty()
        return [row for row in rows.iter_rows(named=True) if row["reason"] not in NOT_READ]

    def unread_cells(self, position: int) -> list[dict[str, Any]]:
        """Rows of unread_cells of a file that was kept before."""
        return self._part(UnreadCells).filter(pl.col("position") == position).to_dicts() if self else []

    def frames(self, position: int, topcode_age: bool) -> list[Kept]:
        """The kept results of a file, frame by frame; empty if it was rejected or never read."""
        if not self:
            return []
        found = self._images.filter(pl.col("position") == position)
        return [self._kept(row, topcode_age) for row in found.iter_rows(named=True)]

    def accessions(self, study_key: str) -> set[tuple[str, str]]:
        """Keyed digests of the accession numbers, with the study of each."""
        return {pair for pair in self._accessions if pair[1] == study_key}

    def _kept(self, row: dict[str, Any], topcode_age: bool) -> Kept:
        first = bool(row.pop("first"))
        key = pl.col("image_key") == row["image_key"]
        pixels, picture = None, None
        if self._store and first:
            pixels = next(self._of_store(Pixels).filter(key).iter_rows(named=True), None)
            picture = self._picture(pixels) if pixels is not None else None
        if topcode_age and (row["age_years"] or 0) >= TOPCODED_FROM_YEARS:
            # The owner asks for top-coding now, so no higher age may remain, whenever it was read.
            row |= {"age_years": float(TOPCODED_FROM_YEARS), "age_topcoded": True}
        if row["pixel_digest"] is not None and not self._same_digests:
            # Digests of an earlier algorithm never match today's, so drop them instead of comparing.
            row["pixel_digest"] = None
            comparable = False
        else:
            comparable = True
        hangs_on_it: list[list[dict[str, Any]]] = [[], [], [], []]
        if first:
            hangs_on_it = [
                part.filter(key).to_dicts()
                for part in (
                    self._part(Findings),
                    self._part(Boxes),
                    self._of_store(Masks),
                    self._part(MaskFaults),
                )
            ]
        findings, boxes, masks, faults = hangs_on_it
        complete = not self._store or (comparable and picture is not None)
        return Kept(
            row, first, pixels if picture is not None else None, picture, findings, boxes, masks, faults, complete
        )

    def _picture(self, pixels: dict[str, Any]) -> np.ndarray | None:
        kind = np.dtype(pixels["value_type"]).newbyteorder("<")
        side = pixels["side_px"]
        path = raw_shard(self._workspace, self._store, self._archive, self._shard)
        try:
            with path.open("rb") as file:
                values = os.pread(file.fileno(), side * side * kind.itemsize, pixels["offset"])
        except OSError:
            return None
        return np.frombuffer(values, kind).reshape(side, side) if len(values) == side * side * kind.itemsize else None

    @cached_property
    def _images(self) -> pl.DataFrame:
        return self._part(Images).with_columns(pl.col("image_key").is_first_distinct().alias("first"))

    @cached_property
    def _same_digests(self) -> bool:
        counts = counts_of_shard(self._workspace, self._archive, self._shard)
        return bool(counts) and all(each.pixel_digest == self._pixel_digest for each in counts)

    @cached_property
    def _accessions(self) -> set[tuple[str, str]]:
        return shards.accessions_of(self._workspace, self._archive, self._shard)

    @cached_property
    def issuers(self) -> set[str]:
        """Issuers of the patient ids of the shard."""
        return shards.issuers_of(self._workspace, self._archive, self._shard)

    def _of_store(self, record: type[Record]) -> pl.DataFrame:
        return self._part(record).filter(pl.col("store") == self._store)

    @cached_property
    def _parts(self) -> dict[str, pl.DataFrame]:
        return {}

    def _part(self, record: type[Record]) -> pl.DataFrame:
        path = self._path(record)
        if record.table not in self._parts:
            self._parts[record.table] = record.read(path) if path.is_file() else record.create_empty()
        return self._parts[record.table]

    def _path(self, record: type[Record]) -> Path:
        return self._workspace.parts(self._archive, record.table) / f"{self._shard:05d}.parquet"
