"""What simulations counted is said alike by the page and the docs, and rules that follow from it are kept."""

from pathlib import Path

import numpy as np
import pytest

from xray_mining.reporting.sections.comparison import SHARED
from xray_mining.statistics.auc import auc, auc_delong
from xray_mining.statistics.classification import called_metrics, compare_called
from xray_mining.statistics.comparison import difference_of_areas
from xray_mining.statistics.errors import error_metrics
from xray_mining.statistics.measured import (
    FALSE_ALARMS,
    FEW_IN_CLASS,
    MEASURED,
    NEAR_END,
    NOT_AGAIN,
    OVER_FOLDS,
    UNEQUAL,
    caution_words,
    outside,
    table,
)
from xray_mining.statistics.refit import Refit, share_of_class

DOCS = Path(__file__).parents[2] / "docs" / "statistics.md"


def test_docs_have_the_measured_table():
    assert table() in DOCS.read_text(encoding="utf-8"), f"put this into {DOCS.name}:\n{table()}"


def cells_of_docs():
    """Of 100 intervals how many held, by the words of the fitted model and the column's name."""
    found, names = {}, []
    for line in DOCS.read_text(encoding="utf-8").splitlines():
        parts = [each.strip() for each in line.strip("|").split("|")]
        if parts[0] == "fitted model":
            names = [each.removesuffix("; p") for each in parts]
        elif names and line.startswith("| "):
            row = {name: float(cell.split()[0].strip(";")) for name, cell in zip(names[2:], parts[2:], strict=True)}
            found[parts[0]] = row
        elif not line.startswith("|"):
            names = []
    return found


def test_what_the_page_says_of_folds_is_what_the_tables_of_the_docs_hold():
    cells = cells_of_docs()
    plain = [row for words, row in cells.items() if "positive" not in words and "not predicted again" not in words]
    assert len(plain) >= 30
    for figure, each in OVER_FOLDS.items():
        held = [row[figure] for row in plain if figure in row]
        assert (min(held), max(held)) == (each.least, each.most), figure
        assert (figure in outside()) == (each.least < 93 or each.most > 97)
    named = {name for row in plain for name in row if "half" not in name and "rest" not in name}
    assert named == set(OVER_FOLDS)
    alone = [value for words, row in cells.items() if "not predicted again" in words for value in row.values()]
    assert (min(alone), max(alone)) == (MEASURED[NOT_AGAIN].least, MEASURED[NOT_AGAIN].most)


def test_false_alarms_are_those_of_the_tables():
    counts = {"two models": [], "a group and the rest": []}
    names = []
    for line in DOCS.read_text(encoding="utf-8").splitlines():
        parts = [each.strip() for each in line.strip("|").split("|")]
        if parts[0] == "fitted model":
            names = parts
        elif names and line.startswith("| ") and "not predicted again" not in line:
            for name, cell in zip(names, parts, strict=True):
                if ";" in cell:
                    pair = "a group and the rest" if "rest" in name else "two models"
                    counts[pair].append(float(cell.split(";")[1]))
        elif not line.startswith("|"):
            names = []
    assert {pair: (each.least, each.most) for pair, each in FALSE_ALARMS.items()} == {
        pair: (min(held), max(held)) for pair, held in counts.items()
    }
    assert all(
        f"{each.least:g} to {each.most:g} of 100 between {pair}" in SHARED for pair, each in FALSE_ALARMS.items()
    )


def test_what_is_measured_lies_outside_93_to_97():
    for caution, found in MEASURED.items():
        assert 0 < found.least <= found.most <= 100, caution
        assert found.least < 93 or found.most > 97, f"{caution}: holds what it should, and needs no caution"


def test_estimates_say_the_cautions_that_are_measured():
    rng = np.random.default_rng(4)
    label = np.arange(120) % 6 == 0
    patients = np.concatenate([np.zeros(60), np.arange(1, 61)])
    apart = auc(label, label + rng.normal(0, 0.01, 120))
    assert apart.caution.split("; ") == [FEW_IN_CLASS, NEAR_END]
    truth = rng.normal(size=120)
    assert error_metrics(truth, truth + rng.normal(size=120), patients, draws=100)["mae"].caution == UNEQUAL
    alone = auc(label, rng.normal(size=120), folds=np.repeat(np.arange(5), 24))
    assert NOT_AGAIN in alone.caution.split("; ")
    assert caution_words(UNEQUAL).startswith(f"{UNEQUAL}: ") and caution_words("few patients") == "few patients"


def test_squared_errors_may_have_the_larger_factor():
    rng = np.random.default_rng(2)
    one = np.repeat(rng.normal(size=(200, 1)), 4, axis=1)
    found = Refit(5, np.ones(200, dtype=bool)).factor(one, -one, ("mae", "rmse", "brier", "log_loss"))
    assert found.tolist() == [2, 2.5, 2.5, 2.5]
    assert Refit(5, np.ones(200, dtype=bool)).factor(one, -one).tolist() == [2, 2, 2, 2]


def test_the_rarer_class_has_the_larger_share_of_what_patients_do_to_each_other():
    label = np.arange(400) % 10 == 0
    assert (share_of_class(label), share_of_class(~label)) == pytest.approx((0.9, 0.1))
    rng = np.random.default_rng(9)
    call, again, other = rng.random((3, 400)) < 0.5
    folds = rng.integers(5, size=400)
    # Calls of a coin are other ones with every fit, so that t is v: variances are multiplied by 1 + share.
    alone = called_metrics(label, call, draws=100)
    wide = called_metrics(label, call, folds=folds, again=again.astype(float), draws=100)
    pair = compare_called(label, call, other)
    wide_pair = compare_called(label, call, other, folds=folds, again=(again.astype(float), ~again * 1.0))
    for name, factor in (("sensitivity", 1.9), ("specificity", 1.1)):
        assert _logit_width(wide[name]) / _logit_width(alone[name]) == pytest.approx(np.sqrt(factor)), name
        grown = (wide_pair[name].high - wide_pair[name].low) / (pair[name].high - pair[name].low)
        assert grown == pytest.approx(np.sqrt(factor), rel=0.1), name


def _logit_width(found):
    return float(np.log(found.high / (1 - found.high)) - np.log(found.low / (1 - found.low)))


def test_the_variance_of_a_difference_between_groups_is_delongs():
    rng = np.random.default_rng(3)
    label, group = np.arange(40) % 2 == 0, np.arange(40) < 20
    score = label + rng.normal(size=40)
    found = difference_of_areas(label, score, group)
    sides = [auc_delong(label[side], score[side]) for side in (group, ~group)]
    assert found.value == pytest.approx(sides[0].auc - sides[1].auc)
    half = 2.0226909200367604 * np.sqrt(sum(each.variance for each in sides) * 40 / 39)  # Student's, 39 degrees
    assert found.high - found.value == pytest.approx(half, rel=1e-9)
