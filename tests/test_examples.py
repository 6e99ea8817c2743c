"""The examples in docstrings of functions that need no workspace or archive."""

import doctest
from importlib import import_module

import numpy as np
import pytest

MODULES = (
    "pixels.variants", "progress", "records.cohort", "records.masks", "records.words", "statistics.agreement",
    "statistics.auc", "statistics.calibration", "statistics.classification", "statistics.comparison",
    "statistics.errors", "statistics.figures", "statistics.macro", "statistics.resampling", "statistics.roc",
)  # fmt: skip


def _examples():
    found = {}
    for module in MODULES:
        for each in doctest.DocTestFinder(exclude_empty=True).find(import_module(f"xray_mining.{module}")):
            if each.examples:
                found[each.name.removeprefix("xray_mining.")] = each
    return found


EXAMPLES = _examples()


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_example_holds(name):
    example = EXAMPLES[name]
    example.globs["np"] = np
    said = []
    doctest.DocTestRunner().run(example, out=said.append)
    assert not said, "".join(said)
