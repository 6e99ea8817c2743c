"""Over rotations evaluate widens by what other rotations' fits say of the same patients; hold-out is as before."""

import numpy as np
import polars as pl
import pytest

from xray_mining.evaluation.evaluate import evaluate
from xray_mining.evaluation.options import EvaluationOptions
from xray_mining.statistics.auc import auc
from xray_mining.statistics.errors import error_metrics

OPTIONS = EvaluationOptions(bootstraps=200)


def estimates(made, study: str) -> pl.DataFrame:
    evaluate(made.workspace, study, OPTIONS)
    rows = pl.read_parquet(made.workspace.evaluation(study) / "estimates.parquet")
    return rows.filter((pl.col("subgroup") == "all") & (pl.col("split") == "test") & (pl.col("variant") == ""))


def shaken(size: float):
    """Validation predictions that differ from what tests the same patients, as another fit's do."""

    def keep(frame: pl.DataFrame) -> pl.DataFrame:
        noise = np.random.default_rng(frame["fold"][0]).normal(0, size, frame.height)
        moved = pl.col("value") + pl.Series(noise)
        return frame.with_columns(
            pl.when(pl.col("split") == "validation").then(moved).otherwise(pl.col("value")).alias("value")
        )

    return keep


def test_all_rotations_widen_and_hold_out_does_not(make):
    made = make(patients=200, pictures=False)
    age = made.frame["age_years"].to_numpy()
    rng = np.random.default_rng(3)
    given, other = (50 + 0.5 * (age - 50) + rng.normal(0, 6, len(age)) for _ in range(2))
    for study, size, splits in (
        ("same", 0.0, ("validation", "test")),
        ("shaken", 4.0, ("validation", "test")),
        ("bare", 0.0, ("test",)),
    ):
        for name, values in (("one", given), ("two", other)):
            made.predict(study, name, "baseline", "age_years", values, rotations=5, splits=splits, keep=shaken(size))
    made.predict("held", "one", "baseline", "age_years", given)
    rows = {study: estimates(made, study) for study in ("same", "shaken", "bare", "held")}

    def width(study: str, metric: str) -> float:
        row = rows[study].filter(
            (pl.col("metric") == metric) & (pl.col("experiment") == "one") & (pl.col("baseline") == "")
        )
        return row["high"].item() - row["low"].item()

    alone = error_metrics(made.frame["age_years"].to_numpy(), given, draws=200)
    for metric in ("mae", "rmse", "bias", "within_5"):
        assert width("shaken", metric) > 1.1 * width("same", metric), metric
        assert width("bare", metric) == pytest.approx(np.sqrt(1.5) * width("same", metric), rel=0.03), metric
        assert width("same", metric) == pytest.approx(alone[metric].high - alone[metric].low, rel=0.25), metric
    p = {
        study: rows[study].filter((pl.col("metric") == "mae") & (pl.col("baseline") != ""))["p_value"].to_list()
        for study in ("same", "shaken", "bare")
    }
    assert p["same"] and all(a < b for a, b in zip(p["same"], p["shaken"], strict=True))
    said = {study: "; ".join(rows[study]["caution"].drop_nulls().unique()) for study in rows}
    assert "multiplied by a constant" in said["bare"]
    assert all("folds" not in said[study] or "pooled" in said[study] for study in ("same", "shaken"))
    assert "folds" not in said["held"]
    tested = made.frame.join(made.cohort.rotation(0, "age_years").filter(pl.col("role") == "test"), on="image_key")
    place = made.frame.with_row_index().join(tested.select("image_key"), on="image_key", how="semi").sort("patient_key")
    held = error_metrics(place["age_years"].to_numpy(), given[place["index"].to_numpy()], draws=OPTIONS.bootstraps)
    row = rows["held"].filter((pl.col("metric") == "mae") & (pl.col("baseline") == "")).row(0, named=True)
    assert (row["low"], row["high"]) == pytest.approx((held["mae"].low, held["mae"].high), rel=1e-9)


def test_an_area_counts_the_patients_of_folds_with_both_classes(make):
    made = make(patients=200, pictures=False)
    male = (made.frame["patient_sex"] == "M").to_numpy()
    target = next(each.name for each in made.cohort.targets if each.kind == "binary")
    chance = 1 / (1 + np.exp(-(male - 0.5 + np.random.default_rng(4).normal(0, 1, len(male)))))

    def without_positives(frame: pl.DataFrame) -> pl.DataFrame:
        return frame.with_columns(pl.when(pl.col("fold") == 3).then(0.0).otherwise(pl.col("truth")).alias("truth"))

    made.predict("rare", "one", "baseline", target, chance, rotations=5, splits=("test",), keep=without_positives)
    rows = estimates(made, "rare").filter(pl.col("metric").is_in(["auc", "average_precision"]))
    assert rows.height >= 2 and set(rows["patients"]) == set(rows["images"]) == {160}
    assert all("left out" in each for each in rows["caution"])
    assert auc([0, 1, 0, 0], [0.1, 0.2, 0.3, 0.4], folds=[0, 0, 1, 1]).patients == 2
