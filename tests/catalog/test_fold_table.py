"""How a cohort's patients spread over its folds, and its flow as a drawing."""

import json
import re

import pytest
from typer.testing import CliRunner

from xray_mining.catalog.cohort import freeze
from xray_mining.catalog.fold_table import fold_table
from xray_mining.cli import catalog as _commands  # noqa: F401  registers them
from xray_mining.cli.app import app
from xray_mining.errors import UserError


@pytest.fixture
def call(workspace):
    return lambda *words: CliRunner().invoke(app, ["cohort", "--workspace", str(workspace.root), *words])


def test_the_levels_add_up_to_the_patients_of_each_fold(workspace, population):
    cohort = freeze(workspace, "frontal_adults", "adults")
    table = fold_table(workspace, cohort, least_patients=1)
    rows = dict(table.rows)
    assert table.columns == tuple(f"fold {fold}" for fold in range(5))
    members = cohort.members()
    whole = members.group_by("fold").agg(patients=members["patient_key"].n_unique()).height
    assert whole == 5
    assert sum(rows["patients"]) == members["patient_key"].n_unique()
    for fold in range(5):
        for variable in ("sex", "site"):
            of_variable = [counts[fold] for words, counts in table.rows if words.startswith(f"{variable} ")]
            assert sum(of_variable) == rows["patients"][fold], variable


def test_few_patients_are_not_told_of(workspace, population):
    cohort = freeze(workspace, "frontal_adults", "adults")
    told = fold_table(workspace, cohort)
    whole = dict(fold_table(workspace, cohort, least_patients=1).rows)
    for words, counts in told.rows:
        for count, true in zip(counts, whole[words], strict=True):
            assert count == true if count is not None and count > 0 else true < 10 or count is None
            assert count is None or count == 0 or count >= 10
    assert told.sentences[-1].startswith("hidden: fewer than 10")
    # One word for a small count and for one that protects it; nothing in the table tells them apart.
    assert any(" hidden" in line for line in told.lines())
    assert not any(re.search(r"\bfew\b", line) for line in told.lines())


def test_a_given_split_is_described_in_the_place_of_folds(workspace, population, tmp_path):
    path = tmp_path / "halves.sql"
    path.write_text(
        "-- question: halves\n-- one row: an image\n-- example: none\nwith\n-- step: all\nhalves as (select image_key, "
        "case when md5_number_lower(patient_key::varchar) % 2 = 0 then 'train' else 'test' end as split from frontal)\n"
        "select image_key, split from halves\n"
    )
    table = fold_table(workspace, freeze(workspace, str(path), "halves"), least_patients=1)
    assert table.columns in {("train", "validation", "test"), ("train", "test")}


def test_the_command_says_it_and_draws_the_flow(call, population, tmp_path):
    target = tmp_path / "flow.svg"
    found = call("frontal_adults", "--diagram", str(target), "--json")
    assert found.exit_code == 0, found.output
    told = json.loads(found.stdout)
    assert told["by_fold"]["columns"][0] == "fold 0"
    assert told["diagram"] == str(target)
    svg = target.read_text(encoding="utf-8")
    assert "var(" not in svg and "<script" not in svg
    for step in told["flow"]:
        assert f"{step['images']:,} images, {step['patients']:,} patients" in svg
    assert re.search(r">Test<.*>\d+ images<", svg, re.DOTALL)
    assert "flow diagram:" in call("frontal_adults", "--diagram", str(target)).stdout


def test_a_diagram_of_another_kind_is_refused_before_anything_is_frozen(call, population, workspace, tmp_path):
    found = call("frontal_adults", "--diagram", str(tmp_path / "flow.png"))
    assert isinstance(found.exception, UserError) and "svg" in str(found.exception)
    assert not (workspace.root / "cohorts").exists()
