"""What is asked of one run of ingest, and what it did."""

from dataclasses import dataclass
from pathlib import Path

from xray_mining.archive.source import Source


@dataclass(frozen=True, slots=True)
class IngestResult:
    """What a run did, and how the whole archive stands before merge settles duplicates."""

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
    """By which it was read: the owner's, and 'keep_zero' where the table shows that 0 is a person's."""
    other_rule: tuple[str, ...]
    """Archives of the same domain that were read by another rule: one person has two keys there and here."""
    near_duplicates: int
    """Pairs over all archives of the workspace."""
    bytes_now: int
    files_now: int
    seconds: float
    decoder_failures: tuple[tuple[str, int], ...] = ()
    """Frames of all shards that a decoder failed to read, by decoder and error."""
    notes: tuple[str, ...] = ()
    """What its owner should know of how the tables were read, and why shards were read once more."""


@dataclass(frozen=True, slots=True)
class IngestRequest:
    """What the command line or a study asks of one run."""

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
