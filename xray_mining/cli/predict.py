"""predict: a finished experiment's models applied to new radiographs."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from xray_mining.cli.app import JsonOption, WorkspaceOption, app, finish
from xray_mining.errors import CheckFailed


class Format(StrEnum):
    """How the predictions are printed."""

    table = "table"
    csv = "csv"


@app.command()
def predict(
    model: Annotated[
        str, typer.Argument(help="STUDY/EXPERIMENT, an experiment's folder, or a fit's file (model.pt, .joblib)")
    ],
    images: Annotated[list[Path], typer.Argument(help="DICOM, PNG or JPEG files, or folders of them")],
    workspace: WorkspaceOption,
    format: Annotated[Format, typer.Option(help="how the predictions are printed")] = Format.table,
    weights: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE",
            help="weights file of a frozen network; may be repeated (default: the files that the study names)",
        ),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Apply a fitted model to new radiographs: one value with its spread for each picture. Not for diagnosis.

    Works for networks, frozen networks, handcrafted baselines, picture nulls (thumbnail, histogram, border) and
    ensembles. A .joblib file is a Python pickle, and loading it can run any code: give only models from people you
    trust. The exit status is 1 if no file could be read.

    Example: xray-mining predict demo/age_network film.dcm other.png --format csv
    """
    from xray_mining.application.predict import predict_files
    from xray_mining.workspace import MARKER

    if (workspace / MARKER).is_file():
        import xray_mining

        with xray_mining.open(workspace) as work:
            summary = work.predict(model, images, weights or ())
    else:
        summary = predict_files(workspace, model, images, weights=weights or ())
    if format is Format.csv and not json:
        typer.echo(summary.csv(), nl=False)
        typer.echo(summary.note, err=True)
    else:
        finish(summary, json)
    if all(each.trouble for each in summary.predictions):
        raise CheckFailed("images: none could be read, so nothing was predicted; the reasons are beside the files")
