"""How the page shows each kind of target: one file for each kind, with the constant KIND."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from xray_mining.registry import Kinds
from xray_mining.reporting.metric import Metric


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetKind:
    """The metrics and sections that the page shows for a target of this kind."""

    compared: tuple[str, ...]
    """Metrics of the comparison table, in order; metrics without an estimate are left out."""
    by_subgroup: tuple[str, ...]
    """Metrics of the table of subgroups; the first is drawn."""
    sections: tuple[str, ...]
    """Anchors of further sections for this kind; these sections do not exist for every kind."""
    has_unit: bool = False
    """Its main metric is in the target's unit."""
    chance: float | None = None
    """The main metric of guessing; None if it is not the same for all targets."""
    shows_centre: bool = False
    """Figures show the null model that guesses the centre, because its score differs between targets."""
    by_class: bool = False
    """The comparison has a table with the main metric of each class."""
    names_sides: bool = False
    """The target's words name both labels, as 'Group: G3 against G2'."""
    metrics: Mapping[str, Metric] = field(default_factory=dict)
    """Metrics that only this kind has, by their name in rows of estimates."""
    limits: str = ""
    """A caution about figures of this kind, as a sentence after the target's name."""


KINDS: Kinds[TargetKind] = Kinds("xray_mining.reporting.targets", "target kind")
