"""The README's examples: the notebook's is run as it stands there, the mapping is read."""

import re
from pathlib import Path
from textwrap import dedent

import matplotlib as mpl
import numpy as np
import pytest
import yaml
from example_archive import write_archive

from xray_mining.archive.mapping import Columns, Mapping
from xray_mining.pixels.store import PixelStore

ROOT = Path(__file__).parents[1]


@pytest.fixture
def work(tmp_path, monkeypatch):
    """A folder in which the workspace `work` lies: 240 radiographs of 120 patients."""
    monkeypatch.chdir(tmp_path)
    return write_archive(tmp_path / "work")


def test_the_notebook_example_draws_a_pyramid_and_twelve_radiographs(work):
    mpl.use("Agg")
    import matplotlib.pyplot as plt

    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    found = re.findall(r"(?:^    .*\n|^\n)*^    import matplotlib.*\n(?:^    .*\n|^\n)*", readme, re.MULTILINE)
    assert len(found) == 1
    names = {}
    try:
        exec(compile(dedent(found[0]), "README.md", "exec"), names)
        pyramid, *pictures = (plt.figure(number) for number in plt.get_fignums())
        widths = [bar.get_width() for bar in pyramid.axes[0].patches]
        members = names["adults"].members()
        sexes = names["work"].sql("select patient_key, patient_sex from images").unique()
        counted = sexes.join(members.unique("patient_key"), on="patient_key")["patient_sex"].value_counts()
        assert {"F": -sum(w for w in widths if w < 0), "M": sum(w for w in widths if w > 0)} == {
            sex: count for sex, count in counted.iter_rows() if sex
        }
        shown = [place.images[0].get_array() for place in pictures[0].axes]
        stored = PixelStore.open(work).read(members["image_key"][:12].to_list())
        assert len(shown) == 12
        assert all(np.array_equal(one, other) for one, other in zip(shown, stored, strict=True))
    finally:
        plt.close("all")


def test_the_mapping_of_the_readme_is_one_and_its_columns_are_all_that_there_are():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    start = text.index("      table: patients.csv")
    block, words = text[start : text.index("\n\n", start)], text[text.index("Columns may also be") :]
    mapping = Mapping.model_validate(yaml.safe_load(block))
    assert mapping.findings["effusion"].kind == "number"
    told = set(mapping.columns.model_dump(exclude_none=True)) | set(re.findall(r"`(\w+)`", words.split(";")[0]))
    assert told == set(Columns.model_fields) - {"image_columns"}
