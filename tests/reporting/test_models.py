"""What the page shows of each kind of model is one file a kind, and no other file asks for a kind by its name."""

import re
from pathlib import Path

import pytest

import xray_mining
from xray_mining.models.kinds import KINDS as MODELS
from xray_mining.reporting.figures import COLOURS
from xray_mining.reporting.models import KINDS, ModelKind, shown

PACKAGE = Path(xray_mining.__file__).parent


@pytest.mark.parametrize("name", KINDS.names())
def test_a_kind_that_the_page_describes_exists_and_has_a_colour_of_the_page(name):
    assert name in MODELS.names()
    assert shown(name).colour in COLOURS
    assert set(shown(name).lines) | set(shown(name).constant) <= set(MODELS.find(name).words())


def test_kinds_have_places_of_their_own_from_the_null_to_the_reader():
    order = sorted(KINDS.names(), key=lambda name: shown(name).place)
    assert order == ["null", "baseline", "frozen", "network", "ensemble", "oracle", "reader"]
    assert len({shown(name).place for name in order}) == len(order)


def test_a_kind_without_a_file_has_its_own_name_and_comes_last():
    assert shown("quantile") == ModelKind(words="quantile")
    assert shown("quantile").place > max(shown(name).place for name in KINDS.names())


def test_no_file_of_evaluation_and_reporting_asks_for_a_kind_of_model_by_its_name():
    names = "|".join(MODELS.names())
    asked = re.compile(rf"""kind (?:==|!=|in|not in) [("'\[]+(?:{names})["']|note\.model == ["']""")
    files = [path for room in ("evaluation", "reporting") for path in (PACKAGE / room).rglob("*.py")]
    assert not [path.name for path in files if asked.search(path.read_text(encoding="utf-8"))]
