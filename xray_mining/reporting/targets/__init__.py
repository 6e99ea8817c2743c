"""Kinds of target as the page shows them: one file a kind, each with its constant KIND."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from xray_mining.registry import Kinds
from xray_mining.reporting.metric import Metric


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetKind:
    """What the page shows of a target of this kind."""

    compared: tuple[str, ...]
    """Metrics of the comparison table, in their order; those without an estimate are left out."""
    by_subgroup: tuple[str, ...]
    """Metrics of the table of subgroups; the first is drawn."""
    sections: tuple[str, ...]
    """Anchors of the sections that exist for some kinds only, and hold this one."""
    has_unit: bool = False
    """Its main metric is in the target's unit."""
    chance: float | None = None
    """What guessing reaches in the main metric, where that is the same for every target."""
    shows_centre: bool = False
    """Figures show the null model that guesses the centre: what guessing reaches differs from target to target."""
    by_class: bool = False
    """The comparison has a table with the main metric of each class."""
    names_sides: bool = False
    """The target's words name both labels, as 'Group: G3 against G2'."""
    metrics: Mapping[str, Metric] = field(default_factory=dict)
    """Metrics that only this kind has, by their name in rows of estimates."""
    limits: str = ""
    """What figures of this kind do not say, as a sentence after the target's name."""


KINDS: Kinds[TargetKind] = Kinds("xray_mining.reporting.targets", "target kind")
