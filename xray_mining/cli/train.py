"""train: fit one experiment of a study, or all of them."""

from typing import Annotated

import typer

from xray_mining.cli.app import JsonOption, WorkspaceOption, app, finish, say_notes


@app.command()
def train(
    experiment: Annotated[
        str,
        typer.Argument(
            help="STUDY/EXPERIMENT, or STUDY for all; STUDY is a shipped one, one run here, or a YAML file "
            "(my_study.yaml/age_ridge)"
        ),
    ],
    workspace: WorkspaceOption,
    rotation: Annotated[
        int | None, typer.Option(min=0, help="only this rotation, for several jobs (default: all)", show_default=False)
    ] = None,
    seed: Annotated[
        int | None, typer.Option(help="only this seed; -1 for a model without seeds (default: all)", show_default=False)
    ] = None,
    json: JsonOption = False,
) -> None:
    """Fit an experiment in every rotation of its study's design; existing fits are kept.

    Example: xray-mining train demo/age_ridge
    """
    import xray_mining

    with xray_mining.open(workspace) as work:
        study, name = _parted(experiment)
        read = work.study(study)
        say_notes(read.notes)
        done = work.train(read, name, rotation=rotation, seed=seed)
        finish(done.experiments[0] if name else done, json)


def _parted(text: str) -> tuple[str, str]:
    """The study (a name or a file) and the experiment; an empty experiment means all."""
    if text.endswith((".yaml", ".yml")):
        return text, ""
    study, _, name = text.rpartition("/")
    if not study:
        return text, ""
    return study, name
