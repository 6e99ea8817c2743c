"""Digest of the measuring code: it changes when numbers may change, and stays the same when only words change."""

import ast
import builtins
import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from importlib import metadata
from importlib.util import find_spec, resolve_name
from pathlib import Path

_PACKAGE = __name__.partition(".")[0]
_UNSTABLE = {"ctx", "kind", "type_comment", "type_params", "annotation", "returns"}
"""Fields of a syntax tree that differ between versions of Python, or change no number."""


@cache
def digest_of_code(sources: tuple[str, ...]) -> str:
    """Digest of the syntax trees of some modules or of single functions in them.

    The digest ignores comments, docstrings, line breaks, type annotations, texts of errors, names of variables,
    arguments, functions and classes, the names under which something is imported, file names, and the version of
    Python. Any other edit changes it, and sets are measured again.

    Args:
        sources: MODULE or MODULE:NAME (one function or class), in a fixed order. None of them is imported.

    Returns:
        32 hexadecimal digits.

    Raises:
        ModuleNotFoundError: If there is no such module.
        KeyError: If a module defines no such name.

    Example:
        >>> digest_of_code(("xray_mining.sets.code",)) == digest_of_code(("xray_mining.sets.code:digest_of_code",))
        False
    """
    trees = [_tree(each) for each in sources]
    return hashlib.sha256("\n".join(_words(trees)).encode()).hexdigest()[:32]


def digest_of_text(*texts: str) -> str:
    """`digest_of_code` of source texts."""
    return hashlib.sha256("\n".join(_words([ast.parse(each) for each in texts])).encode()).hexdigest()[:32]


def imported(modules: Iterable[str], within: Sequence[str], apart: Iterable[str] = ()) -> tuple[str, ...]:
    """The modules and those that they import, each once.

    Args:
        modules: Where to begin.
        within: Modules and packages that count; imports of others are not followed.
        apart: Modules that do not count although they are within.

    Returns:
        Names of modules, in the order in which they are found.
    """
    found = dict.fromkeys(modules)
    waiting = list(found)
    while waiting:
        module = waiting.pop(0)
        for name in _imports(module):
            counts = any(name == each or name.startswith(f"{each}.") for each in within)
            if counts and name not in found and name not in apart:
                found[name] = None
                waiting.append(name)
    return tuple(found)


def _imports(module: str) -> Iterator[str]:
    """Names of the modules that a module imports, in any of the forms of Python's import."""
    package = module.rpartition(".")[0]
    for node in ast.walk(_tree(module)):
        if isinstance(node, ast.Import):
            yield from (each.name for each in node.names)
        elif isinstance(node, ast.ImportFrom):
            origin = resolve_name("." * node.level + (node.module or ""), package) if node.level else node.module or ""
            yield origin
            # `from package import module` imports the module too; other names are no modules.
            if origin.partition(".")[0] == _PACKAGE and _is_package(origin):
                yield from (name for each in node.names if _exists(name := f"{origin}.{each.name}"))


@cache
def versions_of(packages: tuple[str, ...]) -> dict[str, str]:
    """Installed versions by package, without the part after a plus (+cpu, +cu128).

    That part is ignored because machines with and without a GPU may fill one set.
    """
    found = {}
    for name in packages:
        try:
            found[name] = metadata.version(name).partition("+")[0]
        except metadata.PackageNotFoundError:
            found[name] = ""
    return found


@cache
def _is_package(module: str) -> bool:
    spec = find_spec(module)
    return spec is not None and spec.submodule_search_locations is not None


@cache
def _exists(module: str) -> bool:
    return find_spec(module) is not None


@cache
def _tree(source: str) -> ast.AST:
    module, _, name = source.partition(":")
    spec = find_spec(module)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(module)
    tree = ast.parse(Path(spec.origin).read_text(encoding="utf-8"))
    if not name:
        return tree
    return {each.name: each for each in tree.body if isinstance(each, ast.FunctionDef | ast.ClassDef)}[name]


def _words(trees: Iterable[ast.AST]) -> Iterator[str]:
    """The trees as words; names that the code defines are replaced by numbers, in the order of their first use."""
    trees = list(trees)
    nodes = [each for tree in trees for each in ast.walk(tree)]
    # Methods and fields are also used as attributes, which keep their names, so they keep theirs. So do arguments that
    # a call names: otherwise two arguments could exchange their names in a function but not in its calls.
    fixed = {name for each in nodes if isinstance(each, ast.ClassDef) for name in _fields(each)}
    fixed |= {each.arg for each in nodes if isinstance(each, ast.keyword) and each.arg}
    own = {name for each in nodes for name in _defined(each)} - fixed - set(dir(builtins))
    numbers: dict[str, str] = {}

    def words(node: object, origins: Mapping[str, str]) -> Iterator[str]:
        if isinstance(node, list):
            yield f"[{len(node)}"
            for each in node:
                yield from words(each, origins)
        elif not isinstance(node, ast.AST):
            yield repr(node)
        elif isinstance(node, ast.Raise):
            # Only the type decides what a caller does; the text may be reworded.
            raised = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
            yield "Raise"
            yield from words(raised, origins)
        else:
            yield type(node).__name__
            for name, value in ast.iter_fields(node):
                if name in _UNSTABLE or value is None or value == []:
                    continue
                yield name
                if name == "body" and isinstance(value, list):
                    yield from words(list(_that_run(value)), origins)
                elif name in ("id", "arg", "name") and not isinstance(node, ast.keyword):
                    meant = origins.get(str(value), str(value))
                    yield numbers.setdefault(meant, f"${len(numbers)}") if meant in own else repr(meant)
                else:
                    yield from words(value, origins)

    for tree in trees:
        yield from words(tree, _origins(tree))


def _origins(tree: ast.AST) -> dict[str, str]:
    """What the imported names of a source stand for: without it, `sum` of another package would be the same code.

    Names of this package are kept without their module: a function may move, and its own source enters the digest.
    """
    found = {}
    for each in ast.walk(tree):
        if isinstance(each, ast.ImportFrom):
            within = "" if each.level or (each.module or "").partition(".")[0] == _PACKAGE else f"{each.module}."
            found |= {name.asname or name.name: f"{within}{name.name}" for name in each.names}
        elif isinstance(each, ast.Import):
            found |= {name.asname or name.name.partition(".")[0]: name.name for name in each.names if name.asname}
    return found


def _defined(node: ast.AST) -> Iterator[str]:
    """Names that a node of a syntax tree binds; attributes are left out, because they may belong to another package."""
    if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.ExceptHandler):
        yield node.name or ""
    elif isinstance(node, ast.arg):
        yield node.arg
    elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
        yield node.id


def _fields(made: ast.ClassDef) -> Iterator[str]:
    """Names that a class defines: methods, fields and constants."""
    for each in made.body:
        if isinstance(each, ast.FunctionDef | ast.ClassDef):
            yield each.name
        else:
            yield from (name for node in ast.walk(each) for name in _defined(node))


def _that_run(statements: Iterable[object]) -> Iterator[object]:
    """The statements that can change a number: no import, no docstring or other text, no code for type checkers only.

    An import changes a number only where its names are used, and there the digest holds their origins. Imported code
    of this package enters the digest by its own source, other packages by their versions.
    """
    for each in statements:
        if isinstance(each, ast.If) and isinstance(each.test, ast.Name) and each.test.id == "TYPE_CHECKING":
            yield from _that_run(each.orelse)
        elif isinstance(each, ast.Expr) and isinstance(each.value, ast.Constant) and isinstance(each.value.value, str):
            continue
        elif not isinstance(each, ast.Import | ast.ImportFrom):
            yield each
