"""The header of every file under sql/: its question, what one row is, its parameters, its targets, an example."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sqlglot import Dialect

from xray_mining.catalog.targets import TARGETS
from xray_mining.errors import UserError, unknown_name
from xray_mining.records.cohort import Target
from xray_mining.records.images import Images

PARAMETER_TYPES = ("integer", "number", "text", "boolean", "integers", "texts")
_PARAMETER = re.compile(r"^\$(?P<name>[a-z_]\w*)\s+(?P<kind>\w+)(?:\s*=\s*(?P<default>'[^']*'|\S+))?\s*(?P<words>.*)$")
_TARGET = re.compile(r"^(?P<name>[a-z_]\w*)\s+(?P<kind>\w+)\s*(?P<words>.*)$")
_SHORT = {"age": "age_years", "sex": "patient_sex"}
"""Short names that a `-- made of:` line may use."""
_MADE_OF_OTHERS = ("findings", "none")
"""Words of a `-- made of:` line for targets that are not computed from columns of images."""
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
    """The parsed comment lines at the top of an SQL file."""

    question: str
    one_row: str
    example: str = ""
    notes: tuple[str, ...] = ()
    """Further facts for the reader, one sentence for each `-- note:` line."""
    parameters: tuple[Parameter, ...] = ()
    targets: tuple[Target, ...] = ()
    code: str = ""
    """Code of a check, for example LEAK001."""
    severity: str = ""
    scope: str = ""
    """Scope of a check: 'archive' or 'cohort'."""
    needs: tuple[str, ...] = ()
    """Tables that must have rows; if one is empty, the check is not applicable."""
    reports: tuple[str, ...] = ()
    """Queries of sql/reports whose rows are warnings for users of the cohort, such as cells with too few images."""

    def values(self, given: Mapping[str, Any], where: str) -> dict[str, Any]:
        """A value for every declared parameter: the given one, else the default; UserError for an unknown name."""
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


def selects_the_same(text: str, other: str) -> bool:
    """Whether two cohort files select the same members and targets: they differ at most in comments and layout.

    Parameters and targets are declared in comments, so they are compared too; the question, notes, examples, words of
    parameters and the names of steps are not. A release that rewords a shipped file then makes no cohort stale.
    """
    if text == other:
        return True
    try:
        headers = [read_header(each, "cohort") for each in (text, other)]
    except UserError:  # a text of an earlier release, with lines that are not accepted any more
        return False
    declared = [
        (each.targets, each.needs, each.reports, tuple(replace(known, words="") for known in each.parameters))
        for each in headers
    ]
    tokens = [
        [(token.token_type, token.text) for token in Dialect.get_or_raise("duckdb").tokenize(each)]
        for each in (text, other)
    ]
    return declared[0] == declared[1] and tokens[0] == tokens[1]


def typed(wanted: str, value: Any, where: str) -> Any:
    """Convert `value` (text from a command line, or a value from YAML) to a parameter of type `wanted`."""
    try:
        if wanted == "integers":
            return [int(each) for each in _listed(value)]
        if wanted == "texts":
            return [str(each) for each in _listed(value)]
        if wanted == "integer":
            if isinstance(value, bool) or (isinstance(value, float) and not value.is_integer()):
                raise ValueError
            return int(value)
        if wanted == "number":
            if isinstance(value, bool):
                raise ValueError
            return float(value)
        if wanted == "boolean":
            return {"true": True, "false": False, "1": True, "0": False}[str(value).lower()]
        return str(value)
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{where}: '{value}' is not of type {wanted}; give a value of that type") from error


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
    """Parse the header of an SQL file; UserError names an invalid line.

    Args:
        text: The whole text of the file.
        where: The name of the file in error messages.
    """
    # Lines with one value, lines that may be repeated, and lines that hold a list each have their own place.
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
            if content:
                _continue(last, content, single, notes, parameters)
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


def _continue(last: str, content: str, single: dict[str, str], notes: list[str], parameters: list[Parameter]) -> None:
    """Add a line without a name to the sentence above it."""
    if last in single:
        single[last] += f" {content}"
    elif last == "note":
        notes[-1] += f" {content}"
    elif last == "parameter":
        parameters[-1] = replace(parameters[-1], words=f"{parameters[-1].words} {content}")


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
    """Add the columns of a `-- made of:` line, such as `patient_sex` or `age_years, study_day`, to a target."""
    names = [_SHORT.get(name, name) for name in re.split(r"[\s,]+", content) if name]
    known = [*Images.columns(), *_MADE_OF_OTHERS]
    for name in names:
        if name not in known:
            raise unknown_name(f"{where}: '-- made of: {content}'", name, known)
    if not names or ("none" in names and len(names) > 1):
        raise UserError(
            f"{where}: '-- made of: {content}' must name columns of images (such as '-- made of: patient_sex') or "
            f"findings, or be the single word none"
        )
    columns = tuple(name for name in names if name != "none")
    return replace(target, made_of=tuple(dict.fromkeys(target.made_of + columns)), made_of_from="header")


def queries(folder: Path) -> dict[str, Path]:
    """The SQL files of a folder, by name."""
    return {path.stem: path for path in sorted(folder.glob("*.sql"))}
