"""YAML files as validated models: every error is one sentence that names the file and the key."""

from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from xray_mining.errors import UserError, unknown_name

Model = TypeVar("Model", bound=BaseModel)


def checked(model: type[Model], raw: object, where: str) -> Model:
    """`raw` as `model`; UserError that names the first wrong key, its value and the nearest known key."""
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        raise UserError(f"{where}: {sentence_of(error, model)}") from error


def sentence_of(error: ValidationError, model: type[BaseModel]) -> str:
    """The first error of pydantic as one sentence with the key's full name."""
    import difflib

    # A misspelt key often makes a required one missing, so report the misspelt one first.
    first = min(error.errors(), key=lambda each: each["type"] != "extra_forbidden")
    key = ".".join(str(step) for step in first["loc"])
    if not first["loc"] and first["type"] in ("model_type", "model_attributes_type", "dict_type"):
        found = "nothing" if first["input"] is None else f"a {type(first['input']).__name__}"
        return f"holds {found} where keys with values are needed; write lines like 'key: value'"
    if first["type"] == "extra_forbidden":
        known = _keys_beside(model, first["loc"])
        wrong = str(first["loc"][-1])
        close = difflib.get_close_matches(wrong, known, n=1) or difflib.get_close_matches(
            wrong, sorted(_field_names(model)), n=1
        )
        meant = f"; did you mean '{close[0]}'?" if close else ""
        return f"'{key}' is not a known key{meant}" + (f" (known here: {', '.join(known)})" if known else "")
    if first["type"] == "missing":
        return f"'{key}' is missing; it must be given"
    if first["type"] == "union_tag_invalid":
        tag, known = first["ctx"]["tag"], first["ctx"]["expected_tags"].replace("'", "").split(", ")
        return f"'{key}': {unknown_name(first['ctx']['discriminator'].strip(chr(39)), tag, known)}"
    if first["type"] == "string_pattern_mismatch":
        return f"'{key}': {first['input']!r} is not possible; use small letters, digits and underscores, a letter first"
    if first["type"] == "string_type" and isinstance(first["input"], bool | int | float | date):
        return f"'{key}': YAML reads this as {first['input']!r}, not as text; put it in quotes"
    message = first["msg"].removeprefix("Value error, ")
    # A whole section of the file would bury the sentence, and may hold private values.
    found = "" if isinstance(first["input"], (dict, list, BaseModel)) else f" (found {first['input']!r})"
    # An error without a key is about several keys, which its message names.
    return f"'{key}': {message[0].lower()}{message[1:]}{found}" if key else f"{message}{found}"


def _field_names(model: type[BaseModel], seen: frozenset[type] = frozenset()) -> Iterator[str]:
    from typing import get_args

    if model in seen:
        return
    for name, field in model.model_fields.items():
        yield name
        waiting: list[Any] = [field.annotation]
        while waiting:
            annotation = waiting.pop()
            waiting.extend(get_args(annotation))
            if isinstance(annotation, type) and issubclass(annotation, BaseModel):
                yield from _field_names(annotation, seen | {model})


def _keys_beside(model: type[BaseModel], place: tuple[int | str, ...]) -> list[str]:
    """The known keys of the mapping that holds the last key of `place`."""
    from typing import get_args

    here: list[type[BaseModel]] = [model]
    for step in place[:-1]:
        fields = [each.model_fields[str(step)].annotation for each in here if str(step) in each.model_fields]
        if fields:
            here = [found for annotation in fields for found in _models_in(annotation)]
            continue
        # An index or a user's own name selects no model; the tag of a union selects one of its models.
        tagged = [
            each for each in here if any(step in get_args(field.annotation) for field in each.model_fields.values())
        ]
        here = tagged or here
    return sorted({name for each in here for name in each.model_fields})


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    from typing import get_args

    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [found for each in get_args(annotation) for found in _models_in(each)]


class _GivenTwice(yaml.YAMLError):
    """A key that is given twice in a mapping: YAML would drop the first."""

    def __init__(self, key: str, lines: tuple[int, int]) -> None:
        super().__init__(key)
        self.key = key
        self.lines = lines


class _YamlLoader(yaml.SafeLoader):
    """Reads every key as text (yes, no and 1 too) and refuses a key that is given twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        first_lines: dict[str, int] = {}
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode) or key.tag == "tag:yaml.org,2002:merge":
                continue
            key.tag = "tag:yaml.org,2002:str"
            line = key.start_mark.line + 1
            if key.value in first_lines:
                raise _GivenTwice(key.value, (first_lines[key.value], line))
            first_lines[key.value] = line
        return super().construct_mapping(node, deep)


def read_text(path: Path) -> str:
    """Text of a file in UTF-8, or in UTF-16 with its byte order mark; UserError for another encoding."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); check the path") from error
    marked = raw[:2] in (b"\xff\xfe", b"\xfe\xff")
    try:
        return raw.decode("utf-16" if marked else "utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise UserError(
            f"{path}: is not in the encoding {'UTF-16' if marked else 'UTF-8'} (see line {line}); save it as UTF-8"
        ) from error


def load_yaml(path: Path | str, read: Callable[[], bytes] | None = None) -> Any:
    """Content of a YAML file; a UserError names the file, and the key or line that is wrong.

    All YAML files are read here: mappings, studies, the workspace's settings. `read` gives the content of a file that
    is not on a local disk; `path` is then its name in messages.
    """
    try:
        # Read as bytes, so that YAML takes the encoding from a byte order mark.
        return yaml.load(Path(path).read_bytes() if read is None else read(), _YamlLoader)
    except FileNotFoundError as error:
        raise UserError(f"{path}: is missing; check its name and its folder") from error
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); check the path") from error
    except _GivenTwice as error:
        first, second = error.lines
        where = f"line {first}" if first == second else f"lines {first} and {second}"
        raise UserError(
            f"{path}: the key '{error.key}' is given twice ({where}), and one would be dropped; keep one of them"
        ) from error
    except (yaml.reader.ReaderError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: is not text in UTF-8; save it in that encoding") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        line = getattr(getattr(error, "problem_mark", None), "line", None)
        at = f" near line {line + 1}" if line is not None else ""
        raise UserError(f"{path}: is not valid YAML{at}; correct its indentation and quotes") from error


def read_yaml(model: type[Model], path: Path | str, read: Callable[[], bytes] | None = None) -> Model:
    """A YAML file as `model`; a UserError names the file and the wrong key. `read` as in `load_yaml`."""
    return checked(model, load_yaml(path, read), str(path))
