"""The cohort `findings`: its parameter for missing rows, and images with several answers for one label."""

import pytest

from xray_mining.catalog.cohort import freeze
from xray_mining.errors import UserError
from xray_mining.records.cohort_targets import CohortTargets
from xray_mining.records.findings import Findings
from xray_mining.records.images import Images


@pytest.fixture
def answered(workspace, put, make):
    """60 images of 60 patients; every second has edema, and `answered(extra)` adds rows (image, name, value)."""

    def row(n, name, value, source):
        rest = {"label": None, "unit": "", "study_day": None, "source": source, "source_version": "1"}
        keys = {"image_key": make.key("image", n), "study_key": None, "patient_key": make.key("patient", n)}
        return keys | rest | {"name": name, "value": float(value)}

    def write(extra=()):
        put(Images, [make.image(n) for n in range(60)])
        rows = [row(n, "edema", n % 2, "reader a") for n in range(60)]
        put(Findings, rows + [row(n, name, value, "reader b") for n, name, value in extra])
        return workspace

    return write


@pytest.mark.parametrize("absent", ["falsch", "", "true"])
def test_a_misspelt_absent_is_refused_where_no_finding_is_a_phantoms(answered, absent):
    with pytest.raises(UserError, match="absent must be unknown or false"):
        freeze(answered(), "findings", "f", folds=3, parameters={"absent": absent})


def test_different_answers_of_an_image_for_one_label_are_uncertain(answered, make):
    again = {0: 1, 1: 0, 2: -1, 3: -1, 4: 0, 5: 1}  # the first answers are 0, 1, 0, 1, 0, 1
    workspace = answered([(n, "edema", value) for n, value in again.items()])
    cohort = freeze(workspace, "findings", "f", folds=3)
    rows = CohortTargets.read(cohort.folder / "cohort_targets.parquet")
    values = dict(rows.select("image_key", "value").iter_rows())
    assert [values[make.key("image", n)] for n in range(8)] == [None, None, None, None, 0, 1, 0, 1]
    assert len(values) == 60, "no image is left out"
    assert any("some answers of target 'findings' are uncertain; uncertain=ignore" in each for each in cohort.sentences)
