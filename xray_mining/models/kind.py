"""The interface of a kind of model, which each file of `models/kinds` implements."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
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
"""Seed of a fit without random numbers."""


class Role(Enum):
    """What an evaluation compares a kind of model as."""

    NULL = auto()
    """A null model: what can be said without the anatomy. The best one is compared with every other model."""
    HANDCRAFTED = auto()
    """Features that people designed. The best one is compared with every other model."""
    FROZEN = auto()
    """A network that was trained for something else. The best one is compared with every other model."""
    READER = auto()
    """A person who read the same images. Every model is compared with each."""
    ORACLE = auto()
    """A model that reads the phantom's truth."""
    OTHER = auto()


class Sight(Enum):
    """What a model can see of the anatomy."""

    NOTHING = auto()
    """It says the same of every image."""
    NO_PICTURE = auto()
    """It reads no pixels."""
    TRACES = auto()
    """It reads pixels in which some anatomy shows: fluid whitens a picture, shoulders are at its border."""
    ANATOMY = auto()


@dataclass(frozen=True, slots=True)
class Inputs:
    """Inputs of an experiment's predictions, apart from its options and its cohort."""

    digests: Mapping[str, str]
    """Digest of each input, by name. If one changes, the experiment is fitted again."""
    licences: Mapping[str, str] = field(default_factory=dict)
    """Licence of pretrained weights, by their name."""


class ModelKind(Generic[Chosen]):
    """One kind of model. Each file of `models/kinds` has one object of a subclass in its constant KIND.

    A subclass sets `name` and `options`, defines `fit`, and overrides the defaults where it differs. Its file is
    imported whenever a study is read, so it must import heavy packages (numpy, polars, scikit-learn, torch) in methods.
    """

    name: str
    """Name of the file; also `model_kind` in predictions."""
    options: type[Chosen]
    """Options of an experiment of this kind; the field `model` lists the words that select the kind."""
    role: Role = Role.OTHER
    may_be_best: bool = True
    """Whether an evaluation may call it the best model; False for models that do not see the anatomy or read truths."""
    calibrates: bool = True
    """Whether its values may be calibrated on validation patients; False for a human reader's answers."""
    seeded: bool = False
    """Whether each seed of the design gives a separate fit; otherwise each rotation has one fit."""
    predicts_changed: bool = False
    """Whether `changed` is defined."""
    versions: tuple[str, ...] = ("xray-mining", "numpy", "scikit-learn")
    """Packages whose versions can change the predictions."""

    def words(self) -> tuple[str, ...]:
        """Values of `model:` in a study that select this kind."""
        return get_args(self.options.model_fields["model"].annotation)

    # Called when a study is read and planned, before any step runs.

    def sets(self, options: Chosen) -> Mapping[str, Sequence[str]]:
        """Keys of the sets that the model reads, by section of the study (`features`, `embeddings`)."""
        return {}

    def members(self, options: Chosen) -> Sequence[str]:
        """Experiments of the same study that must be fitted first."""
        return ()

    def by_itself(self, cohort: str, target: str) -> Iterator[Chosen]:
        """Experiments that are added to every cohort and target of a study."""
        yield from ()

    def refuse(self, where: str, options: Chosen, target: "Target") -> None:
        """UserError for an unknown name, or a model that cannot predict this target; `where` names the experiment."""

    def missing(self, options: Chosen) -> str:
        """Why it cannot run on this machine, as a clause; an empty text if it can."""
        return ""

    def without(self, options: Chosen, absent: Sequence[str]) -> Chosen | str:
        """The options without the members that cannot run, or the reason why it cannot run without them."""
        return f"its member '{absent[0]}' cannot run"

    def threads(self, options: Chosen) -> int:
        """Number of cores that its step uses."""
        return 1

    def work(self, options: Chosen, study: "StudyParts", size: "Size") -> "Work":
        """Roughly estimated time of all its fits."""
        from xray_mining.models.work import small_work

        return small_work(options.model, size)

    # Called when predictions are evaluated, also those of earlier versions.

    def sight(self, word: str) -> Sight:
        """What the model that a study calls `word` sees of the anatomy."""
        return Sight.ANATOMY

    def chose_by_rotation(self, stated: Mapping[str, Any]) -> bool:
        """Whether options, as experiment.json states them, choose a model in each rotation by its own patients."""
        return False

    # Called when an experiment is trained.

    def seeds(self, design: DesignOptions) -> list[int]:
        """Seeds of the fits in each rotation."""
        return list(design.seeds) if self.seeded else [NO_SEED]

    def inputs(self, task: "Task[Chosen]") -> Inputs:
        """Digests of its inputs. Raises UserError if an input is missing."""
        return Inputs({})

    def fit(self, task: "Task[Chosen]", fit: "Fit") -> "tuple[Fitted, dict[str, Any]]":
        """Fit one rotation with one seed, and save the model in the experiment's folder.

        Args:
            task: The experiment: options, cohort, workspace, folder.
            fit: The rotation: its images with role and truth.

        Returns:
            Predictions for the validation and test images, and the choices of the fit (as hyperparameters) for JSON.
        """
        raise NotImplementedError

    def changed(self, task: "Task[Chosen]", fit: "Fit", keys: list[str], variant: str) -> "Fitted":
        """Predictions of the saved model for images changed as in `variant`."""
        raise NotImplementedError

    # Called when a trained experiment is applied to new files by `predict`.

    def applied(self, experiment: "Experiment", means: "Means") -> "dict[str, Applied]":
        """Each saved fit by its name (rotation0-seed0). Raises UserError if it cannot be applied to pictures."""
        raise UserError(f"{experiment.name}: models of kind {self.name} cannot be applied to pictures")

    @property
    def files(self) -> "Mapping[str, Callable[[Path, Means], Applied]]":
        """Functions that read a fit's file, by the file's suffix."""
        return {}
