"""Fixtures of the frozen example: an evaluation folder, and the page laid out from it, once a session."""

from pathlib import Path

import pytest
from example_study import write_example

from xray_mining.reporting.page import write


@pytest.fixture(scope="session")
def example(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_example(tmp_path_factory.mktemp("evaluations") / "example")


@pytest.fixture(scope="session")
def page(example: Path) -> Path:
    target = example.parent / "reports" / "example.html"
    write(example, target)
    return target
