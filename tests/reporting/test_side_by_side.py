"""Several studies on one page, and where their cohorts differ."""

import json
import shutil
from pathlib import Path

import pytest

from xray_mining.errors import UserError
from xray_mining.reporting.page import write
from xray_mining.reporting.results import Results
from xray_mining.reporting.side_by_side import head_and_sections


@pytest.fixture
def other(example: Path, tmp_path: Path) -> Path:
    """The same study under another name, with other parameters of its age cohort."""
    folder = Path(shutil.copytree(example, tmp_path / "other"))
    study = json.loads((folder / "study.json").read_text())
    study["study"] = "other"
    (folder / "study.json").write_text(json.dumps(study))
    flow = json.loads((folder / "flow.json").read_text())
    for cohort, target in zip(flow["cohorts"], ("age_years", "group"), strict=True):
        cohort["targets"] = [{"name": target}]
    flow["cohorts"][0] |= {"digest": "e" * 32, "parameters": {"per_cell": 5}}
    (folder / "flow.json").write_text(json.dumps(flow))
    return folder


def test_models_of_both_stand_in_one_table(example: Path, other: Path, tmp_path: Path) -> None:
    summary = write([example, other], tmp_path / "both.html")
    text = (tmp_path / "both.html").read_text(encoding="utf-8")
    assert "example: age convnext" in text
    assert "other: age convnext" in text
    assert "<script>alert" not in text
    assert summary.study == "example other"
    head = (tmp_path / "both" / "tables" / "models-age-years-number.csv").read_text().splitlines()
    assert len(head) == 1 + 2 * 7


def test_it_says_where_cohorts_differ(example: Path, other: Path) -> None:
    _, failed, sections = head_and_sections([Results.load(example), Results.load(other)])
    cohorts = next(section for section in sections if section.anchor == "cohorts")
    said = cohorts.blocks[0].points
    assert "example: example-age".replace("example-age", "age") in said[1]
    assert "differ in its parameters." in said[1]
    assert any("the same patients, folds and targets" in sentence for sentence in said)
    assert {row["title"].partition(":")[0] for row in failed} == {"example", "other"}


def test_a_study_named_twice_is_refused(example: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="named twice"):
        write([example, example], tmp_path / "both.html")
