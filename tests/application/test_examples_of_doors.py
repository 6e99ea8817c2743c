"""The examples in the docstrings of the functions that commands call, each run on a small evaluated study."""

import doctest
import sys
from importlib import import_module
from pathlib import Path

import pytest

from xray_mining.workspace import Workspace

DOORS = {
    "catalog.checks": ["check"],
    "catalog.cohort": ["freeze"],
    "catalog.describe": ["cohort_description"],
    "catalog.link": ["link"],
    "catalog.merge": ["merge"],
    "catalog.overview": ["overview"],
    "catalog.query": ["sql", "tables"],
    "models.experiment": ["run"],
    "application.predict": ["predict", "predict_files"],
    "study.conduct": ["conduct"],
    "study.current": ["find_study"],
    "reporting.archive_page": ["archive_report"],
    "reporting.command": ["report"],
    "study.known": ["known_studies"],
    "study.options": ["read_study"],
    "study.plan": ["plan"],
    "study.scored": ["evaluate_study"],
}
NAMES = [f"{module}.{name}" for module, names in DOORS.items() for name in names]


@pytest.fixture(scope="module")
def names(place, tmp_path_factory):
    """Values that the examples use: the workspace, the study's file, a table to link."""
    folder = tmp_path_factory.mktemp("doors")
    (folder / "scores.csv").write_text("picture,score\n000.png,2\n001.png,3\nother.png,1\n")
    workspace = Workspace.open(place.root)
    (domain,) = {each.domain for each in workspace.settings.archives.values()}
    (folder / "scores.yaml").write_text(
        f"{{name: scores, domain: {domain}, file: picture, findings: [{{name: points, column: score}}]}}"
    )
    return {
        "workspace": workspace,
        "study_file": str(place.study_file),
        "picture": place.pictures / "000.png",
        "folder": folder,
        "Path": Path,
    }


def _example(name: str) -> doctest.DocTest:
    module, _, function = name.rpartition(".")
    found = getattr(import_module(f"xray_mining.{module}"), function)
    (example,) = (each for each in doctest.DocTestFinder(exclude_empty=True).find(found, function) if each.examples)
    return example


@pytest.mark.parametrize("name", NAMES)
def test_the_example_of_a_door_holds(name, names):
    example = _example(name)
    example.globs |= vars(sys.modules[f"xray_mining.{name.rpartition('.')[0]}"]) | names
    said: list[str] = []
    doctest.DocTestRunner(optionflags=doctest.IGNORE_EXCEPTION_DETAIL).run(example, out=said.append)
    assert not said, "".join(said)


@pytest.mark.parametrize("name", NAMES)
def test_the_docstring_of_a_door_has_all_its_parts(name):
    text = _example(name).docstring
    for part in ("Args:", "Returns:", "Raises:", "Example:"):
        assert part in text, part
