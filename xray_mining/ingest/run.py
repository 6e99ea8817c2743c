"""One shard → its parts of images, pixels, rejects, findings, boxes and masks, and its raw pictures."""

import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl

from xray_mining.archive import dicom_elements
from xray_mining.archive.adapter import Adapter, adapter_for
from xray_mining.archive.cells import read_day, stated
from xray_mining.archive.listing import Reader, relative_id
from xray_mining.archive.radiograph import Header, ListedFile, Radiograph, Unread, Unusable
from xray_mining.archive.source import Source
from xray_mining.ingest import jpeg_lossless, shards, terms
from xray_mining.ingest.duplicates import PIXEL_DIGEST, perceptual_hash, pixel_digest
from xray_mining.ingest.earlier import Earlier
from xray_mining.ingest.grey import Grey, box_into_square, mask_into_square
from xray_mining.ingest.identity import Domain, file_key_of, identify
from xray_mining.ingest.masks import MaskFault, structures_of
from xray_mining.ingest.options import GreyOptions, IngestOptions
from xray_mining.ingest.parts import ShardCounts, Staging, staged
from xray_mining.ingest.picture import standardised
from xray_mining.ingest.shrink import prepare
from xray_mining.ingest.workers import Report, Task
from xray_mining.pixels.store import ShardWriter
from xray_mining.records.boxes import Boxes
from xray_mining.records.findings import Findings
from xray_mining.records.images import Images
from xray_mining.records.mask_faults import MaskFaults
from xray_mining.records.masks import Masks, encode_mask
from xray_mining.records.pixels import Pixels
from xray_mining.records.record import Record
from xray_mining.records.rejects import Rejects
from xray_mining.records.unread_cells import UnreadCells
from xray_mining.workspace import Workspace, digest_of

# Raised when the meaning of a stored picture changes: its number is part of the store's name.
_GREY_VERSION = 3
_AGE_VERSION = 2
"""How ages are read; rows of another version are made again."""
_CELLS_VERSION = 1
"""How tables, their cells and the names of files in them are read; rows of another version are made again."""
_IDS_VERSION = 2
"""How keys are made of ids."""
# Why a file cannot be read anew, where what was kept of it is no worse for it.
_CANNOT_BE_READ = ("changed", "gone", "unreadable")
_CHANGED = "The file changed since it was listed, and nothing read of it before can stand here; --again reads it anew."
# What is read of a file for its header: more than nearly all headers have, little beside the pixels of a film.
_HEAD_BYTES = 32768


def store_name(options: GreyOptions) -> str:
    """Name of the pixel store that these grey options make."""
    return f"grey{options.side_px}-{digest_of({'grey': options.model_dump(), 'version': _GREY_VERSION})[:12]}"


@dataclass(frozen=True)
class ShardTask(Task[ShardCounts]):
    """All that a worker needs to do one shard; may be pickled."""

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
    """Of what rows are made from beside the files; see `rows_digest`."""
    vanished: frozenset[int] = frozenset()
    """Positions of files that the last walk did not find."""
    changed: frozenset[int] = frozenset()
    """Positions of files that the last walk found changed since they were read: what was kept of them stays."""

    @property
    def title(self) -> str:
        """The shard of its archive."""
        return f"archive {self.archive}, shard {self.shard}"

    def do(self, report: Report, kept: dict[Any, Any]) -> ShardCounts:
        """Do the shard with the adapter and the reader of the shard before.

        A worker's shards come in their order: each worker goes through a compressed package once, from front to end.
        """
        which = (self.adapter, self.source.address, self.mapping)
        if which not in kept:
            kept[which] = adapter_for(self.source, self.adapter, self.mapping), Reader(self.source)
        return run_shard(self, report, *kept[which])


def rows_made_from(options: IngestOptions, adapter: Adapter) -> dict[str, Any]:
    """All that rows are made from beside the files, as JSON: options, mapping, tables, the kind of pixel digests.

    Mask files are asked shard by shard (`stale`), so that one that changed costs its own shard only.
    """
    return {
        "topcode_age": options.topcode_age,
        "adapter": adapter.name,
        "tables": adapter.table_digests(),
        "ages": _AGE_VERSION,
        "cells": _CELLS_VERSION,
        "pixel_digest": PIXEL_DIGEST,
        "rule": sorted(options.patient_id_rule or ()),
        "ids_version": _IDS_VERSION,
    }


def rows_digest(made_from: Mapping[str, Any]) -> str:
    """Digest of what `rows_made_from` says; a shard of another one is not done."""
    others = {name: value for name, value in made_from.items() if name not in ("rule", "ids_version")}
    return digest_of(others | {"ids": {"rule": made_from["rule"], "version": made_from["ids_version"]}})


def run_shard(
    task: ShardTask, report: Report, adapter: Adapter | None = None, reader: Reader | None = None
) -> ShardCounts:
    """Do one shard; its new parts take the place of old ones together, so that it is done or as it was before.

    A `reader` that comes from the shard before goes on in the packed file where it stands.
    """
    clock = time.monotonic()
    workspace = Workspace(task.root)
    store = "" if task.headers_only else store_name(task.options.grey)
    adapter = adapter or adapter_for(task.source, task.adapter, task.mapping)
    files = shards.files_of(workspace, task.archive, task.shard)
    adapter.kept = shards.tables_folder(workspace, task.archive)
    adapter.contested = shards.contested_rows(workspace, task.archive)
    adapter.prepare(files)
    reader = reader or Reader(task.source)
    reader.look_again()
    work = _Work(task, store, adapter, reader)
    dicom_elements.prepare()
    # Waiting for a shard that another process is at is no hanging, however long that takes.
    with staged(workspace, task.archive, task.shard, partial(report, -1, 0, 0, 0)) as staging:
        if task.headers_only:
            work.all(files, report, None)
        else:
            prepare()
            jpeg_lossless.prepare()
            with staging.pictures(store) as writer:
                work.all(files, report, writer)
        work.write(staging)
        staging.note(shards.masks_path(workspace, task.archive, task.shard, store), shards.masks_frame(work.mask_files))
        staging.counts = work.counts(len(files), time.monotonic() - clock)
    return staging.counts


def run_table(task: ShardTask, radiographs: Sequence[Radiograph]) -> ShardCounts:
    """One slice of table rows → its parts, without pictures; `task.shard` is its number."""
    clock = time.monotonic()
    work = _Work(task, "", None, Reader(task.source))
    for position, radiograph in enumerate(radiographs):
        own_id = f"row {task.shard} {position}"
        key = file_key_of(task.domain, task.archive, b"", radiograph.header.instance_id or own_id)
        try:
            work.frame(position, own_id, key, radiograph, None)
        except Unusable as trouble:
            work.reject(position, radiograph.frame, key, 0, trouble)
        except (OSError, MemoryError):
            raise
        except Exception:
            # As of a file: one row that nobody foresaw stops no table.
            traceback.print_exc(file=sys.stderr)
            work.reject(position, radiograph.frame, key, 0, _unforeseen("The row"))
    workspace = Workspace(task.root)
    with staged(workspace, task.archive, task.shard) as staging:
        work.write(staging)
        staging.counts = work.counts(len(radiographs), time.monotonic() - clock)
    return staging.counts


def _unforeseen(what: str) -> Unusable:
    return Unusable("header", "unexpected", f"{what} was not foreseen; the log in the private folder says more.")


class _Work:
    """The rows of one shard while it is done."""

    def __init__(self, task: ShardTask, store: str, adapter: Adapter | None, reader: Reader) -> None:
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
        self.said: set[str] = set()
        self.unread_cells: list[dict[str, Any]] = []
        """Rows of unread_cells."""
        self.issuers: set[str] = set()
        """Of the patient ids; empty for ids without one."""
        self.accessions: set[tuple[str, str]] = set()
        """Keyed digests of accession numbers, each with its study_key."""
        self.mask_files: dict[bytes, tuple[int, int]] = {}
        """Mask files that were asked for, with their sizes and times."""
        self.unread: dict[int, tuple[int, ...]] = {}
        """Positions of files that could not be read anew; see `ShardCounts`."""
        self.earlier = Earlier(Workspace(task.root), task.archive, task.shard, store, PIXEL_DIGEST)

    def all(self, files: list[ListedFile], report: Report, writer: ShardWriter | None) -> None:
        """Every file of the shard; suspects first, which only changes when they are met, not what is written."""
        for position in self.task.suspects:
            report(position, 0, 0, 0)
            self._probe(files[position], partial(report, position, 0, 0, 0))
        for position, file in enumerate(files):
            said = (position, len(self.images), len(self.rejects), self.bytes)
            report(*said)
            # A member of a packed file comes after all before it have been unpacked: that is no hanging.
            self.reader.alive = partial(report, *said)
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
        # What follows, the writing, is no file's fault: see `workers`.
        report(-2 - len(files), len(self.images), len(self.rejects), self.bytes)

    def _carry(self, position: int, file: ListedFile, key: str, trouble: Unusable, writer: ShardWriter | None) -> None:
        """What was kept of a file that cannot be read anew stays; where that cannot be, one row says why.

        A vanished file's rows stay without a picture, too: no new cohort takes them. Others need one in this store.
        """
        amiss = position in self.task.vanished or position in self.task.changed
        self.unread[position] = () if amiss else shards.standing_of(self.task.source, file.path)
        frames = self.earlier.frames(position, self.task.options.topcode_age)
        whole = all(each.complete or (not each.first and each.image["image_key"] in self.said) for each in frames)
        rejects = self.earlier.rejects(position)
        if frames and not whole and position not in self.task.vanished:
            frames, rejects = [], []
        if not frames and not rejects:
            self.reject(position, 0, key, file.bytes, trouble)
        self.rejects += rejects
        for kept in frames:
            self.images.append(kept.image)
            if kept is frames[0]:
                # Of which issuer this file's ids are is not known any more: those of its shard stay.
                self.issuers |= self.earlier.issuers
                self.unread_cells += self.earlier.unread_cells(position)
            self.accessions |= self.earlier.accessions(kept.image["study_key"])
            if kept.image["image_key"] in self.said:
                continue
            self.said.add(kept.image["image_key"])
            if kept.pixels is not None and kept.picture is not None and writer is not None:
                self.pixels.append({**kept.pixels, "offset": writer.append(kept.picture)})
            self.findings += kept.findings
            self.boxes += kept.boxes
            self.masks += kept.masks
            self.mask_faults += kept.mask_faults

    def counts(self, files: int, seconds: float) -> ShardCounts:
        """The accounts. Raises ArithmeticError (a bug) where a file has none."""
        accounted = {row["position"] for rows in (self.images, self.rejects) for row in rows}
        if len(accounted) != files:
            raise ArithmeticError(f"shard {self.task.shard} has accounts of {len(accounted)} of {files} files")
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
        )

    def _probe(self, file: ListedFile, alive: Callable[[], None]) -> None:
        """Do a file for its effect on the worker alone."""
        scratch = _Work(self.task, self.store, self.adapter, Reader(self.task.source))
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
        except (Unusable, OSError):
            raise
        except MemoryError as error:
            raise Unusable("decode", "too_large", "Reading the file takes more memory than there is.") from error
        except Exception as error:
            # A reader of foreign bytes met something that nobody foresaw: the file is data, the log says what it was.
            traceback.print_exc(file=sys.stderr)
            raise _unforeseen("The file's content") from error

    def frame(self, position: int, own_id: str, key: str, radiograph: Radiograph, writer: ShardWriter | None) -> None:
        """One frame or table row: its rows of images, pixels and what the archive states. Unusable where it is none."""
        header = radiograph.header
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
        encoded = radiograph.encoded
        seen = None
        if encoded is not None:
            picture = standardised(encoded, self.task.options.grey)
            seen, encoded = picture.grey, picture.encoded
            flags += picture.flags
            row |= {
                "pixel_digest": pixel_digest(encoded),
                "perceptual_hash": perceptual_hash(seen.picture, seen.placement),
                "rows": encoded.rows,
                "columns": encoded.columns,
                "bits_stored": encoded.bits_stored,
                "photometric_interpretation": terms.photometric_of(encoded.photometric),
                "transfer_syntax_uid": encoded.syntax,
            }
            spacing = row["pixel_spacing_mm"]
            self.pixels.append(
                {
                    "image_key": row["image_key"],
                    "store": self.store,
                    "archive": self.task.archive,
                    "shard": self.task.shard,
                    "offset": writer.append(seen.picture) if writer is not None else 0,
                    "side_px": self.task.options.grey.side_px,
                    "value_type": self.task.options.grey.value_type,
                    "content_left": float(seen.placement.left),
                    "content_top": float(seen.placement.top),
                    "content_width": float(seen.placement.width),
                    "content_height": float(seen.placement.height),
                    "store_spacing_mm": _store_spacing(header, encoded.rows, encoded.columns, seen)
                    if spacing
                    else None,
                    "window_source": seen.window_source,
                    "inverted": seen.inverted,
                    "clipped_fraction": seen.clipped_fraction,
                    "decoder": picture.stored.decoder,
                }
            )
        else:
            flags.append("no_pixels")
        row["quality_flags"] = sorted(flags)
        if row["patient_source"] == "declared":
            self.issuers.add((header.patient_id_issuer or "").strip())
        if identity.accession_key is not None:
            self.accessions.add((identity.accession_key, str(row["study_key"])))
        self.images.append(row)
        self._count_unread(header, row)
        # A later file of the same instance in this shard is a duplicate for certain: the keeper has said it all.
        key_of_image = str(row["image_key"])
        if key_of_image not in self.said:
            self.said.add(key_of_image)
            self.declared(header, row, seen)

    def _count_unread(self, header: Header, row: Mapping[str, Any]) -> None:
        """Rows of unread_cells: of the table's cells, and of what identity makes no value of."""
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
        """What the archive states of a radiograph: findings, and boxes and masks through the picture's geometry."""
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
        side = self.task.options.grey.side_px
        for box in header.boxes:
            x, y, width, height = box_into_square(
                (box.x, box.y, box.width, box.height), box.columns, box.rows, seen.placement
            )
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
        outlined_before = set()
        for mask in header.masks:
            self.mask_files[mask.path] = state = shards.state_of(self.task.source, mask.path)
            if mask.optional and state[0] < 0:
                continue
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
                continue
            for structure, outlined in structures.items():
                # Where two mask files outline one structure, the first is taken.
                if structure in outlined_before:
                    continue
                outlined_before.add(structure)
                self.masks.append(
                    {
                        "image_key": row["image_key"],
                        "structure": structure,
                        "source": "reference",
                        "set": "reference",
                        "store": self.store,
                        "run_lengths": encode_mask(mask_into_square(outlined, seen.placement, side)),
                        "quality": 1.0,
                    }
                )

    def reject(self, position: int, frame: int, key: str, size: int, trouble: Unusable) -> None:
        """The row of what cannot be used."""
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
        """Write the parts beside those that they will replace."""
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


def _column(name: str, values: list[Any], kind: pl.DataType) -> pl.Series:
    if kind != pl.List(pl.String):
        return pl.Series(name, values, dtype=kind)
    # Lists of words are few and come again and again: polars makes each of them but once.
    places: dict[tuple[str, ...] | None, int] = {}
    at = [places.setdefault(None if words is None else tuple(words), len(places)) for words in values]
    made = [None if words is None else list(words) for words in places]
    return pl.Series(name, made, dtype=kind).gather(at)


def part_of(record: type[Record], rows: Iterable[dict[str, Any]]) -> pl.DataFrame:
    """Rows as a typed frame in which a key may stand twice: merge settles that, a worker sees its own shard only."""
    rows = list(rows)
    if not rows:
        return record.create_empty()
    # Column by column: polars takes several times as long over rows.
    frame = pl.DataFrame(
        [_column(name, [row.get(name) for row in rows], column.dtype) for name, column in record.columns().items()]
    )
    first = frame.unique(record.primary_key(), keep="first", maintain_order=True)
    record.typed(first)
    return frame.select(record.column_names())


def unread_of(header: Header, row: Mapping[str, Any]) -> list[Unread]:
    """What a header states that no column of its image has: what `identify` made no value of."""
    found = []
    for name, text in (("study_date", header.study_date), ("birth_date", header.birth_date)):
        day = read_day(text)
        if day.reason:
            found.append(Unread(name, day.reason))
    if row["age_years"] is None and stated(header.age_text) is not None:
        flags = row["quality_flags"]
        reason = "bound" if "bounded_age" in flags else "impossible_age" if row["age_raw"] else "not_an_age"
        found.append(Unread("age", reason))
    for name, text, value in (
        ("sex", header.sex if terms.states_a_sex(header.sex) else None, row["patient_sex"]),
        ("laterality", header.laterality, row["laterality"]),
        ("model_name", header.model_name, row["manufacturer_model_name"]),
        ("licence", header.licence, row["licence"]),
    ):
        if value is None and stated(text) is not None:
            found.append(Unread(name, "unknown_word"))
    return found


def admit(header: Header) -> None:
    """Unusable where modality, body part or text say that this is no chest radiograph."""
    if header.known_chest:
        return
    modality = (header.modality or "").upper()
    if modality and modality not in terms.RADIOGRAPHS:
        word = terms.modality_in_words(modality)
        raise Unusable("header", "not_radiograph", f"The modality is {word}; radiographs are CR, DX or a capture.")
    chest = terms.shows_chest(header.body_part, header.view_texts)
    if chest is False:
        raise Unusable("header", "not_chest", "The header names another part of the body than the chest.")
    if chest is None and (not modality or modality in terms.CAPTURES):
        raise Unusable("header", "not_chest", "Nothing in the header says that this picture shows a chest.")


def _store_spacing(header: Header, rows: int, columns: int, seen: Grey) -> float:
    spacing = header.spacings[0]
    return max(spacing.row * rows, spacing.column * columns) / max(seen.placement.width, seen.placement.height)
