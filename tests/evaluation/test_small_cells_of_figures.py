"""No figure or table of subgroups tells what Table 1 does not."""

import numpy as np
import polars as pl
import pytest

from xray_mining.evaluation.choice import choose
from xray_mining.evaluation.cohorts import hidden_levels
from xray_mining.evaluation.curves import confusion, drawable, error_by_age, scatter
from xray_mining.evaluation.gather import gather
from xray_mining.evaluation.options import EvaluationOptions
from xray_mining.evaluation.small_cells import hidden_cells
from xray_mining.evaluation.subgroups import by_subgroup, cells

LEAST = 10
OPTIONS = EvaluationOptions(least_patients=LEAST)


@pytest.fixture
def tasks(study):
    """Two tasks whose patients are all tested once."""
    made = study(rotations=5, patients=260, pictures=False)
    return {task.target.name: task for task in gather(made.workspace, "made", ()).tasks}


def test_a_small_cell_and_its_smallest_neighbour_are_hidden_in_both_directions():
    counts = {("20", ""): 25, ("30", ""): 40, ("", "F"): 30, ("", "M"): 35}
    counts |= {("20", "F"): 4, ("20", "M"): 21, ("30", "F"): 26, ("30", "M"): 14}
    assert hidden_cells(counts, LEAST) == {("20", "F"), ("20", "M"), ("30", "F"), ("30", "M")}
    assert hidden_cells({("20", ""): 4, ("30", ""): 11, ("40", ""): 30}, LEAST) == {("20", ""), ("30", "")}
    assert hidden_cells({("20", ""): 14, ("30", ""): 11}, LEAST) == set()
    assert hidden_cells({("20", ""): 14, ("30", ""): 31, ("40", ""): 30}, LEAST, {("20", "")}) == {
        ("20", ""),
        ("40", ""),
    }


def test_subgroups_leave_out_the_neighbour_of_a_small_band():
    bands = ["20 to 29"] * 4 + ["30 to 39"] * 11 + ["40 to 49"] * 40
    table = pl.DataFrame({"patient_sex": ["F", "M"] * 27 + ["F"], "age_band": bands})
    shown = {subgroup for _, subgroup, _ in cells(table, np.arange(55), LEAST)}
    assert "age_band=40 to 49" in shown
    # 55 - 40 - 11 would be the four.
    assert "age_band=30 to 39" not in shown


def test_what_table_one_hides_is_no_subgroup_and_no_band(tasks):
    task = tasks["age_years"]
    hidden = hidden_levels(
        [
            {"variable": "age_band", "level": "30 to 39", "column": "all", "hidden": True},
            {"variable": "age_band", "level": "50 to 59", "column": "M", "hidden": True},
            {"variable": "view_position", "level": "AP", "column": "G1", "hidden": True},
        ]
    )
    assert hidden == {("age_band", "30 to 39", ""), ("age_band", "50 to 59", "M")}
    choice = choose(task)
    before = {row.subgroup for row in by_subgroup(task, OPTIONS, choice)}
    after = {row.subgroup for row in by_subgroup(task, OPTIONS, choice, hidden)}
    gone = {"age_band=30 to 39", "patient_sex=M & age_band=50 to 59"}
    assert gone <= before and not gone & after
    bands = {
        (row["age_low"], row["patient_sex"]): row
        for row in error_by_age(task, OPTIONS, hidden)
        if row["age_high"] - row["age_low"] == 10
    }
    assert not bands[50, "all"]["hidden"] and bands[50, "all"]["patients"] > 0
    for cell in ((30, "all"), (50, "M")):
        assert bands[cell]["hidden"] and bands[cell]["patients"] == bands[cell]["images"] == 0
        assert bands[cell]["mae"] > 0


def test_points_of_rare_patients_are_not_drawn(tasks):
    task = tasks["age_years"]
    few = EvaluationOptions(least_patients=25)
    shown = drawable(task, few)
    assert 0 < shown.sum() < len(shown)
    drawn = scatter(task, few).filter(pl.col("experiment") == "network")
    assert drawn.height == shown.sum()
    assert drawn.group_by("age_band", "patient_sex").len()["len"].min() >= 25


def test_confusion_hides_small_cells_and_the_rest_of_their_row(tasks):
    rows = pl.DataFrame(confusion(tasks["patient_sex"], OPTIONS))
    assert rows.filter("hidden").height
    assert rows.filter("hidden")["patients"].sum() == 0
    assert not ((rows["patients"] > 0) & (rows["patients"] < LEAST)).any()
    for _, row in rows.group_by("experiment", "operating_point", "truth"):
        printed = row.filter(~pl.col("hidden") & (pl.col("patients") > 0))
        assert row["hidden"].sum() != 1 or not printed.height
