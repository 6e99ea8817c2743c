"""Table 1 of a cohort with two targets, sex and a diagnosis: each has its columns, and none tells of a small cell."""

from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest

from xray_mining.evaluation.cohorts import table_one
from xray_mining.evaluation.small_cells import Line, _exposed
from xray_mining.records.cohort import Target
from xray_mining.records.cohort_targets import CohortTargets

SEX = Target("patient_sex", "binary", positive="F", classes=("M", "F"))
FINDING = Target("finding", "group", classes=("none", "effusion"))
PARTITIONS = (("train", "validation", "test"), ("M", "F"), ("none", "effusion"))


def people(seed=0, patients=240, others=0):
    """One image a patient; sex, finding and maker hang together, and some makers are rare."""
    rng = np.random.default_rng(seed)
    sick = rng.random(patients) < 0.3
    sex = np.where(rng.random(patients) < 0.4 + 0.2 * sick, "F", "M").astype(object)
    sex[:others] = "O"
    keys = [f"00000000-0000-0000-0000-{n:012}" for n in range(patients)]
    return pl.DataFrame(
        {
            "image_key": keys,
            "patient_key": keys,
            "split": rng.choice(["train", "validation", "test"], patients, p=[0.6, 0.2, 0.2]),
            "finding": np.where(sick, "effusion", "none"),
            "age_years": np.round(rng.uniform(20, 70, patients) + 8 * sick),
            "patient_sex": pl.Series(sex.tolist(), dtype=pl.String),
            "manufacturer": rng.choice(["A", "B", "C", "D"], patients, p=[0.6, 0.25, 0.1, 0.05]),
        }
    )


def described(frame, folder, least, targets=(FINDING, SEX), rotations=1):
    def of(target):
        label = pl.col(target.name)
        binary = target.kind == "binary"
        known = frame.filter(label.is_in(target.classes))
        return known.select(
            "image_key",
            target=pl.lit(target.name),
            value=(label == target.positive).cast(pl.Float64) if binary else pl.lit(None, pl.Float64),
            label=pl.lit(None, pl.String) if binary else label,
            cohort_digest=pl.lit("0" * 32),
        )

    CohortTargets.write(pl.concat([of(target) for target in targets]), folder / "cohort_targets.parquet")
    cohort = SimpleNamespace(
        name="c", digest="0" * 32, folder=folder, members=lambda: frame.with_columns(fold=0), targets=targets
    )
    return table_one(cohort, frame.drop("patient_key", "split"), least=least, width=10, rotations=rotations)


@pytest.mark.parametrize("targets", [(FINDING, SEX), (SEX, FINDING)], ids=["finding first", "sex first"])
def test_both_targets_have_columns_with_their_own_counts_and_differences(tmp_path, targets):
    frame = people()
    rows = pl.DataFrame(described(frame, tmp_path, 1, targets), infer_schema_length=None)
    assert set(rows["column"]) == {"all", *(column for columns in PARTITIONS for column in columns)}
    for target in targets:
        mine = rows.filter(pl.col("target") == target.name)
        assert set(mine["column"]) == set(target.classes)
        for variable in ("manufacturer", "patient_sex"):
            printed = mine.filter((pl.col("variable") == variable) & (pl.col("patients") > 0))
            ours = {(column, level): n for column, level, n in printed.select("column", "level", "patients").rows()}
            counted = frame.select(pl.col(target.name).alias("column"), pl.col(variable).alias("level"))
            assert ours == {(c, v): n for c, v, n in counted.group_by("column", "level").len().iter_rows()}
        first, second = (frame.filter(pl.col(target.name) == each)["age_years"] for each in target.classes)
        spread = np.sqrt((first.var() + second.var()) / 2)
        age = mine.filter(pl.col("variable") == "age_years")
        assert age["standardised_difference"].to_list() == pytest.approx([(first.mean() - second.mean()) / spread] * 2)


@pytest.mark.parametrize("seed", range(6))
def test_no_small_cell_of_any_column_is_printed_or_follows(tmp_path, seed):
    least, frame = 10, people(seed)
    truth = {(r["variable"], r["level"], r["column"]): r["patients"] for r in described(frame, tmp_path, 1)}
    rows = described(frame, tmp_path, least)
    hidden = {(r["variable"], r["level"], r["column"]) for r in rows if r["hidden"]}
    small = {cell for cell, count in truth.items() if 0 < count < least}
    assert small and small <= hidden
    assert all(r["patients"] == 0 and r["share"] is None for r in rows if r["hidden"])
    for variable in ("patient_sex", "manufacturer", "age_band"):
        cells = [cell for cell in truth if cell[0] == variable]
        levels, columns = {cell[1] for cell in cells}, {cell[2] for cell in cells}
        lines = [Line(tuple((variable, level, column) for level in levels)) for column in columns]
        for level in levels:
            total = (variable, level, "all")
            lines += [Line(tuple((variable, level, column) for column in part), total) for part in PARTITIONS]
        mine = {cell for cell in hidden if cell[0] == variable}
        assert _exposed(lines, truth, mine, mine & small) == []


def test_columns_by_sex_are_left_out_where_their_sizes_would_tell_of_a_small_sex(tmp_path):
    assert {row["column"] for row in described(people(others=3), tmp_path, 10)} >= {"none", "effusion"}
    assert not {"F", "M"} & {row["column"] for row in described(people(others=3), tmp_path, 10)}
    assert {"F", "M"} <= {row["column"] for row in described(people(others=12), tmp_path, 10)}


def test_labels_that_two_targets_share_are_called_by_their_target(tmp_path):
    first, second = (Target(name, "binary", positive="yes", classes=("no", "yes")) for name in ("edema", "mass"))
    frame = people().with_columns(
        edema=pl.when(pl.col("finding") == "none").then(pl.lit("no")).otherwise(pl.lit("yes")),
        mass=pl.when(pl.col("manufacturer") == "A").then(pl.lit("no")).otherwise(pl.lit("yes")),
    )
    columns = {row["column"] for row in described(frame, tmp_path, 1, (first, second), rotations=5)}
    assert columns == {"all", "edema: no", "edema: yes", "mass: no", "mass: yes"}
