"""A kind is found by its file's name, and a new one needs no list."""

import sys
from pathlib import Path

import pytest

from xray_mining.errors import UserError
from xray_mining.registry import Kinds


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package of one kind and of a file that kinds share."""
    folder = tmp_path / "kinds_of_a_test"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    (folder / "_shared.py").write_text("raise AssertionError('read')")
    (folder / "number.py").write_text("KIND = 'the number'")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield folder
    for name in [each for each in sys.modules if each.startswith("kinds_of_a_test")]:
        del sys.modules[name]


def test_a_new_file_is_a_new_kind(package):
    kinds: Kinds[str] = Kinds("kinds_of_a_test", "kind of the test")
    assert kinds.every() == {"number": "the number"}
    (package / "group.py").write_text("KIND = 'the group'")
    assert kinds.names() == ["group", "number"]
    assert kinds.find("group") == "the group"


def test_finding_one_kind_reads_no_other_file(package):
    (package / "broken.py").write_text("raise AssertionError('read')")
    assert Kinds("kinds_of_a_test", "kind of the test").find("number") == "the number"


def test_an_unknown_name_is_refused_with_the_nearest(package):
    with pytest.raises(UserError, match=r"kind of the test: .*numbr.*number"):
        Kinds("kinds_of_a_test", "kind of the test").find("numbr")
