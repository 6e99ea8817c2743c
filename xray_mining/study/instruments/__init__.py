"""Kinds of set: one file for each, named as its section of the study file (see `_kind.InstrumentKind`)."""

from functools import cache
from typing import Any

from xray_mining.registry import Kinds
from xray_mining.study.instruments._kind import InstrumentKind

KINDS: Kinds[InstrumentKind[Any]] = Kinds("xray_mining.study.instruments", "kind of set")


@cache
def section_of(stage: str) -> str:
    """The section of the study file whose sets the steps of this stage measure; an empty text for any other stage."""
    return next((name for name, kind in KINDS.every().items() if kind.stage == stage), "")
