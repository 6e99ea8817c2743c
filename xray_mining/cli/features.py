"""features, embed: numbers and vectors of a cohort's radiographs."""

from pathlib import Path
from typing import Annotated

import typer

from xray_mining.cli.app import JsonOption, WorkspaceOption, app, finish, say_notes

CohortArgument = Annotated[str, typer.Argument(help="name of a frozen cohort, or STUDY/KEY of a study's")]
StudyOption = Annotated[
    str, typer.Option("--study", help="a study that ships or was run here, or a YAML file: take its sets")
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
    """Measure a cohort's radiographs: handcrafted features. What is there already is kept.

    Example: xray-mining features demo/age --study demo --jobs 2
    """
    from xray_mining.features.extract import VectorSummaries, extract
    from xray_mining.features.options import FeatureOptions

    place, frozen, sets = _opened(workspace, cohort, study, key, "features")
    wanted = sets or {"handcrafted": FeatureOptions()}
    done = [extract(place, frozen, name, each, jobs=jobs, shards=_range(shards)) for name, each in wanted.items()]
    finish(VectorSummaries(tuple(done)), json)


@app.command()
def embed(
    cohort: CohortArgument,
    workspace: WorkspaceOption,
    study: StudyOption = "",
    key: SetOption = "",
    shards: ShardsOption = "",
    json: JsonOption = False,
) -> None:
    """Vectors of a cohort's radiographs by a network that is not trained here. What is there already is kept.

    Example: xray-mining embed demo/age --study demo
    """
    from xray_mining.features.extract import VectorSummaries
    from xray_mining.models.embedding import embed as vectors
    from xray_mining.models.options import EmbeddingOptions

    place, frozen, sets = _opened(workspace, cohort, study, key, "embeddings")
    wanted = sets or {"embedding": EmbeddingOptions()}
    done = [vectors(place, frozen, name, each, shards=_range(shards)) for name, each in wanted.items()]
    finish(VectorSummaries(tuple(done)), json)


def _opened(workspace: Path, cohort: str, study: str, key: str, kind: str):  # noqa: ANN202 - types are met inside
    """The workspace, the frozen cohort and the study's sets of this kind."""
    from xray_mining.errors import unknown_name
    from xray_mining.records.cohort import FrozenCohort
    from xray_mining.study.current import find_study
    from xray_mining.workspace import Workspace

    place = Workspace.open(workspace)
    frozen = FrozenCohort.load(place, cohort.replace("/", "-"))
    read = find_study(study, place) if study else None
    sets = dict(getattr(read, kind)) if read else {}
    if key and key not in sets:
        raise unknown_name(f"study {study or '(none given)'}, {kind}", key, sets)
    wanted = {key: sets[key]} if key else sets
    if read:
        say_notes(read.notes)
        for each in wanted:
            read.refuse_missing(f"{kind}.{each}")
    return place, frozen, wanted


def _range(text: str) -> tuple[int, int] | None:
    """A:B as two numbers."""
    from xray_mining.errors import UserError

    if not text:
        return None
    first, _, end = text.partition(":")
    if not (first.isdigit() and end.isdigit() and int(first) < int(end)):
        raise UserError(f"--shards {text}: must be two numbers A:B with A below B; it takes shards A to B - 1")
    return int(first), int(end)
