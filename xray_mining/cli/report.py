"""`xray-mining report`: the HTML page of a study."""

from pathlib import Path
from typing import Annotated

import typer

from xray_mining.cli.app import JsonOption, WorkspaceOption, app, finish


@app.command()
def report(
    studies: Annotated[
        list[str],
        typer.Argument(metavar="STUDY…", help="one or several evaluated studies, or copied evaluation folders"),
    ],
    workspace: WorkspaceOption,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="write the page here (default: reports/STUDY.html of the workspace)",
            show_default=False,
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Write the HTML page of a study's evaluation, or of several studies side by side.

    Example: xray-mining report demo
    """
    from xray_mining.reporting.command import report as lay_out
    from xray_mining.workspace import MARKER

    if (workspace / MARKER).is_file():
        import xray_mining

        with xray_mining.open(workspace) as work:
            finish(work.report(*studies, output=output), as_json)
    else:
        # Copied evaluation folders need no workspace.
        finish(lay_out(studies, output, workspace), as_json)
