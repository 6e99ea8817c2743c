"""How the page shows each kind of model: one file for each kind, with the constant KIND; a kind may have no file."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import TypeAlias

from xray_mining.registry import Kinds

LineStyle: TypeAlias = str | tuple[float, tuple[float, float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelKind:
    """How the page names and draws models of this kind."""

    words: str
    place: int = 100
    """Order in tables: null models first, models that read the truth last."""
    colour: str = "purple"
    """A name in `figures.COLOURS`."""
    line: LineStyle = "-"
    """Line style of its curves."""
    lines: Mapping[str, LineStyle] = field(default_factory=dict)
    """Other line styles, by the model's name in a study (`model: centre`)."""
    marker: str = "o"
    hollow: bool = False
    """Its marker is hollow, because it is not a model of the image."""
    called_by_word: bool = False
    """The page calls a model `centre` instead of `null_centre_age` if the task has only one `model: centre`."""
    first_is_shown: bool = False
    """Figures show the first model of this kind, even if it has no role in the comparison."""
    calibration_shown: bool = True
    """Figures show the calibration of its probabilities."""
    constant: tuple[str, ...] = ()
    """Models (as named in a study) that predict the same for every image, and so have no ROC curve and no points."""
    learn_from_both: str = ""
    """Its models in the list of models that learn from training and validation patients together."""
    learns_from: str = ""
    """A sentence about the patients that its models learn from, instead of `learn_from_both`."""
    is_a_person: bool = False
    """Its predictions are a person's answers; the agreement between people is a goal for models."""
    limits: str = ""
    """A caution about its figures, as a sentence after the target's name."""


KINDS: Kinds[ModelKind] = Kinds("xray_mining.reporting.models", "kind of model")


@cache
def shown(name: str) -> ModelKind:
    """The kind with the name `model_kind`; a kind without a file is shown with its name and the defaults."""
    return KINDS.find(name) if name in KINDS.names() else ModelKind(words=name)
