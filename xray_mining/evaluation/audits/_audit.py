"""The interface of audits: their subject, their statistics, and the sentences of their verdicts."""

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
from xray_mining.records.evaluation_tables import AuditRow
from xray_mining.statistics.estimate import Estimate
from xray_mining.workspace import Workspace

LEVEL = 0.05
"""An audit fails if an adjusted p is at most this."""


@dataclass(frozen=True, slots=True)
class AuditedTask:
    """One scored task: its predictions, the chosen models and the estimates."""

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
        """The target's name."""
        return self.task.target.name

    @property
    def best(self) -> Model | None:
        """The model chosen on validation patients."""
        return self.task.models.get(self.choice.best)


@dataclass(frozen=True, slots=True)
class AuditedCohort:
    """One frozen cohort, with attributes of its members."""

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
        """An empty text, because a cohort may have several targets."""
        return ""


@dataclass(frozen=True, slots=True)
class NotApplicable:
    """Why an audit cannot run, as a sentence without the name of the task or cohort."""

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
        """A figure from an estimate with its interval, p and patients; `more` sets further fields."""
        same = {name: getattr(found, name) for name in ("value", "low", "high", "patients", "p_value")}
        return cls(**same, **more)


@dataclass(frozen=True, slots=True)
class Verdict:
    """One row of `check_results`."""

    outcome: str
    sentence: str
    """The finding, without the name of the task or cohort, which `run` puts before it."""
    offenders: int | None = None
    evidence: Sequence[Mapping[str, Any]] = ()
    """The first offending rows."""
    about: str = ""
    """An experiment; empty for the audited task or cohort."""
    severity: str = ""
    """Severity of this verdict if it differs from the audit's."""


Subject = TypeVar("Subject", AuditedTask, AuditedCohort)
Found = TypeVar("Found")


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit(Generic[Subject, Found]):
    """One question about a task or a cohort.

    Args:
        code: Code such as SHORT001; unique among all checks.
        title: The question in a few words.
        severity: error, warning or note: how bad a failure is.
        subject: AuditedTask or AuditedCohort.
        measure: Computes the statistics as a frozen value, or returns NotApplicable.
        tell: Returns the verdicts with their sentences; several if it judges each experiment.
        figures: The numbers of the verdict, for the table `audits`.
        family: The family of these numbers in that table; empty if the audit has no figures.
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

    def run(self, subject: Subject) -> tuple[list[AuditRow], list[CheckRow]]:
        """Run the audit; rows of `audits` and of `check_results`.

        There is always a row of `check_results`, because an audit without one could be mistaken for a passed one.
        """
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

    def _figure(self, subject: Subject, figure: Figure) -> AuditRow:
        numbers = {name: number(getattr(figure, name)) for name in ("value", "low", "high", "p_value", "p_adjusted")}
        columns: dict[str, Any] = asdict(figure) | numbers
        return AuditRow(code=self.code, audit=self.family, target=subject.target, **columns)


def level_words(name: str) -> str:
    """A column of images in words, for example 'institution' for institution_key."""
    return name.removesuffix("_key").replace("_", " ")
