"""The page of a target with 14 or 40 labels, and of one with levels in order."""

import json
import re
import shutil
from pathlib import Path

import polars as pl
import pytest

from xray_mining.records.estimates import Estimates
from xray_mining.records.evaluation_tables import Confusion
from xray_mining.reporting.page import build, render
from xray_mining.reporting.results import Results
from xray_mining.reporting.section import Part, Section
from xray_mining.reporting.sections import labels, levels


def changed(example: Path, folder: Path, target: str, **more: object) -> Path:
    """A copy of the example whose task of `target` has other notes."""
    shutil.copytree(example, folder)
    study = json.loads((folder / "study.json").read_text(encoding="utf-8"))
    task = next(each for each in study["tasks"] if each["target"] == target)
    task |= more
    (folder / "study.json").write_text(json.dumps(study), encoding="utf-8")
    return folder


def with_labels(example: Path, folder: Path, count: int) -> Path:
    """The binary target of the example as `count` labels: its area, shifted a little from label to label."""
    names = [f"finding {number + 1}" for number in range(count)]
    names[0] = "a label with <b>a</b> name that is far too long for the margin of a figure"
    changed(example, folder, "group", kind="labels", metric="auc_macro", positive="", classes=names)
    frame = Estimates.read([folder / "estimates.parquet"])
    own = frame.filter((pl.col("target") == "group") & (pl.col("subgroup") == "all") & (pl.col("class") == ""))
    parts = [frame.filter(pl.col("target") != "group")]
    areas = own.filter(pl.col("metric") == "auc")
    parts.append(areas.with_columns(pl.lit("auc_macro").alias("metric")))
    for number, name in enumerate(names):
        down = 0.4 * ((7 * number) % count) / count
        lower = [(pl.col(each) - down).clip(0, 1) for each in ("value", "low", "high")]
        plain = own.filter(pl.col("baseline") == "").with_columns(pl.lit(name).alias("class"))
        parts.append(
            plain.with_columns(pl.when(pl.col("metric") == "auc").then(each).otherwise(each + down) for each in lower)
        )
        parts.append(own.filter(pl.col("baseline") != "").with_columns(pl.lit(name).alias("class")))
    Estimates.write(Estimates.typed(pl.concat(parts)), folder / "estimates.parquet")
    return folder


def section_of(folder: Path, anchor: str) -> Section:
    results = Results.load(folder)
    built = build(results)
    assert render(results, built)
    return next(each for each in built if each.anchor == anchor)


@pytest.mark.parametrize(("count", "figures"), [(14, 1), (40, 2)])
def test_each_label_has_a_row_in_figures_and_tables_sorted_by_its_area(example, tmp_path, count, figures):
    section = section_of(with_labels(example, tmp_path / "labels", count), "labels")
    assert len(section.figures) == figures
    best, models = section.tables
    assert len(best.rows) == len(models.rows) == count
    assert best.first == labels.FIRST_ROWS, "further labels are folded until the reader opens the table"
    areas = [float(row.cells[2].value or 0) for row in best.rows]
    assert areas == sorted(areas, reverse=True)
    assert [row.cells[0].text for row in best.rows] == [row.cells[0].text for row in models.rows]
    boxes = [re.findall(r'viewBox="([^"]+)"', figure.svg)[0] for figure in section.figures]
    assert len({box.split()[3] for box in boxes}) == 1, "figures side by side have one height, and so one scale"


def test_no_roc_curve_is_drawn_for_every_label(example, tmp_path):
    results = Results.load(with_labels(example, tmp_path / "labels", 40))
    anchors = {section.anchor for section in build(results)}
    assert not anchors & {"roc", "calibration", "operating-points"}


def test_without_an_area_the_section_says_so(example, tmp_path):
    folder = with_labels(example, tmp_path / "labels", 3)
    frame = Estimates.read([folder / "estimates.parquet"])
    Estimates.write(frame.filter(pl.col("class") == ""), folder / "estimates.parquet")
    (part,) = labels.build(Results.load(folder)).blocks
    assert isinstance(part, Part) and "No label is present in some" in part.sentence


def test_levels_have_a_confusion_and_their_agreement(example, tmp_path):
    folder = changed(example, tmp_path / "levels", "age_years", kind="ordinal", classes=["none", "mild", "severe"])
    best = next(task.best for task in Results.load(folder).tasks if task.target == "age_years")
    cells = [(truth, called) for truth in ("none", "mild", "severe") for called in ("none", "mild", "severe")]
    rows = [
        {
            "experiment": best,
            "target": "age_years",
            "operating_point": "nearest level",
            "truth": truth,
            "predicted": called,
            "images": 20 if truth == called else 12,
            "patients": 20 if truth == called else 12,
        }
        for truth, called in cells
    ]
    kept = Confusion.read([folder / "confusion.parquet"])
    Confusion.write(pl.concat([kept, Confusion.from_rows(rows)]), folder / "confusion.parquet")
    confusion, agreement = section_of(folder, "levels").tables
    assert [row.cells[0].text for row in confusion.rows] == ["truly none", "truly mild", "truly severe"]
    assert confusion.rows[1].cells[2].mark == "right" and confusion.rows[1].cells[2].text == "20"
    assert "MAE" in " ".join(column.title for column in agreement.columns)
    assert "second reader" not in str(section_of(folder, "levels").blocks)
    assert levels.applies(Results.load(folder)) and not levels.applies(Results.load(example))


def with_reader(example, path):
    """The folder of a study of levels with a second reader, its task, and the reader's name."""
    folder = changed(example, path, "age_years", kind="ordinal", classes=["none", "mild", "severe"])
    task = next(task for task in Results.load(folder).tasks if task.target == "age_years")
    other = next(note.experiment for note in Results.load(folder).members(task) if note.experiment != task.best)
    study = json.loads((folder / "study.json").read_text(encoding="utf-8"))
    next(each for each in study["experiments"] if each["experiment"] == other)["model_kind"] = "reader"
    (folder / "study.json").write_text(json.dumps(study), encoding="utf-8")
    frame = Estimates.read([folder / "estimates.parquet"])
    mae = frame.filter(
        (pl.col("target") == "age_years")
        & (pl.col("metric") == "mae")
        & (pl.col("subgroup") == "all")
        & (pl.col("baseline") == "")
        & (pl.col("level") == "image")
    )
    kappas = pl.concat(
        mae.filter(experiment=name)
        .head(1)
        .with_columns(
            pl.lit("kappa_quadratic").alias("metric"), pl.lit(value).alias("value"), low=value - 0.05, high=value + 0.05
        )
        for name, value in ((other, 0.864), (task.best, 0.3))
    )
    Estimates.write(Estimates.typed(pl.concat([frame, kappas])), folder / "estimates.parquet")
    return folder, task, other


def test_a_second_reader_is_the_mark_that_the_best_model_is_held_against(example, tmp_path):
    folder, *_ = with_reader(example, tmp_path / "levels")
    text = str(section_of(folder, "levels").blocks)
    assert re.search(
        r"\(a second reader\) agrees .* kappa of 0\.864 \(0\.814 to 0\.914; [\d,]+ images of [\d,]+ patients\)", text
    )
    assert re.search(r"the best model, .*, with 0\.300 \(0\.250 to 0\.350; ", text)
    assert "images that both read" not in text, "no difference is invented where none was computed"


@pytest.mark.parametrize(
    ("p", "verdict"),
    [
        (0.01, "the model agrees less than the reader"),
        (0.4, "whether the model or the reader agrees better is not shown"),
    ],
)
def test_the_difference_from_a_second_reader_is_printed_with_its_p(example, tmp_path, p, verdict):
    folder, task, reader = with_reader(example, tmp_path / "levels")
    frame = Estimates.read([folder / "estimates.parquet"])
    best = frame.filter(experiment=task.best, metric="kappa_quadratic", baseline="", target="age_years")
    pair = best.with_columns(
        baseline=pl.lit(reader), value=-0.564, low=-0.7, high=-0.4, images=pl.lit(57, pl.Int64), p_adjusted=p
    )
    Estimates.write(Estimates.typed(pl.concat([frame, Estimates.typed(pair)])), folder / "estimates.parquet")
    section = section_of(folder, "levels")
    text = str(section.blocks)
    assert re.search(r"On the 57 images that both read .* is −0\.564 \(−0\.700 to −0\.400; adjusted p 0\.", text)
    assert verdict in text
    agreement = section.tables[-1]
    words = Results.load(folder).experiments[reader].words
    assert [column.title for column in agreement.columns[-2:]] == [f"Kappa minus {words}", "p"]
    cells = [row.cells[-2].text for row in agreement.rows]
    assert sorted(set(cells)) == ["–", "−0.564"]
