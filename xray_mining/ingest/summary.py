"""The closing summary of ingest, its status while it runs, and the path of a key's file."""

import os
import shlex
import uuid
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from xray_mining.archive.source import SourceLost
from xray_mining.errors import UserError
from xray_mining.ingest import shards
from xray_mining.ingest.hints import HINTS
from xray_mining.ingest.ingest import TABLE_ROWS
from xray_mining.ingest.parts import FIRST_TABLE_SHARD, accounts_of, counts_of, readable_again, stale
from xray_mining.ingest.registered import source_of, wanted_digest
from xray_mining.ingest.request import IngestResult
from xray_mining.records.images import Images
from xray_mining.records.rejects import Rejects
from xray_mining.records.unread_cells import UnreadColumn, unread_lines
from xray_mining.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Outcome:
    """Number of items with one outcome and reason."""

    outcome: str
    reason: str
    accounts: int
    gone: int = 0
    """Those of them whose file has vanished since."""


@dataclass(frozen=True, slots=True)
class IngestSummary:
    """Balanced counts of an archive, and the run that ended."""

    archive: str
    adapter: str
    store: str
    seen: int
    still_there: int
    """Those of them whose files the last walk over the archive found."""
    kept: int
    duplicate: int
    rejected: int
    listed: int
    ignored: int
    rows_without_file: int
    repeated_rows: int
    near_duplicates: int
    shards: int
    shards_done: int
    shards_now: int
    vanished: int
    changed: int
    returned: int
    seconds: float
    files_per_second: float
    megabytes_per_second: float
    outcomes: list[Outcome]
    without_age: int
    """Kept images without a known age."""
    unread_ages: int
    """Those of them whose stated age could not be read, or is impossible."""
    bounded_ages: int
    """Those of them whose age is stated only as a bound, such as <5."""
    unread_sexes: int
    """Kept images whose stated sex is an unknown word."""
    placeholder_ids: int
    """Kept images whose patient id is a placeholder (ANONYMOUS, UNKNOWN, zeros); each counts as its own patient."""
    zero_ids: int
    """Those of them whose id is 0."""
    zeros_kept: int
    """Kept images whose patient id 0 was used as a person's id."""
    several_ids: int
    """Kept images with an id of several values; all values together make its key."""
    undecoded_ids: int
    """Kept images with an id that is invalid in its character set, or that lost letters before ingest."""
    mask_faults: int
    """Masks of kept images that were not used."""
    mask_reasons: str
    """Number of these masks by reason."""
    patient_id_rule: tuple[str, ...]
    other_rule: tuple[str, ...]
    """Archives of the domain that were read by another rule."""
    hint: str
    unread_cells: list[UnreadColumn] = field(default_factory=list)
    """Stated cells of tables and headers that could not be read."""
    decoder_failures: dict[str, int] = field(default_factory=dict)
    """Frames that a decoder failed to read, by decoder and error; another decoder may have read them."""
    notes: list[str] = field(default_factory=list)
    """Remarks for the owner on how the tables were read, and why shards were read again."""

    def __post_init__(self) -> None:
        if self.seen != self.kept + self.duplicate + self.rejected:
            raise ArithmeticError(f"ingest lost files: {self}")

    def lines(self) -> list[str]:
        """The summary as text."""
        lines = [
            f"{self.archive}, read as {self.adapter}: {self.seen:,} seen = {self.kept:,} kept + "
            f"{self.duplicate:,} duplicate + {self.rejected:,} rejected"
        ]
        width = max([len(each.reason) for each in self.outcomes] + [8])
        lines += [
            f"  {each.outcome:<9}  {each.reason:<{width}}  {each.accounts:>9,}"
            + (f"  ({each.gone:,} of them vanished)" if each.gone else "")
            for each in self.outcomes
        ]
        if self.still_there < self.seen:
            lines.append(f"{self.still_there:,} of {self.seen:,} seen still exist; new cohorts exclude vanished files")
        if self.near_duplicates:
            lines.append(f"{_counted(self.near_duplicates, 'pair')} of near-duplicates")
        lines += self._ages_and_sexes()
        # Ages and sexes are counted above.
        lines += unread_lines([each for each in self.unread_cells if each.name not in ("age", "sex")])
        lines += self.notes
        if self.decoder_failures:
            counts = ", ".join(f"{decoder} on {frames:,}" for decoder, frames in self.decoder_failures.items())
            lines.append(
                f"decoders that failed on frames: {counts}; the next decoder was tried, and frames that none reads are "
                f"rejected as undecodable"
            )
        lines += self._ids()
        if self.mask_faults:
            lines.append(
                f"masks: {self.mask_faults:,} of kept images not used ({self.mask_reasons}); the table mask_faults "
                f"says which and why"
            )
        lines += self._beside()
        if self.shards_now:
            lines.append(
                f"{self.shards_now} of {self.shards} shards now, in {self.seconds:.1f} s "
                f"({self.files_per_second:,.0f} files/s, {self.megabytes_per_second:,.0f} MB/s)"
            )
        else:
            lines.append("nothing new")
        if self.shards_done < self.shards:
            left = _counted(self.shards - self.shards_done, "shard")
            lines.append(f"{left} still to do: run the same command without --shards")
        if self.hint:
            lines.append(self.hint)
        return lines

    def _ages_and_sexes(self) -> list[str]:
        """Lines on ages and sexes that could not be read."""
        lines = []
        if self.unread_ages:
            lines.append(
                f"ages: {self.unread_ages:,} of {self.kept:,} cannot be read or are impossible; these images have none"
            )
        if self.bounded_ages:
            lines.append(
                f"ages: {self.bounded_ages:,} of {self.kept:,} are stated as a bound only (such as <5 or >50); these "
                f"images have none"
            )
        if self.kept and self.without_age == self.kept and not self.unread_ages + self.bounded_ages:
            lines.append("ages: none is stated, neither as dates nor as text")
        if self.unread_sexes:
            lines.append(
                f"sexes: {self.unread_sexes:,} of {self.kept:,} are unknown words (known are M, F, O and similar "
                f"words); these images have none"
            )
        return lines

    def _beside(self) -> list[str]:
        """Files and table rows that are not among the counted items."""
        beside = []
        for count, one, words in (
            (self.ignored, "file", "beside the images (tables, texts)"),
            (self.rows_without_file, "table row", "without a file"),
            (self.repeated_rows, "table row", "of an image that an earlier row names; the earlier row is used"),
            (self.vanished, "file", "vanished"),
            (self.changed, "file", "changed"),
            (self.returned, "file", "returned"),
        ):
            if count:
                beside.append(f"{_counted(count, one)} {words}")
        return [", ".join(beside)] if beside else []

    def _ids(self) -> list[str]:
        """Remarks on patient ids."""
        lines = []
        if self.placeholder_ids:
            lines.append(
                f"patient ids: {self.placeholder_ids:,} of {self.kept:,} are placeholders (ANONYMOUS, UNKNOWN, zeros "
                f"and such); each of these images is a patient of its own"
            )
        if self.zero_ids and "zero_is_none" not in self.patient_id_rule:
            lines.append(
                f"patient id 0: of {_counted(self.zero_ids, 'image')}, counts as missing; if ids are numbered "
                f"from 0 it is a person's id: then state --patient-id-rule keep_zero"
            )
        if self.zeros_kept:
            lines.append(
                f"patient id 0: of {_counted(self.zeros_kept, 'image')}, counts as a person's id, because numbered ids "
                f"occur too or the rule says so; --patient-id-rule zero_is_none changes that"
            )
        if self.several_ids:
            lines.append(
                f"ids: {self.several_ids:,} of {self.kept:,} hold several values; they were kept whole, as ids of "
                f"their own"
            )
        if self.undecoded_ids:
            lines.append(
                f"ids: {self.undecoded_ids:,} of {self.kept:,} are invalid in their character set, or lost letters "
                f"before ingest; one person may have two of them, or two people one"
            )
        if self.patient_id_rule:
            lines.append(f"patient ids were read by the rule {','.join(self.patient_id_rule)}")
        if self.other_rule:
            were = "was" if len(self.other_rule) == 1 else "were"
            lines.append(
                f"patient ids: {', '.join(self.other_rule)} of the same domain {were} "
                f"read by another rule; repeat `xray-mining ingest` there, until then one person may have two keys"
            )
        return lines


def _counted(count: int, one: str) -> str:
    return f"{count:,} {one}" if count == 1 else f"{count:,} {one}s"


def summary_of(
    result: IngestResult, outcomes: pl.DataFrame, ages: pl.DataFrame, unread_cells: pl.DataFrame
) -> IngestSummary:
    """Build the closing summary from the run's result and the merged catalog's counts.

    `outcomes` has a row per outcome and reason with its items; `ages` one row, that of reports/ingest_unread;
    `unread_cells` the rows of reports/ingest_unread_cells.
    """
    rows = [Outcome(*row) for row in outcomes.select("outcome", "reason", "accounts", "gone").iter_rows()]
    # Reasons without items are dropped; a line for kept items is always shown.
    rows = [row for row in rows if row.accounts or row.outcome == "kept"]

    def total(outcome: str) -> int:
        return sum(row.accounts for row in rows if row.outcome == outcome)

    rejected = [row for row in rows if row.outcome == "rejected"]
    seconds = max(result.seconds, 1e-3)
    return IngestSummary(
        archive=result.archive,
        adapter=result.adapter,
        store=result.store,
        seen=result.seen,
        still_there=result.seen - sum(row.gone for row in rows),
        kept=total("kept"),
        duplicate=total("duplicate"),
        rejected=total("rejected"),
        listed=result.listed,
        ignored=result.ignored,
        rows_without_file=result.rows_without_file,
        repeated_rows=result.repeated_rows,
        near_duplicates=result.near_duplicates,
        shards=result.shards,
        shards_done=result.shards_done,
        shards_now=result.shards_now,
        vanished=result.vanished,
        changed=result.changed,
        returned=result.returned,
        seconds=result.seconds,
        files_per_second=round(result.files_now / seconds, 1),
        megabytes_per_second=round(result.bytes_now / 1e6 / seconds, 1),
        outcomes=rows,
        without_age=int(ages["without_age"][0]),
        unread_ages=int(ages["unread"][0]),
        bounded_ages=int(ages["bounded"][0]),
        unread_sexes=int(ages["unread_sexes"][0]),
        placeholder_ids=int(ages["placeholders"][0]),
        zero_ids=int(ages["zeros"][0]),
        zeros_kept=int(ages["zeros_kept"][0]),
        several_ids=int(ages["several_ids"][0]),
        undecoded_ids=int(ages["undecoded_ids"][0]),
        mask_faults=int(ages["mask_faults"][0] or 0),
        mask_reasons=str(ages["mask_reasons"][0] or ""),
        patient_id_rule=result.patient_id_rule,
        other_rule=result.other_rule,
        hint=HINTS.get(max(rejected, key=lambda row: row.accounts).reason, "") if rejected else "",
        unread_cells=[UnreadColumn(*row) for row in unread_cells.select("name", "reason", "cells").iter_rows()],
        decoder_failures=dict(result.decoder_failures),
        notes=list(result.notes),
    )


def rejected_paths(workspace: Workspace, archive: str, rejected: pl.DataFrame) -> list[str]:
    """Lines for the terminal only: some rejected files of each reason, with their paths.

    `rejected` has a row per file: reason, shard, position, sentence, and the `files` that share its reason.
    """
    source = source_of(workspace, archive)
    lines = []
    for (reason,), rows in rejected.group_by("reason", maintain_order=True):
        for row in rows.iter_rows(named=True):
            if row["shard"] >= FIRST_TABLE_SHARD:
                lines.append(f"  {reason}: row {_table_row(row)} of the table: {row['sentence']}")
                continue
            file = shards.files_of(workspace, archive, row["shard"])[row["position"]]
            path = os.fsdecode(file.path) if source is None else source.where(file.path)
            lines.append(
                f"  {reason}: {_printable(path)}{f' [{file.member}]' if file.member else ''}: {row['sentence']}"
            )
        if rows["files"][0] > rows.height:
            lines.append(f"  {reason}: and {rows['files'][0] - rows.height:,} more")
    if lines:
        where = shlex.quote(str(workspace.root))
        lines.append(
            f'  all of them: xray-mining sql "select reason, sentence, file_key from rejects" --workspace {where}; '
            f"to find a file: xray-mining locate FILE_KEY --workspace {where}"
        )
    return lines


def _table_row(row: dict[str, Any]) -> int:
    """The number of a row that names an image, from 0: slices of a table follow one another."""
    return (row["shard"] - FIRST_TABLE_SHARD) * TABLE_ROWS + row["position"]


def _printable(path: str) -> str:
    """The path in one line; characters that a terminal cannot show are escaped."""
    text = path.encode("utf-8", "backslashreplace").decode()
    return "".join(letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in text)


@dataclass(frozen=True, slots=True)
class ArchiveStatus:
    """Progress of one archive."""

    archive: str
    adapter: str
    domain: str
    shards: int
    done: int
    outdated: int
    """Shards whose rows are outdated: the next run reads them again."""
    seen: int
    kept: int
    rejected: int


@dataclass(frozen=True, slots=True)
class Status:
    """Progress of all archives of a workspace, from parts and lists alone, so that it may be read while ingest runs."""

    store: str
    archives: list[ArchiveStatus]

    def lines(self) -> list[str]:
        """The status as text."""
        if not self.archives:
            return ["no archive yet; `xray-mining ingest ARCHIVE` reads one"]
        lines = []
        for each in self.archives:
            outdated = (
                f" and {each.outdated} outdated (read from other tables, masks or files, or by an earlier version)"
                if each.outdated
                else ""
            )
            lines.append(
                f"{each.archive} ({each.adapter}): {each.done} of {each.shards} shards done{outdated}; "
                f"{each.seen:,} seen, {each.kept:,} kept and {each.rejected:,} rejected before duplicates are settled"
            )
        return lines


def status_of(workspace: Workspace) -> Status:
    """Finished and remaining shards, by archive."""
    settings = workspace.settings
    found = []
    for name in workspace.archives_in_order():
        archive = settings.archives[name]
        store = settings.store or ""
        there = counts_of(workspace, name, store)
        if not there:
            store, there = "", counts_of(workspace, name, "")
        digest, source = wanted_digest(workspace, name), source_of(workspace, name)
        changed = {number for number, each in there.items() if digest is not None and each.digest != digest}
        if source is not None and source.is_there():
            # If the source is lost from here on, the status is as of the last run, as if it had not been there.
            with suppress(SourceLost):
                changed |= stale(workspace, name, there, store, source)
                changed |= readable_again(workspace, name, there.values(), source)
        done = {number: each for number, each in there.items() if number not in changed}
        accounts = accounts_of(workspace, name)
        found.append(
            ArchiveStatus(
                archive=name,
                adapter=archive.adapter,
                domain=archive.domain,
                shards=max(len(shards.known_shards(workspace, name)), len(there)),
                done=len(done),
                outdated=len(changed),
                seen=accounts.seen,
                kept=accounts.kept,
                rejected=accounts.rejected,
            )
        )
    return Status(settings.store or "", found)


@dataclass(frozen=True, slots=True)
class Place:
    """A file of an archive; only who has the private folder can find it."""

    archive: str
    what: str
    path: str
    member: str
    frame: int

    def lines(self) -> list[str]:
        """The path, and the member within it."""
        return [f"{self.path}{f' [{self.member}]' if self.member else ''}"]


def locate(workspace: Workspace, key: str) -> Place:
    """The file of an image_key, a file_key or a duplicate's instance_key.

    Args:
        workspace: The workspace; its private folder must exist.
        key: 32 hexadecimal digits, with or without hyphens.

    Returns:
        The file's path or address, its member in a packed file, and the frame; if several files have the key, an
        existing one.

    Raises:
        UserError: If the text is no key, no archive has it, or the private folder does not have its list.

    Example:
        >>> locate(workspace, image_key).path.rsplit("/", 1)[-1]
        'IM1'
    """
    try:
        key = str(uuid.UUID(key))
    except ValueError as error:
        raise UserError(f"{key}: is not a key; keys are 32 hexadecimal digits, with or without '-'") from error
    vanished = None
    for archive in workspace.settings.archives:
        for what, frame in _holders(workspace, archive):
            rows = frame.filter(
                pl.any_horizontal(pl.col(each) == key for each in frame.columns if each.endswith("_key"))
            )
            for row in rows.iter_rows(named=True):
                place, is_there = _place(workspace, archive, what, row)
                # A moved file has a row with its old path too.
                if is_there:
                    return place
                vanished = vanished or place
    if vanished is not None:
        return vanished
    raise UserError(f"{key}: no archive of this workspace has this key; give an image_key or a file_key")


def _holders(workspace: Workspace, archive: str) -> Iterable[tuple[str, pl.DataFrame]]:
    columns = ["file_key", "shard", "position", "frame"]
    for record, more in ((Images, ["image_key"]), (Rejects, [])):
        paths = workspace.parts(archive, record.table).glob("*.parquet")
        for path in sorted(paths):
            yield record.table, pl.read_parquet(path, columns=[*more, *columns])


def _place(workspace: Workspace, archive: str, what: str, row: dict[str, object]) -> tuple[Place, bool]:
    """The file of a row, and whether it exists now."""
    source = source_of(workspace, archive)
    if source is None:
        raise UserError(
            f"archive {archive}: the private folder beside the workspace does not state its source; paths are known "
            f"to its holder only"
        )
    if int(str(row["shard"])) >= FIRST_TABLE_SHARD:
        raise UserError(
            f"archive {archive}: has this key from a table only; ingest it without --metadata-only to know its file"
        )
    file = shards.files_of(workspace, archive, int(str(row["shard"])))[int(str(row["position"]))]
    place = Place(archive, what, _printable(source.where(file.path)), file.member, int(str(row["frame"])))
    try:
        return place, source.status(file.path) is not None
    except SourceLost:
        # Whether the file exists is not known, but its place is.
        return place, False
