"""What a kind of model is: the interface that each file of `models/kinds` fills in."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, TypeVar, get_args

from xray_mining.errors import UserError
from xray_mining.models.options import DesignOptions, Options

if TYPE_CHECKING:
    from pathlib import Path

    from xray_mining.models.applied import Applied, Experiment, Means
    from xray_mining.models.fit import Fit, Fitted
    from xray_mining.models.task import StudyParts, Task
    from xray_mining.models.work import Size, Work
    from xray_mining.records.cohort import Target

Chosen = TypeVar("Chosen", bound=Options)

NO_SEED = -1
"""Seed of a fit in which chance plays no part."""


@dataclass(frozen=True, slots=True)
class Inputs:
    """What an experiment's predictions are computed from, beside its options and its cohort."""

    digests: Mapping[str, str]
    """Name of each input → its digest. Where one differs, the experiment is fitted again."""
    licences: Mapping[str, str] = field(default_factory=dict)
    """Name of pretrained weights → their licence."""


class ModelKind(Generic[Chosen]):
    """One kind of model. A file of `models/kinds` makes one object of a subclass: its constant KIND.

    A subclass states `name` and `options`, defines `fit`, and overrides what differs from the defaults. Its file is
    imported whenever a study is read, so heavy packages (numpy, polars, scikit-learn, torch) are imported in methods.
    """

    name: str
    """The file's name; it is `model_kind` in predictions."""
    options: type[Chosen]
    """What a study may say about an experiment of this kind; its field `model` lists the words that name the kind."""
    may_be_best: bool = True
    """Whether an evaluation may call it the best model: not where it cannot see the anatomy, or reads the truth."""
    calibrates: bool = True
    """Whether its values may be calibrated on validation patients: not what somebody said."""
    seeded: bool = False
    """Whether each seed of the design gives a fit of its own; else there is one fit a rotation."""
    predicts_changed: bool = False
    """Whether `changed` is defined."""
    versions: tuple[str, ...] = ("xray-mining", "numpy", "scikit-learn")
    """Packages whose version changes the predictions."""

    def words(self) -> tuple[str, ...]:
        """Words of a study's `model:` that name this kind."""
        return get_args(self.options.model_fields["model"].annotation)

    # What a study asks before any work begins.

    def sets(self, options: Chosen) -> Mapping[str, Sequence[str]]:
        """Section of the study (`features`, `embeddings`) → keys of the sets that the model reads."""
        return {}

    def members(self, options: Chosen) -> Sequence[str]:
        """Experiments of the same study that must be fitted first."""
        return ()

    def by_itself(self, cohort: str, target: str) -> Iterator[Chosen]:
        """Experiments that every cohort and target of a study gets without being named."""
        yield from ()

    def refuse(self, where: str, options: Chosen, target: "Target") -> None:
        """UserError for a name that does not exist, or a model that cannot predict this target; `where` is its key."""

    def missing(self, options: Chosen) -> str:
        """Why it cannot run on this machine, as a clause; empty where it can."""
        return ""

    def without(self, options: Chosen, absent: Sequence[str]) -> Chosen | str:
        """The options without the members that cannot run, or why it cannot run without them."""
        return f"its member '{absent[0]}' cannot run"

    def threads(self, options: Chosen) -> int:
        """Cores that its step uses."""
        return 1

    def work(self, options: Chosen, study: "StudyParts", size: "Size") -> "Work":
        """A rough guess of the time that all its fits take."""
        from xray_mining.models.work import small_work

        return small_work(options.model, size)

    # What one experiment does.

    def seeds(self, design: DesignOptions) -> list[int]:
        """Seeds of its fits in each rotation."""
        return list(design.seeds) if self.seeded else [NO_SEED]

    def inputs(self, task: "Task[Chosen]") -> Inputs:
        """Digests of what it reads. Raises UserError where an input is not there."""
        return Inputs({})

    def fit(self, task: "Task[Chosen]", fit: "Fit") -> "tuple[Fitted, dict[str, Any]]":
        """Learn in one rotation under one seed, and keep the model in the experiment's folder.

        Returns:
            Predictions of the validation and test images, and what the fit chose, as JSON.
        """
        raise NotImplementedError

    def changed(self, task: "Task[Chosen]", fit: "Fit", keys: list[str], variant: str) -> "Fitted":
        """Predictions of the kept model for images that are changed as `variant` says."""
        raise NotImplementedError

    # What `predict` does with it.

    def applied(self, experiment: "Experiment", means: "Means") -> "dict[str, Applied]":
        """Each kept fit by its name (rotation0-seed0). Raises UserError where it cannot be applied to a picture."""
        raise UserError(f"{experiment.name}: models of kind {self.name} cannot be applied to pictures")

    @property
    def files(self) -> "Mapping[str, Callable[[Path, Means], Applied]]":
        """Suffix of a fit's file → the function that reads it."""
        return {}
