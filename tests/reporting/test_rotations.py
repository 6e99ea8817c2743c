"""A study of several rotations: the page says that everybody is tested once, nowhere how large rotation 0 was."""

import json
import shutil

import pytest

from xray_mining.reporting import documents
from xray_mining.reporting.page import build
from xray_mining.reporting.results import Results


@pytest.fixture
def rotated(example, tmp_path):
    copy = tmp_path / "example"
    shutil.copytree(example, copy)
    told = json.loads((copy / "flow.json").read_text())
    for cohort in told["cohorts"]:
        cohort |= {"roles": [], "rotations": 5, "tested": {"images": 1300, "patients": 1200}}
    (copy / "flow.json").write_text(json.dumps(told))
    return Results.load(copy)


def test_flow_checklist_and_methods_say_that_each_is_tested_once(rotated):
    sections = {section.anchor: section for section in build(rotated)}
    figure = next(each for each in sections["flow"].figures if each.name.startswith("flow-"))
    assert "5 rotations: each patient is tested once: 1,300 images, 1,200 patients" in figure.alternative
    assert "train" not in figure.alternative
    rows = {row.cells[0].text: row.cells[3].text for row in sections["checklist"].tables[0].rows}
    assert "age: 5 rotations, in which each of 1,200 patients is tested once" in rows["32"]
    assert "each of 1,200 patients is tested once" in documents.methods(rotated)


def test_the_page_says_how_intervals_allow_for_rotations_that_share_patients(rotated, example, tmp_path):
    import dataclasses

    from xray_mining.reporting.sections import comparison

    tasks = tuple(dataclasses.replace(task, rotations=5) for task in rotated.tasks)
    several = dataclasses.replace(rotated, tasks=tasks)
    assert any(comparison.SHARED in str(block) for block in comparison.build(several).blocks)
    (checklist,) = (section for section in build(several) if section.anchor == "checklist")
    assert any("widened because rotations share" in cell.text for row in checklist.tables[0].rows for cell in row.cells)
    assert not any(comparison.SHARED in str(block) for block in comparison.build(Results.load(example)).blocks)
