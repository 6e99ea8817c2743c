"""No room asks which kind of target it has: what differs between kinds is in the files of the folders `targets`.

Two ways to ask are searched in the code: comparing a kind's name, and testing whether a target has classes, a positive
label or a policy, which only some kinds have.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from xray_mining.catalog.targets import TARGETS

PACKAGE = Path(__file__).parents[1] / "xray_mining"
KINDS = frozenset(TARGETS.names())
ONLY_OF_SOME = frozenset({"policy", "classes", "positive", "ordered"})
"""Attributes of a target, or of a table made for one, that are empty for some kinds."""
ELSEWHERE = frozenset({"archive", "ingest"})
"""Rooms that know no target: `kind` is there that of a table's column, with words of its own."""
TESTS = ("any", "all", "bool", "filter")


def asked(text: str) -> Iterator[str]:
    """The expressions of a file that ask for the kind of target, each with its line."""
    tree = ast.parse(text)
    for node in ast.walk(tree):
        if any(map(_is_name_of_kind, _compared(node))) or any(map(_of_some, _tested(node))):
            yield f"{getattr(node, 'lineno', 0)}: {ast.unparse(node).splitlines()[0]}"


def _compared(node: ast.AST) -> list[ast.expr]:
    """The constants that a node compares something with, or looks something up by."""
    if isinstance(node, ast.Compare) and any(map(_says_kind, [node.left, *node.comparators])):
        return [node.left, *node.comparators]
    if isinstance(node, ast.Match) and _says_kind(node.subject):
        return [each.pattern.value for each in node.cases if isinstance(each.pattern, ast.MatchValue)]
    if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Dict) and _says_kind(node.slice):
        return [each for each in node.value.keys if each is not None]
    return []


def _says_kind(node: ast.expr) -> bool:
    return (isinstance(node, ast.Attribute) and node.attr == "kind") or (
        isinstance(node, ast.Name) and node.id == "kind"
    )


def _is_name_of_kind(node: ast.expr) -> bool:
    if isinstance(node, ast.Tuple | ast.List | ast.Set):
        return any(map(_is_name_of_kind, node.elts))
    return isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value in KINDS


def _tested(node: ast.AST) -> list[ast.expr]:
    """The expressions whose truth a node tests."""
    if isinstance(node, ast.If | ast.IfExp | ast.While | ast.Assert):
        return [node.test]
    if isinstance(node, ast.BoolOp):
        return node.values
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        return [node.operand]
    if isinstance(node, ast.comprehension):
        return node.ifs
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in TESTS:
        inside = [each.elt if isinstance(each, ast.GeneratorExp | ast.ListComp) else each for each in node.args]
        return [part for each in inside for part in (each.elts if isinstance(each, ast.Tuple) else [each])]
    if isinstance(node, ast.Compare) and isinstance(node.comparators[0], ast.Constant):
        # `classes == 0`, `positive != ""`, `policy is None` ask the same.
        return [node.left] if not node.comparators[0].value else []
    return []


def _of_some(node: ast.expr) -> bool:
    counted = isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "len"
    node = node.args[0] if counted else node
    # A side of a binary target has no class. A row of estimates without class is one about all classes together.
    return isinstance(node, ast.Attribute) and (node.attr in ONLY_OF_SOME or ast.unparse(node) == "side.class_")


FILES = [
    path
    for path in sorted(PACKAGE.rglob("*.py"))
    if path.parent.name != "targets" and path.relative_to(PACKAGE).parts[0] not in ELSEWHERE
]


def test_no_file_outside_the_kinds_asks_which_kind_it_has():
    texts = {str(path.relative_to(PACKAGE)): path.read_text(encoding="utf-8") for path in FILES}
    found = [f"{name}:{each}" for name, text in texts.items() for each in asked(text)]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    "line",
    [
        'if task.kind == "binary": pass',
        'if target.kind in ("group", "labels"): pass',
        'x = "number" != kind',
        'words = {"number": 1, "binary": 2}[target.kind]',
        "match target.kind:\n    case 'ordinal': pass",
        # What was found in records, models, evaluation, catalog and reporting.
        "if not target.policy: pass",
        "x = Chain(machine, table.classes) if table.ordered else machine",
        "x = 2 if self.ordered else self.classes",
        "if table.classes: pass",
        "x = Informative(classes=bool(table.classes))",
        "x = (n,) if table.classes == 0 else (n, table.classes)",
        "if any(side.class_ for side in sides): pass",
        'x = not self.classes and self.made_of == ("age_years",)',
        "x = filter(None, (each.name, each.policy))",
        "if self.positive: pass",
        "x = [each for each in targets if each.classes]",
        "if len(target.classes) == 0: pass",
    ],
)
def test_each_way_to_ask_is_found(line):
    assert list(asked(line))


@pytest.mark.parametrize(
    "line",
    [
        "x = KINDS.find(target.kind)",
        "x = [label for label in target.classes if label in found]",
        'if source.kind == "file": pass',
        "x = len(target.classes) - 1",
        "if each == target.positive: pass",
        'x = pl.col("kind") == "number"',
    ],
)
def test_nothing_else_is(line):
    assert not list(asked(line))
