"""Registries of kinds (of model, target, audit, …): one object for each file, found by file name."""

import pkgutil
from importlib import import_module
from typing import Generic, TypeVar

from xray_mining.errors import unknown_name

Kind = TypeVar("Kind")


class Kinds(Generic[Kind]):
    """The kinds that the files of one package define, each as its constant `KIND`.

    A kind has the name of its file. A new kind is a new file in the package: no list names the kinds. Files whose name
    begins with an underscore are shared by several kinds and define none.

    Args:
        package: The package's full name, such as "xray_mining.evaluation.targets".
        what: The word for a kind in error messages, such as "target kind".
    """

    def __init__(self, package: str, what: str) -> None:
        self.package, self.what = package, what

    def names(self) -> list[str]:
        """Names of all kinds, sorted; imports the package but none of the kinds' files."""
        path = import_module(self.package).__path__
        return sorted(each.name for each in pkgutil.iter_modules(path) if not each.name.startswith("_"))

    def find(self, name: str) -> Kind:
        """The kind called `name`; imports its file alone.

        Raises:
            UserError: If no file of the package has this name; it names the nearest one.
        """
        names = self.names()
        if name not in names:
            raise unknown_name(self.what, name, names)
        kind: Kind = import_module(f"{self.package}.{name}").KIND
        return kind

    def every(self) -> dict[str, Kind]:
        """All kinds by name, sorted; imports all their files."""
        return {name: self.find(name) for name in self.names()}
