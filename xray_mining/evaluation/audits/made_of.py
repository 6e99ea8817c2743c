"""MADE001: whether the cohort's header declares the columns of the target, which the metadata null must not read."""

from collections.abc import Sequence

from xray_mining.catalog.made_of import sentence
from xray_mining.evaluation.audits._audit import Audit, AuditedTask, Verdict
from xray_mining.records.cohort import Target


def measure(audited: AuditedTask) -> Target:
    """The target, which has the columns and how they are known."""
    return audited.task.target


def tell(audited: AuditedTask, found: Target) -> Sequence[Verdict]:
    """Failed if the columns were guessed from values, or are not known."""
    if found.made_of_from == "header":
        return [Verdict("passed", f"its header says that it is made of {', '.join(found.made_of) or 'no column'}.")]
    said = sentence(audited.task.cohort.name, found).removeprefix(f"{audited.name}: ")
    return [Verdict("failed", said, 1)]


KIND = Audit(
    code="MADE001",
    title="what the target is made of",
    severity="warning",
    subject=AuditedTask,
    measure=measure,
    tell=tell,
    section="flow",
)
