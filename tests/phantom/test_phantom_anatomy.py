"""Anatomy follows age and sex as stated, with a floor under every model's error that is neither zero nor hopeless."""

import dataclasses

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from xray_mining.phantom.anatomy import ANATOMY_COLUMNS, TRENDS, Anatomy, draw_person
from xray_mining.phantom.population import Parameters, plan_patient

COUNT = 1500


@pytest.fixture(scope="module")
def people():
    parameters = Parameters(COUNT, 1)
    drawn = [plan_patient(parameters, number)[0] for number in range(COUNT)]
    ages = np.array([patient.age_years for patient in drawn])
    men = np.array([patient.person.sex == "M" for patient in drawn])
    rows = [patient.person.anatomy(patient.age_years).truth() for patient in drawn]
    return ages, men, {name: np.array([row[name] for row in rows]) for name in ANATOMY_COLUMNS}, drawn


def test_every_trend_is_a_field_and_has_a_source():
    assert [trend.name for trend in TRENDS] == [field.name for field in dataclasses.fields(Anatomy)]
    for trend in TRENDS:
        assert trend.source and trend.unit and trend.description and trend.least < trend.most


@pytest.mark.parametrize("trend", [each for each in TRENDS if each.shape == "line"], ids=lambda each: each.name)
def test_slopes_are_recovered_with_their_sign_and_size(people, trend):
    ages, men, values, _ = people
    for sex, slope in ((True, trend.men_slope), (False, trend.women_slope)):
        mine = men == sex
        x, y = ages[mine] - ages[mine].mean(), values[trend.name][mine]
        found = float(x @ y / (x @ x))
        error = float((y - y.mean() - found * x).std() / np.sqrt(x @ x))
        # Limits of the possible range bend the ends a little.
        assert found == pytest.approx(slope, abs=4 * error + 0.15 * abs(slope)), sex


@pytest.mark.parametrize("trend", [each for each in TRENDS if each.shape == "clock"], ids=lambda each: each.name)
def test_ageing_clocks_start_late(people, trend):
    ages, _, values, _ = people
    young, old = values[trend.name][ages < 30], values[trend.name][ages > 75]
    assert young.mean() < 0.2 * old.mean() and old.mean() > 0.1 * trend.most


def test_age_can_be_read_from_the_true_anatomy_but_not_without_error(people):
    ages, _, values, _ = people
    matrix = np.column_stack([values[name] for name in ANATOMY_COLUMNS])
    predicted = cross_val_predict(make_pipeline(StandardScaler(), LinearRegression()), matrix, ages, cv=5)
    assert 3.0 < np.abs(predicted - ages).mean() < 5.0


def test_sex_can_be_read_but_not_without_error(people):
    _, men, values, _ = people
    matrix = np.column_stack([values[name] for name in ANATOMY_COLUMNS])
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))
    score = cross_val_predict(model, matrix, men, cv=5, method="predict_proba")[:, 1]
    assert 0.96 < roc_auc_score(men, score) < 0.995


def test_every_year_of_age_has_women_and_men(people):
    ages, men, _, _ = people
    for year in range(20, 80):
        mine = (ages >= year) & (ages < year + 1)
        assert (mine & men).sum() >= 4 and (mine & ~men).sum() >= 4


def test_nothing_about_the_exposure_or_the_null_group_depends_on_the_person(people):
    ages, men, _, drawn = people
    visits = [patient.visits[0] for patient in drawn]
    marks = {
        "view": [visit.acquisition.view_position == "AP" for visit in visits],
        "maker": [visit.acquisition.maker.modality == "CR" for visit in visits],
        "site": [visit.acquisition.institution.startswith("F") for visit in visits],
        "null": [visit.truth["null_group"] == "A" for visit in visits],
    }
    for name, mark in marks.items():
        for target in (ages, men.astype(float)):
            assert abs(np.corrcoef(np.array(mark, float), target)[0, 1]) < 4 / np.sqrt(COUNT), name


def test_a_person_ages_and_stays_the_same_person():
    person = draw_person("F", np.random.default_rng(0))
    young, old = person.anatomy(40), person.anatomy(60)
    assert young.clavicle_length_mm == old.clavicle_length_mm
    assert old.aortic_arch_width_mm > young.aortic_arch_width_mm
    assert old.bone_density_relative < young.bone_density_relative
