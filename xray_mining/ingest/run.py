"""One shard → its parts of images, pixels, rejects, findings, boxes and masks, and its raw pictures."""

import sys
import time
import traceback
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from xray_mining.archive import dicom_elements
from xray_mining.archive.adapter import Adapter, adapter_for
from xray_mining.archive.listing import Reader
from xray_mining.archive.radiograph import Radiograph, Unusable
from xray_mining.errors import CannotFinish
from xray_mining.ingest import jpeg_lossless, shards
from xray_mining.ingest.duplicates import PIXEL_DIGEST
from xray_mining.ingest.identity import file_key_of
from xray_mining.ingest.options import GreyOptions, IngestOptions
from xray_mining.ingest.parts import ShardCounts, staged
from xray_mining.ingest.shard_rows import ShardRows, ShardWork, unforeseen
from xray_mining.ingest.shrink import prepare
from xray_mining.ingest.workers import Phase, Report
from xray_mining.workspace import Workspace, digest_of

# Increased when the meaning of a stored picture changes; it is part of the store's name.
_GREY_VERSION = 3
_AGE_VERSION = 2
"""Version of the reading of ages; rows of another version are made again."""
_CELLS_VERSION = 1
"""Version of the reading of tables, their cells and file names in them; rows of another version are made again."""
_IDS_VERSION = 2
"""Version of the making of keys from ids."""


def store_name(options: GreyOptions) -> str:
    """Name of the pixel store for these grey options."""
    return f"grey{options.side_px}-{digest_of({'grey': options.model_dump(), 'version': _GREY_VERSION})[:12]}"


class ShardTask(ShardWork):
    """One shard for a worker."""

    def do(self, report: Report, kept: dict[Any, Any]) -> ShardCounts:
        """Read the shard with the adapter and the reader of the shard before.

        A worker gets its shards in their order, so that it reads a compressed package once, from start to end.
        """
        which = (self.adapter, self.source.address, self.mapping)
        if which not in kept:
            kept[which] = adapter_for(self.source, self.adapter, self.mapping), Reader(self.source)
        return run_shard(self, report, *kept[which])


def rows_made_from(options: IngestOptions, adapter: Adapter) -> dict[str, Any]:
    """All inputs of rows other than files, as JSON: options, mapping, tables, the kind of pixel digests.

    Mask files are checked for each shard (`stale`), so that a changed mask affects its own shard only.
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
    """Digest of `rows_made_from`; a shard with another digest is read again."""
    others = {name: value for name, value in made_from.items() if name not in ("rule", "ids_version")}
    return digest_of(others | {"ids": {"rule": made_from["rule"], "version": made_from["ids_version"]}})


def run_shard(
    task: ShardTask, report: Report, adapter: Adapter | None = None, reader: Reader | None = None
) -> ShardCounts:
    """Read one shard; its new parts replace the old ones together, so that it is either new or unchanged.

    A `reader` kept from the shard before continues at its position in the packed file.
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
    work = ShardRows(task, store, adapter, reader)
    dicom_elements.prepare()
    # Waiting for another process to finish this shard must not trigger the worker timeout, so it is reported.
    with staged(workspace, task.archive, task.shard, partial(report, Phase.STARTING, 0, 0, 0, 0)) as staging:
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
    """One slice of table rows → its parts, without pictures; `task.shard` is the slice's number."""
    clock = time.monotonic()
    work = ShardRows(task, "", None, Reader(task.source))
    for position, radiograph in enumerate(radiographs):
        own_id = f"row {task.shard} {position}"
        key = file_key_of(task.domain, task.archive, b"", radiograph.header.instance_id or own_id)
        try:
            work.frame(position, own_id, key, radiograph, None)
        except Unusable as trouble:
            work.reject(position, radiograph.frame, key, 0, trouble)
        except (OSError, MemoryError, CannotFinish):
            raise
        except Exception:
            # As for a file: an unexpected error in one row must not stop the table.
            traceback.print_exc(file=sys.stderr)
            work.reject(position, radiograph.frame, key, 0, unforeseen("The row"))
    workspace = Workspace(task.root)
    with staged(workspace, task.archive, task.shard) as staging:
        work.write(staging)
        staging.counts = work.counts(len(radiographs), time.monotonic() - clock)
    return staging.counts
