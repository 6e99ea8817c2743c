"""Limits of agreement promise nothing to one patient: the share between them is printed."""

import shutil

import polars as pl

from xray_mining.reporting.results import Results
from xray_mining.reporting.section import Text
from xray_mining.reporting.sections import agreement


def told(section):
    return [block.text for block in section.everything() if isinstance(block, Text)] + [
        block.sentence for block in section.blocks if hasattr(block, "sentence")
    ]


def test_the_share_between_the_limits_is_printed_and_extremes_are_pointed_to(example, tmp_path):
    results = Results.load(example)
    section = agreement.build(results)
    assert "one patient" not in section.sentence and "If errors had a normal" in section.sentence
    table = section.tables[0]
    place = [column.title for column in table.columns].index("Between limits")
    (best,) = (row for row in table.rows if row.cells[0].mark == "best")
    points = results.scatter.filter(pl.col("experiment") == "age_convnext")
    error = points["value"] - points["truth"]
    near = (error - error.mean()).abs() <= 1.96 * error.std()
    assert best.cells[place].text == f"{100 * near.mean():.1f} %"
    assert any("slope 0.8" in each and "see Error by age" in each for each in told(section))
    copy = tmp_path / "example"
    shutil.copytree(example, copy)
    steep = pl.col("metric") == "slope_on_truth"
    pl.read_parquet(copy / "estimates.parquet").with_columns(
        pl.when(steep).then(1.0).otherwise("value").alias("value")
    ).write_parquet(copy / "estimates.parquet")
    assert not any("predicts low values too high" in each for each in told(agreement.build(Results.load(copy))))
