"""Subgroups: one division of the patients is one test, and a figure counts whom it is from."""

import numpy as np
import polars as pl
import pytest

from xray_mining.evaluation.choice import choose
from xray_mining.evaluation.gather import gather
from xray_mining.evaluation.options import EvaluationOptions
from xray_mining.evaluation.subgroups import by_subgroup


def subgroups(made, target, **options):
    (task,) = (each for each in gather(made.workspace, "made", ()).tasks if each.target.name == target)
    return task, pl.DataFrame(by_subgroup(task, EvaluationOptions(**options), choose(task)), infer_schema_length=None)


def test_women_and_men_are_one_test_but_three_views_are_three(study):
    _, rows = subgroups(study(patients=600, pictures=False), "age_years")
    of_sex = rows.filter(
        pl.col("subgroup").is_in(["patient_sex=F", "patient_sex=M"]) & (pl.col("experiment") == "network")
    )
    for metric in ("mae", "bias"):
        own = of_sex.filter(pl.col("metric") == metric)
        assert own["p_value"].n_unique() == 1
        assert own["p_adjusted"].to_list() == own["p_value"].to_list()
    years = rows.filter(
        pl.col("subgroup").str.starts_with("study_year=")
        & (pl.col("experiment") == "network")
        & (pl.col("metric") == "mae")
    ).sort("p_value")
    assert years.height == 3
    assert years["p_adjusted"][0] == pytest.approx(min(1.0, 3 * years["p_value"][0]))


def test_patients_of_folds_without_both_classes_are_not_counted(study):
    made = study(rotations=5, patients=600, pictures=False)
    # Nobody of the rotations 2 to 4 who is in the band is a man.
    band = (made.frame["age_years"] >= 30) & (made.frame["age_years"] < 40)
    task, _ = subgroups(made, "patient_sex")
    inside = (task.units["age_years"] >= 30) & (task.units["age_years"] < 40)
    men_of_two_folds = ~(inside.to_numpy() & (task.truth == 1) & (task.folds >= 2))
    for model in task.models.values():
        model.known[~men_of_two_folds] = False
    rows = by_subgroup(task, EvaluationOptions(), choose(task))
    row = next(each for each in rows if each.subgroup == "age_band=30 to 39" and each.metric == "auc")
    assert "a fold without both classes was left out" in row.caution
    counted = inside.to_numpy() & men_of_two_folds & (task.folds < 2)
    assert row.patients == len(np.unique(task.owner[counted])) < int(band.sum())
    # Where the others are fewer than the least number, their number would follow: all of the band are counted then.
    rows = by_subgroup(task, EvaluationOptions(least_patients=30), choose(task))
    row = next(each for each in rows if each.subgroup == "age_band=30 to 39" and each.metric == "auc")
    assert row.patients == len(np.unique(task.owner[inside.to_numpy() & men_of_two_folds]))
