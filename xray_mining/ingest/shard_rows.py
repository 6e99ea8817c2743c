"""The rows of one shard, collected while its files are read: images, pixels, rejects, findings, boxes and masks."""

import sys
import traceback
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl

from xray_mining.archive.adapter import Adapter
from xray_mining.archive.listing import Reader, relative_id
from xray_mining.archive.radiograph import Encoded, Header, ListedFile, MaskFile, Radiograph, Unusable
from xray_mining.archive.source import Source
from xray_mining.errors import CannotFinish
from xray_mining.ingest import shards, terms
from xray_mining.ingest.decode import DecoderFailure
from xray_mining.ingest.duplicates import PIXEL_DIGEST, perceptual_hash, pixel_digest
from xray_mining.ingest.earlier import Earlier
from xray_mining.ingest.grey import Grey, box_into_square, mask_into_square
from xray_mining.ingest.identity import Domain, file_key_of, identify
from xray_mining.ingest.masks import MaskFault, structures_of
from xray_mining.ingest.options import IngestOptions
from xray_mining.ingest.parts import ShardCounts, Staging, part_of
from xray_mining.ingest.picture import Picture, standardised
from xray_mining.ingest.stated_header import admit, unread_of
from xray_mining.ingest.workers import Phase, Report, Task
from xray_mining.pixels.store import ShardWriter
from xray_mining.records.boxes import Boxes
from xray_mining.records.findings import Findings
from xray_mining.records.images import Images
from xray_mining.records.mask_faults import MaskFaults
from xray_mining.records.masks import Masks, encode_mask
from xray_mining.records.pixels import Pixels
from xray_mining.records.rejects import Rejects
from xray_mining.records.unread_cells import UnreadCells
from xray_mining.workspace import Workspace

# Reasons why a file cannot be read now that do not make its earlier results invalid.
_CANNOT_BE_READ = ("changed", "gone", "unreadable")
_CHANGED = "The file changed since it was listed, and it has no earlier results; --again reads it."
# First bytes read for a file's header: more than nearly all headers have, and little compared with a film's pixels.
_HEAD_BYTES = 32768


def unforeseen(what: str) -> Unusable:
    """The reject for an unexpected error."""
    return Unusable("header", "unexpected", f"{what} failed unexpectedly; the log in the private folder has the error.")


@dataclass(frozen=True)
class ShardWork(Task[ShardCounts]):
    """One shard to read, and how; it is pickled. See `run.ShardTask`."""

    root: Path
    archive: str
    adapter: str
    source: Source
    mapping: Path | None
    domain: Domain
    shard: int
    options: IngestOptions
    headers_only: bool = False
    digest: str = ""
    """Digest of the inputs of rows other than files; see `rows_digest`."""
    vanished: frozenset[int] = frozenset()
    """Positions of files that the last walk did not find."""
    changed: frozenset[int] = frozenset()
    """Positions of files that the last walk found changed since they were read: their earlier results stay."""

    @property
    def title(self) -> str:
        """The archive and the number of the shard."""
        return f"archive {self.archive}, shard {self.shard}"


class ShardRows:
    """The rows of one shard while it is read."""

    def __init__(self, task: ShardWork, store: str, adapter: Adapter | None, reader: Reader) -> None:
        self.task = task
        self.store = store
        self.adapter = adapter
        self.reader = reader
        self.bytes = 0
        self.images: list[dict[str, Any]] = []
        self.pixels: list[dict[str, Any]] = []
        self.rejects: list[dict[str, Any]] = []
        self.findings: list[dict[str, Any]] = []
        self.boxes: list[dict[str, Any]] = []
        self.masks: list[dict[str, Any]] = []
        self.mask_faults: list[dict[str, Any]] = []
        self.seen_keys: set[str] = set()
        self.unread_cells: list[dict[str, Any]] = []
        """Rows of unread_cells."""
        self.issuers: set[str] = set()
        """Issuers of the patient ids; empty text for ids without an issuer."""
        self.accessions: set[tuple[str, str]] = set()
        """Keyed digests of accession numbers, each with its study_key."""
        self.mask_files: dict[bytes, tuple[int, int]] = {}
        """Mask files that were needed, with their sizes and times."""
        self.decoder_failures: Counter[DecoderFailure] = Counter()
        self.unread: dict[int, tuple[int, ...]] = {}
        """Positions of files that could not be read; see `ShardCounts`."""
        self.earlier = Earlier(Workspace(task.root), task.archive, task.shard, store, PIXEL_DIGEST)

    def all(self, files: list[ListedFile], report: Report, writer: ShardWriter | None) -> None:
        """Read every file of the shard; suspects first, which changes only the order of reading, not the result."""
        for position in self.task.suspects:
            report(Phase.READING, position, 0, 0, 0)
            self._probe(files[position], partial(report, Phase.READING, position, 0, 0, 0))
        for position, file in enumerate(files):
            progress = (Phase.READING, position, len(self.images), len(self.rejects), self.bytes)
            report(*progress)
            # Finding a member may need unpacking of all members before it, which must not trigger the worker's timeout.
            self.reader.alive = partial(report, *progress)
            self.bytes += max(file.bytes, 0)
            key = file_key_of(self.task.domain, self.task.archive, file.path, file.member)
            try:
                if position in self.task.refused:
                    reason, sentence = self.task.refused[position]
                    raise Unusable("decode", reason, sentence)
                if position in self.task.changed:
                    raise Unusable("list", "changed", _CHANGED)
                self._file(position, file, key, writer)
            except Unusable as trouble:
                if trouble.reason in _CANNOT_BE_READ:
                    self._carry(position, file, key, trouble, writer)
                else:
                    self.reject(position, 0, key, file.bytes, trouble)
        # A worker lost from here on was not lost because of a file: see `workers`.
        report(Phase.WRITING, len(files), len(self.images), len(self.rejects), self.bytes)

    def _carry(self, position: int, file: ListedFile, key: str, trouble: Unusable, writer: ShardWriter | None) -> None:
        """Keep the earlier results of a file that cannot be read now; if that is impossible, add a row with the reason.

        A vanished file's rows stay even without a picture, because new cohorts exclude them. Other files need a picture
        in this store.
        """
        amiss = position in self.task.vanished or position in self.task.changed
        self.unread[position] = () if amiss else shards.standing_of(self.task.source, file.path)
        frames = self.earlier.frames(position, self.task.options.topcode_age)
        whole = all(each.complete or (not each.first and each.image["image_key"] in self.seen_keys) for each in frames)
        rejects = self.earlier.rejects(position)
        if frames and not whole and position not in self.task.vanished:
            frames, rejects = [], []
        if not frames and not rejects:
            self.reject(position, 0, key, file.bytes, trouble)
        self.rejects += rejects
        for kept in frames:
            self.images.append(kept.image)
            if kept is frames[0]:
                # The issuer of this file's ids is no longer known, so keep the shard's issuers.
                self.issuers |= self.earlier.issuers
                self.unread_cells += self.earlier.unread_cells(position)
            self.accessions |= self.earlier.accessions(kept.image["study_key"])
            if kept.image["image_key"] in self.seen_keys:
                continue
            self.seen_keys.add(kept.image["image_key"])
            if kept.pixels is not None and kept.picture is not None and writer is not None:
                self.pixels.append({**kept.pixels, "offset": writer.append(kept.picture)})
            self.findings += kept.findings
            self.boxes += kept.boxes
            self.masks += kept.masks
            self.mask_faults += kept.mask_faults

    def counts(self, files: int, seconds: float) -> ShardCounts:
        """The shard's counts. Raises ArithmeticError (a bug) if a file has neither an image nor a reject."""
        accounted = {row["position"] for rows in (self.images, self.rejects) for row in rows}
        if len(accounted) != files:
            raise ArithmeticError(f"shard {self.task.shard} has results of {len(accounted)} of {files} files")
        return ShardCounts(
            shard=self.task.shard,
            store=self.store,
            files=files,
            bytes=self.bytes,
            seen=len(self.images) + len(self.rejects),
            kept=len(self.images),
            rejected=len(self.rejects),
            seconds=round(seconds, 3),
            digest=self.task.digest,
            pixel_digest=PIXEL_DIGEST,
            unread=self.unread,
            decoder_failures={str(each): frames for each, frames in sorted(self.decoder_failures.items())},
        )

    def _probe(self, file: ListedFile, alive: Callable[[], None]) -> None:
        """Read a file only to see whether the worker survives it."""
        scratch = ShardRows(self.task, self.store, self.adapter, Reader(self.task.source))
        scratch.reader.alive = alive
        try:
            scratch._file(0, file, file_key_of(self.task.domain, self.task.archive, file.path, file.member), None)
        except Unusable:
            return

    def _file(self, position: int, file: ListedFile, key: str, writer: ShardWriter | None) -> None:
        assert self.adapter is not None
        radiographs = None
        if self.task.headers_only:
            radiographs = self.adapter.read_head(file, self.reader.head(file, _HEAD_BYTES))
        data = self.reader.read(file) if radiographs is None else b""
        try:
            if radiographs is None and self.task.headers_only:
                radiographs = self.adapter.read_header(file, data)
            elif radiographs is None:
                radiographs = self.adapter.read(file, data)
            frames = 0
            for radiograph in radiographs:
                frames += 1
                try:
                    self.frame(position, relative_id(file), key, radiograph, writer)
                except Unusable as trouble:
                    self.reject(position, radiograph.frame, key, file.bytes, trouble)
            if not frames:
                raise Unusable("header", "no_pixels", "The file holds no frame.")
        except (Unusable, OSError, CannotFinish):
            # A refusing disk or a lost source is no fault of this file.
            raise
        except MemoryError as error:
            raise Unusable("decode", "too_large", "Reading the file needs more memory than there is.") from error
        except Exception as error:
            # An unexpected error in a file's bytes rejects the file and does not stop the run; the log has the
            # traceback.
            traceback.print_exc(file=sys.stderr)
            raise unforeseen("The file's content") from error

    def frame(self, position: int, own_id: str, key: str, radiograph: Radiograph, writer: ShardWriter | None) -> None:
        """Add one frame or table row: its rows of images, pixels and the archive's statements.

        Raises Unusable if it is no chest radiograph, or if its picture cannot be used.
        """
        header = radiograph.header
        # Refuse other body parts and modalities before the costly decoding.
        admit(header)
        if radiograph.trouble is not None:
            raise radiograph.trouble
        identity = identify(
            header,
            self.task.domain,
            own_id,
            radiograph.frame,
            topcode_age=self.task.options.topcode_age,
            file_key=key,
            patient_id_rule=self.task.options.patient_id_rule or (),
        )
        row = {
            **identity.columns,
            "archive": self.task.archive,
            "shard": self.task.shard,
            "position": position,
        }
        flags = list(identity.flags)
        seen = None
        # Without pixels (metadata only) the row has no picture columns and a flag.
        if radiograph.encoded is None:
            flags.append("no_pixels")
        else:
            picture = self._standardised(radiograph.encoded)
            seen = picture.grey
            flags += picture.flags
            row |= _of_picture(picture)
            self.pixels.append(self._pixels_row(row, header, picture, writer))
        row["quality_flags"] = sorted(flags)
        # Issuers and accession numbers are written to the private folder only.
        if row["patient_source"] == "declared":
            self.issuers.add((header.patient_id_issuer or "").strip())
        if identity.accession_key is not None:
            self.accessions.add((identity.accession_key, str(row["study_key"])))
        self.images.append(row)
        self._count_unread(header, row)
        # Merge always keeps the first file of an instance, so findings of later ones in this shard need not be written.
        key_of_image = str(row["image_key"])
        if key_of_image not in self.seen_keys:
            self.seen_keys.add(key_of_image)
            self.declared(header, row, seen)

    def _standardised(self, encoded: Encoded) -> Picture:
        """The picture as the store has it; decoders that failed on it are counted, also where it is unusable."""
        failures: set[DecoderFailure] = set()
        try:
            return standardised(encoded, self.task.options.grey, failures)
        finally:
            self.decoder_failures.update(failures)

    def _pixels_row(
        self, row: Mapping[str, Any], header: Header, picture: Picture, writer: ShardWriter | None
    ) -> dict[str, Any]:
        """The row of pixels; the picture itself is passed to the writer."""
        grey, encoded = picture.grey, picture.encoded
        spacing = _store_spacing(header, encoded.rows, encoded.columns, grey) if row["pixel_spacing_mm"] else None
        return {
            "image_key": row["image_key"],
            "store": self.store,
            "archive": self.task.archive,
            "shard": self.task.shard,
            "offset": writer.append(grey.picture) if writer is not None else 0,
            "side_px": self.task.options.grey.side_px,
            "value_type": self.task.options.grey.value_type,
            "content_left": float(grey.placement.left),
            "content_top": float(grey.placement.top),
            "content_width": float(grey.placement.width),
            "content_height": float(grey.placement.height),
            "store_spacing_mm": spacing,
            "window_source": grey.window_source,
            "inverted": grey.inverted,
            "clipped_fraction": grey.clipped_fraction,
            "decoder": picture.stored.decoder,
        }

    def _count_unread(self, header: Header, row: Mapping[str, Any]) -> None:
        """Rows of unread_cells: of cells that the adapter or `identify` could not read."""
        found = Counter([*header.unread, *unread_of(header, row)])
        self.unread_cells += [
            {
                "archive": self.task.archive,
                "source": self.task.adapter,
                "shard": self.task.shard,
                "position": row["position"],
                "name": unread.name,
                "reason": unread.reason,
                "cells": cells,
            }
            for unread, cells in found.items()
        ]

    def declared(self, header: Header, row: Mapping[str, Any], seen: Grey | None) -> None:
        """Add the archive's statements about a radiograph: findings, and boxes and masks scaled like the picture."""
        for finding in header.findings:
            self.findings.append(
                {
                    "image_key": row["image_key"],
                    "study_key": row["study_key"],
                    "patient_key": row["patient_key"],
                    "name": finding.name,
                    "value": finding.value,
                    "label": finding.label,
                    "unit": finding.unit,
                    "study_day": row["study_day"],
                    "source": finding.source or self.task.adapter,
                    "source_version": finding.version,
                }
            )
        if seen is None:
            return
        for box in header.boxes:
            sides = (box.x, box.y, box.width, box.height)
            x, y, width, height = box_into_square(sides, box.columns, box.rows, seen.placement)
            self.boxes.append(
                {
                    "image_key": row["image_key"],
                    "name": box.name,
                    "x": x,
                    "y": y,
                    "width": width,
                    "height": height,
                    "source": self.task.adapter,
                }
            )
        outlined_before: set[str] = set()
        for mask in header.masks:
            self._mask(mask, row, seen, outlined_before)

    def _mask(self, mask: MaskFile, row: Mapping[str, Any], seen: Grey, outlined_before: set[str]) -> None:
        """Rows of masks from one mask file, or its row of mask_faults.

        If two mask files outline one structure, the first is used: see `outlined_before`.
        """
        self.mask_files[mask.path] = state = shards.state_of(self.task.source, mask.path)
        if mask.optional and state[0] < 0:
            return
        try:
            structures = structures_of(self.task.source, mask, row["rows"], row["columns"])
        except MaskFault as fault:
            self.mask_faults.append(
                {
                    "image_key": row["image_key"],
                    "archive": self.task.archive,
                    "shard": self.task.shard,
                    "structures": ", ".join(rule.structure for rule in mask.rules),
                    "reason": fault.reason,
                    "sentence": fault.sentence,
                }
            )
            return
        side = self.task.options.grey.side_px
        for structure in [each for each in structures if each not in outlined_before]:
            outlined_before.add(structure)
            self.masks.append(
                {
                    "image_key": row["image_key"],
                    "structure": structure,
                    "source": "reference",
                    "set": "reference",
                    "store": self.store,
                    "run_lengths": encode_mask(mask_into_square(structures[structure], seen.placement, side)),
                    "quality": 1.0,
                }
            )

    def reject(self, position: int, frame: int, key: str, size: int, trouble: Unusable) -> None:
        """Add the row of a file or frame that cannot be used."""
        self.rejects.append(
            {
                "file_key": key,
                "archive": self.task.archive,
                "shard": self.task.shard,
                "position": position,
                "frame": frame,
                "stage": trouble.stage,
                "reason": trouble.reason,
                "sentence": trouble.sentence,
                "bytes": max(size, 0),
            }
        )

    def write(self, staging: Staging) -> None:
        """Write the parts beside those that they replace."""
        for record, rows in (
            (Findings, self.findings),
            (Boxes, self.boxes),
            (UnreadCells, self.unread_cells),
            (Rejects, self.rejects),
            (MaskFaults, self.mask_faults),
        ):
            staging.write(record, record.from_rows(rows))
        for record, rows in ((Masks, self.masks), (Pixels, self.pixels)):
            path = staging.workspace.parts(self.task.archive, record.table) / f"{self.task.shard:05d}.parquet"
            frame = part_of(record, rows).unique(record.primary_key(), keep="first", maintain_order=True)
            if path.is_file():
                # Other stores of the same shard stay.
                others = record.read(path).filter(pl.col("store") != self.store)
                frame = pl.concat([others, frame]) if others.height else frame
            if not self.task.headers_only or record is Masks:
                staging.write(record, frame)
        staging.write(Images, part_of(Images, self.images))
        accessions = shards.accessions_path(staging.workspace, self.task.archive, self.task.shard)
        staging.note(accessions, shards.accessions_frame(self.accessions))
        issuers = shards.issuers_path(staging.workspace, self.task.archive, self.task.shard)
        staging.note(issuers, shards.issuers_frame(self.issuers))


def _of_picture(picture: Picture) -> dict[str, Any]:
    """Columns of images that come from the picture."""
    encoded, grey = picture.encoded, picture.grey
    return {
        "pixel_digest": pixel_digest(encoded),
        "perceptual_hash": perceptual_hash(grey.picture, grey.placement),
        "rows": encoded.rows,
        "columns": encoded.columns,
        "bits_stored": encoded.bits_stored,
        "photometric_interpretation": terms.photometric_of(encoded.photometric),
        "transfer_syntax_uid": encoded.syntax,
    }


def _store_spacing(header: Header, rows: int, columns: int, seen: Grey) -> float:
    spacing = header.spacings[0]
    return max(spacing.row * rows, spacing.column * columns) / max(seen.placement.width, seen.placement.height)
