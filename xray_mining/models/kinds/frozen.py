"""The kind `frozen`: a scikit-learn model on vectors of a frozen network."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from xray_mining.models.kind import Inputs, Role
from xray_mining.models.kinds._table_kind import SetsKind
from xray_mining.models.options import Options
from xray_mining.models.work import (
    PROCESS_SECONDS,
    TORCH_SECONDS,
    Size,
    Work,
    seconds_to_embed,
    seconds_to_fit,
)
from xray_mining.networks.weights import WeightsSource, find_weights

if TYPE_CHECKING:
    from xray_mining.models.fit import Fit, Fitted
    from xray_mining.models.kinds._tables import Sets
    from xray_mining.models.task import StudyParts, Task
    from xray_mining.records.cohort import Target


class FrozenOptions(Options):
    """Vectors of a frozen network, and a linear or kernel model on top."""

    model: Literal["frozen"]
    embeddings: list[str] = Field(
        min_length=1, description="keys of the study's embedding sets; their columns are joined"
    )
    head: Literal["ridge", "logistic", "support_vectors"]
    components: int = Field(0, ge=0, description="principal components kept before the head; 0 keeps all")


class FrozenKind(SetsKind[FrozenOptions]):
    """A scikit-learn model on embedding sets."""

    name = "frozen"
    options = FrozenOptions
    role = Role.FROZEN

    def sets(self, options: FrozenOptions) -> Mapping[str, Sequence[str]]:
        """Its embedding sets."""
        return {"embeddings": options.embeddings}

    def refuse(self, where: str, options: FrozenOptions, target: "Target") -> None:
        """Refuse a head for numbers on a group, or the reverse."""
        from xray_mining.models.kinds._tables import refuse_other_target

        refuse_other_target(f"{where}.head", options.head, target)

    def work(self, options: FrozenOptions, study: "StudyParts", size: Size) -> Work:
        """Time of the fits, and of embedding changed pictures."""
        measuring = [seconds_to_embed(study.embeddings[key], size.gpu) for key in options.embeddings]
        seconds = seconds_to_fit(options.head, size, measuring, options.components)
        return Work(f"frozen {options.head}", PROCESS_SECONDS + TORCH_SECONDS + seconds)

    def inputs(self, task: "Task[FrozenOptions]") -> Inputs:
        """The pictures, and the sets by their names, which depend on the weights."""
        found = {"pixels": task.members.pixels_digest(), **self.read(task).names(task)}
        weights = {key: _weights(task, key) for key in task.options.embeddings}
        licences = {task.study.embeddings[key].backbone: each.licence for key, each in weights.items() if each.licence}
        return Inputs(found, licences)

    def fit(self, task: "Task[FrozenOptions]", fit: "Fit") -> "tuple[Fitted, dict[str, Any]]":
        """Fit the head on the columns of all sets."""
        from xray_mining.models.kinds._tables import fit_table

        weights = {key: _weights(task, key).digest for key in task.options.embeddings}
        more = {"weights": weights}
        return fit_table(task, fit, task.options.head, self.read(task), components=task.options.components, more=more)

    def read(self, task: "Task[FrozenOptions]") -> "Sets":
        """Its sets."""
        from xray_mining.models.embedding import Embeddings
        from xray_mining.models.kinds._tables import Sets

        return Sets(Embeddings, {key: task.study.embeddings[key] for key in task.options.embeddings})


def _weights(task: "Task[FrozenOptions]", key: str) -> WeightsSource:
    each = task.study.embeddings[key]
    return find_weights(each.backbone, each.weights, each.weights_licence)


KIND = FrozenKind()
