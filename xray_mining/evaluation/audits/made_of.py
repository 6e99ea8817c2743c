"""MADE001: whether the cohort's header names the columns that the target is made of.

The metadata null model must not read these columns, or it would read the target itself.
"""

from collections.abc import Sequence

from xray_mining.catalog.made_of import sentence
from xray_mining.evaluation.audits._audit import Audit, AuditedTask, Verdict
from xray_mining.records.cohort import Target


def measure(audited: AuditedTask) -> Target:
    """The target, with its columns and how they are known."""
    return audited.task.target


def tell(audited: AuditedTask, found: Target) -> Sequence[Verdict]:
    """Failed if the columns were guessed from values, or are not known."""
    if found.made_of_from == "header":
        return [
            Verdict(
                "passed",
                f"the cohort's header says that the target is made of {', '.join(found.made_of) or 'no column'}.",
            )
        ]
    said = sentence(audited.task.cohort.name, found).removeprefix(f"{audited.name}: ")
    return [Verdict("failed", said, 1)]


KIND = Audit(
    code="MADE001",
    title="columns that the target is made of",
    severity="warning",
    subject=AuditedTask,
    measure=measure,
    tell=tell,
    section="flow",
)
