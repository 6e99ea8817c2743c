"""Whether existing predictions are up to date with the study file."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any, Literal

from xray_mining.errors import CheckFailed, UserError
from xray_mining.models.notes import read_notes
from xray_mining.workspace import digest_of

if TYPE_CHECKING:
    from xray_mining.catalog.options import CohortOptions
    from xray_mining.models.task import Task
    from xray_mining.records.cohort import FrozenCohort
    from xray_mining.workspace import Workspace

_SHOWN = 3
"""Number of differences that a sentence lists; further ones are counted."""
_EARLIER = "made by an earlier version of the program"


@dataclass(frozen=True, slots=True)
class Standing:
    """Whether an experiment's predictions are up to date."""

    experiment: str
    task: str
    """COHORT/TARGET, as in evaluations."""
    outcome: Literal["fresh", "stale", "unchecked", "absent"]
    """stale: made with other options; unchecked: the current digest cannot be computed; absent: no predictions."""
    sentence: str = ""
    """The reason, beginning with the experiment's name; an empty text if it is fresh or absent."""


def standing(task: "Task[Any]") -> Standing:
    """Compare the digest of an experiment's predictions with the digest of its current options and inputs."""
    where = f"{task.cohort.name}/{task.options.target}"
    if not any((task.folder / "predictions").glob("*.parquet")):
        return Standing(task.name, where, "absent")
    notes = read_notes(task.folder)
    try:
        differs = [*cohort_differences(task.cohort, task.study.cohorts[task.options.cohort], task.options.cohort)]
        differs += _members_that_differ(task)
        # The inputs of an ensemble are its members' predictions, which have no digest while they are stale.
        if not differs:
            now = task.identity()
            if digest_of(now) != notes.get("digest"):
                differs = list(_differences(task.workspace, notes, now)) or [_EARLIER]
        differs += _fits_that_differ(task)
    except UserError as error:
        # The sentence appears on the page, which must not show private paths, so print only the file's name.
        query = task.study.cohorts[task.options.cohort].query
        said = str(error).replace(query, Path(query).name)
        return Standing(task.name, where, "unchecked", f"{task.name}: its options cannot be checked: {said}")
    if not differs:
        return Standing(task.name, where, "fresh")
    named = "; ".join(differs[:_SHOWN]) + (f"; and {len(differs) - _SHOWN} more" if len(differs) > _SHOWN else "")
    again = f"xray-mining train {task.title}"
    sentence = f"{task.name}: its predictions are stale: the study file or data changed ({named}); run `{again}`"
    return Standing(task.name, where, "stale", f"{sentence} or `xray-mining run`")


def refuse_other_cohort(cohort: "FrozenCohort", options: "CohortOptions", key: str) -> None:
    """CheckFailed if the cohort was frozen with another query or other values than in the study file."""
    differs = list(cohort_differences(cohort, options, key))
    if differs:
        raise CheckFailed(
            f"cohort {cohort.name}: is stale: the study file has changed ({'; '.join(differs[:_SHOWN])}); freeze "
            f"it again with `xray-mining cohort {quote(options.query)} --as {cohort.name}` or `xray-mining run`"
        )


def cohort_differences(cohort: "FrozenCohort", options: "CohortOptions", key: str) -> Iterator[str]:
    """Differences between the cohort's options in the study file and the options with which it was frozen."""
    from xray_mining.catalog.cohort import read_query
    from xray_mining.catalog.header import selects_the_same

    asked = read_query(options.query)
    if not selects_the_same(asked.text, cohort.sql):
        yield f"cohorts.{key}.query: the SQL of {asked.name} differs from the SQL of {cohort.query} at that time"
    values = asked.header.values(options.parameters, f"cohorts.{key}")
    for name in sorted({*values, *cohort.parameters}):
        yield from _difference(f"cohorts.{key}.parameters.{name}", cohort.parameters.get(name), values.get(name))
    yield from _difference(f"cohorts.{key}.folds", cohort.folds, options.folds)
    yield from _difference(f"cohorts.{key}.salt", cohort.salt, options.salt)


def _members_that_differ(task: "Task[Any]") -> list[str]:
    """Sentences about members of an ensemble that are stale or missing."""
    found = []
    for member in task.kind.members(task.options):
        other = standing(task.of(member))
        if other.outcome == "stale":
            found.append(f"its member {other.sentence.partition('; run `')[0]}")
        elif other.outcome == "absent":
            found.append(f"its member {member} has no predictions")
    return found


def _fits_that_differ(task: "Task[Any]") -> Iterator[str]:
    """Sentences about missing fits (rotations and seeds), and about fits that the study does not ask for."""
    wanted = {task.part(*part).stem for part in task.parts()}
    existing = {path.stem for path in (task.folder / "predictions").glob("*.parquet")}
    if missing := sorted(wanted - existing):
        yield f"design: {len(missing)} of {len(wanted)} fits are missing, such as {missing[0]}"
    if more := sorted(existing - wanted):
        yield f"design: {len(more)} fits are not part of the design, such as {more[0]}"


def _differences(workspace: "Workspace", notes: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    """Differences between the earlier and the current identity of an experiment, in words of the study file."""
    earlier = notes.get("identity") or {}
    then = {
        "options": notes.get("options") or {},
        "cohort": notes.get("cohort_digest"),
        "inputs": notes.get("inputs") or {},
        "versions": notes.get("versions") or {},
        **earlier,
    }
    yield from _leaves("", then["options"], now["options"])
    if then["cohort"] != now["cohort"]:
        yield "cohort: it was frozen again with other members, folds or targets"
    if earlier and then["target"] != now["target"]:
        yield "target: it has another kind or other labels"
    for name in sorted({*then["inputs"], *now["inputs"]}):
        before, after = then["inputs"].get(name), now["inputs"].get(name)
        if before != after:
            yield from _input(workspace, name, before, after)
    for name in sorted({*then["versions"], *now["versions"]}):
        yield from _difference(f"version of {name}", then["versions"].get(name), now["versions"].get(name))
    if earlier and then.get("variants") != now.get("variants"):
        yield "design.changed_images"
    if earlier and then["version"] != now["version"]:
        yield _EARLIER


_INPUTS = {
    "pixels": "the members' pictures were ingested again and changed",
    "metadata": "the members' metadata in the catalog",
    "truths": "the members' true findings",
    "weights": "the weights file",
    "store": "the pixel store",
    "left_out": "the columns that the target is made of",
    "answers": "the second reader's answers",
}


def _input(workspace: "Workspace", name: str, before: str | None, after: str | None) -> Iterator[str]:
    """Sentences about an input that has changed; for a set, the options that differ."""
    kind, _, key = name.partition("/")
    if kind == "experiments":
        yield f"its member {key} was trained again"
    elif kind in ("features", "embeddings"):
        home = workspace.root / kind
        options = [_set_options(home / str(each)) for each in (before, after)]
        found = list(_leaves(f"{name.replace('/', '.')}.", options[0], options[1])) if all(options) else []
        yield from found or [name.replace("/", ".")]
    else:
        yield _INPUTS.get(name, name)


def _set_options(folder: Path) -> Mapping[str, Any]:
    try:
        return json.loads(json.loads((folder / "set.json").read_text(encoding="utf-8"))["options"])
    except (OSError, ValueError, KeyError):
        return {}


def _leaves(prefix: str, then: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    for name in sorted({*then, *now}):
        before, after = then.get(name), now.get(name)
        if isinstance(before, Mapping) and isinstance(after, Mapping):
            yield from _leaves(f"{prefix}{name}.", before, after)
        else:
            yield from _difference(f"{prefix}{name}", before, after)


def _difference(name: str, then: object, now: object) -> Iterator[str]:
    if then != now:
        yield f"{name}: {_shown(then)} before, {_shown(now)} now"


def _shown(value: object) -> str:
    if value is None or value == "":
        return "nothing"
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
