"""SIZE002: the smallest difference between the best model and its rival that this test set could detect."""

from collections.abc import Sequence

from xray_mining.evaluation.audits._audit import Audit, AuditedTask, Figure, NotApplicable, Verdict
from xray_mining.evaluation.comparisons import Smallest, rival


def measure(audited: AuditedTask) -> Smallest | NotApplicable:
    """The smallest difference, which was computed with the comparisons."""
    if audited.smallest is None and rival(audited.choice) is not None:
        return NotApplicable(
            f"the smallest detectable difference between two models cannot be computed for a target of kind "
            f"{audited.task.target.kind} or for these predictions."
        )
    return audited.smallest or NotApplicable("there is no second model to compare the best one with.")


def words(audited: AuditedTask, found: Smallest) -> str:
    """The differences that the test set would miss, as a clause."""
    return (
        f"a true difference in {audited.task.kind.title} from {audited.task.words(found.rival)} of less than "
        f"{found.difference:.3f}{audited.task.unit} would be missed in more than 2 of 10 repetitions "
        f"(one test of this pair at the level of 5 %)"
    )


def tell(audited: AuditedTask, found: Smallest) -> Sequence[Verdict]:
    """Always passed, because the difference is reported, not judged."""
    return [Verdict("passed", f"{words(audited, found)}.")]


def figures(audited: AuditedTask, found: Smallest) -> Sequence[Figure]:
    """One row."""
    return [
        Figure(
            attribute=found.rival,
            metric="smallest_difference",
            value=found.difference,
            patients=audited.task.patients,
            words=words(audited, found),
        )
    ]


KIND = Audit(
    code="SIZE002",
    title="the size of the test set",
    severity="note",
    subject=AuditedTask,
    measure=measure,
    tell=tell,
    figures=figures,
    family="sample_size",
)
