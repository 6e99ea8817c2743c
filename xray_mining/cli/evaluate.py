"""evaluate: score the predictions of a study, compare its models, and audit the result."""

from typing import Annotated

import typer

from xray_mining.cli.app import JsonOption, WorkspaceOption, app, finish, say_notes


@app.command()
def evaluate(
    study: Annotated[str, typer.Argument(help="a study's name, its YAML file, or a name under experiments/")],
    workspace: WorkspaceOption,
    as_json: JsonOption = False,
) -> None:
    """Turn a study's predictions into estimates, comparisons, checks and pictures.

    Example: xray-mining evaluate demo
    """
    import xray_mining
    from xray_mining.study.conduct import stop_at_errors
    from xray_mining.study.scored import study_as_evaluated

    with xray_mining.open(workspace) as work:
        read = study_as_evaluated(work.workspace, study)
        say_notes(read.notes if read else ())
        summary = work.evaluate(read or study)
        finish(summary, as_json)
        stop_at_errors(work.workspace.evaluation(summary.study))
