"""What audits say and compute for each kind of target, on tasks that are made in memory."""

from dataclasses import replace

import numpy as np
import pytest
from made_tasks import CLASSES, OPTIONS, judged, task_of

from xray_mining.evaluation.audits import AUDITS, AuditedTask
from xray_mining.evaluation.audits.matched_groups import matched
from xray_mining.evaluation.choice import Choice
from xray_mining.evaluation.estimates import _remarks, same_for_all
from xray_mining.evaluation.task import Model

EQUAL = {
    "number": "age and sex",
    "binary": "age, sex and prevalence",
    "group": "age, sex and prevalence",
    "ordinal": "age, sex and level",
    "labels": "age and sex",
}


@pytest.mark.parametrize("kind", CLASSES)
def test_groups_are_compared_and_called_equal_in_what_they_were_matched_by(kind):
    task = task_of(kind)
    row = judged("matched_groups", task)
    assert f"c/made: at equal {EQUAL[kind]}: {task.kind.title} of M minus F" in row.sentence
    assert "prevalence" not in row.title
    drawn = matched(task, task.models["net"], "patient_sex", ["M", "F"], OPTIONS)
    male = (task.units["patient_sex"] == "M").to_numpy()[drawn]
    assert male.sum() == (~male).sum() > 50
    if task.kind.matched_words:
        counts = [np.unique(task.truth[drawn][side], return_counts=True) for side in (male, ~male)]
        assert all((one == other).all() for one, other in zip(*counts, strict=True))


def test_several_classes_are_audited_as_several_labels_are():
    """The mean area has a gain over guessing, a smallest difference, and a gap between groups, for both kinds."""
    task = task_of("group")
    model = task.models["net"]
    gain = task.kind.gain(task, model, OPTIONS)
    assert gain is not None and 0.2 < gain.low < gain.value < gain.high < 0.5 and gain.p_value < 1e-6
    every = np.ones(400, dtype=bool)
    guess = Model("g", "null", "d", {}, {}, "image", (-1,), (0,), 1, model.values[::-1], None, task.units.clear())
    shown = task.kind.smallest_difference(task, model, guess, every)
    assert shown is not None and 0.05 < shown < 0.3
    female = (task.units["patient_sex"] == "F").to_numpy()
    (scored, about), *_ = task.kind.by_cell(task, model, female, OPTIONS)
    assert scored.metric == "auc_macro" and about.all() and 0.7 < scored.found.value < 1
    assert scored.found.p_value > 0.001


def test_levels_that_few_or_no_test_patients_have_are_named_without_a_count():
    task = task_of("ordinal", patients=400, at_most=2)
    sentence = judged("patients_per_class", task).sentence
    assert "no test patient has level 3, so the figures are unreliable for this level." in sentence
    few = task_of("ordinal", patients=24)
    counts = {name: int((few.truth == i).sum()) for i, name in enumerate(CLASSES["ordinal"])}
    row = judged("patients_per_class", few)
    small = ", ".join(name for name, count in counts.items() if 0 < count < 10)
    assert small and f"fewer than 10 have level {small}" in row.sentence
    assert not [count for count in counts.values() if 0 < count < 10 and f" {count} " in row.sentence]
    assert "level" not in judged("patients_per_class", task_of("number")).sentence


@pytest.mark.parametrize(
    ("name", "kind", "words"),
    [
        ("attributes", "labels", "a variance needs one number for each image; targets of kind labels have no such"),
        ("attributes", "group", "a variance needs one number for each image; targets of kind group have no such"),
        ("label_noise", "ordinal", "targets of kind ordinal are not searched for wrong labels"),
        ("label_noise", "labels", "targets of kind labels are not searched for wrong labels"),
        ("shortcuts", "labels", "the study has no null experiment without anatomy"),
        ("shortcuts", "group", "the study has no null experiment without anatomy"),
    ],
)
def test_an_audit_that_does_not_apply_says_why_for_this_kind(name, kind, words):
    row = judged(name, task_of(kind))
    assert row.outcome == "not_applicable" and words in row.sentence


def test_scores_that_are_no_probabilities_are_said_to_be_so():
    task = task_of("binary")  # values far from 0 to 1
    assert "scores that are not probabilities" in judged("label_noise", task).sentence
    none = AuditedTask(task, OPTIONS, Choice("", "", "", "", {}))
    _, (row,) = AUDITS.find("label_noise").run(none)
    assert "no best model was chosen" in row.sentence


def test_a_label_that_is_predicted_alike_for_everybody_is_named():
    task = task_of("labels", patients=100)
    model = task.models["net"]
    assert same_for_all(task, model) == ""
    shares = 0.01 * (1 + task.folds)  # another share in each rotation, as each has other training patients
    whole = replace(model, values=np.column_stack([model.values[:, 0], shares, model.values[:, 2]]))
    assert "for mass (5 of 5 rotations), probably because the training data" in same_for_all(task, whole)
    part = np.where(task.folds == 2, 0.3, model.values[:, 2])
    once = replace(model, values=np.column_stack([model.values[:, :2], part]))
    assert "for nodule (1 of 5 rotations), " in same_for_all(task, once)
    assert [each.code for each in _remarks(task, once)] == ["EVAL006", "EVAL008"]
    same = replace(model, values=np.full((100, 3), 0.2))
    assert "correlations and slopes" in same_for_all(task, same)
    assert [each.code for each in _remarks(task, replace(once, kind="null"))] == ["EVAL008"]
