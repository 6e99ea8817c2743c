"""`xray-mining archive-report`: the HTML page on what the archives hold."""

from pathlib import Path
from typing import Annotated

import typer

from xray_mining.cli.app import JsonOption, WorkspaceOption, app, finish


@app.command("archive-report")
def archive_report(
    workspace: WorkspaceOption,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="write the page here (default: reports/archive-report.html of the workspace)",
            show_default=False,
        ),
    ] = None,
    compare: Annotated[
        Path | None,
        typer.Option(
            "--compare",
            metavar="EARLIER.json",
            help="the JSON file beside an earlier page; the new page shows what has changed since",
            show_default=False,
        ),
    ] = None,
    show_unexamined: Annotated[
        bool,
        typer.Option(
            "--show-unexamined",
            help="also show pictures of private archives, and pictures whose header does not rule out burned-in text: "
            "the program does not examine pictures for text",
        ),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Write an HTML page about the content of the archives, with its numbers as JSON and CSV files beside it.

    Example: xray-mining archive-report --compare last-year.json
    """
    from xray_mining.reporting.archive_page import archive_report as lay_out
    from xray_mining.workspace import Workspace

    finish(lay_out(Workspace.open(workspace), output, compare, show_unexamined=show_unexamined), as_json)
