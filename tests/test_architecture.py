"""Every file, class and function that docs/architecture.md names exists."""

import re
import tomllib
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


PACKAGE = ROOT / "xray_mining"
TOP = {path.stem for path in PACKAGE.iterdir() if path.name == f"{path.stem}.py" or (path / "__init__.py").is_file()}
CONTRACTS = {
    each["name"]: each
    for each in tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"][
        "contracts"
    ]
}


@pytest.mark.parametrize(
    ("contract", "allowed"), [("only networks knows torch", "networks"), ("only catalog knows DuckDB", "catalog")]
)
def test_a_contract_about_a_package_names_every_other_room_and_module(contract, allowed):
    named = CONTRACTS[contract]["source_modules"]
    assert sorted(named) == sorted(f"xray_mining.{each}" for each in TOP - {allowed, "__init__", "__main__"})


def test_networks_may_know_no_study_no_catalog_and_no_archive():
    forbidden = set(CONTRACTS["networks takes arrays and keys"]["forbidden_modules"])
    sets = {f"xray_mining.sets.{path.stem}" for path in (PACKAGE / "sets").glob("*.py") if path.stem != "__init__"}
    assert {f"xray_mining.{each}" for each in ("archive", "catalog", "ingest", "models")} <= forbidden
    assert sets - forbidden == {"xray_mining.sets.instrument"}
    # The rooms above networks are forbidden by the layers.
    layers = CONTRACTS["imports follow the flow of data"]["layers"]
    above = layers[: layers.index("networks | features")]
    assert {"application", "study", "reporting", "evaluation", "models"} <= set(above)
