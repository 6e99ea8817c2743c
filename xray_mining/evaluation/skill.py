"""Whether a model is better than guessing, by the interval of its own score."""

from collections.abc import Sequence
from dataclasses import dataclass

from xray_mining.evaluation.rows import of_all_units, of_experiment
from xray_mining.evaluation.task import TargetKind, Task
from xray_mining.records.estimates import EstimateRow


@dataclass(frozen=True, slots=True)
class Skill:
    """A model's score and the score of guessing: the centre's error, or an area under the curve of one half."""

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
        """The score, and the score of guessing, as a clause."""
        return self.kind.skill_words(self.value, self.low, self.high)


def skill_of(task: Task, rows: Sequence[EstimateRow], name: str) -> Skill | None:
    """What an experiment's rows of estimates say of it; None without an interval, or without a centre to compare to."""
    found = of_experiment(of_all_units(rows, task, task.kind.skill_metric), name)
    if found is None or found.value is None or found.low is None or found.high is None:
        return None
    return Skill(found.value, found.low, found.high, task.kind)
