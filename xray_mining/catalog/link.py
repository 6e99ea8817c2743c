"""Join an outside table (ids with a group, score or outcome) into findings; ids are hashed when read, never stored."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import polars as pl
from pydantic import BaseModel, Field, FiniteFloat, field_validator

from xray_mining.archive.cells import Number, number_style, numbers_for_texts, read_number, stated
from xray_mining.archive.radiograph import Unread
from xray_mining.archive.sources.folder import file_at
from xray_mining.archive.table import need_columns, read_table
from xray_mining.catalog.connection import connect, frame
from xray_mining.catalog.link_files import by_file
from xray_mining.errors import CheckFailed, UserError, unknown_name
from xray_mining.ingest.identity import Domain, accession_key_of, open_domain, patient_of, public_domain
from xray_mining.ingest.shards import accessions, issuers
from xray_mining.records.findings import Findings
from xray_mining.records.ledger import record_run
from xray_mining.records.unread_cells import UnreadCells, UnreadColumn, unread_lines
from xray_mining.workspace import Workspace, digest_of_file, read_yaml

LINKS = "_links"
"""Folder of the parts that come from linked tables, not from archives."""
_RESERVED = ("key", "image_key", "study_key", "patient_key")


class LinkedFinding(BaseModel, extra="forbid", frozen=True):
    """One column of the table that becomes a finding."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$", description="name of the finding, in snake case")
    column: str = Field(description="the table's column")
    kind: Literal["number", "label"] = "number"
    unit: str = ""
    values: dict[str, FiniteFloat] = Field(
        default={}, description="numbers for texts, such as {yes: 1, no: 0, maybe: -1}; capital letters do not matter"
    )

    @field_validator("values")
    @classmethod
    def _alike_only_once(cls, values: dict[str, float]) -> dict[str, float]:
        """The numbers by text in lower case; two texts must not differ in case alone."""
        return numbers_for_texts(values)


class LinkMapping(BaseModel, extra="forbid", frozen=True):
    """How a table's rows find their patients or studies."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$", description="name of the source; linking again replaces it")
    domain: str = Field(description="the id space of its ids, as in workspace.yaml")
    patient_id: str | None = Field(None, description="column with the patient id")
    patient_id_issuer: str = Field("", description="issuer of the patient ids, where the images state one")
    study_uid: str | None = Field(None, description="column with StudyInstanceUID, in place of the patient id")
    accession: str | None = Field(None, description="column with the accession number, in place of the patient id")
    file: str | None = Field(
        None,
        description="column with the image's file, in place of the patient id: its path below the archive's folder, or "
        "its name, with or without the ending",
    )
    encoding: str | None = Field(
        None,
        description="encoding of the table; by default that of its byte order mark, else UTF-8, else Windows-1252 "
        "with a note",
    )
    findings: list[LinkedFinding] = Field(min_length=1)

    @field_validator("findings")
    @classmethod
    def _names_are_its_own(cls, findings: list[LinkedFinding]) -> list[LinkedFinding]:
        names = [each.name for each in findings]
        for name in names:
            if name in _RESERVED:
                raise ValueError(f"'{name}' is reserved for a key; give the finding another name")
            if names.count(name) > 1:
                raise ValueError(f"'{name}' names two findings; give each its own name")
        return findings


@dataclass(frozen=True, slots=True)
class LinkSummary:
    """Every row of the table is matched, unmatched, ambiguous or broken."""

    source: str
    rows: int
    matched: int
    unmatched: int
    ambiguous: int
    broken: int
    """Rows with more cells than columns, or with unmatched quotes."""
    findings: int
    placeholders: int = 0
    """Ids that identify no person, such as ANONYMOUS and 0: their rows are unmatched."""
    unread_cells: list[UnreadColumn] = field(default_factory=list)
    """Counts of non-empty cells that could not be read."""
    notes: list[str] = field(default_factory=list)
    """Notes on how the table was read, for its owner."""

    def __post_init__(self) -> None:
        if self.rows != self.matched + self.unmatched + self.ambiguous + self.broken:
            raise ArithmeticError(f"link lost rows: {self}")

    def lines(self) -> list[str]:
        """The summary for people."""
        placeholders = (
            "1 id is a placeholder" if self.placeholders == 1 else f"{self.placeholders:,} ids are placeholders"
        )
        return [
            f"{self.source}: {self.rows:,} rows: {self.matched:,} matched, {self.unmatched:,} unmatched (no id, or an "
            f"id that is not in the catalog), {self.ambiguous:,} ambiguous (one id, rows that differ)"
            + (f", {self.broken:,} broken (cells do not fit the columns)" if self.broken else "")
            + f"; {self.findings:,} findings",
            *([f"{placeholders} without a person (such as ANONYMOUS or 0)"] if self.placeholders else []),
            *unread_lines(self.unread_cells),
            *self.notes,
        ]


@dataclass(frozen=True, slots=True)
class _Named:
    """The key that each row of the table names (None if it names nothing), and the catalog's rows with these keys."""

    keys: list[str | None]
    known: pl.DataFrame
    """key, image_key, study_key, patient_key; a key with several rows is ambiguous."""


def link(workspace: Workspace, table: Path, mapping_file: Path) -> LinkSummary:
    """Join a table into findings; linking under the same name replaces the earlier findings.

    Args:
        workspace: The workspace whose catalog has the patients, studies or images.
        table: CSV, Parquet or Excel.
        mapping_file: YAML of LinkMapping: the column with the ids, and the columns that become findings.

    Returns:
        Numbers of matched, unmatched, ambiguous and broken rows; they add up to the table's rows.

    Raises:
        UserError: If the mapping or the table cannot be read, or lacks a column.
        CheckFailed: If no row is matched; the earlier findings are kept.

    Example:
        >>> table, mapping = folder / "scores.csv", folder / "scores.yaml"
        >>> print(mapping.read_text())
        {name: scores, domain: generic, file: picture, findings: [{name: points, column: score}]}
        >>> summary = link(workspace, table, mapping)
        >>> summary.matched, summary.unmatched
        (2, 1)
    """
    # Read and check everything that the user wrote before anything is written.
    mapping = read_yaml(LinkMapping, mapping_file)
    id_column = _id_column(mapping, mapping_file.name)
    source, name = file_at(table)
    read = read_table(source, name, encoding=mapping.encoding)
    need_columns(read, (id_column, *(each.column for each in mapping.findings)), table.name)
    whole = pl.Series(range(read.height), dtype=pl.Int64).is_in(sorted(read.broken)).not_()
    rows = read.frame.filter(whole)
    unread: Counter[Unread] = Counter()
    domains = {each.domain for each in workspace.settings.archives.values()}
    if mapping.domain not in domains:
        raise unknown_name(f"{mapping_file.name}, domain", mapping.domain, domains)
    command = f"xray-mining link {mapping.name}"
    with record_run(workspace, "link", mapping.name, command, mapping.model_dump(mode="json")) as notes:
        notes.inputs[mapping.name] = version = digest_of_file(table)
        ids = rows[id_column].to_list()
        named = _named(workspace, mapping, ids)
        placeholders = {stated(each) for each, key in zip(ids, named.keys, strict=True) if key is None} - {None}
        keyed = rows.select(
            pl.Series("key", named.keys, dtype=pl.String),
            *(_value(rows[each.column], each, table.name, unread) for each in mapping.findings),
        )
        # Without any match the earlier findings must stay, so nothing is written before this check.
        met, clear = _clear(keyed, named.known, [each.name for each in mapping.findings])
        matched = met.filter(pl.col("key").is_in(clear["key"].implode())).height
        if not matched:
            raise CheckFailed(_why_unmatched(workspace, mapping, table.name, keyed, met.height))
        found = pl.concat([_findings(clear, each, mapping, version[:12]) for each in mapping.findings])
        Findings.write(found, workspace.parts(LINKS, "findings") / f"{mapping.name}.parquet")
        lost = _write_unread(workspace, mapping.name, unread)
    return LinkSummary(
        source=mapping.name,
        rows=read.height,
        matched=matched,
        unmatched=rows.height - met.height,
        ambiguous=met.height - matched,
        broken=len(read.broken),
        findings=found.height,
        placeholders=len(placeholders),
        unread_cells=lost,
        notes=list(read.notes),
    )


def _id_column(mapping: LinkMapping, where: str) -> str:
    """The column that holds the ids; exactly one must be given."""
    named = [mapping.patient_id, mapping.study_uid, mapping.accession, mapping.file]
    stated_ones = [each for each in named if each is not None]
    if len(stated_ones) != 1:
        raise UserError(
            f"{where}: give either 'patient_id' or 'study_uid' or 'accession' or 'file': the column that holds the ids"
        )
    return stated_ones[0]


def _named(workspace: Workspace, mapping: LinkMapping, ids: Sequence[str | None]) -> _Named:
    """Find the patients, studies or images that the cells of the id column name."""
    if mapping.file is not None:
        return _Named(*by_file(workspace, mapping.domain, ids))
    domain, rule = _domain(workspace, mapping.domain), _rule(workspace, mapping.domain)
    known = _known(workspace, by_patient=mapping.patient_id is not None)
    if mapping.accession is not None:
        known = _by_accession(workspace, mapping, known)
    return _Named([_key(domain, mapping, each, rule) for each in ids], known)


def _clear(keyed: pl.DataFrame, known: pl.DataFrame, values: Sequence[str]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Rows whose id is in the catalog, and those of them that make one unambiguous statement."""
    # An accession number of several studies, or a file name of several images, is ambiguous.
    several = known.filter(pl.col("key").is_duplicated())["key"].unique()
    met = keyed.join(known.unique("key", keep="first", maintain_order=True), on="key", how="inner")
    # Equal rows of one id are one statement. If they differ, no rule can decide which is right.
    settled = met.unique(["key", *values], maintain_order=True)
    return met, settled.filter(~pl.col("key").is_duplicated() & ~pl.col("key").is_in(several.implode()))


def _write_unread(workspace: Workspace, name: str, unread: Mapping[Unread, int]) -> list[UnreadColumn]:
    """Write the counts of non-empty cells that could not be read, by column and reason."""
    found = [
        UnreadColumn(each.name, each.reason, cells)
        for each, cells in sorted(unread.items(), key=lambda item: (item[0].name, item[0].reason))
    ]
    rows = [
        {"archive": name, "source": "link", "shard": 0, "position": 0}
        | {"name": each.name, "reason": each.reason, "cells": each.cells}
        for each in found
    ]
    UnreadCells.write(UnreadCells.from_rows(rows), workspace.parts(LINKS, "unread_cells") / f"{name}.parquet")
    return found


def _why_unmatched(workspace: Workspace, mapping: LinkMapping, table: str, keyed: pl.DataFrame, found: int) -> str:
    """Why no row of a table is matched, as one sentence."""
    ids = keyed["key"].drop_nulls().n_unique()
    before = (workspace.parts(LINKS, "findings") / f"{mapping.name}.parquet").is_file()
    kept = f", so the findings that '{mapping.name}' gave before are kept" if before else ""
    start = f"{table}: none of its {keyed.height:,} rows is matched{kept}: "
    if not ids:
        return f"{start}no row has an id in the column that the mapping names"
    if found:
        return f"{start}all ids that were found are ambiguous (their rows differ, or they belong to several studies)"
    archives = sorted(name for name, each in workspace.settings.archives.items() if each.domain == mapping.domain)
    where = f"domain '{mapping.domain}' (archives: {', '.join(archives)})"
    others = sorted({each.domain for each in workspace.settings.archives.values()} - {mapping.domain})
    elsewhere = f"; other domains are {', '.join(others)}" if others else ""
    if mapping.patient_id is None:
        what = "studies" if mapping.file is None else "files"
        return f"{start}{where} has none of its {ids:,} {what}{elsewhere}; check the column and how its ids are written"
    stated_issuer = (
        f"issuer '{mapping.patient_id_issuer.strip()}'" if mapping.patient_id_issuer.strip() else "no issuer"
    )
    known = sorted({issuer for name in archives for issuer in issuers(workspace, name)})
    named = ", ".join(f"'{issuer}'" if issuer else "none" for issuer in known) if known else "not known"
    return (
        f"{start}{where} has none of its {ids:,} patients under {stated_issuer} (patient_id_issuer); issuers of its "
        f"images are: {named}{elsewhere}; check these and how the ids are written (leading zeros, capitals)"
    )


def _domain(workspace: Workspace, name: str) -> Domain:
    """The domain with the key that ingest used: from the private folder, or else the published key."""
    if (workspace.private / "keys" / f"{name}.key").is_file():
        return open_domain(workspace, name, public=False)
    return public_domain(name)


def _rule(workspace: Workspace, domain: str) -> tuple[str, ...]:
    """The rules for patient ids that were given when the domain's archives were ingested."""
    said = [each.patient_id_rule for each in workspace.settings.archives.values() if each.domain == domain]
    return tuple(dict.fromkeys(each for rule in said for each in rule))


def _key(domain: Domain, mapping: LinkMapping, cell: str | None, rule: Sequence[str]) -> str | None:
    text = stated(cell)
    if text is None:
        return None
    if mapping.study_uid is not None:
        return domain.digest("study", text)
    if mapping.accession is not None:
        return accession_key_of(domain, text)
    return patient_of(domain, text, mapping.patient_id_issuer, rule).key


def _value(column: pl.Series, finding: LinkedFinding, table: str, unread: Counter[Unread]) -> pl.Series:
    """Values of a column; non-empty cells that cannot be read are counted in `unread`."""
    if finding.kind == "label":
        return pl.Series(finding.name, [stated(cell) for cell in column.to_list()], dtype=pl.String)
    style = number_style(column)
    values = finding.values
    style = replace(style, truths=style.truths and not values)
    read = [
        Number(values[cell.casefold()])
        if cell is not None and cell.casefold() in values
        else read_number(cell, style, finding.unit)
        for cell in column.to_list()
    ]
    wrong = Counter(Unread(finding.name, each.reason) for each in read if each.reason)
    unread.update(wrong)
    if wrong and not any(each.value is not None for each in read):
        raise UserError(
            f"{table}: column '{finding.column}' holds {wrong.total():,} values and none of them is a number; map it "
            f"with kind: label, or give the number of each word under 'values'"
        )
    return pl.Series(finding.name, [each.value for each in read], dtype=pl.Float64)


def _known(workspace: Workspace, by_patient: bool) -> pl.DataFrame:
    text = (
        "select distinct patient_key as key, null::uuid as image_key, null::uuid as study_key, patient_key from images"
        if by_patient
        else "select study_key as key, null::uuid as image_key, study_key, min(patient_key) as patient_key from images "
        "group by study_key"
    )
    with connect(workspace, results=False) as con:
        return frame(con, text)


def _by_accession(workspace: Workspace, mapping: LinkMapping, studies: pl.DataFrame) -> pl.DataFrame:
    """Studies of the catalog by the keyed digest of their accession number, which is only in the private folder."""
    archives = [name for name, each in workspace.settings.archives.items() if each.domain == mapping.domain]
    pairs = pl.concat([accessions(workspace, name) for name in archives]).unique(maintain_order=True)
    if not pairs.height:
        raise UserError(
            f"domain {mapping.domain}: the private folder beside the workspace has no accession numbers of it; link "
            f"by patient_id or study_uid, or read the archive again with `xray-mining ingest --again`"
        )
    studies = studies.with_columns(pl.col("study_key").cast(pl.String))
    joined = pairs.join(studies.drop("key"), on="study_key", how="inner")
    return joined.select(pl.col("accession_key").alias("key"), "image_key", "study_key", "patient_key")


def _findings(clear: pl.DataFrame, finding: LinkedFinding, mapping: LinkMapping, version: str) -> pl.DataFrame:
    value = pl.col(finding.name)
    is_label = finding.kind == "label"
    return Findings.typed(
        clear.filter(value.is_not_null()).select(
            pl.col("image_key").cast(pl.String),
            pl.col("study_key").cast(pl.String),
            "patient_key",
            pl.lit(finding.name).alias("name"),
            (pl.lit(None, dtype=pl.Float64) if is_label else value).alias("value"),
            (value if is_label else pl.lit(None, dtype=pl.String)).alias("label"),
            pl.lit(finding.unit).alias("unit"),
            pl.lit(None, dtype=pl.Int64).alias("study_day"),
            pl.lit(mapping.name).alias("source"),
            pl.lit(version).alias("source_version"),
        )
    )
