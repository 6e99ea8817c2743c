"""How many images, studies and patients are left after each step of a cohort's own file.

The one place that builds SQL: by sqlglot, from the file's common table expressions.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import duckdb
import polars as pl
from sqlglot import exp

from xray_mining.catalog.connection import frame
from xray_mining.errors import UserError
from xray_mining.records.cohort import FlowStep

_COUNTING = ("images", "pairs", "studies", "patients")
_MOST_STEPS = 62
"""Marks are bits of a bigint."""


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
    """Images, studies and patients in the whole catalog and after each step, in one query that runs every step once."""
    named = steps(tree, where)
    if len(named) > _MOST_STEPS:
        raise UserError(f"{where}: has {len(named)} steps, more than {_MOST_STEPS}; join some of them")
    clause = (tree.args.get("with_") or tree.args["with"]).copy()
    text = _counting(clause, [step.name for step in named])
    used = parameters_of(clause)
    rows = frame(con, text, {name: value for name, value in parameters.items() if name in used}, where)
    counted = [dict.fromkeys(("images", "studies", "patients"), 0) for _ in range(len(named) + 1)]
    for what, marks, number in rows.iter_rows():
        for place, counts in enumerate(counted):
            counts[what] += number if marks >> place & 1 else 0
    words = (Step("images", "kept images of all archives"), *named)
    return tuple(FlowStep(step.name, step.words, **counts) for step, counts in zip(words, counted, strict=True))


def _counting(clause: exp.With, names: Sequence[str]) -> str:
    """A query of how many images, studies and patients bear which marks: bit 0 the whole catalog, bit 1 the first step.

    A study's marks are those of its images together, so that one pass over the images counts every step at once:
    distinct studies and patients of each step by itself took twice as long at 2 million images.
    """
    quoted = [exp.to_identifier(name, quoted=True).sql("duckdb") for name in names]
    # names of its own that no step of a cohort has
    unlike = "_".join(["counted", *(name for name in names if name.lower().startswith("counted"))])
    own = {name: exp.to_identifier(f"{unlike}_{name}", quoted=True).sql("duckdb") for name in _COUNTING}
    marked = " union all ".join(
        f"select image_key, {1 << place}::bigint as marks from {name}" for place, name in enumerate(quoted, start=1)
    )
    return (
        f"{clause.sql('duckdb', comments=False)}, "
        f"{own['images']} as materialized ("
        f"select images.study_key, images.patient_key, step.marks "
        f"from ({marked}) as step inner join images on step.image_key = images.image_key "
        f"union all select study_key, patient_key, 1::bigint from images), "
        f"{own['pairs']} as materialized ("
        f"select study_key, patient_key, bit_or(marks) as marks from {own['images']} group by study_key, patient_key), "
        f"{own['studies']} as (select bit_or(marks) as marks from {own['pairs']} group by study_key), "
        f"{own['patients']} as (select bit_or(marks) as marks from {own['pairs']} group by patient_key) "
        + " union all ".join(
            f"select '{name}' as what, marks, count(*) as number from {own[name]} group by marks"
            for name in ("images", "studies", "patients")
        )
    )


def of_members(members: pl.DataFrame) -> FlowStep:
    """The box below the last step: the frozen members."""
    return FlowStep(
        "members", "members", members.height, members["study_key"].n_unique(), members["patient_key"].n_unique()
    )
