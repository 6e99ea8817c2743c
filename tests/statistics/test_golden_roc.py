"""Agreement with R's pROC 1.18.0 (values made by others; see the README in tests/golden/roc)."""

import csv
from pathlib import Path

import numpy as np
import pytest

from xray_mining.statistics import auc_delong, compare_auc
from xray_mining.statistics.auc import auc_covariance

GOLDEN = Path(__file__).parents[1] / "golden/roc"
CASES = ("continuous", "inverted", "near_perfect", "rare", "same", "small", "ties")


def read(case: str) -> tuple[dict[str, float], np.ndarray]:
    with (GOLDEN / "expected.csv").open() as file:
        row = next(each for each in csv.DictReader(file) if each["case"] == case)
    expected = {k: float(v) for k, v in row.items() if k != "case"}
    return expected, np.loadtxt(GOLDEN / f"{case}.csv", delimiter=",", skiprows=1)


@pytest.mark.parametrize("case", CASES)
def test_auc_delong_is_what_proc_gives(case):
    golden, rows = read(case)
    for column, name in ((1, "a"), (2, "b")):
        found = auc_delong(rows[:, 0], rows[:, column])
        expected = [golden[f"{what}_{name}"] for what in ("auc", "var", "ci_low", "ci_high")]
        assert [found.auc, found.variance, found.low, found.high] == pytest.approx(expected, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("case", CASES)
def test_compare_auc_is_what_proc_gives(case):
    golden, rows = read(case)
    found = compare_auc(rows[:, 0], rows[:, 1], rows[:, 2])
    # pROC always gives the test's z with the sign of the difference; both of its scores are "higher is more positive".
    assert found.covariance == pytest.approx(golden["covariance"], rel=1e-9, abs=1e-12)
    assert found.z == pytest.approx(golden["z"], rel=1e-9, abs=1e-12)
    assert found.p_value == pytest.approx(golden["p_value"], rel=1e-9)
    assert found.difference == pytest.approx(golden["auc_a"] - golden["auc_b"], abs=1e-12)
    assert found.low <= found.difference <= found.high


@pytest.mark.parametrize("case", CASES)
def test_clusters_of_one_are_delong(case):
    _, rows = read(case)
    plain = auc_covariance(rows[:, 0], rows[:, 1:].T)
    clustered = auc_covariance(rows[:, 0], rows[:, 1:].T, np.arange(len(rows)))
    np.testing.assert_allclose(plain[0], clustered[0], rtol=1e-13)
    np.testing.assert_allclose(plain[1], clustered[1], rtol=1e-9, atol=1e-15)
