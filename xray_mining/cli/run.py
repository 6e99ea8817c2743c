"""run: run a whole study through Snakemake; step: do one of its jobs."""

from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer

from xray_mining.cli.app import JsonOption, WorkspaceOption, app, finish, say_notes

StudyArgument = Annotated[
    str,
    typer.Argument(help="a shipped study (demo, nih_sample, …), the path of a YAML file, or a study run here before"),
]
ArchiveOption = Annotated[
    str | None,
    typer.Option("--archive", "-a", help="folder of the archive (default: the archives in the workspace)"),
]
NameOption = Annotated[str, typer.Option(help="name of the archive in tables and pages (default: its adapter's name)")]
ProfileOption = Annotated[str, typer.Option(help="a shipped profile, or a folder with Snakemake's config.yaml")]
DryRunOption = Annotated[
    bool, typer.Option("--dry-run", "-n", help="only show the steps that would run, with estimated times")
]
SpreadOption = Annotated[
    int,
    typer.Option(
        min=0,
        metavar="N",
        help="cut ingest and sets into up to N slices, and experiments into fits, one job each (for clusters)",
    ),
]


@app.command()
def run(
    study: StudyArgument,
    workspace: WorkspaceOption,
    archive: ArchiveOption = None,
    name: NameOption = "",
    profile: ProfileOption = "local",
    dry_run: DryRunOption = False,
    spread: SpreadOption = 0,
    json: JsonOption = False,
) -> None:
    """Run a whole study: ingest, cohorts, features, models, evaluation, report. Finished steps are kept.

    Steps whose answers come soonest run first, networks last; the time left is estimated roughly.

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
        # The command on a page names the study, not its file.
        study = file_run(study, workspace)
    read = read_study(study)
    say_notes(read.notes)
    source_of_archive = source_at(archive) if archive else None
    state = archive_state(source_of_archive)
    with ExitStack() as apart:
        # A dry run must not create a workspace, so without one it uses a temporary empty workspace.
        if dry_run and not workspace.exists():
            workspace = Path(apart.enter_context(TemporaryDirectory())) / workspace.name
        place = Workspace.create(workspace)
        # Do not resolve symbolic links: files beside a link to the study file must be found by every job too.
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
            # Merge now, because other programs read the merged files without this package.
            merge(place)
        finish(summary, json)
        if not dry_run:
            stop_at_errors(place.evaluation(read.study))


@app.command()
def studies(workspace: WorkspaceOption, json: JsonOption = False) -> None:
    """List the studies: shipped ones, which `run` takes by name, and those in the workspace.

    Example: xray-mining studies --workspace work
    """
    from xray_mining.study.known import known_studies

    finish(known_studies(workspace), json)


@app.command(hidden=True)
def step(
    configuration: Annotated[Path, typer.Argument(help="the JSON file that `run` writes for its jobs")],
    step: Annotated[str, typer.Argument(help="name of the step")],
    jobs: Annotated[int, typer.Option()] = 1,
    digest: Annotated[
        str, typer.Option(help="digest of the step's options; it only makes Snakemake see a change")
    ] = "",
) -> None:
    """Do one step of a study, as a job of the pipeline. By hand, use the command of the stage instead."""
    from xray_mining.study.perform import perform

    perform(configuration, step, jobs)
