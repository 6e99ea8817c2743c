"""The cohort `brixia`: a misspelt score and a score between levels are refused."""

import pytest

from xray_mining.catalog.cohort import freeze
from xray_mining.errors import UserError
from xray_mining.records.findings import Findings
from xray_mining.records.images import Images


@pytest.fixture
def scored(workspace, put, make):
    """`scored(values)`: an image of its own patient for each score."""

    def write(values):
        rest = {"label": None, "unit": "", "study_day": None, "source": "readers", "source_version": "1"}
        put(Images, [make.image(n) for n in range(len(values))])
        rows = [
            {"image_key": make.key("image", n), "study_key": None, "patient_key": make.key("patient", n)}
            | rest
            | {"name": "brixia_senior", "value": float(value)}
            for n, value in enumerate(values)
        ]
        put(Findings, rows)
        return workspace

    return write


def test_a_misspelt_score_is_refused_with_the_known_ones(scored):
    with pytest.raises(UserError, match=r"score: 'brixia_senor' is no finding of the images; known are brixia_senior"):
        freeze(scored([n % 19 for n in range(60)]), "brixia", "b", folds=3, parameters={"score": "brixia_senor"})


def test_a_score_between_two_levels_is_refused(scored):
    with pytest.raises(UserError, match=r"score: 2\.5 is not a whole number"):
        freeze(scored([2.5, *(n % 19 for n in range(59))]), "brixia", "b", folds=3)


def test_whole_scores_are_levels(scored):
    cohort = freeze(scored([n % 19 for n in range(60)]), "brixia", "b", folds=3)
    assert cohort.flow[-1].images == 60 and cohort.targets[0].classes[-1] == "18"
