"""The frozen example: an evaluation folder, and the page laid out from it, once a session."""

from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

from xray_mining.reporting.page import write


def _example():
    spec = spec_from_file_location("example_study", Path(__file__).parents[1] / "reporting" / "example_study.py")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def example(tmp_path_factory) -> Path:
    return _example().write_example(tmp_path_factory.mktemp("evaluations") / "example")


@pytest.fixture(scope="session")
def page(example: Path) -> Path:
    target = example.parent / "reports" / "example.html"
    write(example, target)
    return target
