"""Audits: checks of a cohort, or of the scores of a task. Each audit is one file, found by its name.

A new audit is a new file with the constant `KIND`, and a line in docs/statistics.md.
"""

from collections.abc import Iterator
from typing import Any

from xray_mining.evaluation.audits._audit import Audit, AuditedCohort, AuditedTask
from xray_mining.records.check_results import CheckRow
from xray_mining.records.evaluation_tables import AuditRow
from xray_mining.registry import Kinds

AUDITS: Kinds[Audit[Any, Any]] = Kinds("xray_mining.evaluation.audits", "audit")


def audit(audited: AuditedTask | AuditedCohort) -> tuple[list[AuditRow], list[CheckRow]]:
    """Run all audits of one task or one cohort; rows of `audits` and of `check_results`, sorted by code."""
    figures, verdicts = [], []
    for each in audits_of(type(audited)):
        found = each.run(audited)
        figures += found[0]
        verdicts += found[1]
    return figures, verdicts


def audits_of(subject: type[AuditedTask | AuditedCohort]) -> Iterator[Audit[Any, Any]]:
    """The audits of tasks, or those of cohorts, sorted by code."""
    yield from sorted((each for each in AUDITS.every().values() if each.subject is subject), key=lambda each: each.code)
