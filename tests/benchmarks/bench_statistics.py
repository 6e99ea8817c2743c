# ruff: noqa: E501  the made-up tables read better as rows
"""Statistics against named rivals, in one run: `python tests/benchmarks/bench_statistics.py [scale]`.

Each line gives both times and their ratio; the last column says what must hold.
"""

import resource
import sys
import tempfile
import time
import uuid
from collections.abc import Callable
from pathlib import Path

import numpy as np
from sklearn import metrics

from xray_mining.statistics import auc_delong
from xray_mining.statistics.auc import auc_covariance
from xray_mining.statistics.classification import PROPORTIONS
from xray_mining.statistics.errors import from_sums, sums_of
from xray_mining.statistics.resampling import interval, patient_sums


def timed(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def quadratic(labels: np.ndarray, scores: np.ndarray) -> tuple[float, float]:
    """DeLong by the comparison of every positive with every negative, in blocks."""
    positive, negative = scores[labels == 1], scores[labels == 0]
    over_positive, over_negative = np.zeros(len(positive)), np.zeros(len(negative))
    for start in range(0, len(positive), 500):
        block = positive[start : start + 500, None]
        wins = (block > negative) + 0.5 * (block == negative)
        over_positive[start : start + 500] = wins.mean(1)
        over_negative += wins.sum(0)
    over_negative /= len(positive)
    return over_positive.mean(), over_positive.var(ddof=1) / len(positive) + over_negative.var(ddof=1) / len(negative)


def midrank_loop(labels: np.ndarray, scores: np.ndarray) -> float:
    """The public Python form of Sun and Xu's algorithm (yandexdataschool/roc_comparison): midranks by a loop."""

    def midrank(values: np.ndarray) -> np.ndarray:
        order = np.argsort(values)
        ordered = values[order]
        count = len(values)
        ranks = np.zeros(count)
        i = 0
        while i < count:
            j = i
            while j < count and ordered[j] == ordered[i]:
                j += 1
            ranks[i:j] = 0.5 * (i + j - 1)
            i = j
        back = np.empty(count)
        back[order] = ranks + 1
        return back

    positive, negative = scores[labels == 1], scores[labels == 0]
    m, n = len(positive), len(negative)
    alone, other, both = midrank(positive), midrank(negative), midrank(np.concatenate([positive, negative]))
    v01, v10 = (both[:m] - alone) / n, 1 - (both[m:] - other) / m
    return float(np.cov(v01) / m + np.cov(v10) / n)


def line(name: str, ours: float, rival: float, against: str, goal: str) -> None:
    print(f"{name:58s} {ours:8.3f} s   {against} {rival:9.2f} s   {rival / ours:8.0f} times   {goal}", flush=True)


def delong(scale: float) -> None:
    rng = np.random.default_rng(0)
    size = int(2_000_000 * scale)
    labels = (rng.random(size) < 0.3).astype(int)
    scores = rng.normal(labels, 1)
    ours = timed(lambda: auc_delong(labels, scores))
    line(f"DeLong, {size:,} scores", ours, timed(lambda: midrank_loop(labels, scores)), "midranks by a loop", "faster")
    few = slice(0, int(20_000 * min(1, scale * 10)))
    small = timed(lambda: quadratic(labels[few], scores[few]))
    count = len(labels[few])
    # Quadratic in the number: what 2 million would take is told, not waited for.
    line(f"DeLong, {size:,} scores", ours, small * (size / count) ** 2, f"quadratic (from {count:,}),", "n log n")
    assert np.isclose(auc_delong(labels[few], scores[few]).variance, quadratic(labels[few], scores[few])[1], rtol=1e-9)
    owner = rng.integers(0, size // 3, size)
    print(
        f"{'Obuchowski, the same with three images a patient':58s} {timed(lambda: auc_covariance(labels, scores, owner)):8.3f} s"
    )


def bootstraps(scale: float) -> None:
    """Six metrics with 2,000 draws of patients: MAE, RMSE, bias, R², sensitivity, specificity."""
    rng = np.random.default_rng(1)
    size, patients = int(100_000 * scale), int(40_000 * scale)
    owner = rng.integers(0, patients, size)
    truth = rng.uniform(20, 80, size)
    given = truth + rng.normal(0, 6, size)
    label, called = truth > 50, given > 50

    def ours(groups: int | None) -> np.ndarray:
        cells = np.stack([label & called, ~label & called, label & ~called, ~label & ~called], axis=1)
        units = np.concatenate([sums_of(truth, given, None), cells], axis=1)
        of_numbers = from_sums(float(truth.mean()))

        def six(sums: np.ndarray) -> np.ndarray:
            numbers = of_numbers(sums[..., :10])[..., [0, 1, 2, 3]]
            shares = [
                sums[..., [10 + i for i in hits]].sum(-1) / sums[..., [10 + i for i in all_]].sum(-1)
                for hits, all_ in (PROPORTIONS["sensitivity"], PROPORTIONS["specificity"])
            ]
            return np.concatenate([numbers, np.stack(shares, axis=-1)], axis=-1)

        return np.stack(interval(patient_sums(units, owner), six, draws=2000, groups_at_most=groups))

    order = np.argsort(owner, kind="stable")
    ends = np.cumsum(np.bincount(owner, minlength=patients))
    images_of = np.split(order, ends[:-1])

    def plain() -> None:
        rows = np.concatenate([images_of[i] for i in rng.integers(0, patients, patients)])
        t, g, l, c = truth[rows], given[rows], label[rows], called[rows]
        metrics.mean_absolute_error(t, g)
        metrics.root_mean_squared_error(t, g)
        float((g - t).mean())
        metrics.r2_score(t, g)
        metrics.recall_score(l, c)
        metrics.recall_score(~l, ~c)

    repeats = 5
    rival = timed(lambda: [plain() for _ in range(repeats)]) / repeats * 2000
    against = "scikit-learn loop (5 of 2,000 timed)"
    for groups, words in ((None, "every patient drawn"), (5_000, "as evaluate does")):
        found = timed(lambda groups=groups: ours(groups))
        line(f"2,000 bootstraps of 6 metrics, {size:,} units, {words}", found, rival, against, "under 10 s, 50 times")
    exact, grouped = ours(None), ours(5_000)
    widths = (exact[2] - exact[1]) / (grouped[2] - grouped[1])
    print(f"{'width of intervals, every patient over groups':58s} {widths.min():8.3f} to {widths.max():.3f}")


def whole_evaluation(scale: float) -> None:
    """evaluate and report on 2 million predictions: ten experiments, half of them for age and half for sex."""
    import polars as pl

    from xray_mining.evaluation.evaluate import evaluate
    from xray_mining.records.cohort import FrozenCohort, Target
    from xray_mining.records.images import Images
    from xray_mining.records.predictions import Predictions
    from xray_mining.reporting.page import write
    from xray_mining.workspace import ArchiveSettings, Workspace, WorkspaceSettings, write_json

    rng = np.random.default_rng(2)
    # A cohort whose test and validation folds give 2 million rows over ten experiments.
    tested = int(100_000 * scale)
    count = tested * 5
    keys = [str(uuid.UUID(bytes=rng.bytes(16))) for _ in range(count)]
    patients = [keys[i // 2] for i in range(count)]
    fold = (np.arange(count) // 2) % 5
    age = np.repeat(rng.uniform(18, 90, count // 2 + 1), 2)[:count]
    male = np.repeat(rng.random(count // 2 + 1) < 0.5, 2)[:count]
    with tempfile.TemporaryDirectory() as folder:
        workspace = Workspace.create(Path(folder) / "w")
        frame = pl.DataFrame({"image_key": keys, "patient_key": patients, "study_key": keys, "fold": fold})
        filled = {
            "patient_source": "declared", "archive": "made", "domain": "made", "file_key": keys[0], "frame": 0,
            "shard": 0, "age_source": "dates", "age_topcoded": False, "view_source": "declared",
        }  # fmt: skip
        images = frame.drop("fold").with_columns(
            *[pl.lit(value).alias(name) for name, value in filled.items()],
            pl.int_range(pl.len()).alias("position"),
            pl.Series("age_years", age),
            pl.Series("patient_sex", np.where(male, "M", "F")),
            pl.Series("manufacturer", rng.choice(["A", "B", "C"], count)),
            pl.Series("view_position", rng.choice(["PA", "AP"], count)),
            pl.Series("study_year", rng.integers(2005, 2015, count)),
            pl.Series("quality_flags", [[]] * count, dtype=pl.List(pl.String)),
        )
        Images.write(Images.typed(images), workspace.parts("made", "images") / "00000.parquet")
        workspace.save(WorkspaceSettings(archives={"made": ArchiveSettings(domain="made", adapter="made", order=0)}))
        members = frame.with_columns(
            pl.lit("made").alias("cohort"), pl.lit("0" * 32).alias("cohort_digest"), pl.lit(1.0).alias("weight"),
            pl.col("fold").replace_strict({0: "test", 1: "validation"}, default="train", return_dtype=pl.String).alias("split"),
        )  # fmt: skip
        long = pl.concat(
            frame.select(
                "image_key", pl.lit(name).alias("target"), pl.Series("value", values.astype(float)),
                pl.lit(None, pl.String).alias("label"), pl.lit("0" * 32).alias("cohort_digest"),
            )
            for name, values in (("age_years", age), ("patient_sex", male))
        )  # fmt: skip
        cohort = FrozenCohort(
            name="made", digest="0" * 32, query="made", sql="select", parameters={}, salt="s", folds=5, split_given=False,
            targets=(Target("age_years", "number", "years"), Target("patient_sex", "binary", "", "M", ("F", "M"))),
            flow=(), catalog_digest="1" * 32, store="",
        ).save(workspace, members, long)  # fmt: skip
        kinds = ("null", "baseline", "frozen", "network", "network")
        rows = 0
        for number in range(10):
            target, kind = ("age_years", "patient_sex")[number % 2], kinds[number // 2]
            name = "centre" if number == 0 else f"model_{number}"
            images = cohort.rotation(0, target).filter(pl.col("role") != "train")
            noise = rng.normal(0, 3 + number, images.height)
            value = images["truth"].to_numpy() + noise
            value = 1 / (1 + np.exp(-value)) if number % 2 else value
            part = images.select(
                pl.lit("made").alias("study"), pl.lit(name).alias("experiment"), pl.lit(name).alias("experiment_digest"),
                pl.lit(kind).alias("model_kind"), pl.lit(cohort.digest).alias("cohort_digest"), pl.lit(target).alias("target"),
                pl.lit("M" if number % 2 else "").alias("class"), pl.lit(-1, pl.Int64).alias("seed"), pl.lit(0, pl.Int64).alias("fold"),
                pl.col("role").alias("split"), pl.lit("").alias("variant"), pl.lit("image").alias("level"),
                pl.col("image_key").alias("unit_key"), "patient_key", "truth", pl.Series("value", value),
            )  # fmt: skip
            rows += part.height
            Predictions.write(part, workspace.experiment("made", name) / "predictions/rotation0-seed-1.parquet")
            write_json({"options": {"model": name}}, workspace.experiment("made", name) / "experiment.json")
        seconds = timed(lambda: evaluate(workspace, "made"))
        size = sum(path.stat().st_size for path in workspace.evaluation("made").iterdir()) / 1e6
        page = workspace.report("made")
        more = timed(lambda: write(workspace.evaluation("made"), page))
        megabytes = page.stat().st_size / 1e6
        print(f"{f'evaluate, {rows:,} predictions of 10 experiments':58s} {seconds:8.1f} s   folder {size:.1f} MB")
        print(f"{'report of it':58s} {more:8.1f} s   {megabytes:.1f} MB, under 8 MB")
        print(f"{'both':58s} {seconds + more:8.1f} s   under 120 s")


if __name__ == "__main__":
    size = float(sys.argv[1]) if len(sys.argv) > 1 else 1.0
    delong(size)
    bootstraps(size)
    print(f"{'most memory so far':58s} {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6:8.2f} GB   under 2 GB")
    whole_evaluation(size)
