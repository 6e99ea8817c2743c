"""The same figures as scikit-learn, scipy and statsmodels."""

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics

from xray_mining.statistics.agreement import bland_altman, kappa, spearman
from xray_mining.statistics.auc import auc, auc_covariance
from xray_mining.statistics.average_precision import average_precision
from xray_mining.statistics.calibration import calibration_metrics, logistic_fit, reliability_curve
from xray_mining.statistics.classification import (
    called_metrics,
    group_metrics,
    sensitivity_threshold,
    youden_threshold,
)
from xray_mining.statistics.comparison import benjamini_hochberg, difference_of_means, holm, mcnemar, paired_permutation
from xray_mining.statistics.errors import error_metrics
from xray_mining.statistics.macro import macro_auc
from xray_mining.statistics.resampling import proportion_interval
from xray_mining.statistics.roc import roc_curve


@pytest.fixture(scope="module")
def people() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(3)
    patients = np.repeat(np.arange(150), 2)
    own = np.repeat(rng.normal(0, 3, 150), 2)
    age = np.repeat(rng.uniform(20, 80, 150), 2).round(1)
    given = (50 + 0.7 * (age - 50) + own + rng.normal(0, 5, 300)).round(1)
    label = (age > 55).astype(int)
    return {
        "patients": patients,
        "age": age,
        "given": given,
        "label": label,
        "chance": 1 / (1 + np.exp(-(given - 55) / 5)),
    }


def test_errors(people):
    true, given = people["age"], people["given"]
    found = {k: v.value for k, v in error_metrics(true, given, people["patients"], draws=200).items()}
    assert found["mae"] == pytest.approx(metrics.mean_absolute_error(true, given))
    assert found["rmse"] == pytest.approx(metrics.root_mean_squared_error(true, given))
    assert found["median_error"] == pytest.approx(metrics.median_absolute_error(true, given))
    assert found["r2"] == pytest.approx(metrics.r2_score(true, given))
    assert found["pearson"] == pytest.approx(stats.pearsonr(true, given).statistic)
    assert found["spearman"] == pytest.approx(stats.spearmanr(true, given).statistic)
    line = stats.linregress(given, true)
    assert (found["calibration_slope"], found["calibration_intercept"]) == pytest.approx((line.slope, line.intercept))
    assert found["slope_on_truth"] == pytest.approx(stats.linregress(true, given).slope)
    lin = 2 * np.cov(true, given, ddof=0)[0, 1] / (true.var() + given.var() + (true.mean() - given.mean()) ** 2)
    assert found["ccc"] == pytest.approx(lin)


def test_areas_and_curves(people):
    label, chance = people["label"], people["chance"]
    assert auc(label, chance).value == pytest.approx(metrics.roc_auc_score(label, chance))
    assert average_precision(label, chance).value == pytest.approx(metrics.average_precision_score(label, chance))
    tied = chance.round(1)
    assert average_precision(label, tied).value == pytest.approx(metrics.average_precision_score(label, tied))
    curve = roc_curve(label, chance, people["patients"], draws=50)
    false, true, _ = metrics.roc_curve(label, chance, drop_intermediate=False)
    assert curve[0, 1] == pytest.approx(true[false == 0].max()) and curve[-1, 1] == 1
    assert np.trapezoid(curve[:, 1], curve[:, 0]) == pytest.approx(metrics.roc_auc_score(label, chance), abs=0.005)
    lower = np.array([true[false <= each + 1e-12].max() for each in curve[:, 0]])
    assert (curve[:, 1] >= lower - 1e-9).all()
    assert (curve[:, 2] <= curve[:, 1]).all() and (curve[:, 1] <= curve[:, 3]).all()


def test_clustered_variance_is_near_the_bootstrap(people):
    label, chance, owner = people["label"], people["chance"], people["patients"]
    _, covariance = auc_covariance(label, chance, owner)
    rng = np.random.default_rng(0)
    drawn = []
    for _ in range(1000):
        rows = (rng.integers(0, 150, 150)[:, None] * 2 + [0, 1]).ravel()
        drawn.append(metrics.roc_auc_score(label[rows], chance[rows]))
    assert np.sqrt(covariance[0, 0]) == pytest.approx(np.std(drawn), rel=0.12)


def test_calls(people):
    label, chance = people["label"], people["chance"]
    threshold = youden_threshold(label, chance)
    called = chance >= threshold
    false, true, _ = metrics.roc_curve(label, chance)
    assert metrics.balanced_accuracy_score(label, called) == pytest.approx((1 + (true - false).max()) / 2)
    at = chance >= sensitivity_threshold(label, chance, 0.9)
    assert metrics.recall_score(label, at) >= 0.9
    found = {k: v.value for k, v in called_metrics(label, called, draws=200).items()}
    assert found["sensitivity"] == pytest.approx(metrics.recall_score(label, called))
    assert found["specificity"] == pytest.approx(metrics.recall_score(1 - label, ~called))
    assert found["positive_predictive_value"] == pytest.approx(metrics.precision_score(label, called))
    assert found["f1"] == pytest.approx(metrics.f1_score(label, called))
    assert found["mcc"] == pytest.approx(metrics.matthews_corrcoef(label, called))
    assert found["balanced_accuracy"] == pytest.approx(metrics.balanced_accuracy_score(label, called))


def test_calibration(people):
    import statsmodels.api as sm

    label, chance, owner = people["label"], people["chance"], people["patients"]
    found = calibration_metrics(label, chance, owner, draws=200)
    assert found["brier"].value == pytest.approx(metrics.brier_score_loss(label, chance))
    assert found["log_loss"].value == pytest.approx(metrics.log_loss(label, chance))
    logit = np.log(chance / (1 - chance))
    fit = sm.GLM(label, sm.add_constant(logit), family=sm.families.Binomial()).fit(
        cov_type="cluster", cov_kwds={"groups": owner}
    )
    assert found["calibration_slope"].value == pytest.approx(fit.params[1])
    ours = logistic_fit(np.column_stack([np.ones(len(label)), logit]), label, None, owner)
    # statsmodels also multiplies by (n - 1) / (n - k).
    size = len(label)
    np.testing.assert_allclose(ours[1] * (size - 1) / (size - 2), fit.cov_params(), rtol=1e-6)
    level = sm.GLM(label, np.ones(size), family=sm.families.Binomial(), offset=logit).fit()
    assert found["calibration_intercept"].value == pytest.approx(level.params[0])
    bins = reliability_curve(label, chance, owner)
    assert sum(each.images for each in bins) == size
    weighed = sum(abs(each.observed - each.predicted) * each.images for each in bins) / size
    assert found["ece"].value == pytest.approx(weighed)


def test_kappas_and_groups(people):
    first, second = (people["age"] // 10).astype(int), (people["given"] // 10).astype(int)
    for weights, name in (("none", None), ("linear", "linear"), ("quadratic", "quadratic")):
        ours = kappa(first, second, people["patients"], weights, draws=100)
        assert ours.value == pytest.approx(metrics.cohen_kappa_score(first, second, weights=name))
        assert ours.low < ours.value < ours.high
    classes = ("young", "middle", "old")
    truth = np.array(classes)[np.digitize(people["age"], (40, 60))]
    near = -np.abs(people["given"][:, None] - [30, 50, 70]) / 5
    chance = np.exp(near) / np.exp(near).sum(1, keepdims=True)
    found = group_metrics(truth, chance, classes, people["patients"], draws=100)
    called = np.array(classes)[chance.argmax(1)]
    assert found["accuracy"].value == pytest.approx(metrics.accuracy_score(truth, called))
    assert found["balanced_accuracy"].value == pytest.approx(metrics.balanced_accuracy_score(truth, called))
    assert found["f1_macro"].value == pytest.approx(metrics.f1_score(truth, called, average="macro"))
    assert found["kappa"].value == pytest.approx(metrics.cohen_kappa_score(truth, called))
    place = np.array([classes.index(each) for each in truth])
    area = macro_auc(truth, chance, classes, people["patients"])
    assert area.value == pytest.approx(metrics.roc_auc_score(place, chance, multi_class="ovr"))
    assert area.low < area.value < area.high


def test_bland_altman_by_hand():
    # Bland & Altman 1999, their formulas on a few values.
    apart = np.array([1.0, 3.0, -2.0, 4.0, 0.0, 2.0, -1.0, 1.0])
    found = bland_altman(apart, np.zeros(8))
    spread = apart.std(ddof=1)
    assert found.bias.value == 1.0 and found.high.value == pytest.approx(1 + 1.96 * spread)
    half = stats.t.ppf(0.975, 7) * spread * np.sqrt(1 / 8 + 1.959963984540054**2 / 14)
    assert found.high.high - found.high.value == pytest.approx(half)


def test_adjusted_p_values():
    from statsmodels.stats.multitest import multipletests

    p = np.random.default_rng(0).uniform(size=20) ** 3
    np.testing.assert_allclose(holm(p), multipletests(p, method="holm")[1])
    np.testing.assert_allclose(benjamini_hochberg(p), multipletests(p, method="fdr_bh")[1])


def test_tests_of_differences(people):
    from statsmodels.stats.contingency_tables import mcnemar as theirs

    rng = np.random.default_rng(1)
    a, b = rng.random(200) < 0.8, rng.random(200) < 0.7
    table = [[(a & b).sum(), (a & ~b).sum()], [(~a & b).sum(), (~a & ~b).sum()]]
    assert mcnemar(a, b) == pytest.approx(theirs(table, exact=True).pvalue)
    x, y = rng.normal(0, 1, 60), rng.normal(0.3, 1, 60)
    ours = paired_permutation(x, y, draws=9999)
    other = stats.permutation_test(
        (x, y), lambda x, y, axis: (x - y).mean(axis), permutation_type="samples", vectorized=True, rng=1
    )
    assert ours == pytest.approx(other.pvalue, abs=0.02)
    inside = rng.random(300) < 0.5
    welch = stats.ttest_ind(people["age"][inside], people["age"][~inside], equal_var=False)
    found = difference_of_means(people["age"], inside)
    assert found.value == pytest.approx(people["age"][inside].mean() - people["age"][~inside].mean())
    assert found.p_value == pytest.approx(welch.pvalue, abs=0.01)


def test_wilson():
    from statsmodels.stats.proportion import proportion_confint

    hits = np.array([1] * 17 + [0] * 23)
    found = proportion_interval(np.stack([hits, np.ones(40)], axis=1))
    # The variance between patients is s²/n with n - 1, so the effective size is 39 for 40 patients.
    expected = proportion_confint(17 / 40 * 39, 39, method="wilson")
    assert found[1:] == pytest.approx(expected)


def test_spearman_interval_is_near_the_bootstrap(people):
    found = spearman(people["age"], people["given"], people["patients"])
    rng = np.random.default_rng(0)
    drawn = []
    for _ in range(500):
        rows = (rng.integers(0, 150, 150)[:, None] * 2 + [0, 1]).ravel()
        drawn.append(stats.spearmanr(people["age"][rows], people["given"][rows]).statistic)
    low, high = np.percentile(drawn, (2.5, 97.5))
    assert (found.low, found.high) == pytest.approx((low, high), abs=0.02)


@pytest.mark.parametrize("wrong", ([0, 1, 2], [0.5, 1, 0], [0, 0, 0]))
def test_labels_that_are_not_two_classes_are_refused(wrong):
    with pytest.raises(ValueError):
        auc(wrong, [1, 2, 3])


def test_values_that_are_not_finite_are_refused():
    with pytest.raises(ValueError, match="not finite"):
        auc([0, 1, 1], [1, np.nan, 3])
    with pytest.raises(ValueError, match="not finite"):
        error_metrics([1, 2], [1, np.inf])
