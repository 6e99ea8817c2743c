"""Commands about the catalog: merge, sql, cohort, check, dictionary."""

from pathlib import Path
from typing import Annotated

import typer

from xray_mining.catalog.folds import FOLDS, LEAST_FOLDS, MOST_FOLDS, SALT
from xray_mining.cli.app import JsonOption, WorkspaceOption, app, finish

ParameterOption = Annotated[
    list[str] | None, typer.Option("--param", "-p", metavar="K=V", help="value of a $parameter; may be repeated")
]


def _parameters(given: list[str] | None) -> dict[str, str]:
    from xray_mining.errors import UserError

    found = {}
    for each in given or []:
        name, equals, value = each.partition("=")
        if not equals or not name:
            raise UserError(f"--param {each}: must read like --param per_cell=50")
        found[name.strip().removeprefix("$")] = value
    return found


@app.command()
def merge(
    workspace: WorkspaceOption,
    force: Annotated[bool, typer.Option("--force", help="rebuild even if no part has changed")] = False,
    as_json: JsonOption = False,
) -> None:
    """Bring the catalog up to date with the parts (other commands do this themselves).

    Example: xray-mining merge --workspace workspace
    """
    from xray_mining.catalog.merge import merge as bring_up_to_date
    from xray_mining.workspace import Workspace

    finish(bring_up_to_date(Workspace.open(workspace), force), as_json)


@app.command()
def sql(
    workspace: WorkspaceOption,
    query: Annotated[
        str,
        typer.Argument(metavar="[QUERY_OR_FILE]", help="one SELECT, or the path of an .sql file", show_default=False),
    ] = "",
    tables: Annotated[
        bool, typer.Option("--tables", help="list the tables; with a table's name in place of the query, its columns")
    ] = False,
    param: ParameterOption = None,
    output: Annotated[
        str,
        typer.Option("--format", help="table, csv, json or parquet (default: by the extension of --out, else table)"),
    ] = "",
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="write to this file (default: print)")
    ] = None,
    seconds: Annotated[float, typer.Option("--seconds", min=0.1, help="time limit of the query")] = 300.0,
    as_json: JsonOption = False,
) -> None:
    """Run a read-only query over the catalog and the results.

    Example: xray-mining sql "select patient_sex, count(*) from images group by all"
    """
    import xray_mining
    from xray_mining.catalog.tables import format_of, write_rows
    from xray_mining.errors import UserError

    if not query and not tables:
        raise UserError("sql: write one SELECT, or name an SQL file; `xray-mining sql --tables` lists the tables")
    form = format_of("json" if as_json else output, out)
    with xray_mining.open(workspace) as work:
        rows = work.tables(query) if tables else work.sql(query, seconds, **_parameters(param))
    write_rows(rows, form, out)
    if out is not None:
        typer.echo(f"{out}: {rows.height:,} rows, {form}")


@app.command()
def cohort(
    workspace: WorkspaceOption,
    query: Annotated[
        str, typer.Argument(metavar="NAME_OR_FILE", help="a shipped cohort, or the path of an .sql file")
    ] = "",
    alias: Annotated[
        str, typer.Option("--as", metavar="ALIAS", help="name of the frozen cohort (default: the query's name)")
    ] = "",
    param: ParameterOption = None,
    folds: Annotated[int, typer.Option("--folds", min=LEAST_FOLDS, max=MOST_FOLDS)] = FOLDS,
    salt: Annotated[str, typer.Option("--salt", help="public; another salt gives other folds")] = SALT,
    require_pixels: Annotated[
        bool | None,
        typer.Option(
            "--require-pixels/--no-require-pixels",
            help="every member must be in the pixel store (default: required if there is a store)",
            show_default=False,
        ),
    ] = None,
    seconds: Annotated[float, typer.Option("--seconds", min=0.1, help="time limit of its queries")] = 600.0,
    diagram: Annotated[
        Path | None,
        typer.Option("--diagram", metavar="FILE.svg", help="draw the flow, CONSORT style", show_default=False),
    ] = None,
    listed: Annotated[bool, typer.Option("--list", help="list the shipped cohorts")] = False,
    describe: Annotated[bool, typer.Option("--describe", help="print the file's header and steps")] = False,
    as_json: JsonOption = False,
) -> None:
    """Freeze a cohort: members, targets, folds, flow and digest.

    Example: xray-mining cohort age_balanced --param per_cell=50 --as age50
    """
    import xray_mining
    from xray_mining.catalog import cohort as cohorts
    from xray_mining.catalog import describe as words
    from xray_mining.catalog.cohort_summary import summary_of
    from xray_mining.errors import UserError
    from xray_mining.reporting.cohort_diagram import require_svg, write_diagram

    if listed:
        finish(words.cohort_list(), as_json)
        return
    if not query:
        raise UserError("cohort: name a cohort or an .sql file; `xray-mining cohort --list` lists the shipped cohorts")
    if describe:
        finish(words.cohort_description(query), as_json)
        return
    if diagram:
        require_svg(diagram)
    name = alias or Path(query).stem
    with xray_mining.open(workspace) as work:
        opened = work.workspace
        frozen = cohorts.freeze(opened, query, name, _parameters(param), folds, salt, require_pixels, seconds)
        if diagram:
            write_diagram(frozen, diagram)
        finish(summary_of(frozen, opened, diagram), as_json)


@app.command()
def check(
    workspace: WorkspaceOption,
    cohort: Annotated[str, typer.Argument(metavar="[COHORT]", help="a frozen cohort (default: the archives)")] = "",
    as_json: JsonOption = False,
) -> None:
    """Run the data-quality checks of the archive, or the leakage checks of a cohort.

    The exit status is 1 if a check of severity error fails.  Example: xray-mining check age_balanced
    """
    import xray_mining
    from xray_mining.catalog.checks import raise_for

    with xray_mining.open(workspace) as work:
        summary = work.check(cohort)
    finish(summary, as_json)
    raise_for(summary)


@app.command()
def link(
    table: Annotated[Path, typer.Argument(metavar="TABLE", help="CSV, Parquet or Excel")],
    workspace: WorkspaceOption,
    mapping: Annotated[Path, typer.Option("--mapping", metavar="FILE", help="YAML: ids and columns of the table")],
    as_json: JsonOption = False,
) -> None:
    """Join an outside table into findings by patient, accession, StudyInstanceUID or file; its ids are hashed.

    Example: xray-mining link outcomes.csv --mapping outcomes.yaml
    """
    from xray_mining.catalog.link import link as join_table
    from xray_mining.workspace import Workspace

    finish(join_table(Workspace.open(workspace), table, mapping), as_json)


@app.command()
def dictionary(as_json: JsonOption = False) -> None:
    """Print every record's columns with type, unit and meaning, as Markdown.

    Example: xray-mining dictionary > dictionary.md
    """
    from xray_mining.catalog.describe import data_dictionary

    finish(data_dictionary(), as_json)
