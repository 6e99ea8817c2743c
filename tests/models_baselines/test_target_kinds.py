"""A new kind of target is one file a layer: from the cohort's header line to the page, by the commands that users give.

The files are those of docs/add_a_kind.md.
"""

import csv
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import yaml

from xray_mining.records.cohort import FrozenCohort
from xray_mining.records.estimates import Estimates
from xray_mining.records.predictions import Predictions

PAGE = (Path(__file__).parents[2] / "docs/add_a_kind.md").read_text(encoding="utf-8")
FILES = (
    "xray_mining/catalog/targets/ratio.py",
    "xray_mining/models/targets/ratio.py",
    "xray_mining/evaluation/targets/ratio.py",
    "xray_mining/reporting/targets/ratio.py",
)

# Each package learns of one more folder with kinds, as if the file were in it; then the command line does its work.
WITH_NEW_KIND = """
import sys
from importlib import import_module
from pathlib import Path

from xray_mining.cli.main import main

folder, query, study, name, workspace, picture = sys.argv[1:]
for each in Path(folder).iterdir():
    import_module(f"xray_mining.{each.name}.targets").__path__.append(str(each))
for words in (
    ["cohort", query, "--as", f"{name}-c"],
    ["features", f"{name}-c", "--study", study],
    ["train", study],
    ["evaluate", study],
    ["report", name],
    ["predict", f"{name}/both", picture, "--format", "csv"],
    ["cohort", query, "--describe"],
):
    sys.argv = ["xray-mining", *words, *([] if "--describe" in words else ["--workspace", workspace])]
    try:
        main()
    except SystemExit as end:
        if end.code:
            raise
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a folder a layer, each with the example's file of this layer."""
    for path in FILES:
        text = PAGE.partition(f"```python\n# {path}\n")[2].partition("```")[0]
        assert text.rstrip().endswith(("KIND = Ratio()", ")")), path
        file = tmp_path / "more_kinds" / path.split("/")[1] / "ratio.py"
        file.parent.mkdir(parents=True)
        file.write_text(text)
    return tmp_path / "more_kinds"


def test_a_new_kind_of_target_is_one_file_a_layer_from_the_header_to_the_page(small, folder: Path, tmp_path: Path):
    made = small("number years", "number::double", {"own": {"model": "centre"}}, evaluation={"bootstraps": 100})
    name, root = made.study.study, made.workspace.root
    query = Path(made.study.cohorts["c"].query)
    text = query.read_text().replace("t number years", "t ratio mm").replace("number::double", "exp(number / 20.0)")
    query.write_text(text)
    stated = made.study.model_dump(mode="json")
    stated["experiments"] = {
        "ridge": {"model": "ridge", "features": ["f"], "cohort": "c", "target": "t"},
        "trees": {"model": "boosting", "features": ["g"], "cohort": "c", "target": "t"},
        "both": {"model": "ensemble", "members": ["ridge", "trees"], "rule": "stack", "cohort": "c", "target": "t"},
    }
    file = tmp_path / "study.yaml"
    file.write_text(yaml.safe_dump(stated))
    picture = root.parent / "in/png/030.png"
    words = [sys.executable, "-c", WITH_NEW_KIND, folder, query, file, name, root, picture]
    done = subprocess.run(list(map(str, words)), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "t ratio mm" in done.stdout, "the description of the cohort"
    [predicted] = csv.DictReader(
        line for line in done.stdout.splitlines() if line.startswith("file,") or "030.png," in line
    )
    assert 2.5 < float(predicted["t"]) < np.exp(59 / 20), "a picture's value in mm: its logarithm is 1.5"

    frozen = FrozenCohort.load(made.workspace, made.study.cohort_name("c"))
    assert frozen.target("t").kind == "ratio" and frozen.answers("t")["value"].min() == 1
    rows = Predictions.read(made.workspace.experiment(name, "ridge") / "predictions").filter(split="test", variant="")
    off = np.abs(np.log(rows["value"].to_numpy() / rows["truth"].to_numpy()))
    steps = 20 * np.log(rows["truth"].to_numpy())
    assert rows.height > 5 and np.allclose(steps, steps.round()) and steps.max() > 40, "in mm, not its logarithm"
    found = Estimates.read([made.workspace.evaluation(name) / "estimates.parquet"]).filter(
        metric="log_error", split="test", level="image", variant="", subgroup="all"
    )
    plain = dict(found.filter(baseline="").select("experiment", "value").iter_rows())
    assert plain["ridge"] == pytest.approx(off.mean()) and plain["ridge"] < plain["null_centre_c_t"]
    assert found.filter(pl.col("baseline") != "")["low"].is_finite().all()
    [task] = json.loads((made.workspace.evaluation(name) / "study.json").read_text())["tasks"]
    assert (task["kind"], task["metric"]) == ("ratio", "log_error") and task["best"] in stated["experiments"]
    page = made.workspace.report(name).read_text()
    assert "reads t with a mean error of the logarithm of" in page
    assert "Log error" in page and "below zero the model of the row is better" in page, (
        "the metric as the fourth file writes it"
    )
    assert 'id="predicted-against-true"' in page and 'id="agreement"' not in page

    # Without its files nothing of it is known.
    alone = [sys.executable, "-m", "xray_mining", "cohort", str(query), "--as", "other", "--workspace", str(root)]
    refused = subprocess.run(alone, capture_output=True, text=True, check=False)
    assert refused.returncode == 2 and "with a kind among binary, group, labels, number, ordinal" in refused.stderr
