"""Registries of backbones, heads and losses, each a function with a decorator; tests run over all registered ones."""

import pkgutil
from collections.abc import Callable, Iterable
from importlib import import_module
from typing import Any, Generic, TypeVar

from xray_mining.errors import UserError, unknown_name

Function = TypeVar("Function", bound=Callable[..., Any])


class Registry(Generic[Function]):
    """Registered functions by name.

    Args:
        what: The word for one of them in error messages.
        package: Full name of a package whose files define functions; no list names the files. Empty: none.
    """

    def __init__(self, what: str, package: str = "") -> None:
        self.what, self.package = what, package
        self._found: dict[str, Function] = {}

    def __call__(self, function: Function) -> Function:
        """Register `function` under its own name."""
        return self.named(str(getattr(function, "__name__", "")))(function)

    def named(self, name: str) -> Callable[[Function], Function]:
        """Register a function under this name."""

        def register(function: Function) -> Function:
            if name in self._found:
                raise ValueError(f"two {self.what}s are called {name}")
            self._found[name] = function
            return function

        return register

    @property
    def _known(self) -> dict[str, Function]:
        """All functions; imports the package's files."""
        if self.package:
            for each in pkgutil.iter_modules(import_module(self.package).__path__):
                import_module(f"{self.package}.{each.name}")
        return self._found

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


OUTPUTS = "xray_mining.networks.outputs"
backbone: Registry[Callable[..., Any]] = Registry("backbone")
head: Registry[Callable[..., Any]] = Registry("head", OUTPUTS)
loss: Registry[Callable[..., Any]] = Registry("loss", OUTPUTS)
