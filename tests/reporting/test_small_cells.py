"""The page prints a hidden cell of a confusion matrix as few, and says how many images no point stands for."""

import dataclasses
import json
import shutil

import polars as pl

from xray_mining.reporting.results import Results
from xray_mining.reporting.sections import agreement, error_by_age, operating_points, predicted_against_true


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
    few, right = rows["truly G3"]
    assert (few.text, few.detail, few.value) == ("few", "not printed", None)
    # A share beside it would tell how many are hidden.
    assert right.detail == "" and "%" in rows["truly G2"][0].detail
    assert "fewer than 10 patients" in table.note
    for section in (predicted_against_true, agreement):
        for figure in section.build(results).figures:
            assert "Not drawn: 4 test images of an age band and sex" in figure.caption


def test_a_band_whose_count_would_tell_of_another_keeps_its_error(example):
    results = Results.load(example)
    band = pl.col("age_low") == 30
    told = results.error_by_age.with_columns(band.alias("hidden"))
    (table,) = error_by_age.build(dataclasses.replace(results, error_by_age=told)).tables
    rows = {row.cells[0].text: row.cells for row in table.rows}
    assert (rows["30 to 40"][1].text, rows["30 to 40"][1].value) == ("–", None)
    assert rows["30 to 40"][2].value > 0 and rows["40 to 50"][1].value > 0
