"""Every file, class and function that docs/architecture.md names exists."""

import re
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
NAMED = sorted(set(re.findall(r"`([\w/]+\.py)(?:: ([\w.]+))?`", PAGE)))


def test_the_page_names_many_functions():
    assert len([name for _, name in NAMED if name]) > 40


@pytest.mark.parametrize(("file", "name"), NAMED)
def test_what_the_page_names_exists(file, name):
    assert (ROOT / "xray_mining" / file).is_file(), file
    found = import_module("xray_mining." + file.removesuffix(".py").removesuffix("/__init__").replace("/", "."))
    for part in filter(None, name.split(".")):
        found = getattr(found, part)


def test_the_page_has_every_room():
    rooms = {path.parent.name for path in (ROOT / "xray_mining").glob("*/__init__.py")}
    assert all(re.search(rf"^    (\w+, )*{room}\b", PAGE, re.MULTILINE) for room in rooms), rooms
