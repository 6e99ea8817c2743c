"""Checks of a user's SQL: one SELECT over the catalog's tables, with functions that only compute.

This check by sqlglot is the first protection; the guarded connection (no files, no network, no settings) is the second.
"""

import re
from collections.abc import Iterable
from functools import cache
from typing import Any

import duckdb
from sqlglot import Dialect, exp
from sqlglot.errors import SqlglotError

from xray_mining.catalog.functions import PARSED, WRITTEN
from xray_mining.errors import UserError, unknown_name

LONGEST_CHARACTERS = 1_000_000

# Functions whose result differs from run to run; a cohort that uses them could not be reproduced.
_UNREPEATABLE = re.compile(
    r"^(random|rand|setseed|uuid|uuidv4|uuidv7|gen_random_uuid|now|today|current_.*|transaction_timestamp|ago"
    r"|get_current_.*|reservoir_quantile|hash|localtime|localtimestamp|approx_.*)$"
)
# Functions that take the first row, which is not defined without ORDER BY.
_TAKES_FIRST = ("any_value", "arbitrary", "first", "last")
_NUMBERS_ROWS = ("row_number", "ntile", "lag", "lead", "first_value", "last_value", "nth_value")
# Words that DuckDB reads as the clock if no column has that name, also when they are quoted.
_CLOCK = re.compile(r"^(current_(date|time|timestamp|localtime|localtimestamp)|localtime|localtimestamp)$")
_SERIES = ("range", "generate_series", "unnest")
# Template marks: sqlglot skips the text between them, but DuckDB runs it.
_TEMPLATE = re.compile(r"\{[#{%]")
# DuckDB's system views; a common table with such a name would hide a read of the system view from this check.
_INTERNAL = re.compile(r"^(duckdb_.*|sqlite_.*|pg_.*|pragma_.*|information_schema.*|about_merge)$")


def one_select(text: str, where: str, tables: Iterable[str], repeatable: bool = False) -> exp.Query:
    """Parse a text that must be one SELECT which reads only `tables`; UserError for anything else.

    With `repeatable`, functions, samples and row limits whose result may differ between runs are refused too.
    """
    tree = parsed_select(text, where)
    _refuse_reach(tree, where, set(tables), repeatable)
    try:
        parsed = duckdb.extract_statements(text)
    except duckdb.Error as error:
        raise UserError(f"{where}: is not valid SQL ({str(error).splitlines()[0]}); correct it there") from error
    if len(parsed) != 1 or parsed[0].type != duckdb.StatementType.SELECT:
        raise UserError(f"{where}: is not exactly one SELECT; write one that only reads")
    return tree


def parsed_select(text: str, where: str) -> exp.Query:
    """Parse one SELECT without checking which tables it reads: enough to describe it, not to run it."""
    if len(text) > LONGEST_CHARACTERS:
        raise UserError(f"{where}: has more than {LONGEST_CHARACTERS:,} characters; shorten it")
    mark = _TEMPLATE.search(text)
    if mark:
        raise UserError(f"{where}: '{mark[0]}' is a template mark, not SQL; put a space between its characters")
    try:
        statements = [each for each in _parsed(text) if each is not None]
    except RecursionError as error:
        raise UserError(f"{where}: is nested too deeply; write it flatter") from error
    except SqlglotError as error:
        raise UserError(f"{where}: is not valid SQL ({_parse_sentence(error)}); correct it there") from error
    statements = [each for each in statements if not isinstance(each, exp.Semicolon)]
    if len(statements) != 1:
        raise UserError(f"{where}: holds {len(statements)} statements; write exactly one SELECT")
    tree = statements[0]
    if not isinstance(tree, exp.Query):
        raise UserError(f"{where}: '{_word(tree)}' is not a SELECT; write exactly one SELECT, which only reads")
    for node in tree.walk():
        if isinstance(node, _FORBIDDEN):
            raise UserError(f"{where}: '{_word(node)}' is not allowed; write one SELECT, which only reads")
    return tree


def _parsed(text: str) -> list[Any]:
    """Parse trees of the statements, without sqlglot's log messages: this module reports unknown syntax itself."""
    dialect = Dialect.get_or_raise("duckdb")
    parser: Any = dialect.parser_class

    class Silent(parser):
        def _warn_unsupported(self) -> None:
            """Log nothing; setting the level of sqlglot's logger instead would change the whole process."""

    return Silent(dialect=dialect).parse(dialect.tokenize(text), text)


def _refuse_reach(tree: exp.Query, where: str, tables: set[str], repeatable: bool) -> None:
    own = {cte.alias_or_name.lower() for cte in tree.find_all(exp.CTE)}
    hidden = next((name for name in sorted(own) if _INTERNAL.match(name)), None)
    if hidden:
        raise UserError(f"{where}: step '{hidden}' has the name of a system view of the database; rename it")
    for node in tree.walk():
        if isinstance(node, exp.Table):
            _refuse_table(node, where, tables, own)
        elif isinstance(node, exp.Func):
            _refuse_function(node, where)
        if repeatable and (chance := _chance(node)):
            raise UserError(f"{where}: {chance}")


def _refuse_table(node: exp.Table, where: str, tables: set[str], own: set[str]) -> None:
    source = node.this
    if isinstance(source, exp.Func):
        name = _function_name(source)
        if name not in _SERIES and not isinstance(source, exp.GenerateSeries | exp.Unnest):
            raise UserError(f"{where}: table function '{name}' is not allowed; select from the catalog's tables")
        return
    name = node.name
    if node.args.get("db") or node.args.get("catalog"):
        raise UserError(f"{where}: '{node.sql('duckdb')}' is qualified; name a table of the catalog without a prefix")
    if name.lower() not in own and name.lower() not in tables:
        raise unknown_name(f"{where}, tables", name, tables | own)


def _refuse_function(node: exp.Func, where: str) -> None:
    name = _function_name(node)
    if name in WRITTEN or name in PARSED:
        return
    if isinstance(node, exp.Anonymous | exp.AnonymousAggFunc) and name not in _functions_of_duckdb():
        raise unknown_name(f"{where}, functions", name, WRITTEN)
    raise UserError(f"{where}: function '{name}' is not allowed; use functions that only compute from columns")


def _chance(node: exp.Expr) -> str:
    """Why the result of a node may differ from run to run, as a sentence; an empty text if it cannot."""
    if isinstance(node, exp.TableSample):
        return "a sample differs from run to run; take rows by md5(patient_key::varchar) or fold_of() instead"
    if isinstance(node, exp.Limit | exp.Fetch | exp.Offset) and not (node.parent and node.parent.args.get("order")):
        return "LIMIT without ORDER BY beside it takes rows that may differ from run to run; write ORDER BY"
    if isinstance(node, exp.Distinct) and node.args.get("on") and not (node.parent and node.parent.args.get("order")):
        return "DISTINCT ON without ORDER BY beside it may differ from run to run; write ORDER BY"
    if isinstance(node, exp.Column) and not node.table and _CLOCK.match(node.name.lower()):
        return f"'{node.name}' may differ from run to run; use columns instead"
    if isinstance(node, exp.Window) and node.this is not None:
        inner = node.this
        while not isinstance(inner, exp.Func) and isinstance(inner.this, exp.Expression):
            inner = inner.this
        name = _function_name(inner)
        if name in _NUMBERS_ROWS and not _ordered(node):
            return f"function '{name}' over rows without ORDER BY may differ from run to run; write ORDER BY"
    if not isinstance(node, exp.Func):
        return ""
    name = _function_name(node)
    if _UNREPEATABLE.match(name) or (name == "age" and len(node.expressions) == 1):
        return f"function '{name}' may differ from run to run; use columns and fold_of() instead"
    if name in _TAKES_FIRST and not any(isinstance(each, exp.Order) for each in node.iter_expressions()):
        return f"function '{name}' without ORDER BY in it may differ from run to run; use min(), or write ORDER BY"
    return ""


def _ordered(window: exp.Window) -> bool:
    """Whether a window orders its rows, in its own text or in the named window that it refers to."""
    if window.args.get("order"):
        return True
    asked = window.find_ancestor(exp.Select)
    named = (asked.args.get("windows") if asked else None) or []
    return any(each.name == window.alias and each.args.get("order") for each in named)


def _function_name(node: exp.Expr) -> str:
    if isinstance(node, exp.Anonymous | exp.AnonymousAggFunc):
        return str(node.this if isinstance(node.this, str) else node.name).lower()
    return node.sql_name().lower() if isinstance(node, exp.Func) else type(node).__name__.lower()


@cache
def _functions_of_duckdb() -> frozenset[str]:
    """Names of all DuckDB functions, to distinguish a refused function from a misspelt one."""
    with duckdb.connect() as con:
        rows = con.execute("select distinct lower(function_name) from duckdb_functions()").fetchall()
    return frozenset(name for (name,) in rows)


def _word(node: exp.Expr) -> str:
    """The SQL word for a kind of statement."""
    if isinstance(node, exp.Command):
        return str(node.this).lower()
    return type(node).__name__.lower()


def _parse_sentence(error: SqlglotError) -> str:
    """Where parsing failed, as a sentence; the parser's own messages name its internals."""
    found = getattr(error, "errors", None)
    if not found:
        return "a quote or a bracket is not closed"
    said = str(found[0].get("description") or "")
    expected = re.match(r"Expecting (\S+)$", said)
    what = f"'{expected[1]}' is missing" if expected else "unexpected text"
    word = str(found[0].get("highlight") or "").strip()[:30]
    return f"{what}{f' at {word!r}' if word.isprintable() and word else ''}, line {found[0]['line']}"


def _kinds(*names: str) -> tuple[type, ...]:
    return tuple(getattr(exp, name) for name in names if hasattr(exp, name))


_FORBIDDEN = _kinds(
    "DML", "DDL", "Insert", "Update", "Delete", "Merge", "Create", "Drop", "Alter", "Command", "Copy", "Attach",
    "Detach", "Set", "SetItem", "Pragma", "Use", "Into", "Describe", "Summarize", "Show", "Kill", "Export", "Install",
    "LoadData", "Transaction", "Commit", "Rollback", "Analyze", "Cache", "Uncache", "Execute", "Lock", "TruncateTable",
    "Comment", "Grant", "Revoke", "Refresh", "Prepare", "Deallocate", "Checkpoint", "SessionParameter",
)  # fmt: skip
# In sqlglot DML and DDL cover the statements that write; a Query is neither.
