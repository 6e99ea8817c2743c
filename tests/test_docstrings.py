"""Sections of docstrings (Args, Returns, Raises, Example) are at the depths that readers of Google's style expect.

ruff (D417) finds an argument at the depth of the text above it; this test finds everything else.
"""

import ast
import inspect
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import xray_mining

SECTION = re.compile(r"( *)(Args|Returns|Yields|Raises|Example):")
ENTRY = re.compile(r"\w[\w.]*: ")


def misplaced(docstring: str) -> list[str]:
    """Lines at a wrong depth: sections are as deep as the summary, their entries 4 deeper, further lines of one 8."""
    section, first, wrong = "", False, []
    for line in inspect.cleandoc(docstring).splitlines():
        depth = len(line) - len(line.lstrip())
        if found := SECTION.fullmatch(line):
            section, first, right = found[2], True, depth == 0
        elif not line or not section or depth == 0:
            section = section if not line else ""
            continue
        elif section == "Example":
            right = depth == 4 or not first
            first = False
        elif section in ("Args", "Raises"):
            entry = ENTRY.match(line.strip()) is not None
            # A further line of an argument may begin with a word and a colon; of an error it does not.
            right = (depth == 4 and entry) or (depth == 8 and not first and not (entry and section == "Raises"))
            first = False
        else:
            right = depth == 4
        if not right:
            wrong.append(line)
    return wrong


def docstrings() -> Iterator[tuple[str, str]]:
    home = Path(xray_mining.__file__).parent
    for path in sorted(home.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.Module) and (text := ast.get_docstring(node)):
                yield f"{path.relative_to(home)}: {getattr(node, 'name', 'module')}", text


def test_sections_of_docstrings_are_at_one_depth():
    every = list(docstrings())
    assert sum("Args:" in text for _, text in every) > 50
    assert not [(where, lines) for where, text in every if (lines := misplaced(text))]


GOOD = """Summary.

    Args:
        one: A long
            sentence.
        two: Short.

    Returns:
        A table
        of rows.

    Raises:
        UserError: If not.
        CannotFinish: If the disk
            refuses.

    Example:
        >>> f(
        ...     1
        ... )
"""


@pytest.mark.parametrize(
    "line",
    [
        "    one: A long",
        "        sentence.",
        "    A table",
        "    of rows.",
        "    UserError: If not.",
        "    CannotFinish: If the disk",
        "        refuses.",
        "Raises:",
        "    >>> f(",
    ],
)
def test_a_deeper_line_is_found(line):
    assert not misplaced(GOOD)
    assert misplaced(GOOD.replace(f"\n    {line}", f"\n        {line}"))
