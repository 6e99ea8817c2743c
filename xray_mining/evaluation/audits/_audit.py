"""What every audit is made of: what it looks at, what it measures, and how that becomes a sentence."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Generic, TypeVar

import polars as pl

from xray_mining.evaluation.choice import Choice
from xray_mining.evaluation.comparisons import Smallest
from xray_mining.evaluation.options import EvaluationOptions
from xray_mining.evaluation.rows import number
from xray_mining.evaluation.task import Model, Task
from xray_mining.records.check_results import CheckRow
from xray_mining.records.cohort import FrozenCohort
from xray_mining.records.estimates import EstimateRow
from xray_mining.statistics.estimate import Estimate
from xray_mining.workspace import Workspace

LEVEL = 0.05
"""An audit fails where an adjusted p is at most this."""


@dataclass(frozen=True, slots=True)
class AuditedTask:
    """One scored task: its predictions, and what was decided and estimated from them."""

    task: Task
    options: EvaluationOptions
    choice: Choice
    scores: Sequence[EstimateRow] = ()
    """Rows of estimates over all test units."""
    subgroups: Sequence[EstimateRow] = ()
    """Rows of estimates by subgroup."""
    smallest: Smallest | None = None

    @property
    def name(self) -> str:
        """COHORT/TARGET."""
        return self.task.name

    @property
    def target(self) -> str:
        """What is predicted."""
        return self.task.target.name

    @property
    def best(self) -> Model | None:
        """The model chosen on validation patients."""
        return self.task.models.get(self.choice.best)


@dataclass(frozen=True, slots=True)
class AuditedCohort:
    """One frozen cohort, with what is known of its members."""

    cohort: FrozenCohort
    attributes: pl.DataFrame
    """Columns of images that describe the members, by image_key."""
    workspace: Workspace

    @property
    def name(self) -> str:
        """The cohort's name."""
        return self.cohort.name

    @property
    def target(self) -> str:
        """Empty: a cohort may have several targets."""
        return ""


@dataclass(frozen=True, slots=True)
class NotApplicable:
    """Why an audit cannot be made, as a sentence without the name of the task or cohort."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One row of the table `audits`: a number that the verdict is based on."""

    words: str
    metric: str
    patients: int
    experiment: str = ""
    attribute: str = ""
    label: str = ""
    value: float | None = None
    low: float | None = None
    high: float | None = None
    p_value: float | None = None
    p_adjusted: float | None = None

    @classmethod
    def of(cls, found: Estimate, **more: Any) -> "Figure":
        """An estimate with its interval, p and patients, and what else is said of it."""
        same = {name: getattr(found, name) for name in ("value", "low", "high", "patients", "p_value")}
        return cls(**same, **more)


@dataclass(frozen=True, slots=True)
class Verdict:
    """One row of `check_results`."""

    outcome: str
    sentence: str
    """What was found, without the name of what it is about: `run` puts that name before it."""
    offenders: int | None = None
    evidence: Sequence[Mapping[str, Any]] = ()
    """The first offending rows."""
    about: str = ""
    """An experiment; empty for the audited task or cohort."""
    severity: str = ""
    """Where it differs from the audit's."""


Subject = TypeVar("Subject", AuditedTask, AuditedCohort)
Found = TypeVar("Found")


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit(Generic[Subject, Found]):
    """One question about a task or a cohort.

    Args:
        code: As SHORT001; unique among all checks.
        title: What is asked, in a few words.
        severity: error, warning or note: how bad a failure is.
        subject: AuditedTask or AuditedCohort: what it looks at.
        measure: The statistics: what was found as a frozen value, or why the audit is not applicable.
        tell: The words: one verdict, or several where it judges experiment by experiment.
        figures: The numbers behind the verdict, for the table `audits`.
        family: Which of that table's families they belong to; empty where the audit leaves no figures.
        section: Anchor of the page's section that the verdict belongs to.
    """

    code: str
    title: str
    severity: str
    subject: type[Subject]
    measure: Callable[[Subject], Found | NotApplicable]
    tell: Callable[[Subject, Found], Sequence[Verdict]]
    figures: Callable[[Subject, Found], Sequence[Figure]] = lambda _, __: ()
    family: str = ""
    section: str = "audits"

    def run(self, subject: Subject) -> tuple[list[dict[str, Any]], list[CheckRow]]:
        """Rows of `audits` and of `check_results`; at least one of the latter, so that silence never means health."""
        found = self.measure(subject)
        if isinstance(found, NotApplicable):
            return [], [self._checked(subject, Verdict("not_applicable", found.reason))]
        figures = [self._figure(subject, each) for each in self.figures(subject, found)]
        return figures, [self._checked(subject, each) for each in self.tell(subject, found)]

    def _checked(self, subject: Subject, verdict: Verdict) -> CheckRow:
        about = verdict.about or subject.name
        return CheckRow(
            self.code,
            verdict.severity or self.severity,
            verdict.outcome,
            self.title,
            f"{about}: {verdict.sentence}",
            evidence=verdict.evidence,
            offenders=verdict.offenders,
            section=self.section,
            about=about,
        )

    def _figure(self, subject: Subject, figure: Figure) -> dict[str, Any]:
        numbers = ("value", "low", "high", "p_value", "p_adjusted")
        row: dict[str, Any] = {"code": self.code, "audit": self.family, "target": subject.target}
        row |= asdict(figure)
        return row | {name: number(row[name]) for name in numbers}


def level_words(name: str) -> str:
    """A column of images as people call it: 'institution' for institution_key."""
    return name.removesuffix("_key").replace("_", " ")
