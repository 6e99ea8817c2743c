"""The request for one run of ingest, and its result."""

from dataclasses import dataclass
from pathlib import Path

from xray_mining.archive.source import Source


@dataclass(frozen=True, slots=True)
class IngestResult:
    """Result of a run, and the state of the whole archive before merge finds duplicates."""

    archive: str
    adapter: str
    store: str
    listed: int
    ignored: int
    shards: int
    shards_done: int
    shards_now: int
    seen: int
    kept: int
    rejected: int
    vanished: int
    changed: int
    returned: int
    rows_without_file: int
    repeated_rows: int
    patient_id_rule: tuple[str, ...]
    """The rule that was used: the owner's, and 'keep_zero' if the table shows that 0 is a person's id."""
    other_rule: tuple[str, ...]
    """Archives of the same domain that were read by another rule, so that one person may have two keys."""
    near_duplicates: int
    """Number of pairs over all archives of the workspace."""
    bytes_now: int
    files_now: int
    seconds: float
    decoder_failures: tuple[tuple[str, int], ...] = ()
    """Number of frames, over all shards, that a decoder failed to read, by decoder and error."""
    notes: tuple[str, ...] = ()
    """Remarks for the owner on how the tables were read, and why shards were read again."""


@dataclass(frozen=True, slots=True)
class IngestRequest:
    """Request of the command line or a study for one run."""

    source: Source
    name: str | None = None
    domain: str | None = None
    adapter: str | None = None
    mapping: Path | None = None
    key_file: Path | None = None
    jobs: int | None = None
    shards: tuple[int, int] | None = None
    metadata_only: bool = False
    again: bool = False
