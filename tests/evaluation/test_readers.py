"""A second reader of the same images is compared with every model, in a family of its own."""

from dataclasses import replace

import numpy as np
import pytest
from made_tasks import task_of

from xray_mining.evaluation.choice import Choice
from xray_mining.evaluation.comparisons import OTHER_NULLS, READERS, adjusted, compare
from xray_mining.evaluation.options import EvaluationOptions
from xray_mining.evaluation.rows import scored_row
from xray_mining.evaluation.task import Scored, Task
from xray_mining.statistics.comparison import holm
from xray_mining.statistics.estimate import Estimate

CHOICE = Choice("net", "ridge", "", "thumbnail", {})


def read_twice(patients: int = 150) -> Task:
    """A network, a baseline that is worse, two nulls, and a reader who is better but answered two images of three."""
    task = task_of("ordinal", patients=patients)
    rng = np.random.default_rng(8)
    answers = np.clip(task.truth + rng.choice([-1, 0, 0, 0, 0, 0, 1], patients), 0, 3)
    answers[::3] = np.nan
    net = task.models["net"]
    others = {
        "ridge": ("baseline", task.truth + rng.normal(0, 1.5, patients)),
        "thumbnail": ("null", rng.normal(1.5, 0.5, patients)),
        "border": ("null", rng.normal(1.5, 0.5, patients)),
        "second": ("reader", answers),
    }
    models = {name: replace(net, name=name, kind=kind, values=values) for name, (kind, values) in others.items()}
    # Fits of other rotations predict almost the same, and a reader answers the same.
    again = {
        name: replace(each, again=each.values + rng.normal(0, 0.1, patients) * (name != "second"))
        for name, each in ({"net": net} | models).items()
    }
    return replace(task, models=again)


def test_every_model_has_a_paired_difference_in_kappa_from_the_reader():
    task = read_twice()
    rows = [each for each in compare(task, EvaluationOptions(bootstraps=100), CHOICE) if each.baseline == "second"]
    kappas = {each.experiment: each for each in rows if each.metric == "kappa_quadratic"}
    assert set(kappas) == {"net", "ridge", "thumbnail", "border"}
    net = kappas["net"]
    assert net.low < net.value < net.high < 0 and net.images == 100 and net.p_value < 0.05
    families = {each.experiment: each.family for each in kappas.values()}
    assert families.pop("border").endswith(OTHER_NULLS)
    assert all(each.endswith(READERS) for each in families.values())
    # Both directions are one test of the readers' family, and the model's other comparisons do not count readers.
    every = compare(task, EvaluationOptions(bootstraps=100), CHOICE)
    [back] = [each for each in every if (each.experiment, each.baseline, each.metric) == ("second", "ridge", "mae")]
    [there] = [each for each in every if (each.experiment, each.baseline, each.metric) == ("ridge", "second", "mae")]
    assert back.value == pytest.approx(-there.value)
    assert (back.p_value, back.p_adjusted, back.family) == (there.p_value, there.p_adjusted, there.family)


def test_a_reader_does_not_weaken_the_comparisons_of_models():
    task = read_twice(patients=20)

    def row(model: str, baseline: str, p: float):
        found = Scored("mae", Estimate(1.0, 0.5, 1.5, 20, 20, "", p_value=p))
        return scored_row(task, task.models[model], found, baseline=baseline)

    models = [row("net", "ridge", 0.01), row("ridge", "thumbnail", 0.04)]
    alone = [each.p_adjusted for each in adjusted(models, "here", "thumbnail", readers=["second"])]
    read = [row("net", "second", 0.02), row("second", "ridge", 0.03), row("second", "thumbnail", 0.5)]
    found = adjusted([*models, *read], "here", "thumbnail", readers=["second"])
    assert [each.p_adjusted for each in found[:2]] == alone == pytest.approx(holm([0.01, 0.04]))
    assert [each.p_adjusted for each in found[2:]] == pytest.approx(holm([0.02, 0.03, 0.5]))
    assert {each.family for each in found} == {"here: mae, all comparisons", f"here: mae, {READERS}"}
