"""run: the whole study through Snakemake; step: one of its jobs."""

from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer

from xray_mining.cli.app import JsonOption, WorkspaceOption, app, finish, say_notes


@app.command()
def run(
    study: Annotated[
        str,
        typer.Argument(
            help="a study that ships (demo, nih_sample, …), the path of a YAML file, or the name of one run here before"
        ),
    ],
    workspace: WorkspaceOption,
    archive: Annotated[
        str | None, typer.Option("--archive", "-a", help="folder of the archive; without it the workspace's own data")
    ] = None,
    name: Annotated[str, typer.Option(help="name of the archive in tables and pages (default: its adapter's)")] = "",
    profile: Annotated[
        str, typer.Option(help="a profile that ships, or a folder with Snakemake's config.yaml")
    ] = "local",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", "-n", help="show the steps that would run and how long they may take, and end")
    ] = False,
    spread: Annotated[
        int,
        typer.Option(
            min=0,
            metavar="N",
            help="cut ingest and sets into up to N slices, and experiments into their fits, a job each (for a cluster)",
        ),
    ] = 0,
    json: JsonOption = False,
) -> None:
    """Run a whole study: ingest, cohorts, features, models, evaluation, report. What is done already is kept.

    Steps whose answers come soonest go first, networks last; how long the rest may take is said as a rough guess.

    Example: xray-mining run demo --archive phantom-archive --workspace workspace
    """
    from xray_mining.archive.source import source_at
    from xray_mining.catalog.merge import merge
    from xray_mining.study.conduct import conduct, stop_at_errors
    from xray_mining.study.current import file_run
    from xray_mining.study.options import read_study
    from xray_mining.study.perform import archive_state
    from xray_mining.workspace import Workspace

    if not Path(study).suffix:
        # The page's own command names a study, not its file.
        study = file_run(study, workspace)
    read = read_study(study)
    say_notes(read.notes)
    source_of_archive = source_at(archive) if archive else None
    state = archive_state(source_of_archive)
    with ExitStack() as apart:
        # A dry run leaves nothing behind: where there is no workspace yet, it looks at an empty one.
        if dry_run and not workspace.exists():
            workspace = Path(apart.enter_context(TemporaryDirectory())) / workspace.name
        place = Workspace.create(workspace)
        # Not resolved: what lies beside a link to a study file is beside it for every job, too.
        source = study if not Path(study).suffix else str(Path(study).absolute())
        summary = conduct(
            read,
            study_file=source,
            workspace=place,
            archive=source_of_archive,
            name=name,
            archive_state=state,
            profile=profile,
            dry_run=dry_run,
            pieces=spread,
        )
        if not dry_run:
            # Other programs read the tables' file as it is.
            merge(place)
        finish(summary, json)
        if not dry_run:
            stop_at_errors(place.evaluation(read.study))


@app.command()
def studies(workspace: WorkspaceOption, json: JsonOption = False) -> None:
    """List the studies: those that ship, which `run` takes by their names, and those that the workspace holds.

    Example: xray-mining studies --workspace work
    """
    from xray_mining.study.known import known_studies

    finish(known_studies(workspace), json)


@app.command(hidden=True)
def step(
    told: Annotated[Path, typer.Argument(help="what `run` says to all its jobs")],
    step: Annotated[str, typer.Argument(help="name of the step")],
    jobs: Annotated[int, typer.Option()] = 1,
    digest: Annotated[str, typer.Option(help="of the step's options; it only makes Snakemake see a change")] = "",
) -> None:
    """Do one step of a study: a job of the pipeline. People use the command of that stage instead."""
    from xray_mining.study.perform import perform

    perform(told, step, jobs)
