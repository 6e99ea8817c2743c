"""A small workspace with made-up radiographs, cohorts and predictions whose truth is known."""

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from xray_mining.pixels.store import write_shard
from xray_mining.records.cohort import FlowStep, FrozenCohort, Target
from xray_mining.records.images import Images
from xray_mining.records.pixels import Pixels
from xray_mining.records.predictions import Predictions
from xray_mining.workspace import ArchiveSettings, Workspace, WorkspaceSettings, digest_of_frame, write_json

SIDE = 64


def key(kind: str, number: int) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_OID, f"{kind} {number}"))


@dataclass
class Made:
    """The workspace and what it was made from."""

    workspace: Workspace
    cohort: FrozenCohort
    frame: pl.DataFrame

    def predict(
        self,
        study: str,
        name: str,
        kind: str,
        target: str,
        values: np.ndarray,
        *,
        rotations: int = 1,
        seeds: tuple[int, ...] = (-1,),
        splits: tuple[str, ...] = ("validation", "test"),
        model: str = "",
        calibrated: bool = False,
        keep: Callable[[pl.DataFrame], pl.DataFrame] = lambda frame: frame,
    ) -> None:
        """Write an experiment's predictions: `values` in the order of `frame`, with a little noise of the seed."""
        folder = self.workspace.experiment(study, name)
        kinds = self.cohort.target(target)
        table = pl.DataFrame({"image_key": self.frame["image_key"], "value": values})
        for rotation in range(rotations):
            images = self.cohort.rotation(rotation, target).join(table, on="image_key")
            for seed in seeds:
                noise = np.random.default_rng([seed + 1, rotation]).normal(0, 1e-9, images.height)
                frame = images.filter(pl.col("role").is_in(splits)).with_columns(
                    pl.lit(study).alias("study"),
                    pl.lit(name).alias("experiment"),
                    pl.lit(f"digest-{name}").alias("experiment_digest"),
                    pl.lit(kind).alias("model_kind"),
                    pl.lit(self.cohort.digest).alias("cohort_digest"),
                    pl.lit(target).alias("target"),
                    pl.lit(kinds.positive).alias("class"),
                    pl.lit(seed, pl.Int64).alias("seed"),
                    pl.lit(rotation, pl.Int64).alias("fold"),
                    pl.col("role").alias("split"),
                    pl.lit("").alias("variant"),
                    pl.lit("image").alias("level"),
                    pl.col("image_key").alias("unit_key"),
                    (pl.col("value") if calibrated else pl.lit(None, pl.Float64)).alias("value_calibrated"),
                )
                if seed >= 0:
                    chosen = pl.Series("noise", noise)[: frame.height]
                    frame = frame.with_columns((pl.col("value") + chosen).alias("value"))
                path = folder / "predictions" / f"rotation{rotation}-seed{seed}.parquet"
                Predictions.write(keep(frame), path)
        write_json(
            {
                "options": {"model": model or name},
                "digest": f"digest-{name}",
                "kind": kind,
                "licences": {},
                "seconds": 1.5,
            },
            folder / "experiment.json",
        )


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., Made]:
    """make(patients=…, images_each=…): a workspace with pictures and a cohort of age_years and patient_sex."""

    def build(patients: int = 200, images_each: int = 1, pictures: bool = True, folds: int = 5, seed: int = 0) -> Made:
        rng = np.random.default_rng(seed)
        workspace = Workspace.create(tmp_path / "workspace")
        count = patients * images_each
        owner = np.repeat(np.arange(patients), images_each)
        age = np.round(rng.uniform(20, 80, patients), 1)[owner]
        sex = rng.choice(["F", "M"], patients)[owner]
        frame = pl.DataFrame(
            {
                "image_key": [key("image", i) for i in range(count)],
                "study_key": [key("study", i) for i in range(count)],
                "patient_key": [key("patient", int(i)) for i in owner],
                "age_years": age,
                "patient_sex": sex,
                "manufacturer": rng.choice(["maker A", "<script>alert(1)</script>"], count),
                "view_position": rng.choice(["PA", "AP"], count, p=[0.8, 0.2]),
                "study_year": rng.choice([2013, 2014, 2015], count),
                "fold": (np.arange(patients) % folds)[owner],
            }
        ).sort("image_key")
        filled = {
            "patient_source": "declared",
            "archive": "made",
            "domain": "made",
            "file_key": key("file", 0),
            "frame": 0,
            "shard": 0,
            "age_source": "dates",
            "age_topcoded": False,
            "view_source": "declared",
            "burned_in_text": "no",
        }
        images = frame.drop("fold").with_columns(
            *[pl.lit(value).alias(name) for name, value in filled.items()],
            pl.int_range(pl.len()).alias("position"),
            pl.Series("quality_flags", [[]] * count, dtype=pl.List(pl.String)),
        )
        Images.write(Images.typed(images), workspace.parts("made", "images") / "00000.parquet")
        workspace.save(
            WorkspaceSettings(store="store", archives={"made": ArchiveSettings(domain="made", adapter="made", order=0)})
        )
        if pictures:
            with write_shard(workspace, "store", "made", 0) as writer:
                offsets = [
                    writer.append(np.full((SIDE, SIDE), int(years * 2), np.uint8)) for years in frame["age_years"]
                ]
            pixels = frame.select("image_key").with_columns(
                pl.lit("store").alias("store"),
                pl.lit("made").alias("archive"),
                pl.lit(0).alias("shard"),
                pl.Series("offset", offsets),
                pl.lit(SIDE).alias("side_px"),
                pl.lit("uint8").alias("value_type"),
                *[pl.lit(0.0).alias(f"content_{name}") for name in ("left", "top")],
                *[pl.lit(float(SIDE)).alias(f"content_{name}") for name in ("width", "height")],
                pl.lit("window").alias("window_source"),
                pl.lit(False).alias("inverted"),
                pl.lit(0.0).alias("clipped_fraction"),
                pl.lit("made").alias("decoder"),
            )
            Pixels.write(Pixels.typed(pixels), workspace.parts("made", "pixels") / "00000.parquet")
        roles = {0: "test", 1: "validation"}
        members = frame.select("image_key", "study_key", "patient_key", "fold").with_columns(
            pl.lit("made-all").alias("cohort"),
            pl.lit("0" * 32).alias("cohort_digest"),
            pl.col("fold").replace_strict(roles, default="train", return_dtype=pl.String).alias("split"),
            pl.lit(1.0).alias("weight"),
        )
        long = [
            frame.select(
                "image_key",
                pl.lit("age_years").alias("target"),
                pl.col("age_years").alias("value"),
                pl.lit(None, pl.String).alias("label"),
            ),
            frame.select(
                "image_key",
                pl.lit("patient_sex").alias("target"),
                (pl.col("patient_sex") == "M").cast(pl.Float64).alias("value"),
                pl.col("patient_sex").alias("label"),
            ),
        ]
        targets = pl.concat(long).with_columns(pl.lit("0" * 32).alias("cohort_digest"))
        cohort = FrozenCohort(
            name="made-all",
            digest=digest_of_frame(members),
            query="made",
            sql="-- question: who\nselect image_key from frontal",
            parameters={"per_cell": 10},
            salt="salt",
            folds=folds,
            split_given=False,
            targets=(
                Target("age_years", "number", "years", made_of=("age_years",), made_of_from="header"),
                Target(
                    "patient_sex",
                    "binary",
                    positive="M",
                    classes=("F", "M"),
                    made_of=("patient_sex",),
                    made_of_from="header",
                ),
            ),
            flow=(FlowStep("frontal", "all frontal images", count, count, patients),),
            catalog_digest="1" * 32,
            store="store",
        ).save(workspace, members, targets)
        return Made(workspace, cohort, frame)

    return build


@pytest.fixture
def study(make: Callable[..., Made]) -> Callable[..., Made]:
    """study(…): the workspace with nine experiments of two tasks."""

    def build(rotations: int = 1, **how: int) -> Made:
        made = make(**how)
        rng = np.random.default_rng(7)
        age = made.frame["age_years"].to_numpy()
        male = (made.frame["patient_sex"] == "M").to_numpy()
        count = len(age)
        more = {"rotations": rotations}
        made.predict("made", "centre", "null", "age_years", np.full(count, age.mean()), **more)
        made.predict("made", "metadata", "null", "age_years", age.mean() + rng.normal(0, 1, count), **more)
        made.predict(
            "made", "boosting", "baseline", "age_years", 50 + 0.5 * (age - 50) + rng.normal(0, 7, count), **more
        )
        made.predict(
            "made", "embedding", "frozen", "age_years", 50 + 0.7 * (age - 50) + rng.normal(0, 6, count), **more
        )
        made.predict(
            "made", "network", "network", "age_years", 50 + 0.85 * (age - 50) + rng.normal(0, 4, count),
            seeds=(0, 1), **more,
        )  # fmt: skip
        made.predict("made", "oracle", "oracle", "age_years", age + rng.normal(0, 2, count), **more)
        for name, kind, shift in (
            ("sex_metadata", "null", 0.0),
            ("sex_logistic", "baseline", 1.5),
            ("sex_network", "network", 3.0),
        ):
            chance = 1 / (1 + np.exp(-(shift * (male - 0.5) + rng.normal(0, 1, count))))
            made.predict("made", name, kind, "patient_sex", chance, calibrated=name == "sex_network", **more)
        return made

    return build
