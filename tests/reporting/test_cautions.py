"""What an interval does not cover is said of the cell that it concerns, and nothing else is."""

import polars as pl

from xray_mining.reporting.layout import Cautions
from xray_mining.statistics.measured import MEASURED


def row(metric, value=0.9, low=0.8, high=0.95, caution=""):
    return {"metric": metric, "value": value, "low": low, "high": high, "caution": caution}


def test_each_reason_has_a_number_and_only_shown_cells_speak():
    rows = pl.DataFrame(
        [
            row("auc", caution="few patients in a class; the area is near its end"),
            row("sensitivity"),
            row("positive_predictive_value", caution="not defined for these predictions"),
        ]
    )
    told = Cautions()
    assert told.metric(rows, "auc").text == "0.900 ¹ ²"
    assert told.metric(rows, "sensitivity").text == "90.0 %"
    assert told.cell(row("auc", caution="the area is near its end")).text == "0.900 ²"
    few, near = MEASURED["few patients in a class"], MEASURED["the area is near its end"]
    assert told.note == f"¹ Few patients in a class: {few.words}. ² The area is near its end: {near.words}."


def test_an_estimate_without_an_interval_says_so():
    told = Cautions()
    cell = told.cell(row("auc", 1.0, None, None, "no interval, because a fold has only one patient of a class"))
    assert (cell.text, cell.detail) == ("1.000 ¹", "–")
    assert told.note.startswith("¹ No interval")


def test_a_subgroup_without_an_interval_is_not_drawn(example, tmp_path):
    import shutil

    from xray_mining.reporting.results import Results
    from xray_mining.reporting.sections import subgroups

    copy = tmp_path / "example"
    shutil.copytree(example, copy)
    bare = (pl.col("subgroup") == "age_band=20 to 29") & (pl.col("metric") == "mae")
    estimates = pl.read_parquet(copy / "estimates.parquet").with_columns(
        pl.when(~bare).then(pl.col(end)).alias(end) for end in ("low", "high")
    )
    estimates.write_parquet(copy / "estimates.parquet")
    section = subgroups.build(Results.load(copy))
    figure = section.figures[0]
    assert "age 20 to 29" not in figure.alternative and "age 30 to 39" in figure.alternative
    assert "Not drawn: 1 without an interval" in figure.caption
    (cells,) = (line.cells for line in section.tables[0].rows if line.cells[0].text == "age 20 to 29")
    assert cells[2].detail == "–"


def test_differences_say_their_cautions_with_what_was_measured(example, tmp_path):
    import shutil

    from xray_mining.reporting.results import Results
    from xray_mining.reporting.sections import comparison

    copy = tmp_path / "example"
    shutil.copytree(example, copy)
    estimates = pl.read_parquet(copy / "estimates.parquet").with_columns(
        pl.when((pl.col("baseline") != "") & (pl.col("metric") == "mae"))
        .then(pl.lit("a few patients have most of the images"))
        .otherwise(pl.col("caution"))
        .alias("caution")
    )
    estimates.write_parquet(copy / "estimates.parquet")
    section = comparison.build(Results.load(copy))
    table = next(each for each in section.tables if each.name.startswith("differences-") and "MAE" in each.caption)
    counted = MEASURED["a few patients have most of the images"].words
    assert f"¹ A few patients have most of the images: {counted}." in table.note
    marked = [cell.text for line in table.rows for cell in line.cells[1::2] if cell.text != "–"]
    assert marked and all(text.endswith(" ¹") for text in marked)
