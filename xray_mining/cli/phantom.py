"""`xray-mining phantom`: an archive of synthetic radiographs with the truth beside it."""

from pathlib import Path
from typing import Annotated

import typer

from xray_mining.cli.app import JsonOption, app, finish


@app.command()
def phantom(
    archive: Annotated[Path, typer.Argument(metavar="DIR", help="folder to write; new or empty")],
    patients: Annotated[int, typer.Option(help="number of patients")],
    seed: Annotated[int, typer.Option(help="the same seed gives the same files")],
    size: Annotated[int, typer.Option(help="longer side of the radiographs in pixels")] = 512,
    plant: Annotated[
        str,
        typer.Option(
            metavar="WORDS",
            help="effects to plant, with commas: repeats, nodules, group, gap, shortcut, noise, duplicates, leak",
        ),
    ] = "",
    jobs: Annotated[int | None, typer.Option(help="processes (default: one for each core)")] = None,
    if_absent: Annotated[bool, typer.Option("--if-absent", help="do nothing if this archive already exists")] = False,
    json: JsonOption = False,
) -> None:
    """Write an archive of synthetic chest radiographs as DICOM, with masks and the truth beside it.

    Example: xray-mining phantom phantom-archive --patients 200 --seed 1 --plant nodules,group,repeats,duplicates
    """
    from xray_mining.phantom.population import Parameters, write_archive

    words = tuple(word.strip() for word in plant.split(",") if word.strip())
    finish(write_archive(archive, Parameters(patients, seed, size, words), jobs, if_absent), json)
