"""features, embed: measure features and vectors of a cohort's radiographs."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

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
    from xray_mining.features.instrument import Features
    from xray_mining.features.options import FeatureOptions

    default = {"handcrafted": FeatureOptions()}
    finish(_measured(Features, default, _Asked(cohort, workspace, study, key, shards), jobs), json)


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
    from xray_mining.models.embedding import Embeddings
    from xray_mining.networks.options import EmbeddingOptions

    default = {"embedding": EmbeddingOptions()}
    finish(_measured(Embeddings, default, _Asked(cohort, workspace, study, key, shards)), json)


@dataclass(frozen=True, slots=True)
class _Asked:
    """Arguments that both commands share."""

    cohort: str
    workspace: Path
    study: str
    key: str
    shards: str


def _measured(instrument: Any, default: Mapping[str, Any], asked: _Asked, jobs: int = 1) -> "SetSummaries":
    """Measure the study's sets of this kind of instrument for a cohort, or the default set."""
    from xray_mining.errors import unknown_name
    from xray_mining.records.cohort import FrozenCohort
    from xray_mining.sets.measure import SetSummaries, measure
    from xray_mining.study.current import find_study
    from xray_mining.workspace import Workspace

    workspace = Workspace.open(asked.workspace)
    cohort = FrozenCohort.load(workspace, asked.cohort.replace("/", "-"))
    study = find_study(asked.study, workspace) if asked.study else None
    sets = dict(getattr(study, instrument.kind)) if study else {}
    if asked.key and asked.key not in sets:
        raise unknown_name(f"study {asked.study or '(none given)'}, {instrument.kind}", asked.key, sets)
    chosen = {asked.key: sets[asked.key]} if asked.key else sets
    if study:
        say_notes(study.notes)
        for each in chosen:
            study.refuse_missing(f"{instrument.kind}.{each}")
    shards = _range(asked.shards)
    done = [
        measure(workspace, cohort, name, instrument(options), jobs=jobs, shards=shards)
        for name, options in (chosen or default).items()
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
