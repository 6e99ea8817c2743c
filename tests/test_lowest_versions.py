"""`make test-lowest` runs with the lowest versions that pyproject.toml states."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
LOWEST = dict(line.split("==") for line in (ROOT / "constraints-lowest.txt").read_text().split())


def version(text: str) -> tuple[int, ...]:
    """The numbers of a version, without zeros at its end: 2.9 and 2.9.0 are equal."""
    return tuple(map(int, re.sub(r"(\.0)+$", "", text).split(".")))


def test_the_lowest_pins_are_the_lower_bounds():
    stated = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    bounds = dict(each.split(">=") for each in stated)
    assert LOWEST.keys() >= {"duckdb", "polars", "scikit-learn", "timm", "torch"}
    assert {name: version(pin) for name, pin in LOWEST.items()} == {name: version(bounds[name]) for name in LOWEST}
