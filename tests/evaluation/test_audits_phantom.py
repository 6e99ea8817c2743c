"""The audits on whole phantom archives: what was planted is found, clean populations raise no alarm beyond chance."""

import json
import sys
from pathlib import Path

import polars as pl
import pytest

import xray_mining
from xray_mining.archive.sources.folder import FolderSource
from xray_mining.catalog.cohort import freeze, gate
from xray_mining.catalog.merge import merge
from xray_mining.errors import CheckFailed
from xray_mining.evaluation.evaluate import evaluate
from xray_mining.evaluation.options import EvaluationOptions
from xray_mining.features.instrument import Features
from xray_mining.ingest.ingest import IngestRequest, ingest
from xray_mining.ingest.options import GreyOptions, IngestOptions
from xray_mining.models.experiment import run
from xray_mining.models.stated import experiment_order
from xray_mining.phantom.population import Parameters, write_archive
from xray_mining.records.check_results import CheckResults
from xray_mining.sets.measure import measure
from xray_mining.study.options import Study
from xray_mining.workspace import Workspace

SIDE = 96
STUDY = {
    "study": "audited",
    "question": "Are the audits to be trusted?",
    "cohorts": {
        "disease": {"query": "null_group", "parameters": {"name": "disease_group", "positive": "diseased"}, "folds": 3},
        "chance": {"query": "null_group", "folds": 3},
        "age": {"query": "frontal_adults", "folds": 3},
    },
    "features": {"zones": {"families": ["intensity", "gradient_histogram"], "side_px": SIDE}},
    "experiments": {
        "disease_logistic": {"cohort": "disease", "target": "group", "model": "logistic", "features": ["zones"]},
        "chance_logistic": {"cohort": "chance", "target": "group", "model": "logistic", "features": ["zones"]},
        "age_ridge": {"cohort": "age", "target": "age_years", "model": "ridge", "features": ["zones"]},
    },
    "design": {"rotations": "all", "changed_images": 40},
    "evaluation": {"bootstraps": 100},
}


def audited(folder: Path, patients: int, seed: int, plant: tuple[str, ...]) -> pl.DataFrame:
    """code, task, outcome, sentence, evidence, offenders of every check of a study on one phantom population."""
    archive = folder / "archive"
    write_archive(archive, Parameters(patients, seed, SIDE, ("group", *plant)), jobs=1)
    workspace = Workspace.create(folder / "workspace")
    ingest(workspace, IngestRequest(FolderSource(archive), jobs=1), IngestOptions(grey=GreyOptions(side_px=SIDE)))
    merge(workspace)
    study = Study.model_validate(STUDY)
    for key, each in study.cohorts.items():
        cohort = freeze(workspace, each.query, study.cohort_name(key), each.parameters, each.folds)
        measure(workspace, cohort, "zones", Features(study.features["zones"]))
    for name in experiment_order(study.experiments):
        # No audit asks the thumbnail, and it is the slowest to fit.
        if "thumbnail" not in name:
            run(workspace, study, name)
    evaluate(workspace, study.study, EvaluationOptions(bootstraps=100))
    checks = CheckResults.read([workspace.evaluation(study.study) / "check_results.parquet"])
    task = pl.col("sentence").str.extract(r"audited-(\w+)").fill_null("")
    return checks.with_columns(task.alias("task"))


TESTED = ("SHORT001", "SHORT003", "FAIR001", "FAIR002", "DRIFT001", "DRIFT002")
"""Audits with a nominal rate: each is wrong in at most five of a hundred clean tasks."""
PLANTED = {"shortcut": 300, "gap": 600, "noise": 300, "leak": 300}
"""What is planted, in how many patients: of 300 a gap was found in two of three populations."""
ALL_OF_IT = """-- question: what a query that forgets the copies gets
-- one row: one image
-- target: age_years number years
-- example: for a test
with
-- step: every image
every as (
    select image_key, age_years from images
)

select image_key, age_years from every
"""


def failed(checks: pl.DataFrame, code: str, task: str = "") -> bool:
    """Whether this audit of this task alarmed."""
    return (
        checks.filter(
            (pl.col("code") == code) & (pl.col("outcome") == "failed") & pl.col("task").str.starts_with(task)
        ).height
        > 0
    )


def found(folder: Path, plant: str, checks: pl.DataFrame) -> bool:
    """Whether what was planted in this population is found by the audit that looks for it."""
    workspace = Workspace.open(folder / "workspace")
    if plant == "shortcut":
        return failed(checks, "SHORT001", "disease")
    if plant == "gap":
        return failed(checks, "FAIR001", "disease") and failed(checks, "FAIR002", "disease")
    opened = xray_mining.open(workspace.root)
    if plant == "noise":
        row = checks.filter((pl.col("code") == "NOISE001") & (pl.col("task") == "disease")).row(0, named=True)
        listed = [each["unit_key"] for each in json.loads(row["evidence"])]
        flipped = opened.sql("select image_key::varchar as k from findings where name = 'label_flipped' and value = 1")
        # One label in ten is false: four false ones are in about one of a hundred lists of ten drawn at random.
        return len(set(listed) & set(flipped["k"])) >= 4
    leaks = pl.read_parquet(folder / "archive" / "truth.parquet")["leak_of"].drop_nulls().len()
    pairs = opened.sql("select count(*) as pairs from near_duplicates")["pairs"][0]
    query = folder / "every_image.sql"
    query.write_text(ALL_OF_IT, encoding="utf-8")
    try:
        gate(workspace, freeze(workspace, str(query), "every", {}, folds=3))
    except CheckFailed as error:
        return pairs >= 0.9 * leaks and "LEAK004" in str(error)
    return False


def alarms(checks: pl.DataFrame) -> dict[str, list[bool]]:
    """For each audit with a nominal rate, whether it alarmed in each task where it could be made."""
    told = checks.filter(pl.col("code").is_in(TESTED) & pl.col("outcome").is_in(["passed", "failed"]))
    return {
        str(code): (frame["outcome"] == "failed").to_list()
        for (code,), frame in told.sort("code", "task").group_by("code", maintain_order=True)
    }


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("plant", PLANTED)
def test_what_is_planted_in_a_phantom_is_found(tmp_path, plant):
    hits = []
    for seed in (1, 2, 3):
        folder = tmp_path / str(seed)
        hits.append(found(folder, plant, audited(folder, PLANTED[plant], seed, (plant,))))
    print(f"{plant}: found in {sum(hits)} of {len(hits)} populations", file=sys.stderr)
    assert all(hits)


@pytest.mark.soak
@pytest.mark.timeout(7200)
def test_twenty_clean_phantoms_alarm_at_the_nominal_rate(tmp_path):
    counts = {code: [] for code in TESTED}
    for seed in range(201, 221):
        checks = audited(tmp_path / str(seed), 150, seed, ())
        errors = checks.filter((pl.col("severity") == "error") & (pl.col("outcome") == "failed"))
        assert errors.is_empty(), errors["sentence"].to_list()
        for code, told in alarms(checks).items():
            counts[code] += told
    for code, told in counts.items():
        print(f"{code}: {sum(told)} alarms in {len(told)} clean tasks", file=sys.stderr)
    # 5 in 100 of 60 tasks are 3: more than 9 come once in 1,400 times.
    assert all(sum(told) <= 9 for told in counts.values()), {code: sum(told) for code, told in counts.items()}
