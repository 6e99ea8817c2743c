"""How many images, studies and patients are left after each step of a cohort's own file.

The one place that builds SQL: by sqlglot, from the file's common table expressions.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import duckdb
import polars as pl
from sqlglot import exp

from xray_mining.catalog.connection import frame
from xray_mining.errors import UserError
from xray_mining.records.cohort import FlowStep


@dataclass(frozen=True, slots=True)
class Step:
    """One top-level CTE and the words of its `-- step:` line."""

    name: str
    words: str


def steps(tree: exp.Query, where: str) -> tuple[Step, ...]:
    """The steps of a cohort file in their order; UserError for one without words, or where there is none."""
    found = []
    for cte in _common_tables(tree):
        words = [
            comment.strip().removeprefix("step:").strip()
            for node in (cte, cte.args["alias"])
            for comment in node.comments or []
            if comment.strip().startswith("step:")
        ]
        if not words or not words[-1]:
            raise UserError(
                f"{where}: step '{cte.alias}' has no words; put a line '-- step: words for the diagram' above it"
            )
        found.append(Step(cte.alias, words[-1]))
    if not found:
        raise UserError(
            f"{where}: has no steps; write it as WITH … common tables, each under its line '-- step: words'"
        )
    return tuple(found)


def _common_tables(tree: exp.Query) -> list[exp.CTE]:
    clause = tree.args.get("with_") or tree.args.get("with")
    return list(clause.expressions) if clause else []


def parameters_of(tree: exp.Expression) -> set[str]:
    """Names of the `$name` parameters that a query uses."""
    return {str(node.name) for node in tree.find_all(exp.Placeholder, exp.Parameter) if node.name}


def count(
    con: duckdb.DuckDBPyConnection, tree: exp.Query, parameters: Mapping[str, Any], where: str
) -> tuple[FlowStep, ...]:
    """Images, studies and patients after each step, in one query that runs every step once."""
    named = steps(tree, where)
    parts = []
    for number, step in enumerate(named):
        name = exp.to_identifier(step.name, quoted=True).sql("duckdb")
        parts.append(
            f"select {number} as place, count(*) as images, count(distinct images.study_key) as studies, "
            f"count(distinct images.patient_key) as patients "
            f"from {name} as step inner join images on step.image_key = images.image_key"
        )
    clause = (tree.args.get("with_") or tree.args["with"]).copy()
    for cte in clause.expressions:
        cte.set("materialized", True)
    text = f"{clause.sql('duckdb', comments=False)} {' union all '.join(parts)} order by place"
    used = parameters_of(clause)
    rows = frame(con, text, {name: value for name, value in parameters.items() if name in used}, where)
    return tuple(
        FlowStep(step.name, step.words, int(row["images"]), int(row["studies"]), int(row["patients"]))
        for step, row in zip(named, rows.iter_rows(named=True), strict=True)
    )


def whole(con: duckdb.DuckDBPyConnection) -> FlowStep:
    """The box above the first step: everything that the catalog holds."""
    row = frame(
        con,
        "select count(*) as images, count(distinct study_key) as studies, count(distinct patient_key) as patients "
        "from images",
    ).row(0, named=True)
    return FlowStep("images", "kept images of all archives", row["images"], row["studies"], row["patients"])


def of_members(members: pl.DataFrame) -> FlowStep:
    """The box below the last step: the frozen members."""
    return FlowStep(
        "members", "members", members.height, members["study_key"].n_unique(), members["patient_key"].n_unique()
    )
