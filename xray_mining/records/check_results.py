"""check_results: what was checked, and the evidence."""

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
    """Outcomes are four, so silence is never mistaken for health."""

    table = "check_results"
    home = "results"
    question = "one check of a workspace, cohort or study"

    subject = text("the study or cohort; empty for the workspace")
    about = text(
        "what the check is about: a task (COHORT/TARGET), a cohort or an experiment of the study; empty for all of it",
        nullable=True,
    )
    code = text("code of the check, as LEAK001")
    severity = choice("how bad a failure is", SEVERITIES)
    outcome = choice("what came out", OUTCOMES)
    title = text("the check in words")
    sentence = text("what was found, in one sentence")
    section = text("anchor of the report's section it belongs to; empty where it belongs to none")
    evidence = text("JSON list of the first offending rows")
    offenders = text("how many rows offend, as text: a number, or '' where it does not apply")

    @classmethod
    def upgrade(cls, frame: pl.DataFrame) -> pl.DataFrame:
        """A part of before `about` was there speaks of the whole study."""
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
    """None: as many as `evidence` where it failed; else this does not apply."""
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
        """The same about `name`, where it says nothing else."""
        return self if self.about else replace(self, about=name)

    @property
    def words(self) -> str:
        """The sentence without the name of what it is about."""
        return words({"sentence": self.sentence, "about": self.about})


def words(row: Mapping[str, Any]) -> str:
    """A check's sentence without the name of what it is about, for where that is said already."""
    sentence = str(row["sentence"]).removeprefix(f"{row['about']}: ") if row["about"] else str(row["sentence"])
    return sentence[:1].upper() + sentence[1:]
