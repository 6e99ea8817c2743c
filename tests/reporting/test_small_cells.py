"""Hidden counts read 'hidden' on every page, whatever hides them; how many images no point stands for is said."""

import dataclasses
import json
import shutil

import polars as pl

from xray_mining.reporting.results import Results
from xray_mining.reporting.section import HIDDEN
from xray_mining.reporting.sections import agreement, error_by_age, operating_points, predicted_against_true, table_one


def test_hidden_cells_of_confusion_and_undrawn_points(example, tmp_path):
    copy = tmp_path / "example"
    shutil.copytree(example, copy)
    confusion = pl.read_parquet(copy / "confusion.parquet")
    hidden = (pl.col("truth") == "G3") & (pl.col("predicted") == "G2")
    confusion.with_columns(
        hidden.alias("hidden"),
        *(pl.when(hidden).then(0).otherwise(name).alias(name) for name in ("images", "patients")),
    ).write_parquet(copy / "confusion.parquet")
    study = json.loads((copy / "study.json").read_text())
    for task in study["tasks"]:
        task["undrawn"] = 4
    (copy / "study.json").write_text(json.dumps(study))
    results = Results.load(copy)
    table = next(each for each in operating_points.build(results).tables if each.name.startswith("confusion-"))
    rows = {row.cells[0].text: row.cells[1:] for row in table.rows}
    hidden, right = rows["truly G3"]
    assert (hidden.text, hidden.detail, hidden.value) == ("hidden", "not printed", None)
    # A share beside it would tell how many are hidden.
    assert right.detail == "" and "%" in rows["truly G2"][0].detail
    assert table.note.startswith("hidden: fewer than 10 patients, or a count from which such a number")
    for section in (predicted_against_true, agreement):
        for figure in section.build(results).figures:
            assert "Not drawn: fewer than 10 test images of an age band and sex" in figure.caption


def test_a_band_whose_count_would_tell_of_another_keeps_its_error(example):
    results = Results.load(example)
    band = pl.col("age_low") == 30
    told = results.error_by_age.with_columns(band.alias("hidden"))
    (table,) = error_by_age.build(dataclasses.replace(results, error_by_age=told)).tables
    rows = {row.cells[0].text: row.cells for row in table.rows}
    assert (rows["30 to 40"][1].text, rows["30 to 40"][1].value) == ("hidden", None)
    assert table.note.startswith("hidden: fewer than 10")
    assert rows["30 to 40"][2].value > 0 and rows["40 to 50"][1].value > 0


def test_the_word_does_not_tell_a_small_count_from_one_that_protects_it(example):
    """Of two hidden counts that add up to 11 'fewer than 10' and '10 or more' could only be 1 and 10."""
    results = Results.load(example)
    of_sex = (pl.col("variable") == "patient_sex") & (pl.col("column") == "all")
    rows = results.table_one.with_columns(pl.when(of_sex).then(True).otherwise("hidden").alias("hidden"))
    tables = table_one.build(dataclasses.replace(results, table_one=rows)).tables
    for table in tables:
        sexes = [row.cells for row in table.rows if row.cells[0].text.startswith("Sex")]
        assert len(sexes) == 2
        assert {cells[1] for cells in sexes} == {HIDDEN}
        assert "The page does not say which" in table.note
        assert not any(cell.text == "few" for row in table.rows for cell in row.cells)
