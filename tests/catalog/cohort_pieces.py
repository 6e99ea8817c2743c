"""What the tests of cohorts share."""

import pytest

from xray_mining.catalog.link import link
from xray_mining.ingest.identity import public_domain
from xray_mining.records.images import Images

HEADER = """-- question: who
-- one row: one image
-- parameter: $youngest integer = 20  years
-- target: age_years number years
-- example: xray-mining cohort x
"""


BODY = """with
-- step: all of them
everybody as (select image_key, age_years from eligible where age_years >= $youngest)
select image_key, age_years from everybody
"""


@pytest.fixture
def write(tmp_path):
    def file(text: str, name: str = "mine") -> str:
        path = tmp_path / f"{name}.sql"
        path.write_text(text)
        return str(path)

    return file


FIXED_FOLDS = [3, 3, 3, 1, 0, 2, 1, 3]


@pytest.fixture
def linked_study(workspace, put, make, tmp_path):
    """Two patients on two sides, each with a study of its own; one more study bears images of both, one row links it.

    Members are the one's own study and the other's image of the shared one, so that no study stands on two sides.
    """
    domain = public_domain("here")
    shared = domain.digest("study", "1.2.shared")
    one, other = sorted(make.key("patient", n) for n in range(2))
    rows = [make.image(n, age_years=40.0) for n in range(2, 60)]
    rows += [
        make.image(100, patient_key=one, age_years=40.0),
        make.image(101, patient_key=one, study_key=shared, view_position="LATERAL"),
        make.image(102, patient_key=other, study_key=shared, age_years=40.0),
    ]
    put(Images, rows)
    (tmp_path / "table.csv").write_text("uid,score\n1.2.shared,5\n")
    mapping = "name: outcomes\ndomain: here\nstudy_uid: uid\nfindings:\n- {name: severity, column: score}\n"
    (tmp_path / "mapping.yaml").write_text(mapping)
    assert link(workspace, tmp_path / "table.csv", tmp_path / "mapping.yaml").matched == 1
    return make.key("image", 100), make.key("image", 102), one, other
