"""Kinds of model: one file for each kind, with a constant KIND (see `xray_mining.models.kind.ModelKind`)."""

from functools import cache
from typing import Any

from xray_mining.errors import unknown_name
from xray_mining.models.kind import ModelKind
from xray_mining.models.options import Options
from xray_mining.registry import Kinds

KINDS: Kinds[ModelKind[Any]] = Kinds("xray_mining.models.kinds", "kind of model")


@cache
def kinds_by_word() -> dict[str, ModelKind[Any]]:
    """Kind of model for each value of a study's `model:`. ValueError if two kinds have the same value."""
    found: dict[str, ModelKind[Any]] = {}
    for kind in KINDS.every().values():
        for word in kind.words():
            if word in found:
                raise ValueError(f"model: {word} names two kinds, {found[word].name} and {kind.name}")
            found[word] = kind
    return found


def kind_of(options: Options) -> ModelKind[Any]:
    """The kind of model of an experiment."""
    return kinds_by_word()[options.model]


@cache
def kind_that_predicted(name: str) -> ModelKind[Any]:
    """The kind that predictions name in `model_kind`; where no file defines it, one that is never called the best."""
    return next((kind for kind in kinds_by_word().values() if kind.name == name), _Unknown())


class _Unknown(ModelKind[Any]):
    may_be_best = False


def kind_named(word: str, where: str) -> ModelKind[Any]:
    """The kind of model for a value of `model:` in experiment.json. UserError if it is unknown."""
    if word not in kinds_by_word():
        raise unknown_name(f"{where}: kind of model", word, kinds_by_word())
    return kinds_by_word()[word]
