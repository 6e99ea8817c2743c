"""Summaries of finished steps: which of them count for the present study, and which do not.

A step leaves steps/STUDY/NAME.json, and beside it NAME.asked: the digest of what the study asked for, and digests of
the summaries that the step began with. Snakemake notes these too, but by absolute path in the private folder, so its
notes are lost when a workspace is moved or copied. They are a file of their own because Snakemake compares the content
of summaries: a changed option with the same result must not make later steps run again.
"""

import json
from collections.abc import Generator, Iterable, Mapping
from contextlib import contextmanager
from graphlib import TopologicalSorter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xray_mining.workspace import Workspace, digest_of_file, scratch_of, write_json

if TYPE_CHECKING:
    from xray_mining.study.plan import Step


def summary_path(workspace: Workspace, study: str, name: str) -> Path:
    """The summary file of a step."""
    return workspace.root / "steps" / study / f"{name}.json"


@contextmanager
def summarised(workspace: Workspace, study: str, step: "Step") -> Generator[dict[str, Any]]:
    """Write the step's summary, which the block fills, when the block has succeeded."""
    path = summary_path(workspace, study, step.name)
    asked = _asked(workspace, study, step)
    # An earlier note must not vouch for the new summary if this job is killed between the two files.
    _note_of(path).unlink(missing_ok=True)
    summary: dict[str, Any] = {}
    yield summary
    write_json(summary, path)
    write_json(asked, _note_of(path))


@contextmanager
def only_valid(workspace: Workspace, study: str, steps: Iterable["Step"], *, restore: bool) -> Generator[None]:
    """Take away the summaries that do not count, so that Snakemake runs their steps.

    Args:
        workspace: The workspace.
        study: The study's name.
        steps: The study's plan.
        restore: Whether to put them back at the end, as a dry run must: the next study file may be the old one again.
    """
    moved: dict[Path, Path] = {}
    try:
        for path in invalid(workspace, study, steps):
            if restore:
                moved[path] = scratch_of(path)
                path.replace(moved[path])
            else:
                path.unlink()
        yield
    finally:
        for path, scratch in moved.items():
            scratch.replace(path)


def invalid(workspace: Workspace, study: str, steps: Iterable["Step"]) -> list[Path]:
    """Summaries that do not count: those that `_counts` refuses, and those of all later steps.

    Snakemake does not make a missing summary again while the summaries of later steps exist.
    """
    plan = {step.name: step for step in steps}
    lost: set[str] = set()
    for name in TopologicalSorter({name: step.after for name, step in plan.items()}).static_order():
        if not lost.isdisjoint(plan[name].after) or not _counts(workspace, study, plan[name]):
            lost.add(name)
    paths = (summary_path(workspace, study, name) for name in sorted(lost))
    return [path for path in paths if path.exists()]


def _counts(workspace: Workspace, study: str, step: "Step") -> bool:
    """Whether the step was done for what the study asks now, from the present results, and its files exist.

    The summary of ingest does not count if the catalog has changed since, by another ingest or a `link`.
    """
    from xray_mining.catalog.merge import read_about, up_to_date

    path = summary_path(workspace, study, step.name)
    try:
        summary, asked = (json.loads(each.read_text(encoding="utf-8")) for each in (path, _note_of(path)))
        if asked != _asked(workspace, study, step):
            return False
        whole = all((workspace.root / each).exists() for each in summary["files"])
        if whole and step.stage == "ingest" and step.slice.is_whole:
            whole = up_to_date(workspace) and read_about(workspace.catalog)["digest"] == summary["digest"]
    except FileNotFoundError:
        return False
    except (ValueError, KeyError, TypeError):  # one of the files is damaged
        return False
    return whole


def _asked(workspace: Workspace, study: str, step: "Step") -> Mapping[str, Any]:
    """What the study asks of the step now: its own digest, and digests of the summaries that it needs."""
    needs = {name: summary_path(workspace, study, name) for name in step.after}
    return {
        "digest": step.digest,
        "needs": {name: digest_of_file(path) for name, path in needs.items() if path.is_file()},
    }


def _note_of(path: Path) -> Path:
    return path.with_name(path.name.removesuffix(".json") + ".asked")
