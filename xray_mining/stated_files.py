"""Files that a study names by path: find them, and name them without their folders."""

import filecmp
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel

from xray_mining.workspace import asset, digest_of_file, read_text

Options = TypeVar("Options", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class StatedFile:
    """Marks an option that may be a file's path: `Annotated[str, StatedFile((".sql",), "sql/cohorts")]`."""

    suffixes: tuple[str, ...]
    """A value with one of these suffixes is a path; any other is a word, or the name of a shipped file."""
    shipped: str = ""
    """Folder of shipped files, which are named without their suffix; empty if there are none."""

    def is_path(self, value: str) -> bool:
        """Whether the value is a file's path."""
        return Path(value).suffix in self.suffixes

    def file(self, value: str) -> Path | None:
        """The file that a value names, by its path or by the name of a shipped file; None if no such file exists."""
        if not value:
            return None
        places = [Path(value)]
        if not self.is_path(value):
            places = [asset(self.shipped) / f"{value}{each}" for each in self.suffixes] if self.shipped else []
        return next((each for each in places if _is_file(each)), None)


@dataclass(frozen=True, slots=True)
class Stated:
    """One option of a study that may be a file's path."""

    key: str
    """Its key in the study file, such as cohorts.age.query."""
    value: str
    kind: StatedFile


@dataclass(frozen=True, slots=True)
class Search:
    """Result of the search for the files in some options."""

    missing: dict[str, str]
    """Key of each option whose file was not found → a sentence that names the searched folders."""
    notes: tuple[str, ...]
    """One sentence for each name that two files with different content share."""


def find_files(options: Options, folders: Sequence[Path]) -> tuple[Options, Search]:
    """The options with the full path of each file they name, searched in the folders in their order.

    A path that is not found stays as it is written and gets a sentence in `missing`; the code that needs the file
    raises it.
    """
    missing: dict[str, str] = {}
    notes: list[str] = []

    def full(stated: Stated) -> str:
        if not stated.kind.is_path(stated.value):
            if unnamed := _without_suffix(stated, folders[0]):
                missing[stated.key] = unnamed
            return stated.value
        wanted = _of_home(stated.value)
        # An absolute path is the same in every folder.
        found = [path for path in dict.fromkeys(folder / wanted for folder in folders) if _is_file(path)]
        if not found:
            missing[stated.key] = _not_found(stated, wanted, folders)
            return stated.value
        notes.extend(
            f"{stated.key}: uses {found[0]}; {other} has the same name and other content, and is not used"
            for other in found[1:]
            if _differ(found[0], other)
        )
        return str(found[0])

    return _replaced(options, full), Search(missing, tuple(notes))


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):
        # A file in a folder without permission counts as missing.
        return False


def _without_suffix(stated: Stated, beside: Path) -> str:
    """A hint for an unknown shipped name if a file beside the study has this name; otherwise an empty text."""
    if not stated.kind.shipped or stated.kind.file(stated.value) is not None:
        return ""
    meant = next(
        (f"{stated.value}{each}" for each in stated.kind.suffixes if _is_file(beside / f"{stated.value}{each}")), ""
    )
    return (
        f"{stated.key}: no shipped file is called '{stated.value}'; for the file beside the study write '{meant}'"
        if meant
        else ""
    )


def _of_home(value: str) -> Path:
    """The path, with the user's home folder in place of a ~ at its start."""
    path = Path(value)
    try:
        return path.expanduser()
    except RuntimeError:
        # There is no user of this name, so search the path as it is written.
        return path


def _differ(one: Path, other: Path) -> bool:
    try:
        return not filecmp.cmp(one, other, shallow=False)
    except OSError:
        # If the first file cannot be read, the code that reads it reports the error.
        return False


def _not_found(stated: Stated, wanted: Path, folders: Sequence[Path]) -> str:
    if "\\" in stated.value:
        slashed = stated.value.replace("\\", "/")
        instead = "its name alone, and put it beside the study file" if ":" in slashed else f"'{slashed}'"
        return (
            f"{stated.key}: '{stated.value}' has backslashes, which do not separate folders on Linux; write {instead}"
        )
    if wanted.is_absolute():
        return f"{stated.key}: there is no file {wanted}; check the path"
    or_name = "" if not stated.kind.shipped else ", or give the name of a shipped file without its suffix"
    return (
        f"{stated.key}: there is no file '{stated.value}' in {' nor in '.join(map(str, folders))}; put "
        f"it beside the study file{or_name}"
    )


def placeless(options: BaseModel) -> dict[str, Any]:
    """The options as JSON, with file names without folders: used for digests and in files that may be shared."""
    return _replaced(options, lambda each: Path(each.value).name).model_dump(mode="json")


def stated_in(options: BaseModel) -> list[Stated]:
    """The non-empty options that may be a file's path, at any depth."""
    found: list[Stated] = []

    def keep(stated: Stated) -> str:
        found.append(stated)
        return stated.value

    _replaced(options, keep)
    return found


def contents(options: BaseModel) -> dict[str, str]:
    """Digest of each file that an option names by path, by the option's key; missing files are left out."""
    paths = {each.key: Path(each.value) for each in stated_in(options) if each.kind.is_path(each.value)}
    return {key: digest_of_file(path) for key, path in paths.items() if _is_file(path)}


def text_of(options: BaseModel, key: str) -> str:
    """The text of the file that an option names, by path or as a shipped file; empty if there is no such file."""
    file = next((each.kind.file(each.value) for each in stated_in(options) if each.key == key), None)
    return read_text(file) if file is not None else ""


def _replaced(options: Options, change: Callable[[Stated], str], where: str = "") -> Options:
    """The options with each value that may be a file's path changed, at any depth."""
    changes: dict[str, Any] = {}
    for name, value in _fields(options):
        key = f"{where}{name}"
        kind = next((each for each in type(options).model_fields[name].metadata if isinstance(each, StatedFile)), None)
        if kind is not None:
            changed: Any = change(Stated(key, value, kind)) if value else value
        elif isinstance(value, BaseModel):
            changed = _replaced(value, change, f"{key}.")
        elif isinstance(value, dict) and all(isinstance(each, BaseModel) for each in value.values()):
            changed = {each: _replaced(one, change, f"{key}.{each}.") for each, one in value.items()}
        else:
            continue
        changes[name] = changed
    return options.model_copy(update=changes)


def _fields(options: BaseModel) -> Iterator[tuple[str, Any]]:
    return ((name, getattr(options, name)) for name in type(options).model_fields)
