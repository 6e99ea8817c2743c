"""features, embed, measure: measure a cohort's radiographs with an instrument."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from xray_mining.cli.app import JsonOption, WorkspaceOption, app, finish, say_notes

if TYPE_CHECKING:
    from xray_mining.sets.measure import SetSummaries

CohortArgument = Annotated[str, typer.Argument(help="name of a frozen cohort, or STUDY/KEY of a study's cohort")]
StudyOption = Annotated[
    str, typer.Option("--study", help="measure the sets of this study: a shipped one, one run here, or a YAML file")
]
SetOption = Annotated[str, typer.Option("--set", help="key of one of the study's sets (default: all of them)")]
ShardsOption = Annotated[
    str, typer.Option("--shards", metavar="A:B", help="only shards A to B - 1 of the archives (default: all)")
]


@app.command()
def features(
    cohort: CohortArgument,
    workspace: WorkspaceOption,
    study: StudyOption = "",
    key: SetOption = "",
    jobs: Annotated[int, typer.Option(min=1, help="processes")] = 1,
    shards: ShardsOption = "",
    json: JsonOption = False,
) -> None:
    """Measure handcrafted features of a cohort's radiographs; existing results are kept.

    Example: xray-mining features demo/age --study demo --jobs 2
    """
    finish(_measured("features", _Asked(cohort, workspace, study, key, shards), jobs), json)


@app.command()
def embed(
    cohort: CohortArgument,
    workspace: WorkspaceOption,
    study: StudyOption = "",
    key: SetOption = "",
    shards: ShardsOption = "",
    json: JsonOption = False,
) -> None:
    """Compute vectors of a cohort's radiographs with a frozen network; existing results are kept.

    Example: xray-mining embed demo/age --study demo
    """
    finish(_measured("embeddings", _Asked(cohort, workspace, study, key, shards)), json)


@app.command("measure")
def measure_sets(
    section: Annotated[
        str, typer.Argument(metavar="SECTION", help="section of the study file, as features or embeddings")
    ],
    cohort: CohortArgument,
    workspace: WorkspaceOption,
    study: StudyOption = "",
    key: SetOption = "",
    jobs: Annotated[int, typer.Option(min=1, help="processes, for instruments that gain by several")] = 1,
    shards: ShardsOption = "",
    json: JsonOption = False,
) -> None:
    """Measure a cohort's radiographs with any instrument, also one that you added; existing results are kept.

    Example: xray-mining measure features demo/age --study demo
    """
    finish(_measured(section, _Asked(cohort, workspace, study, key, shards), jobs), json)


@dataclass(frozen=True, slots=True)
class _Asked:
    """Arguments that all these commands share."""

    cohort: str
    workspace: Path
    study: str
    key: str
    shards: str


def _measured(section: str, asked: _Asked, jobs: int = 1) -> "SetSummaries":
    """Measure the study's sets of this section for a cohort, or the default set."""
    from xray_mining.errors import unknown_name
    from xray_mining.records.cohort import FrozenCohort
    from xray_mining.sets.measure import SetSummaries, measure
    from xray_mining.study.current import find_study
    from xray_mining.study.instruments import KINDS
    from xray_mining.workspace import Workspace

    kind = KINDS.find(section)
    workspace = Workspace.open(asked.workspace)
    cohort = FrozenCohort.load(workspace, asked.cohort.replace("/", "-"))
    study = find_study(asked.study, workspace) if asked.study else None
    sets = dict(study.sets(section)) if study else {}
    if asked.key and asked.key not in sets:
        raise unknown_name(f"study {asked.study or '(none given)'}, {section}", asked.key, sets)
    chosen = {asked.key: sets[asked.key]} if asked.key else sets
    if study:
        say_notes(study.notes)
        for each in chosen:
            study.refuse_missing(f"{section}.{each}")
    shards = _range(asked.shards)
    done = [
        measure(workspace, cohort, name, kind.make(options), jobs=jobs, shards=shards)
        for name, options in (chosen or {kind.default: kind.options()}).items()
    ]
    return SetSummaries(tuple(done))


def _range(text: str) -> tuple[int, int] | None:
    """The two numbers of A:B; None for an empty text."""
    from xray_mining.errors import UserError

    if not text:
        return None
    first, _, end = text.partition(":")
    if not (first.isdigit() and end.isdigit() and int(first) < int(end)):
        raise UserError(f"--shards {text}: must be two numbers A:B with A below B; it takes shards A to B - 1")
    return int(first), int(end)
