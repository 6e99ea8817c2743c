"""The frozen example: an evaluation folder, and the page laid out from it, once a session."""

from pathlib import Path

import example_page
import pytest

from xray_mining.reporting.page import build
from xray_mining.reporting.results import Results
from xray_mining.reporting.section import Section

example, page = example_page.example, example_page.page


@pytest.fixture(scope="session")
def sections(example: Path) -> list[Section]:
    return build(Results.load(example))
