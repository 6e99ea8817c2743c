"""The whole demo in miniature: the truth recovered, only what changed done again, kills and interrupts survived."""

import json
import os
import shutil
import signal
import time

import duckdb
import polars as pl
import psutil
import pytest
import yaml
from golden import KEYS, compare_digests, compare_predictions, compare_table

from xray_mining.records.check_results import CheckResults
from xray_mining.records.cohort import FrozenCohort
from xray_mining.records.estimates import Estimates
from xray_mining.records.predictions import Predictions
from xray_mining.workspace import Workspace, digest_of_frame


def test_digests_are_the_golden_ones(whole):
    compare_digests(whole[0])


def test_predictions_are_the_golden_ones(whole):
    compare_predictions(whole[0])


@pytest.mark.parametrize("name", KEYS)
def test_tables_are_the_golden_ones(whole, name):
    compare_table(whole[0], name)


def estimate(workspace, experiment, metric):
    rows = Estimates.read(workspace / "evaluations/mini/estimates.parquet").filter(
        (pl.col("experiment") == experiment)
        & (pl.col("metric") == metric)
        & (pl.col("baseline") == "")
        & (pl.col("subgroup") == "all")
        & (pl.col("split") == "test")
        & (pl.col("variant") == "")
        & (pl.col("level") == "image")
    )
    assert rows.height == 1, f"{experiment}: {rows.height} rows of {metric}"
    return rows.row(0, named=True)


def predictions_of(workspace):
    frame = Predictions.read(sorted(workspace.glob("experiments/mini/*/predictions/*.parquet")))
    assert frame.height
    return frame


def test_it_ends_with_the_answer_and_a_page(whole):
    workspace, said = whole
    assert "reads age with a mean absolute error of" in said.stdout
    page = workspace / "reports/mini.html"
    assert said.stdout.strip().splitlines()[-1] == f"report: {page}"
    assert "Can age be read from a small phantom radiograph?" in page.read_text()


def rows_of(workspace, table):
    """What another program finds in the file of results, which it opens by itself."""
    with duckdb.connect(str(workspace / "results.duckdb"), read_only=True) as con:
        return con.execute(f"select count(*) from {table} where study = 'mini'").fetchone()[0]


def test_another_program_finds_the_results_in_their_file(whole, call, study_file):
    workspace, _ = whole
    for table in ("estimates", "predictions", "all_predictions"):
        assert rows_of(workspace, table) > 0
    before = rows_of(workspace, "all_predictions")
    assert before > rows_of(workspace, "predictions"), "validation rows and changed pictures"
    (workspace / "results.duckdb").unlink()
    done = call("train", f"{study_file}/age_ridge", "--workspace", workspace)
    assert done.returncode == 0 and rows_of(workspace, "all_predictions") == before


def test_the_error_lies_between_the_floor_and_the_centre(whole):
    workspace, _ = whole
    oracle, ridge = estimate(workspace, "age_oracle", "mae"), estimate(workspace, "age_ridge", "mae")
    centre = estimate(workspace, "null_centre_age_years", "mae")
    assert oracle["high"] < ridge["low"]
    assert ridge["high"] < centre["low"]


def test_a_group_drawn_at_random_is_not_told_apart(whole):
    workspace, _ = whole
    found = estimate(workspace, "noise_logistic", "auc")
    assert found["low"] < 0.5 < found["high"]


def test_permuted_ages_teach_nothing(whole):
    workspace, _ = whole
    ridge = estimate(workspace, "permuted_ridge", "mae")
    centre = estimate(workspace, "null_centre_permuted_age_years", "mae")
    assert ridge["high"] > centre["value"]
    assert ridge["value"] > 0.95 * centre["value"]


def test_a_target_whose_source_nobody_states_is_named(whole):
    workspace, _ = whole
    rows = CheckResults.read([workspace / "evaluations/mini/check_results.parquet"])
    made_of = rows.filter(pl.col("code") == "MADE001").select("about", "severity", "outcome").sort("about").rows()
    assert made_of == [
        ("mini-age/age_years", "warning", "passed"),
        ("mini-noise/group", "warning", "passed"),
        ("mini-permuted/age_years", "warning", "failed"),
    ]
    bands = pl.read_parquet(workspace / "evaluations/mini/error_by_age.parquet")
    assert set(bands["experiment"]) >= {"age_ridge"} and "permuted_ridge" not in set(bands["experiment"])


def test_no_patient_is_on_two_sides(whole):
    workspace, _ = whole
    sides = predictions_of(workspace).group_by("experiment", "target", "fold", "seed", "patient_key")
    assert (sides.agg(pl.col("split").n_unique())["split"] == 1).all()
    cohort = FrozenCohort.load(Workspace.open(workspace), "mini-age")
    for number in range(cohort.rotations()):
        roles = cohort.rotation(number, "age_years").group_by("patient_key").agg(pl.col("role").n_unique())
        assert (roles["role"] == 1).all()


def test_every_patient_is_tested_once(whole):
    workspace, _ = whole
    tested = predictions_of(workspace).filter((pl.col("split") == "test") & (pl.col("variant") == ""))
    counts = tested.group_by("experiment", "target", "unit_key", "seed", "class").len()
    assert (counts["len"] == 1).all()


def test_a_second_run_does_nothing_and_a_changed_option_only_its_own_part(whole, call, archive, study_file, tmp_path):
    workspace, _ = whole
    again = call("run", study_file, "--archive", archive, "--workspace", workspace, "--json")
    assert again.returncode == 0, again.stderr
    assert json.loads(again.stdout)["steps_done"] == 0
    study = yaml.safe_load(study_file.read_text())
    study["experiments"]["noise_logistic"]["model"] = "support_vectors"
    changed = tmp_path / "mini.yaml"
    changed.write_text(yaml.safe_dump(study))
    plan = call("run", changed, "--archive", archive, "--workspace", workspace, "--dry-run")
    would = [line.split()[-1] for line in plan.stdout.splitlines() if line.startswith("would do")]
    assert would == ["train/noise_logistic", "evaluate", "report"]


def test_a_copy_of_the_study_folder_has_nothing_to_do(whole, call, archive, study_file, tmp_path):
    workspace, _ = whole
    home, elsewhere = tmp_path / "Kopie der Größe 1", tmp_path / "elsewhere"
    home.mkdir()
    elsewhere.mkdir()
    study = yaml.safe_load(study_file.read_text())
    # Another way to say the same path: it lies beside the copy.
    study["cohorts"]["permuted"]["query"] = "permuted_age.sql"
    (home / "mini.yaml").write_text(yaml.safe_dump(study))
    shutil.copy(study_file.with_name("permuted_age.sql"), home)

    def planned():
        words = ("run", home / "mini.yaml", "--archive", archive, "--workspace", workspace, "--dry-run")
        plan = call(*words, cwd=elsewhere)
        assert plan.returncode == 0, plan.stderr
        return [line.split()[-1] for line in plan.stdout.splitlines() if line.startswith("would do")]

    assert planned() == []
    with (home / "permuted_age.sql").open("a") as file:
        file.write("-- edited\n")
    assert planned()[0] == "cohort/permuted"


def test_a_lost_page_is_laid_out_again(whole, call, archive, study_file):
    workspace, _ = whole
    page = workspace / "reports/mini.html"
    page.unlink()
    again = call("run", study_file, "--archive", archive, "--workspace", workspace, "--json")
    assert again.returncode == 0, again.stderr
    assert json.loads(again.stdout)["steps_done"] == 1
    assert page.is_file()


def wait_for(events, step, process):
    """Wait until a job has started the step; False where the run ended before."""
    while process.poll() is None:
        if events.is_file() and any(
            each["event"] == "started" and each["step"].startswith(step) for each in map(json.loads, complete(events))
        ):
            return True
        time.sleep(0.02)
    return False


def wait_for_orphans(workspace):
    """Jobs end by themselves soon after their run is gone."""
    began = time.monotonic()
    while any(str(workspace) in " ".join(each.info["cmdline"] or ()) for each in psutil.process_iter(["cmdline"])):
        assert time.monotonic() - began < 60, "jobs go on without their run"
        time.sleep(0.2)


def complete(events):
    text = events.read_text()
    return text[: text.rfind("\n") + 1].splitlines()


def test_broken_off_in_every_stage_it_goes_on_to_the_same_predictions(
    whole, start, call, archive, study_file, tmp_path
):
    uninterrupted, _ = whole
    workspace = tmp_path / "workspace"
    events = tmp_path / "workspace.private/snakemake/mini/events.jsonl"
    words = ("run", study_file, "--archive", archive, "--workspace", workspace)
    broken = []
    for step, how in (
        ("ingest", signal.SIGKILL),
        ("cohort", signal.SIGINT),
        ("features", signal.SIGKILL),
        ("train/age_network", signal.SIGKILL),
        ("train/", signal.SIGINT),
        ("evaluate", signal.SIGINT),
    ):
        events.unlink(missing_ok=True)
        process = start(*words)
        if wait_for(events, step, process):
            time.sleep(0.3)
            # A terminal interrupts all processes of a run; a supervisor or the kernel ends the run alone.
            (os.kill if step in ("features", "evaluate") else os.killpg)(process.pid, how)
            broken.append(step)
            wait_for_orphans(workspace)
        said, _ = process.communicate(timeout=120)
        assert "Traceback" not in said
        if step in broken and how == signal.SIGINT:
            assert process.returncode == 130, said
            assert "interrupted" in said
    assert {"ingest", "cohort", "features", "evaluate"} <= set(broken)
    said = call(*words)
    assert said.returncode == 0, said.stderr
    assert digest_of_frame(predictions_of(workspace)) == digest_of_frame(predictions_of(uninterrupted))
    assert not list(workspace.rglob("*.partial"))


def test_a_copied_workspace_stands_by_itself(whole, tmp_path):
    workspace, _ = whole
    copy = shutil.copytree(workspace, tmp_path / "copy")
    from xray_mining.catalog.query import select

    assert select(Workspace.open(copy), "reports/ingest_outcomes", archive="phantom").height
