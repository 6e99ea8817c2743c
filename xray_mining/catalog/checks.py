"""Checks: each is one SQL file that returns the offending rows; a check that returns no row has passed."""

import json
from dataclasses import dataclass
from typing import Any

import duckdb
import polars as pl

from xray_mining.catalog.connection import connect, frame
from xray_mining.catalog.header import Header, queries, read_header
from xray_mining.catalog.query import shipped
from xray_mining.errors import CheckFailed
from xray_mining.records.check_results import CheckResults
from xray_mining.records.cohort import FrozenCohort
from xray_mining.records.near_duplicates import NearDuplicates
from xray_mining.workspace import Workspace, asset

EVIDENCE_ROWS = 20


@dataclass(frozen=True, slots=True)
class Check:
    """One file of sql/checks."""

    name: str
    text: str
    header: Header


@dataclass(frozen=True, slots=True)
class CheckSummary:
    """Results of all checks that ran, in the order of their codes."""

    subject: str
    results: tuple[dict[str, Any], ...]

    @property
    def errors(self) -> int:
        """Checks of severity error that failed."""
        return sum(each["severity"] == "error" and each["outcome"] == "failed" for each in self.results)

    def lines(self) -> list[str]:
        """One line for each check, then the number of failed checks."""
        rows = [f"{each['code']} {each['outcome'].replace('_', ' '):<14} {each['sentence']}" for each in self.results]
        failed = sum(each["outcome"] == "failed" for each in self.results)
        return [*rows, f"{len(self.results)} checks: {failed} failed, {self.errors} of them errors"]


def all_checks(scope: str | None = None) -> list[Check]:
    """The shipped checks, sorted by code; with `scope` only the checks of the archive or of a cohort."""
    found = []
    for name, path in queries(asset("sql/checks")).items():
        text = path.read_text(encoding="utf-8")
        header = read_header(text, f"sql/checks/{name}.sql")
        if scope in (None, header.scope):
            found.append(Check(name, text, header))
    return sorted(found, key=lambda each: each.header.code)


def leaks(con: duckdb.DuckDBPyConnection, members: pl.DataFrame) -> list[tuple[str, str, pl.DataFrame]]:
    """Code, title and rows of every cohort check of severity error that finds something among `members`."""
    found = []
    with_members(con, members)
    for check in all_checks("cohort"):
        if check.header.severity == "error":
            rows = frame(con, check.text, where=check.header.code)
            if rows.height:
                found.append((check.header.code, check.header.question, rows))
    return found


def unanswered(con: duckdb.DuckDBPyConnection, workspace: Workspace) -> list[str]:
    """A sentence for each cohort check of severity error that cannot be run on the temporary table `members`."""
    asked = [check.header for check in all_checks("cohort") if check.header.severity == "error"]
    return [
        f"{header.code}: {unmet}"
        for header in asked
        if (unmet := _empty_table(con, header) or _unsearched(con, workspace, header))
    ]


def _empty_table(con: duckdb.DuckDBPyConnection, header: Header) -> str:
    """A sentence that names an empty table which the check needs; an empty text if no table is empty."""
    for table in dict.fromkeys(each.partition(".")[0] for each in header.needs):
        # An empty near-duplicate table can mean "none found"; `_unsearched` looks whether the search ran.
        if table != NearDuplicates.table and frame(con, f'select 1 as found from "{table}" limit 1').height == 0:
            return f"{table} holds no rows."
    return ""


def _unsearched(con: duckdb.DuckDBPyConnection, workspace: Workspace, header: Header) -> str:
    """A sentence if the check needs near-duplicates and not all images were searched for them; else an empty text."""
    if NearDuplicates.table not in header.needs:
        return ""
    from xray_mining.ingest.near_duplicates import searched

    among = "members" if header.scope == "cohort" else "images where pixel_digest is not null"
    keys = frame(con, f"select image_key::varchar as image_key from {among}")["image_key"]
    left = int((~keys.is_in(searched(workspace).implode())).sum())
    if left or not len(keys):
        return f"near-duplicates were not searched for among {left:,} of {len(keys):,} images."
    return ""


def _half_read(con: duckdb.DuckDBPyConnection, workspace: Workspace, header: Header) -> str:
    """A sentence if some rows lack a column that the check needs, or were written under older ingest rules."""
    columns = [each.partition(".")[::2] for each in header.needs if "." in each]
    if not columns:
        return ""
    from xray_mining.ingest.parts import counts_of
    from xray_mining.ingest.registered import wanted_digest

    lacking = max(
        frame(con, f'select count(*) as rows from "{table}" where "{column}" is null')["rows"][0]
        for table, column in columns
    )
    partly = []
    for name in workspace.settings.archives:
        digests = {each.digest for each in counts_of(workspace, name, None).values()}
        if digests and digests != {wanted_digest(workspace, name)}:
            partly.append(name)
    said = []
    if lacking:
        said.append(f"{lacking:,} images were read by an earlier version and could not be compared")
    if partly:
        said.append(f"{', '.join(partly)}: only a part was read by the current rules, so one id may have two keys")
    return f"{'; '.join(said)}; repeat `xray-mining ingest` there." if said else ""


def patients_on_two_sides(members: pl.DataFrame) -> pl.DataFrame:
    """Rows of LEAK001 among `members`, by patient_key: the rule needs no catalog, so none is opened."""
    with duckdb.connect() as con:
        _create_members(con, members)
        return frame(con, shipped("checks/leak001_patient_on_two_sides").read_text(encoding="utf-8"), where="LEAK001")


def with_members(con: duckdb.DuckDBPyConnection, members: pl.DataFrame) -> None:
    """Create the temporary table `members`, which cohort checks read: keys as UUIDs, fold, split, weight.

    Also creates the view `deciding_order` on it, from sql/reports/deciding_order.sql.
    """
    _create_members(con, members)
    con.execute(f"create or replace temp view deciding_order as {shipped('reports/deciding_order').read_text()}")


def _create_members(con: duckdb.DuckDBPyConnection, members: pl.DataFrame) -> None:
    con.register(
        "member_rows", members.select("image_key", "study_key", "patient_key", "fold", "split", "weight").to_arrow()
    )
    con.execute(
        "create or replace temp table members as select image_key::uuid as image_key, study_key::uuid as study_key, "
        "patient_key::uuid as patient_key, fold, split, weight from member_rows"
    )
    con.unregister("member_rows")


def check(workspace: Workspace, cohort: FrozenCohort | None = None) -> CheckSummary:
    """Run the checks of the archives, or of a cohort, and write their results to checks/SUBJECT.parquet.

    Args:
        workspace: The workspace; new parts are merged first.
        cohort: The frozen cohort to check; None checks the archives.

    Returns:
        The result of each check: outcome, sentence, number of offending rows, first offending rows.

    Raises:
        UserError: If the catalog or a part of it cannot be read.

    Example:
        >>> summary = check(workspace)
        >>> summary.errors
        0
        >>> summary.lines()[0]
        'AGE001 passed         an age text that no patient can have: none found.'
    """
    subject = cohort.name if cohort else ""
    with connect(workspace, results=False) as con:
        if cohort:
            with_members(con, cohort.members())
        results = [_run(con, workspace, each, subject) for each in all_checks("cohort" if cohort else "archive")]
    rows = CheckResults.from_rows(results)
    CheckResults.write(rows, workspace.root / "checks" / f"{subject or '_workspace'}.parquet")
    return CheckSummary(subject, tuple(results))


def of_archive(con: duckdb.DuckDBPyConnection, workspace: Workspace) -> pl.DataFrame:
    """Results of the archive's checks: code, severity, question, outcome, found (rows; null if it could not run)."""
    results = [(each.header, _run(con, workspace, each, "")) for each in all_checks("archive")]
    rows = [
        (
            header.code,
            header.severity,
            header.question,
            row["outcome"],
            int(row["offenders"]) if row["offenders"] else None,
        )
        for header, row in results
    ]
    kinds = {name: pl.String() for name in ("code", "severity", "question", "outcome")}
    return pl.DataFrame(rows, schema=kinds | {"found": pl.Int64()}, orient="row")


def raise_for(summary: CheckSummary) -> None:
    """Raise CheckFailed if a check of severity error failed."""
    failed = [each["code"] for each in summary.results if each["severity"] == "error" and each["outcome"] == "failed"]
    if failed:
        raise CheckFailed(f"check: {', '.join(failed)} failed; see the rows above, and mend the archive or the cohort")


def _run(con: duckdb.DuckDBPyConnection, workspace: Workspace, check: Check, subject: str) -> dict[str, Any]:
    header = check.header
    row = {
        "subject": subject,
        "about": "",
        "code": header.code,
        "severity": header.severity,
        "title": header.question,
        "section": "",
        "evidence": "[]",
        "offenders": "",
    }
    unmet = _empty_table(con, header)
    rows = frame(con, check.text, where=header.code) if not unmet else pl.DataFrame()
    if rows.height == 0:
        unmet = unmet or _unsearched(con, workspace, header) or _half_read(con, workspace, header)
        if unmet:
            return row | {"outcome": "not_applicable", "sentence": f"{header.question}: {unmet}"}
        return row | {"outcome": "passed", "sentence": f"{header.question}: none found.", "offenders": "0"}
    # A check that can find millions of rows returns only the first ones, with their total in the column in_all.
    found = int(rows["in_all"][0]) if "in_all" in rows.columns else rows.height
    first = rows.drop("in_all", strict=False).head(EVIDENCE_ROWS).to_dicts()
    cut = f"; the first {EVIDENCE_ROWS} are in its evidence" if found > EVIDENCE_ROWS else ""
    half = _half_read(con, workspace, header)
    return row | {
        "outcome": "failed",
        "sentence": f"{header.question}: {found:,} found{cut}." + (f" {half}" if half else ""),
        "evidence": json.dumps(first, default=str),
        "offenders": str(found),
    }
