"""What a score says beside guessing, and in which order failed checks stand before the answers that they touch."""

import json
from dataclasses import asdict, replace
from types import SimpleNamespace

import pytest

from xray_mining.evaluation.answer import with_failed_checks
from xray_mining.evaluation.audits import AUDITS, AuditedTask
from xray_mining.evaluation.choice import Choice
from xray_mining.evaluation.options import EvaluationOptions
from xray_mining.evaluation.skill import Skill, skill_of
from xray_mining.evaluation.task import KINDS
from xray_mining.models.kinds import kind_that_predicted
from xray_mining.records.answers import Answer, Answers
from xray_mining.records.check_results import CheckRow
from xray_mining.records.cohort import Target
from xray_mining.records.estimates import EstimateRow


@pytest.mark.parametrize(
    ("value", "low", "high", "kind", "worse", "unproven"),
    [
        (1.20, 1.01, 1.40, "number", True, False),
        (1.05, 0.90, 1.20, "number", False, True),
        (0.90, 0.80, 1.00, "number", False, True),
        (0.80, 0.70, 0.95, "number", False, False),
        (0.40, 0.30, 0.49, "binary", True, False),
        (0.45, 0.38, 0.52, "binary", False, True),
        (0.55, 0.50, 0.60, "binary", False, True),
        (0.60, 0.55, 0.70, "binary", False, False),
    ],
)
def test_the_whole_interval_says_whether_a_model_is_worse_than_guessing(value, low, high, kind, worse, unproven):
    skill = Skill(value, low, high, KINDS.find(kind))
    assert (skill.worse, skill.unproven) == (worse, unproven)


def task_of(**kinds):
    models = {name: SimpleNamespace(shows=kind_that_predicted(kind)) for name, kind in kinds.items()}
    target = Target("age_years", "number", "years")
    return SimpleNamespace(
        name="c/age_years", kind=KINDS.find("number"), metric="mae", level="image", target=target, models=models
    )


def row(experiment, value, **more):
    plain = EstimateRow(
        experiment=experiment, experiment_digest="", model_kind="", cohort_digest="", target="age_years", metric="rmae",
        unit="", level="image", patients=40, images=40, value=value, low=value - 0.1, high=value + 0.1, method="",
    )  # fmt: skip
    return replace(plain, **more)


def test_the_score_is_that_of_unchanged_test_units_of_the_tasks_level():
    others = ({"level": "patient"}, {"split": "validation"}, {"variant": "window"}, {"subgroup": "patient_sex=F"})
    others += ({"baseline": "centre"}, {"metric": "mae"}, {"target": "other"})
    rows = [*(row("a", 9.0, **other) for other in others), row("a", 0.5)]
    assert skill_of(task_of(a="network"), rows, "a").value == 0.5
    assert skill_of(task_of(a="network"), rows[:-1], "a") is None
    assert skill_of(task_of(a="network"), [row("a", 0.5, low=None)], "a") is None


def judged(task, rows):
    audited = AuditedTask(task, EvaluationOptions(), Choice("", "", "", "", {}), rows)
    _, (found,) = AUDITS.find("better_than_guessing").run(audited)
    return found


def test_nulls_are_not_called_worse_than_guessing():
    task = task_of(border="null", ridge="baseline", oracle="oracle")
    found = judged(task, [row("border", 1.5), row("ridge", 0.5), row("oracle", 1.0)])
    assert found.outcome == "passed" and "none of 1 models" in found.sentence
    found = judged(task, [row("border", 1.5), row("ridge", 1.5), row("oracle", 1.0)])
    assert (found.outcome, found.offenders) == ("failed", 1) and "ridge has 1.50 times" in found.sentence
    found = judged(task_of(border="null"), [row("border", 1.5)])
    assert found.outcome == "not_applicable"


def test_errors_stand_first_and_each_check_once_before_the_first_answer_that_it_touches():
    def check(code, severity, about, outcome="failed"):
        return CheckRow(code, severity, outcome, "t", code, about=about)

    tasks = {
        name: SimpleNamespace(models={name[-1]: None}, cohort=SimpleNamespace(name="c")) for name in ("c/a", "c/b")
    }
    rows = [
        check("AAA001", "note", "c"),
        check("BBB001", "warning", "c/b"),
        check("DDD001", "error", "c"),
        check("EEE001", "error", "a", "passed"),
        check("FFF001", "warning", "nothing"),
        check("GGG001", "error", "a", "skipped"),
    ]
    answers = [Answer(name, name[-1], (), f"answer {name}") for name in tasks]
    found = with_failed_checks(answers, tasks, rows)
    assert [each.code for each in found.checks] == ["FFF001"]
    assert [[check.code for check in each.checks] for each in found.answers] == [
        ["DDD001", "AAA001"],
        ["DDD001", "BBB001", "AAA001"],
    ]
    assert Answers.of(json.loads(json.dumps(asdict(found)))) == found, "answer.json keeps it whole"
    lines = found.lines()
    assert [line.split(": ")[-1] for line in lines] == [
        "FFF001",
        "DDD001",
        "AAA001",
        "answer c/a",
        "BBB001",
        "answer c/b",
    ]
