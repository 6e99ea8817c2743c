"""GATE003: the gate before every fit, once more: no patient and no exposure may be on two sides of the split."""

from collections.abc import Sequence
from dataclasses import dataclass

from xray_mining.errors import CheckFailed, UserError
from xray_mining.evaluation.audits._audit import Audit, AuditedCohort, Verdict


@dataclass(frozen=True, slots=True)
class Gated:
    """How the gate ended."""

    outcome: str
    reason: str
    """Why it failed or could not be asked; empty where it passed."""
    unchecked: tuple[str, ...] = ()
    """A sentence for each check of the gate that could not look."""


def measure(audited: AuditedCohort) -> Gated:
    """The gate's own answer."""
    from xray_mining.catalog.cohort import gate

    try:
        return Gated("passed", "", gate(audited.workspace, audited.cohort))
    except CheckFailed as error:
        return Gated("failed", f"{error}".removeprefix(f"cohort {audited.name}: "))
    except UserError as error:
        return Gated("skipped", f"{error}")


def tell(_: AuditedCohort, found: Gated) -> Sequence[Verdict]:
    """As the gate ended; what it could not check is said beside."""
    if found.outcome == "passed":
        return [Verdict("passed", " ".join(["the gate found no offender.", *found.unchecked]))]
    return [Verdict(found.outcome, found.reason, 1 if found.outcome == "failed" else None)]


KIND = Audit(
    code="GATE003",
    title="the leakage gate: patients and exposures on two sides",
    severity="error",
    subject=AuditedCohort,
    measure=measure,
    tell=tell,
    section="flow",
)
