"""Descriptions of shipped files: the list of cohorts, one cohort's header and steps, the data dictionary."""

from dataclasses import dataclass

from sqlglot import exp

from xray_mining.catalog import flow
from xray_mining.catalog.cohort import known_cohorts, read_query
from xray_mining.catalog.guard import parsed_select
from xray_mining.catalog.header import Parameter, queries, read_header
from xray_mining.catalog.merge import column_type
from xray_mining.catalog.targets import TARGETS
from xray_mining.records.record import Record
from xray_mining.records.tables import ALL
from xray_mining.workspace import asset


@dataclass(frozen=True, slots=True)
class CohortList:
    """The shipped cohorts."""

    cohorts: tuple[tuple[str, str], ...]

    def lines(self) -> list[str]:
        """Name and question of each cohort, one line each."""
        width = max(len(name) for name, _ in self.cohorts)
        return [f"{name:<{width}}  {question}" for name, question in self.cohorts]


@dataclass(frozen=True, slots=True)
class CohortDescription:
    """Header and steps of one cohort's file."""

    cohort: str
    question: str
    one_row: str
    notes: tuple[str, ...]
    parameters: tuple[Parameter, ...]
    targets: tuple[str, ...]
    steps: tuple[str, ...]
    example: str

    def lines(self) -> list[str]:
        """The description as lines of text."""
        parameters = [
            f"  ${each.name} {each.kind}{'' if each.required else f' = {each.default}'}  {each.words}"
            for each in self.parameters
        ]
        return [
            f"{self.cohort}: {self.question}",
            f"one row: {self.one_row}",
            *(f"note: {each}" for each in self.notes),
            *(["parameters:", *parameters] if parameters else ["no parameters"]),
            *(["targets:", *(f"  {each}" for each in self.targets)] if self.targets else ["no targets"]),
            "steps:",
            *(f"  {number}. {words}" for number, words in enumerate(self.steps, 1)),
            f"example: {self.example}",
        ]


@dataclass(frozen=True, slots=True)
class View:
    """A view of sql/schema."""

    name: str
    question: str
    one_row: str
    columns: str
    """Names of the view's columns, or `all of TABLE`."""
    example: str


@dataclass(frozen=True, slots=True)
class DataDictionary:
    """Columns of all records with type, unit and meaning, all views and all checks."""

    tables: tuple[tuple[str, str, str, tuple[tuple[str, str, str, str], ...]], ...]
    views: tuple[View, ...]
    checks: tuple[tuple[str, str, str, str], ...]
    """Code, severity, scope (archive or cohort) and question."""

    def lines(self) -> list[str]:
        """The dictionary as Markdown."""
        found = [
            "# Data dictionary",
            "",
            "Written by `xray-mining dictionary` from the records themselves. A key is a keyed 128-bit digest.",
        ]
        for table, question, home, columns in self.tables:
            found += ["", f"## {table}", "", f"One row: {question}. Kept in {home}.", ""]
            found += ["| column | type | unit | meaning |", "|---|---|---|---|"]
            found += [f"| {name} | {kind} | {unit} | {meaning} |" for name, kind, unit, meaning in columns]
        found += [
            "",
            "## Views",
            "",
            "Queries that SQL names like tables; `describe VIEW` gives the columns' meaning.",
            "",
        ]
        found += ["| view | answers | one row | columns | example |", "|---|---|---|---|---|"]
        found += [
            f"| {each.name} | {each.question} | {each.one_row} | {each.columns} | `{each.example}` |"
            for each in self.views
        ]
        found += ["", "## Checks", ""]
        found += [
            "`xray-mining check` asks those of the archive, `xray-mining check COHORT` those of a cohort; codes of"
        ]
        found += ["evaluations are in [evaluation_files.md](evaluation_files.md).", ""]
        found += ["| code | severity | of | asks |", "|---|---|---|---|"]
        found += [f"| {' | '.join(each)} |" for each in self.checks]
        return found


def cohort_list() -> CohortList:
    """The shipped cohorts, each with its question."""
    return CohortList(tuple((name, read_query(name).header.question) for name in known_cohorts()))


def cohort_description(query: str) -> CohortDescription:
    """Header and steps of a shipped cohort, or of a file.

    Args:
        query: Name of a shipped cohort, or the path of an SQL file.

    Returns:
        Question, parameters, targets, steps and example.

    Raises:
        UserError: If the cohort is unknown, or its header is invalid.

    Example:
        >>> found = cohort_description("frontal_adults")
        >>> [each.name for each in found.parameters]
        ['youngest']
    """
    asked = read_query(query)
    tree = parsed_select(asked.text, asked.where)
    header = asked.header
    targets = tuple(
        " ".join(
            filter(
                None,
                (
                    each.name,
                    each.kind,
                    TARGETS.find(each.kind).words(each),
                    each.unit,
                    f"(made of {', '.join(each.made_of) or 'none'})" if each.made_of_from else "",
                ),
            )
        )
        for each in header.targets
    )
    words = tuple(step.words for step in flow.steps(tree, asked.where))
    return CohortDescription(
        asked.name, header.question, header.one_row, header.notes, header.parameters, targets, words, header.example
    )


_HOMES = {"catalog": "catalog.duckdb", "results": "results.duckdb", "files": "Parquet files"}


def data_dictionary() -> DataDictionary:
    """Every record of the toolkit, every view and every check."""
    from xray_mining.catalog.checks import all_checks

    headers = (each.header for each in all_checks())
    views = (_view(name, path.read_text(encoding="utf-8")) for name, path in queries(asset("sql/schema")).items())
    return DataDictionary(
        tuple((record.table, record.question, _HOMES[record.home], _columns(record)) for record in ALL),
        tuple(views),
        tuple((each.code, each.severity, each.scope, each.question) for each in headers),
    )


def _view(name: str, text: str) -> View:
    header = read_header(text, f"sql/schema/{name}.sql")
    # The text begins with `create or replace view NAME as`.
    selected = parsed_select(text.partition(f"view {name} as\n")[2], f"view {name}").find(exp.Select)
    if selected is None:
        raise ValueError(f"view {name} selects nothing")
    table = selected.args.get("from_") or selected.args["from"]
    columns = f"all of {table.name}" if selected.is_star else ", ".join(selected.named_selects)
    return View(name, header.question, header.one_row, columns, header.example)


def _columns(record: type[Record]) -> tuple[tuple[str, str, str, str], ...]:
    rows = []
    for name, column in record.columns().items():
        metadata = column.metadata or {}
        kind = "key" if metadata.get("key") else column_type(record, name).replace("[]", " list")
        null = ", may be null" if column.nullable else ""
        meaning = str(column.description or "")
        if metadata.get("allowed"):
            meaning += f" ({', '.join(metadata['allowed'])})"
        rows.append((name, kind + null, str(metadata.get("unit") or ""), meaning.replace("|", "\\|")))
    return tuple(rows)
