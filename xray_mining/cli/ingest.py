"""Commands about archives: ingest, status, locate."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from xray_mining.cli.app import JsonOption, WorkspaceOption, app, finish

if TYPE_CHECKING:
    from xray_mining.catalog.merge import MergeSummary
    from xray_mining.ingest.request import IngestResult
    from xray_mining.workspace import Workspace


NameOption = Annotated[str | None, typer.Option("--name", help="name of the archive (default: the adapter's name)")]
MappingOption = Annotated[
    str | None,
    typer.Option("--mapping", metavar="FILE", help="YAML file with the meaning of a table's columns, or a shipped one"),
]
KeyOption = Annotated[
    Path | None,
    typer.Option(
        "--key",
        metavar="FILE",
        help="hashing key of the domain, from another workspace (default: the workspace's own, made on first use)",
    ),
]
PatientIdRuleOption = Annotated[
    str | None,
    typer.Option(
        "--patient-id-rule",
        metavar="A,B",
        help="differences in writing that do not make another patient id: ignore_issuer, strip_spaces, fold_forms, "
        "fold_case, drop_decimals, strip_zeros; keep_zero or zero_is_none; none (default: the earlier rule of the "
        "archive, at first none)",
    ),
]
ShardsOption = Annotated[
    str | None, typer.Option("--shards", metavar="A:B", help="only shards A to B - 1 of its files (default: all)")
]
SideOption = Annotated[
    int | None, typer.Option("--side-px", min=32, max=4096, help="side of the stored pictures (default: 512)")
]


def _range_of(text: str | None) -> tuple[int, int] | None:
    from xray_mining.errors import UserError

    if text is None:
        return None
    first, colon, last = text.partition(":")
    if not colon or not all(part.isdigit() or not part for part in (first, last)):
        raise UserError(f"--shards {text}: must read like --shards 0:8 (from the first up to, but without, the last)")
    return int(first or 0), int(last or 10**9)


@app.command()
def ingest(
    archive: Annotated[str, typer.Argument(metavar="ARCHIVE", help="the folder with the radiographs")],
    workspace: WorkspaceOption,
    name: NameOption = None,
    domain: Annotated[str | None, typer.Option("--domain", help="id space of its patients (default: its name)")] = None,
    adapter: Annotated[str | None, typer.Option("--adapter", help="how to read it (default: by its layout)")] = None,
    mapping: MappingOption = None,
    key: KeyOption = None,
    patient_id_rule: PatientIdRuleOption = None,
    jobs: Annotated[int | None, typer.Option("--jobs", min=1, help="processes (default: one for each core)")] = None,
    shards: ShardsOption = None,
    metadata_only: Annotated[bool, typer.Option("--metadata-only", help="headers and tables, no pixels")] = False,
    again: Annotated[bool, typer.Option("--again", help="read all files again")] = False,
    side_px: SideOption = None,
    as_json: JsonOption = False,
) -> None:
    """Read an archive into the workspace: records, pictures, catalog. After an interruption repeat the command.

    Example: xray-mining ingest /data/chest --name hospital --workspace workspace
    """
    from xray_mining.archive.source import source_at
    from xray_mining.catalog.merge import merge
    from xray_mining.ingest.ingest import IngestRequest
    from xray_mining.ingest.ingest import ingest as read_archive
    from xray_mining.ingest.options import GreyOptions, IngestOptions
    from xray_mining.ingest.patient_ids import rules_of
    from xray_mining.workspace import Workspace

    rule = rules_of(patient_id_rule) if patient_id_rule is not None else None
    options = IngestOptions.model_validate({"mapping": mapping, "patient_id_rule": rule})
    if side_px is not None:
        options = options.model_copy(update={"grey": GreyOptions(side_px=side_px)})
    source = source_at(archive)
    # Refuse a wrong path before a workspace is created.
    source.check()
    request = IngestRequest(
        source=source,
        name=name,
        domain=domain,
        adapter=adapter,
        key_file=key,
        jobs=jobs,
        shards=_range_of(shards),
        metadata_only=metadata_only,
        again=again,
    )
    opened = Workspace.create(workspace)
    result = read_archive(opened, request, options)
    _finish(opened, result, merge(opened), as_json)


def _finish(opened: "Workspace", result: "IngestResult", merged: "MergeSummary", as_json: bool) -> None:
    """The closing summary of the merged archive, the warnings of merge, and the paths of rejected files."""
    from xray_mining.catalog.query import select
    from xray_mining.ingest.summary import rejected_paths, summary_of

    outcomes = select(opened, "reports/ingest_outcomes", archive=result.archive)
    ages = select(opened, "reports/ingest_unread", archive=result.archive)
    # Other jobs may have finished shards of the archive in the meantime, so take the count of the merged parts: the
    # summary requires that seen = kept + duplicates + rejected.
    result = replace(result, seen=merged.seen.get(result.archive, result.seen))
    unread_cells = select(opened, "reports/ingest_unread_cells", archive=result.archive)
    finish(summary_of(result, outcomes, ages, unread_cells), as_json)
    for line in merged.warnings:
        typer.echo(line, err=True)
    if not as_json:
        rejected = select(opened, "reports/rejected_files", archive=result.archive)
        for line in rejected_paths(opened, result.archive, rejected):
            typer.echo(line, err=True)


@app.command()
def status(workspace: WorkspaceOption, as_json: JsonOption = False) -> None:
    """Show how many shards of each archive are done; works while ingest runs.

    Example: xray-mining status --workspace workspace
    """
    from xray_mining.ingest.summary import status_of
    from xray_mining.workspace import Workspace

    finish(status_of(Workspace.open(workspace)), as_json)


@app.command()
def locate(
    key: Annotated[str, typer.Argument(metavar="KEY", help="an image_key or file_key")],
    workspace: WorkspaceOption,
    as_json: JsonOption = False,
) -> None:
    """Print the path of a radiograph's file; needs the private folder.

    Example: xray-mining locate 0b0e4f0a-1c35-52f9-a7b4-9d1f5b8e2a77
    """
    import xray_mining

    with xray_mining.open(workspace) as work:
        finish(work.locate(key), as_json)
