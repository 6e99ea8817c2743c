"""The kind `baseline`: a scikit-learn model on handcrafted features."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from xray_mining.models.kind import Inputs, Role
from xray_mining.models.kinds._table_kind import SetsKind
from xray_mining.models.options import Options
from xray_mining.models.work import PROCESS_SECONDS, Size, Work, seconds_to_fit, seconds_to_measure

if TYPE_CHECKING:
    from xray_mining.models.fit import Fit, Fitted
    from xray_mining.models.kinds._tables import Sets
    from xray_mining.models.task import StudyParts, Task
    from xray_mining.records.cohort import Target


class BaselineOptions(Options):
    """Handcrafted features and a scikit-learn model."""

    model: Literal["ridge", "boosting", "logistic", "support_vectors"]
    features: list[str] = Field(min_length=1, description="keys of the study's feature sets; their columns are joined")


class BaselineKind(SetsKind[BaselineOptions]):
    """A scikit-learn model on feature sets."""

    name = "baseline"
    options = BaselineOptions
    role = Role.HANDCRAFTED

    def sets(self, options: BaselineOptions) -> Mapping[str, Sequence[str]]:
        """Its feature sets."""
        return {"features": options.features}

    def refuse(self, where: str, options: BaselineOptions, target: "Target") -> None:
        """Refuse a model for numbers on a group, or the reverse."""
        from xray_mining.models.kinds._tables import refuse_other_target

        refuse_other_target(f"{where}.model", options.model, target)

    def threads(self, options: BaselineOptions) -> int:
        """Boosting uses more than one."""
        return 2 if options.model == "boosting" else 1

    def work(self, options: BaselineOptions, study: "StudyParts", size: Size) -> Work:
        """Time of the fits, and of measuring changed pictures."""
        measuring = [seconds_to_measure(study.features[key]) for key in options.features]
        return Work(options.model, PROCESS_SECONDS + 2.0 + seconds_to_fit(options.model, size, measuring))

    def inputs(self, task: "Task[BaselineOptions]") -> Inputs:
        """The pictures, and the sets by their names."""
        return Inputs({"pixels": task.members.pixels_digest(), **self.read(task).names(task)})

    def fit(self, task: "Task[BaselineOptions]", fit: "Fit") -> "tuple[Fitted, dict[str, Any]]":
        """Fit the model on the columns of all sets."""
        from xray_mining.models.kinds._tables import fit_table

        return fit_table(task, fit, task.options.model, self.read(task))

    def read(self, task: "Task[BaselineOptions]") -> "Sets":
        """Its sets."""
        from xray_mining.features.instrument import Features
        from xray_mining.models.kinds._tables import Sets

        return Sets(Features, {key: task.study.features[key] for key in task.options.features})


KIND = BaselineKind()
