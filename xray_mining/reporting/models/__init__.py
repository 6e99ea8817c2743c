"""Kinds of model as the page shows them: one file a kind, each with its constant KIND; a kind may do without a file."""

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
    """Place in tables: from the kind that knows least to the one that knows the truth."""
    colour: str = "purple"
    """A name in `figures.COLOURS`."""
    line: LineStyle = "-"
    """Stroke of its curves."""
    lines: Mapping[str, LineStyle] = field(default_factory=dict)
    """The same for some of its models, by their word in a study."""
    marker: str = "o"
    hollow: bool = False
    """Its marker is hollow: it is not a model of the image."""
    called_by_word: bool = False
    """A model whose word no other of its task has is called by this word, not by its name."""
    first_is_shown: bool = False
    """Figures show the first model of this kind, also where it has no role in the comparison."""
    calibration_shown: bool = True
    """Figures show how well its probabilities are calibrated."""
    constant: tuple[str, ...] = ()
    """Words of models that say the same of every image: they have no ROC curve and no points."""
    learn_from_both: str = ""
    """Its models in a list of those that learn from training and validation patients together."""
    learns_from: str = ""
    """Which patients its models learn from, as a sentence, where that is not said by `learn_from_both`."""
    is_a_person: bool = False
    """Its answers are a person's: how well people agree says how good a model can be asked to be."""
    limits: str = ""
    """What its figures do not say, as a sentence after the target's name."""


KINDS: Kinds[ModelKind] = Kinds("xray_mining.reporting.models", "kind of model")


@cache
def shown(name: str) -> ModelKind:
    """The kind that `model_kind` names; one without a file has its own name and the defaults."""
    return KINDS.find(name) if name in KINDS.names() else ModelKind(words=name)
