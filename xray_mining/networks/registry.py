"""What a study may name: backbones, heads and losses, each one function with its decorator; the tests' list too."""

from collections.abc import Callable, Iterable
from typing import Any, Generic, TypeVar

from xray_mining.errors import UserError, unknown_name

Function = TypeVar("Function", bound=Callable[..., Any])


class Registry(Generic[Function]):
    """Names and the functions behind them."""

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
        """The function called `name`; UserError with the nearest name, looked for in `also` too."""
        if name not in self._known:
            raise self.unknown(name, also)
        return self._known[name]

    def unknown(self, name: str, also: Iterable[str] = ()) -> UserError:
        """The refusal of `name`."""
        return unknown_name(self.what, name, [*self._known, *also])


backbone: Registry[Callable[..., Any]] = Registry("backbone")
head: Registry[Callable[..., Any]] = Registry("head")
loss: Registry[Callable[..., Any]] = Registry("loss")
