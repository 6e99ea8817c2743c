"""A cohort with labels whose truths a test states, and predictions of them."""

import numpy as np
import polars as pl

from xray_mining.records.cohort import Target
from xray_mining.records.predictions import Predictions
from xray_mining.workspace import write_json


def with_labels(made, truth):
    """`made` with a target `findings`; `truth` has for each label (n,) of 1, 0 and nan, in the order of `frame`."""
    rows = pl.concat(
        made.frame.select(
            "image_key",
            pl.lit("findings").alias("target"),
            pl.Series("value", values, dtype=pl.Float64).fill_nan(None),
            pl.lit(label).alias("label"),
            pl.lit("0" * 32).alias("cohort_digest"),
        )
        for label, values in truth.items()
    )
    return with_target(made, rows, Target("findings", "labels", classes=tuple(truth), policy="uncertain=ignore"))


def with_target(made, rows, target):
    """`made` with one target, whose values are `rows` of CohortTargets."""
    (made.cohort.folder / "cohort.json").unlink()
    object.__setattr__(made.cohort, "targets", (target,))
    made.cohort = made.cohort.save(made.workspace, made.cohort.members(), rows)
    return made


def predict_labels(made, name, kind, truth, strength, rotations=1):
    """Write an experiment's predictions: the larger `strength`, the better; unknown truths are in between."""
    given = np.stack([np.asarray(each, dtype=np.float64) for each in truth.values()], axis=1)
    noise = np.random.default_rng(len(name)).normal(0, 1, given.shape)
    chance = 1 / (1 + np.exp(1 - np.nan_to_num(given, nan=0.3) * strength - noise))
    folder = made.workspace.experiment("made", name)
    for rotation in range(rotations):
        roles = made.cohort.rotation(rotation, "findings").select("image_key", "patient_key", "role").unique()
        frame = made.frame.select("image_key").with_row_index("place").join(roles, on="image_key")
        frame = frame.filter(pl.col("role") != "train").sort("place")
        place = frame["place"].to_numpy()
        parts = [
            frame.select(
                pl.lit("made").alias("study"),
                pl.lit(name).alias("experiment"),
                pl.lit(f"digest-{name}").alias("experiment_digest"),
                pl.lit(kind).alias("model_kind"),
                pl.lit(made.cohort.digest).alias("cohort_digest"),
                pl.lit("findings").alias("target"),
                pl.lit(label).alias("class"),
                pl.lit(-1).alias("seed"),
                pl.lit(rotation).alias("fold"),
                pl.col("role").alias("split"),
                pl.lit("").alias("variant"),
                pl.lit("image").alias("level"),
                pl.col("image_key").alias("unit_key"),
                "patient_key",
                pl.Series("truth", given[place, i]).fill_nan(None),
                pl.Series("value", chance[place, i]),
                pl.lit(None, pl.Float64).alias("value_calibrated"),
            )
            for i, label in enumerate(truth)
        ]
        Predictions.write(pl.concat(parts), folder / f"predictions/rotation{rotation}.parquet")
    write_json({"options": {"model": name}, "digest": f"digest-{name}", "kind": kind}, folder / "experiment.json")
