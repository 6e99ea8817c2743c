"""Which images a finding speaks of, and the cohort and report that read them."""

import pytest

from xray_mining.catalog.cohort import freeze
from xray_mining.catalog.query import select, sql
from xray_mining.records.cohort_targets import CohortTargets
from xray_mining.records.findings import Findings
from xray_mining.records.images import Images


@pytest.fixture
def scored(workspace, put, make):
    """Patient n of 40 has images 2n and 2n + 1, of one study where n is odd; scores of images, studies, a patient."""
    patients = range(40)
    put(
        Images,
        [
            make.image(2 * n + i, patient=n, study_key=make.key("study", n, i if n % 2 == 0 else 0))
            for n in patients
            for i in range(2)
        ],
    )

    def finding(n, value, *, image=None, study=None):
        keys = {
            "image_key": None if image is None else make.key("image", 2 * n + image),
            "study_key": None if study is None else make.key("study", n, study),
        }
        rest = {"label": None, "unit": "", "study_day": None, "source": "reader", "source_version": "1"}
        return keys | rest | {"patient_key": make.key("patient", n), "name": "brixia_senior", "value": float(value)}

    rows = [finding(n, n % 19, image=0, study=0) for n in patients if n >= 3]
    rows += [finding(0, 5), finding(1, 6, study=0), finding(2, 7, study=1)]
    rows += [finding(3, 4, study=0)]  # a second answer, for both images of the study: the first image's differ
    put(Findings, rows)
    return workspace


def test_a_finding_speaks_of_its_image_or_of_all_of_its_study_or_patient(scored, make):
    found = sql(scored, "select image_key::varchar as key, value from image_findings")
    values = {}
    for key, value in found.iter_rows():
        values.setdefault(key, []).append(value)
    said = {(n, i): sorted(values.get(make.key("image", 2 * n + i), [])) for n in range(40) for i in range(2)}
    assert [said[0, i] for i in range(2)] == [[5], [5]], "the patient's"
    assert [said[1, i] for i in range(2)] == [[6], [6]], "the study's, which has both images"
    assert [said[2, i] for i in range(2)] == [[], [7]], "the study's, which has one"
    assert [said[3, i] for i in range(2)] == [[3, 4], [4]] and [said[4, i] for i in range(2)] == [[4], []]


def test_the_scores_of_a_reader_are_one_for_an_image(scored, make):
    cohort = freeze(scored, "brixia", "b", folds=3)
    rows = CohortTargets.read(cohort.folder / "cohort_targets.parquet")
    labels = dict(rows.select("image_key", "label").iter_rows())
    wanted = {(0, 0): "5", (0, 1): "5", (1, 0): "6", (1, 1): "6", (2, 1): "7", (3, 1): "4"}
    wanted |= {(n, 0): str(n % 19) for n in range(4, 40)}
    assert labels == {make.key("image", 2 * n + i): label for (n, i), label in wanted.items()}
    asked = [make.key("image", number) for number in range(80)]
    answers = select(scored, "reports/answers_of_images", image_keys=asked, finding="brixia_senior")
    assert dict(answers.select("image_key", "label").iter_rows()) == labels
