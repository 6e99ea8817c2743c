"""Merge, cohorts, gate, Table 1 and archive report at 10 thousand to 2 million images; polars and pandas as rivals.

Seconds, and megabytes at the peak. The gate and Table 1 are those of frontal_adults, the largest cohort. The rivals do
the same selection as age_balanced (but for near-duplicates) from the same Parquet parts. Each size runs in processes of
its own, so that peak memory is its own. `bench_cohort.py 2000000` runs one size.
"""

import json
import math
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

SIZES = (10_000, 100_000, 1_000_000, 2_000_000)
COHORTS = {
    "age_balanced": {},
    "g2_vs_g3": {},
    "frontal_adults": {},
    "normals": {},
    "case_control": {"finding": "effusion"},
    "longitudinal": {},
    "external_site": {},
}
COLUMNS = ["image_key", "patient_key", "patient_source", "view_position", "age_years", "patient_sex", "study_day"]


def timed(work: Callable[..., Any], *arguments: Any, **named: Any) -> tuple[float, Any]:
    started = time.perf_counter()
    made = work(*arguments, **named)
    return time.perf_counter() - started, made


def least(work: Callable[..., Any], *arguments: Any) -> float:
    """The least of three times: what others do on the machine only adds."""
    return min(timed(work, *arguments)[0] for _ in range(3))


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def ours(folder: Path) -> dict[str, float]:
    """Seconds of each step, and megabytes at the peak."""
    from xray_mining.catalog import cohort, flow
    from xray_mining.catalog.connection import connect, frame, guarded
    from xray_mining.catalog.merge import merge
    from xray_mining.evaluation.cohorts import table_one
    from xray_mining.evaluation.gather import attributes
    from xray_mining.workspace import Workspace

    workspace = Workspace.open(folder)
    found = {"merge": timed(merge, workspace, force=True)[0], "merge_mb": peak_mb()}
    with connect(workspace) as con:
        first = con.execute("select min(institution_key)::varchar from images").fetchone()
    place = str(first[0]) if first else ""
    for name, given in COHORTS.items():
        asked = cohort.read_query(name)
        extra = {"test_institutions": place} if name == "external_site" else {}
        values = asked.header.values(given | extra, name)
        if name == "age_balanced":
            with guarded(workspace, seconds=None) as con:
                tree = cohort.one_select(asked.text, name, {"eligible", "images", "findings"})
                found["age_balanced_members"] = least(frame, con, asked.text, values, name)
                found["age_balanced_flow"] = least(flow.count, con, tree, values, name)
            # members, flow, folds, gate and the folder: everything
            found["age_balanced_frozen"] = least(cohort.freeze, workspace, name, name, given)
            continue
        seconds, frozen = timed(cohort.freeze, workspace, name, name, given | extra)
        found[f"{name}_frozen"] = seconds
        if name == "frontal_adults":
            found["gate"] = least(cohort.gate, workspace, frozen)
            described, known = timed(attributes, workspace, [frozen])
            found["table_one"] = described + timed(table_one, frozen, known, 10, 10)[0]
            del known
    return found | {"peak_mb": peak_mb()}


def report(folder: Path) -> dict[str, float]:
    """Seconds of the archive report's queries and of the whole page, its size, and megabytes at the peak."""
    from xray_mining.catalog.overview import overview
    from xray_mining.reporting.archive_page import archive_report
    from xray_mining.workspace import Workspace

    workspace = Workspace.open(folder)
    queries = timed(overview, workspace)[0]
    page, made = timed(archive_report, workspace)
    return {"report_queries": queries, "report_page": page, "page_mb": made.bytes / 1e6, "report_peak_mb": peak_mb()}


def by_polars(folder: Path) -> dict[str, float]:
    import polars as pl

    def read() -> pl.DataFrame:
        return pl.read_parquet(folder / "parts/synthetic/images/*.parquet", columns=COLUMNS)

    def balanced(frame: pl.DataFrame) -> pl.DataFrame:
        return (
            frame.filter(
                (pl.col("patient_source") != "none")
                & pl.col("view_position").is_in(["PA", "AP"])
                & pl.col("patient_sex").is_in(["F", "M"])
                & pl.col("age_years").is_between(21, 71, closed="left")
            )
            .sort("study_day", "image_key", descending=[True, False], nulls_last=True)
            .unique("patient_key", keep="first", maintain_order=True)
            .with_columns(year=pl.col("age_years").floor())
            .filter(pl.col("patient_key").hash().rank("ordinal").over("patient_sex", "year") <= 100)
        )

    return rival(read, balanced)


def by_pandas(folder: Path) -> dict[str, float]:
    import numpy as np
    import pandas as pd

    def read() -> pd.DataFrame:
        return pd.read_parquet(folder / "parts/synthetic/images", columns=COLUMNS)

    def balanced(frame: pd.DataFrame) -> pd.DataFrame:
        chosen = frame[
            (frame["patient_source"] != "none")
            & frame["view_position"].isin(["PA", "AP"])
            & frame["patient_sex"].isin(["F", "M"])
            & (frame["age_years"] >= 21)
            & (frame["age_years"] < 71)
        ]
        latest = chosen.sort_values(["study_day", "image_key"], ascending=[False, True]).drop_duplicates("patient_key")
        latest = latest.assign(year=np.floor(latest["age_years"]))
        place = pd.util.hash_pandas_object(latest["patient_key"], index=False)
        rank = place.groupby([latest["patient_sex"].to_numpy(), latest["year"].to_numpy()]).rank(method="first")
        return latest[rank.to_numpy() <= 100]

    return rival(read, balanced)


def rival(read: Callable[[], Any], balanced: Callable[[Any], Any]) -> dict[str, float]:
    """Seconds from the parts and from memory, how many members came out, and megabytes at the peak."""
    frame = read()
    return {
        "members": len(balanced(frame)),
        "from_parts": least(lambda: balanced(read())),
        "from_memory": least(lambda: balanced(frame)),
        "peak_mb": peak_mb(),
    }


def in_own_process(what: str, folder: Path) -> dict[str, float]:
    done = subprocess.run(
        [sys.executable, __file__, "--", what, str(folder)], check=True, capture_output=True, text=True
    )
    return json.loads(done.stdout.splitlines()[-1])


def main(sizes: tuple[int, ...]) -> None:
    table: dict[int, dict[str, float]] = {}
    rivals: dict[str, dict[str, float]] = {}
    for images in sizes:
        with tempfile.TemporaryDirectory() as parent:
            folder = Path(parent) / "workspace"
            made = [sys.executable, str(Path(__file__).with_name("synthetic_catalog.py")), str(folder), str(images)]
            subprocess.run(made, check=True)
            table[images] = in_own_process("ours", folder) | in_own_process("report", folder)
            if images == sizes[-1]:
                rivals = {name: in_own_process(name, folder) for name in ("by_polars", "by_pandas")}
    print(f"{'':24}" + "".join(f"{images:>12,}" for images in sizes) + "   exponent   last step")
    for name in table[sizes[-1]]:
        values = [table[images][name] for images in sizes]
        steps = ((0, -1), (-2, -1)) if len(sizes) > 1 else ()
        grown = "".join(
            f"{math.log(values[j] / values[i]) / math.log(sizes[j] / sizes[i]):11.2f}" if values[i] else ""
            for i, j in steps
        )
        print(f"{name:24}" + "".join(f"{value:12.2f}" for value in values) + grown)
    own = table[sizes[-1]]["age_balanced_members"]
    for name, found in rivals.items():
        print(
            f"age_balanced {name.replace('_', ' ')}: {found['members']:.0f} members, {found['from_parts']:.2f} s from "
            f"the parts ({found['from_parts'] / own:.1f} times ours), {found['from_memory']:.2f} s of it in memory "
            f"({found['from_memory'] / own:.1f} times), {found['peak_mb']:.0f} MB; ours {own:.2f} s from the catalog"
        )


if __name__ == "__main__":
    if sys.argv[1:2] == ["--"]:
        chosen = {"ours": ours, "report": report, "by_polars": by_polars, "by_pandas": by_pandas}[sys.argv[2]]
        print(json.dumps(chosen(Path(sys.argv[3]))))
    else:
        main(tuple(int(each) for each in sys.argv[1:]) or SIZES)
