"""Audits: tests for faults of a cohort or of the scores of a task. One file for each audit, found by its name.

A new audit is a new file with the constant `KIND`; docs/statistics.md describes it in one line.
"""

from collections.abc import Iterator
from typing import Any

from xray_mining.evaluation.audits._audit import Audit, AuditedCohort, AuditedTask
from xray_mining.records.check_results import CheckRow
from xray_mining.records.evaluation_tables import AuditRow
from xray_mining.registry import Kinds

AUDITS: Kinds[Audit[Any, Any]] = Kinds("xray_mining.evaluation.audits", "audit")


def audit(audited: AuditedTask | AuditedCohort) -> tuple[list[AuditRow], list[CheckRow]]:
    """Rows of `audits` and of `check_results` for one task or one cohort, by the code of the audit."""
    figures, verdicts = [], []
    for each in audits_of(type(audited)):
        found = each.run(audited)
        figures += found[0]
        verdicts += found[1]
    return figures, verdicts


def audits_of(subject: type[AuditedTask | AuditedCohort]) -> Iterator[Audit[Any, Any]]:
    """The audits of tasks, or the audits of cohorts, sorted by code."""
    yield from sorted((each for each in AUDITS.every().values() if each.subject is subject), key=lambda each: each.code)
