"""check_results: the outcome of every check, with the offending rows."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import polars as pl

from xray_mining.records.record import Record, choice, text

SEVERITIES = ("error", "warning", "note")
EVIDENCE = 10
OUTCOMES = ("passed", "failed", "not_applicable", "skipped")


class CheckResults(Record):
    """Every check has a row and one of four outcomes, so that a skipped check never looks like a passed one."""

    table = "check_results"
    home = "results"
    question = "one check of a workspace, cohort or study"

    subject = text("the study or cohort; empty for the workspace")
    about = text(
        "subject within the study: a task (COHORT/TARGET), a cohort or an experiment; empty for the whole study",
        nullable=True,
    )
    code = text("code of the check, as LEAK001")
    severity = choice("how bad a failure is", SEVERITIES)
    outcome = choice("result of the check", OUTCOMES)
    title = text("the check in words")
    sentence = text("what was found, in one sentence")
    section = text("anchor of the report's section that shows it; empty if no section does")
    evidence = text("JSON list of the first offending rows")
    offenders = text("number of offending rows, as text; empty where the check counts no rows")

    @classmethod
    def upgrade(cls, frame: pl.DataFrame) -> pl.DataFrame:
        """Parts from before the column `about` existed are about the whole study, so `about` is empty."""
        return super().upgrade(frame if "about" in frame.columns else frame.with_columns(pl.lit("").alias("about")))


@dataclass(frozen=True, slots=True)
class CheckRow:
    """One row of `check_results`, whose subject is the study or cohort that was checked."""

    code: str
    severity: str
    outcome: str
    title: str
    sentence: str
    about: str = ""
    """A task, a cohort or an experiment; empty for the whole study."""
    section: str = "audits"
    offenders: int | None = None
    """None: the number of rows in `evidence` if the check failed, else not applicable."""
    evidence: Sequence[Mapping[str, Any]] = ()
    """Offending rows; the first EVIDENCE of them are kept."""

    def as_row(self, subject: str) -> dict[str, Any]:
        """Columns of the record."""
        count = len(self.evidence) if self.offenders is None and self.outcome == "failed" else self.offenders
        return {
            "subject": subject,
            "about": self.about,
            "code": self.code,
            "severity": self.severity,
            "outcome": self.outcome,
            "title": self.title,
            "sentence": self.sentence,
            "section": self.section,
            "evidence": json.dumps(list(self.evidence)[:EVIDENCE], ensure_ascii=False, default=str),
            "offenders": "" if count is None else str(count),
        }

    def of(self, name: str) -> "CheckRow":
        """The same row with `about` = `name`; a row that already has an `about` is returned unchanged."""
        return self if self.about else replace(self, about=name)

    @property
    def words(self) -> str:
        """The sentence without the name in `about`."""
        return words({"sentence": self.sentence, "about": self.about})


def words(row: Mapping[str, Any]) -> str:
    """A check's sentence without the name in `about`, for places that already show the name."""
    sentence = str(row["sentence"]).removeprefix(f"{row['about']}: ") if row["about"] else str(row["sentence"])
    return sentence[:1].upper() + sentence[1:]
