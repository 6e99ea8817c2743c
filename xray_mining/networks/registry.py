"""Registries of backbones, heads and losses, each a function with a decorator; tests run over all registered ones."""

from collections.abc import Callable, Iterable
from typing import Any, Generic, TypeVar

from xray_mining.errors import UserError, unknown_name

Function = TypeVar("Function", bound=Callable[..., Any])


class Registry(Generic[Function]):
    """Registered functions by name."""

    def __init__(self, what: str) -> None:
        self.what = what
        self._known: dict[str, Function] = {}

    def __call__(self, function: Function) -> Function:
        """Register `function` under its own name."""
        name = str(getattr(function, "__name__", ""))
        if name in self._known:
            raise ValueError(f"two {self.what}s are called {name}")
        self._known[name] = function
        return function

    def __contains__(self, name: str) -> bool:
        return name in self._known

    def names(self) -> list[str]:
        """All registered names, sorted."""
        return sorted(self._known)

    def find(self, name: str, also: Iterable[str] = ()) -> Function:
        """The function with this name; UserError suggests the nearest name, also from `also`."""
        if name not in self._known:
            raise self.unknown(name, also)
        return self._known[name]

    def unknown(self, name: str, also: Iterable[str] = ()) -> UserError:
        """The error for an unknown name."""
        return unknown_name(self.what, name, [*self._known, *also])


backbone: Registry[Callable[..., Any]] = Registry("backbone")
head: Registry[Callable[..., Any]] = Registry("head")
loss: Registry[Callable[..., Any]] = Registry("loss")
