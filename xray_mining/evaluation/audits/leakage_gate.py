"""GATE003: repeat the leakage gate that runs before each fit: no patient and no exposure may be in two splits."""

from collections.abc import Sequence
from dataclasses import dataclass

from xray_mining.errors import CheckFailed, UserError
from xray_mining.evaluation.audits._audit import Audit, AuditedCohort, Verdict


@dataclass(frozen=True, slots=True)
class Gated:
    """The result of the gate."""

    outcome: str
    reason: str
    """Why it failed or could not run; an empty text if it passed."""
    unchecked: tuple[str, ...] = ()
    """A sentence for each check of the gate that could not run."""


def measure(audited: AuditedCohort) -> Gated:
    """Run the gate; skipped if the catalog cannot be read."""
    from xray_mining.catalog.cohort import gate

    try:
        return Gated("passed", "", gate(audited.workspace, audited.cohort))
    except CheckFailed as error:
        return Gated("failed", f"{error}".removeprefix(f"cohort {audited.name}: "))
    except UserError as error:
        return Gated("skipped", f"{error}")


def tell(_: AuditedCohort, found: Gated) -> Sequence[Verdict]:
    """The result of the gate, with the checks that could not run."""
    if found.outcome == "passed":
        return [Verdict("passed", " ".join(["no patient and no exposure is in two splits.", *found.unchecked]))]
    return [Verdict(found.outcome, found.reason, 1 if found.outcome == "failed" else None)]


KIND = Audit(
    code="GATE003",
    title="the leakage gate: patients and exposures in two splits",
    severity="error",
    subject=AuditedCohort,
    measure=measure,
    tell=tell,
    section="flow",
)
