"""Classes that no fold has together have no area: experiments are refused by name, and the rest is evaluated."""

import numpy as np
import polars as pl
import pytest

from xray_mining.evaluation.evaluate import evaluate
from xray_mining.evaluation.options import EvaluationOptions
from xray_mining.records.check_results import CheckResults
from xray_mining.records.cohort import Target
from xray_mining.records.predictions import Predictions

QUICK = EvaluationOptions(bootstraps=100, sensitivity_targets=[])


def targeted(made, target, number):
    """The cohort with one target; `number` (n,): the class of each image. Of labels it is whether the first is true."""
    names = [target.classes[each] for each in number]
    frame = made.frame.select(
        "image_key", pl.lit(target.name).alias("target"), pl.lit("0" * 32).alias("cohort_digest")
    ).with_columns(pl.Series("value", number.astype(float)), pl.Series("label", names))
    if target.kind == "labels":
        answers = [(target.classes[0], number), (target.classes[1], 1 - number)]
        frame = pl.concat(
            frame.with_columns(pl.lit(name).alias("label"), pl.Series("value", values.astype(float)))
            for name, values in answers
        )
    (made.cohort.folder / "cohort.json").unlink()
    object.__setattr__(made.cohort, "targets", (target,))
    made.cohort = made.cohort.save(made.workspace, made.cohort.members(), frame)
    frame.write_parquet(made.cohort.folder / "cohort_targets.parquet")


@pytest.mark.parametrize(
    ("kind", "classes", "words"),
    [
        ("binary", ("well", "ill"), "no fold has test units of two classes"),
        ("group", ("well", "ill", "worse"), "no fold has test units of two classes"),
        (
            "labels",
            ("effusion", "mass"),
            "no fold has test units for which a label is true and others for which it is false",
        ),
    ],
)
def test_classes_of_different_folds_are_refused(make, kind, classes, words):
    made = make(patients=100, pictures=False)
    number = made.frame["fold"].to_numpy() % len(classes)
    positive = "ill" if kind == "binary" else ""
    targeted(made, Target("t", kind, positive=positive, classes=classes, made_of=("a",), made_of_from="header"), number)
    rng = np.random.default_rng(0)

    def once(frame: pl.DataFrame) -> pl.DataFrame:
        return frame.unique("image_key", maintain_order=True)

    places = made.frame.select(pl.col("image_key").alias("unit_key"), pl.Series("_number", number))
    for name, model in (("net", "network"), ("base", "baseline")):
        made.predict("made", name, model, "t", rng.random(100), rotations=5, keep=once)
        for path in (made.workspace.experiment("made", name) / "predictions").glob("*.parquet"):
            frame = Predictions.read(path).join(places, on="unit_key", maintain_order="left")
            parts = [
                frame.with_columns(
                    pl.lit(label if kind != "binary" else "ill").alias("class"),
                    (pl.col("_number") == place).cast(pl.Float64).alias("truth"),
                    pl.Series("value", rng.random(frame.height)),
                ).drop("_number")
                for place, label in enumerate(classes)
            ]
            Predictions.write(parts[1] if kind == "binary" else pl.concat(parts), path)
    evaluate(made.workspace, "made", QUICK)
    rows = CheckResults.read(made.workspace.evaluation("made") / "check_results.parquet").filter(code="EVAL005")
    assert set(rows["about"]) == {"net", "base"} and set(rows["outcome"]) == {"failed"}
    assert all(words in each for each in rows["sentence"])
