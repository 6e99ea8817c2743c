"""SIZE001: whether there are enough test patients for reliable intervals."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from xray_mining.evaluation.audits._audit import Audit, AuditedTask, Verdict
from xray_mining.statistics.auc import FEW_IN_CLASS


@dataclass(frozen=True, slots=True)
class Patients:
    """Number of tested patients, by class for targets with classes."""

    total: int
    of_class: dict[str, int]
    """Patients by class, without empty classes; empty for a number."""
    missing: tuple[str, ...]
    """Classes of the target without a test patient."""
    levels: Mapping[str, int]
    """Test patients by level, for a target with ordered levels."""

    @property
    def least(self) -> int:
        """Patients of the smallest class; of all for a number."""
        return min(self.of_class.values()) if self.of_class else self.total


def measure(audited: AuditedTask) -> Patients:
    """Count the test patients."""
    task = audited.task
    of_class = task.kind.patients_by_class(task)
    missing = tuple(name for name in task.target.classes if name not in of_class) if of_class else ()
    return Patients(task.patients, of_class, missing, task.kind.levels(task))


def of_levels(found: Patients, least: int) -> str:
    """Levels without a test patient or with few, as a clause; counts under `least` patients are not printed.

    Not a failure: errors and kappa are over all levels, but they say nothing of a level that is not tested.
    """
    none = [name for name, count in found.levels.items() if not count]
    few = [name for name, count in found.levels.items() if 0 < count < least]
    if not none and not few:
        return ""
    said = [f"no test patient has level {', '.join(none)}"] if none else []
    said += [f"fewer than {least} have level {', '.join(few)}"] if few else []
    these = "these levels" if len(none + few) > 1 else "this level"
    return f"; {'; '.join(said)}, so the figures are unreliable for {these}"


def tell(audited: AuditedTask, found: Patients) -> Sequence[Verdict]:
    """Failed if a class has no test patient, or fewer than FEW_IN_CLASS."""
    kind = audited.task.kind
    few = [f"{name} ({count})" for name, count in found.of_class.items() if count < FEW_IN_CLASS]
    if found.missing:
        named = ", ".join(found.missing)
        sentence = f"{kind.without_class.format(named)}; areas of {named} cannot be computed."
        return [Verdict("failed", sentence, len(found.missing))]
    if few:
        sentence = (
            f"fewer than {FEW_IN_CLASS} test patients in {', '.join(few)}; intervals of areas may be too narrow or "
            f"misplaced."
        )
        return [Verdict("failed", sentence, len(few))]
    if not found.of_class and found.total < FEW_IN_CLASS:
        levels = of_levels(found, audited.options.least_patients)
        sentence = f"only {found.total} test patients; intervals of errors may be too narrow or misplaced{levels}."
        return [Verdict("failed", sentence, 1)]
    cell = audited.options.least_patients
    where = f" {kind.in_smallest_class}" if found.of_class else ""
    sentence = (
        f"{found.least:,} test patients{where}; groups of fewer than {cell} patients are not reported"
        f"{of_levels(found, cell)}."
    )
    return [Verdict("passed", sentence)]


KIND = Audit(
    code="SIZE001",
    title="the number of test patients",
    severity="warning",
    subject=AuditedTask,
    measure=measure,
    tell=tell,
)
