"""The header of every file under sql/: what it asks, what one row is, its parameters, its targets, an example."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from xray_mining.catalog.targets import TARGETS
from xray_mining.errors import UserError, unknown_name
from xray_mining.records.cohort import Target
from xray_mining.records.images import Images

PARAMETER_TYPES = ("integer", "number", "text", "boolean", "integers", "texts")
_PARAMETER = re.compile(r"^\$(?P<name>[a-z_]\w*)\s+(?P<kind>\w+)(?:\s*=\s*(?P<default>'[^']*'|\S+))?\s*(?P<words>.*)$")
_TARGET = re.compile(r"^(?P<name>[a-z_]\w*)\s+(?P<kind>\w+)\s*(?P<words>.*)$")
_SHORT = {"age": "age_years", "sex": "patient_sex"}
"""Short words of a `-- made of:` line."""
_MADE_OF_OTHERS = ("findings", "none")
"""What a target is made of where that is no column of images: labels from elsewhere, or nothing that is known."""
_CHECK = re.compile(r"^(?P<code>[A-Z]+\d{3})\s+(?P<severity>error|warning|note)\s+(?P<scope>archive|cohort)$")


@dataclass(frozen=True, slots=True)
class Parameter:
    """One `-- parameter:` line: `$per_cell integer = 100  images of each sex and year`."""

    name: str
    kind: str
    words: str
    default: Any = None
    required: bool = False


@dataclass(frozen=True, slots=True)
class Header:
    """What the comment lines at the top of an SQL file say."""

    question: str
    one_row: str
    example: str = ""
    notes: tuple[str, ...] = ()
    """What else a reader must know, a sentence a `-- note:` line."""
    parameters: tuple[Parameter, ...] = ()
    targets: tuple[Target, ...] = ()
    code: str = ""
    """Code of a check, as LEAK001."""
    severity: str = ""
    scope: str = ""
    """What a check looks at: 'archive' or 'cohort'."""
    needs: tuple[str, ...] = ()
    """Tables that must hold a row, or else the check is not applicable."""
    reports: tuple[str, ...] = ()
    """Queries whose rows are offered as warnings to whoever uses the cohort, as the cells that could not be filled."""

    def values(self, given: Mapping[str, Any], where: str) -> dict[str, Any]:
        """A value for every declared parameter: what was given, else its default; UserError for an unknown name."""
        known = {each.name: each for each in self.parameters}
        for name in given:
            if name not in known:
                raise unknown_name(f"{where}, parameters", name, known)
        for each in self.parameters:
            if each.required and each.name not in given:
                raise UserError(f"{where}: parameter '{each.name}' has no default; give --param {each.name}=VALUE")
        return {
            each.name: typed(each.kind, given[each.name], f"{where}, parameter '{each.name}'")
            if each.name in given
            else each.default
            for each in self.parameters
        }


def typed(kind: str, value: Any, where: str) -> Any:
    """`value` (text from a command line, or a value from YAML) as a parameter of `kind`."""
    try:
        if kind == "integers":
            return [int(each) for each in _listed(value)]
        if kind == "texts":
            return [str(each) for each in _listed(value)]
        if kind == "integer":
            if isinstance(value, bool) or (isinstance(value, float) and not value.is_integer()):
                raise ValueError
            return int(value)
        if kind == "number":
            if isinstance(value, bool):
                raise ValueError
            return float(value)
        if kind == "boolean":
            return {"true": True, "false": False, "1": True, "0": False}[str(value).lower()]
        return str(value)
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{where}: '{value}' is not of type {kind}; give a value of that type") from error


def _listed(value: Any) -> list[Any]:
    if isinstance(value, str):
        return [] if value == "none" else [each.strip() for each in value.split(",") if each.strip()]
    return list(value)


def _check(content: str, where: str) -> dict[str, str]:
    """Code, severity and subject of a `-- check:` line."""
    matched = _CHECK.match(content)
    if not matched:
        raise UserError(f"{where}: '-- check: {content}' must read like '-- check: LEAK001 error cohort'")
    return matched.groupdict()


def read_header(text: str, where: str) -> Header:
    """The header of an SQL file's text; UserError that names the line that is wrong."""
    single: dict[str, str] = {}
    parameters: list[Parameter] = []
    targets: list[Target] = []
    check: dict[str, str] = {}
    several: dict[str, list[str]] = {"needs": [], "report": []}
    notes: list[str] = []
    last = ""
    for line in text.splitlines():
        if not line.startswith("--"):
            if line.strip():
                break
            continue
        found = re.match(
            r"^--\s(question|one row|parameter|target|made of|example|note|check|needs|report):\s*(.*)$", line
        )
        content = line[2:].strip()
        if not found:
            # a line without a name goes on with the sentence above it
            if last in single and content:
                single[last] += f" {content}"
            elif last == "note" and content:
                notes[-1] += f" {content}"
            continue
        last, content = found[1], found[2].strip()
        if last == "parameter":
            parameters.append(_parameter(content, where))
        elif last == "target":
            targets.append(_target(content, where))
        elif last == "made of":
            if not targets:
                raise UserError(
                    f"{where}: '-- made of: {content}' has no target above it; put it below its '-- target:' line"
                )
            targets[-1] = _made_of(targets[-1], content, where)
        elif last == "check":
            check = _check(content, where)
        elif last == "note":
            notes.append(content)
        elif last in several:
            several[last] += content.split()
        else:
            single[last] = content
    for name in ("question", "one row", "example"):
        if not single.get(name):
            raise UserError(f"{where}: its header has no line '-- {name}: …'; add it above the query")
    return Header(
        single["question"],
        single["one row"],
        single["example"],
        tuple(notes),
        tuple(parameters),
        tuple(targets),
        needs=tuple(several["needs"]),
        reports=tuple(several["report"]),
        **check,
    )


def _parameter(content: str, where: str) -> Parameter:
    matched = _PARAMETER.match(content)
    if not matched or matched["kind"] not in PARAMETER_TYPES:
        raise UserError(
            f"{where}: '-- parameter: {content}' must read like '-- parameter: $per_cell integer = 100  words', with a "
            f"type among {', '.join(PARAMETER_TYPES)}"
        )
    raw = matched["default"]
    if raw is None:
        return Parameter(matched["name"], matched["kind"], matched["words"], required=True)
    default = typed(matched["kind"], raw.strip("'"), f"{where}, default of '{matched['name']}'")
    return Parameter(matched["name"], matched["kind"], matched["words"], default)


def _target(content: str, where: str) -> Target:
    matched = _TARGET.match(content)
    if not matched or matched["kind"] not in TARGETS.names():
        shown = " or ".join(f"'-- target: {TARGETS.find(kind).example}'" for kind in ("number", "binary"))
        raise UserError(
            f"{where}: '-- target: {content}' must read like {shown}, with a kind among {', '.join(TARGETS.names())}"
        )
    return TARGETS.find(matched["kind"]).declared(matched["name"], matched["words"], where)


def _made_of(target: Target, content: str, where: str) -> Target:
    """The target with the columns of a `-- made of:` line, as `patient_sex` or `age_years, study_day`, added."""
    names = [_SHORT.get(name, name) for name in re.split(r"[\s,]+", content) if name]
    known = [*Images.columns(), *_MADE_OF_OTHERS]
    for name in names:
        if name not in known:
            raise unknown_name(f"{where}: '-- made of: {content}'", name, known)
    if not names or ("none" in names and len(names) > 1):
        raise UserError(
            f"{where}: '-- made of: {content}' must name columns of images, as '-- made of: patient_sex', or findings, "
            f"or none alone"
        )
    columns = tuple(name for name in names if name != "none")
    return replace(target, made_of=tuple(dict.fromkeys(target.made_of + columns)), made_of_from="header")


def queries(folder: Path) -> dict[str, Path]:
    """The SQL files of a folder, by name."""
    return {path.stem: path for path in sorted(folder.glob("*.sql"))}
