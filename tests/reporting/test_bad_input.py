"""What is missing is said in one sentence where it is missed; the rest of the page stands."""

import json
import shutil
from pathlib import Path

import polars as pl
import pytest

from xray_mining.errors import UserError
from xray_mining.reporting import figures
from xray_mining.reporting.command import report
from xray_mining.reporting.metrics import interval, metric_of, number, p_value
from xray_mining.reporting.page import build, render, section_modules, write
from xray_mining.reporting.results import Results
from xray_mining.reporting.section import Cell, Column, Figure, Row, Table


@pytest.fixture
def copy(example: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(example, tmp_path / "copied"))


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawings stay blank: what is asked here is which of them there are."""
    blank = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1 1"></svg>'
    monkeypatch.setattr(figures, "finished", lambda figure, name, *words: Figure(name, blank, *words))


def test_without_any_table_each_section_says_why(copy: Path) -> None:
    for path in copy.glob("*.parquet"):
        path.unlink()
    (copy / "flow.json").unlink()
    (copy / "provenance.json").unlink()
    results = Results.load(copy)
    sections = build(results)
    assert len(sections) == sum(module.applies(results) for module in section_modules())
    for section in sections:
        assert section.sentence
        for table in section.tables:
            assert table.rows
    text = render(results, sections)
    assert "No check was run for this study." in text
    assert text.rstrip().endswith("</html>")


@pytest.mark.parametrize("name", ["estimates", "scatter", "roc", "pictures", "table_one", "check_results", "ledger"])
def test_one_empty_table_leaves_the_rest_standing(copy: Path, name: str, undrawn: None) -> None:
    results = Results.load(copy)
    whole = {module.build(results).anchor for module in section_modules() if module.applies(results)}
    frame = pl.read_parquet(copy / f"{name}.parquet")
    frame.clear().write_parquet(copy / f"{name}.parquet")
    results = Results.load(copy)
    sections = build(results)
    assert {section.anchor for section in sections} == whole
    assert render(results, sections)


def test_two_patients_one_class_and_no_intervals(copy: Path) -> None:
    estimates = pl.read_parquet(copy / "estimates.parquet").with_columns(
        low=pl.lit(None, pl.Float64), high=pl.lit(None, pl.Float64), caution=pl.lit("two patients")
    )
    estimates.write_parquet(copy / "estimates.parquet")
    points = pl.read_parquet(copy / "scatter.parquet").group_by("experiment", maintain_order=True).head(2)
    points.with_columns(truth=pl.lit(50.0)).write_parquet(copy / "scatter.parquet")
    pl.read_parquet(copy / "roc.parquet").clear().write_parquet(copy / "roc.parquet")
    text = render(Results.load(copy), build(Results.load(copy)))
    assert "¹ Two patients." in text
    assert "There is no curve" in text


def test_a_folder_without_evaluation_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="has no evaluation yet"):
        write(tmp_path, tmp_path / "page.html")


@pytest.mark.parametrize("text", ["not json", "[]", "{}", '{"study": "x", "question": "?", "tasks": 3}'])
def test_a_broken_study_file_is_one_sentence(copy: Path, text: str) -> None:
    (copy / "study.json").write_text(text)
    with pytest.raises(UserError, match=r"study\.json"):
        Results.load(copy)


def test_a_broken_part_is_named(copy: Path) -> None:
    (copy / "roc.parquet").write_bytes(b"nonsense")
    with pytest.raises(UserError, match=r"roc\.parquet"):
        Results.load(copy)


def test_keys_of_a_later_version_are_left_alone(copy: Path) -> None:
    study = json.loads((copy / "study.json").read_text())
    study["tasks"][0]["invented"] = 1
    study["experiments"][0]["invented"] = {}
    (copy / "study.json").write_text(json.dumps(study))
    assert Results.load(copy).tasks[0].target == "age_years"


def test_report_names_the_studies_it_knows(tmp_path: Path) -> None:
    from xray_mining.workspace import Workspace

    Workspace.create(tmp_path / "workspace")
    with pytest.raises(UserError, match="has no evaluation; run `xray-mining evaluate dmeo`"):
        report(["dmeo"], None, tmp_path / "workspace")


def test_numbers_are_written_as_people_read_them() -> None:
    assert number(-1234.5, 1) == "−1,234.5"
    assert number(None) == number(float("nan")) == "–"
    assert number(-0.0004, 2, sign=True) == "0.00"
    assert number(0.876, 1, percent=True) == "87.6 %"
    cell = interval(5.123, 4.9, 5.4, metric_of("mae"))
    assert (cell.text, cell.detail) == ("5.12", "4.90 to 5.40")
    assert p_value(0.00001).text == "< 0.001"
    assert metric_of("unheard_of").title == "Unheard of"


def test_csv_keeps_digits_and_disarms_formulas() -> None:
    rows = (Row((Cell("=cmd()"), Cell("5.1", value=5.123, low=4.0, high=6.0))), Row((Cell("-x"), Cell("–"))))
    table = Table("x", "x", (Column("Maker"), Column("MAE", numeric=True)), rows)
    assert table.csv().splitlines() == ["Maker,MAE,MAE low,MAE high", "'=cmd(),5.123,4.0,6.0", "'-x,–,,"]


def test_a_row_too_short_is_a_bug() -> None:
    with pytest.raises(ValueError, match="1 cells under 2 columns"):
        Table("x", "x", (Column("a"), Column("b")), (Row((Cell("1"),)),))
