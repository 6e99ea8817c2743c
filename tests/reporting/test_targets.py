"""What the page shows of each kind of target is one file a kind."""

import re
from pathlib import Path

import pytest

import xray_mining.reporting
from xray_mining.evaluation.task import KINDS as EVALUATED
from xray_mining.reporting.metrics import METRICS
from xray_mining.reporting.page import section_modules
from xray_mining.reporting.targets import KINDS

REPORTING = Path(xray_mining.reporting.__file__).parent


def test_every_kind_that_is_evaluated_has_a_page():
    assert set(EVALUATED.names()) <= set(KINDS.names())


@pytest.mark.parametrize("name", KINDS.names())
def test_a_kind_names_metrics_and_sections_that_exist(name):
    kind = KINDS.find(name)
    assert {*kind.compared, *kind.by_subgroup} <= {*METRICS, *kind.metrics}
    assert not set(kind.metrics) & set(METRICS), "one meaning for one name"
    anchors = {module.__name__.rpartition(".")[2].replace("_", "-") for module in section_modules()}
    assert set(kind.sections) <= anchors


def test_no_section_asks_which_kind_it_has():
    asked = re.compile(r"\bis_number\b|\btask\.kind (?:==|!=|in|not)|\btasks_of\b")
    files = [path for path in REPORTING.rglob("*.py") if path.parent.name != "targets"]
    assert not [path.name for path in files if asked.search(path.read_text(encoding="utf-8"))]
