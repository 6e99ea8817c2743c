"""The validation score of classes: one function for fits and for the choice of models."""

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import roc_auc_score

from xray_mining.models.targets import mean_area as of_rows
from xray_mining.statistics.auc import areas_over_folds, mean_area


def test_it_is_the_mean_of_each_groups_own_area():
    rng = np.random.default_rng(0)
    truth, score, group = rng.integers(0, 2, 120), rng.normal(size=120).round(1), rng.integers(0, 4, 120)
    truth[group == 3] = 1  # no area there
    own = [roc_auc_score(truth[group == each], score[group == each]) for each in range(3)]
    assert mean_area(truth, score, group) == pytest.approx(np.mean(own))
    assert mean_area(truth, score, group) == areas_over_folds(truth, score, folds=group).values[0]
    rows = pl.DataFrame({"truth": truth, "value": score, "fold": group // 2, "seed": group % 2, "class": "a"})
    assert of_rows(rows) == mean_area(truth, score, group)
    assert np.isnan(mean_area(np.ones(3), [1, 2, 3], np.zeros(3))) and of_rows(rows.filter(truth=1)) is None
