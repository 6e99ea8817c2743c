"""The catalog's commands as people and scripts call them."""

import io
import json
import re

import polars as pl
import pytest
from typer.testing import CliRunner

from xray_mining.catalog import tables
from xray_mining.catalog.describe import data_dictionary
from xray_mining.cli import catalog as _commands  # noqa: F401  registers them
from xray_mining.cli.app import app
from xray_mining.errors import UserError
from xray_mining.records.tables import ALL
from xray_mining.workspace import asset


@pytest.fixture
def call(workspace):
    def run(*words: str):
        named = [] if words[0] == "dictionary" else ["--workspace", str(workspace.root)]
        return CliRunner().invoke(app, [words[0], *named, *words[1:]])

    return run


def test_the_dictionary_in_the_documentation_is_in_step():
    written = (asset("sql").parent / "docs" / "data_dictionary.md").read_text(encoding="utf-8")
    assert written == "\n".join(data_dictionary().lines()) + "\n", "write it anew: xray-mining dictionary"


def test_the_dictionary_names_every_column(call):
    text = call("dictionary").stdout
    for record in ALL:
        assert f"## {record.table}" in text
        for name in record.columns():
            assert f"| {name} |" in text


def test_the_dictionary_names_every_view_with_its_columns(call, population):
    views = json.loads(call("dictionary", "--json").stdout)["views"]
    assert {each["name"] for each in views} == {path.stem for path in (asset("sql") / "schema").glob("*.sql")}
    for each in views:
        listed = json.loads(call("sql", f"describe {each['name']}", "--json").stdout)
        columns = [row["column"] for row in listed]
        if each["columns"].startswith("all of "):
            behind = json.loads(call("sql", f"describe {each['columns'].removeprefix('all of ')}", "--json").stdout)
            assert columns == [row["column"] for row in behind]
        else:
            assert columns == each["columns"].split(", ")
        assert f"| {each['name']} | {each['question']} |" in call("dictionary").stdout


def test_every_code_of_a_check_is_in_the_documentation():
    """A page, the command line and answer.json name codes: a reader must find what each asks."""
    root = asset("sql").parent
    files = [*root.glob("xray_mining/**/*.py"), *root.glob("sql/**/*.sql")]
    codes = {
        code for path in files for code in re.findall(r"\b[A-Z]{3,5}00[0-9]\b|\bEVAL0[0-9]{2}\b", path.read_text())
    }
    documents = "\n".join(path.read_text(encoding="utf-8") for path in root.glob("docs/*.md"))
    # LEAK001 to LEAK005 and the like: both ends are named.
    assert len(codes) > 40
    assert sorted(code for code in codes if code not in documents) == []


def test_queries_come_out_in_every_format(call, population, tmp_path):
    query = "select image_key, age_years, quality_flags from images order by image_key limit 3"
    assert "age_years" in call("sql", query).stdout
    assert pl.read_csv(io.StringIO(call("sql", query, "--format", "csv").stdout)).height == 3
    assert len(json.loads(call("sql", query, "--format", "json").stdout)) == 3
    assert len(json.loads(call("sql", query, "--json").stdout)) == 3
    out = tmp_path / "rows.parquet"
    call("sql", query, "--format", "parquet", "--out", str(out))
    assert pl.read_parquet(out).height == 3
    assert isinstance(call("sql", query, "--format", "csw").exception, UserError)


def test_the_name_of_the_file_says_the_format(call, population, tmp_path):
    query = "select image_key, age_years from images order by image_key limit 3"
    for name, read in (("a.csv", pl.read_csv), ("b.parquet", pl.read_parquet), ("c.JSON", pl.read_json)):
        said = call("sql", query, "--out", str(tmp_path / name)).stdout
        assert read(tmp_path / name).shape == (3, 2)
        assert said == f"{tmp_path / name}: 3 rows, {name[2:].lower()}\n"
    call("sql", query, "--out", str(tmp_path / "rows.txt"))
    assert (tmp_path / "rows.txt").read_text(encoding="utf-8").startswith("┌")
    refused = call("sql", query, "--out", str(tmp_path / "d.csv"), "--format", "parquet").exception
    assert str(refused).endswith("d.csv: its extension means csv, but --format is parquet; change one of the two")
    assert not (tmp_path / "d.csv").exists()


@pytest.mark.parametrize("width", [60, 120, 200])
def test_a_table_is_as_wide_as_the_terminal_and_cuts_no_sentence(width):
    sentence = "what it means, in more words than fit, " * 9
    text = tables._for_people(pl.DataFrame({"column": ["a", "b"], "meaning": ["short", sentence]}), width)
    assert max(map(len, text.splitlines())) <= width
    assert sum(text.count(word) for word in ("means,", "than")) == 18
    lines = tables._for_people(pl.DataFrame({"meaning": [sentence]}), None).splitlines()
    assert sentence in lines[-2]


def test_a_row_of_too_many_columns_is_written_below_itself():
    rows = pl.DataFrame({f"column_{each}": range(20) for each in range(44)})
    text = tables._for_people(rows, 120)
    assert text.splitlines()[:2] == ["column_0   0", "column_1   0"]
    assert text.count("column_43") == 5
    assert text.endswith("5 of 20 rows are shown; --format csv gives all\n")
    assert tables._for_people(rows, None).startswith("┌")


def test_parameters_are_bound(call, population):
    found = call("sql", "select count(*) as n from images where age_years >= $youngest", "-p", "youngest=50", "--json")
    assert json.loads(found.stdout) == [{"n": population.filter(pl.col("age_years") >= 50).height}]
    assert isinstance(call("sql", "select 1", "-p", "youngest").exception, UserError)


def test_a_cohort_is_listed_described_and_frozen(call, population):
    listed = call("cohort", "--list").stdout
    assert "age_balanced" in listed and "g2_vs_g3" in listed
    described = call("cohort", "age_balanced", "--describe").stdout
    assert "$per_cell integer = 100" in described and "latest image of a patient" in described
    frozen = call("cohort", "frontal_adults", "--as", "adults", "--param", "youngest=30")
    assert frozen.exit_code == 0 and "members" in frozen.stdout
    summary = json.loads(call("cohort", "frontal_adults", "--as", "adults", "--param", "youngest=30", "--json").stdout)
    assert summary["images"] == sum(summary["splits"].values()) == summary["flow"][-1]["images"]
    assert "LEAK001 passed" in call("check", "adults").stdout
    assert json.loads(call("merge", "--json").stdout)["images"] == population.height


def test_no_command_prints_a_path_of_the_workspace(call, workspace, population):
    for words in (("merge",), ("cohort", "frontal_adults"), ("check", "frontal_adults"), ("check",)):
        assert str(workspace.root) not in call(*words).stdout
    ledger = call("sql", "select * from ledger", "--format", "csv").stdout
    assert "cohort" in ledger and str(workspace.root) not in ledger
