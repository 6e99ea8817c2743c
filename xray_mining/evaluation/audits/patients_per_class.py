"""SIZE001: whether there are enough test patients for reliable intervals."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from xray_mining.evaluation.audits._audit import Audit, AuditedTask, Verdict
from xray_mining.records.small_counts import is_small, told
from xray_mining.statistics.auc import FEW_IN_CLASS


@dataclass(frozen=True, slots=True)
class Patients:
    """Number of tested patients, by class for targets with classes."""

    total: int
    of_class: dict[str, int]
    """Patients by class, without empty classes; empty for a number."""
    missing: tuple[str, ...]
    """Classes of the target without a test patient whose truth is known."""
    unknown: tuple[str, ...]
    """Labels whose truth is not known for any test patient; no part of `missing`."""
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
    counts = task.kind.unknown(task)
    unknown = tuple(name for name in task.target.classes if counts.get(name) == len(task.units))
    absent = [name for name in task.target.classes if name not in of_class and name not in unknown]
    missing = tuple(absent) if of_class or unknown else ()
    return Patients(task.patients, of_class, missing, unknown, task.kind.levels(task))


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


def _counted(name: str, found: Patients, least: int) -> str:
    """A class with its patients; beside a small class no number, as the sum of all classes is printed."""
    count = found.of_class[name]
    if not is_small(count, least) and any(is_small(each, least) for each in found.of_class.values()):
        return name
    return f"{name} ({told(count, least)})"


def tell(audited: AuditedTask, found: Patients) -> Sequence[Verdict]:
    """Failed if a class has no test patient, or fewer than FEW_IN_CLASS."""
    kind, cell = audited.task.kind, audited.options.least_patients
    few = [_counted(name, found, cell) for name, count in found.of_class.items() if count < FEW_IN_CLASS]
    if found.missing or found.unknown:
        why = [kind.without_class.format(", ".join(found.missing))] if found.missing else []
        why += [f"the truth of {', '.join(found.unknown)} is not known for any test patient"] if found.unknown else []
        without = (*found.missing, *found.unknown)
        sentence = f"{'; '.join(why)}; areas of {', '.join(without)} cannot be computed."
        return [Verdict("failed", sentence, len(without))]
    if few:
        sentence = (
            f"fewer than {FEW_IN_CLASS} test patients in {', '.join(few)}; intervals of areas may be too narrow or "
            f"misplaced."
        )
        return [Verdict("failed", sentence, len(few))]
    if not found.of_class and found.total < FEW_IN_CLASS:
        count, levels = told(found.total, cell), of_levels(found, cell)
        sentence = f"only {count} test patients; intervals of errors may be too narrow or misplaced{levels}."
        return [Verdict("failed", sentence, 1)]
    where = f" {kind.in_smallest_class}" if found.of_class else ""
    sentence = (
        f"{told(found.least, cell)} test patients{where}; groups of fewer than {cell} patients are not reported"
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
