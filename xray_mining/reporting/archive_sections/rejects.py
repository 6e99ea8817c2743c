"""What happened to every file, and why some files could not be used."""

import polars as pl

from xray_mining.reporting.archive_results import ArchiveResults, listed, said, summed
from xray_mining.reporting.count_figures import bars
from xray_mining.reporting.metrics import number
from xray_mining.reporting.section import Block, Cell, Column, Figures, Row, Section, Table

ORDER = 55
_OUTCOMES = ("kept", "duplicate", "rejected")


def applies(results: ArchiveResults) -> bool:
    """Always."""
    return True


def build(results: ArchiveResults) -> Section:
    """Files by outcome, then rejects by reason."""
    accounts, frame = results.table("accounts"), results.table("rejects")
    if accounts.is_empty():
        return Section("accounts", "Files and rejects", "No file has been read yet.")
    # The figure shows reasons of rejects, or without rejects the outcomes, so that it is never empty.
    by_reason = [(words.replace("_", " "), value) for words, value in summed(frame, "reason", "rejects")]
    outcomes = dict(summed(accounts, "outcome", "accounts"))
    counts = by_reason or [(outcome, outcomes.get(outcome, 0.0)) for outcome in _OUTCOMES]
    figure = bars(
        "archive-rejects-figure",
        counts,
        label="files or frames",
        caption="Files or frames that could not be used, by reason." if by_reason else "What happened to the files.",
        alternative=f"{'Rejects' if by_reason else 'Files'}: {said(counts)}.",
        colour="orange" if by_reason else "blue",
    )
    blocks: list[Block] = [Figures((figure,)), _accounts(accounts)]
    if frame.height:
        columns = [
            ("reason", Column("Reason")),
            ("stage", Column("Where it failed")),
            ("rejects", Column("Files or frames", numeric=True)),
            ("bytes", Column("Bytes", numeric=True)),
        ]
        if results.several:
            columns.insert(2, ("archive", Column("Archive")))
        words = {"reason": lambda reason: reason.replace("_", " ")}
        blocks.append(listed(results, "rejects", "Rejects by reason", columns, words=words))
    masks = results.table("mask_faults")
    if masks.height:
        columns = [
            ("reason", Column("Reason")),
            ("masks", Column("Masks", numeric=True)),
            ("images", Column("Images", numeric=True)),
        ]
        if results.several:
            columns.insert(1, ("archive", Column("Archive")))
        words = {"reason": lambda reason: reason.replace("_", " ")}
        blocks.append(listed(results, "mask_faults", "Masks that were not used, by reason", columns, words=words))
    rejected = int(outcomes.get("rejected") or 0)
    sentence = (
        f"{rejected:,} files or frames could not be used. Each has a row in the table rejects, with stage, reason and "
        f"message."
        if rejected
        else "Every file could be used."
    )
    if masks.height:
        sentence += " Masks that could not be read or do not fit their picture were not used (table mask_faults)."
    return Section("accounts", "Files and rejects", sentence, tuple(blocks))


def _accounts(accounts: pl.DataFrame) -> Table:
    """One row for each archive: its files by outcome."""
    rows = []
    for archive in dict.fromkeys(accounts["archive"]):
        own = {row["outcome"]: 0 for row in accounts.iter_rows(named=True)}
        for row in accounts.iter_rows(named=True):
            if row["archive"] == archive:
                own[row["outcome"]] += row["accounts"]
        cells = [sum(own.values()), *(own.get(outcome, 0) for outcome in _OUTCOMES)]
        rows.append(Row((Cell(archive), *(Cell(number(count, 0), value=float(count)) for count in cells))))
    heads = (
        Column("Archive"),
        Column("Seen", numeric=True, explanation="Frames of files or archive members, or rows of a table."),
        Column("Kept", numeric=True),
        Column("Duplicates", numeric=True),
        Column("Rejected", numeric=True),
    )
    return Table("archive-accounts", "What happened to every file", heads, tuple(rows))
