"""What ships, in words: the list of cohorts, one cohort's header and steps, the data dictionary."""

from dataclasses import dataclass

from xray_mining.catalog import flow
from xray_mining.catalog.cohort import known_cohorts, read_query
from xray_mining.catalog.guard import parsed_select
from xray_mining.catalog.header import Parameter
from xray_mining.catalog.merge import column_type
from xray_mining.records.record import Record
from xray_mining.records.tables import ALL


@dataclass(frozen=True, slots=True)
class CohortList:
    """The cohorts that ship."""

    cohorts: tuple[tuple[str, str], ...]

    def lines(self) -> list[str]:
        """Name and question, one a line."""
        width = max(len(name) for name, _ in self.cohorts)
        return [f"{name:<{width}}  {question}" for name, question in self.cohorts]


@dataclass(frozen=True, slots=True)
class CohortDescription:
    """One cohort's file in words."""

    cohort: str
    question: str
    one_row: str
    notes: tuple[str, ...]
    parameters: tuple[Parameter, ...]
    targets: tuple[str, ...]
    steps: tuple[str, ...]
    example: str

    def lines(self) -> list[str]:
        """Header and steps for people."""
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
class DataDictionary:
    """Every record's columns, with type, unit and meaning."""

    tables: tuple[tuple[str, str, str, tuple[tuple[str, str, str, str], ...]], ...]

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
        return found


def cohort_list() -> CohortList:
    """The cohorts that ship, each with its question."""
    return CohortList(tuple((name, read_query(name).header.question) for name in known_cohorts()))


def cohort_description(query: str) -> CohortDescription:
    """Header and steps of a cohort that ships, or of a file."""
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
                    f"positive='{each.positive}'" if each.positive else "",
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
    """Every record of the toolkit."""
    return DataDictionary(
        tuple((record.table, record.question, _HOMES[record.home], _columns(record)) for record in ALL)
    )


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
