"""The cohort `findings`: its parameters, and images with several answers for one label."""

from pathlib import Path

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

    def write(extra=(), rowless=0):
        """With `rowless` further images that no row is about."""
        put(Images, [make.image(n) for n in range(60 + rowless)])
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


def test_with_absent_false_an_image_without_a_row_has_none_of_the_labels(answered):
    workspace = answered(rowless=60)
    assert freeze(workspace, "findings", "f", folds=3).flow[-1].images == 60
    cohort = freeze(workspace, "findings", "g", folds=3, parameters={"absent": "false"})
    rows = CohortTargets.read(cohort.folder / "cohort_targets.parquet")
    assert rows.height == 120 and rows["value"].sum() == 30 and rows["value"].null_count() == 0


def test_absent_false_says_nothing_of_an_archive_that_names_none_of_the_labels(answered, put, make):
    workspace = answered()
    put(Images, [make.image(n, archive="silent") for n in range(60, 80)], archive="silent")
    cohort = freeze(workspace, "findings", "f", folds=3, parameters={"absent": "false"})
    assert cohort.flow[-1].images == 60


@pytest.mark.parametrize(("labels", "wrong"), [("edema, mas", "mas"), ("edma", "edma"), ("edema;mass", "edema;mass")])
def test_a_misspelt_label_is_refused_with_the_known_ones(answered, labels, wrong):
    workspace = answered([(n, "mass", n % 3 == 0) for n in range(60)])
    words = f"labels: '{wrong}' is no finding of these images; known are edema, mass"
    with pytest.raises(UserError, match=words):
        freeze(workspace, "findings", "f", folds=3, parameters={"labels": labels})
    right = freeze(workspace, "findings", "f", folds=3, parameters={"labels": "edema, mass"})
    assert right.targets[0].classes == ("edema", "mass")


FORMS = [line.strip() for line in (Path(__file__).parents[2] / "docs/targets.md").read_text("utf-8").splitlines()]
FORMS = [line for line in FORMS if line.startswith("select image_key") and " as findings from …" in line]


@pytest.mark.parametrize("form", range(3))
def test_each_form_of_the_page_on_targets_gives_the_same_answers(answered, make, tmp_path, form):
    # A quarter of the images has no label at all.
    workspace = answered([(n, "nodule", n // 2 % 2) for n in range(60)])
    source = "rows_of"
    text = FORMS[form].replace("…", source).replace("effusion", "edema")
    wide = (
        "select image_key, max(if(name = 'edema' and value = 1, 'yes', 'no')) as edema, "
        "max(if(name = 'nodule', value, 0)) as nodule_mm from image_findings group by image_key"
    )
    plain = "select image_key, name, value from image_findings"
    path = tmp_path / "mine.sql"
    path.write_text(
        "-- question: q\n-- one row: r\n-- target: findings labels least=1\n-- made of: findings\n-- example: e\nwith\n"
        f"-- step: rows\n{source} as ({wide if 'nodule_mm' in text else plain})\n{text}"
    )
    cohort = freeze(workspace, str(path), "mine", folds=3)
    rows = CohortTargets.read(cohort.folder / "cohort_targets.parquet")
    found = {(image, label): value for image, label, value in rows.select("image_key", "label", "value").iter_rows()}
    assert len(FORMS) == 3 and cohort.targets[0].classes == ("edema", "nodule")
    for n in range(60):
        assert found[make.key("image", n), "edema"] == n % 2
        assert found[make.key("image", n), "nodule"] == n // 2 % 2
