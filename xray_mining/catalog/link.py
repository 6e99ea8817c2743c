"""An outside table (ids → group, score, outcome) joined into findings: ids are hashed on the way in, never kept."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import polars as pl
from pydantic import BaseModel, Field, field_validator

from xray_mining.catalog.connection import connect, frame
from xray_mining.errors import UserError, unknown_name
from xray_mining.ingest.identity import Domain, accession_key_of, open_domain, public_domain
from xray_mining.ingest.shards import accessions
from xray_mining.records.findings import Findings
from xray_mining.records.ledger import record_run
from xray_mining.workspace import Workspace, digest_of_file, read_yaml

LINKS = "_links"
"""Folder of parts that no archive gave."""
_RESERVED = ("key", "image_key", "study_key", "patient_key")


class LinkedFinding(BaseModel, extra="forbid", frozen=True):
    """One column of the table that becomes a finding."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$", description="name of the finding, in snake case")
    column: str = Field(description="the table's column")
    kind: Literal["number", "label"] = "number"
    unit: str = ""


class LinkMapping(BaseModel, extra="forbid", frozen=True):
    """How a table's rows find their patients or studies."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$", description="name of the source; linking again replaces it")
    domain: str = Field(description="the id space of its ids, as in workspace.yaml")
    patient_id: str | None = Field(None, description="column with the patient id")
    patient_id_issuer: str = Field("", description="issuer of the patient ids, where the images state one")
    study_uid: str | None = Field(None, description="column with StudyInstanceUID, in place of the patient id")
    accession: str | None = Field(None, description="column with the accession number, in place of the patient id")
    findings: list[LinkedFinding] = Field(min_length=1)

    @field_validator("findings")
    @classmethod
    def _names_are_its_own(cls, findings: list[LinkedFinding]) -> list[LinkedFinding]:
        names = [each.name for each in findings]
        for name in names:
            if name in _RESERVED:
                raise ValueError(f"'{name}' is a name of the keys; give the finding another")
            if names.count(name) > 1:
                raise ValueError(f"'{name}' names two findings; give each its own name")
        return findings


@dataclass(frozen=True, slots=True)
class LinkSummary:
    """Every row of the table is matched, unmatched or ambiguous."""

    source: str
    rows: int
    matched: int
    unmatched: int
    ambiguous: int
    findings: int

    def __post_init__(self) -> None:
        if self.rows != self.matched + self.unmatched + self.ambiguous:
            raise ArithmeticError(f"link lost rows: {self}")

    def lines(self) -> list[str]:
        """The summary for people."""
        return [
            f"{self.source}: {self.rows:,} rows: {self.matched:,} matched, {self.unmatched:,} unmatched (no id, or "
            f"nobody of the catalog), {self.ambiguous:,} ambiguous (one id, rows that differ); {self.findings:,} "
            f"findings"
        ]


def link(workspace: Workspace, table: Path, mapping_file: Path) -> LinkSummary:
    """Join a CSV, Parquet or Excel table into findings; linking under the same name replaces what was there."""
    mapping = read_yaml(LinkMapping, mapping_file)
    named = [each for each in (mapping.patient_id, mapping.study_uid, mapping.accession) if each is not None]
    if len(named) != 1:
        raise UserError(
            f"{mapping_file.name}: give either 'patient_id' or 'study_uid' or 'accession': the column that holds the "
            f"ids"
        )
    id_column = named[0]
    rows = _read(table)
    for column in (id_column, *(each.column for each in mapping.findings)):
        if column not in rows.columns:
            raise unknown_name(f"{table.name}, columns", column, rows.columns)
    domains = {each.domain for each in workspace.settings.archives.values()}
    if mapping.domain not in domains:
        raise unknown_name(f"{mapping_file.name}, domain", mapping.domain, domains)
    domain = _domain(workspace, mapping.domain)
    command = f"xray-mining link {mapping.name}"
    with record_run(workspace, "link", mapping.name, command, mapping.model_dump(mode="json")) as notes:
        notes.inputs[mapping.name] = version = digest_of_file(table)
        keyed = rows.select(
            pl.Series("key", [_key(domain, mapping, each) for each in rows[id_column].to_list()], dtype=pl.String),
            *(_value(rows[each.column], each, table.name) for each in mapping.findings),
        )
        values = [each.name for each in mapping.findings]
        known = _known(workspace, by_patient=mapping.patient_id is not None)
        if mapping.accession is not None:
            known = _by_accession(workspace, mapping, known)
        # an accession of several studies names none of them
        several = known.filter(pl.col("key").is_duplicated())["key"].unique()
        met = keyed.join(known.unique("key", keep="first", maintain_order=True), on="key", how="inner")
        # rows that say the same of one id are one statement; rows that differ are nobody's to choose between
        settled = met.unique(["key", *values], maintain_order=True)
        clear = settled.filter(~pl.col("key").is_duplicated() & ~pl.col("key").is_in(several.implode()))
        matched = met.filter(pl.col("key").is_in(clear["key"].implode())).height
        target = workspace.parts(LINKS, "findings") / f"{mapping.name}.parquet"
        if not matched and target.is_file():
            raise UserError(
                f"{table.name}: none of its {rows.height:,} rows names anybody of the catalog without doubt, so the "
                f"findings that '{mapping.name}' gave before are kept; check its ids, the domain and the issuer"
            )
        parts = [_findings(clear, each, mapping, version[:12]) for each in mapping.findings]
        found = pl.concat(parts)
        Findings.write(found, target)
    return LinkSummary(mapping.name, rows.height, matched, rows.height - met.height, met.height - matched, found.height)


def _read(path: Path) -> pl.DataFrame:
    """All columns as text, so that ids keep their leading zeros; Parquet as it is typed."""
    name = path.name.lower()
    try:
        if name.endswith(".parquet"):
            return pl.read_parquet(path)
        if name.endswith((".xlsx", ".xls")):
            return pl.read_excel(path, infer_schema_length=0)
        return pl.read_csv(path, infer_schema=False, separator="\t" if ".tsv" in name else ",")
    except ModuleNotFoundError as error:
        raise UserError(f"{path.name}: Excel needs the extra 'excel'; pip install 'xray-mining[excel]'") from error
    except (OSError, pl.exceptions.PolarsError) as error:
        raise UserError(
            f"{path.name}: cannot be read as a table ({type(error).__name__}); give CSV, Parquet or Excel"
        ) from error


def _domain(workspace: Workspace, name: str) -> Domain:
    """The domain's key as ingest used it: kept in the private folder, or else published."""
    if (workspace.private / "keys" / f"{name}.key").is_file():
        return open_domain(workspace, name, public=False)
    return public_domain(name)


def _key(domain: Domain, mapping: LinkMapping, value: object) -> str | None:
    if isinstance(value, float):
        # a column of whole numbers with gaps in it comes as floats
        value = None if not math.isfinite(value) else int(value) if value.is_integer() else value
    text = "" if value is None else str(value).strip()
    if not text:
        return None
    if mapping.study_uid is not None:
        return domain.digest("study", text)
    if mapping.accession is not None:
        return accession_key_of(domain, text)
    return domain.digest("patient", mapping.patient_id_issuer.strip(), text)


def _value(column: pl.Series, finding: LinkedFinding, table: str) -> pl.Series:
    if finding.kind == "label":
        text = column.cast(pl.String).str.strip_chars()
        return text.replace("", None).alias(finding.name)
    number = column.cast(pl.Float64, strict=False)
    given = column.cast(pl.String).str.strip_chars().fill_null("") != ""
    wrong = column.filter(given & ~number.is_finite().fill_null(value=False))
    if len(wrong):
        raise UserError(
            f"{table}: column '{finding.column}' holds {len(wrong):,} values that are no finite numbers; clean them, "
            f"or map it with kind: label"
        )
    return number.alias(finding.name)


def _known(workspace: Workspace, by_patient: bool) -> pl.DataFrame:
    text = (
        "select distinct patient_key as key, null::uuid as study_key, patient_key from images"
        if by_patient
        else "select study_key as key, study_key, min(patient_key) as patient_key from images group by study_key"
    )
    with connect(workspace, results=False) as con:
        return frame(con, text)


def _by_accession(workspace: Workspace, mapping: LinkMapping, studies: pl.DataFrame) -> pl.DataFrame:
    """The studies of the catalog by the keyed digest of their accession number, which only the private folder knows."""
    archives = [name for name, each in workspace.settings.archives.items() if each.domain == mapping.domain]
    pairs = pl.concat([accessions(workspace, name) for name in archives]).unique(maintain_order=True)
    if not pairs.height:
        raise UserError(
            f"domain {mapping.domain}: the private folder beside the workspace knows no accession numbers of it; link "
            f"by patient_id or study_uid, or read the archive anew with `xray-mining ingest --again`"
        )
    studies = studies.with_columns(pl.col("study_key").cast(pl.String))
    joined = pairs.join(studies.drop("key"), on="study_key", how="inner")
    return joined.select(pl.col("accession_key").alias("key"), "study_key", "patient_key")


def _findings(clear: pl.DataFrame, finding: LinkedFinding, mapping: LinkMapping, version: str) -> pl.DataFrame:
    value = pl.col(finding.name)
    is_label = finding.kind == "label"
    return Findings.typed(
        clear.filter(value.is_not_null()).select(
            pl.lit(None, dtype=pl.String).alias("image_key"),
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
