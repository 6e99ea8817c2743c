"""Compare a model with guessing, by the confidence interval of its score."""

from collections.abc import Sequence
from dataclasses import dataclass

from xray_mining.evaluation.rows import of_all_units, of_experiment
from xray_mining.evaluation.task import TargetKind, Task
from xray_mining.records.estimates import EstimateRow


@dataclass(frozen=True, slots=True)
class Skill:
    """A model's score relative to guessing: its error divided by the error of the centre, or its area."""

    value: float
    low: float
    high: float
    kind: TargetKind

    @property
    def worse(self) -> bool:
        """Whether the whole interval is worse than guessing."""
        return self.low > self.kind.guess if self.kind.less_is_better else self.high < self.kind.guess

    @property
    def unproven(self) -> bool:
        """Whether the interval includes guessing."""
        beyond = self.high < self.kind.guess if self.kind.less_is_better else self.low > self.kind.guess
        return not self.worse and not beyond

    @property
    def words(self) -> str:
        """The score, compared with guessing, as a clause."""
        return self.kind.skill_words(self.value, self.low, self.high)


def skill_of(task: Task, rows: Sequence[EstimateRow], name: str) -> Skill | None:
    """The score of experiment `name` relative to guessing; None if it has no interval, or if no centre was fitted."""
    found = of_experiment(of_all_units(rows, task, task.kind.skill_metric), name)
    if found is None or found.value is None or found.low is None or found.high is None:
        return None
    return Skill(found.value, found.low, found.high, task.kind)
