"""train: fit one experiment of a study, or all of them."""

from typing import Annotated

import typer

from xray_mining.cli.app import JsonOption, WorkspaceOption, app, finish, say_notes


@app.command()
def train(
    experiment: Annotated[
        str, typer.Argument(help="STUDY/EXPERIMENT, or STUDY for all: one that ships or was run here, or a YAML file")
    ],
    workspace: WorkspaceOption,
    json: JsonOption = False,
) -> None:
    """Fit an experiment in every rotation of its study's design. Fits that are there already are kept.

    Example: xray-mining train demo/age_ridge
    """
    from xray_mining.catalog.merge import merge
    from xray_mining.models.experiment import TrainSummaries, experiment_order, run
    from xray_mining.study.current import find_study
    from xray_mining.workspace import Workspace

    study, name = _parted(experiment)
    place = Workspace.open(workspace)
    read = find_study(study, place)
    say_notes(read.notes)
    names = [name] if name else experiment_order(read.experiments)
    for each in names:
        read.refuse_missing_of(each)
    done = [run(place, read, each) for each in names]
    # Other programs read the tables' file as it is.
    merge(place)
    finish(done[0] if name else TrainSummaries(tuple(done)), json)


def _parted(text: str) -> tuple[str, str]:
    """The study (a name or a file) and the experiment, '' for all of them."""
    if text.endswith((".yaml", ".yml")):
        return text, ""
    study, _, name = text.rpartition("/")
    if not study:
        return text, ""
    return study, name
