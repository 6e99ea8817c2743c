"""Numbers of images, studies and patients after each step of a cohort's file.

The only module that builds SQL from parts: with sqlglot, from the file's common table expressions.
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

_COUNTING = ("marks", "images", "pairs", "studies", "patients")
_MOST_STEPS = 62
"""Each step is one bit of a bigint."""


@dataclass(frozen=True, slots=True)
class Step:
    """One top-level CTE and the text of its `-- step:` line."""

    name: str
    words: str


def steps(tree: exp.Query, where: str) -> tuple[Step, ...]:
    """The steps of a cohort file in order; UserError if a step has no description, or if there are no steps."""
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
                f"{where}: step '{cte.alias}' has no description; put a line '-- step: words for the diagram' above it"
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


def parameters_of(tree: exp.Expr) -> set[str]:
    """Names of the `$name` parameters that a query uses."""
    return {str(node.name) for node in tree.find_all(exp.Placeholder, exp.Parameter) if node.name}


def count(
    con: duckdb.DuckDBPyConnection,
    tree: exp.Query,
    parameters: Mapping[str, Any],
    where: str,
    chosen: pl.Series | None = None,
) -> tuple[FlowStep, ...]:
    """Count images, studies and patients in the whole catalog and after each step, in one query.

    An image that a step holds several times (as after joining findings) counts once. An image without a patient id
    counts for no patient, as on the archive's page.

    Args:
        con: A connection on which the cohort's query may run.
        tree: The parsed query.
        parameters: Values of the header's parameters.
        where: The name of the cohort in error messages.
        chosen: Image keys that the last SELECT gave before. The counting query runs it a second time.

    Raises:
        UserError: If there are too many steps, or the second run of the last SELECT gives other images.
    """
    named = steps(tree, where)
    if len(named) > _MOST_STEPS:
        raise UserError(f"{where}: has {len(named)} steps, more than {_MOST_STEPS}; join some of them")
    clause = (tree.args.get("with_") or tree.args["with"]).copy()
    text = _counting(clause, [step.name for step in named], None if chosen is None else tree.copy())
    used = parameters_of(clause if chosen is None else tree)
    rows = frame(con, text, {name: value for name, value in parameters.items() if name in used}, where)
    if chosen is not None:
        again = rows.filter(pl.col("what") == "members").select("marks", "number").row(0)
        if again != _digest(con, chosen, where):
            raise UserError(
                f"{where}: gives other images when it is run a second time; write ORDER BY, down to image_key, "
                f"wherever it takes the first of several rows"
            )
    counted = [dict.fromkeys(("images", "studies", "patients"), 0) for _ in range(len(named) + 1)]
    for what, marks, number in rows.filter(pl.col("what") != "members").iter_rows():
        for bit, counts in enumerate(counted):
            counts[what] += number if marks >> bit & 1 else 0
    words = (Step("images", "kept images of all archives"), *named)
    return tuple(FlowStep(step.name, step.words, **counts) for step, counts in zip(words, counted, strict=True))


# A digest of keys that does not depend on their order. hash() may change between versions of DuckDB, but both digests
# that are compared come from one process.
_DIGEST = "coalesce(bit_xor(hash(image_key::uuid) >> 1), 0)::bigint as marks, count(*) as number"


def _digest(con: duckdb.DuckDBPyConnection, keys: pl.Series, where: str) -> tuple[Any, ...]:
    con.register("chosen_keys", keys.to_frame("image_key").to_arrow())
    found = frame(con, f"select {_DIGEST} from chosen_keys", where=where).row(0)
    con.unregister("chosen_keys")
    return found


def _counting(clause: exp.With, names: Sequence[str], last: exp.Query | None) -> str:
    """A query that counts images, studies and patients by their marks: bit 0 is the catalog, bit 1 the first step.

    The marks of an image combine those of all its rows, the marks of a study or patient those of all its images. One
    pass over the images then counts all steps; separate counts of distinct studies and patients for each step took
    twice as long at 2 million images. With `last`, the whole tree, one more row has the digest of the keys that its
    last SELECT returns.
    """
    quoted = [exp.to_identifier(name, quoted=True).sql("duckdb") for name in names]
    # Names that no step of the cohort has.
    unlike = "_".join(["counted", *(name for name in names if name.lower().startswith("counted"))])
    own = {name: exp.to_identifier(f"{unlike}_{name}", quoted=True).sql("duckdb") for name in _COUNTING}
    marked = " union all ".join(
        f"select image_key, {1 << bit}::bigint as marks from {name}" for bit, name in enumerate(quoted, start=1)
    )
    members = ""
    if last is not None:
        last.set("with_", None)
        last.set("with", None)
        members = f" union all select 'members' as what, {_DIGEST} from ({last.sql('duckdb', comments=False)}) as last"
    return (
        f"{clause.sql('duckdb', comments=False)}, "
        f"{own['marks']} as ("
        f"select image_key, bit_or(marks) as marks from ({marked}) as step group by image_key), "
        f"{own['images']} as materialized ("
        f"select images.study_key, if(images.patient_source = 'none', null, images.patient_key) as patient_key, "
        f"coalesce(step.marks, 0) | 1 as marks "
        f"from images left join {own['marks']} as step on images.image_key = step.image_key), "
        f"{own['pairs']} as materialized ("
        f"select study_key, patient_key, bit_or(marks) as marks from {own['images']} group by study_key, patient_key), "
        f"{own['studies']} as (select bit_or(marks) as marks from {own['pairs']} group by study_key), "
        f"{own['patients']} as (select bit_or(marks) as marks from {own['pairs']} "
        f"where patient_key is not null group by patient_key) "
        + " union all ".join(
            f"select '{name}' as what, marks, count(*) as number from {own[name]} group by marks"
            for name in ("images", "studies", "patients")
        )
        + members
    )


def of_members(members: pl.DataFrame) -> FlowStep:
    """The last box of the flow: the frozen members."""
    return FlowStep(
        "members", "members", members.height, members["study_key"].n_unique(), members["patient_key"].n_unique()
    )
